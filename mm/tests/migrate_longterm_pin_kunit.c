// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests for page migration before a longterm pin: it waits for transient
 * folio references.
 */

#include <linux/sched/mm.h>
#include <linux/shmem_fs.h>

#include "../internal.h"
#include "folio_fixture.h"

struct pin_param {
	const struct test_folio_kind *kind;
	unsigned int delay_ms;
};

/*
 * Around the end of a tick and of a wait, and longer than one wait but shorter than
 * all, so that a later attempt migrates.
 */
static const struct pin_param holds[] = {
	{ &test_folio_shmem, 0 },
	{ &test_folio_shmem, 1 },
	{ &test_folio_shmem, 10 },
	{ &test_folio_shmem, 100 },
	{ &test_folio_shmem, 500 },
	{ &test_folio_shmem, 900 },
	{ &test_folio_shmem, 1500 },
	{ &test_folio_shmem, 3500 },
	{ &test_folio_shmem, 8000 },
	{ &test_folio_anon_mapped, 0 },
	{ &test_folio_anon_mapped, 900 },
	{ &test_folio_anon_mapped, 8000 },
	{ &test_folio_clean[4], 900 },
	{ &test_folio_clean[4], 3500 },
};

PARAM_ARRAY(holds, "%s-%ums", p->kind->name, p->delay_ms);

/* Without an extra reference there is nothing to wait for. */
static void no_extra_reference(struct kunit *test)
{
	const struct test_folio_kind *kind = test_folio_kind_param(test);
	struct test_folio *tf = test_folio_make(test, kind);
	struct folio_migration *m = longterm_migration(test, MIGRATE_SYNC);

	folio_migration_add(m, tf);
	folio_migration_run(m);

	KUNIT_EXPECT_EQ(test, m->rc, 0);
	KUNIT_EXPECT_EQ(test, m->nr_succeeded, 1 << kind->order);
	KUNIT_EXPECT_TRUE(test, list_empty(&m->from));
	expect_did_not_wait(test, m);
	/* A folio without users counts as migrated when it is freed. */
	if (test_folio_has_users(tf))
		expect_migrated(test, tf);
}

/* The folio has migrated, after its hold ended. */
static void expect_migrated_after(struct kunit *test, struct folio_migration *m,
				  struct test_folio *tf, struct folio_hold *hold)
{
	KUNIT_EXPECT_EQ(test, m->rc, 0);
	KUNIT_EXPECT_EQ(test, m->nr_succeeded, 1 << tf->kind->order);
	KUNIT_EXPECT_TRUE(test, list_empty(&m->from));
	KUNIT_EXPECT_GE(test, m->ended_at, hold->dropped_at);
	expect_migrated(test, tf);
}

/* What a hold adds to the reference count. */
static int refs_of(const struct folio_hold *hold)
{
	if (hold->how && hold->how->pin && !folio_has_pincount(hold->folio))
		return hold->refs * GUP_PIN_COUNTING_BIAS;
	return hold->refs;
}

/*
 * Without a wait migration fails at once, and the next one succeeds after the drop.
 */
static void expect_fails_until_dropped(struct kunit *test,
				       struct folio_migration *m,
				       struct test_folio *tf,
				       struct folio_hold *hold)
{
	KUNIT_EXPECT_FALSE(test, completion_done(&hold->dropped));
	expect_failed_at_once(test, m, 1);
	expect_unharmed(test, tf, refs_of(hold));
	folio_hold_join(hold);
	if (test_folio_has_users(tf))
		expect_migrates_later(test, m);
}

static const struct folio_drop one_reference = {
	.name = "get-1", .refs = 1, .drop = drop_folio_put,
};

/* Migration takes as long as the folio is held, or fails without a wait. */
static void expect_waits_for(struct kunit *test,
			     const struct test_folio_kind *kind,
			     const struct folio_drop *how, unsigned int delay_ms)
{
	struct test_folio *tf = test_folio_make(test, kind);
	struct folio_hold *hold = folio_hold_how(test, tf->folio, how, NULL,
						 delay_ms);
	struct folio_migration *m = longterm_migration(test, MIGRATE_SYNC);

	folio_migration_add(m, tf);
	m->on_alloc = release_hold_on_alloc;
	m->data = hold;
	folio_migration_run(m);
	if (!wait_promises()->wait) {
		expect_fails_until_dropped(test, m, tf, hold);
		return;
	}
	folio_hold_join(hold);

	expect_took_hold(test, m, hold);
	expect_migrated_after(test, m, tf, hold);
}

static void every_kind_waits(struct kunit *test)
{
	expect_waits_for(test, test_folio_kind_param(test),
			 &one_reference, 50);
}

static void transient_reference(struct kunit *test)
{
	const struct pin_param *p = test->param_value;

	if (p->delay_ms > 1500)
		folio_fixture_needs_virtual_time(test, p->delay_ms / MSEC_PER_SEC);
	expect_waits_for(test, p->kind, &one_reference, p->delay_ms);
}

struct count_param {
	const struct test_folio_kind *kind;
	struct folio_drop how;
};

#define GET(_refs)	{ .name = "get-" #_refs, .refs = _refs, .drop = drop_folio_put }
#define PIN(_refs)	{ .name = "pin-" #_refs, .refs = _refs, .pin = true,	\
			  .drop = drop_unpin_folio }

/* On a small folio a pin counts as many references, a large one counts pins apart. */
static const struct count_param counts[] = {
	{ &test_folio_shmem, GET(2) },
	{ &test_folio_shmem, GET(64) },
	{ &test_folio_private, GET(64) },
	{ &test_folio_anon_mapped, GET(64) },
	{ &test_folio_clean[4], GET(64) },
	{ &test_folio_shmem, PIN(1) },
	{ &test_folio_shmem, PIN(2) },
	{ &test_folio_anon_mapped, PIN(1) },
	{ &test_folio_anon_mapped, PIN(64) },
	{ &test_folio_clean[4], PIN(1) },
	{ &test_folio_clean[4], PIN(64) },
};

PARAM_ARRAY(counts, "%s-%s", p->kind->name, p->how.name);

/* Any number of references, and of pins. */
static void references(struct kunit *test)
{
	const struct count_param *p = test->param_value;

	expect_waits_for(test, p->kind, &p->how, 50);
}

/* The reference is not dropped: each attempt waits until its timeout, and fails. */
static void expect_lasting_reference_fails(struct kunit *test,
					   const struct test_folio_kind *kind,
					   enum migrate_mode mode)
{
	struct test_folio *tf = test_folio_make(test, kind);
	struct folio_hold *hold = folio_hold(test, tf->folio, 1, 0);
	struct folio_migration *m = longterm_migration(test, mode);
	const struct wait_promises *p = wait_promises();
	const unsigned int attempts = wait_attempts();
	struct wakeup_spy *spy = wakeup_spy(test, tf->folio);

	folio_migration_add(m, tf);
	folio_migration_run(m);

	if (test_folio_counts_attempts(tf))
		KUNIT_EXPECT_EQ(test, tf->attempts, attempts);
	if (!p->wait) {
		expect_fails_until_dropped(test, m, tf, hold);
		KUNIT_EXPECT_EQ(test, spy->wakeups, 0);
		return;
	}
	KUNIT_EXPECT_EQ(test, m->rc, 1);
	KUNIT_EXPECT_EQ(test, m->nr_succeeded, 0);
	KUNIT_EXPECT_TRUE(test, list_is_singular(&m->from));
	KUNIT_EXPECT_FALSE(test, completion_done(&hold->dropped));
	expect_took_waits(test, m, attempts);

	folio_migration_putback(m);
	expect_unharmed(test, tf, 1);
}

static void lasting_reference(struct kunit *test)
{
	const struct test_folio_kind *kind = test_folio_kind_param(test);

	/* In real time one kind has to do. */
	if (kind != &test_folio_shmem)
		folio_fixture_needs_virtual_time(test, 10);
	expect_lasting_reference_fails(test, kind, MIGRATE_SYNC);
}

/* In asynchronous mode all attempts are of the one kind, and wait as well. */
static void lasting_reference_async(struct kunit *test)
{
	folio_fixture_needs_virtual_time(test, 10);
	expect_lasting_reference_fails(test, &test_folio_shmem, MIGRATE_ASYNC);
}

/* All extra references have to go, of all holders. */
static void several_references(struct kunit *test)
{
	struct test_folio *tf = test_folio_make(test, &test_folio_shmem);
	struct folio_hold *first = folio_hold(test, tf->folio, 3, 100);
	struct folio_hold *last = folio_hold(test, tf->folio, 2, 300);
	struct folio_migration *m = longterm_migration(test, MIGRATE_SYNC);

	folio_migration_add(m, tf);
	if (!wait_promises()->wait) {
		folio_migration_run(m);
		expect_failed_at_once(test, m, 1);
		expect_unharmed(test, tf, first->refs + last->refs);
		/* One extra reference is enough to fail. */
		folio_hold_join(first);
		folio_migration_again(m);
		expect_fails_until_dropped(test, m, tf, last);
		return;
	}
	folio_hold_release(first);
	folio_hold_release(last);
	folio_migration_run(m);
	folio_hold_join(first);
	folio_hold_join(last);

	KUNIT_EXPECT_EQ(test, m->rc, 0);
	KUNIT_EXPECT_GE(test, m->ended_at, first->dropped_at);
	expect_ended_with(test, m, last->dropped_at);
	expect_migrated(test, tf);
}

/* Both drop at the same moment, on several CPUs maybe at the same time. */
static void two_holders_at_once(struct kunit *test)
{
	struct test_folio *tf = test_folio_make(test, &test_folio_clean[0]);
	struct folio_hold *one = folio_hold(test, tf->folio, 1, 50);
	struct folio_hold *other = folio_hold(test, tf->folio, 1, 50);
	struct folio_migration *m = longterm_migration(test, MIGRATE_SYNC);

	folio_migration_add(m, tf);
	folio_migration_prolong(m);
	folio_migration_start(m);
	KUNIT_EXPECT_TRUE(test, folio_migration_waits(m, tf));
	folio_hold_release(one);
	folio_hold_release(other);
	folio_hold_join(one);
	folio_hold_join(other);
	folio_migration_go_on(m);
	folio_migration_join(m);

	expect_ended_with(test, m, max(one->dropped_at, other->dropped_at));
	expect_migrated_after(test, m, tf, one);
	expect_migrated_after(test, m, tf, other);
}

/*
 * The references are dropped and taken again before the waiter runs.  It is woken
 * each time, and must wait until they are gone for good: one attempt before, one
 * after.  On several CPUs the waiter may be faster, migrate, and have the retaking
 * lookup find the new folio.
 */
static void expect_waits_for_retaken(struct kunit *test, int refs,
				     unsigned int retakes, unsigned int delay_ms)
{
	struct test_folio *tf = test_folio_make(test, &test_folio_clean[0]);
	struct folio_hold *hold = folio_hold(test, tf->folio, refs, delay_ms);
	struct folio_migration *m = longterm_migration(test, MIGRATE_SYNC);
	const ktime_t lasts = (retakes + 1) * hold->delay;

	hold->retakes = retakes;
	folio_migration_add(m, tf);
	m->on_alloc = release_hold_on_alloc;
	m->data = hold;
	folio_migration_run(m);
	if (!wait_promises()->wait) {
		expect_fails_until_dropped(test, m, tf, hold);
		return;
	}
	folio_hold_join(hold);

	if (nobody_else_runs()) {
		KUNIT_EXPECT_EQ(test, hold->retaken, retakes);
		KUNIT_EXPECT_EQ(test, tf->attempts, 2);
		expect_took(test, m, lasts,
			    ktime_add(lasts, ticks_to_ktime(2)));
	} else {
		expect_took(test, m, hold->delay, lasts);
	}
	expect_migrated_after(test, m, tf, hold);
}

static void retaken_before_waiter_runs(struct kunit *test)
{
	expect_waits_for_retaken(test, 1, 1, 50);
}

static void retaken_often(struct kunit *test)
{
	expect_waits_for_retaken(test, 2, 10, 20);
}

/*
 * The timer wheel rounds long waits: those that begin at a multiple of this are
 * rounded alike.  It is exact up to 63 ticks, and adds one.
 */
#define TIMER_WHEEL_ALIGN	512

static void align_to_timer_wheel(void)
{
	unsigned long left;

	while ((left = -jiffies % TIMER_WHEEL_ALIGN) != 0)
		schedule_timeout_uninterruptible(min(left - 1, 62));
}

struct deadline_param {
	const char *name;
	int ticks;
	unsigned int least_attempts;
	unsigned int most_attempts;
};

/* At the deadline itself the waiter may run before the drop, or after it. */
static const struct deadline_param deadlines[] = {
	{ "before", -1, 2, 2 },
	{ "at", 0, 2, 3 },
	{ "after", 1, 3, 3 },
};

PARAM_ARRAY(deadlines, "%s", p->name);

/*
 * A drop about the deadline of the first wait is not lost: it ends that wait, or the
 * next one.
 */
static void dropped_about_deadline(struct kunit *test)
{
	const struct deadline_param *p = test->param_value;
	struct folio_migration *m;
	struct test_folio *tf;
	struct folio_hold *hold;
	ktime_t start, deadline;

	folio_fixture_needs_wait(test);
	folio_fixture_needs_virtual_time(test, 10);

	tf = test_folio_make(test, &test_folio_clean[0]);
	hold = folio_hold(test, tf->folio, 1, 0);
	m = longterm_migration(test, MIGRATE_SYNC);
	folio_migration_add(m, tf);
	m->on_alloc = release_hold_on_alloc;
	m->data = hold;

	align_to_timer_wheel();
	start = ktime_get();
	schedule_timeout_uninterruptible(wait_promises()->wait);
	deadline = ktime_sub(ktime_get(), start);
	hold->delay = ktime_add_ns(deadline, p->ticks * TICK_NSEC);
	align_to_timer_wheel();
	folio_migration_run(m);
	folio_hold_join(hold);

	KUNIT_EXPECT_GE(test, tf->attempts, p->least_attempts);
	KUNIT_EXPECT_LE(test, tf->attempts, p->most_attempts);
	expect_took(test, m, hold->delay, ktime_add(hold->delay, ticks_to_ktime(1)));
	expect_migrated_after(test, m, tf, hold);
}

/* The middle one of three folios is held: all migrate after its drop. */
static void one_held_of_several(struct kunit *test)
{
	struct folio_migration *m = longterm_migration(test, MIGRATE_SYNC);
	struct test_folio *tf[3];
	struct folio_hold *hold;
	int i;

	for (i = 0; i < ARRAY_SIZE(tf); i++)
		tf[i] = test_folio_make(test, &test_folio_shmem);
	hold = folio_hold(test, tf[1]->folio, 1, 500);
	for (i = 0; i < ARRAY_SIZE(tf); i++)
		folio_migration_add(m, tf[i]);
	m->on_alloc = release_hold_on_alloc;
	m->data = hold;
	folio_migration_run(m);
	if (!wait_promises()->wait) {
		expect_migrated(test, tf[0]);
		expect_migrated(test, tf[2]);
		expect_fails_until_dropped(test, m, tf[1], hold);
		return;
	}
	folio_hold_join(hold);

	KUNIT_EXPECT_EQ(test, m->rc, 0);
	KUNIT_EXPECT_EQ(test, m->nr_succeeded, ARRAY_SIZE(tf));
	KUNIT_EXPECT_GE(test, m->ended_at, hold->dropped_at);
	expect_took_hold(test, m, hold);
	for (i = 0; i < ARRAY_SIZE(tf); i++)
		expect_migrated(test, tf[i]);
}

/*
 * The folio is locked when migration comes to it, so it cannot even be unmapped.
 * The wait is for references, not for locks: without an extra one an attempt does
 * not wait, asynchronous migration fails, and the folio is unharmed.
 */
static void locked_folio_is_not_waited_for(struct kunit *test)
{
	struct test_folio *tf = test_folio_make(test, &test_folio_shmem);
	struct folio_migration *m = longterm_migration(test, MIGRATE_ASYNC);

	folio_migration_add(m, tf);
	test_folio_lock(test, tf->folio);
	folio_migration_run(m);
	test_folio_unlock(test, tf->folio);

	KUNIT_EXPECT_EQ(test, m->rc, 1);
	expect_did_not_wait(test, m);

	folio_migration_putback(m);
	expect_unharmed(test, tf, 0);
}

/* In synchronous mode the lock is waited for, and then the folio migrates. */
static void lock_is_waited_for(struct kunit *test)
{
	struct test_folio *tf = test_folio_make(test, &test_folio_shmem);
	struct folio_migration *m = longterm_migration(test, MIGRATE_SYNC);
	bool blocks;

	folio_migration_add(m, tf);
	test_folio_lock(test, tf->folio);
	folio_migration_start(m);
	blocks = folio_migration_blocks(m, tf);
	test_folio_unlock(test, tf->folio);
	folio_migration_join(m);

	KUNIT_EXPECT_TRUE(test, blocks);
	KUNIT_EXPECT_EQ(test, m->rc, 0);
	expect_migrated(test, tf);
}

static void become_reclaim(struct folio_migration *m)
{
	memalloc_noreclaim_save();
}

/*
 * The lock is not waited for by a task in reclaim, which may hold it, nor in light
 * mode while the folio is being read, which could take long.
 */
static void expect_lock_not_waited_for(struct kunit *test,
				       struct folio_migration *m, bool read_in)
{
	struct test_folio *tf = test_folio_make(test, &test_folio_shmem);
	bool blocks;

	folio_migration_add(m, tf);
	test_folio_lock(test, tf->folio);
	if (!read_in)
		folio_clear_uptodate(tf->folio);
	folio_migration_start(m);
	blocks = folio_migration_blocks(m, tf);
	folio_mark_uptodate(tf->folio);
	test_folio_unlock(test, tf->folio);
	folio_migration_join(m);

	KUNIT_EXPECT_FALSE(test, blocks);
	KUNIT_EXPECT_EQ(test, m->rc, 1);
	expect_did_not_wait(test, m);
	folio_migration_putback(m);
	expect_unharmed(test, tf, 0);
}

static void lock_is_not_waited_for_by_reclaim(struct kunit *test)
{
	struct folio_migration *m = longterm_migration(test, MIGRATE_SYNC);

	m->on_alloc = become_reclaim;
	expect_lock_not_waited_for(test, m, true);
}

static void lock_is_not_waited_for_while_read(struct kunit *test)
{
	struct folio_migration *m = longterm_migration(test, MIGRATE_SYNC_LIGHT);

	expect_lock_not_waited_for(test, m, false);
}

static const struct test_folio_kind * const locked_kinds[] = {
	&test_folio_shmem,
	&test_folio_private,
	&test_folio_anon_mapped,
	&test_folio_clean[2],
};

PARAM_ARRAY(locked_kinds, "%s", (*p)->name);

/* Migration of a locked folio waits for the reference, and then fails for the lock. */
static void expect_lock_fails_after_drop(struct kunit *test,
					 struct folio_migration *m,
					 struct test_folio *tf,
					 struct folio_hold *hold)
{
	if (!wait_promises()->wait) {
		expect_fails_until_dropped(test, m, tf, hold);
		return;
	}
	folio_hold_join(hold);

	KUNIT_EXPECT_EQ(test, m->rc, 1);
	KUNIT_EXPECT_GE(test, m->ended_at, hold->dropped_at);
	expect_took_hold(test, m, hold);

	folio_migration_putback(m);
	expect_unharmed(test, tf, 0);
}

/*
 * Locked, and with an extra reference: an attempt that finds the folio locked waits
 * for the reference, if the series waits.
 */
static void locked_and_held_folio(struct kunit *test)
{
	struct test_folio *tf = test_folio_make(test, test_folio_kind_param(test));
	struct folio_hold *hold = folio_hold(test, tf->folio, 1, 50);
	struct folio_migration *m = longterm_migration(test, MIGRATE_ASYNC);

	folio_migration_add(m, tf);
	m->on_alloc = release_hold_on_alloc;
	m->data = hold;
	test_folio_lock(test, tf->folio);
	folio_migration_run(m);
	test_folio_unlock(test, tf->folio);
	expect_lock_fails_after_drop(test, m, tf, hold);
}

/* Each locked folio is waited for, not only the first one. */
static void several_locked_and_held_folios(struct kunit *test)
{
	static const unsigned int delays_ms[] = { 0, 50 };
	struct folio_migration *m = longterm_migration(test, MIGRATE_ASYNC);
	struct folio_hold *holds[ARRAY_SIZE(delays_ms)];
	struct test_folio *tfs[ARRAY_SIZE(delays_ms)];
	const struct wait_promises *p = wait_promises();
	int i;

	for (i = 0; i < ARRAY_SIZE(delays_ms); i++) {
		tfs[i] = test_folio_make(test, &test_folio_shmem);
		holds[i] = folio_hold(test, tfs[i]->folio, 1, delays_ms[i]);
		folio_migration_add(m, tfs[i]);
	}
	for (i = 0; i < ARRAY_SIZE(delays_ms); i++) {
		test_folio_lock(test, tfs[i]->folio);
		if (p->wait)
			folio_hold_release(holds[i]);
	}
	folio_migration_run(m);
	for (i = 0; i < ARRAY_SIZE(delays_ms); i++)
		test_folio_unlock(test, tfs[i]->folio);

	if (p->wait) {
		KUNIT_EXPECT_EQ(test, m->rc, ARRAY_SIZE(delays_ms));
		folio_migration_putback(m);
	} else {
		expect_failed_at_once(test, m, ARRAY_SIZE(delays_ms));
	}
	for (i = 0; i < ARRAY_SIZE(delays_ms); i++) {
		folio_hold_join(holds[i]);
		if (p->wait)
			KUNIT_EXPECT_GE(test, m->ended_at, holds[i]->dropped_at);
		expect_unharmed(test, tfs[i], 0);
	}
	expect_migrates_later(test, m);
}

static void become_reclaim_and_release(struct folio_migration *m)
{
	become_reclaim(m);
	release_hold_on_alloc(m);
}

/*
 * In synchronous mode by a task in reclaim, which does not wait for the lock: these
 * attempts wait for references as well, and fail for the lock.
 */
static void locked_and_held_folio_sync(struct kunit *test)
{
	const struct wait_promises *p = wait_promises();
	struct folio_migration *m;
	struct test_folio *tf;
	struct folio_hold *hold;

	folio_fixture_needs_virtual_time(test, 4);
	tf = test_folio_make(test, &test_folio_shmem);
	hold = folio_hold(test, tf->folio, 1,
			  jiffies_to_msecs(p->async_attempts * wait_at_most(p->wait) +
					   p->wait / 2));
	m = longterm_migration(test, MIGRATE_SYNC);
	folio_migration_add(m, tf);
	m->on_alloc = become_reclaim_and_release;
	m->data = hold;
	test_folio_lock(test, tf->folio);
	folio_migration_start(m);
	folio_migration_join(m);
	test_folio_unlock(test, tf->folio);

	KUNIT_EXPECT_EQ(test, m->nr_allocs, wait_attempts());
	expect_lock_fails_after_drop(test, m, tf, hold);
}

struct writeback_param {
	const char *name;
	enum migrate_mode mode;
	bool migrates;
	unsigned int hold_ms;
};

static const struct writeback_param writebacks[] = {
	{ "sync", MIGRATE_SYNC, true, 0 },
	{ "sync-held", MIGRATE_SYNC, true, 150 },
	{ "sync_light", MIGRATE_SYNC_LIGHT, false, 0 },
	{ "sync_light-held", MIGRATE_SYNC_LIGHT, false, 150 },
	{ "async", MIGRATE_ASYNC, false, 0 },
	{ "async-held", MIGRATE_ASYNC, false, 150 },
};

PARAM_ARRAY(writebacks, "%s", p->name);

/* Longer than a loaded machine takes for a migration that does not wait. */
#define WRITEBACK_LASTS	(4 * HZ)

/*
 * Synchronous mode waits for writeback, then for references.  The other modes fail
 * at once, even with a reference to wait for.
 */
static void under_writeback(struct kunit *test)
{
	const struct writeback_param *p = test->param_value;
	struct test_folio *tf = test_folio_make(test, &test_folio_clean[0]);
	struct folio_hold *writeback = folio_hold_writeback(test, tf->folio, 50);
	struct folio_hold *hold = folio_hold(test, tf->folio, !!p->hold_ms,
					     p->hold_ms);
	struct folio_migration *m = longterm_migration(test, p->mode);
	const bool held = p->hold_ms && !wait_promises()->wait;

	folio_migration_add(m, tf);
	if (p->migrates) {
		folio_hold_release(writeback);
		if (!held)
			folio_hold_release(hold);
		folio_migration_run(m);
	} else {
		folio_migration_start(m);
		/* A kernel that waits for the end of writeback would hang. */
		wait_for_completion_timeout(&m->done, WRITEBACK_LASTS);
	}
	folio_hold_join(writeback);
	if (p->migrates && held) {
		KUNIT_EXPECT_EQ(test, m->rc, 1);
		expect_ended_with(test, m, writeback->dropped_at);
		folio_migration_putback(m);
		expect_unharmed(test, tf, 1);
		folio_hold_join(hold);
		expect_migrates_later(test, m);
		return;
	}
	folio_hold_join(hold);

	if (p->migrates) {
		expect_ended_with(test, m, max(writeback->dropped_at,
					       hold->dropped_at));
		expect_migrated_after(test, m, tf, writeback);
		if (p->hold_ms)
			expect_migrated_after(test, m, tf, hold);
	} else {
		folio_migration_join(m);
		KUNIT_EXPECT_EQ(test, m->rc, 1);
		KUNIT_EXPECT_LT(test, m->ended_at, writeback->dropped_at);
		KUNIT_EXPECT_LT(test, m->ended_at, hold->dropped_at);
		expect_did_not_wait(test, m);
		folio_migration_putback(m);
		expect_unharmed(test, tf, 0);
		expect_migrates_later(test, m);
	}
}

/*
 * Expected references are counted once, before the wait.  Here the folio is locked,
 * so that it stays mapped, and one more process maps it during the wait.
 * A limit of the series: the drop of the extra reference goes unnoticed, and the wait
 * lasts until its timeout.
 */
static void mapped_again_meanwhile(struct kunit *test)
{
	struct test_folio *tf = test_folio_make(test, &test_folio_anon_mapped);
	struct folio_hold *hold = folio_hold(test, tf->folio, 1, 0);
	struct folio_migration *m = longterm_migration(test, MIGRATE_ASYNC);
	const struct wait_promises *p = wait_promises();

	folio_migration_add(m, tf);
	folio_migration_prolong(m);
	test_folio_lock(test, tf->folio);
	folio_migration_start(m);
	KUNIT_EXPECT_TRUE(test, folio_migration_waits(m, tf));
	test_folio_fork(test, tf);
	test_folio_unlock(test, tf->folio);
	folio_hold_join(hold);
	folio_migration_go_on(m);
	folio_migration_join(m);

	if (p->recounts)
		expect_took(test, m, 0, ticks_to_ktime(p->wait / 2));
	else
		expect_took_waits(test, m, 1);
	expect_allocs(test, m, 2);
	expect_migrated_after(test, m, tf, hold);
}

/* Poll: there is no notification of an attempt. */
static bool comes_to_attempt(struct folio_migration *m, unsigned int nr)
{
	while (READ_ONCE(m->nr_allocs) < nr)
		if (wait_for_completion_timeout(&m->done, 1))
			break;
	return READ_ONCE(m->nr_allocs) >= nr;
}

/*
 * The other way round: one process unmaps the folio during the wait.
 * A limit of the series: that looks like the drop of the extra reference, and one
 * attempt is in vain.  Then the wait goes on.
 */
static void unmapped_meanwhile(struct kunit *test)
{
	const struct wait_promises *p = wait_promises();
	const unsigned int calls = p->wait && !p->recounts ? 3 : 2;
	struct test_folio *tf = test_folio_make(test, &test_folio_anon_shared);
	struct folio_hold *hold = folio_hold(test, tf->folio, 1, 100);
	struct folio_migration *m = longterm_migration(test, MIGRATE_ASYNC);

	folio_migration_add(m, tf);
	folio_migration_prolong(m);
	test_folio_lock(test, tf->folio);
	folio_migration_start(m);
	KUNIT_EXPECT_TRUE(test, folio_migration_waits(m, tf));
	test_folio_unfork(tf);
	KUNIT_EXPECT_TRUE(test, comes_to_attempt(m, calls - 1));
	KUNIT_EXPECT_TRUE(test, folio_migration_waits(m, tf));
	test_folio_unlock(test, tf->folio);
	folio_hold_join(hold);
	folio_migration_go_on(m);
	folio_migration_join(m);

	expect_allocs(test, m, calls);
	expect_ended_with(test, m, hold->dropped_at);
	KUNIT_EXPECT_GE(test, ktime_sub(m->ended_at, m->began_at),
			p->wait ? hold->delay : 0);
	/* On several CPUs it is looked at later, and the hold ends later. */
	if (nobody_else_runs())
		expect_took(test, m, 0, ktime_add(hold->delay, ticks_to_ktime(4)));
	expect_migrated_after(test, m, tf, hold);
}

/*
 * The holder has the folio locked and truncates it: the references of the page cache
 * go at once, and fewer are left than were expected.
 */
static void truncated_meanwhile(struct kunit *test)
{
	struct test_folio *tf = test_folio_make(test, &test_folio_clean[2]);
	struct folio_migration *m = longterm_migration(test, MIGRATE_ASYNC);
	const struct wait_promises *p = wait_promises();

	folio_migration_add(m, tf);
	folio_migration_prolong(m);
	test_folio_get(test, tf->folio);
	test_folio_lock(test, tf->folio);
	folio_migration_start(m);
	KUNIT_EXPECT_TRUE(test, folio_migration_waits(m, tf));
	KUNIT_EXPECT_EQ(test, 0, truncate_inode_folio(tf->file->f_mapping, tf->folio));
	test_folio_unlock(test, tf->folio);
	test_folio_put(test, tf->folio);
	folio_migration_go_on(m);
	folio_migration_join(m);

	/* It was freed, which is as good as migrated. */
	KUNIT_EXPECT_EQ(test, m->rc, 0);
	KUNIT_EXPECT_EQ(test, m->nr_succeeded, 1 << tf->kind->order);
	KUNIT_EXPECT_TRUE(test, list_empty(&m->from));
	expect_took(test, m, 0, ticks_to_ktime(p->wait / 2 + 1));
	expect_allocs(test, m, 1);
	KUNIT_EXPECT_FALSE(test, tf->src_kept);
	/* Or the page may have been reused by now. */
	if (nobody_else_runs())
		KUNIT_EXPECT_EQ(test, tf->src_refs, 0);
}

#ifdef CONFIG_TRANSPARENT_HUGEPAGE
static const struct {
	const char *name;
	bool held;
} partly_mapped_params[] = {
	{ "free", false },
	{ "held", true },
};

PARAM_ARRAY(partly_mapped_params, "%s", p->name);

/*
 * A large folio of which only a part is mapped waits to be split.  Migration does
 * that first, and moves the pieces; those without users are freed.  An extra reference
 * prevents the split, and when it has gone the folio is moved as a whole.
 */
static void partly_mapped(struct kunit *test)
{
	const typeof(partly_mapped_params[0]) *p = test->param_value;
	struct test_folio *tf = test_folio_make(test, &test_folio_anon_large);
	struct folio_migration *m = longterm_migration(test, MIGRATE_SYNC);
	struct folio_hold *hold = NULL;

	tf->len /= 2;
	tf->mapcount /= 2;
	KUNIT_ASSERT_EQ(test, 0, vm_munmap(tf->addr + tf->len, tf->len));
	if (p->held) {
		hold = folio_hold(test, tf->folio, 1, 50);
		m->on_alloc = release_hold_on_alloc;
		m->data = hold;
	}
	folio_migration_add(m, tf);
	folio_migration_run(m);
	if (p->held && !wait_promises()->wait) {
		expect_failed_at_once(test, m, 1);
		expect_unharmed(test, tf, 1);
		folio_hold_join(hold);
		folio_migration_again(m);
	}

	KUNIT_EXPECT_EQ(test, m->rc, 0);
	KUNIT_EXPECT_EQ(test, m->nr_succeeded, 1 << tf->kind->order);
	KUNIT_EXPECT_TRUE(test, list_empty(&m->from));
	if (p->held && wait_promises()->wait) {
		folio_hold_join(hold);
		expect_took_hold(test, m, hold);
		expect_migrated(test, tf);
	} else {
		expect_did_not_wait(test, m);
		expect_split(test, tf);
	}
}
#endif

static struct kunit_case migrate_longterm_pin_cases[] = {
	KUNIT_CASE_PARAM_ARRAY(no_extra_reference, test_folio_kinds),
	KUNIT_CASE_PARAM_ARRAY_SLOW(every_kind_waits, test_folio_kinds),
	KUNIT_CASE_PARAM_ARRAY_SLOW(transient_reference, holds),
	KUNIT_CASE_PARAM_ARRAY(references, counts),
	KUNIT_CASE_PARAM_ARRAY_SLOW(lasting_reference, test_folio_kinds),
	KUNIT_CASE_SLOW(lasting_reference_async),
	KUNIT_CASE(several_references),
	KUNIT_CASE(two_holders_at_once),
	KUNIT_CASE(retaken_before_waiter_runs),
	KUNIT_CASE(retaken_often),
	KUNIT_CASE_PARAM_ARRAY_SLOW(dropped_about_deadline, deadlines),
	KUNIT_CASE(one_held_of_several),
	KUNIT_CASE(locked_folio_is_not_waited_for),
	KUNIT_CASE(lock_is_waited_for),
	KUNIT_CASE(lock_is_not_waited_for_by_reclaim),
	KUNIT_CASE(lock_is_not_waited_for_while_read),
	KUNIT_CASE_PARAM_ARRAY(locked_and_held_folio, locked_kinds),
	KUNIT_CASE(several_locked_and_held_folios),
	KUNIT_CASE_SLOW(locked_and_held_folio_sync),
	KUNIT_CASE_PARAM_ARRAY(under_writeback, writebacks),
	KUNIT_CASE_SLOW(mapped_again_meanwhile),
	KUNIT_CASE(unmapped_meanwhile),
	KUNIT_CASE(truncated_meanwhile),
#ifdef CONFIG_TRANSPARENT_HUGEPAGE
	KUNIT_CASE_PARAM_ARRAY(partly_mapped, partly_mapped_params),
#endif
	{}
};

static struct kunit_suite migrate_longterm_pin_suite = {
	.name = "migrate_longterm_pin",
	.init = folio_fixture_init,
	.test_cases = migrate_longterm_pin_cases,
};

kunit_test_suite(migrate_longterm_pin_suite);

MODULE_DESCRIPTION("KUnit tests for page migration before a longterm pin");
MODULE_LICENSE("GPL");
