// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests for what pins of user pages take, what they refuse, and what they
 * leave behind.  There are no extra references here, so nothing waits.
 */

/* First: linux/memfd.h needs its types and does not include it. */
#include <linux/mm.h>

#include <linux/anon_inodes.h>
#include <linux/highmem.h>
#include <linux/memfd.h>
#include <linux/mm_inline.h>
#include <linux/mman.h>
#include <linux/sched/mm.h>
#include <linux/sched/task.h>
#include <linux/shmem_fs.h>
#include <linux/uaccess.h>
#include <linux/vmstat.h>

#include "../internal.h"
#include "folio_fixture.h"
#include "page_entry.h"
#include "user_pages.h"

/* Pages to pin, and the one that a case looks at. */
#define NR_PAGES	4
#define THE_PAGE	1

/* No page contains this after user_pages_fill(). */
#define NEWS		0x5a

/* How to pin what. */
struct pin_param {
	const struct user_memory *memory;
	const struct pin_way *way;
	bool read_only;
};

static const struct pin_param anon_ways[] = {
	{ &user_memory_anon, &pin_way_locked },
	{ &user_memory_anon, &pin_way_unlocked },
	{ &user_memory_anon, &pin_way_try_fast },
	{ &user_memory_anon, &pin_way_remote },
};

static const struct pin_param fork_ways[] = {
	{ &user_memory_anon, &pin_way_locked },
	{ &user_memory_anon, &pin_way_unlocked },
	{ &user_memory_anon, &pin_way_try_fast },
	{ &user_memory_anon, &pin_way_remote },
	{ &user_memory_anon, &pin_way_locked, true },
	{ &user_memory_anon, &pin_way_unlocked, true },
	{ &user_memory_anon, &pin_way_try_fast, true },
	{ &user_memory_anon, &pin_way_remote, true },
};

static const struct pin_param remotes[] = {
	{ &user_memory_anon, &pin_way_remote },
	{ &user_memory_anon, &pin_way_remote, true },
};

static const struct pin_param memories[] = {
	{ &user_memory_anon, &pin_way_locked },
	{ &user_memory_shmem, &pin_way_try_fast },
	{ &user_memory_memfd, &pin_way_unlocked },
	{ &user_memory_memfd, &pin_way_remote_held },
	{ &user_memory_memfd, &pin_way_folios },
};

static const struct pin_param read_only_memories[] = {
	{ &user_memory_anon, &pin_way_locked, true },
	{ &user_memory_anon, &pin_way_try_fast, true },
	{ &user_memory_shmem, &pin_way_unlocked, true },
	{ &user_memory_memfd, &pin_way_remote, true },
	{ &user_memory_private, &pin_way_locked, true },
	{ &user_memory_private, &pin_way_unlocked, true },
	{ &user_memory_private, &pin_way_try_fast, true },
	{ &user_memory_private, &pin_way_remote, true },
};

#define PIN_DESC	"%s-%s%s", p->memory->name, p->way->name, p->read_only ? "-ro" : ""

PARAM_ARRAY(anon_ways, PIN_DESC);
PARAM_ARRAY(fork_ways, PIN_DESC);
PARAM_ARRAY(remotes, PIN_DESC);
PARAM_ARRAY(memories, PIN_DESC);
PARAM_ARRAY(read_only_memories, PIN_DESC);

/* Pins as the parameter says. */
static void pin(struct user_pages *up, const struct pin_param *p)
{
	if (p->read_only)
		user_pages_pin_read_only(up, p->way, FOLL_LONGTERM);
	else
		user_pages_pin(up, p->way, FOLL_LONGTERM);
}

/* What a device would find in a page, which must be pinned. */
static void expect_device_finds(struct user_pages *up, unsigned int i, u8 value)
{
	void *page;

	KUNIT_ASSERT_GT(up->test, up->rc, (long)i);
	page = kmap_local_page(up->pages[i]);
	KUNIT_EXPECT_NULL_MSG(up->test, memchr_inv(page, value, PAGE_SIZE),
			      "a device finds other data in page %u", i);
	kunmap_local(page);
}

/* What a user writes, a device finds, and what a device writes, a user. */
static void expect_shared_with_device(struct user_pages *up)
{
	struct kunit *test = up->test;
	u8 pattern = user_pages_pattern(up, THE_PAGE), found;
	void __user *addr = (void __user *)(up->addr + THE_PAGE * PAGE_SIZE);
	void *page;

	user_pages_write(up, THE_PAGE, NEWS);
	expect_device_finds(up, THE_PAGE, NEWS);

	page = kmap_local_page(up->pages[THE_PAGE]);
	memset(page, pattern, PAGE_SIZE);
	kunmap_local(page);
	KUNIT_EXPECT_EQ(test, 0, copy_from_user(&found, addr, 1));
	KUNIT_EXPECT_EQ(test, found, pattern);
}

/* A pinned anonymous page belongs to one mm alone. */
static void expect_exclusive(struct user_pages *up)
{
	unsigned int i;

	for (i = 0; i < up->rc; i++) {
		KUNIT_EXPECT_TRUE(up->test, PageAnon(up->pages[i]));
		KUNIT_EXPECT_TRUE(up->test, PageAnonExclusive(up->pages[i]));
	}
}

/* The child has the contents at the fork, in a page of its own. */
static void expect_fork_apart(struct kunit *test, struct user_fork *forked)
{
	expect_fork_reads(forked, user_pages_pattern(forked->up, THE_PAGE));
	KUNIT_EXPECT_NOT_NULL(test, forked->folio);
	KUNIT_EXPECT_PTR_NE(test, forked->folio,
			    page_folio(forked->up->pages[THE_PAGE]));
}

/*
 * A process that pins pages and then forks keeps them: the child gets copies at once,
 * for copy-on-write would give the copy to the first writer.
 */
static void fork_after_pin(struct kunit *test)
{
	const struct pin_param *p = test->param_value;
	struct user_pages *up = user_pages_make(test, p->memory, NR_PAGES);
	struct user_fork *forked;

	pin(up, p);
	forked = user_fork(up, THE_PAGE);

	expect_pinned(up);
	expect_exclusive(up);
	user_pages_write(up, THE_PAGE, NEWS);
	expect_device_finds(up, THE_PAGE, NEWS);
	expect_fork_apart(test, forked);
	expect_shared_with_device(up);
	expect_unpins(up);
}

/* A pin after a fork takes private copies, not the shared pages. */
static void fork_before_pin(struct kunit *test)
{
	const struct pin_param *p = test->param_value;
	struct user_pages *up = user_pages_make(test, p->memory, NR_PAGES);
	struct folio *common = user_pages_folio(up, THE_PAGE);
	struct user_fork *forked = user_fork(up, THE_PAGE);

	pin(up, p);

	expect_pinned(up);
	expect_exclusive(up);
	expect_shared_with_device(up);
	user_pages_write(up, THE_PAGE, NEWS);
	expect_fork_apart(test, forked);
	KUNIT_EXPECT_PTR_EQ(test, forked->folio, common);
	user_pages_fill(up, NR_PAGES);
	expect_unpins(up);
}

KUNIT_DEFINE_ACTION_WRAPPER(mmput_action, mmput, struct mm_struct *);

/* The pages of another process are pinned, and it is the one that has pinned pages. */
static void another_process(struct kunit *test)
{
	const struct pin_param *p = test->param_value;
	const unsigned int flags = FOLL_LONGTERM | (p->read_only ? 0 : FOLL_WRITE);
	struct user_pages *up = user_pages_make(test, p->memory, NR_PAGES);
	struct folio *common = user_pages_folio(up, THE_PAGE);
	struct user_fork *forked = user_fork(up, THE_PAGE);
	struct task_struct *task = get_pid_task(forked->task->pid, PIDTYPE_PID);
	struct mm_struct *mm;
	int locked = 1;

	KUNIT_ASSERT_NOT_NULL(test, task);
	mm = get_task_mm(task);
	put_task_struct(task);
	KUNIT_ASSERT_NOT_NULL(test, mm);
	test_cleanup(test, mmput_action, mm);

	mmap_read_lock(mm);
	up->rc = pin_user_pages_remote(mm, up->addr, NR_PAGES, flags, up->pages, &locked);
	if (locked)
		mmap_read_unlock(mm);
	KUNIT_ASSERT_EQ(test, up->rc, NR_PAGES);
	up->way = &pin_way_remote;
	expect_pins(up, NR_PAGES);
	expect_exclusive(up);
	KUNIT_EXPECT_TRUE(test, mm_flags_test(MMF_HAS_PINNED, mm));
	KUNIT_EXPECT_FALSE(test, mm_flags_test(MMF_HAS_PINNED, current->mm));
	KUNIT_EXPECT_PTR_EQ(test, user_pages_folio(up, THE_PAGE), common);

	expect_device_finds(up, THE_PAGE, user_pages_pattern(up, THE_PAGE));
	user_fork_look(forked);
	KUNIT_EXPECT_PTR_EQ(test, forked->folio, page_folio(up->pages[THE_PAGE]));
	expect_unpins(up);
	KUNIT_EXPECT_TRUE(test, mm_flags_test(MMF_HAS_PINNED, mm));
}

/* A pin for reading moves pages as well, and sees what is written afterwards. */
static void read_only(struct kunit *test)
{
	const struct pin_param *p = test->param_value;
	const bool unshares = p->memory == &user_memory_private;
	struct user_pages *up = user_pages_map(test, p->memory, NR_PAGES);

	user_pages_fill(up, NR_PAGES);
	pin(up, p);

	expect_pinned(up);
	if (unshares)
		expect_exclusive(up);
	expect_shared_with_device(up);
	expect_unpins(up);
}

/* A longterm pin of an untouched page must not take the zero page. */
static void read_only_untouched(struct kunit *test)
{
	const struct pin_param *p = test->param_value;
	struct user_pages *up = user_pages_map(test, p->memory, NR_PAGES);

	user_pages_pin_read_only(up, p->way, FOLL_LONGTERM);

	expect_pinned(up);
	expect_exclusive(up);
	expect_shared_with_device(up);
	expect_unpins(up);
}

/* A short pin takes the zero page, without counting it. */
static void zero_page(struct kunit *test)
{
	const struct pin_param *p = test->param_value;
	struct user_pages *up = user_pages_map(test, p->memory, NR_PAGES);
	struct folio *zero = page_folio(ZERO_PAGE(up->addr));
	const int refs = folio_ref_count(zero);
	unsigned int i;

	user_pages_pin_read_only(up, p->way, 0);

	KUNIT_EXPECT_EQ(test, up->rc, NR_PAGES);
	for (i = 0; i < NR_PAGES && up->rc == NR_PAGES; i++)
		KUNIT_EXPECT_TRUE(test, is_zero_page(up->pages[i]));
	KUNIT_EXPECT_EQ(test, folio_ref_count(zero), refs);
	expect_pins(up, 0);
	user_pages_unpin(up);
	KUNIT_EXPECT_EQ(test, folio_ref_count(zero), refs);
	expect_pins(up, 0);
}

static unsigned long nr_migrated(struct kunit *test)
{
	unsigned long *events = test_zalloc(test, array_size(NR_VM_EVENT_ITEMS, sizeof(*events)));
	unsigned long nr;

	all_vm_events(events);
	nr = events[PGMIGRATE_SUCCESS];
	kunit_kfree(test, events);
	return nr;
}

/* Each page that has to leave ZONE_MOVABLE is migrated, once. */
static void migrates_what_is_there(struct kunit *test)
{
	const struct pin_param *p = test->param_value;
	struct user_pages *up = user_pages_make(test, p->memory, NR_PAGES);
	const unsigned long before = nr_migrated(test);

	pin(up, p);

	KUNIT_EXPECT_EQ(test, nr_migrated(test) - before, NR_PAGES);
	expect_pinned(up);
}

/* Pages that the pin touches first are allocated where they may stay. */
static void first_touch_is_outside(struct kunit *test)
{
	const struct pin_param *p = test->param_value;
	struct user_pages *up = user_pages_map(test, p->memory, NR_PAGES);
	const unsigned long before = nr_migrated(test);

	pin(up, p);

	KUNIT_EXPECT_EQ(test, nr_migrated(test), before);
	expect_pinned(up);
}

/* A dirty page stays dirty when it moves. */
static void data_stays_dirty(struct kunit *test)
{
	struct user_pages *up = user_pages_make(test, &user_memory_anon, NR_PAGES);
	const unsigned long addr = up->addr + THE_PAGE * PAGE_SIZE;
	struct vm_area_struct *vma;
	struct folio_walk fw;
	bool dirty = false;

	user_pages_pin(up, &pin_way_locked, FOLL_LONGTERM);

	expect_pinned(up);
	mmap_read_lock(current->mm);
	vma = vma_lookup(current->mm, addr);
	if (vma && folio_walk_start(&fw, vma, addr, 0)) {
		dirty = pte_dirty(fw.pte) || folio_test_dirty(page_folio(fw.page));
		folio_walk_end(&fw, vma);
	}
	mmap_read_unlock(current->mm);
	KUNIT_EXPECT_TRUE(test, dirty);
}

/*
 * All but pin_user_pages() mark pages accessed, and dirty at once when they are pinned
 * for writing: the page may be mapped clean.  Fast GUP takes only writable entries,
 * and leaves dirtiness to who unpins.
 */
static void marks_what_it_touches(struct kunit *test)
{
	const struct pin_param *p = test->param_value;
	const bool touches = p->way != &pin_way_locked;
	const bool dirties = touches && !(IS_ENABLED(CONFIG_HAVE_GUP_FAST) &&
					  p->way == &pin_way_try_fast);
	struct user_pages *up = user_pages_map(test, &user_memory_shmem, NR_PAGES);
	unsigned int i;
	u8 found;

	if (lru_gen_enabled())
		kunit_skip(test, "accesses are counted in generations");
	for (i = 0; i < NR_PAGES; i++)
		KUNIT_ASSERT_EQ(test, 0, copy_from_user(&found, (void __user *)
						       (up->addr + i * PAGE_SIZE), 1));
	lru_add_drain_all();
	for (i = 0; i < NR_PAGES; i++) {
		folio_clear_dirty(user_pages_folio(up, i));
		folio_clear_referenced(user_pages_folio(up, i));
	}
	user_pages_pin_read_only(up, p->way, 0);
	KUNIT_ASSERT_EQ(test, up->rc, NR_PAGES);
	for (i = 0; i < NR_PAGES; i++) {
		struct folio *folio = page_folio(up->pages[i]);

		KUNIT_EXPECT_FALSE(test, folio_test_dirty(folio));
		KUNIT_EXPECT_EQ(test, folio_test_referenced(folio), touches);
		folio_clear_referenced(folio);
	}
	user_pages_unpin(up);
	user_pages_pin(up, p->way, 0);
	KUNIT_ASSERT_EQ(test, up->rc, NR_PAGES);
	for (i = 0; i < NR_PAGES; i++) {
		struct folio *folio = page_folio(up->pages[i]);

		KUNIT_EXPECT_EQ(test, folio_test_dirty(folio), dirties);
		KUNIT_EXPECT_EQ(test, folio_test_referenced(folio), touches);
	}
	expect_unpins(up);
}

static unsigned long map_over(struct user_pages *up, unsigned int first, unsigned int nr,
			      unsigned long prot, unsigned long flags)
{
	const unsigned long addr = up->addr + first * PAGE_SIZE;
	unsigned long got = vm_mmap(flags & MAP_ANONYMOUS ? NULL : up->file, addr,
				    nr * PAGE_SIZE, prot, flags | MAP_FIXED,
				    first * PAGE_SIZE);

	KUNIT_ASSERT_EQ(up->test, got, addr);
	return got;
}

/*
 * By force, as debuggers do, what a private mapping must not write is copied, once: the
 * next time the copy is there.
 */
static void by_force(struct kunit *test)
{
	const struct pin_param *p = test->param_value;
	struct user_pages *up = user_pages_map(test, p->memory, NR_PAGES);
	struct folio *first, *again;
	struct user_fork *forked;

	map_over(up, 0, NR_PAGES, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS);
	user_pages_pin(up, p->way, FOLL_LONGTERM);
	KUNIT_EXPECT_EQ(test, up->rc, -EFAULT);
	user_pages_pin(up, p->way, FOLL_FORCE | FOLL_LONGTERM);
	expect_pinned(up);
	expect_exclusive(up);
	first = user_pages_folio(up, THE_PAGE);
	user_pages_unpin(up);
	user_pages_pin(up, p->way, FOLL_FORCE | FOLL_LONGTERM);
	expect_pinned(up);
	KUNIT_EXPECT_PTR_EQ(test, user_pages_folio(up, THE_PAGE), first);
	user_pages_unpin(up);

	/* What a fork has made common is copied. */
	mm_flags_clear(MMF_HAS_PINNED, current->mm);
	forked = user_fork(up, THE_PAGE);
	KUNIT_EXPECT_PTR_EQ(test, user_pages_folio(up, THE_PAGE), first);
	user_pages_pin(up, p->way, FOLL_FORCE | FOLL_LONGTERM);
	expect_pinned(up);
	expect_exclusive(up);
	again = user_pages_folio(up, THE_PAGE);
	KUNIT_EXPECT_PTR_NE(test, again, first);
	user_fork_look(forked);
	KUNIT_EXPECT_PTR_EQ(test, forked->folio, first);
	expect_unpins(up);
}

#if defined(CONFIG_MEM_SOFT_DIRTY) && defined(CONFIG_TRANSPARENT_HUGEPAGE)
static const struct user_memory * const watched[] = {
	&user_memory_anon,
	&user_memory_thp,
};

PARAM_ARRAY(watched, "%s", (*p)->name);

/* By force, but not in secret: who wants to know of writes to a page is told of the pin. */
static void force_is_noticed(struct kunit *test)
{
	const struct user_memory * const *memory = test->param_value;
	const unsigned int nr = 1U << (*memory)->order;
	struct user_pages *up = user_pages_make(test, *memory, nr);
	struct folio *folio = user_pages_folio(up, 0);

	vma_flags_switch(test, up->addr, VM_WRITE | VM_SOFTDIRTY, false);
	entry_set(test, up->addr, ENTRY_YOUNG | ENTRY_DIRTY);
	user_pages_pin_read_only(up, &pin_way_locked, FOLL_FORCE);
	KUNIT_EXPECT_EQ(test, up->rc, nr);
	user_pages_unpin(up);
	KUNIT_EXPECT_FALSE(test, entry_state(test, up->addr) & ENTRY_SOFT_DIRTY);
	user_pages_pin(up, &pin_way_locked, FOLL_FORCE);
	KUNIT_EXPECT_EQ(test, up->rc, nr);
	user_pages_unpin(up);
	KUNIT_EXPECT_TRUE(test, entry_state(test, up->addr) & ENTRY_SOFT_DIRTY);
	KUNIT_EXPECT_PTR_EQ(test, user_pages_folio(up, 0), folio);

	/* Nobody listens to this userfaultfd: the fault fails. */
	vma_flags_switch(test, up->addr, VM_UFFD_WP, true);
	user_pages_pin(up, &pin_way_locked, FOLL_FORCE);
	KUNIT_EXPECT_EQ(test, up->rc, nr);
	user_pages_unpin(up);
	entry_set(test, up->addr, ENTRY_SOFT_DIRTY | ENTRY_UFFD);
	user_pages_pin(up, &pin_way_locked, FOLL_FORCE);
	KUNIT_EXPECT_EQ(test, up->rc, -EFAULT);
	user_pages_pin_read_only(up, &pin_way_locked, FOLL_FORCE);
	KUNIT_EXPECT_EQ(test, up->rc, nr);
	user_pages_unpin(up);
	vma_flags_switch(test, up->addr, VM_UFFD_WP, false);
	vma_flags_switch(test, up->addr, VM_WRITE, true);
	entry_set(test, up->addr, ENTRY_SOFT_DIRTY);
	expect_not_pinned(up);
}
#endif

/* What force cannot have: shared memory that must not be written. */
static void not_by_force(struct kunit *test)
{
	const struct pin_param *p = test->param_value;
	struct user_pages *up = user_pages_map(test, &user_memory_memfd, NR_PAGES);

	map_over(up, 0, NR_PAGES, PROT_READ, MAP_SHARED);
	user_pages_pin(up, p->way, FOLL_FORCE | FOLL_LONGTERM);
	KUNIT_EXPECT_EQ(test, up->rc, -EFAULT);
	user_pages_pin_read_only(up, p->way, FOLL_FORCE | FOLL_LONGTERM);
	KUNIT_EXPECT_EQ(test, up->rc, NR_PAGES);
	user_pages_unpin(up);

	map_over(up, 0, NR_PAGES, PROT_NONE, MAP_SHARED);
	user_pages_pin_read_only(up, p->way, FOLL_LONGTERM);
	KUNIT_EXPECT_EQ(test, up->rc, -EFAULT);
	user_pages_pin_read_only(up, p->way, FOLL_FORCE | FOLL_LONGTERM);
	KUNIT_EXPECT_EQ(test, up->rc, NR_PAGES);
	user_pages_unpin(up);
	expect_pins(up, 0);
}

/* A file may have data where a mapping has no page yet. */
static const struct user_memory * const dumped[] = {
	&user_memory_anon,
	&user_memory_shmem,
	&user_memory_memfd,
};

PARAM_ARRAY(dumped, "%s", (*p)->name);

/* A dump leaves out what is all zeros for want of a write, and makes no pages for it. */
static void dump_skips_untouched(struct kunit *test)
{
	const struct user_memory * const *memory = test->param_value;
	const bool anon = *memory == &user_memory_anon;
	struct user_pages *up = user_pages_map(test, *memory, NR_PAGES);
	const unsigned long addr = up->addr + THE_PAGE * PAGE_SIZE;
	u8 found;

	user_pages_fill(up, THE_PAGE);
	KUNIT_EXPECT_EQ(test, user_dump(test, addr, 1), anon ? -EFAULT : 1);
	KUNIT_EXPECT_EQ(test, pte_none(entry_read(test, addr)), anon);
	KUNIT_EXPECT_EQ(test, user_dump(test, up->addr, NR_PAGES), anon ? THE_PAGE : NR_PAGES);

	/* That somebody has read it does not make it worth more. */
	KUNIT_ASSERT_EQ(test, 0, copy_from_user(&found, (void __user *)addr, 1));
	KUNIT_ASSERT_EQ(test, is_zero_pfn(pte_pfn(entry_read(test, addr))), anon);
	KUNIT_EXPECT_EQ(test, user_dump(test, addr, 1), anon ? -EFAULT : 1);
	user_pages_write(up, THE_PAGE, NEWS);
	KUNIT_EXPECT_EQ(test, user_dump(test, addr, 1), 1);
}

/* Nor does it make page tables. */
static void dump_makes_no_tables(struct kunit *test)
{
	unsigned long addr, had, page;
	u8 news = NEWS;

	addr = kunit_vm_mmap(test, NULL, 0, 3 * PUD_SIZE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, 0);
	KUNIT_ASSERT_FALSE(test, !addr || IS_ERR_VALUE(addr));
	test_mm_ends(test);
	addr = ALIGN(addr, PUD_SIZE);
	had = mm_pgtables_bytes(current->mm);
	KUNIT_EXPECT_EQ(test, user_dump(test, addr, 1), -EFAULT);
	KUNIT_EXPECT_EQ(test, mm_pgtables_bytes(current->mm), had);

	/* Where tables of the upper levels are. */
	page = addr + PMD_SIZE;
	KUNIT_ASSERT_EQ(test, 0, copy_to_user((void __user *)page, &news, 1));
	had = mm_pgtables_bytes(current->mm);
	KUNIT_EXPECT_EQ(test, user_dump(test, addr, 1), -EFAULT);
	KUNIT_EXPECT_EQ(test, mm_pgtables_bytes(current->mm), had);
	KUNIT_EXPECT_EQ(test, user_dump(test, page, 1), 1);
	KUNIT_EXPECT_EQ(test, user_dump(test, page, 2), 1);
}

/* Each mapping of a range has its own rights. */
static void several_mappings(struct kunit *test)
{
	const struct pin_param *p = test->param_value;
	struct user_pages *up = user_pages_make(test, &user_memory_memfd, NR_PAGES);
	unsigned int i;

	map_over(up, 1, 1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
	map_over(up, 3, 1, PROT_READ, MAP_SHARED);
	user_pages_pin(up, p->way, FOLL_LONGTERM);
	KUNIT_EXPECT_EQ(test, up->rc, 3);
	for (i = 0; i < 3 && up->rc == 3; i++) {
		KUNIT_EXPECT_EQ(test, PageAnon(up->pages[i]), i == 1);
		expect_page_pinned(up, i, 1);
	}
	expect_pins(up, 3);
	user_pages_unpin(up);
	user_pages_pin_read_only(up, p->way, FOLL_LONGTERM);
	KUNIT_EXPECT_EQ(test, up->rc, NR_PAGES);
	expect_pins(up, NR_PAGES);
	user_pages_unpin(up);
	expect_pins(up, 0);
}

/* A page that is found through swap or KSM only. */
static const struct test_folio_kind *const hidden[] = {
	&test_folio_swap_mapped, &test_folio_swapped_out, &test_folio_ksm,
};

PARAM_ARRAY(hidden, "%s", (*p)->name);

static void pin_hidden(struct kunit *test, struct test_folio *tf, unsigned int flags)
{
	const long pins = folio_fixture_pins();
	struct page *page = NULL;
	struct folio *folio;
	void *data;

	KUNIT_ASSERT_EQ(test, 1, pin_user_pages_fast(tf->addr, 1, flags | FOLL_LONGTERM,
						     &page));
	lru_add_drain_all();
	folio = page_folio(page);
	KUNIT_EXPECT_EQ(test, folio_fixture_pins(), pins + 1);
	KUNIT_EXPECT_TRUE(test, PageAnonExclusive(page));
	KUNIT_EXPECT_FALSE(test, folio_test_ksm(folio));
	KUNIT_EXPECT_FALSE(test, folio_is_zone_movable(folio));
	KUNIT_EXPECT_EQ(test, folio_mapcount(folio), 1);
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio),
			folio_expected_ref_count(folio) + GUP_PIN_COUNTING_BIAS);
	data = kmap_local_page(page);
	KUNIT_EXPECT_NULL(test, memchr_inv(data, tf->pattern, PAGE_SIZE));
	kunmap_local(data);
	unpin_user_page(page);
	KUNIT_EXPECT_EQ(test, folio_fixture_pins(), pins);
}

/* It is pinned where its user has it for himself, with its data. */
static void found_by_pin(struct kunit *test)
{
	const struct test_folio_kind *const *kind = test->param_value;
	struct test_folio *tf = test_folio_make(test, *kind);

	/* Or else the pin would wait for it. */
	test_folio_let_go(tf);
	pin_hidden(test, tf, 0);
	pin_hidden(test, tf, FOLL_WRITE);
}

/* Ticks in which ksmd looks at all pages several times. */
#define KSM_ROUNDS	(HZ / 2)

static void mergeable(struct user_pages *up)
{
	unsigned int i;

	/* Not the zero page. */
	for (i = 0; i < up->nr; i++)
		user_pages_write(up, i, 0);
	KUNIT_ASSERT_EQ(up->test, 0, do_madvise(current->mm, up->addr, up->nr * PAGE_SIZE,
						MADV_MERGEABLE));
	lru_add_drain_all();
}

static bool gets_merged(struct user_pages *up)
{
	const unsigned long end = jiffies + TEST_KSM_AT_MOST;

	while (!folio_test_ksm(user_pages_folio(up, THE_PAGE))) {
		if (time_after(jiffies, end))
			return false;
		schedule_timeout_uninterruptible(HZ / 10);
	}
	return true;
}

static const bool by_device[] = { true, false };

PARAM_ARRAY(by_device, "%s", *p ? "pinned" : "referenced");

/* Equal pages are merged, but none that somebody else reads or writes. */
static void not_merged(struct kunit *test)
{
	const bool *pinned = test->param_value;
	struct user_pages *up = user_pages_map(test, &user_memory_anon, NR_PAGES);
	struct user_pages *others = user_pages_map(test, &user_memory_anon, NR_PAGES);
	struct folio *folio;

	mergeable(up);
	mergeable(others);
	if (*pinned)
		user_pages_pin(up, &pin_way_locked, FOLL_LONGTERM);
	folio = user_pages_folio(up, THE_PAGE);
	if (!*pinned)
		test_folio_get(test, folio);

	KUNIT_ASSERT_EQ(test, 0, test_ksm_run(test));
	KUNIT_ASSERT_TRUE(test, gets_merged(others));
	schedule_timeout_uninterruptible(KSM_ROUNDS);
	KUNIT_EXPECT_PTR_EQ(test, user_pages_folio(up, THE_PAGE), folio);
	KUNIT_EXPECT_FALSE(test, folio_test_ksm(folio));
	if (*pinned) {
		expect_pinned(up);
		expect_exclusive(up);
		expect_shared_with_device(up);
		user_pages_unpin(up);
	} else {
		test_folio_put(test, folio);
	}
	KUNIT_EXPECT_TRUE_MSG(test, gets_merged(up), "nothing keeps it from being merged");
	KUNIT_EXPECT_EQ(test, 0, test_ksm_stop());
}

#define USE_ZERO_PAGES	"kernel/mm/ksm/use_zero_pages"

static void no_zero_pages(void *data)
{
	struct kunit *test = data;

	KUNIT_EXPECT_EQ(test, 0, pseudo_file_write("sysfs", USE_ZERO_PAGES, "0"));
}

static unsigned int nr_zero_pages(struct user_pages *up)
{
	unsigned int i, nr = 0;

	for (i = 0; i < up->nr; i++)
		nr += is_zero_folio(user_pages_folio(up, i));
	return nr;
}

/* Pages of zeros become the zero page, which nobody has; who pins them gets his own again. */
static void merged_into_zero_page(struct kunit *test)
{
	struct user_pages *up = user_pages_map(test, &user_memory_anon, NR_PAGES);
	const unsigned long end = jiffies + TEST_KSM_AT_MOST;
	unsigned long resident;

	KUNIT_ASSERT_EQ(test, 0, pseudo_file_write("sysfs", USE_ZERO_PAGES, "1"));
	test_cleanup(test, no_zero_pages, test);
	mergeable(up);
	resident = get_mm_counter_sum(current->mm, MM_ANONPAGES);
	KUNIT_ASSERT_EQ(test, 0, test_ksm_run(test));
	while (nr_zero_pages(up) < NR_PAGES && time_before(jiffies, end))
		schedule_timeout_uninterruptible(HZ / 10);
	KUNIT_EXPECT_EQ(test, 0, test_ksm_stop());
	KUNIT_EXPECT_EQ(test, nr_zero_pages(up), NR_PAGES);
	KUNIT_EXPECT_EQ(test, get_mm_counter_sum(current->mm, MM_ANONPAGES), resident - NR_PAGES);

	user_pages_pin(up, &pin_way_unlocked, FOLL_LONGTERM);
	KUNIT_EXPECT_EQ(test, up->rc, NR_PAGES);
	KUNIT_EXPECT_EQ(test, nr_zero_pages(up), 0);
	KUNIT_EXPECT_EQ(test, get_mm_counter_sum(current->mm, MM_ANONPAGES), resident);
	expect_pins(up, NR_PAGES);
	expect_exclusive(up);
	user_pages_unpin(up);
}

/* As after mlockall(MCL_FUTURE | MCL_ONFAULT): the user's touch locks a page. */
static struct user_pages *map_mlocked(struct kunit *test)
{
	struct user_pages *up;

	KUNIT_ASSERT_EQ(test, 0, kunit_attach_mm());
	current->mm->def_flags = VM_LOCKED | VM_LOCKONFAULT;
	up = user_pages_map(test, &user_memory_anon, NR_PAGES);
	current->mm->def_flags = 0;
	return up;
}

/* Exact, unlike global_zone_page_state(). */
static unsigned long nr_mlocked(void)
{
	unsigned long nr = 0;
	struct zone *zone;

	for_each_populated_zone(zone)
		nr += zone_page_state_snapshot(zone, NR_MLOCK);
	return nr;
}

/* Mlocked pages stay mlocked, even if they are still in a batch. */
static void mlocked(struct kunit *test)
{
	const bool *in_batch = test->param_value;
	struct user_pages *up = map_mlocked(test);
	unsigned long before;
	unsigned int i;

	/* A full batch is drained. */
	lru_add_drain_all();
	user_pages_fill(up, NR_PAGES);
	if (!*in_batch)
		lru_add_drain_all();
	KUNIT_ASSERT_EQ(test, folio_test_lru(user_pages_folio(up, THE_PAGE)),
			!*in_batch);
	before = nr_mlocked();

	user_pages_pin(up, &pin_way_try_fast, FOLL_LONGTERM);

	expect_pinned(up);
	expect_pin_did_not_sleep(up);
	for (i = 0; i < up->rc; i++) {
		KUNIT_EXPECT_TRUE(test, folio_test_mlocked(page_folio(up->pages[i])));
		KUNIT_EXPECT_TRUE(test, folio_test_unevictable(page_folio(up->pages[i])));
	}
	KUNIT_EXPECT_EQ(test, nr_mlocked(), before);
	expect_unpins(up);
}

static const bool in_batch[] = { false, true };

PARAM_ARRAY(in_batch, "%s", *p ? "in-batch" : "on-lru");

/* Pins pages and takes a reference on one, to see what is left of it. */
static struct folio *pin_and_get(struct kunit *test, struct user_pages *up,
				 const struct pin_way *way)
{
	struct folio *folio;

	user_pages_pin(up, way, FOLL_LONGTERM);
	KUNIT_ASSERT_EQ(test, up->rc, NR_PAGES);
	expect_pinned(up);
	folio = page_folio(up->pages[THE_PAGE]);
	test_folio_get(test, folio);
	return folio;
}

/* A page without mappings stays with the device until it is unpinned. */
static void expect_only_pinned(struct user_pages *up, struct folio *folio, u8 data)
{
	struct kunit *test = up->test;

	KUNIT_EXPECT_FALSE(test, folio_mapped(folio));
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 1 + GUP_PIN_COUNTING_BIAS);
	expect_device_finds(up, THE_PAGE, data);
	expect_pins(up, NR_PAGES);

	user_pages_unpin(up);

	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 1);
	expect_pins(up, 0);
}

static void munmap_under_pin(struct kunit *test)
{
	const struct pin_param *p = test->param_value;
	struct user_pages *up = user_pages_make(test, p->memory, NR_PAGES);
	struct folio *folio = pin_and_get(test, up, p->way);

	KUNIT_ASSERT_EQ(test, 0, vm_munmap(up->addr, NR_PAGES * PAGE_SIZE));
	lru_add_drain_all();

	expect_only_pinned(up, folio, user_pages_pattern(up, THE_PAGE));
}

/* The user gets new pages, and the device keeps the old ones. */
static void dontneed_under_pin(struct kunit *test)
{
	const struct pin_param *p = test->param_value;
	struct user_pages *up = user_pages_make(test, p->memory, NR_PAGES);
	struct folio *folio = pin_and_get(test, up, p->way);
	u8 data = user_pages_pattern(up, THE_PAGE);

	KUNIT_ASSERT_EQ(test, 0, do_madvise(current->mm, up->addr,
					    NR_PAGES * PAGE_SIZE, MADV_DONTNEED));
	lru_add_drain_all();
	user_pages_fill(up, NR_PAGES);
	user_pages_write(up, THE_PAGE, NEWS);

	KUNIT_EXPECT_PTR_NE(test, user_pages_folio(up, THE_PAGE), folio);
	expect_only_pinned(up, folio, data);
	user_pages_fill(up, NR_PAGES);
	expect_not_pinned(up);
}

static void truncate_under_pin(struct kunit *test)
{
	const struct pin_param *p = test->param_value;
	struct user_pages *up = user_pages_make(test, &user_memory_memfd, NR_PAGES);
	struct folio *folio = pin_and_get(test, up, p->way);
	u8 data = user_pages_pattern(up, THE_PAGE), found;

	KUNIT_ASSERT_EQ(test, 0, vfs_truncate(&up->file->f_path, 0));
	lru_add_drain_all();

	KUNIT_EXPECT_PTR_EQ(test, folio->mapping, NULL);
	KUNIT_EXPECT_EQ(test, 1, copy_from_user(&found, (void __user *)up->addr, 1));
	expect_only_pinned(up, folio, data);
}

/* As truncation, of one page. */
static void hole_under_pin(struct kunit *test)
{
	const struct pin_param *p = test->param_value;
	struct user_pages *up = user_pages_make(test, &user_memory_memfd, NR_PAGES);
	struct folio *folio = pin_and_get(test, up, p->way);
	u8 data = user_pages_pattern(up, THE_PAGE), found = NEWS;
	const loff_t start = THE_PAGE * PAGE_SIZE;

	/* As fallocate() does, which needs TMPFS. */
	unmap_mapping_range(up->file->f_mapping, start, PAGE_SIZE, 0);
	shmem_truncate_range(file_inode(up->file), start, start + PAGE_SIZE - 1);
	lru_add_drain_all();
	KUNIT_EXPECT_PTR_EQ(test, folio->mapping, NULL);
	KUNIT_EXPECT_EQ(test, 0, copy_from_user(&found, (void __user *)
					       (up->addr + THE_PAGE * PAGE_SIZE), 1));
	KUNIT_EXPECT_EQ(test, found, 0);
	KUNIT_EXPECT_PTR_NE(test, user_pages_folio(up, THE_PAGE), folio);
	expect_only_pinned(up, folio, data);
}

static const struct pin_param memfd_ways[] = {
	{ &user_memory_memfd, &pin_way_locked },
	{ &user_memory_memfd, &pin_way_try_fast },
	{ &user_memory_memfd, &pin_way_folios },
};

PARAM_ARRAY(memfd_ways, PIN_DESC);

/* A range that is mapped only in part is pinned as far as it is mapped. */
static void partly_mapped(struct kunit *test)
{
	const struct pin_param *p = test->param_value;
	struct user_pages *up = user_pages_make(test, p->memory, NR_PAGES);

	KUNIT_ASSERT_EQ(test, 0, vm_munmap(up->addr + (NR_PAGES - 1) * PAGE_SIZE,
					   PAGE_SIZE));
	pin(up, p);

	KUNIT_EXPECT_EQ(test, up->rc, NR_PAGES - 1);
	up->nr = NR_PAGES - 1;
	expect_pinned(up);
	expect_unpins(up);
}

static vm_fault_t count_fault(struct vm_fault *vmf)
{
	unsigned int *faults = vmf->vma->vm_file->private_data;

	++*faults;
	return VM_FAULT_SIGBUS;
}

static const struct vm_operations_struct no_page_ops = {
	.fault = count_fault,
};

/* A file system that has to be told who writes. */
static const struct vm_operations_struct tracked_ops = {
	.fault = count_fault,
	.page_mkwrite = count_fault,
};

static int map_as_io(struct file *file, struct vm_area_struct *vma)
{
	vm_flags_set(vma, VM_IO);
	vma->vm_ops = &no_page_ops;
	return 0;
}

static int map_as_pfns(struct file *file, struct vm_area_struct *vma)
{
	vm_flags_set(vma, VM_PFNMAP);
	vma->vm_ops = &no_page_ops;
	return 0;
}

static int map_as_tracked(struct file *file, struct vm_area_struct *vma)
{
	vma->vm_ops = &tracked_ops;
	return 0;
}

static const struct file_operations io_fops = { .mmap = map_as_io };
static const struct file_operations pfn_fops = { .mmap = map_as_pfns };
static const struct file_operations tracked_fops = { .mmap = map_as_tracked };

KUNIT_DEFINE_ACTION_WRAPPER(fput_action, __fput_sync, struct file *);

/**
 * struct refusal - a mapping that must not be pinned
 * @name: short name without spaces
 * @fops: of the file that is mapped; NULL for anonymous memory
 * @prot: how it is mapped
 * @unmap: it is unmapped again
 * @read_only: it must not be pinned even for reading
 * @faults: how often a page is looked for when it is pinned for reading
 */
struct refusal {
	const char *name;
	const struct file_operations *fops;
	unsigned long prot;
	bool unmap;
	bool read_only;
	unsigned int faults;
};

static const struct refusal refusals[] = {
	{ "nothing", NULL, PROT_READ | PROT_WRITE, .unmap = true, .read_only = true },
	{ "unreadable", NULL, PROT_NONE, .read_only = true },
	{ "unwritable", NULL, PROT_READ },
	{ "io", &io_fops, PROT_READ | PROT_WRITE, .read_only = true },
	{ "pfns", &pfn_fops, PROT_READ | PROT_WRITE, .read_only = true },
	{ "tracked", &tracked_fops, PROT_READ | PROT_WRITE, .faults = 1 },
};

PARAM_ARRAY(refusals, "%s", p->name);

/* Memory that a device must not write, or read, is refused and not touched. */
static void refused(struct kunit *test)
{
	static const struct pin_way *const gup[] = {
		&pin_way_locked, &pin_way_unlocked, &pin_way_try_fast, &pin_way_remote,
	};
	const struct refusal *r = test->param_value;
	unsigned int i, faults = 0, due = 0;
	struct user_pages *up = user_pages_map(test, &user_memory_anon, NR_PAGES);
	struct file *file = NULL;
	unsigned long addr;

	if (r->fops) {
		file = anon_inode_getfile("refused", r->fops, &faults, O_RDWR);
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, file);
		test_cleanup(test, fput_action, file);
	}
	addr = vm_mmap(file, up->addr, NR_PAGES * PAGE_SIZE, r->prot,
		       MAP_FIXED | (file ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS),
		       0);
	KUNIT_ASSERT_EQ(test, addr, up->addr);
	if (r->unmap)
		KUNIT_ASSERT_EQ(test, 0, vm_munmap(addr, NR_PAGES * PAGE_SIZE));

	for (i = 0; i < ARRAY_SIZE(gup); i++) {
		user_pages_pin(up, gup[i], FOLL_LONGTERM);
		KUNIT_EXPECT_EQ_MSG(test, up->rc, -EFAULT, "%s", gup[i]->name);
		user_pages_unpin(up);
		KUNIT_EXPECT_EQ(test, faults, due);

		user_pages_pin_read_only(up, gup[i], FOLL_LONGTERM);
		due += r->faults;
		if (r->read_only || r->faults)
			KUNIT_EXPECT_EQ_MSG(test, up->rc, -EFAULT, "%s", gup[i]->name);
		else
			KUNIT_EXPECT_EQ_MSG(test, up->rc, NR_PAGES, "%s", gup[i]->name);
		user_pages_unpin(up);
		KUNIT_EXPECT_EQ(test, faults, due);
		expect_pins(up, 0);
	}
	/* Before the file: a fault would find no pages. */
	vm_munmap(up->addr, NR_PAGES * PAGE_SIZE);
}

/* A range beyond user memory is refused, even if it begins inside. */
static void out_of_range(struct kunit *test)
{
	const unsigned long end = TASK_SIZE_MAX & PAGE_MASK;
	struct page *pages[NR_PAGES];
	unsigned long addr;

	addr = kunit_vm_mmap(test, NULL, end - PAGE_SIZE, PAGE_SIZE,
			     PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, 0);
	KUNIT_ASSERT_EQ(test, addr, end - PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, -EOVERFLOW,
			pin_user_pages_fast(-2 * PAGE_SIZE, NR_PAGES,
					    FOLL_WRITE | FOLL_LONGTERM, pages));
	KUNIT_EXPECT_EQ(test, -EFAULT,
			pin_user_pages_fast(end - PAGE_SIZE, NR_PAGES,
					    FOLL_WRITE | FOLL_LONGTERM, pages));
	KUNIT_EXPECT_EQ(test, -EFAULT,
			pin_user_pages_unlocked(end, NR_PAGES, pages,
						FOLL_WRITE | FOLL_LONGTERM));
	KUNIT_EXPECT_EQ(test, 0,
			pin_user_pages_fast(PAGE_SIZE, 0, FOLL_LONGTERM, pages));
	KUNIT_EXPECT_EQ(test, 0,
			pin_user_pages_unlocked(PAGE_SIZE, 0, pages, FOLL_LONGTERM));
}

static const struct pin_way *const gup_ways[] = {
	&pin_way_locked, &pin_way_unlocked, &pin_way_try_fast, &pin_way_remote,
};

PARAM_ARRAY(gup_ways, "%s", (*p)->name);

static const struct pin_way *gup_way_param(struct kunit *test)
{
	const struct pin_way *const *way = test->param_value;

	return *way;
}

#ifdef kunit_warning_suppress

/* Who warns once does so again.  Afterwards as well: the next warning is no test. */
static void warn_anew(void *data)
{
	struct kunit *test = data;

	KUNIT_EXPECT_EQ(test, 0, debugfs_write("clear_warn_once", "1"));
}

static void warnings_begin(struct kunit *test)
{
	folio_fixture_needs_debugfs(test);
	warn_anew(test);
	test_cleanup(test, warn_anew, test);
}

/* What only GUP itself may ask for, or for what there is another function. */
static const unsigned int bad_flags[] = {
	FOLL_GET, FOLL_TOUCH, FOLL_TRIED, FOLL_REMOTE, FOLL_PIN, FOLL_FAST_ONLY,
	FOLL_UNLOCKABLE, FOLL_MADV_POPULATE, FOLL_LONGTERM | FOLL_PCI_P2PDMA,
};

/* What needs mmap_lock, or page tables that stay. */
static const unsigned int slow_flags[] = {
	FOLL_DUMP, FOLL_NOWAIT, FOLL_HWPOISON, FOLL_ANON, FOLL_SPLIT_PMD, FOLL_INTERRUPTIBLE,
};

static void expect_refused(struct user_pages *up, const struct pin_way *way,
			   unsigned int flags)
{
	const long refused = way == &pin_way_try_fast ? -EINVAL : 0;
	struct kunit *test = up->test;

	warn_anew(test);
	kunit_warning_suppress(test) {
		KUNIT_EXPECT_EQ_MSG(test, way->pin(up, flags), refused, "flags %x", flags);
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, 1);
	}
	KUNIT_EXPECT_NULL(test, up->pages[0]);
}

/* Flags that do not go together are refused with a warning, and pin nothing. */
static void flags_refused(struct kunit *test)
{
	const struct pin_way *way = gup_way_param(test);
	struct user_pages *up = user_pages_make(test, &user_memory_anon, NR_PAGES);
	struct page **pages = up->pages;
	unsigned int i;
	int locked = 0;

	warnings_begin(test);
	for (i = 0; i < ARRAY_SIZE(bad_flags); i++)
		expect_refused(up, way, bad_flags[i] | FOLL_WRITE);
	for (i = 0; i < ARRAY_SIZE(slow_flags) && way == &pin_way_try_fast; i++)
		expect_refused(up, way, slow_flags[i]);

	up->pages = NULL;
	warn_anew(test);
	kunit_warning_suppress(test) {
		KUNIT_EXPECT_EQ(test, way->pin(up, 0),
				way == &pin_way_try_fast ? -EINVAL : 0);
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, 1);
	}
	up->pages = pages;
	if (way == &pin_way_remote) {
		warn_anew(test);
		kunit_warning_suppress(test) {
			KUNIT_EXPECT_EQ(test, 0,
					pin_user_pages_remote(current->mm, up->addr, 1, 0,
							      pages, &locked));
			KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, 1);
		}
	}
	expect_not_pinned(up);
	KUNIT_EXPECT_FALSE(test, mm_flags_test(MMF_HAS_PINNED, current->mm));
}

static int get_fast(struct user_pages *up)
{
	return get_user_pages_fast(up->addr, 1, FOLL_LONGTERM, up->pages);
}

static int get_unlocked(struct user_pages *up)
{
	return get_user_pages_unlocked(up->addr, 1, up->pages, FOLL_LONGTERM);
}

static int get_locked(struct user_pages *up)
{
	int ret;

	mmap_read_lock(current->mm);
	ret = get_user_pages(up->addr, 1, FOLL_LONGTERM, up->pages);
	mmap_read_unlock(current->mm);
	return ret;
}

static int get_nowhere(struct user_pages *up)
{
	return get_user_pages_fast(up->addr, 1, 0, NULL);
}

/* References are not for long, and have to be told of. */
static void references_are_short(struct kunit *test)
{
	static int (*const gets[])(struct user_pages *up) = {
		get_fast, get_unlocked, get_locked, get_nowhere,
	};
	struct user_pages *up = user_pages_make(test, &user_memory_anon, NR_PAGES);
	unsigned int i;

	warnings_begin(test);
	for (i = 0; i < ARRAY_SIZE(gets); i++) {
		warn_anew(test);
		kunit_warning_suppress(test) {
			KUNIT_EXPECT_EQ(test, -EINVAL, gets[i](up));
			KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, 1);
		}
	}
	expect_not_pinned(up);
}

/* A count so high, or so broken, that it has become negative. */
#define OVERFLOWN	(-10)

/* A page whose references have overflown gets no more. */
static void no_more_references(struct kunit *test)
{
	const struct pin_param *p = test->param_value;
	struct user_pages *up = user_pages_make(test, p->memory, NR_PAGES);
	struct folio *folio = user_pages_folio(up, 0);
	const int refs = folio_ref_count(folio);
	int left;

	warnings_begin(test);
	kunit_warning_suppress(test) {
		folio_ref_add(folio, OVERFLOWN - refs);
		user_pages_pin(up, p->way, FOLL_LONGTERM);
		left = folio_ref_count(folio);
		folio_ref_add(folio, refs - left);
		KUNIT_EXPECT_GT(test, KUNIT_SUPPRESSED_WARNING_COUNT(), 0);
	}
	KUNIT_EXPECT_EQ(test, left, OVERFLOWN);
	KUNIT_EXPECT_EQ(test, up->rc, p->way == &pin_way_folios ? -EINVAL : -ENOMEM);
	user_pages_unpin(up);
	expect_not_pinned(up);
	user_pages_pin(up, p->way, FOLL_LONGTERM);
	expect_pinned(up);
	expect_unpins(up);
}

/* An error in place of a number is no number. */
static void unpin_of_error(struct kunit *test)
{
	struct user_pages *up = user_pages_make(test, &user_memory_memfd, NR_PAGES);

	user_pages_pin(up, &pin_way_folios, FOLL_LONGTERM);
	expect_pinned(up);
	kunit_warning_suppress(test) {
		unpin_user_pages(up->pages, -EFAULT);
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, 1);
		unpin_folios(up->folios, -EFAULT);
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, 2);
	}
	expect_pinned(up);
	expect_unpins(up);
}

/* Of what the kernel has for itself nobody may expect the references of a user's page. */
static void page_of_kernel(struct kunit *test)
{
	struct folio *folio = page_folio(test_pages_alloc(test, GFP_KERNEL, 0));
	int mapped, expected;

	warnings_begin(test);
	__folio_set_offline(folio);
	mapped = folio_mapcount(folio);
	kunit_warning_suppress(test) {
		expected = folio_expected_ref_count(folio);
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, 1);
	}
	__folio_clear_offline(folio);

	KUNIT_EXPECT_EQ(test, mapped, 0);
	KUNIT_EXPECT_EQ(test, expected, 0);
}

#else /* kunit_warning_suppress */

static void skip(struct kunit *test)
{
	kunit_skip(test, "KUnit cannot expect a warning");
}

#define flags_refused		skip
#define references_are_short	skip
#define no_more_references	skip
#define unpin_of_error		skip
#define page_of_kernel		skip

#endif /* kunit_warning_suppress */

/* What may be asked of the fast way, also where there is none. */
static void fast_flags(struct kunit *test)
{
	static const unsigned int good_flags[] = {
		FOLL_FORCE, FOLL_NOFAULT, FOLL_PCI_P2PDMA, FOLL_HONOR_NUMA_FAULT,
	};
	struct user_pages *up = user_pages_make(test, &user_memory_anon, NR_PAGES);
	unsigned int i;
	int nr;

	for (i = 0; i < ARRAY_SIZE(good_flags); i++) {
		user_pages_pin(up, &pin_way_try_fast, good_flags[i]);
		KUNIT_EXPECT_EQ_MSG(test, up->rc, NR_PAGES, "flags %x", good_flags[i]);
		expect_unpins(up);
	}
	/* Inside of the page, too. */
	nr = get_user_pages_fast(up->addr + 1, NR_PAGES, FOLL_GET, up->pages);
	KUNIT_EXPECT_EQ(test, nr, NR_PAGES);
	for (i = 0; i < NR_PAGES; i++) {
		KUNIT_EXPECT_PTR_EQ(test, page_folio(up->pages[i]), user_pages_folio(up, i));
		KUNIT_EXPECT_EQ(test, page_ref_count(up->pages[i]), 2);
	}
	release_pages(up->pages, nr);
	nr = get_user_pages_fast_only(up->addr, NR_PAGES, 0, up->pages);
	KUNIT_EXPECT_EQ(test, nr, IS_ENABLED(CONFIG_HAVE_GUP_FAST) ? NR_PAGES : 0);
	if (nr > 0)
		release_pages(up->pages, nr);
	expect_not_pinned(up);
}

/* Invalid ranges of a memfd, and other files. */
static void folios_refused(struct kunit *test)
{
	struct user_pages *up = user_pages_make(test, &user_memory_memfd, NR_PAGES);
	const loff_t size = NR_PAGES * PAGE_SIZE;
	pgoff_t offset = NEWS;
	struct file *other;

	other = anon_inode_getfile("refused", &io_fops, NULL, O_RDWR);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, other);
	test_cleanup(test, fput_action, other);

#define EXPECT_REFUSED(file, start, end, max)					\
	KUNIT_EXPECT_EQ(test, -EINVAL, memfd_pin_folios(file, start, end,	\
							up->folios, max, &offset))
	EXPECT_REFUSED(up->file, -1, size - 1, NR_PAGES);
	EXPECT_REFUSED(up->file, PAGE_SIZE, PAGE_SIZE - 1, NR_PAGES);
	EXPECT_REFUSED(up->file, 0, size - 1, 0);
	EXPECT_REFUSED(up->file, 0, size, NR_PAGES);
	EXPECT_REFUSED(NULL, 0, size - 1, NR_PAGES);
	EXPECT_REFUSED(other, 0, size - 1, NR_PAGES);
#undef EXPECT_REFUSED
	KUNIT_EXPECT_EQ(test, offset, NEWS);
	expect_not_pinned(up);
}

/* A part of a memfd, and how many folios there is room for. */
struct part {
	const char *name;
	loff_t start;
	loff_t end;
	unsigned int max;
	long nr;
	pgoff_t first;
	pgoff_t offset;
};

static const struct part parts[] = {
	{ "one-byte", 0, 0, NR_PAGES, 1, 0, 0 },
	{ "last-byte", NR_PAGES * PAGE_SIZE - 1, NR_PAGES * PAGE_SIZE - 1,
	  NR_PAGES, 1, NR_PAGES - 1, PAGE_SIZE - 1 },
	{ "middle", PAGE_SIZE + 100, 3 * PAGE_SIZE - 1, NR_PAGES, 2, 1, 100 },
	{ "over-the-edge", 2 * PAGE_SIZE - 1, 2 * PAGE_SIZE, NR_PAGES, 2, 1,
	  PAGE_SIZE - 1 },
	{ "room-for-less", PAGE_SIZE, NR_PAGES * PAGE_SIZE - 1, 2, 2, 1, 0 },
	{ "room-for-one", 10, NR_PAGES * PAGE_SIZE - 1, 1, 1, 0, 10 },
};

PARAM_ARRAY(parts, "%s", p->name);

/* The folios that a part of a memfd lies in are pinned, and no others. */
static void folios_of_part(struct kunit *test)
{
	const struct part *part = test->param_value;
	struct user_pages *up = user_pages_make(test, &user_memory_memfd, NR_PAGES);
	pgoff_t offset = NEWS;
	unsigned int i;

	up->rc = memfd_pin_folios(up->file, part->start, part->end, up->folios,
				  part->max, &offset);
	if (up->rc > 0)
		up->way = &pin_way_folios;

	KUNIT_ASSERT_EQ(test, up->rc, part->nr);
	KUNIT_EXPECT_EQ(test, offset, part->offset);
	expect_pins(up, part->nr);
	for (i = 0; i < NR_PAGES; i++) {
		struct folio *folio = user_pages_folio(up, i);
		bool is_in = i >= part->first && i < part->first + part->nr;

		KUNIT_ASSERT_NOT_NULL(test, folio);
		KUNIT_EXPECT_EQ(test, folio_maybe_dma_pinned(folio), is_in);
		KUNIT_EXPECT_EQ(test, folio_is_zone_movable(folio), !is_in);
		if (is_in)
			KUNIT_EXPECT_PTR_EQ(test, folio,
					    up->folios[i - part->first]);
	}
	expect_unpins(up);
}

/* A way to unpin pages, and whether it marks them dirty. */
struct dirty_way {
	const char *name;
	void (*unpin)(struct user_pages *up, bool dirty);
	bool dirty;
};

static void unpin_list(struct user_pages *up, bool dirty)
{
	unpin_user_pages_dirty_lock(up->pages, up->rc, dirty);
}

static void unpin_ranges(struct user_pages *up, bool dirty)
{
	unsigned int i;

	for (i = 0; i < up->rc; i++)
		unpin_user_page_range_dirty_lock(up->pages[i], 1, dirty);
}

static void unpin_each(struct user_pages *up, bool dirty)
{
	unsigned int i;

	for (i = 0; i < up->rc; i++)
		unpin_user_page(up->pages[i]);
}

static const struct dirty_way dirty_ways[] = {
	{ "list-clean", unpin_list, false },
	{ "list-dirty", unpin_list, true },
	{ "range-clean", unpin_ranges, false },
	{ "range-dirty", unpin_ranges, true },
	{ "each", unpin_each, false },
};

PARAM_ARRAY(dirty_ways, "%s", p->name);

/* Unpinning marks pages dirty if it is told to, and cleans none. */
static void unpin_dirty(struct kunit *test)
{
	const struct dirty_way *way = test->param_value;
	struct user_pages *up = user_pages_make(test, &user_memory_shmem, NR_PAGES);
	unsigned int i;

	user_pages_pin(up, &pin_way_locked, FOLL_LONGTERM);
	expect_pinned(up);
	KUNIT_ASSERT_EQ(test, up->rc, NR_PAGES);
	for (i = 0; i < NR_PAGES; i++) {
		if (i == THE_PAGE)
			folio_set_dirty(page_folio(up->pages[i]));
		else
			folio_clear_dirty(page_folio(up->pages[i]));
	}

	way->unpin(up, way->dirty);
	up->way = NULL;

	for (i = 0; i < NR_PAGES; i++) {
		KUNIT_EXPECT_FALSE(test, folio_test_locked(page_folio(up->pages[i])));
		KUNIT_EXPECT_EQ(test, folio_test_dirty(page_folio(up->pages[i])),
				way->dirty || i == THE_PAGE);
	}
	expect_not_pinned(up);
}

/* Of a large folio. */
#define ORDER	2

static void pin_folio(struct kunit *test, struct folio *folio, int pins)
{
	KUNIT_ASSERT_EQ(test, 0, try_grab_folio(folio, pins, FOLL_PIN));
}

static void expect_left(struct kunit *test, struct folio *folio, int pins)
{
	KUNIT_EXPECT_EQ(test, atomic_read(&folio->_pincount), pins);
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 1 + pins);
	KUNIT_EXPECT_EQ(test, folio_maybe_dma_pinned(folio), pins > 0);
}

/* A list of pages may begin and end inside of folios, and return to one. */
static void unpin_parts_of_folios(struct kunit *test)
{
	struct folio *one = test_folio_alloc(test, ORDER);
	struct folio *other = test_folio_alloc(test, ORDER);
	struct page *pages[] = {
		folio_page(one, 1), folio_page(one, 2), folio_page(one, 3),
		folio_page(other, 0), folio_page(other, 1), folio_page(one, 0),
	};

	pin_folio(test, one, 5);
	pin_folio(test, other, 3);
	unpin_user_pages(pages, ARRAY_SIZE(pages));
	expect_left(test, one, 1);
	expect_left(test, other, 1);

	unpin_user_page(folio_page(one, 3));
	unpin_folio(other);
	expect_left(test, one, 0);
	expect_left(test, other, 0);
}

/* So may a range. */
static void unpin_range_in_folio(struct kunit *test)
{
	struct folio *folio = test_folio_alloc(test, ORDER);

	pin_folio(test, folio, 6);
	unpin_user_page_range_dirty_lock(folio_page(folio, 1), 2, false);
	expect_left(test, folio, 4);
	KUNIT_EXPECT_FALSE(test, folio_test_dirty(folio));

	unpin_user_page_range_dirty_lock(folio_page(folio, 3), 1, true);
	expect_left(test, folio, 3);
	KUNIT_EXPECT_TRUE(test, folio_test_dirty(folio));

	unpin_user_page_range_dirty_lock(folio_page(folio, 1), 3, false);
	expect_left(test, folio, 0);
	folio_clear_dirty(folio);
}

/* Who only takes references has pinned nothing, for which a fork would have to look. */
static void references_are_no_pins(struct kunit *test)
{
	struct user_pages *up = user_pages_make(test, &user_memory_anon, NR_PAGES);
	struct mm_struct *mm = current->mm;
	int i;

	KUNIT_ASSERT_EQ(test, NR_PAGES, get_user_pages_unlocked(up->addr, NR_PAGES, up->pages,
								FOLL_WRITE));
	for (i = 0; i < NR_PAGES; i++)
		put_page(up->pages[i]);
	KUNIT_ASSERT_EQ(test, NR_PAGES, get_user_pages_fast(up->addr, NR_PAGES, FOLL_WRITE,
							    up->pages));
	for (i = 0; i < NR_PAGES; i++)
		put_page(up->pages[i]);
	KUNIT_EXPECT_FALSE(test, mm_flags_test(MMF_HAS_PINNED, mm));
	expect_not_pinned(up);

	user_pages_pin(up, &pin_way_unlocked, 0);
	KUNIT_EXPECT_TRUE(test, mm_flags_test(MMF_HAS_PINNED, mm));
	user_pages_unpin(up);
	KUNIT_EXPECT_TRUE(test, mm_flags_test(MMF_HAS_PINNED, mm));
}

/* More pins of what is pinned. */
static void pins_added(struct kunit *test)
{
	struct folio *small = test_folio_alloc(test, 0);
	struct folio *large = test_folio_alloc(test, ORDER);
	struct folio *zero = page_folio(ZERO_PAGE(0));
	const long before = folio_fixture_pins();
	const int refs = folio_ref_count(zero);

	pin_folio(test, small, 1);
	pin_folio(test, large, 1);
	folio_add_pin(small);
	folio_add_pin(large);
	folio_add_pin(zero);
	KUNIT_EXPECT_EQ(test, 0, folio_add_pins(small, 2));
	KUNIT_EXPECT_EQ(test, 0, folio_add_pins(large, 3));
	KUNIT_EXPECT_EQ(test, folio_fixture_pins(), before + 7);
	KUNIT_EXPECT_EQ(test, folio_ref_count(small), 1 + 4 * GUP_PIN_COUNTING_BIAS);
	expect_left(test, large, 5);
	KUNIT_EXPECT_EQ(test, folio_ref_count(zero), refs);

	unpin_user_folio(small, 4);
	unpin_user_folio(large, 4);
	KUNIT_EXPECT_EQ(test, folio_ref_count(small), 1);
	KUNIT_EXPECT_FALSE(test, folio_maybe_dma_pinned(small));
	expect_left(test, large, 1);
	unpin_folio(large);
	expect_left(test, large, 0);
	/* Those of folio_add_pin() have not been counted. */
	KUNIT_EXPECT_EQ(test, folio_fixture_pins(), before - 2);
	node_stat_mod_folio(small, NR_FOLL_PIN_ACQUIRED, 2);
}

/* What has been unpinned already is left out: of pages those from the first on. */
static void unpin_gaps(struct kunit *test)
{
	struct folio *one = test_folio_alloc(test, ORDER);
	struct folio *other = test_folio_alloc(test, ORDER);
	struct page *pages[] = {
		NULL, NULL, folio_page(one, 0), folio_page(one, 1), folio_page(one, 2),
		folio_page(other, 3),
	};
	struct folio *folios[] = { NULL, one, one, NULL, other, NULL, NULL, one };

	pin_folio(test, one, 4);
	pin_folio(test, other, 2);
	unpin_user_pages(pages, ARRAY_SIZE(pages));
	expect_left(test, one, 1);
	expect_left(test, other, 1);

	pin_folio(test, one, 3);
	pin_folio(test, other, 1);
	unpin_folios(folios, ARRAY_SIZE(folios));
	expect_left(test, one, 1);
	expect_left(test, other, 1);
	unpin_folio(one);
	unpin_folio(other);
}

/* A range of two folios is unpinned, and marked dirty, in both. */
static void unpin_range_of_folios(struct kunit *test)
{
	struct page *pages = test_pages_alloc(test, GFP_KERNEL, 1);
	unsigned int i;

	for (i = 0; i < 2; i++)
		pin_folio(test, page_folio(pages + i), 1);
	unpin_user_page_range_dirty_lock(pages, 2, true);
	for (i = 0; i < 2; i++) {
		struct folio *folio = page_folio(pages + i);

		KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 1);
		KUNIT_EXPECT_TRUE(test, folio_test_dirty(folio));
		KUNIT_EXPECT_FALSE(test, folio_test_locked(folio));
		folio_clear_dirty(folio);
	}
}

static struct kunit_case pin_user_pages_cases[] = {
	KUNIT_CASE_PARAM_ARRAY(fork_after_pin, fork_ways),
	KUNIT_CASE_PARAM_ARRAY(fork_before_pin, fork_ways),
	KUNIT_CASE_PARAM_ARRAY(another_process, remotes),
	KUNIT_CASE_PARAM_ARRAY(read_only, read_only_memories),
	KUNIT_CASE_PARAM_ARRAY(read_only_untouched, anon_ways),
	KUNIT_CASE_PARAM_ARRAY(zero_page, anon_ways),
	KUNIT_CASE_PARAM_ARRAY(migrates_what_is_there, memories),
	KUNIT_CASE_PARAM_ARRAY(first_touch_is_outside, memories),
	KUNIT_CASE(data_stays_dirty),
	KUNIT_CASE_PARAM_ARRAY(marks_what_it_touches, anon_ways),
	KUNIT_CASE_PARAM_ARRAY(by_force, anon_ways),
#if defined(CONFIG_MEM_SOFT_DIRTY) && defined(CONFIG_TRANSPARENT_HUGEPAGE)
	KUNIT_CASE_PARAM_ARRAY(force_is_noticed, watched),
#endif
	KUNIT_CASE_PARAM_ARRAY(not_by_force, anon_ways),
	KUNIT_CASE_PARAM_ARRAY(dump_skips_untouched, dumped),
	KUNIT_CASE(dump_makes_no_tables),
	KUNIT_CASE_PARAM_ARRAY(several_mappings, anon_ways),
	KUNIT_CASE_PARAM_ARRAY(found_by_pin, hidden),
	KUNIT_CASE_PARAM_ARRAY(not_merged, by_device),
	KUNIT_CASE(merged_into_zero_page),
	KUNIT_CASE_PARAM_ARRAY(mlocked, in_batch),
	KUNIT_CASE_PARAM_ARRAY(munmap_under_pin, anon_ways),
	KUNIT_CASE_PARAM_ARRAY(dontneed_under_pin, anon_ways),
	KUNIT_CASE_PARAM_ARRAY(truncate_under_pin, memfd_ways),
	KUNIT_CASE_PARAM_ARRAY(hole_under_pin, memfd_ways),
	KUNIT_CASE_PARAM_ARRAY(partly_mapped, anon_ways),
	KUNIT_CASE_PARAM_ARRAY(refused, refusals),
	KUNIT_CASE(out_of_range),
	KUNIT_CASE_PARAM_ARRAY(flags_refused, gup_ways),
	KUNIT_CASE(references_are_short),
	KUNIT_CASE_PARAM_ARRAY(no_more_references, memories),
	KUNIT_CASE(fast_flags),
	KUNIT_CASE(folios_refused),
	KUNIT_CASE_PARAM_ARRAY(folios_of_part, parts),
	KUNIT_CASE_PARAM_ARRAY(unpin_dirty, dirty_ways),
	KUNIT_CASE(unpin_parts_of_folios),
	KUNIT_CASE(unpin_range_in_folio),
	KUNIT_CASE(unpin_range_of_folios),
	KUNIT_CASE(unpin_gaps),
	KUNIT_CASE(unpin_of_error),
	KUNIT_CASE(page_of_kernel),
	KUNIT_CASE(references_are_no_pins),
	KUNIT_CASE(pins_added),
	{}
};

static struct kunit_suite pin_user_pages_suite = {
	.name = "pin_user_pages",
	.init = user_pages_init,
	.test_cases = pin_user_pages_cases,
};

kunit_test_suite(pin_user_pages_suite);

MODULE_DESCRIPTION("KUnit tests for what pins of user pages take and leave");
MODULE_LICENSE("GPL");
