// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests for longterm pins from end to end: user pages in ZONE_MOVABLE
 * are moved out of it and pinned, or not pinned and left in peace.
 */

#include <linux/cpumask.h>
#include <linux/fail_folio_hold.h>
#include <linux/hrtimer.h>
#include <linux/mmap_lock.h>
#include <linux/sched/mm.h>
#include <linux/swap.h>
#include <linux/workqueue.h>
#include <uapi/linux/memfd.h>

#include "../internal.h"
#include "folio_fixture.h"
#include "user_pages.h"

/* Pages to pin, and the one that a case is about. */
#define NR_PAGES	4
#define THE_PAGE	1

/* More points of fault injection than a pin can meet. */
#define TOO_MANY	1000

/* How to pin what, with an extra reference that lasts so long. */
struct longterm_pin_param {
	const struct user_memory *memory;
	const struct pin_way *way;
	unsigned int delay_ms;
};

static const struct longterm_pin_param ways[] = {
	{ &user_memory_anon, &pin_way_locked },
	{ &user_memory_anon, &pin_way_unlocked },
	{ &user_memory_anon, &pin_way_try_fast },
	{ &user_memory_anon, &pin_way_remote },
	{ &user_memory_shmem, &pin_way_locked },
	{ &user_memory_shmem, &pin_way_try_fast },
	{ &user_memory_memfd, &pin_way_unlocked },
	{ &user_memory_memfd, &pin_way_try_fast },
	{ &user_memory_memfd, &pin_way_folios },
#ifdef CONFIG_TRANSPARENT_HUGEPAGE
	{ &user_memory_thp, &pin_way_locked },
	{ &user_memory_thp, &pin_way_try_fast },
	{ &user_memory_memfd_large, &pin_way_locked },
	{ &user_memory_memfd_large, &pin_way_folios },
#endif
#ifdef CONFIG_HUGETLB_PAGE
	{ &user_memory_hugetlb, &pin_way_try_fast },
	{ &user_memory_hugetlb, &pin_way_folios },
#endif
#ifdef CONFIG_CMA
	{ &user_memory_cma, &pin_way_locked },
	{ &user_memory_cma, &pin_way_folios },
#endif
};

/* One way for each kind of memory. */
static const struct longterm_pin_param memories[] = {
	{ &user_memory_anon, &pin_way_locked },
	{ &user_memory_shmem, &pin_way_try_fast },
	{ &user_memory_memfd, &pin_way_folios },
};

/* Beside a writer.  The last one lasts longer than any pin waits. */
static const struct longterm_pin_param writers[] = {
	{ &user_memory_anon, &pin_way_locked, 500 },
	{ &user_memory_anon, &pin_way_unlocked, 500 },
	{ &user_memory_anon, &pin_way_try_fast, 500 },
	{ &user_memory_anon, &pin_way_remote, 500 },
	{ &user_memory_memfd, &pin_way_folios, 500 },
	{ &user_memory_anon, &pin_way_locked, 20000 },
};

static const struct longterm_pin_param delays[] = {
	{ &user_memory_anon, &pin_way_locked, 10 },
	{ &user_memory_anon, &pin_way_unlocked, 100 },
	{ &user_memory_anon, &pin_way_try_fast, 900 },
	{ &user_memory_shmem, &pin_way_try_fast, 10 },
	{ &user_memory_shmem, &pin_way_remote, 100 },
	{ &user_memory_memfd, &pin_way_try_fast, 100 },
	{ &user_memory_memfd, &pin_way_folios, 10 },
	{ &user_memory_memfd, &pin_way_folios, 900 },
#ifdef CONFIG_TRANSPARENT_HUGEPAGE
	{ &user_memory_thp, &pin_way_try_fast, 100 },
#endif
#ifdef CONFIG_CMA
	{ &user_memory_cma, &pin_way_folios, 10 },
#endif
};

#define WAY_DESC	"%s-%s", p->memory->name, p->way->name

PARAM_ARRAY(ways, WAY_DESC);
PARAM_ARRAY(memories, WAY_DESC);

#define DELAY_DESC	"%s-%s-%ums", p->memory->name, p->way->name, p->delay_ms

PARAM_ARRAY(delays, DELAY_DESC);
PARAM_ARRAY(writers, DELAY_DESC);

/* How many pages to pin: as many as fit in a folio, if that is large. */
static unsigned int nr_pages(const struct user_memory *memory)
{
	return max(NR_PAGES, 1 << memory->order);
}

/* Movable pages are moved out, pinned there, and given back. */
static void moves_out(struct kunit *test)
{
	const struct longterm_pin_param *p = test->param_value;
	struct user_pages *up = user_pages_make(test, p->memory, nr_pages(p->memory));

	user_pages_pin(up, p->way, FOLL_LONGTERM);

	expect_pinned(up);
	expect_pin_did_not_sleep(up);
	expect_unpins(up);
}

/* Pages that the pin faults in are allocated where they may stay. */
static void untouched_pages(struct kunit *test)
{
	const struct longterm_pin_param *p = test->param_value;
	struct user_pages *up = user_pages_map(test, p->memory, nr_pages(p->memory));

	user_pages_pin(up, p->way, FOLL_LONGTERM);

	/* Huge pages come from a pool, and all of this one would have to move. */
	if (p->memory->memfd_flags & MFD_HUGETLB) {
		KUNIT_EXPECT_EQ(test, up->rc,
				p->way == &pin_way_folios ? -ENOMEM : -EFAULT);
		expect_pins(up, 0);
		return;
	}
	/* A memfd gets small folios where nobody has mapped it. */
	if (p->memory->memfd && p->way == &pin_way_folios)
		up->memory = &user_memory_memfd;
	expect_pinned(up);
	expect_unpins(up);
}

/* A second pin leaves pages where the first has put them. */
static void already_outside(struct kunit *test)
{
	const struct longterm_pin_param *p = test->param_value;
	struct user_pages *up = user_pages_make(test, p->memory, nr_pages(p->memory));
	struct folio *folios[NR_PAGES];
	struct folio_hold *hold;
	unsigned int i;

	user_pages_pin(up, p->way, FOLL_LONGTERM);
	expect_pinned(up);
	user_pages_unpin(up);
	for (i = 0; i < NR_PAGES; i++)
		folios[i] = user_pages_folio(up, i);

	/* An extra reference does not matter then. */
	hold = folio_hold(test, folios[THE_PAGE], 1, 0);
	user_pages_pin(up, p->way, FOLL_LONGTERM);
	folio_hold_join(hold);

	expect_pinned(up);
	expect_pin_did_not_sleep(up);
	for (i = 0; i < NR_PAGES; i++)
		KUNIT_EXPECT_PTR_EQ(test, user_pages_folio(up, i), folios[i]);
}

/* A pin would retry for ever while a page is isolated. */
static void assert_put_back(struct kunit *test, struct folio *folio)
{
	lru_add_drain_all();
	KUNIT_ASSERT_TRUE(test, folio_test_lru(folio));
}

/*
 * The pin failed and left everything as it was, and succeeds once the reference is
 * gone.
 */
static void expect_fails_until_dropped(struct user_pages *up,
				       const struct pin_way *way,
				       struct folio_hold *hold)
{
	struct kunit *test = up->test;

	KUNIT_EXPECT_EQ(test, up->rc, -ENOMEM);
	KUNIT_EXPECT_FALSE(test, completion_done(&hold->dropped));
	KUNIT_EXPECT_PTR_EQ(test, user_pages_folio(up, min(THE_PAGE, up->nr - 1)), hold->folio);
	folio_hold_join(hold);
	expect_not_pinned(up);
	assert_put_back(test, hold->folio);

	user_pages_pin(up, way, FOLL_LONGTERM);
	expect_pinned(up);
	expect_pin_did_not_sleep(up);
	expect_unpins(up);
}

/* The pin takes as long as the hold, or fails without a wait. */
static void expect_pin_waits_for(struct user_pages *up, const struct pin_way *way,
				 struct folio_hold *hold)
{
	struct kunit *test = up->test;

	if (!wait_promises()->wait) {
		user_pages_pin(up, way, FOLL_LONGTERM);
		expect_pin_did_not_sleep(up);
		expect_fails_until_dropped(up, way, hold);
		return;
	}
	folio_hold_release(hold);
	user_pages_pin(up, way, FOLL_LONGTERM);
	folio_hold_join(hold);

	KUNIT_EXPECT_GE(test, up->ended_at, hold->dropped_at);
	expect_pin_took(up, hold->delay,
			ktime_add(hold->delay, ticks_to_ktime(2)));
	expect_pinned(up);
	expect_unpins(up);
}

/* The pin takes as long as the extra reference is held. */
static void transient_reference(struct kunit *test)
{
	const struct longterm_pin_param *p = test->param_value;
	struct user_pages *up = user_pages_make(test, p->memory, nr_pages(p->memory));
	struct folio_hold *hold = folio_hold(test,
					     user_pages_folio(up, THE_PAGE), 1,
					     p->delay_ms);

	expect_pin_waits_for(up, p->way, hold);
}

/* A lasting reference makes the pin fail, and no page is pinned. */
static void lasting_reference(struct kunit *test)
{
	const struct longterm_pin_param *p = test->param_value;
	const struct wait_promises *promises = wait_promises();
	const unsigned int attempts = wait_attempts();
	struct folio_hold *hold;
	struct user_pages *up;

	folio_fixture_needs_virtual_time(test, 10);

	up = user_pages_make(test, p->memory, NR_PAGES);
	hold = folio_hold(test, user_pages_folio(up, THE_PAGE), 1, 0);
	user_pages_pin(up, p->way, FOLL_LONGTERM);

	if (promises->wait)
		expect_pin_took(up, ticks_to_ktime(attempts * promises->wait),
				ticks_to_ktime(attempts * wait_at_most(promises->wait)));
	else
		expect_pin_did_not_sleep(up);
	expect_fails_until_dropped(up, p->way, hold);
}

/* When the writer wants mmap_lock, after the pin has begun. */
#define WRITER_MS	60

/**
 * struct writer - takes mmap_lock for writing, as mmap() and munmap() do
 * @mm: whose lock
 * @came_at: when it asked for the lock
 * @had_at: when it got it
 * @done: complete when it has had the lock
 */
struct writer {
	struct mm_struct *mm;
	ktime_t came_at;
	ktime_t had_at;
	struct completion done;
};

static int writer_fn(void *data)
{
	ktime_t delay = ms_to_ktime(WRITER_MS);
	struct writer *writer = data;

	set_current_state(TASK_UNINTERRUPTIBLE);
	schedule_hrtimeout(&delay, HRTIMER_MODE_REL);
	writer->came_at = ktime_get();
	mmap_write_lock(writer->mm);
	writer->had_at = ktime_get();
	mmap_write_unlock(writer->mm);
	complete_all(&writer->done);
	return 0;
}

KUNIT_DEFINE_ACTION_WRAPPER(mmdrop_action, mmdrop, struct mm_struct *);

static struct writer *writer_start(struct kunit *test)
{
	struct writer *writer = test_zalloc(test, sizeof(*writer));

	init_completion(&writer->done);
	writer->mm = current->mm;
	mmgrab(writer->mm);
	test_cleanup(test, mmdrop_action, writer->mm);
	test_thread(test, writer_fn, writer, "mmap_lock_writer");
	return writer;
}

/*
 * A limit of the series: a pin whose caller holds mmap_lock waits with it held, and
 * blocks writers.
 */
static void writer_meanwhile(struct kunit *test)
{
	const struct longterm_pin_param *p = test->param_value;
	const struct wait_promises *promises = wait_promises();
	const unsigned int attempts = wait_attempts();
	const unsigned int longest_ms =
		jiffies_to_msecs(attempts * wait_at_most(promises->wait));
	const bool lasts = promises->wait && p->delay_ms > longest_ms;
	ktime_t waited, most, until;
	struct folio_hold *hold;
	struct writer *writer;
	struct user_pages *up;

	if (p->delay_ms > MSEC_PER_SEC)
		folio_fixture_needs_virtual_time(test, p->delay_ms / MSEC_PER_SEC);

	up = user_pages_make(test, p->memory, NR_PAGES);
	hold = folio_hold(test, user_pages_folio(up, THE_PAGE), 1, p->delay_ms);
	if (promises->wait)
		folio_hold_release(hold);
	writer = writer_start(test);
	user_pages_pin(up, p->way, FOLL_LONGTERM);
	wait_for_completion(&writer->done);
	waited = ktime_sub(writer->had_at, writer->came_at);
	if (!promises->wait) {
		KUNIT_EXPECT_LE(test, waited, late_by(1));
		expect_pin_did_not_sleep(up);
		expect_fails_until_dropped(up, p->way, hold);
		return;
	}
	folio_hold_join(hold);

	if (lasts) {
		until = ktime_add(up->began_at, ticks_to_ktime(attempts * promises->wait));
		most = ms_to_ktime(longest_ms - WRITER_MS);
		KUNIT_EXPECT_EQ(test, up->rc, -ENOMEM);
	} else {
		until = hold->dropped_at;
		most = ktime_add(ms_to_ktime(p->delay_ms - WRITER_MS), ticks_to_ktime(2));
		expect_pinned(up);
	}
	if (!p->way->holds_mmap_lock) {
		most = ticks_to_ktime(1);
	} else if (nobody_else_runs()) {
		/* Or the writer may come before the pin, or after it. */
		KUNIT_EXPECT_LE(test, ktime_sub(writer->came_at, up->began_at),
				ktime_add(ms_to_ktime(WRITER_MS), ticks_to_ktime(1)));
		KUNIT_EXPECT_GE(test, writer->had_at, until);
	}
	KUNIT_EXPECT_LE(test, waited, ktime_add(most, late_by(0)));
	expect_unpins(up);
}

static const struct folio_drop short_pin_ends = {
	.name = "unpin_folio", .refs = 1, .pin = true, .drop = drop_unpin_folio,
};

/* A short pin, as of direct I/O, is just another transient reference. */
static void transient_pin(struct kunit *test)
{
	struct user_pages *up = user_pages_make(test, &user_memory_anon, NR_PAGES);
	struct folio_hold *hold = folio_hold_how(test,
						 user_pages_folio(up, THE_PAGE),
						 &short_pin_ends,
						 &exec_contexts[0], 100);

	expect_pin_waits_for(up, &pin_way_try_fast, hold);
}

/*
 * More drops than attempts, and each wakes the waiter: it has to check whether the
 * drop was the last.
 */
static void dropped_one_by_one(struct kunit *test)
{
	const struct wait_promises *promises = wait_promises();
	const unsigned int nr = wait_attempts() + 2;
	/* Others would have moved after the first failure, and the fast way would take them. */
	struct user_pages *up = user_pages_make(test, &user_memory_anon, 1);
	struct folio *folio = user_pages_folio(up, 0);
	struct folio_hold *hold;
	unsigned int i;

	for (i = 1; i <= nr; i++) {
		hold = folio_hold(test, folio, 1, 10 * i);
		if (i == nr)
			break;
		if (promises->wait) {
			folio_hold_release(hold);
			continue;
		}
		/* Failing often does no harm. */
		user_pages_pin(up, &pin_way_try_fast, FOLL_LONGTERM);
		KUNIT_EXPECT_EQ(test, up->rc, -ENOMEM);
		assert_put_back(test, folio);
		folio_hold_join(hold);
	}
	expect_pin_waits_for(up, &pin_way_try_fast, hold);
}

KUNIT_DEFINE_ACTION_WRAPPER(unpin_action, unpin_user_page, struct page *);

/* One page has a longterm pin already: it stays, the others are moved to it. */
static void pinned_neighbour(struct kunit *test)
{
	struct user_pages *up = user_pages_make(test, &user_memory_anon, NR_PAGES);
	unsigned int i;
	struct page *neighbour;

	KUNIT_ASSERT_EQ(test, 1,
			pin_user_pages_fast(up->addr + THE_PAGE * PAGE_SIZE, 1,
					    FOLL_WRITE | FOLL_LONGTERM,
					    &neighbour));
	test_cleanup(test, unpin_action, neighbour);
	expect_pins(up, 1);
	user_pages_pin(up, &pin_way_try_fast, FOLL_LONGTERM);

	KUNIT_EXPECT_EQ(test, up->rc, NR_PAGES);
	if (up->rc == NR_PAGES) {
		KUNIT_EXPECT_PTR_EQ(test, up->pages[THE_PAGE], neighbour);
		for (i = 0; i < NR_PAGES; i++)
			expect_page_pinned(up, i, i == THE_PAGE ? 2 : 1);
	}
	expect_pins(up, NR_PAGES + 1);
	expect_pin_did_not_sleep(up);
	kunit_release_action(test, unpin_action, neighbour);
	expect_pinned(up);
}

/* A short pin takes the page where it is, held or not. */
static void short_pin(struct kunit *test)
{
	struct user_pages *up = user_pages_make(test, &user_memory_anon, NR_PAGES);
	struct folio *folios[NR_PAGES];
	struct folio_hold *hold;
	unsigned int i;

	for (i = 0; i < NR_PAGES; i++)
		folios[i] = user_pages_folio(up, i);
	hold = folio_hold(test, folios[THE_PAGE], 1, 0);
	user_pages_pin(up, &pin_way_try_fast, 0);

	KUNIT_EXPECT_EQ(test, up->rc, NR_PAGES);
	KUNIT_EXPECT_FALSE(test, completion_done(&hold->dropped));
	expect_pin_did_not_sleep(up);
	for (i = 0; i < NR_PAGES; i++) {
		KUNIT_EXPECT_PTR_EQ(test, user_pages_folio(up, i), folios[i]);
		KUNIT_EXPECT_TRUE(test, folio_is_zone_movable(folios[i]));
		KUNIT_EXPECT_TRUE(test, folio_maybe_dma_pinned(folios[i]));
	}
	expect_pins(up, NR_PAGES);
	user_pages_unpin(up);
	folio_hold_join(hold);
	expect_not_pinned(up);
}

/* Pages that were just faulted in are in a batch, not on the LRU yet. */
static void lru_batch_adds(struct kunit *test)
{
	const struct longterm_pin_param *p = test->param_value;
	struct user_pages *up = user_pages_map(test, p->memory, NR_PAGES);

	/* A full batch is drained. */
	lru_add_drain_all();
	user_pages_fill(up, NR_PAGES);
	KUNIT_ASSERT_FALSE(test, folio_test_lru(user_pages_folio(up, THE_PAGE)));
	user_pages_pin(up, p->way, FOLL_LONGTERM);

	expect_pinned(up);
	expect_pin_did_not_sleep(up);
}

/*
 * The only page is isolated elsewhere: there is nothing to migrate, which is no
 * success.  The pin tries again until the page is put back.
 */
static void isolated_by_another(struct kunit *test)
{
	struct user_pages *up = user_pages_make(test, &user_memory_anon, 1);
	struct folio *folio = user_pages_folio(up, 0);
	struct foreign_isolation *iso;

	folio_fixture_needs_key(test);
	iso = foreign_isolation(test, folio);
	user_pages_pin(up, &pin_way_try_fast, FOLL_LONGTERM);

	KUNIT_EXPECT_TRUE(test, completion_done(&iso->put_back));
	expect_pinned(up);
	expect_unpins(up);
}

/* A task with a fatal signal pending gets no pin, but for the folios of a memfd. */
static void fatal_signal(struct kunit *test)
{
	const struct longterm_pin_param *p = test->param_value;
	struct user_pages *up = user_pages_make(test, p->memory, nr_pages(p->memory));
	struct folio *folio = user_pages_folio(up, THE_PAGE);

	user_pages_pin_killed(up, p->way, FOLL_LONGTERM, 0);

	if (p->way == &pin_way_folios) {
		expect_pinned(up);
		user_pages_unpin(up);
	} else {
		KUNIT_EXPECT_EQ(test, up->rc, -EINTR);
		KUNIT_EXPECT_PTR_EQ(test, user_pages_folio(up, THE_PAGE), folio);
	}
	expect_not_pinned(up);
}

/*
 * A fatal signal fails the pin.  A limit of the series: the signal does not end the
 * wait, and is only checked after the pages were moved.
 */
static void killed_during_wait(struct kunit *test)
{
	struct user_pages *up = user_pages_make(test, &user_memory_anon, NR_PAGES);
	const unsigned int killed_ms = 100;
	struct folio_hold *hold;
	ktime_t end;

	folio_fixture_needs_wait(test);
	hold = folio_hold(test, user_pages_folio(up, THE_PAGE), 1, 500);
	end = hold->delay;
	folio_hold_release(hold);
	user_pages_pin_killed(up, &pin_way_try_fast, FOLL_LONGTERM, killed_ms);
	folio_hold_join(hold);

	KUNIT_EXPECT_LT(test, up->rc, 0);
	if (wait_promises()->killable) {
		end = ms_to_ktime(killed_ms);
	} else {
		KUNIT_EXPECT_EQ(test, up->rc, -EINTR);
		KUNIT_EXPECT_GE(test, up->ended_at, hold->dropped_at);
	}
	expect_pin_took(up, end, ktime_add(end, ticks_to_ktime(2)));
	expect_not_pinned(up);
}

/*
 * Pins pages of which some have to be moved and some to be allocated, with a
 * fault at the n-th point.  Returns whether there is such a point.
 */
static bool pin_with_fault(struct kunit *test,
			   const struct longterm_pin_param *p, unsigned int n,
			   unsigned int *failures)
{
	struct user_pages *up = user_pages_map(test, p->memory, NR_PAGES);
	u64 fired = 0;

	if (IS_ENABLED(CONFIG_FAIL_FOLIO_HOLD))
		fired = fail_folio_hold_fired();
	user_pages_fill(up, NR_PAGES / 2);
	up->fail_nth = n;
	user_pages_pin(up, p->way, FOLL_LONGTERM);
	fail_folio_hold_drain();

	if (IS_ENABLED(CONFIG_FAIL_FOLIO_HOLD) && fail_folio_hold_fired() != fired)
		KUNIT_EXPECT_EQ(test, up->rc < 0, !wait_promises()->wait);
	if (up->rc < 0) {
		KUNIT_EXPECT_EQ(test, up->rc, -ENOMEM);
		KUNIT_EXPECT_EQ(test, up->fail_nth, 0);
		++*failures;
	} else {
		expect_some_pinned(up);
		if (up->fail_nth)
			KUNIT_EXPECT_EQ(test, up->rc, NR_PAGES);
		user_pages_unpin(up);
	}
	expect_not_pinned(up);
	return !up->fail_nth;
}

/*
 * Whichever allocation fails, only pages that are returned are pinned.  An injected
 * reference is transient, and fails the pin without a wait.
 */
static void any_fault(struct kunit *test)
{
	const struct longterm_pin_param *p = test->param_value;
	unsigned int n, failures = 0;

	folio_wakeup_key_keep(test);
	if (IS_ENABLED(CONFIG_FAIL_FOLIO_HOLD)) {
		fail_folio_hold_borrow(test);
		fail_folio_hold_last(USEC_PER_MSEC);
	}
	allocations_can_fail(test);

	for (n = 1; n < TOO_MANY && pin_with_fault(test, p, n, &failures); n++)
		;
	KUNIT_EXPECT_LT_MSG(test, n, TOO_MANY, "there is no end of faults");
	/* At least the destination of each page that has to move. */
	KUNIT_EXPECT_GE(test, failures, NR_PAGES / 2);
}

static long rotate_folio(void *folio)
{
	folio_rotate_reclaimable(folio);
	return 0;
}

/* Puts a folio that is on the LRU into a batch, which holds a reference on it. */
static void lru_batch_add(struct kunit *test, struct folio *folio, int cpu)
{
	const int refs = folio_ref_count(folio);

	KUNIT_ASSERT_EQ(test, 0, work_on_cpu(cpu, rotate_folio, folio));
	KUNIT_ASSERT_EQ(test, folio_ref_count(folio), refs + 1);
	KUNIT_ASSERT_TRUE(test, folio_test_lru(folio));
}

/* A batch of some CPU holds a reference on a page that is on the LRU. */
static void lru_batch_holds(struct kunit *test)
{
	const int cpu = cpumask_last(cpu_online_mask);
	struct user_pages *up = user_pages_make(test, &user_memory_anon, NR_PAGES);

	lru_batch_add(test, user_pages_folio(up, THE_PAGE), cpu);
	user_pages_pin(up, &pin_way_try_fast, FOLL_LONGTERM);

	expect_pinned(up);
	expect_pin_did_not_sleep(up);
}

/* While no page has an extra reference no LRU batch is drained. */
static void lru_batch_left_alone(struct kunit *test)
{
	struct user_pages *up = user_pages_make(test, &user_memory_anon, NR_PAGES);
	struct user_pages *other = user_pages_make(test, &user_memory_anon, 1);
	struct folio *folio = user_pages_folio(other, 0);
	int refs;

	lru_batch_add(test, folio, raw_smp_processor_id());
	refs = folio_ref_count(folio);
	user_pages_pin(up, &pin_way_try_fast, FOLL_LONGTERM);

	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), refs);
	expect_pinned(up);
}

static struct kunit_case longterm_pin_cases[] = {
	KUNIT_CASE_PARAM_ARRAY(moves_out, ways),
	KUNIT_CASE_PARAM_ARRAY(untouched_pages, ways),
	KUNIT_CASE_PARAM_ARRAY(already_outside, ways),
	KUNIT_CASE_PARAM_ARRAY_SLOW(transient_reference, delays),
	KUNIT_CASE_PARAM_ARRAY_SLOW(lasting_reference, memories),
	KUNIT_CASE_PARAM_ARRAY_SLOW(writer_meanwhile, writers),
	KUNIT_CASE(transient_pin),
	KUNIT_CASE(dropped_one_by_one),
	KUNIT_CASE(pinned_neighbour),
	KUNIT_CASE(short_pin),
	KUNIT_CASE(isolated_by_another),
	KUNIT_CASE_PARAM_ARRAY(fatal_signal, ways),
	KUNIT_CASE(killed_during_wait),
	KUNIT_CASE_PARAM_ARRAY(any_fault, memories),
	KUNIT_CASE_PARAM_ARRAY(lru_batch_adds, memories),
	KUNIT_CASE(lru_batch_holds),
	KUNIT_CASE(lru_batch_left_alone),
	{}
};

static struct kunit_suite longterm_pin_suite = {
	.name = "longterm_pin",
	.init = user_pages_init,
	.test_cases = longterm_pin_cases,
};

kunit_test_suite(longterm_pin_suite);

MODULE_DESCRIPTION("KUnit tests for longterm pins from end to end");
MODULE_LICENSE("GPL");
