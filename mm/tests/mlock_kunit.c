// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests for mlock() and its relatives: which pages of a range are locked, whatever
 * was locked before, and what the counters say.
 *
 * The batches that locked folios wait in are lru_batch's.
 */

#include <linux/mman.h>
#include <linux/mm.h>
#include <linux/swap.h>

#include <asm/unistd.h>

#include "counters.h"
#include "folio_fixture.h"
#include "user_pages.h"

#define NR_PAGES	6

/* A part of the range. */
struct part {
	const char *name;
	unsigned int first;
	unsigned int nr;
};

static const struct part parts[] = {
	{ "none", 0, 0 },
	{ "first", 0, 2 },
	{ "middle", 2, 2 },
	{ "last", 4, 2 },
	{ "all", 0, NR_PAGES },
};

PARAM_ARRAY(parts, "%s", p->name);

static long lock_pages(const struct user_pages *up, unsigned int nr_call,
		       unsigned int first, unsigned int nr)
{
	return nr ? test_syscall(nr_call, up->addr + first * PAGE_SIZE, nr * PAGE_SIZE) : 0;
}

static bool is_locked(const struct user_pages *up, unsigned int i)
{
	struct vm_area_struct *vma;
	bool locked;

	mmap_read_lock(current->mm);
	vma = vma_lookup(current->mm, up->addr + i * PAGE_SIZE);
	locked = vma && vma->vm_flags & VM_LOCKED;
	mmap_read_unlock(current->mm);
	return locked;
}

/* Of the range only this part is locked, and each folio of it, once. */
static void expect_locked(struct user_pages *up, const struct counters *before,
			  unsigned long locked_before, const struct part *part)
{
	struct kunit *test = up->test;
	unsigned int i;

	lru_add_drain_all();
	for (i = 0; i < up->nr; i++) {
		const bool due = i - part->first < part->nr;
		struct folio *folio = user_pages_folio(up, i);

		KUNIT_EXPECT_EQ_MSG(test, is_locked(up, i), due, "page %u", i);
		KUNIT_ASSERT_NOT_NULL(test, folio);
		KUNIT_EXPECT_EQ_MSG(test, folio_test_mlocked(folio), due, "page %u", i);
		KUNIT_EXPECT_EQ_MSG(test, folio_test_unevictable(folio), due, "page %u", i);
		if (due)
			KUNIT_EXPECT_EQ_MSG(test, folio->mlock_count, 1, "page %u", i);
	}
	KUNIT_EXPECT_EQ(test, current->mm->locked_vm - locked_before, part->nr);
	expect_zone_change(before, folio_zonenum(user_pages_folio(up, 0)),
			   NR_MLOCK, part->nr);
}

static const struct part nothing = { "none", 0, 0 };
static const struct part everything = { "all", 0, NR_PAGES };

/* A range of which a part is locked already is locked as a whole, and unlocked again. */
static void part_locked_before(struct kunit *test)
{
	const struct part *part = test->param_value;
	struct user_pages *up = user_pages_make(test, &user_memory_anon, NR_PAGES);
	const unsigned long locked = current->mm->locked_vm;
	struct counters *before = counters_read(test);

	KUNIT_EXPECT_EQ(test, 0, lock_pages(up, __NR_mlock, part->first, part->nr));
	expect_locked(up, before, locked, part);
	KUNIT_EXPECT_EQ(test, 0, lock_pages(up, __NR_mlock, 0, NR_PAGES));
	expect_locked(up, before, locked, &everything);
	KUNIT_EXPECT_EQ(test, 0, lock_pages(up, __NR_munlock, 0, NR_PAGES));
	expect_locked(up, before, locked, &nothing);
}

/* Unlocking a part leaves the rest locked; a range of which a part is unlocked already. */
static void part_unlocked_before(struct kunit *test)
{
	const struct part *part = test->param_value;
	struct user_pages *up = user_pages_make(test, &user_memory_anon, NR_PAGES);
	const unsigned long locked = current->mm->locked_vm;
	struct counters *before = counters_read(test);
	unsigned int i, end = part->first + part->nr;

	KUNIT_EXPECT_EQ(test, 0, lock_pages(up, __NR_mlock, 0, NR_PAGES));
	KUNIT_EXPECT_EQ(test, 0, lock_pages(up, __NR_munlock, part->first, part->nr));
	for (i = 0; i < NR_PAGES; i++)
		KUNIT_EXPECT_EQ_MSG(test, is_locked(up, i), i < part->first || i >= end,
				    "page %u", i);
	KUNIT_EXPECT_EQ(test, current->mm->locked_vm - locked, NR_PAGES - part->nr);
	KUNIT_EXPECT_EQ(test, 0, lock_pages(up, __NR_munlock, 0, NR_PAGES));
	expect_locked(up, before, locked, &nothing);
}

/* Nobody has touched the pages: they are there when they are locked. */
static void untouched(struct kunit *test)
{
	struct user_pages *up = user_pages_map(test, &user_memory_anon, NR_PAGES);
	const unsigned long locked = current->mm->locked_vm;
	struct counters *before = counters_read(test);

	KUNIT_EXPECT_EQ(test, 0, lock_pages(up, __NR_mlock, 0, NR_PAGES));
	expect_locked(up, before, locked, &everything);
	KUNIT_EXPECT_EQ(test, 0, lock_pages(up, __NR_munlock, 0, NR_PAGES));
	expect_locked(up, before, locked, &nothing);
}

/* A gap in the range: what lies before it is locked, and the call fails. */
static void gap(struct kunit *test)
{
	struct user_pages *up = user_pages_make(test, &user_memory_anon, NR_PAGES);
	unsigned int i;

	KUNIT_ASSERT_EQ(test, 0, vm_munmap(up->addr + 2 * PAGE_SIZE, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, -ENOMEM, lock_pages(up, __NR_mlock, 0, NR_PAGES));
	for (i = 0; i < NR_PAGES; i++)
		KUNIT_EXPECT_EQ_MSG(test, is_locked(up, i), i < 2, "page %u", i);
	KUNIT_EXPECT_EQ(test, -ENOMEM, lock_pages(up, __NR_munlock, 0, NR_PAGES));
	KUNIT_EXPECT_FALSE(test, is_locked(up, 0));
}

/* A pin of locked pages moves them, and they are locked where they are then. */
static void pinned(struct kunit *test)
{
	struct user_pages *up = user_pages_make(test, &user_memory_anon, NR_PAGES);
	const unsigned long locked = current->mm->locked_vm;
	unsigned int i;

	KUNIT_EXPECT_EQ(test, 0, lock_pages(up, __NR_mlock, 0, NR_PAGES));
	user_pages_pin(up, &pin_way_locked, FOLL_LONGTERM);
	expect_pinned(up);
	lru_add_drain_all();
	for (i = 0; i < NR_PAGES; i++) {
		KUNIT_EXPECT_TRUE(test, folio_test_mlocked(user_pages_folio(up, i)));
		KUNIT_EXPECT_FALSE(test, folio_is_zone_movable(user_pages_folio(up, i)));
	}
	expect_unpins(up);
	KUNIT_EXPECT_EQ(test, 0, lock_pages(up, __NR_munlock, 0, NR_PAGES));
	lru_add_drain_all();
	for (i = 0; i < NR_PAGES; i++)
		KUNIT_EXPECT_FALSE(test, folio_test_mlocked(user_pages_folio(up, i)));
	KUNIT_EXPECT_EQ(test, current->mm->locked_vm, locked);
}

/* Far more than there are allocations in a call. */
#define TOO_MANY	200

/*
 * mlockall() locks what it can.  Whichever allocation fails, the mappings are whole
 * afterwards.
 */
static void all_with_fault(struct kunit *test)
{
	struct user_pages *one = user_pages_make(test, &user_memory_memfd, NR_PAGES);
	struct user_pages *other = user_pages_make(test, &user_memory_anon, NR_PAGES);
	/* What fails there must not harm the mapping behind it. */
	struct user_pages *up = one->addr < other->addr ? one : other;
	const unsigned long locked = current->mm->locked_vm;
	unsigned int i, n, left = 0;

	allocations_can_fail(test);
	for (n = 1; n < TOO_MANY && !left; n++) {
		long rc;

		KUNIT_ASSERT_EQ(test, 0, lock_pages(up, __NR_mlock, 0, 2));
		set_fail_nth(n);
		rc = test_syscall(__NR_mlockall, MCL_CURRENT);
		left = set_fail_nth(0);
		KUNIT_EXPECT_EQ(test, rc, 0);
		KUNIT_ASSERT_EQ(test, 0, test_syscall(__NR_munlockall));
		for (i = 0; i < NR_PAGES; i++) {
			KUNIT_EXPECT_FALSE(test, is_locked(up, i));
			KUNIT_EXPECT_NOT_NULL(test, user_pages_folio(up, i));
		}
		KUNIT_EXPECT_EQ(test, current->mm->locked_vm, locked);
	}
	KUNIT_EXPECT_LT_MSG(test, n, TOO_MANY, "there is no end of allocations");
	KUNIT_EXPECT_GT_MSG(test, n, 2, "no allocation has failed");
}

static struct kunit_case mlock_cases[] = {
	KUNIT_CASE_PARAM_ARRAY(part_locked_before, parts),
	KUNIT_CASE_PARAM_ARRAY(part_unlocked_before, parts),
	KUNIT_CASE(untouched),
	KUNIT_CASE(gap),
	KUNIT_CASE(pinned),
	KUNIT_CASE(all_with_fault),
	{}
};

static struct kunit_suite mlock_suite = {
	.name = "mlock",
	.init = user_pages_init,
	.test_cases = mlock_cases,
};

kunit_test_suite(mlock_suite);

MODULE_DESCRIPTION("KUnit tests for locked user memory");
MODULE_LICENSE("GPL");
