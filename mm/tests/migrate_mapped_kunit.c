// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests for page table entries in page migration: each entry of a folio is
 * found, wherever it is, and is afterwards what it was; no others are touched.
 */

/* First: linux/memfd.h needs its types and does not include it. */
#include <linux/mm.h>

#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/highmem.h>
#include <linux/leafops.h>
#include <linux/memfd.h>
#include <linux/mman.h>
#include <linux/pagemap.h>
#include <linux/rmap.h>
#include <linux/sched/mm.h>
#include <linux/swapops.h>
#include <linux/uaccess.h>

#include "../internal.h"
#include "folio_fixture.h"
#include "page_entry.h"
#include "user_pages.h"

/**
 * struct move - a migration of one folio
 * @test: the running test
 * @dst: where it was to go
 * @asked: how often it was asked for
 * @rc: what migrate_pages() returned
 */
struct move {
	struct kunit *test;
	struct folio *dst;
	unsigned int asked;
	int rc;
};

static struct folio *move_dst(struct folio *src, unsigned long private)
{
	struct move *m = (struct move *)private;

	m->asked++;
	m->dst = folio_alloc(GFP_KERNEL, folio_order(src));
	return m->dst;
}

/* Puts it back if it fails. */
static void move(struct move *m, struct folio *folio, enum migrate_mode mode)
{
	LIST_HEAD(from);

	lru_add_drain_all();
	m->rc = -EBUSY;
	if (isolate_folio_to_list(folio, &from))
		m->rc = migrate_pages(&from, move_dst, NULL, (unsigned long)m, mode,
				      MR_SYSCALL, NULL);
	putback_movable_pages(&from);
	lru_add_drain_all();
}

static struct folio *expect_moves(struct kunit *test, struct folio *folio)
{
	struct move m = { .test = test };

	move(&m, folio, MIGRATE_SYNC);
	KUNIT_EXPECT_EQ(test, m.rc, 0);
	return m.rc ? folio : m.dst;
}

/* The bits that are lost where a migration entry has no room for them. */
static unsigned int lost_bits(void)
{
	return migration_entry_supports_ad() ? 0 : ENTRY_YOUNG | ENTRY_DIRTY;
}

struct move_param {
	const struct user_memory *memory;
	bool fails;
};

static const struct move_param moves[] = {
	{ &user_memory_anon, false },
	{ &user_memory_anon, true },
	{ &user_memory_memfd, false },
	{ &user_memory_memfd, true },
};

PARAM_ARRAY(moves, "%s%s", p->memory->name, p->fails ? "-fails" : "");

/* Moves a page whose entry is in some state, or tries to. */
static void move_in_state(struct kunit *test, const struct move_param *p,
			  unsigned int state)
{
	const bool anon = p->memory == &user_memory_anon;
	struct user_pages *up = user_pages_make(test, p->memory, 1);
	struct folio *folio = user_pages_folio(up, 0);
	struct anon_vma *anon_vma = anon ? folio_anon_vma(folio) : NULL;
	const int anon_vma_refs = anon ? atomic_read(&anon_vma->refcount) : 0;
	const int counter = mm_counter(folio);
	const long rss = get_mm_counter_sum(current->mm, counter);
	struct move m = { .test = test };
	unsigned int due = state & ~lost_bits();

	entry_set(test, up->addr, state);
	folio_clear_dirty(folio);
	if (p->fails)
		test_folio_get(test, folio);
	move(&m, folio, MIGRATE_SYNC_LIGHT);

	KUNIT_EXPECT_EQ(test, m.rc, p->fails);
	/* Nobody but a userfaultfd has to be told of writes to shared memory. */
	due |= anon ? ENTRY_EXCLUSIVE : state & ENTRY_UFFD ? 0 : ENTRY_WRITE;
	KUNIT_EXPECT_EQ_MSG(test, entry_state(test, up->addr), due, "from %x", state);
	KUNIT_EXPECT_PTR_EQ(test, user_pages_folio(up, 0), p->fails ? folio : m.dst);
	KUNIT_EXPECT_EQ(test, folio_test_dirty(user_pages_folio(up, 0)), !!(state & ENTRY_DIRTY));
	KUNIT_EXPECT_EQ(test, get_mm_counter_sum(current->mm, counter), rss);
	if (p->fails)
		test_folio_put(test, folio);
	if (nobody_else_runs())
		KUNIT_EXPECT_EQ(test, folio_ref_count(p->fails ? m.dst : folio), 0);
	if (anon) {
		KUNIT_EXPECT_PTR_EQ(test, folio_anon_vma(user_pages_folio(up, 0)),
				    anon_vma);
		KUNIT_EXPECT_EQ(test, atomic_read(&anon_vma->refcount), anon_vma_refs);
	}
	expect_not_pinned(up);
}

/*
 * An entry is after a migration what it was before, also if the migration fails, and
 * a dirty one has not lost its data.
 */
static void entry_stays(struct kunit *test)
{
	unsigned int state;

	for (state = 0; state < ENTRY_EXCLUSIVE; state++)
		if (entry_can_be(state))
			move_in_state(test, test->param_value, state);
}

#ifdef CONFIG_TRANSPARENT_HUGEPAGE
static const char *const outcomes[] = { "moves", "fails" };

PARAM_ARRAY(outcomes, "%s", *p);

/* The same for the one entry of a huge page, whose dirt is news to who asks for it. */
static void huge_entry_stays(struct kunit *test)
{
	const bool fails = test->param_value == &outcomes[1];
	struct user_pages *up = user_pages_make(test, &user_memory_thp, HPAGE_PMD_NR);
	const long rss = get_mm_counter_sum(current->mm, MM_ANONPAGES);
	struct move m = { .test = test };
	unsigned int state, due;
	struct folio *folio;

	for (state = 0; state < ENTRY_EXCLUSIVE; state++) {
		if (!entry_can_be(state))
			continue;
		folio = user_pages_folio(up, 0);
		entry_set(test, up->addr, state);
		folio_clear_dirty(folio);
		if (fails)
			test_folio_get(test, folio);
		move(&m, folio, MIGRATE_SYNC_LIGHT);
		if (fails)
			test_folio_put(test, folio);

		due = state | ENTRY_EXCLUSIVE;
		if (state & ENTRY_DIRTY)
			due |= entry_bits() & ENTRY_SOFT_DIRTY;
		KUNIT_EXPECT_EQ(test, m.rc, fails);
		KUNIT_EXPECT_EQ_MSG(test, entry_state(test, up->addr), due & ~lost_bits(),
				    "from %x", state);
		KUNIT_EXPECT_PTR_EQ(test, user_pages_folio(up, 0), fails ? folio : m.dst);
		KUNIT_EXPECT_EQ(test, folio_test_dirty(user_pages_folio(up, 0)),
				!!(state & ENTRY_DIRTY));
		KUNIT_EXPECT_EQ(test, get_mm_counter_sum(current->mm, MM_ANONPAGES), rss);
	}
	expect_not_pinned(up);
}
#endif

#ifdef CONFIG_USERFAULTFD_RWP
static const struct user_memory * const watched[] = {
	&user_memory_anon,
	&user_memory_memfd,
#ifdef CONFIG_TRANSPARENT_HUGEPAGE
	&user_memory_thp,
#endif
};

PARAM_ARRAY(watched, "%s", (*p)->name);

/* A page of which a userfaultfd wants to hear whenever it is used is not used unheard. */
static void watched_for_use(struct kunit *test)
{
	const struct user_memory * const *memory = test->param_value;
	struct user_pages *up = user_pages_make(test, *memory, 1U << (*memory)->order);
	static const unsigned int states[] = { 0, ENTRY_UFFD };
	unsigned int i, fails;

	for (i = 0; i < ARRAY_SIZE(states) * 2; i++) {
		struct folio *folio = user_pages_folio(up, 0);
		const unsigned int state = states[i / 2];
		struct move m = { .test = test };

		fails = i % 2;
		entry_set(test, up->addr, state);
		vma_flags_switch(test, up->addr, VM_UFFD_RWP, true);
		if (fails)
			test_folio_get(test, folio);
		move(&m, folio, MIGRATE_SYNC);
		if (fails)
			test_folio_put(test, folio);
		vma_flags_switch(test, up->addr, VM_UFFD_RWP, false);
		KUNIT_EXPECT_EQ(test, m.rc, fails);
		KUNIT_EXPECT_EQ_MSG(test, entry_state(test, up->addr) & (ENTRY_UFFD | ENTRY_NONE),
				    state ? ENTRY_UFFD | ENTRY_NONE : 0, "%u", i);
	}
	entry_set(test, up->addr, 0);
	expect_not_pinned(up);
}
#endif

static void wait_for_go(struct test_task *task)
{
	test_task_await_go(task);
}

/* A page that is common since a fork is exclusive to nobody, wherever it moves. */
static void common_stays_common(struct kunit *test)
{
	struct user_pages *up = user_pages_make(test, &user_memory_anon, 1);
	struct test_task *child = test_task_start(test, wait_for_go, NULL, 0);
	struct folio *folio = user_pages_folio(up, 0);

	KUNIT_ASSERT_EQ(test, entry_state(test, up->addr) & (ENTRY_WRITE | ENTRY_EXCLUSIVE), 0);
	folio = expect_moves(test, folio);
	KUNIT_EXPECT_EQ(test, entry_state(test, up->addr) & (ENTRY_WRITE | ENTRY_EXCLUSIVE), 0);
	KUNIT_EXPECT_EQ(test, folio_mapcount(folio), 2);
	test_task_go(child);
	test_task_join(child);
	KUNIT_EXPECT_EQ(test, folio_mapcount(folio), 1);
	expect_not_pinned(up);
}

/*
 * A pinned page is exclusive for good: it is not even unmapped, each of ten attempts
 * ends with that.
 */
static void pinned_stays(struct kunit *test)
{
	struct user_pages *up = user_pages_make(test, &user_memory_anon, 1);
	struct move m = { .test = test };
	struct folio *folio;
	unsigned int state;

	user_pages_pin(up, &pin_way_try_fast, FOLL_LONGTERM);
	expect_pinned(up);
	folio = user_pages_folio(up, 0);
	state = entry_state(test, up->addr);
	move(&m, folio, MIGRATE_ASYNC);
	KUNIT_EXPECT_EQ(test, m.rc, 1);
	KUNIT_EXPECT_EQ(test, m.asked, 10);
	KUNIT_EXPECT_EQ(test, entry_state(test, up->addr), state);
	KUNIT_EXPECT_TRUE(test, state & ENTRY_EXCLUSIVE);
	expect_pinned(up);
	expect_unpins(up);
}

/* How far from the first another mapping of a file lies, which has no page table. */
static const unsigned long distances[] = { PMD_SIZE, PUD_SIZE, P4D_SIZE };

PARAM_ARRAY(distances, "%luM", *p >> 20);

/* A mapping that nobody has touched has no entry to find, and does not stop the walk. */
static void untouched_mapping(struct kunit *test)
{
	const unsigned long *distance = test->param_value;
	struct user_pages *up = user_pages_make(test, &user_memory_memfd, 2);
	/* Memory is mapped from the top down on most architectures, on UML from below. */
	const unsigned long step = up->addr > TASK_SIZE / 2 ? -*distance : *distance;
	unsigned long near, far, page = PAGE_SIZE;
	struct folio *folio;
	u8 found;

	near = vm_mmap(up->file, up->addr + step, 2 * page, PROT_READ,
		       MAP_SHARED | MAP_FIXED_NOREPLACE, 0);
	KUNIT_ASSERT_EQ(test, near, up->addr + step);
	far = vm_mmap(up->file, near + step, 2 * page, PROT_READ,
		      MAP_SHARED | MAP_FIXED_NOREPLACE, 0);
	KUNIT_ASSERT_EQ(test, far, near + step);

	folio = expect_moves(test, user_pages_folio(up, 1));
	KUNIT_EXPECT_EQ(test, folio_mapcount(folio), 1);
	KUNIT_EXPECT_PTR_EQ(test, user_pages_folio(up, 1), folio);
	KUNIT_EXPECT_EQ(test, 0, copy_from_user(&found, (void __user *)(far + page), 1));
	KUNIT_EXPECT_EQ(test, found, user_pages_pattern(up, 1));
	KUNIT_EXPECT_EQ(test, folio_mapcount(folio), 2);
	expect_moves(test, folio);
	expect_not_pinned(up);
	vm_munmap(near, 2 * page);
	vm_munmap(far, 2 * page);
}

#define ORDER		2
#define NR_PAGES	BIT(ORDER)

/**
 * struct large - a large folio of a file, mapped page by page
 * @test: the running test
 * @file: the file, of which it is all
 * @folio: the folio
 * @index: its place in the file, in pages
 * @other: what faults give from now on, NULL for pages of the folio
 */
struct large {
	struct kunit *test;
	struct file *file;
	struct folio *folio;
	pgoff_t index;
	struct page *other;
};

static vm_fault_t large_fault(struct vm_fault *vmf)
{
	struct large *large = vmf->vma->vm_file->private_data;

	if (large->other) {
		get_page(large->other);
		vmf->page = large->other;
		return 0;
	}
	if (vmf->pgoff - large->index >= folio_nr_pages(large->folio))
		return VM_FAULT_SIGBUS;
	folio_get(large->folio);
	vmf->page = folio_page(large->folio, vmf->pgoff - large->index);
	return 0;
}

static const struct vm_operations_struct large_ops = {
	.fault = large_fault,
};

static int large_mmap(struct file *file, struct vm_area_struct *vma)
{
	vma->vm_ops = &large_ops;
	return 0;
}

static const struct file_operations large_fops = {
	.owner = THIS_MODULE,
	.mmap = large_mmap,
};

static const struct address_space_operations large_aops = {
	.dirty_folio = filemap_dirty_folio,
	.migrate_folio = filemap_migrate_folio,
};

KUNIT_DEFINE_ACTION_WRAPPER(fput_action, __fput_sync, struct file *);

static u8 pattern(unsigned int i)
{
	return 0x50 + i;
}

/* Gives a new folio to the page cache, which has its only reference then. */
static void cache_folio(struct kunit *test, struct file *file, struct folio *folio,
			pgoff_t index)
{
	KUNIT_ASSERT_EQ(test, 0, filemap_add_folio(file->f_mapping, folio, index,
						   GFP_KERNEL));
	folio_mark_uptodate(folio);
	folio_unlock(folio);
	test_folio_put(test, folio);
	lru_add_drain_all();
}

static struct large *large_of(struct kunit *test, struct folio *folio, pgoff_t index)
{
	struct large *large = test_zalloc(test, sizeof(*large));
	unsigned int i;

	test_folio_take(test, folio);
	large->test = test;
	large->folio = folio;
	large->index = index;
	large->file = anon_inode_create_getfile("[migrate_mapped]", &large_fops, large,
						O_RDWR, NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, large->file);
	test_cleanup(test, fput_action, large->file);
	large->file->f_mapping->a_ops = &large_aops;
	for (i = 0; i < folio_nr_pages(folio); i++) {
		void *addr = kmap_local_folio(folio, i * PAGE_SIZE);

		memset(addr, pattern(i), PAGE_SIZE);
		kunmap_local(addr);
	}
	cache_folio(test, large->file, folio, index);
	return large;
}

static struct large *large_make(struct kunit *test)
{
	struct folio *folio = folio_alloc(GFP_HIGHUSER_MOVABLE, ORDER);

	KUNIT_ASSERT_NOT_NULL(test, folio);
	return large_of(test, folio, 0);
}

/* Maps pages and touches them. */
static unsigned long large_map(struct large *large, unsigned long addr,
			       unsigned int first, unsigned int nr, unsigned long flags)
{
	struct kunit *test = large->test;
	unsigned int i;
	u8 found;

	addr = kunit_vm_mmap(test, large->file, addr, nr * PAGE_SIZE,
			     PROT_READ | PROT_WRITE, MAP_SHARED | flags,
			     first * PAGE_SIZE);
	KUNIT_ASSERT_NE(test, addr, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(addr));
	for (i = 0; i < nr; i++)
		KUNIT_ASSERT_EQ(test, 0, copy_from_user(&found, (void __user *)
						       (addr + i * PAGE_SIZE), 1));
	return addr;
}

static void expect_maps(struct large *large, unsigned long addr, unsigned int first,
			unsigned int nr)
{
	struct kunit *test = large->test;
	unsigned int i;
	u8 found = 0;

	for (i = 0; i < nr; i++) {
		pte_t pte = entry_read(test, addr + i * PAGE_SIZE);

		KUNIT_EXPECT_TRUE(test, pte_present(pte));
		if (pte_present(pte))
			KUNIT_EXPECT_PTR_EQ(test, pte_page(pte),
					    folio_page(large->folio, first + i));
		KUNIT_EXPECT_EQ(test, 0, copy_from_user(&found, (void __user *)
						       (addr + i * PAGE_SIZE), 1));
		KUNIT_EXPECT_EQ(test, found, pattern(first + i));
	}
}

static void expect_large(struct large *large, int mapcount)
{
	struct kunit *test = large->test;
	struct folio *folio = large->folio;

	KUNIT_EXPECT_PTR_EQ(test, filemap_get_entry(large->file->f_mapping, large->index),
			    folio);
	folio_put(folio);
	KUNIT_EXPECT_EQ(test, folio_mapcount(folio), mapcount);
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), folio_expected_ref_count(folio));
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio),
			folio_nr_pages(folio) + mapcount);
	KUNIT_EXPECT_FALSE(test, folio_test_locked(folio));
	KUNIT_EXPECT_TRUE(test, folio_test_lru(folio));
}

/* The pages of a large folio that a mapping has. */
struct part {
	const char *name;
	unsigned int first;
	unsigned int nr;
	unsigned int before_table;	/* how many of them lie in another page table */
};

static const struct part parts[] = {
	{ "all", 0, NR_PAGES },
	{ "first", 0, 1 },
	{ "last", NR_PAGES - 1, 1 },
	{ "middle", 1, 2 },
	{ "two-tables", 0, NR_PAGES, 1 },
	{ "two-tables-last", 1, 3, 2 },
};

PARAM_ARRAY(parts, "%s", p->name);

/* Each page of a large folio is found at its place, in each mapping. */
static void part_of_large(struct kunit *test)
{
	const struct part *part = test->param_value;
	struct large *large = large_make(test);
	unsigned long all = large_map(large, 0, 0, NR_PAGES, 0);
	unsigned long addr = 0, flags = 0;
	struct move m = { .test = test };
	struct folio *folio = large->folio;

	if (part->before_table) {
		addr = ALIGN_DOWN(all, PMD_SIZE) - PMD_SIZE - part->before_table * PAGE_SIZE;
		flags = MAP_FIXED;
	}
	addr = large_map(large, addr, part->first, part->nr, flags);
	expect_large(large, NR_PAGES + part->nr);

	/* Undone, all is as before. */
	test_folio_get(test, folio);
	move(&m, folio, MIGRATE_SYNC);
	KUNIT_EXPECT_EQ(test, m.rc, 1);
	test_folio_put(test, folio);
	expect_maps(large, all, 0, NR_PAGES);
	expect_maps(large, addr, part->first, part->nr);
	expect_large(large, NR_PAGES + part->nr);

	large->folio = expect_moves(test, folio);
	KUNIT_EXPECT_PTR_NE(test, large->folio, folio);
	expect_maps(large, all, 0, NR_PAGES);
	expect_maps(large, addr, part->first, part->nr);
	expect_large(large, NR_PAGES + part->nr);
	vm_munmap(addr, part->nr * PAGE_SIZE);
	expect_large(large, NR_PAGES);
}

/* A mapping that is touched in part has holes, which the walk steps over. */
static void holes_in_large(struct kunit *test)
{
	struct large *large = large_make(test);
	unsigned long addr = large_map(large, 0, 0, NR_PAGES, 0);
	const unsigned long hole = addr + PAGE_SIZE;

	KUNIT_ASSERT_EQ(test, 0, do_madvise(current->mm, hole, PAGE_SIZE, MADV_DONTNEED));
	expect_large(large, NR_PAGES - 1);
	large->folio = expect_moves(test, large->folio);
	KUNIT_EXPECT_TRUE(test, pte_none(entry_read(test, hole)));
	expect_large(large, NR_PAGES - 1);
	expect_maps(large, addr, 0, 1);
	expect_maps(large, addr + 2 * PAGE_SIZE, 2, 2);

	KUNIT_ASSERT_EQ(test, 0, do_madvise(current->mm, addr, NR_PAGES * PAGE_SIZE,
					    MADV_DONTNEED));
	expect_large(large, 0);
	large->folio = expect_moves(test, large->folio);
	expect_large(large, 0);
}

/* A page table that does not exist is stepped over, to the first page in the next. */
static void no_table_in_large(struct kunit *test)
{
	struct large *large = large_make(test);
	const unsigned long all = large_map(large, 0, 0, NR_PAGES, 0);
	const unsigned long table = ALIGN_DOWN(all, PMD_SIZE) - PMD_SIZE;
	unsigned long addr = table - PAGE_SIZE;
	u8 found;

	KUNIT_ASSERT_EQ(test, addr, vm_mmap(large->file, addr, NR_PAGES * PAGE_SIZE,
					    PROT_READ, MAP_SHARED | MAP_FIXED, 0));
	KUNIT_ASSERT_EQ(test, 0, copy_from_user(&found, (void __user *)table, 1));
	expect_large(large, NR_PAGES + 1);
	large->folio = expect_moves(test, large->folio);
	expect_maps(large, all, 0, NR_PAGES);
	expect_maps(large, table, 1, 1);
	expect_large(large, NR_PAGES + 1);
	vm_munmap(addr, NR_PAGES * PAGE_SIZE);
}

/* What of a large folio is pinned for long. */
static const struct part pins[] = {
	{ "all", 0, NR_PAGES },
	{ "first", 0, 1 },
	{ "last", NR_PAGES - 1, 1 },
	{ "middle", 1, 2 },
};

PARAM_ARRAY(pins, "%s", p->name);

/* The whole folio leaves ZONE_MOVABLE, and each page counts as often as it is pinned. */
static void large_pinned(struct kunit *test)
{
	const struct part *part = test->param_value;
	struct large *large = large_make(test);
	unsigned long addr = large_map(large, 0, 0, NR_PAGES, 0);
	const long before = folio_fixture_pins();
	struct page *pages[NR_PAGES] = {};
	struct folio *folio;
	unsigned int i;
	long rc;

	KUNIT_ASSERT_TRUE(test, folio_is_zone_movable(large->folio));
	rc = pin_user_pages_fast(addr + part->first * PAGE_SIZE, part->nr,
				 FOLL_WRITE | FOLL_LONGTERM, pages);
	KUNIT_ASSERT_EQ(test, rc, part->nr);
	folio = page_folio(pages[0]);
	KUNIT_EXPECT_PTR_NE(test, folio, large->folio);
	KUNIT_EXPECT_FALSE(test, folio_is_zone_movable(folio));
	KUNIT_EXPECT_EQ(test, folio_order(folio), ORDER);
	large->folio = folio;
	for (i = 0; i < part->nr; i++)
		KUNIT_EXPECT_PTR_EQ(test, pages[i], folio_page(folio, part->first + i));
	lru_add_drain_all();
	KUNIT_EXPECT_EQ(test, atomic_read(&folio->_pincount), part->nr);
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio),
			folio_expected_ref_count(folio) + part->nr);
	KUNIT_EXPECT_EQ(test, folio_fixture_pins() - before, part->nr);
	expect_maps(large, addr, 0, NR_PAGES);

	unpin_user_pages(pages, rc);
	KUNIT_EXPECT_EQ(test, atomic_read(&folio->_pincount), 0);
	KUNIT_EXPECT_EQ(test, folio_fixture_pins(), before);
	expect_large(large, NR_PAGES);
}

/* The neighbour of a page in memory, which another mapping has in its place. */
static const int neighbours[] = { -1, 1 };

PARAM_ARRAY(neighbours, "%s", *p < 0 ? "before" : "behind");

/*
 * A private copy is not the page, even if it is its neighbour in memory.  The walk
 * comes to the mapping first that begins first.
 */
static void neighbour_is_no_page(struct kunit *test)
{
	const int *side = test->param_value;
	struct page *pages = test_pages_alloc(test, GFP_KERNEL, 2);
	struct page *page = pages + 1, *copy = page + *side;
	unsigned long addr, copy_addr;
	struct large *large;

	test_folio_give(test, page_folio(page));
	large = large_of(test, page_folio(page), 1);
	addr = large_map(large, 0, 1, 1, 0);
	large->other = copy;
	copy_addr = large_map(large, 0, 0, 2, 0) + PAGE_SIZE;

	large->folio = expect_moves(test, large->folio);
	expect_maps(large, addr, 0, 1);
	expect_large(large, 1);
	KUNIT_EXPECT_PTR_EQ(test, pte_page(entry_read(test, copy_addr)), copy);
	KUNIT_EXPECT_EQ(test, folio_mapcount(page_folio(copy)), 2);
}

/* Of a large folio in a memfd the whole is pinned, once, and the offset lies in it. */
static void large_of_memfd(struct kunit *test)
{
	const struct part *part = test->param_value;
	const loff_t start = part->first * PAGE_SIZE + 100;
	const loff_t end = (part->first + part->nr) * PAGE_SIZE - 1;
	struct user_pages *up = user_pages_map(test, &user_memory_memfd, 2 * NR_PAGES);
	struct folio *folio = folio_alloc(GFP_HIGHUSER_MOVABLE, ORDER);
	pgoff_t offset = 0;

	KUNIT_ASSERT_NOT_NULL(test, folio);
	test_folio_take(test, folio);
	cache_folio(test, up->file, folio, NR_PAGES);

	up->rc = memfd_pin_folios(up->file, NR_PAGES * PAGE_SIZE + start,
				  NR_PAGES * PAGE_SIZE + end, up->folios, 2 * NR_PAGES,
				  &offset);
	KUNIT_ASSERT_EQ(test, up->rc, 1);
	up->way = &pin_way_folios;
	KUNIT_EXPECT_EQ(test, offset, start);
	KUNIT_EXPECT_PTR_NE(test, up->folios[0], folio);
	folio = up->folios[0];
	KUNIT_EXPECT_FALSE(test, folio_is_zone_movable(folio));
	KUNIT_EXPECT_EQ(test, folio_order(folio), ORDER);
	KUNIT_EXPECT_EQ(test, atomic_read(&folio->_pincount), 1);
	expect_pins(up, 1);
	user_pages_unpin(up);
	KUNIT_EXPECT_EQ(test, atomic_read(&folio->_pincount), 0);

	/* From the hole before it, whose pages are made. */
	up->rc = memfd_pin_folios(up->file, 2 * PAGE_SIZE, 2 * NR_PAGES * PAGE_SIZE - 1,
				  up->folios, 2 * NR_PAGES, &offset);
	KUNIT_ASSERT_EQ(test, up->rc, NR_PAGES - 2 + 1);
	up->way = &pin_way_folios;
	KUNIT_EXPECT_EQ(test, offset, 0);
	KUNIT_EXPECT_PTR_EQ(test, up->folios[NR_PAGES - 2], folio);
	expect_pins(up, NR_PAGES - 2 + 1);
	user_pages_unpin(up);
	expect_pins(up, 0);
}

/* What somebody else has unmapped stays so, if he has the lock. */
static void unmapped_by_another(struct kunit *test)
{
	struct user_pages *up = user_pages_make(test, &user_memory_anon, 1);
	struct folio *folio = user_pages_folio(up, 0);
	struct move m = { .test = test };

	test_folio_get(test, folio);
	test_folio_lock(test, folio);
	try_to_migrate(folio, 0);
	KUNIT_EXPECT_FALSE(test, folio_mapped(folio));
	move(&m, folio, MIGRATE_ASYNC);
	KUNIT_EXPECT_EQ(test, m.rc, 1);
	KUNIT_EXPECT_FALSE(test, folio_mapped(folio));
	KUNIT_EXPECT_FALSE(test, pte_present(entry_read(test, up->addr)));
	KUNIT_EXPECT_TRUE(test, folio_test_locked(folio));

	remove_migration_ptes(folio, folio, 0);
	test_folio_unlock(test, folio);
	test_folio_put(test, folio);
	KUNIT_EXPECT_PTR_EQ(test, user_pages_folio(up, 0), folio);
	expect_not_pinned(up);
}

/* A page of an unmapped folio that is mapped again, and what may be in its place. */
struct zeros_param {
	const char *name;
	bool filled;
	bool zero_page;
	unsigned int watched;	/* by which bits of its entry */
	vm_flags_t flags;	/* of the mapping, meanwhile */
};

static const struct zeros_param zeros[] = {
	{ "zeros", false, true },
	{ "filled", true, false },
	{ "mlocked", false, false, 0, VM_LOCKED },
#ifdef CONFIG_MEM_SOFT_DIRTY
	{ "soft-dirty", false, true, ENTRY_SOFT_DIRTY },
	{ "userfaultfd", false, true, ENTRY_UFFD },
#endif
#ifdef CONFIG_USERFAULTFD_RWP
	{ "userfaultfd-use", false, true, ENTRY_UFFD, VM_UFFD_RWP },
	{ "no-userfaultfd-use", false, true, 0, VM_UFFD_RWP },
#endif
};

PARAM_ARRAY(zeros, "%s", p->name);

/* What is all zeros may become the zero page, as when a huge page is split. */
static void zero_page_instead(struct kunit *test)
{
	const struct zeros_param *p = test->param_value;
	struct user_pages *up = user_pages_make(test, &user_memory_anon, 1);
	struct folio *folio = user_pages_folio(up, 0);
	const long rss = get_mm_counter_sum(current->mm, MM_ANONPAGES);

	if (!p->filled) {
		up->filled = 0;
		user_pages_write(up, 0, 0);
	}
	if (p->zero_page)
		entry_set(test, up->addr, p->watched);
	test_folio_get(test, folio);
	test_folio_lock(test, folio);
	vma_flags_switch(test, up->addr, p->flags, true);
	try_to_migrate(folio, 0);
	KUNIT_EXPECT_FALSE(test, folio_mapped(folio));
	remove_migration_ptes(folio, folio, TTU_USE_SHARED_ZEROPAGE);
	vma_flags_switch(test, up->addr, p->flags, false);

	KUNIT_EXPECT_EQ(test, folio_mapcount(folio), !p->zero_page);
	KUNIT_EXPECT_EQ(test, is_zero_pfn(pte_pfn(entry_read(test, up->addr))), p->zero_page);
	KUNIT_EXPECT_EQ(test, pte_write(entry_read(test, up->addr)), !p->zero_page);
	if (p->zero_page)
		KUNIT_EXPECT_EQ(test, entry_state(test, up->addr) &
				(ENTRY_SOFT_DIRTY | ENTRY_UFFD | ENTRY_NONE),
				p->watched | (p->flags && p->watched ? ENTRY_NONE : 0));
	KUNIT_EXPECT_EQ(test, get_mm_counter_sum(current->mm, MM_ANONPAGES),
			rss - p->zero_page);
	test_folio_unlock(test, folio);
	test_folio_put(test, folio);
	expect_not_pinned(up);
	user_pages_write(up, 0, 1);
	KUNIT_EXPECT_EQ(test, get_mm_counter_sum(current->mm, MM_ANONPAGES), rss);
}

/* A walk ends with its mapping: the next one has rights of its own. */
static void adjacent_mappings(struct kunit *test)
{
	struct large *large = large_make(test);
	const unsigned long addr = large_map(large, 0, 0, NR_PAGES, 0);
	const unsigned int half = NR_PAGES / 2;
	const unsigned long behind = addr + half * PAGE_SIZE;
	unsigned int i;
	u8 found;

	KUNIT_ASSERT_EQ(test, behind, vm_mmap(large->file, behind, half * PAGE_SIZE,
					      PROT_READ, MAP_SHARED | MAP_FIXED,
					      half * PAGE_SIZE));
	for (i = 0; i < half; i++)
		KUNIT_ASSERT_EQ(test, 0, copy_from_user(&found, (void __user *)
						       (behind + i * PAGE_SIZE), 1));
	expect_large(large, NR_PAGES);
	large->folio = expect_moves(test, large->folio);
	expect_large(large, NR_PAGES);
	expect_maps(large, addr, 0, NR_PAGES);
	for (i = 0; i < NR_PAGES; i++)
		KUNIT_EXPECT_EQ(test, pte_write(entry_read(test, addr + i * PAGE_SIZE)),
				i < half);
	vm_munmap(behind, half * PAGE_SIZE);
	expect_large(large, half);
}

/* The stack that exec() prepares moves itself: its pages stay where they are. */
static void temporary_stack(struct kunit *test)
{
	const vm_flags_t flags = VM_GROWSDOWN | VM_STACK_INCOMPLETE_SETUP;
	struct user_pages *up = user_pages_make(test, &user_memory_anon, 1);
	struct folio *folio = user_pages_folio(up, 0);
	struct move m = { .test = test };

	vma_flags_switch(test, up->addr, flags, true);
	move(&m, folio, MIGRATE_SYNC);
	vma_flags_switch(test, up->addr, flags, false);
	KUNIT_EXPECT_EQ(test, m.rc, 1);
	KUNIT_EXPECT_PTR_EQ(test, user_pages_folio(up, 0), folio);
	expect_not_pinned(up);
	expect_moves(test, folio);
	expect_not_pinned(up);
}

/**
 * struct rmap_writer - changes the mappings of a folio, for a while
 * @anon_vma: the lock that it holds meanwhile, or
 * @mapping: this one
 * @has: complete when it has the lock
 */
struct rmap_writer {
	struct anon_vma *anon_vma;
	struct address_space *mapping;
	struct completion has;
};

#define WRITER_MS	50

static int rmap_writer_fn(void *data)
{
	struct rmap_writer *w = data;

	if (w->anon_vma)
		anon_vma_lock_write(w->anon_vma);
	else
		i_mmap_lock_write(w->mapping);
	complete_all(&w->has);
	schedule_timeout_uninterruptible(msecs_to_jiffies(WRITER_MS));
	if (w->anon_vma)
		anon_vma_unlock_write(w->anon_vma);
	else
		i_mmap_unlock_write(w->mapping);
	return 0;
}

static const struct user_memory *const writers[] = {
	&user_memory_anon, &user_memory_memfd,
};

PARAM_ARRAY(writers, "%s", (*p)->name);

/* Migration waits for who changes the mappings, and owes nothing afterwards. */
static void mappings_change(struct kunit *test)
{
	const struct user_memory *const *memory = test->param_value;
	struct user_pages *up = user_pages_make(test, *memory, 1);
	struct rmap_writer *w = test_zalloc(test, sizeof(*w));
	struct folio *folio = user_pages_folio(up, 0);
	int refs = 0;

	init_completion(&w->has);
	if (folio_test_anon(folio)) {
		w->anon_vma = folio_anon_vma(folio);
		refs = atomic_read(&w->anon_vma->refcount);
	} else {
		w->mapping = folio->mapping;
	}
	test_thread(test, rmap_writer_fn, w, "rmap_writer");
	wait_for_completion(&w->has);

	folio = expect_moves(test, folio);
	KUNIT_EXPECT_PTR_EQ(test, user_pages_folio(up, 0), folio);
	if (w->anon_vma) {
		KUNIT_EXPECT_FALSE(test, rwsem_is_locked(&w->anon_vma->root->rwsem));
		KUNIT_EXPECT_EQ(test, atomic_read(&w->anon_vma->refcount), refs);
	} else {
		KUNIT_EXPECT_FALSE(test, rwsem_is_locked(&w->mapping->i_mmap_rwsem));
	}
	expect_not_pinned(up);
}

static const struct user_memory locked_memfd = {
	.name = "mlocked",
	.memfd = true,
	.flags = MAP_SHARED | MAP_LOCKED,
};

/* A page that two mappings lock is still locked when one of them goes. */
static void mlocked_twice(struct kunit *test)
{
	struct user_pages *up = user_pages_make(test, &locked_memfd, 1);
	struct folio *folio = user_pages_folio(up, 0);
	unsigned long second;

	second = vm_mmap(up->file, 0, PAGE_SIZE, PROT_READ, MAP_SHARED | MAP_LOCKED, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(second));
	lru_add_drain_all();
	KUNIT_ASSERT_TRUE(test, folio_test_unevictable(folio));
	KUNIT_ASSERT_EQ(test, folio->mlock_count, 2);

	folio = expect_moves(test, folio);
	KUNIT_EXPECT_TRUE(test, folio_test_mlocked(folio));
	KUNIT_EXPECT_TRUE(test, folio_test_unevictable(folio));
	KUNIT_EXPECT_EQ(test, folio->mlock_count, 2);
	expect_not_pinned(up);
	KUNIT_ASSERT_EQ(test, 0, vm_munmap(second, PAGE_SIZE));
	lru_add_drain_all();
	KUNIT_EXPECT_TRUE(test, folio_test_mlocked(folio));
	KUNIT_ASSERT_EQ(test, 0, vm_munmap(up->addr, PAGE_SIZE));
	lru_add_drain_all();
	KUNIT_EXPECT_FALSE(test, folio_test_mlocked(folio));
	KUNIT_EXPECT_FALSE(test, folio_test_unevictable(folio));
}

static struct kunit_case migrate_mapped_cases[] = {
	KUNIT_CASE_PARAM_ARRAY(entry_stays, moves),
#ifdef CONFIG_TRANSPARENT_HUGEPAGE
	KUNIT_CASE_PARAM_ARRAY(huge_entry_stays, outcomes),
#endif
#ifdef CONFIG_USERFAULTFD_RWP
	KUNIT_CASE_PARAM_ARRAY(watched_for_use, watched),
#endif
	KUNIT_CASE(common_stays_common),
	KUNIT_CASE(pinned_stays),
	KUNIT_CASE_PARAM_ARRAY(untouched_mapping, distances),
	KUNIT_CASE_PARAM_ARRAY(part_of_large, parts),
	KUNIT_CASE(holes_in_large),
	KUNIT_CASE(no_table_in_large),
	KUNIT_CASE_PARAM_ARRAY(large_pinned, pins),
	KUNIT_CASE_PARAM_ARRAY(large_of_memfd, pins),
	KUNIT_CASE_PARAM_ARRAY(neighbour_is_no_page, neighbours),
	KUNIT_CASE(unmapped_by_another),
	KUNIT_CASE_PARAM_ARRAY(zero_page_instead, zeros),
	KUNIT_CASE(adjacent_mappings),
	KUNIT_CASE(temporary_stack),
	KUNIT_CASE_PARAM_ARRAY(mappings_change, writers),
	KUNIT_CASE(mlocked_twice),
	{}
};

static struct kunit_suite migrate_mapped_suite = {
	.name = "migrate_mapped",
	.init = user_pages_init,
	.test_cases = migrate_mapped_cases,
};

kunit_test_suite(migrate_mapped_suite);

MODULE_DESCRIPTION("KUnit tests for page table entries in page migration");
MODULE_LICENSE("GPL");
