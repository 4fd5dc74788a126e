// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests for the fault injection of transient folio references.
 */

#include <linux/fail_folio_hold.h>
#include <linux/highmem.h>
#include <linux/notifier.h>
#include <linux/rcupdate.h>
#include <linux/reboot.h>

#include "../fail_folio_hold.h"
#include "folio_fixture.h"

/* Without an interrupt of its own irq_work runs from the tick. */
#define LATE	late_by(2)

/*
 * A grace period.  Tree RCU has tasks and ticks notice its beginning and its end:
 * under QEMU that takes up to 93 ms.
 */
#define GRACE_PERIOD	ms_to_ktime(IS_ENABLED(CONFIG_TINY_RCU) ? 0 : 150)

/* A hold that must not end by itself.  Too many for a long on 32 bit. */
#define AN_HOUR_US	(3600U * USEC_PER_SEC)

/**
 * struct seen - what was seen of the holds that ended
 * @observer: called when one does
 * @context: where the last one ended, or -1
 * @softirqs_off: no softirq could come there, or it was one
 * @ended: how many have
 * @refs: reference count of the last one's folio before the drop
 * @at: when the last one ended
 */
struct seen {
	struct fail_folio_hold_observer observer;
	int context;
	bool softirqs_off;
	int ended;
	int refs;
	ktime_t at;
};

static int context_now(void)
{
	if (in_hardirq())
		return FAIL_FOLIO_HOLD_IRQ_WORK;
	if (in_serving_softirq())
		return FAIL_FOLIO_HOLD_SOFTIRQ;
	if (current->flags & PF_WQ_WORKER)
		return FAIL_FOLIO_HOLD_WORKQUEUE;
	if (current->flags & PF_KTHREAD && !strcmp(current->comm, "fail_folio_hold"))
		return FAIL_FOLIO_HOLD_KTHREAD;
	return -1;
}

static void see_drop(struct fail_folio_hold_observer *observer, struct folio *folio)
{
	struct seen *seen = container_of(observer, struct seen, observer);

	seen->context = context_now();
	seen->softirqs_off = in_softirq() && !in_hardirq();
	seen->refs = folio_ref_count(folio);
	seen->at = ktime_get();
	seen->ended++;
}

static struct seen *seen(struct kunit *test)
{
	struct seen *seen = test_zalloc(test, sizeof(*seen));

	seen->observer.dropping = see_drop;
	seen->context = -1;
	return seen;
}

/* Borrows the injector and has it fire so many times. */
static struct fail_folio_hold_settings *armed(struct kunit *test, int times)
{
	struct fail_folio_hold_settings *s = fail_folio_hold_borrow(test);

	s->attr.probability = 100;
	atomic_set(&s->attr.times, times);
	return s;
}

static u64 fired(void)
{
	return fail_folio_hold_count().fired;
}

/* What a hold adds to the reference count. */
static int refs_added(const struct fail_folio_hold_settings *s, struct folio *folio)
{
	if (s->drop == FAIL_FOLIO_HOLD_UNPIN_FOLIO && !folio_has_pincount(folio))
		return s->refs * GUP_PIN_COUNTING_BIAS;
	return s->refs;
}

struct hold_param {
	enum fail_folio_hold_context context;
	enum fail_folio_hold_drop drop;
	unsigned int order;
};

static void hold_desc(struct kunit *test, const void *param, char *desc)
{
	const struct hold_param *p = param;

	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%s-%s%s", fail_folio_hold_contexts[p->context],
		 fail_folio_hold_drops[p->drop], p->order ? "-large" : "");
}

/* Each context with each drop call, and each drop call with a large folio. */
static int holds_init(struct kunit *test)
{
	const size_t nr_small = NR_FAIL_FOLIO_HOLD_CONTEXTS * NR_FAIL_FOLIO_HOLD_DROPS;
	const size_t nr = nr_small + NR_FAIL_FOLIO_HOLD_DROPS;
	struct hold_param *params;
	int i;

	params = kunit_kcalloc(test, nr, sizeof(*params), GFP_KERNEL);
	if (!params)
		return -ENOMEM;
	for (i = 0; i < nr; i++) {
		params[i].context = i / NR_FAIL_FOLIO_HOLD_DROPS %
				    NR_FAIL_FOLIO_HOLD_CONTEXTS;
		params[i].drop = i % NR_FAIL_FOLIO_HOLD_DROPS;
		params[i].order = i < nr_small ? 0 : 2;
	}
	kunit_register_params_array(test, params, nr, hold_desc);
	return 0;
}

static void expect_hold(struct kunit *test, struct seen *seen,
			const struct fail_folio_hold_settings *s, struct folio *folio)
{
	const struct hold_param *p = test->param_value;
	ktime_t most = us_to_ktime(s->delay_us) + LATE;
	const int refs = folio_ref_count(folio);
	unsigned long rcu = get_state_synchronize_rcu();
	const ktime_t began = ktime_get();

	fail_folio_hold(folio, MR_LONGTERM_PIN);
	/* Or it may be over by now. */
	if (nobody_else_runs())
		KUNIT_EXPECT_EQ(test, folio_ref_count(folio),
				refs + refs_added(s, folio));
	fail_folio_hold_wait();

	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), refs);
	KUNIT_EXPECT_EQ(test, seen->ended, 1);
	KUNIT_EXPECT_EQ(test, seen->refs, refs + refs_added(s, folio));
	if (p->context == FAIL_FOLIO_HOLD_RCU) {
		if (RCU_CALLBACKS_IN_SOFTIRQ)
			KUNIT_EXPECT_EQ(test, seen->context, FAIL_FOLIO_HOLD_SOFTIRQ);
		KUNIT_EXPECT_TRUE(test, seen->softirqs_off);
		KUNIT_EXPECT_TRUE(test, poll_state_synchronize_rcu(rcu));
		most += GRACE_PERIOD;
	} else {
		KUNIT_EXPECT_EQ(test, seen->context, p->context);
	}
	KUNIT_EXPECT_GE(test, ktime_sub(seen->at, began), us_to_ktime(s->delay_us));
	KUNIT_EXPECT_LE(test, ktime_sub(seen->at, began), most);
}

/* References are dropped in the context, by the call and at the time that were set. */
static void hold_ends(struct kunit *test)
{
	const struct hold_param *p = test->param_value;
	struct folio *folio = test_folio_alloc(test, p->order);
	struct seen *seen_drop = seen(test);
	struct fail_folio_hold_settings *s = armed(test, 1);

	if (IS_ENABLED(CONFIG_PREEMPT_RT) && p->context == FAIL_FOLIO_HOLD_IRQ_WORK)
		kunit_skip(test, "PREEMPT_RT runs irq_work in a thread");

	fail_folio_hold_observer = &seen_drop->observer;
	s->context = p->context;
	s->drop = p->drop;
	s->refs = 3;
	s->delay_us = 5 * USEC_PER_MSEC;
	expect_hold(test, seen_drop, s, folio);
}

/* The hold keeps the folio alive; its drop may be the last and frees it. */
static void last_reference(struct kunit *test)
{
	const struct hold_param *p = test->param_value;
	struct folio *folio = test_folio_alloc(test, p->order);
	struct seen *seen_drop = seen(test);
	struct fail_folio_hold_settings *s = armed(test, 1);
	void *contents = folio_address(folio);

	fail_folio_hold_observer = &seen_drop->observer;
	s->context = p->context;
	s->drop = p->drop;
	s->refs = 40;
	s->delay_us = AN_HOUR_US;
	memset(contents, 0x5a, folio_size(folio));
	test_folio_mark(folio);

	fail_folio_hold(folio, MR_LONGTERM_PIN);
	test_folio_put(test, folio);
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), refs_added(s, folio));
	KUNIT_EXPECT_NULL(test, memchr_inv(contents, 0x5a, folio_size(folio)));
	fail_folio_hold_drain();

	KUNIT_EXPECT_EQ(test, seen_drop->ended, 1);
	KUNIT_EXPECT_TRUE(test, test_folio_freed(folio));
}

/* A call that wakes does so once, however many references it drops. */
static void wakeups(struct kunit *test)
{
	const struct hold_param *p = test->param_value;
	struct folio *folio = test_folio_alloc(test, p->order);
	struct fail_folio_hold_settings *s = armed(test, 1);
	struct wakeup_spy *spy = wakeup_spy(test, folio);
	enum folio_drop_kind kind = FOLIO_DROP_PUT;
	int calls;

	folio_wakeup_key_get(test);
	s->drop = p->drop;
	s->refs = 40;
	fail_folio_hold(folio, MR_LONGTERM_PIN);
	fail_folio_hold_wait();

	switch (p->drop) {
	case FAIL_FOLIO_HOLD_FOLIO_REF_SUB:
		kind = FOLIO_DROP_TESTZERO;
		fallthrough;
	case FAIL_FOLIO_HOLD_FOLIO_PUT_REFS:
	case FAIL_FOLIO_HOLD_FOLIOS_PUT_REFS:
		calls = 1;
		break;
	default:
		calls = s->refs;
		break;
	}
	KUNIT_EXPECT_EQ(test, spy->wakeups, drop_wakes(kind) ? calls : 0);
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 1);
}

static int drops_init(struct kunit *test)
{
	struct hold_param *params;
	int i;

	params = kunit_kcalloc(test, NR_FAIL_FOLIO_HOLD_DROPS, sizeof(*params),
			       GFP_KERNEL);
	if (!params)
		return -ENOMEM;
	for (i = 0; i < NR_FAIL_FOLIO_HOLD_DROPS; i++)
		params[i].drop = i;
	kunit_register_params_array(test, params, NR_FAIL_FOLIO_HOLD_DROPS, hold_desc);
	return 0;
}

/* A hold lasts as long as was set. */
static void delay(struct kunit *test)
{
	static const unsigned int delays_ms[] = { 0, 1, 10, 50, 300 };
	struct folio *folio = test_folio_alloc(test, 0);
	struct seen *seen_drop = seen(test);
	struct fail_folio_hold_settings *s = armed(test, -1);
	ktime_t began, lasted;
	int i;

	fail_folio_hold_observer = &seen_drop->observer;
	for (i = 0; i < ARRAY_SIZE(delays_ms); i++) {
		s->delay_us = delays_ms[i] * USEC_PER_MSEC;
		began = ktime_get();
		fail_folio_hold(folio, MR_LONGTERM_PIN);
		fail_folio_hold_wait();
		lasted = ktime_sub(seen_drop->at, began);
		KUNIT_EXPECT_EQ(test, seen_drop->ended, i + 1);
		KUNIT_EXPECT_GE(test, lasted, ms_to_ktime(delays_ms[i]));
		KUNIT_EXPECT_LE(test, lasted,
				ktime_add(ms_to_ktime(delays_ms[i]), LATE));
	}
}

/* Holds that overlap end each at its own time, a later one first if it is shorter. */
static void holds_overlap(struct kunit *test)
{
	struct folio *folio = test_folio_alloc(test, 0);
	struct seen *seen_drop = seen(test);
	struct fail_folio_hold_settings *s = armed(test, -1);

	fail_folio_hold_observer = &seen_drop->observer;
	s->delay_us = 2 * USEC_PER_SEC;
	s->refs = 4;
	s->context = FAIL_FOLIO_HOLD_KTHREAD;
	fail_folio_hold(folio, MR_LONGTERM_PIN);
	s->delay_us = USEC_PER_SEC;
	s->refs = 16;
	s->context = FAIL_FOLIO_HOLD_SOFTIRQ;
	fail_folio_hold(folio, MR_LONGTERM_PIN);
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 1 + 4 + 16);
	fail_folio_hold_wait();

	KUNIT_EXPECT_EQ(test, seen_drop->ended, 2);
	KUNIT_EXPECT_EQ(test, seen_drop->context, FAIL_FOLIO_HOLD_KTHREAD);
	KUNIT_EXPECT_EQ(test, seen_drop->refs, 1 + 4);
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 1);
}

/* A folio gets as many references as were set. */
static void refs(struct kunit *test)
{
	static const unsigned int nr[] = { 1, 2, 64, FAIL_FOLIO_HOLD_MAX_REFS };
	struct folio *folio = test_folio_alloc(test, 0);
	struct fail_folio_hold_settings *s = armed(test, -1);
	int i, drop;

	s->delay_us = AN_HOUR_US;
	for (drop = 0; drop < NR_FAIL_FOLIO_HOLD_DROPS; drop++) {
		for (i = 0; i < ARRAY_SIZE(nr); i++) {
			s->drop = drop;
			s->refs = nr[i];
			fail_folio_hold(folio, MR_LONGTERM_PIN);
			KUNIT_EXPECT_EQ(test, folio_ref_count(folio),
					1 + refs_added(s, folio));
			fail_folio_hold_drain();
			KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 1);
		}
	}
}

/*
 * A reference count does not overflow, however long the injector stays armed.
 * Most references are there from the start: dropping all one by one takes long.
 */
static void refs_do_not_overflow(struct kunit *test)
{
	const int most = 3;
	const int step = FAIL_FOLIO_HOLD_MAX_REFS * GUP_PIN_COUNTING_BIAS;
	const int others = INT_MAX / 2 - (most - 1) * step - 1;
	struct folio *folio = test_folio_alloc(test, 0);
	struct fail_folio_hold_settings *s = armed(test, -1);
	struct fail_folio_hold_counters before = fail_folio_hold_count();
	struct fail_folio_hold_counters after;
	int i;

	s->drop = FAIL_FOLIO_HOLD_UNPIN_FOLIO;
	s->refs = FAIL_FOLIO_HOLD_MAX_REFS;
	s->delay_us = AN_HOUR_US;
	folio_ref_add(folio, others);
	for (i = 0; i < most + 3; i++)
		fail_folio_hold(folio, MR_LONGTERM_PIN);

	after = fail_folio_hold_count();
	KUNIT_EXPECT_EQ(test, after.fired - before.fired, most);
	KUNIT_EXPECT_EQ(test, after.missed - before.missed, 3);
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 1 + others + most * step);
	fail_folio_hold_drain();
	folio_ref_sub(folio, others);
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 1);
}

/* Only migration for a chosen reason is disturbed. */
static void reasons(struct kunit *test)
{
	struct folio *folio = test_folio_alloc(test, 0);
	struct fail_folio_hold_settings *s = armed(test, -1);
	int chosen, reason;

	for (chosen = 0; chosen < MR_TYPES; chosen++) {
		s->reasons = BIT(chosen);
		for (reason = 0; reason < MR_TYPES; reason++) {
			const u64 before = fired();

			fail_folio_hold(folio, reason);
			KUNIT_EXPECT_EQ_MSG(test, fired() - before, reason == chosen,
					    "reason %d, chosen %d", reason, chosen);
		}
	}

	s->reasons = 0;
	for (reason = 0; reason < MR_TYPES; reason++) {
		const u64 before = fired();

		fail_folio_hold(folio, reason);
		KUNIT_EXPECT_EQ(test, fired(), before);
	}
}

/* Calls the hook nr times; returns how often it fired. */
static unsigned int fires(struct folio *folio, unsigned int nr)
{
	const u64 before = fired();

	while (nr--)
		fail_folio_hold(folio, MR_LONGTERM_PIN);
	return fired() - before;
}

static void probability(struct kunit *test)
{
	struct folio *folio = test_folio_alloc(test, 0);
	struct fail_folio_hold_settings *s = armed(test, -1);
	unsigned int nr;

	s->attr.probability = 0;
	KUNIT_EXPECT_EQ(test, fires(folio, 100), 0);
	s->attr.probability = 100;
	KUNIT_EXPECT_EQ(test, fires(folio, 100), 100);
	/* Ten times the standard deviation either way. */
	s->attr.probability = 50;
	nr = fires(folio, 1000);
	KUNIT_EXPECT_GT(test, nr, 500 - 160);
	KUNIT_EXPECT_LT(test, nr, 500 + 160);
}

static void times(struct kunit *test)
{
	struct folio *folio = test_folio_alloc(test, 0);
	struct fail_folio_hold_settings *s = armed(test, 2);

	KUNIT_EXPECT_EQ(test, fires(folio, 10), 2);
	KUNIT_EXPECT_EQ(test, atomic_read(&s->attr.times), 0);
	KUNIT_EXPECT_EQ(test, fires(folio, 10), 0);
}

static void interval(struct kunit *test)
{
	struct folio *folio = test_folio_alloc(test, 0);
	struct fail_folio_hold_settings *s = armed(test, -1);

	s->attr.interval = 3;
	KUNIT_EXPECT_EQ(test, fires(folio, 2), 0);
	KUNIT_EXPECT_EQ(test, fires(folio, 1), 1);
	KUNIT_EXPECT_EQ(test, fires(folio, 30), 10);
}

/* Space is counted in pages. */
static void space(struct kunit *test)
{
	struct folio *small = test_folio_alloc(test, 0);
	struct folio *large = test_folio_alloc(test, 2);
	struct fail_folio_hold_settings *s = armed(test, -1);

	atomic_set(&s->attr.space, 9);
	KUNIT_EXPECT_EQ(test, fires(large, 2), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&s->attr.space), 1);
	KUNIT_EXPECT_EQ(test, fires(small, 2), 2);
}

static void task_filter(struct kunit *test)
{
	struct folio *folio = test_folio_alloc(test, 0);
	struct fail_folio_hold_settings *s = armed(test, -1);

	s->attr.task_filter = true;
	KUNIT_EXPECT_EQ(test, fires(folio, 3), 0);
	current->make_it_fail = 1;
	KUNIT_EXPECT_EQ(test, fires(folio, 3), 3);
	current->make_it_fail = 0;
}

/* fail-nth fires without being armed, but only for chosen reasons. */
static void fail_nth(struct kunit *test)
{
	struct folio *folio = test_folio_alloc(test, 0);
	struct fail_folio_hold_settings *s = fail_folio_hold_borrow(test);

	current->fail_nth = 3;
	KUNIT_EXPECT_EQ(test, fires(folio, 2), 0);
	KUNIT_EXPECT_EQ(test, current->fail_nth, 1);
	s->reasons = 0;
	KUNIT_EXPECT_EQ(test, fires(folio, 2), 0);
	KUNIT_EXPECT_EQ(test, current->fail_nth, 1);
	s->reasons = BIT(MR_LONGTERM_PIN);
	KUNIT_EXPECT_EQ(test, fires(folio, 3), 1);
	KUNIT_EXPECT_EQ(test, current->fail_nth, 0);
	current->fail_nth = 0;
}

static void counters(struct kunit *test)
{
	struct folio *folio = test_folio_alloc(test, 0);
	struct fail_folio_hold_settings *s = armed(test, -1);
	const struct fail_folio_hold_counters before = fail_folio_hold_count();
	struct fail_folio_hold_counters now;

	s->delay_us = AN_HOUR_US;
	s->refs = 2;
	fires(folio, 5);
	now = fail_folio_hold_count();
	KUNIT_EXPECT_EQ(test, now.fired - before.fired, 5);
	KUNIT_EXPECT_EQ(test, now.held - before.held, 5);
	KUNIT_EXPECT_EQ(test, now.dropped, before.dropped);

	fail_folio_hold_drain();
	now = fail_folio_hold_count();
	KUNIT_EXPECT_EQ(test, now.fired - before.fired, 5);
	KUNIT_EXPECT_EQ(test, now.held, before.held);
	KUNIT_EXPECT_EQ(test, now.dropped - before.dropped, 5);
	KUNIT_EXPECT_EQ(test, now.missed, before.missed);
}

/* Takes one hold for each context and drop call, for an hour. */
static int hold_in_all_ways(struct fail_folio_hold_settings *s, struct folio *folio)
{
	int refs = 0;

	s->refs = 2;
	s->delay_us = AN_HOUR_US;
	for (s->context = 0; s->context < NR_FAIL_FOLIO_HOLD_CONTEXTS; s->context++) {
		for (s->drop = 0; s->drop < NR_FAIL_FOLIO_HOLD_DROPS; s->drop++) {
			fail_folio_hold(folio, MR_LONGTERM_PIN);
			refs += refs_added(s, folio);
		}
	}
	s->context = 0;
	s->drop = 0;
	return refs;
}

/* Draining drops all references at once. */
static void drain(struct kunit *test)
{
	const int nr = NR_FAIL_FOLIO_HOLD_CONTEXTS * NR_FAIL_FOLIO_HOLD_DROPS;
	struct folio *folio = test_folio_alloc(test, 0);
	struct seen *seen_drop = seen(test);
	struct fail_folio_hold_settings *s = armed(test, nr);
	const ktime_t began = ktime_get();
	int refs = hold_in_all_ways(s, folio);

	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 1 + refs);
	KUNIT_EXPECT_EQ(test, fail_folio_hold_count().held, nr);
	fail_folio_hold_drain();
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 1);
	KUNIT_EXPECT_EQ(test, fail_folio_hold_count().held, 0);
	KUNIT_EXPECT_LE(test, ktime_sub(ktime_get(), began), LATE + GRACE_PERIOD);

	/* Draining again is harmless. */
	fail_folio_hold_drain();
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 1);

	/* Holds that are drained end as they would have later. */
	fail_folio_hold_observer = &seen_drop->observer;
	s->context = FAIL_FOLIO_HOLD_WORKQUEUE;
	atomic_set(&s->attr.times, 1);
	fail_folio_hold(folio, MR_LONGTERM_PIN);
	fail_folio_hold_drain();
	KUNIT_EXPECT_EQ(test, seen_drop->ended, 1);
	KUNIT_EXPECT_EQ(test, seen_drop->context, FAIL_FOLIO_HOLD_WORKQUEUE);
}

static void fail_folio_hold_accept_again(void *unused)
{
	fail_folio_hold_accept(true);
}

/* At shutdown all holds end, and no more are taken. */
static void shutdown(struct kunit *test)
{
	struct notifier_block *nb = &fail_folio_hold_reboot_nb;
	struct folio *folio = test_folio_alloc(test, 0);
	struct fail_folio_hold_settings *s = armed(test, -1);
	const ktime_t began = ktime_get();
	int refs;

	/* It has been registered. */
	KUNIT_EXPECT_EQ(test, unregister_reboot_notifier(nb), 0);
	KUNIT_ASSERT_EQ(test, register_reboot_notifier(nb), 0);

	refs = hold_in_all_ways(s, folio);
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 1 + refs);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action(test, fail_folio_hold_accept_again,
						  NULL));
	nb->notifier_call(nb, SYS_POWER_OFF, NULL);
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 1);
	KUNIT_EXPECT_EQ(test, fail_folio_hold_count().held, 0);
	KUNIT_EXPECT_LE(test, ktime_sub(ktime_get(), began), LATE + GRACE_PERIOD);

	KUNIT_EXPECT_EQ(test, fires(folio, 3), 0);
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 1);
}

/* Off by default: migration is not disturbed, and nothing is counted. */
static void not_armed(struct kunit *test)
{
	const struct fail_folio_hold_counters before = fail_folio_hold_count();
	struct test_folio *tf = test_folio_make(test, &test_folio_shmem);
	struct folio_migration *m = longterm_migration(test, MIGRATE_SYNC);
	struct fail_folio_hold_counters after;

	folio_migration_add(m, tf);
	folio_migration_run(m);

	KUNIT_EXPECT_EQ(test, m->rc, 0);
	expect_did_not_wait(test, m);
	expect_migrated(test, tf);
	after = fail_folio_hold_count();
	KUNIT_EXPECT_MEMEQ(test, &before, &after, sizeof(before));
}

/* A migration that must not wait fails while the hold lasts. */
static void migration_fails_fast(struct kunit *test)
{
	struct fail_folio_hold_settings *s = armed(test, 1);
	struct test_folio *tf = test_folio_make(test, &test_folio_shmem);
	struct folio_migration *m = folio_migration(test, MIGRATE_SYNC, MR_COMPACTION);
	const u64 before = fired();

	s->reasons = BIT(MR_COMPACTION);
	s->delay_us = AN_HOUR_US;
	folio_migration_add(m, tf);
	folio_migration_run(m);
	KUNIT_EXPECT_EQ(test, m->rc, 1);
	KUNIT_EXPECT_EQ(test, fired() - before, 1);
	expect_did_not_wait(test, m);
	folio_migration_putback(m);
	expect_unharmed(test, tf, 1);

	fail_folio_hold_drain();
	expect_unharmed(test, tf, 0);
}

#define DIR "fail_folio_hold/"

static void expect_reads(struct kunit *test, const char *file, const char *value)
{
	char buf[256];

	KUNIT_ASSERT_EQ_MSG(test, debugfs_read(file, buf, sizeof(buf)), 0, "%s", file);
	KUNIT_EXPECT_STREQ_MSG(test, buf, value, "%s", file);
}

/* Each number has a file, which refuses invalid values. */
static void debugfs_numbers(struct kunit *test)
{
	static const struct {
		const char *file;
		const char *value;
		const char *refused;
	} files[] = {
		{ DIR "probability", "40", "much" },
		{ DIR "interval", "2", "much" },
		{ DIR "times", "-1", "much" },
		{ DIR "space", "3", "much" },
		{ DIR "verbose", "1", "much" },
		{ DIR "task-filter", "Y" },
		{ DIR "delay-us", "1234567", "much" },
		{ DIR "refs", "1", "0" },
		{ DIR "refs", __stringify(FAIL_FOLIO_HOLD_MAX_REFS), "1025" },
	};
	struct fail_folio_hold_settings *s = fail_folio_hold_borrow(test);
	int i;

	folio_fixture_needs_debugfs(test);
	/* Leave other migrations alone meanwhile. */
	s->reasons = 0;
	for (i = 0; i < ARRAY_SIZE(files); i++) {
		KUNIT_EXPECT_EQ_MSG(test, debugfs_write(files[i].file, files[i].value),
				    0, "%s", files[i].file);
		expect_reads(test, files[i].file, files[i].value);
		/* A flag ignores invalid values. */
		if (!files[i].refused)
			continue;
		KUNIT_EXPECT_LT_MSG(test, debugfs_write(files[i].file, files[i].refused),
				    0, "%s", files[i].file);
		expect_reads(test, files[i].file, files[i].value);
	}
	KUNIT_EXPECT_EQ(test, s->attr.probability, 40);
	KUNIT_EXPECT_EQ(test, s->attr.interval, 2);
	KUNIT_EXPECT_EQ(test, atomic_read(&s->attr.times), -1);
	KUNIT_EXPECT_EQ(test, atomic_read(&s->attr.space), 3);
	KUNIT_EXPECT_EQ(test, s->attr.verbose, 1);
	KUNIT_EXPECT_TRUE(test, s->attr.task_filter);
	KUNIT_EXPECT_EQ(test, s->delay_us, 1234567);
	KUNIT_EXPECT_EQ(test, s->refs, FAIL_FOLIO_HOLD_MAX_REFS);
}

/* All names on one line, chosen ones in brackets. */
static void expect_chosen(struct kunit *test, const char *file,
			  const char * const *names, unsigned int nr, u32 mask)
{
	char *all = test_zalloc(test, PAGE_SIZE);
	unsigned int i;
	int len = 0;

	for (i = 0; i < nr; i++)
		len += scnprintf(all + len, PAGE_SIZE - len,
				 mask & BIT(i) ? "%s[%s]" : "%s%s", i ? " " : "", names[i]);
	expect_reads(test, file, all);
	kunit_kfree(test, all);
}

static void expect_one_of(struct kunit *test, const char *file, const u32 *value,
			  const char * const *names, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		KUNIT_EXPECT_EQ(test, debugfs_write(file, names[i]), 0);
		KUNIT_EXPECT_EQ(test, *value, i);
		expect_chosen(test, file, names, nr, BIT(i));
	}
	KUNIT_EXPECT_EQ(test, debugfs_write(file, "no_such"), -EINVAL);
	KUNIT_EXPECT_EQ(test, debugfs_write(file, "\n"), -EINVAL);
	expect_chosen(test, file, names, nr, BIT(nr - 1));
}

static void debugfs_names(struct kunit *test)
{
	struct fail_folio_hold_settings *s = fail_folio_hold_borrow(test);
	int i;

	folio_fixture_needs_debugfs(test);
	expect_one_of(test, DIR "context", &s->context, fail_folio_hold_contexts,
		      ARRAY_SIZE(fail_folio_hold_contexts));
	expect_one_of(test, DIR "drop", &s->drop, fail_folio_hold_drops,
		      ARRAY_SIZE(fail_folio_hold_drops));
	KUNIT_EXPECT_EQ(test, debugfs_write(DIR "drop", "folio_put put_page"), -EINVAL);

	for (i = 0; i < MR_TYPES; i++) {
		KUNIT_EXPECT_EQ(test, debugfs_write(DIR "reasons",
						    migrate_reason_names[i]), 0);
		KUNIT_EXPECT_EQ(test, s->reasons, BIT(i));
		expect_chosen(test, DIR "reasons", migrate_reason_names, MR_TYPES, BIT(i));
	}
	KUNIT_EXPECT_EQ(test, debugfs_write(DIR "reasons", "compaction, longterm_pin\n"), 0);
	KUNIT_EXPECT_EQ(test, s->reasons, BIT(MR_COMPACTION) | BIT(MR_LONGTERM_PIN));
	KUNIT_EXPECT_EQ(test, debugfs_write(DIR "reasons", "demotion no_such"), -EINVAL);
	expect_chosen(test, DIR "reasons", migrate_reason_names, MR_TYPES,
		      BIT(MR_COMPACTION) | BIT(MR_LONGTERM_PIN));
	KUNIT_EXPECT_EQ(test, debugfs_write(DIR "reasons", "\n"), 0);
	KUNIT_EXPECT_EQ(test, s->reasons, 0);
}

static void expect_counters(struct kunit *test)
{
	const struct fail_folio_hold_counters now = fail_folio_hold_count();
	const struct {
		const char *file;
		u64 value;
	} files[] = {
		{ DIR "fired", now.fired },
		{ DIR "held", now.held },
		{ DIR "dropped", now.dropped },
		{ DIR "missed", now.missed },
	};
	char value[24];
	int i;

	for (i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(value, sizeof(value), "%llu", files[i].value);
		expect_reads(test, files[i].file, value);
		KUNIT_EXPECT_LT(test, debugfs_write(files[i].file, "0"), 0);
	}
}

/* debugfs alone is enough to disturb a migration. */
static void debugfs_disturbs_migration(struct kunit *test)
{
	static const char * const settings[][2] = {
		{ DIR "verbose", "0" },
		{ DIR "delay-us", "4000000000" },
		{ DIR "refs", "7" },
		{ DIR "reasons", "contig_range" },
		{ DIR "context", "softirq" },
		{ DIR "drop", "folios_put" },
		{ DIR "times", "1" },
		{ DIR "probability", "100" },
	};
	struct fail_folio_hold_settings *s = fail_folio_hold_borrow(test);
	struct test_folio *tf = test_folio_make(test, &test_folio_shmem);
	struct folio_migration *m = folio_migration(test, MIGRATE_SYNC, MR_CONTIG_RANGE);
	const u64 before = fired();
	int i;

	folio_fixture_needs_debugfs(test);
	for (i = 0; i < ARRAY_SIZE(settings); i++)
		KUNIT_ASSERT_EQ(test, debugfs_write(settings[i][0], settings[i][1]), 0);
	folio_migration_add(m, tf);
	folio_migration_run(m);

	KUNIT_EXPECT_EQ(test, m->rc, 1);
	KUNIT_EXPECT_EQ(test, fired() - before, 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&s->attr.times), 0);
	expect_did_not_wait(test, m);
	folio_migration_putback(m);
	expect_unharmed(test, tf, 7);
	expect_counters(test);
	KUNIT_EXPECT_EQ(test, debugfs_write(DIR "drain", "1"), 0);
	expect_unharmed(test, tf, 0);
	expect_counters(test);
}

static struct kunit_case fail_folio_hold_cases[] = {
	KUNIT_CASE_PARAM_ARRAY(hold_ends, holds),
	KUNIT_CASE_PARAM_ARRAY(last_reference, holds),
	KUNIT_CASE_PARAM_ARRAY(wakeups, drops),
	KUNIT_CASE(delay),
	KUNIT_CASE_SLOW(holds_overlap),
	KUNIT_CASE(refs),
	/* Before cases that drain several holds as well: a failure is to show here. */
	KUNIT_CASE(drain),
	KUNIT_CASE(shutdown),
	KUNIT_CASE(refs_do_not_overflow),
	KUNIT_CASE(reasons),
	KUNIT_CASE(probability),
	KUNIT_CASE(times),
	KUNIT_CASE(interval),
	KUNIT_CASE(space),
	KUNIT_CASE(task_filter),
	KUNIT_CASE(fail_nth),
	KUNIT_CASE(counters),
	KUNIT_CASE(not_armed),
	KUNIT_CASE(migration_fails_fast),
	KUNIT_CASE(debugfs_numbers),
	KUNIT_CASE(debugfs_names),
	KUNIT_CASE(debugfs_disturbs_migration),
	{}
};

static struct kunit_suite fail_folio_hold_suite = {
	.name = "fail_folio_hold",
	.init = folio_fixture_init,
	.test_cases = fail_folio_hold_cases,
};

kunit_test_suite(fail_folio_hold_suite);

/* Interval, probability, space and times; an invalid value is reported. */
static void __init boot_parameter(struct kunit *test)
{
	struct fail_folio_hold_settings *s = fail_folio_hold_borrow(test);
	char good[] = "7,0,5,-1", bad[] = "7,0";

	KUNIT_EXPECT_EQ(test, fail_folio_hold_setup(good), 1);
	KUNIT_EXPECT_EQ(test, s->attr.interval, 7);
	KUNIT_EXPECT_EQ(test, s->attr.probability, 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&s->attr.space), 5);
	KUNIT_EXPECT_EQ(test, atomic_read(&s->attr.times), -1);

	/* The kernel hands it to init then. */
	KUNIT_EXPECT_EQ(test, fail_folio_hold_setup(bad), 0);
	KUNIT_EXPECT_EQ(test, s->attr.interval, 7);
}

static struct kunit_case fail_folio_hold_boot_cases[] __initdata = {
	KUNIT_CASE(boot_parameter),
	{}
};

static struct kunit_suite fail_folio_hold_boot_suite __initdata = {
	.name = "fail_folio_hold_boot",
	.init = folio_fixture_init,
	.test_cases = fail_folio_hold_boot_cases,
};

kunit_test_init_section_suites(&fail_folio_hold_boot_suite);

MODULE_DESCRIPTION("KUnit tests for the fault injection of transient folio references");
MODULE_LICENSE("GPL");
