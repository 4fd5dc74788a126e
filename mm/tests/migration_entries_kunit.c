// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests for what processes do with memory whose pages are being migrated: fork(),
 * mprotect(), mremap(), munmap() and madvise() find migration entries in the place of
 * pages, and these have to become the right entries again.
 */

#include <linux/completion.h>
#include <linux/highmem.h>
#include <linux/hugetlb.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/rmap.h>
#include <linux/sched.h>
#include <linux/uaccess.h>
#include <linux/unistd.h>

#include "../internal.h"
#include "folio_fixture.h"
#include "page_entry.h"
#include "user_pages.h"

/* No page contains this after user_pages_fill(). */
#define NEWS		0x5a

static const struct user_memory * const memories[] = {
	&user_memory_anon,
	&user_memory_memfd,
#ifdef CONFIG_TRANSPARENT_HUGEPAGE
	&user_memory_thp,
#endif
#ifdef CONFIG_HUGETLB_PAGE
	&user_memory_hugetlb_private,
#endif
};

PARAM_ARRAY(memories, "%s", (*p)->name);

/**
 * struct unmapped - a folio whose entries are migration entries
 * @up: its pages
 * @folio: the folio, locked, with a reference of the test
 * @counter: counts its pages in an mm, -1 for none that the test looks at
 */
struct unmapped {
	struct user_pages *up;
	struct folio *folio;
	int counter;
};

static struct unmapped *make(struct kunit *test, const struct user_memory *memory)
{
	struct unmapped *u = test_zalloc(test, sizeof(*u));

	u->up = user_pages_make(test, memory, 1U << memory->order);
	u->folio = user_pages_folio(u->up, 0);
	u->counter = folio_test_hugetlb(u->folio) ? -1 : mm_counter(u->folio);
	test_folio_get(test, u->folio);
	return u;
}

static void unmap(struct unmapped *u)
{
	test_folio_lock(u->up->test, u->folio);
	try_to_migrate(u->folio, 0);
	KUNIT_ASSERT_FALSE(u->up->test, folio_mapped(u->folio));
}

static void map_again(struct unmapped *u)
{
	remove_migration_ptes(u->folio, u->folio, 0);
	test_folio_unlock(u->up->test, u->folio);
}

/* The user has the folio again, where @up says, and alone. */
static void expect_mapped(struct unmapped *u)
{
	struct kunit *test = u->up->test;

	KUNIT_EXPECT_PTR_EQ(test, user_pages_folio(u->up, 0), u->folio);
	test_folio_put(test, u->folio);
	expect_not_pinned(u->up);
}

static unsigned long size_of(struct unmapped *u)
{
	return u->up->nr * PAGE_SIZE;
}

static bool is_written_to(struct unmapped *u, unsigned int i)
{
	const u8 news = NEWS;

	return !copy_to_user((void __user *)(u->up->addr + i * PAGE_SIZE), &news, 1);
}

static u8 contents(struct unmapped *u, unsigned int i)
{
	const u8 *page = kmap_local_folio(u->folio, i * PAGE_SIZE);
	const u8 found = *page;

	kunmap_local(page);
	return found;
}

/* Parent and child share the page, and neither sees what the other one writes. */
static void forks(struct kunit *test)
{
	const struct user_memory * const *memory = test->param_value;
	struct unmapped *u = make(test, *memory);
	const bool anon = folio_test_anon(u->folio);
	const int mapcount = folio_mapcount(u->folio);
	const u8 before = user_pages_pattern(u->up, 0);
	struct user_fork *forked;

	unmap(u);
	forked = user_fork(u->up, 0);
	map_again(u);
	KUNIT_EXPECT_EQ(test, folio_mapcount(u->folio), mapcount << anon);
	if (anon)
		KUNIT_EXPECT_FALSE(test, PageAnonExclusive(folio_page(u->folio, 0)));
	if (anon && u->counter >= 0)
		KUNIT_EXPECT_EQ(test, entry_state(test, u->up->addr) & ENTRY_WRITE, 0);

	user_pages_write(u->up, 0, NEWS);
	KUNIT_EXPECT_EQ(test, contents(u, 0), anon ? before : NEWS);
	expect_fork_reads(forked, anon ? before : NEWS);
	KUNIT_EXPECT_EQ(test, user_pages_folio(u->up, 0) == u->folio, !anon);
	/* Of a huge page only what is written to is copied, but for hugetlbfs. */
	KUNIT_EXPECT_EQ(test, folio_mapcount(u->folio),
			!anon ? mapcount : u->counter < 0 ? 0 : u->up->nr - 1);
}

/**
 * struct access - a task in the mm of the test that needs a page
 * @addr: its address
 * @pins: it takes a reference, else it reads
 * @found: what it has read there
 * @rc: what it has been told: no bytes left, or one page
 * @done: complete when it has been
 */
struct access {
	unsigned long addr;
	bool pins;
	u8 found;
	long rc;
	struct completion done;
};

static void access_fn(struct test_task *task)
{
	struct access *a = task->data;
	struct page *page;

	if (a->pins) {
		a->rc = get_user_pages_unlocked(a->addr, 1, &page, FOLL_WRITE);
		if (a->rc == 1)
			put_page(page);
	} else {
		a->rc = copy_from_user(&a->found, (void __user *)a->addr, 1);
	}
	complete_all(&a->done);
}

/* Long enough for somebody who does not wait, in ticks. */
#define UNTIL_DONE	(HZ / 10)

/* Whoever needs a page waits until it is there again. */
static void is_needed(struct kunit *test)
{
	const struct user_memory * const *memory = test->param_value;
	struct unmapped *u = make(test, *memory);
	struct access accesses[] = { { .pins = false }, { .pins = true } };
	struct test_task *tasks[ARRAY_SIZE(accesses)];
	unsigned int i;

	unmap(u);
	for (i = 0; i < ARRAY_SIZE(accesses); i++) {
		accesses[i].addr = u->up->addr;
		init_completion(&accesses[i].done);
		tasks[i] = test_task_start(test, access_fn, &accesses[i], CLONE_VM);
		KUNIT_EXPECT_EQ(test, 0, wait_for_completion_timeout(&accesses[i].done,
								     UNTIL_DONE));
	}
	map_again(u);
	for (i = 0; i < ARRAY_SIZE(accesses); i++)
		test_task_join(tasks[i]);
	KUNIT_EXPECT_EQ(test, accesses[0].rc, 0);
	KUNIT_EXPECT_EQ(test, accesses[0].found, user_pages_pattern(u->up, 0));
	KUNIT_EXPECT_EQ(test, accesses[1].rc, 1);
	expect_mapped(u);
}

static void protect(struct unmapped *u, unsigned long prot)
{
	KUNIT_ASSERT_EQ(u->up->test, 0, test_syscall(__NR_mprotect, u->up->addr, size_of(u), prot));
}

/* What may not be written to any more is not, and what may again is not copied for that. */
static void is_protected(struct kunit *test)
{
	const struct user_memory * const *memory = test->param_value;
	struct unmapped *u = make(test, *memory);

	unmap(u);
	protect(u, PROT_READ);
	map_again(u);
	KUNIT_EXPECT_FALSE(test, is_written_to(u, 0));

	unmap(u);
	protect(u, PROT_READ | PROT_WRITE);
	map_again(u);
	KUNIT_EXPECT_TRUE(test, is_written_to(u, 0));
	KUNIT_EXPECT_EQ(test, contents(u, 0), NEWS);
	user_pages_write(u->up, 0, user_pages_pattern(u->up, 0));
	expect_mapped(u);
}

/* What is moved to another address is found there. */
static void is_moved(struct kunit *test)
{
	const struct user_memory * const *memory = test->param_value;
	struct unmapped *u = make(test, *memory);
	/* What is mapped there goes. */
	const unsigned long to = test_mmap_aligned(test, NULL, size_of(u),
						   MAP_PRIVATE | MAP_ANONYMOUS);

	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(to));
	unmap(u);
	KUNIT_ASSERT_EQ(test, to, test_syscall(__NR_mremap, u->up->addr, size_of(u), size_of(u),
					       MREMAP_MAYMOVE | MREMAP_FIXED, to));
	u->up->addr = to;
	map_again(u);
	expect_mapped(u);
}

/* What is unmapped meanwhile is nobody's afterwards, and counts as nothing. */
static void is_unmapped(struct kunit *test)
{
	const struct user_memory * const *memory = test->param_value;
	struct unmapped *u = make(test, *memory);
	const int others = folio_expected_ref_count(u->folio) - folio_mapcount(u->folio);
	long had = 0;

	if (u->counter >= 0)
		had = get_mm_counter_sum(current->mm, u->counter);
	unmap(u);
	if (u->counter >= 0)
		KUNIT_EXPECT_EQ(test, get_mm_counter_sum(current->mm, u->counter), had);
	KUNIT_ASSERT_EQ(test, 0, vm_munmap(u->up->addr, size_of(u)));
	if (u->counter >= 0)
		KUNIT_EXPECT_EQ(test, get_mm_counter_sum(current->mm, u->counter),
				had - u->up->nr);
	map_again(u);
	KUNIT_EXPECT_FALSE(test, folio_mapped(u->folio));
	lru_add_drain_all();
	KUNIT_EXPECT_EQ(test, folio_ref_count(u->folio), 1 + others);
}

#ifdef CONFIG_TRANSPARENT_HUGEPAGE
/* How a huge page of anonymous memory loses its one entry. */
static const int advices[] = { MADV_DONTNEED, MADV_NOHUGEPAGE };

PARAM_ARRAY(advices, "%s", *p == MADV_DONTNEED ? "given-up" : "advised");

/* A part is given up, or is a mapping of its own: the others are what they were. */
static void is_split(struct kunit *test)
{
	const int *advice = test->param_value;
	const bool gone = *advice == MADV_DONTNEED;
	const unsigned int lost = migration_entry_supports_ad() ? 0 : ENTRY_YOUNG | ENTRY_DIRTY;
	unsigned int state, i;

	for (state = 0; state < ENTRY_EXCLUSIVE; state++) {
		struct unmapped *u;
		unsigned int due;
		long rss;

		if (!entry_can_be(state))
			continue;
		u = make(test, &user_memory_thp);
		rss = get_mm_counter_sum(current->mm, MM_ANONPAGES);
		entry_set(test, u->up->addr, state);
		folio_clear_dirty(u->folio);
		unmap(u);
		KUNIT_ASSERT_EQ(test, 0, do_madvise(current->mm, u->up->addr +
						    (u->up->nr - 1) * PAGE_SIZE, PAGE_SIZE,
						    *advice));
		map_again(u);

		KUNIT_EXPECT_EQ(test, get_mm_counter_sum(current->mm, MM_ANONPAGES), rss - gone);
		KUNIT_EXPECT_EQ(test, folio_mapcount(u->folio), u->up->nr - gone);
		due = (state | ENTRY_EXCLUSIVE) & ~lost;
		for (i = 0; i < u->up->nr - gone; i++)
			KUNIT_EXPECT_EQ_MSG(test, entry_state(test, u->up->addr + i * PAGE_SIZE),
					    due, "page %u from %x", i, state);
		KUNIT_EXPECT_EQ(test, !!user_pages_folio(u->up, u->up->nr - 1), !gone);
		test_folio_put(test, u->folio);
		KUNIT_ASSERT_EQ(test, 0, vm_munmap(u->up->addr, size_of(u)));
	}
}
#endif

/* What is taken out of a file is taken from its users as well, but for their own copies. */
static void is_invalidated(struct kunit *test)
{
	struct unmapped *u = make(test, &user_memory_memfd);
	const long had = get_mm_counter_sum(current->mm, u->counter);

	unmap(u);
	unmap_mapping_range(u->up->file->f_mapping, 0, PAGE_SIZE, 0);
	KUNIT_EXPECT_EQ(test, get_mm_counter_sum(current->mm, u->counter), had - 1);
	map_again(u);
	KUNIT_EXPECT_FALSE(test, folio_mapped(u->folio));
}

static struct kunit_case migration_entries_cases[] = {
	KUNIT_CASE_PARAM_ARRAY(forks, memories),
	KUNIT_CASE_PARAM_ARRAY(is_needed, memories),
	KUNIT_CASE_PARAM_ARRAY(is_protected, memories),
	KUNIT_CASE_PARAM_ARRAY(is_moved, memories),
	KUNIT_CASE_PARAM_ARRAY(is_unmapped, memories),
	KUNIT_CASE(is_invalidated),
#ifdef CONFIG_TRANSPARENT_HUGEPAGE
	KUNIT_CASE_PARAM_ARRAY(is_split, advices),
#endif
	{}
};

static struct kunit_suite migration_entries_suite = {
	.name = "migration_entries",
	.init = user_pages_init,
	.test_cases = migration_entries_cases,
};

kunit_test_suite(migration_entries_suite);

MODULE_DESCRIPTION("KUnit tests for what processes do with migration entries");
MODULE_LICENSE("GPL");
