// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests for seals of memfds whose pages are pinned: who seals a file against
 * writing must not be told that nobody writes while a device may.
 */

/* First: linux/memfd.h needs its types and does not include it. */
#include <linux/mm.h>

#include <linux/fcntl.h>
#include <linux/fs.h>
#include <linux/hugetlb.h>
#include <linux/memfd.h>
#include <linux/mman.h>
#include <linux/swap.h>
#include <uapi/linux/memfd.h>

#include "../internal.h"
#include "folio_fixture.h"
#include "user_pages.h"

#define NR_PAGES	6

/*
 * Sealing waits in four steps, of which each may be a tick longer, or shorter if that
 * is late.  A clock event device rounds its ticks: 19 of them may take 128 ns more.
 */
#define LATE_WAIT_MS	110
#define LEAST_WAIT_MS	150
#define MOST_WAIT_MS	191

/* How long an extra reference lasts. */
#define HOLD_MS		20

static const struct user_memory small_pages = {
	.name = "small",
	.memfd = true,
	.memfd_flags = MFD_ALLOW_SEALING,
	.flags = MAP_SHARED,
};

#ifdef CONFIG_HUGETLB_PAGE
static const struct user_memory huge_pages = {
	.name = "hugetlb",
	.memfd = true,
	.memfd_flags = MFD_ALLOW_SEALING | MFD_HUGETLB,
	.flags = MAP_SHARED,
	.order = HPAGE_SHIFT - PAGE_SHIFT,
};
#endif

static long seals(const struct user_pages *up)
{
	return memfd_fcntl(up->file, F_GET_SEALS, 0);
}

static long seal(struct user_pages *up, unsigned int which)
{
	long rc;

	up->began_at = ktime_get();
	rc = memfd_fcntl(up->file, F_ADD_SEALS, which);
	up->ended_at = ktime_get();
	return rc;
}

static void expect_at_once(struct user_pages *up)
{
	expect_pin_took(up, 0, ms_to_ktime(1));
}

static void expect_waited(struct user_pages *up)
{
	KUNIT_EXPECT_GE(up->test, ktime_sub(up->ended_at, up->began_at),
			ms_to_ktime(LATE_WAIT_MS));
	expect_pin_took(up, ms_to_ktime(LEAST_WAIT_MS), ms_to_ktime(MOST_WAIT_MS));
}

/* Nobody maps them: a mapping that can be written to refuses the seal by itself. */
static struct user_pages *make_unmapped(struct kunit *test, const struct user_memory *memory)
{
	const unsigned int nr = memory->order ? 2U << memory->order : NR_PAGES;
	struct user_pages *up = user_pages_make(test, memory, nr);

	KUNIT_ASSERT_EQ(test, 0, vm_munmap(up->addr, nr * PAGE_SIZE));
	lru_add_drain_all();
	return up;
}

/**
 * struct pinned_param - what of a file is pinned
 * @name: short name without spaces
 * @memory: the kind of file
 * @first: the first of its folios that is
 * @nr: how many are
 */
struct pinned_param {
	const char *name;
	const struct user_memory *memory;
	unsigned int first;
	unsigned int nr;
};

static const struct pinned_param pinned_params[] = {
	{ "first", &small_pages, 0, 1 },
	{ "last", &small_pages, NR_PAGES - 1, 1 },
	{ "all", &small_pages, 0, NR_PAGES },
#ifdef CONFIG_HUGETLB_PAGE
	{ "hugetlb-first", &huge_pages, 0, 1 },
	{ "hugetlb-last", &huge_pages, 1, 1 },
	{ "hugetlb-all", &huge_pages, 0, 2 },
#endif
};

PARAM_ARRAY(pinned_params, "%s", p->name);

static void pin(struct user_pages *up, unsigned int first, unsigned int nr)
{
	const loff_t size = PAGE_SIZE << up->memory->order;
	pgoff_t offset;

	KUNIT_ASSERT_EQ(up->test, nr, memfd_pin_folios(up->file, first * size,
						       (first + nr) * size - 1, up->folios,
						       nr, &offset));
}

/* Maps the file so that it can be written to, and unmaps it. */
static long map(struct user_pages *up)
{
	const unsigned long size = up->nr * PAGE_SIZE;
	unsigned long addr = vm_mmap(up->file, 0, size, PROT_READ | PROT_WRITE, MAP_SHARED, 0);

	return IS_ERR_VALUE(addr) ? addr : vm_munmap(addr, size);
}

/* While anything is pinned the file cannot be sealed against writing; then it can. */
static void pinned(struct kunit *test)
{
	const struct pinned_param *p = test->param_value;
	struct user_pages *up = make_unmapped(test, p->memory);

	pin(up, p->first, p->nr);
	KUNIT_EXPECT_EQ(test, -EBUSY, seal(up, F_SEAL_WRITE));
	expect_waited(up);
	KUNIT_EXPECT_EQ(test, seals(up), 0);
	/* Once more: the first time has left nothing. */
	KUNIT_EXPECT_EQ(test, 0, map(up));
	KUNIT_EXPECT_EQ(test, -EBUSY, seal(up, F_SEAL_WRITE | F_SEAL_SHRINK));
	expect_waited(up);
	KUNIT_EXPECT_EQ(test, seals(up), 0);

	unpin_folios(up->folios, p->nr);
	KUNIT_EXPECT_EQ(test, 0, seal(up, F_SEAL_WRITE));
	expect_at_once(up);
	KUNIT_EXPECT_EQ(test, seals(up), F_SEAL_WRITE);
	KUNIT_EXPECT_EQ(test, -EPERM, map(up));
}

/* A reference that goes while it is waited for does no harm. */
static void transient_reference(struct kunit *test)
{
	struct user_pages *up = user_pages_make(test, &small_pages, NR_PAGES);
	struct folio *folio = user_pages_folio(up, NR_PAGES / 2);
	struct folio_hold *hold;
	long rc;

	KUNIT_ASSERT_EQ(test, 0, vm_munmap(up->addr, NR_PAGES * PAGE_SIZE));
	hold = folio_hold(test, folio, 1, HOLD_MS);
	folio_hold_release(hold);
	rc = seal(up, F_SEAL_WRITE);
	folio_hold_join(hold);
	/* In real time the holder may be late by more than sealing waits. */
	if (rc == -EBUSY && !waits_are_free()) {
		KUNIT_EXPECT_GE(test, ktime_sub(hold->dropped_at, up->began_at),
				ms_to_ktime(LATE_WAIT_MS));
		return;
	}
	KUNIT_EXPECT_EQ(test, rc, 0);
	KUNIT_EXPECT_GE(test, up->ended_at, hold->dropped_at);
	expect_pin_took(up, ms_to_ktime(HOLD_MS), ms_to_ktime(MOST_WAIT_MS));
	KUNIT_EXPECT_EQ(test, seals(up), F_SEAL_WRITE);
}

/* What waits in a batch for its list is drained, not waited for. */
static void lru_batch(struct kunit *test)
{
	struct user_pages *up = user_pages_make(test, &small_pages, NR_PAGES);
	struct folio *folio = user_pages_folio(up, 1);

	KUNIT_ASSERT_EQ(test, 0, vm_munmap(up->addr, NR_PAGES * PAGE_SIZE));
	lru_add_drain_all();
	deactivate_file_folio(folio);
	KUNIT_ASSERT_EQ(test, folio_ref_count(folio), 2);
	KUNIT_EXPECT_EQ(test, 0, seal(up, F_SEAL_WRITE));
	expect_at_once(up);
}

/* A mapping that can be written to refuses the seal at once, one that cannot does not. */
static void mapped(struct kunit *test)
{
	struct user_pages *up = user_pages_make(test, &small_pages, NR_PAGES);
	unsigned long addr;

	KUNIT_EXPECT_EQ(test, -EBUSY, seal(up, F_SEAL_WRITE));
	expect_at_once(up);
	KUNIT_EXPECT_EQ(test, seals(up), 0);

	addr = kunit_vm_mmap(test, up->file, 0, NR_PAGES * PAGE_SIZE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE, 0);
	KUNIT_ASSERT_NE(test, addr, 0);
	KUNIT_ASSERT_EQ(test, 0, vm_munmap(up->addr, NR_PAGES * PAGE_SIZE));
	lru_add_drain_all();
	KUNIT_EXPECT_EQ(test, 0, seal(up, F_SEAL_WRITE));
	KUNIT_EXPECT_EQ(test, seals(up), F_SEAL_WRITE);
}

/* Pinned pages of a private mapping are copies, which the seal does not concern. */
static void private_mapping_pinned(struct kunit *test)
{
	struct user_memory memory = small_pages;
	struct user_pages *up;

	memory.flags = MAP_PRIVATE;
	up = user_pages_make(test, &memory, NR_PAGES);
	user_pages_pin(up, &pin_way_unlocked, FOLL_LONGTERM);
	expect_pinned(up);
	KUNIT_EXPECT_EQ(test, 0, seal(up, F_SEAL_WRITE));
	expect_unpins(up);
}

/* A pin does not keep the size from being sealed, and the last seal ends all sealing. */
static void other_seals(struct kunit *test)
{
	struct user_pages *up = make_unmapped(test, &small_pages);
	const loff_t size = NR_PAGES * PAGE_SIZE;

	pin(up, 0, NR_PAGES);
	KUNIT_EXPECT_EQ(test, 0, seal(up, F_SEAL_SHRINK | F_SEAL_GROW));
	KUNIT_EXPECT_EQ(test, -EPERM, vfs_truncate(&up->file->f_path, size - PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, -EPERM, vfs_truncate(&up->file->f_path, size + PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, -EINVAL, seal(up, BIT(30)));
	unpin_folios(up->folios, NR_PAGES);

	KUNIT_EXPECT_EQ(test, 0, seal(up, F_SEAL_SEAL));
	KUNIT_EXPECT_EQ(test, -EPERM, seal(up, F_SEAL_WRITE));
	KUNIT_EXPECT_EQ(test, seals(up), F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
}

static struct kunit_case memfd_seals_cases[] = {
	KUNIT_CASE_PARAM_ARRAY(pinned, pinned_params),
	KUNIT_CASE(transient_reference),
	KUNIT_CASE(lru_batch),
	KUNIT_CASE(mapped),
	KUNIT_CASE(private_mapping_pinned),
	KUNIT_CASE(other_seals),
	{}
};

static struct kunit_suite memfd_seals_suite = {
	.name = "memfd_seals",
	.init = user_pages_init,
	.test_cases = memfd_seals_cases,
};

kunit_test_suite(memfd_seals_suite);

MODULE_DESCRIPTION("KUnit tests for seals of memfds whose pages are pinned");
MODULE_LICENSE("GPL");
