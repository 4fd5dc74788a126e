// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests for longterm pins of huge pages, transparent and of hugetlbfs: they move,
 * a fork leaves them to the process that has pinned them, and nobody finds in them what
 * others have left there.
 */

/* First: linux/memfd.h needs its types and does not include it. */
#include <linux/mm.h>

#include <linux/file.h>
#include <linux/highmem.h>
#include <linux/hugetlb.h>
#include <linux/memfd.h>
#include <linux/seqlock.h>
#include <linux/uaccess.h>
#include <uapi/linux/memfd.h>

#include "folio_fixture.h"
#include "user_pages.h"

/* The page that a case looks at, not the first of its folio. */
#define THE_PAGE	3

/* No page contains this after user_pages_fill(). */
#define NEWS		0x5a

static const struct user_memory * const memories[] = {
	&user_memory_thp,
	&user_memory_hugetlb_private,
};

PARAM_ARRAY(memories, "%s", (*p)->name);

static const struct pin_way * const ways[] = {
	&pin_way_locked,
	&pin_way_unlocked,
	&pin_way_try_fast,
	&pin_way_remote,
};

PARAM_ARRAY(ways, "%s", (*p)->name);

static struct user_pages *make(struct kunit *test, const struct user_memory *memory)
{
	return user_pages_make(test, memory, 1U << memory->order);
}

static u8 device_finds(struct user_pages *up)
{
	const u8 *page = kmap_local_page(up->pages[THE_PAGE]);
	const u8 found = *page;

	kunmap_local(page);
	return found;
}

/**
 * struct forked - what a child process finds
 * @up: the pages, which it has as well
 * @task: the process
 * @found: the first byte of THE_PAGE there
 * @left: how many bytes could not be read
 */
struct forked {
	struct user_pages *up;
	struct test_task *task;
	u8 found;
	unsigned long left;
};

static void forked_fn(struct test_task *task)
{
	struct forked *forked = task->data;

	test_task_await_go(task);
	forked->left = copy_from_user(&forked->found,
				      (void __user *)(forked->up->addr + THE_PAGE * PAGE_SIZE), 1);
}

/* The process that has pinned the page keeps it, and its child gets a copy. */
static void fork_after_pin(struct kunit *test)
{
	const struct user_memory * const *memory = test->param_value;
	struct forked *forked = test_zalloc(test, sizeof(*forked));
	struct user_pages *up = make(test, *memory);

	user_pages_pin(up, &pin_way_locked, FOLL_LONGTERM);
	expect_pinned(up);
	forked->up = up;
	forked->task = test_task_start(test, forked_fn, forked, 0);

	user_pages_write(up, THE_PAGE, NEWS);
	KUNIT_EXPECT_EQ(test, device_finds(up), NEWS);
	test_task_go(forked->task);
	test_task_join(forked->task);
	KUNIT_EXPECT_EQ(test, forked->left, 0);
	KUNIT_EXPECT_EQ(test, forked->found, user_pages_pattern(up, THE_PAGE));
	user_pages_unpin(up);
}

/* How many mappings a fork announces in write_protect_seq, which fast GUP looks at. */
static unsigned int forks_told(struct kunit *test)
{
	const unsigned int before = current->mm->write_protect_seq.sequence;
	struct test_task *task = test_task_start(test, test_task_await_go, NULL, 0);
	const unsigned int after = current->mm->write_protect_seq.sequence;

	test_task_go(task);
	test_task_join(task);
	KUNIT_EXPECT_EQ(test, after % 2, 0);
	return (after - before) / 2;
}

/* A fork announces each private mapping, so that fast GUP notices. */
static void fork_is_told(struct kunit *test)
{
	const struct user_memory * const *memory = test->param_value;
	unsigned int others;

	/* A fork needs something to copy. */
	user_pages_make(test, &user_memory_anon, 1);
	others = forks_told(test);
	make(test, *memory);
	KUNIT_EXPECT_EQ(test, forks_told(test), others + 1);
}

/* Each way moves them, as a whole. */
static void moves_out(struct kunit *test)
{
	const struct pin_way * const *way = test->param_value;
	struct user_pages *up = make(test, &user_memory_hugetlb_private);
	struct folio *folio = user_pages_folio(up, 0);

	KUNIT_ASSERT_TRUE(test, folio_test_anon(folio));
	KUNIT_ASSERT_TRUE(test, folio_is_zone_movable(folio));
	user_pages_pin(up, *way, FOLL_LONGTERM);
	expect_pinned(up);
	folio = page_folio(up->pages[0]);
	KUNIT_EXPECT_TRUE(test, folio_test_hugetlb(folio));
	KUNIT_EXPECT_FALSE(test, folio_is_zone_movable(folio));
	expect_unpins(up);
}

KUNIT_DEFINE_ACTION_WRAPPER(unpin_folio_action, unpin_folio, struct folio *);
KUNIT_DEFINE_ACTION_WRAPPER(fput_action, __fput_sync, struct file *);

static struct file *memfd(struct kunit *test)
{
	struct file *file = memfd_alloc_file("pin_huge", MFD_HUGETLB);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, file);
	test_cleanup(test, fput_action, file);
	KUNIT_ASSERT_EQ(test, 0, vfs_truncate(&file->f_path, HPAGE_SIZE));
	return file;
}

/* What its last user has left in a page of the pool is gone. */
static void memfd_is_cleared(struct kunit *test)
{
	struct user_pages *up = make(test, &user_memory_hugetlb);
	struct file *file = memfd(test);
	struct folio *folio, *old;
	pgoff_t offset;
	unsigned int i;

	/* It has moved to where another pin may take it from. */
	user_pages_pin(up, &pin_way_locked, FOLL_LONGTERM);
	expect_pinned(up);
	old = page_folio(up->pages[0]);
	user_pages_unpin(up);
	KUNIT_ASSERT_EQ(test, 0, vfs_truncate(&up->file->f_path, 0));

	KUNIT_ASSERT_EQ(test, 1, memfd_pin_folios(file, 0, HPAGE_SIZE - 1, &folio, 1, &offset));
	test_cleanup(test, unpin_folio_action, folio);
	KUNIT_ASSERT_PTR_EQ(test, folio, old);
	for (i = 0; i < folio_nr_pages(folio); i++) {
		void *page = kmap_local_folio(folio, i * PAGE_SIZE);

		KUNIT_EXPECT_NULL_MSG(test, memchr_inv(page, 0, PAGE_SIZE), "page %u", i);
		kunmap_local(page);
	}
}

static struct kunit_case pin_huge_cases[] = {
	KUNIT_CASE_PARAM_ARRAY(fork_after_pin, memories),
	KUNIT_CASE_PARAM_ARRAY(fork_is_told, memories),
	KUNIT_CASE_PARAM_ARRAY(moves_out, ways),
	KUNIT_CASE(memfd_is_cleared),
	{}
};

static struct kunit_suite pin_huge_suite = {
	.name = "pin_huge",
	.init = user_pages_init,
	.test_cases = pin_huge_cases,
};

kunit_test_suite(pin_huge_suite);

MODULE_DESCRIPTION("KUnit tests for longterm pins of huge pages");
MODULE_LICENSE("GPL");
