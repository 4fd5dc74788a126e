// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests for look-ups of a file's folios without a lock: what is found may belong
 * elsewhere by the time that it has a reference, or is locked.
 *
 * A breakpoint on the folio's own words makes the change there, between two
 * instructions, as another CPU could.
 */

#include <linux/highmem.h>
#include <linux/memfd.h>
#include <linux/mman.h>
#include <linux/pagemap.h>
#include <linux/rmap.h>
#include <linux/shmem_fs.h>
#include <linux/swap.h>
#include <linux/xarray.h>

#include "../internal.h"
#include "folio_fixture.h"
#include "probe.h"
#include "user_pages.h"

#define NR_PAGES	4

/* The page that is looked up, and one behind it. */
#define THE_PAGE	1
#define NEXT_PAGE	2

/**
 * struct lookup - a look-up of a page in the page cache
 * @name: short name without spaces, for parameter descriptions
 * @expect: looks @THE_PAGE up, and checks that it has found it
 */
struct lookup {
	const char *name;
	void (*expect)(struct user_pages *up, struct folio **folios);
};

/* A file that is not mapped into page tables, whose folios may stay where they are. */
static struct user_pages *make_file(struct kunit *test, const struct user_memory *memory,
				    unsigned int nr, struct folio **folios)
{
	struct user_pages *up = user_pages_map(test, memory, nr);
	unsigned int i;

	mapping_set_gfp_mask(up->file->f_mapping, GFP_USER);
	user_pages_fill(up, nr);
	lru_add_drain_all();
	for (i = 0; folios && i < nr; i++)
		folios[i] = user_pages_folio(up, i);
	KUNIT_ASSERT_EQ(test, 0, do_madvise(current->mm, up->addr, nr * PAGE_SIZE,
					    MADV_DONTNEED));
	return up;
}

/* Where the page cache has what it knows of a page, which is not the only one of its file. */
static void __rcu **slot_of(struct user_pages *up, pgoff_t index, struct xa_node **node)
{
	XA_STATE(xas, &up->file->f_mapping->i_pages, index);

	rcu_read_lock();
	xas_load(&xas);
	rcu_read_unlock();
	KUNIT_ASSERT_NOT_NULL(up->test, xas.xa_node);
	if (node)
		*node = xas.xa_node;
	return &xas.xa_node->slots[xas.xa_offset];
}

static void *slot_read(void __rcu **slot)
{
	return rcu_dereference_protected(*slot, true);
}

static u8 file_has(struct user_pages *up, pgoff_t index)
{
	struct folio *folio = filemap_get_folio(up->file->f_mapping, index);
	const u8 *page;
	u8 found;

	KUNIT_ASSERT_FALSE(up->test, IS_ERR(folio));
	page = kmap_local_page(folio_file_page(folio, index));
	found = *page;
	kunmap_local(page);
	folio_put(folio);
	return found;
}

static void memfd_pins_it(struct user_pages *up, struct folio **folios)
{
	struct folio *pinned[NR_PAGES];
	pgoff_t offset;
	unsigned int i;

	KUNIT_ASSERT_EQ(up->test, NR_PAGES, memfd_pin_folios(up->file, 0, NR_PAGES * PAGE_SIZE - 1,
							     pinned, NR_PAGES, &offset));
	for (i = 0; i < NR_PAGES; i++)
		KUNIT_EXPECT_PTR_EQ_MSG(up->test, pinned[i], folios[i], "page %u", i);
	unpin_folios(pinned, NR_PAGES);
}

static void fault_maps_it(struct user_pages *up, struct folio **folios)
{
	struct page *page;

	KUNIT_ASSERT_EQ(up->test, 1, get_user_pages_unlocked(up->addr + THE_PAGE * PAGE_SIZE, 1,
							     &page, FOLL_WRITE));
	KUNIT_EXPECT_PTR_EQ(up->test, page, folio_page(folios[THE_PAGE], 0));
	put_page(page);
}

/* A fault of another page, which may map those around it, too, where that is simple. */
static void fault_leaves_it(struct user_pages *up, struct folio **folios)
{
	struct page *page;

	KUNIT_ASSERT_EQ(up->test, 1, get_user_pages_unlocked(up->addr, 1, &page, 0));
	put_page(page);
	KUNIT_ASSERT_EQ(up->test, 1, get_user_pages_fast_only(up->addr + NEXT_PAGE * PAGE_SIZE, 1,
							      0, &page));
	KUNIT_EXPECT_PTR_EQ(up->test, page_folio(page), folios[NEXT_PAGE]);
	put_page(page);
	KUNIT_EXPECT_EQ(up->test, 0, get_user_pages_fast_only(up->addr + THE_PAGE * PAGE_SIZE, 1,
							      0, &page));
}

static void hole_takes_it(struct user_pages *up, struct folio **folios)
{
	struct address_space *mapping = up->file->f_mapping;
	const loff_t start = THE_PAGE * PAGE_SIZE;
	unsigned int i;

	shmem_truncate_range(mapping->host, start, start + PAGE_SIZE - 1);
	for (i = 0; i < NR_PAGES; i++)
		KUNIT_EXPECT_PTR_EQ_MSG(up->test, xa_load(&mapping->i_pages, i),
					i == THE_PAGE ? NULL : folios[i], "page %u", i);
}

static const struct lookup lookups[] = {
	{ "memfd", memfd_pins_it },
	{ "fault", fault_maps_it },
	{ "fault-around", fault_leaves_it },
	{ "hole", hole_takes_it },
};

PARAM_ARRAY(lookups, "%s", p->name);

/* A pin of a memfd by itself locks nothing. */
static const struct lookup locking_lookups[] = {
	{ "fault", fault_maps_it },
	{ "fault-around", fault_leaves_it },
	{ "hole", hole_takes_it },
};

PARAM_ARRAY(locking_lookups, "%s", p->name);

/**
 * struct stale_slot - a look-up finds a folio that has just ceased to be there
 * @watch: what the look-up writes to first
 * @slot: where it looks
 * @now: what is there from then on
 * @truncated: the folio that it has found, if no file has it any more
 */
struct stale_slot {
	struct test_watch watch;
	void __rcu **slot;
	struct folio *now;
	struct folio *truncated;
};

static void slot_changes(struct test_watch *watch)
{
	struct stale_slot *stale = container_of(watch, struct stale_slot, watch);

	if (watch->writes > 1)
		return;
	RCU_INIT_POINTER(*stale->slot, stale->now);
	if (stale->truncated)
		stale->truncated->mapping = NULL;
}

static struct stale_slot *stale_slot(struct user_pages *up, struct folio *now)
{
	struct stale_slot *stale = test_zalloc(up->test, sizeof(*stale));

	stale->slot = slot_of(up, THE_PAGE, NULL);
	stale->now = now;
	return stale;
}

/* It has been freed, and has become another page of the same file, before it got a reference. */
static void reused(struct kunit *test)
{
	const struct lookup *lookup = test->param_value;
	struct folio *folios[NR_PAGES], *next;
	struct user_pages *up = make_file(test, &user_memory_memfd, NR_PAGES, folios);
	struct stale_slot *stale = stale_slot(up, folios[THE_PAGE]);
	int refs;

	next = folios[NEXT_PAGE];
	refs = folio_ref_count(next);
	RCU_INIT_POINTER(*stale->slot, next);
	test_watch(test, &stale->watch, &next->_refcount, sizeof(int), slot_changes);
	lookup->expect(up, folios);
	test_watch_end(test, &stale->watch);
	KUNIT_EXPECT_GE(test, stale->watch.writes, 2);

	KUNIT_ASSERT_EQ(test, 0, do_madvise(current->mm, up->addr, NR_PAGES * PAGE_SIZE,
					    MADV_DONTNEED));
	lru_add_drain_all();
	KUNIT_EXPECT_EQ(test, folio_ref_count(next), refs);
	KUNIT_EXPECT_EQ(test, file_has(up, NEXT_PAGE), user_pages_pattern(up, NEXT_PAGE));
}

/* It has been truncated before it was locked. */
static void truncated(struct kunit *test)
{
	const struct lookup *lookup = test->param_value;
	struct folio *folios[NR_PAGES], *gone = test_folio_alloc(test, 0);
	struct user_pages *up = make_file(test, &user_memory_memfd, NR_PAGES, folios);
	struct stale_slot *stale = stale_slot(up, folios[THE_PAGE]);

	stale->truncated = gone;
	gone->index = THE_PAGE;
	gone->mapping = up->file->f_mapping;
	folio_mark_uptodate(gone);
	__folio_set_swapbacked(gone);
	RCU_INIT_POINTER(*stale->slot, gone);
	test_watch(test, &stale->watch, &gone->flags.f, sizeof(long), slot_changes);
	lookup->expect(up, folios);
	test_watch_end(test, &stale->watch);
	KUNIT_EXPECT_GE(test, stale->watch.writes, 2);

	KUNIT_EXPECT_FALSE(test, folio_test_locked(gone));
	KUNIT_EXPECT_FALSE(test, folio_mapped(gone));
	KUNIT_EXPECT_EQ(test, folio_ref_count(gone), 1);
}

/**
 * struct growing_folio - a folio that has others join it once it has another reference
 * @watch: its references
 * @slots: what the file has of all of them
 * @apart: that as it was, and is again when the look-up has come to its end
 * @offset: of the first, in its node
 */
struct growing_folio {
	struct test_watch watch;
	void __rcu **slots;
	void *apart[NR_PAGES];
	unsigned int offset;
};

static void grow(struct test_watch *watch)
{
	struct growing_folio *growing = container_of(watch, struct growing_folio, watch);
	unsigned int i;

	for (i = 1; i < NR_PAGES; i++)
		RCU_INIT_POINTER(growing->slots[i], watch->writes == 1 ?
				 xa_mk_sibling(growing->offset) : growing->apart[i]);
}

/* What lies behind the first page is no folio any more, but a part of one. */
static void grown(struct kunit *test)
{
	struct growing_folio *growing = test_zalloc(test, sizeof(*growing));
	struct folio *folios[NR_PAGES];
	struct user_pages *up = make_file(test, &user_memory_memfd, NR_PAGES, folios);
	struct xa_node *node;
	unsigned int i;

	growing->slots = slot_of(up, 0, &node);
	growing->offset = growing->slots - node->slots;
	for (i = 0; i < NR_PAGES; i++) {
		growing->apart[i] = slot_read(&growing->slots[i]);
		KUNIT_ASSERT_PTR_EQ(test, growing->apart[i], (void *)folios[i]);
	}
	test_watch(test, &growing->watch, &folios[0]->_refcount, sizeof(int), grow);
	memfd_pins_it(up, folios);
	test_watch_end(test, &growing->watch);
	KUNIT_EXPECT_GE(test, growing->watch.writes, 2);
}

/**
 * struct unmapped_folio - a folio that loses its last mapping behind the first look at it
 * @watch: what its anon_vma is taken by
 * @folio: the folio
 */
struct unmapped_folio {
	struct test_watch watch;
	struct folio *folio;
};

/* Its anon_vma may be another one's from now on. */
static void unmap(struct test_watch *watch)
{
	struct unmapped_folio *unmapped = container_of(watch, struct unmapped_folio, watch);

	if (watch->writes == 1)
		atomic_set(&unmapped->folio->_mapcount, -1);
}

static const bool locks[] = { false, true };

PARAM_ARRAY(locks, "%s", *p ? "lock" : "reference");

/* What has been taken of an anon_vma is given back. */
static void unmapped(struct kunit *test)
{
	const bool *by_lock = test->param_value;
	struct unmapped_folio *unmapped = test_zalloc(test, sizeof(*unmapped));
	struct user_pages *up = user_pages_make(test, &user_memory_anon, 1);
	struct folio *folio = user_pages_folio(up, 0);
	struct anon_vma *anon_vma, *found;
	int refs;

	/* The mm goes first, and must not free it locked. */
	test_folio_get(test, folio);
	test_folio_lock(test, folio);
	anon_vma = folio_anon_vma(folio);
	KUNIT_ASSERT_NOT_NULL(test, anon_vma);
	refs = atomic_read(&anon_vma->refcount);
	unmapped->folio = folio;
	if (*by_lock) {
		test_watch(test, &unmapped->watch, &anon_vma->root->rwsem.count, sizeof(long),
			   unmap);
		found = folio_lock_anon_vma_read(folio, NULL);
	} else {
		test_watch(test, &unmapped->watch, &anon_vma->refcount, sizeof(int), unmap);
		found = folio_get_anon_vma(folio);
	}
	test_watch_end(test, &unmapped->watch);
	atomic_set(&folio->_mapcount, 0);
	KUNIT_EXPECT_NULL(test, found);
	KUNIT_EXPECT_EQ(test, unmapped->watch.writes, 2);
	KUNIT_EXPECT_EQ(test, atomic_read(&anon_vma->refcount), refs);
	KUNIT_EXPECT_FALSE(test, rwsem_is_locked(&anon_vma->root->rwsem));
}

#if defined(HAVE_TEST_PROBES) && defined(CONFIG_TRANSPARENT_HUGEPAGE)
#define NR_LARGE	2

/**
 * struct late_entry - a large folio is swapped out behind the first look at its file
 * @point: before the second look
 * @task: whose looks count
 * @slots: where the file has it
 * @entry: what they contain then
 * @nr: how many there are
 */
struct late_entry {
	struct kprobe point;
	struct task_struct *task;
	void __rcu **slots;
	void *entry[XA_CHUNK_SIZE];
	unsigned int nr;
};

static int entry_appears(struct kprobe *point, struct pt_regs *regs)
{
	struct late_entry *late = container_of(point, struct late_entry, point);
	unsigned int i;

	if (current != late->task)
		return 0;
	for (i = 0; i < late->nr; i++)
		RCU_INIT_POINTER(late->slots[i], late->entry[i]);
	late->task = NULL;
	return 0;
}

/* A hole does not take from a folio that is swapped out what lies outside. */
static void swapped_out(struct kunit *test)
{
	const struct user_memory *memory = &user_memory_memfd_large;
	const unsigned int nr = 1U << memory->order;
	struct late_entry *late = test_zalloc(test, sizeof(*late));
	struct address_space *mapping;
	struct user_pages *up;
	struct xa_node *node;
	unsigned int i;

	KUNIT_ASSERT_EQ(test, 0, test_swap_on(test));
	up = user_pages_make(test, memory, NR_LARGE * nr);
	mapping = up->file->f_mapping;
	KUNIT_ASSERT_EQ(test, 0, do_madvise(current->mm, up->addr, up->nr * PAGE_SIZE,
					    MADV_PAGEOUT));
	late->slots = slot_of(up, 0, &node);
	KUNIT_ASSERT_TRUE(test, xa_is_value(slot_read(late->slots)));
	KUNIT_ASSERT_EQ(test, xa_get_order(&mapping->i_pages, 0), memory->order);
	late->nr = nr >> node->shift;
	for (i = 0; i < late->nr; i++) {
		late->entry[i] = slot_read(&late->slots[i]);
		RCU_INIT_POINTER(late->slots[i], NULL);
	}
	late->task = current;
	KUNIT_ASSERT_EQ(test, 0, test_probe(test, &late->point, "find_get_entries",
					    entry_appears));
	shmem_truncate_range(mapping->host, nr / 2 * PAGE_SIZE, nr * PAGE_SIZE - 1);
	test_probe_end(test, &late->point);
	KUNIT_EXPECT_NULL(test, late->task);

	user_pages_pin(up, &pin_way_unlocked, 0);
	KUNIT_ASSERT_EQ(test, up->rc, up->nr);
	for (i = 0; i < nr / 2; i++)
		KUNIT_EXPECT_EQ_MSG(test, file_has(up, i), user_pages_pattern(up, i), "page %u", i);
	user_pages_unpin(up);
}
#endif

static struct kunit_case lookup_races_cases[] = {
	KUNIT_CASE_PARAM_ARRAY(reused, lookups),
	KUNIT_CASE_PARAM_ARRAY(truncated, locking_lookups),
	KUNIT_CASE(grown),
	KUNIT_CASE_PARAM_ARRAY(unmapped, locks),
#if defined(HAVE_TEST_PROBES) && defined(CONFIG_TRANSPARENT_HUGEPAGE)
	KUNIT_CASE(swapped_out),
#endif
	{}
};

static struct kunit_suite lookup_races_suite = {
	.name = "lookup_races",
	.init = user_pages_init,
	.test_cases = lookup_races_cases,
};

kunit_test_suite(lookup_races_suite);

MODULE_DESCRIPTION("KUnit tests for look-ups of folios that change meanwhile");
MODULE_LICENSE("GPL");
