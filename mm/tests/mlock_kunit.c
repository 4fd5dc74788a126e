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

/* Of these only this part is locked, and each folio of it, once. */
static void expect_part_locked(struct user_pages *up, const struct part *part)
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
}

/* The same, and nothing else has been locked since. */
static void expect_locked(struct user_pages *up, const struct counters *before,
			  unsigned long locked_before, const struct part *part)
{
	struct kunit *test = up->test;

	expect_part_locked(up, part);
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

/* Whether each page is there, without touching it. */
static void expect_populated(struct user_pages *up, bool due)
{
	unsigned int i;

	for (i = 0; i < up->nr; i++)
		KUNIT_EXPECT_EQ_MSG(up->test, !!user_pages_folio(up, i), due, "page %u", i);
}

/* Locked when they are touched: nothing is there before, and mlock() makes up for it. */
static void on_fault(struct kunit *test)
{
	struct user_pages *up = user_pages_map(test, &user_memory_anon, NR_PAGES);
	const unsigned long locked = current->mm->locked_vm;
	struct counters *before = counters_read(test);

	KUNIT_EXPECT_EQ(test, -EINVAL, test_syscall(__NR_mlock2, up->addr,
						    NR_PAGES * PAGE_SIZE, MLOCK_ONFAULT << 1));
	KUNIT_EXPECT_FALSE(test, is_locked(up, 0));
	KUNIT_EXPECT_EQ(test, 0, test_syscall(__NR_mlock2, up->addr, NR_PAGES * PAGE_SIZE,
					      MLOCK_ONFAULT));
	expect_populated(up, false);
	KUNIT_EXPECT_EQ(test, current->mm->locked_vm - locked, NR_PAGES);
	user_pages_write(up, 1, 0x11);
	lru_add_drain_all();
	expect_zone_change(before, folio_zonenum(user_pages_folio(up, 1)), NR_MLOCK, 1);

	KUNIT_EXPECT_EQ(test, 0, lock_pages(up, __NR_mlock, 0, NR_PAGES));
	expect_locked(up, before, locked, &everything);
	KUNIT_EXPECT_EQ(test, 0, lock_pages(up, __NR_munlock, 0, NR_PAGES));
	expect_locked(up, before, locked, &nothing);
}

/**
 * struct all_param - a way to lock all memory of an mm
 * @name: short name without spaces
 * @flags: of mlockall()
 * @old: what is mapped already is locked
 * @new: what is mapped later is
 * @populates: what is locked is there at once
 */
struct all_param {
	const char *name;
	int flags;
	bool old;
	bool new;
	bool populates;
};

static const struct all_param all_params[] = {
	{ "current", MCL_CURRENT, true, false, true },
	{ "future", MCL_FUTURE, false, true, true },
	{ "both", MCL_CURRENT | MCL_FUTURE, true, true, true },
	{ "current-on-fault", MCL_CURRENT | MCL_ONFAULT, true, false, false },
	{ "future-on-fault", MCL_FUTURE | MCL_ONFAULT, false, true, false },
	{ "both-on-fault", MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT, true, true, false },
};

PARAM_ARRAY(all_params, "%s", p->name);

/* Of all memory it is locked what the flags say; munlockall() ends that for good. */
static void all(struct kunit *test)
{
	const struct all_param *p = test->param_value;
	struct user_pages *old = user_pages_map(test, &user_memory_anon, NR_PAGES);
	const unsigned long locked = current->mm->locked_vm;
	struct counters *before = counters_read(test);
	struct user_pages *new, *later;

	KUNIT_ASSERT_EQ(test, 0, test_syscall(__NR_mlockall, p->flags));
	new = user_pages_map(test, &user_memory_anon, NR_PAGES);
	expect_populated(old, p->old && p->populates);
	expect_populated(new, p->new && p->populates);
	KUNIT_EXPECT_EQ(test, current->mm->locked_vm - locked, (p->old + p->new) * NR_PAGES);

	user_pages_fill(old, NR_PAGES);
	user_pages_fill(new, NR_PAGES);
	expect_part_locked(old, p->old ? &everything : &nothing);
	expect_part_locked(new, p->new ? &everything : &nothing);
	expect_zone_change(before, folio_zonenum(user_pages_folio(new, 0)), NR_MLOCK,
			   (p->old + p->new) * NR_PAGES);

	KUNIT_EXPECT_EQ(test, 0, test_syscall(__NR_munlockall));
	later = user_pages_make(test, &user_memory_anon, NR_PAGES);
	expect_locked(old, before, locked, &nothing);
	expect_locked(new, before, locked, &nothing);
	expect_locked(later, before, locked, &nothing);
}

/* Flags that say nothing, or that nobody knows, lock nothing. */
static void all_refused(struct kunit *test)
{
	static const int refused[] = { 0, MCL_ONFAULT, MCL_CURRENT | MCL_ONFAULT << 1 };
	struct user_pages *up = user_pages_map(test, &user_memory_anon, NR_PAGES);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(refused); i++)
		KUNIT_EXPECT_EQ_MSG(test, -EINVAL, test_syscall(__NR_mlockall, refused[i]),
				    "flags %#x", refused[i]);
	KUNIT_EXPECT_FALSE(test, is_locked(up, 0));
}

#define LIMIT	4

/**
 * struct limit_param - a range to be locked where a part is locked already
 * @name: short name without spaces
 * @locked: the first page that is locked
 * @nr_locked: how many are
 * @first: the first page to be locked
 * @nr: how many are to be
 * @rc: what comes of it, with a limit of LIMIT pages
 */
struct limit_param {
	const char *name;
	unsigned int locked;
	unsigned int nr_locked;
	unsigned int first;
	unsigned int nr;
	long rc;
};

static const struct limit_param limit_params[] = {
	{ "up-to-it", 0, 0, 1, 4, 0 },
	{ "over-it", 0, 0, 1, 5, -ENOMEM },
	{ "behind", 0, 2, 2, 2, 0 },
	{ "behind-over-it", 0, 2, 2, 3, -ENOMEM },
	{ "again", 1, 4, 1, 4, 0 },
	{ "inside", 0, 4, 1, 2, 0 },
	{ "around", 1, 2, 0, 4, 0 },
	{ "around-over-it", 1, 3, 0, 5, -ENOMEM },
	{ "begins-before", 2, 2, 0, 3, 0 },
	{ "begins-before-over-it", 2, 3, 0, 4, -ENOMEM },
	{ "ends-behind", 0, 3, 1, 3, 0 },
	{ "ends-behind-over-it", 0, 3, 2, 3, -ENOMEM },
};

PARAM_ARRAY(limit_params, "%s", p->name);

/* Without a privilege there is a limit, and what is locked already counts once. */
static void limited(struct kunit *test)
{
	const struct limit_param *p = test->param_value;
	struct user_pages *up = user_pages_make(test, &user_memory_anon, NR_PAGES);
	const unsigned long locked = current->mm->locked_vm;
	unsigned int i, nr = 0;

	user_limit_locked(test, locked + LIMIT);
	KUNIT_ASSERT_EQ(test, 0, lock_pages(up, __NR_mlock, p->locked, p->nr_locked));
	KUNIT_EXPECT_EQ(test, p->rc, lock_pages(up, __NR_mlock, p->first, p->nr));
	for (i = 0; i < NR_PAGES; i++) {
		const bool due = i - p->locked < p->nr_locked ||
				 (!p->rc && i - p->first < p->nr);

		KUNIT_EXPECT_EQ_MSG(test, is_locked(up, i), due, "page %u", i);
		nr += due;
	}
	KUNIT_EXPECT_EQ(test, current->mm->locked_vm - locked, nr);
}

/* The limit is that of all memory for mlockall(), and none at all refuses each call. */
static void all_limited(struct kunit *test)
{
	struct user_pages *up = user_pages_make(test, &user_memory_anon, NR_PAGES);

	user_limit_locked(test, current->mm->total_vm - 1);
	KUNIT_EXPECT_EQ(test, -ENOMEM, test_syscall(__NR_mlockall, MCL_CURRENT));
	KUNIT_EXPECT_FALSE(test, is_locked(up, 0));
	KUNIT_EXPECT_EQ(test, 0, test_syscall(__NR_mlockall, MCL_FUTURE));
	user_limit_locked(test, current->mm->total_vm);
	KUNIT_EXPECT_EQ(test, 0, test_syscall(__NR_mlockall, MCL_CURRENT));
	KUNIT_EXPECT_TRUE(test, is_locked(up, 0));

	user_limit_locked(test, 0);
	KUNIT_EXPECT_EQ(test, -EPERM, test_syscall(__NR_mlockall, MCL_CURRENT));
	KUNIT_EXPECT_EQ(test, -EPERM, lock_pages(up, __NR_mlock, 0, 1));
	KUNIT_EXPECT_EQ(test, 0, test_syscall(__NR_munlockall));
	KUNIT_EXPECT_FALSE(test, is_locked(up, 0));
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
	KUNIT_CASE(on_fault),
	KUNIT_CASE_PARAM_ARRAY(all, all_params),
	KUNIT_CASE(all_refused),
	KUNIT_CASE_PARAM_ARRAY(limited, limit_params),
	KUNIT_CASE(all_limited),
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
