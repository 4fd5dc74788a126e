// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests for several page migrations at once: those before a longterm pin wait
 * independently, and do not affect others.  Without a wait each halts in the middle
 * of an attempt instead.
 */

#include <linux/folio_batch.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/sched/cputime.h>
#include <linux/vmstat.h>

#include "../page_alloc.h"
#include "folio_fixture.h"

/* The most migrations that a case here has at once. */
#define NR_PARTIES	4

/* A migration of one folio, which may have extra references. */
struct party {
	struct folio_migration *m;
	struct test_folio *tf;
	struct folio_hold *hold;
	unsigned long switches;
};

struct concurrent_test {
	struct party party[NR_PARTIES];
	int key_before;
	atomic_t outside;
	struct completion all_inside;
};

/* For &folio_migration.on_alloc. */
static void one_more_inside(struct folio_migration *m)
{
	struct concurrent_test *ct = m->data;

	if (m->nr_allocs == 1 && atomic_dec_and_test(&ct->outside))
		complete_all(&ct->all_inside);
}

static struct concurrent_test *concurrent_test(struct kunit *test)
{
	struct concurrent_test *ct = test_zalloc(test, sizeof(*ct));

	ct->key_before = folio_wakeup_key_count();
	init_completion(&ct->all_inside);
	return ct;
}

static void party_make(struct kunit *test, struct party *p, int refs)
{
	p->tf = test_folio_make(test, &test_folio_shmem);
	if (refs)
		p->hold = folio_hold(test, p->tf->folio, refs, 0);
	p->m = longterm_migration(test, MIGRATE_SYNC);
	folio_migration_add(p->m, p->tf);
	folio_migration_prolong(p->m);
}

/* So many migrations are left, and the key counts them. */
static void expect_inside(struct kunit *test, const struct concurrent_test *ct, int nr)
{
	KUNIT_EXPECT_EQ(test, folio_wakeup_key_count(), ct->key_before + key_count_of(nr));
}

/* Starts the first @nr migrations; returns when all of them wait, or halt. */
static void start_all(struct kunit *test, struct concurrent_test *ct, int nr)
{
	int i;

	atomic_set(&ct->outside, nr);
	for (i = 0; i < nr; i++) {
		ct->party[i].m->on_alloc = one_more_inside;
		ct->party[i].m->data = ct;
		folio_migration_start(ct->party[i].m);
	}
	wait_for_completion(&ct->all_inside);
	for (i = 0; i < nr; i++) {
		struct party *p = &ct->party[i];

		wait_until_asleep(p->m->task, &p->m->done);
		p->switches = p->m->task->nvcsw;
	}
	expect_inside(test, ct, nr);
}

/*
 * Still in its wait, and not woken.  In real time a wait may have timed out and been
 * followed by the next.
 */
static void expect_undisturbed(struct kunit *test, const struct party *p)
{
	const unsigned long ticks = jiffies - p->m->began_tick;
	const unsigned long wait = wait_promises()->wait;

	KUNIT_EXPECT_FALSE(test, completion_done(&p->m->done));
	KUNIT_EXPECT_LE(test, p->m->task->nvcsw - p->switches, wait ? ticks / wait : 0);
}

/* It is over, as soon as its reference has gone. */
static void expect_ended(struct kunit *test, struct party *p)
{
	folio_hold_join(p->hold);
	folio_migration_go_on(p->m);
	folio_migration_join(p->m);

	KUNIT_EXPECT_EQ(test, p->m->rc, 0);
	expect_ended_with(test, p->m, p->hold->dropped_at);
	expect_migrated(test, p->tf);
}

/*
 * Each ends with the drop of its own reference, in whatever order that comes,
 * and the others go on waiting.  The key counts those that are left.
 */
static void ends_with_its_own(struct kunit *test)
{
	static const int order[NR_PARTIES] = { 2, 0, 3, 1 };
	struct concurrent_test *ct = concurrent_test(test);
	int i, j;

	for (i = 0; i < NR_PARTIES; i++)
		party_make(test, &ct->party[i], 1);
	start_all(test, ct, NR_PARTIES);

	for (i = 0; i < NR_PARTIES; i++) {
		folio_hold_release(ct->party[order[i]].hold);
		expect_ended(test, &ct->party[order[i]]);
		expect_inside(test, ct, NR_PARTIES - 1 - i);
		for (j = i + 1; j < NR_PARTIES; j++)
			expect_undisturbed(test, &ct->party[order[j]]);
	}
}

/* Many drops on one folio do not wake the waiter for another. */
static void many_drops_for_another(struct kunit *test)
{
	struct concurrent_test *ct = concurrent_test(test);

	party_make(test, &ct->party[0], 64);
	party_make(test, &ct->party[1], 1);
	start_all(test, ct, 2);

	folio_hold_release(ct->party[0].hold);
	expect_ended(test, &ct->party[0]);
	expect_undisturbed(test, &ct->party[1]);

	folio_hold_release(ct->party[1].hold);
	expect_ended(test, &ct->party[1]);
	expect_inside(test, ct, 0);
}

/* One batch drops references on the folios of both. */
static void one_holder_for_two(struct kunit *test)
{
	struct concurrent_test *ct = concurrent_test(test);
	struct folio_batch batch;
	ktime_t dropped_at;
	int i;

	folio_batch_init(&batch);
	for (i = 0; i < 2; i++) {
		party_make(test, &ct->party[i], 0);
		test_folio_get(test, ct->party[i].tf->folio);
		folio_batch_add(&batch, ct->party[i].tf->folio);
	}
	start_all(test, ct, 2);

	for (i = 0; i < 2; i++)
		expect_undisturbed(test, &ct->party[i]);
	for (i = 0; i < 2; i++)
		test_folio_give(test, ct->party[i].tf->folio);
	dropped_at = ktime_get();
	folios_put(&batch);

	for (i = 0; i < 2; i++) {
		struct folio_migration *m = ct->party[i].m;

		folio_migration_go_on(m);
		folio_migration_join(m);
		KUNIT_EXPECT_EQ(test, m->rc, 0);
		expect_ended_with(test, m, dropped_at);
		expect_migrated(test, ct->party[i].tf);
	}
	expect_inside(test, ct, 0);
}

/*
 * A migration that times out turns the key off for itself alone: the drop that the
 * other one waits for still wakes.
 */
static void failure_of_another(struct kunit *test)
{
	const struct wait_promises *promises = wait_promises();
	const unsigned int attempts = wait_attempts();
	const long half = attempts * promises->wait / 2;
	struct concurrent_test *ct;
	struct party *fails, *waits;

	folio_fixture_needs_virtual_time(test, 10);

	ct = concurrent_test(test);
	fails = &ct->party[0];
	waits = &ct->party[1];
	party_make(test, fails, 1);
	party_make(test, waits, 1);

	start_all(test, ct, 1);
	schedule_timeout_uninterruptible(half);
	folio_migration_start(waits->m);
	schedule_timeout_uninterruptible(1);
	expect_inside(test, ct, 2);

	folio_migration_go_on(fails->m);
	folio_migration_join(fails->m);
	KUNIT_EXPECT_EQ(test, fails->m->rc, 1);
	expect_inside(test, ct, 1);
	folio_migration_putback(fails->m);
	expect_unharmed(test, fails->tf, 1);

	KUNIT_EXPECT_FALSE(test, completion_done(&waits->m->done));
	folio_hold_release(waits->hold);
	expect_ended(test, waits);
	expect_inside(test, ct, 0);
}

/*
 * Migrations for other reasons
 */

static const enum migrate_mode modes[] = {
	MIGRATE_ASYNC,
	MIGRATE_SYNC_LIGHT,
	MIGRATE_SYNC,
};

PARAM_ARRAY(modes, "%s", test_mode_names[*p]);

static void compaction_run(struct kunit *test, struct folio_migration *m, int key)
{
	folio_migration_run(m);
	KUNIT_EXPECT_EQ(test, m->key_inside, key);
	KUNIT_EXPECT_EQ(test, folio_wakeup_key_count(), key);
	expect_did_not_wait(test, m);
}

/* Fails at once though the key is on, and leaves the key alone. */
static void other_reason_beside(struct kunit *test)
{
	const enum migrate_mode *mode = test->param_value;
	struct concurrent_test *ct = concurrent_test(test);
	struct party *waits = &ct->party[0];
	struct test_folio *tf = test_folio_make(test, &test_folio_shmem);
	struct folio_hold *hold = folio_hold(test, tf->folio, 1, 0);
	struct folio_migration *m = folio_migration(test, *mode, MR_COMPACTION);

	folio_migration_add(m, tf);
	party_make(test, waits, 1);
	start_all(test, ct, 1);

	compaction_run(test, m, ct->key_before + key_count_of(1));
	KUNIT_EXPECT_EQ(test, m->rc, 1);
	KUNIT_EXPECT_NULL(test, tf->dst);
	expect_undisturbed(test, waits);

	folio_hold_join(hold);
	expect_undisturbed(test, waits);
	compaction_run(test, m, ct->key_before + key_count_of(1));
	KUNIT_EXPECT_EQ(test, m->rc, 0);
	expect_migrated(test, tf);
	expect_undisturbed(test, waits);

	folio_hold_release(waits->hold);
	expect_ended(test, waits);
	expect_inside(test, ct, 0);
}

/*
 * Compaction isolates no more folios while those isolated exceed a sixteenth of the
 * LRU, and the migration that waits has isolated one.  A kthread retries without
 * sleeping until that changes, so there have to be enough folios on the LRU beside
 * those that compaction leaves in batches.
 */
#define NR_BYSTANDERS	64

static unsigned long vm_event(enum vm_event_item item)
{
	unsigned long events[NR_VM_EVENT_ITEMS];

	all_vm_events(events);
	return events[item];
}

/*
 * Memory is compacted while a migration waits.  Compaction moves folios without
 * extra references, fails for others, and neither wakes the migration nor isolates
 * its folio.
 *
 * It moves folios up into page blocks that are partly free.  On either side of the
 * folios made here there is a block's worth of pages, every other of them free.
 */
static void compaction_beside(struct kunit *test)
{
	struct concurrent_test *ct = concurrent_test(test);
	struct test_folio *held[NR_BYSTANDERS], *loose[NR_BYSTANDERS];
	struct party *waits = &ct->party[0];
	struct movable_filler *filler[2];
	unsigned long migrated, failed;
	ktime_t waited;
	u64 worked;
	int i;

	filler[0] = movable_filler(test, pageblock_nr_pages);
	for (i = 0; i < NR_BYSTANDERS; i++) {
		held[i] = test_folio_make(test, &test_folio_shmem);
		loose[i] = test_folio_make(test, &test_folio_shmem);
	}
	filler[1] = movable_filler(test, pageblock_nr_pages);
	for (i = 0; i < ARRAY_SIZE(filler); i++)
		movable_filler_thin(filler[i]);
	/* Compaction finds no free page in the lists of other CPUs. */
	drain_all_pages(NULL);
	party_make(test, waits, 1);
	for (i = 0; i < NR_BYSTANDERS; i++)
		test_folio_let_go(loose[i]);
	start_all(test, ct, 1);

	migrated = vm_event(PGMIGRATE_SUCCESS);
	failed = vm_event(PGMIGRATE_FAIL);
	worked = task_sched_runtime(current);
	waited = ktime_get();
	KUNIT_EXPECT_EQ(test, 0, pseudo_file_write("proc", "sys/vm/compact_memory", "1"));
	/* To look at all memory takes CPU time.  Waits for all that is held take a minute. */
	waited = ktime_sub(ktime_get(), waited);
	waited = ktime_sub(waited, ns_to_ktime(task_sched_runtime(current) - worked));
	KUNIT_EXPECT_LE(test, waited, nobody_else_runs() ? late_by(1) : ms_to_ktime(3000));
	KUNIT_EXPECT_GT(test, vm_event(PGMIGRATE_SUCCESS), migrated);
	KUNIT_EXPECT_GT(test, vm_event(PGMIGRATE_FAIL), failed);
	expect_inside(test, ct, 1);
	expect_undisturbed(test, waits);

	folio_hold_release(waits->hold);
	expect_ended(test, waits);
	expect_inside(test, ct, 0);
	for (i = 0; i < NR_BYSTANDERS; i++) {
		expect_unharmed(test, held[i], 1);
		test_folio_find(test, loose[i]);
		expect_unharmed(test, loose[i], 1);
	}
}

static struct kunit_case migrate_longterm_concurrent_cases[] = {
	KUNIT_CASE(ends_with_its_own),
	KUNIT_CASE(many_drops_for_another),
	KUNIT_CASE(one_holder_for_two),
	KUNIT_CASE_SLOW(failure_of_another),
	KUNIT_CASE_PARAM_ARRAY(other_reason_beside, modes),
	KUNIT_CASE(compaction_beside),
	{}
};

static struct kunit_suite migrate_longterm_concurrent_suite = {
	.name = "migrate_longterm_concurrent",
	.init = folio_fixture_init,
	.test_cases = migrate_longterm_concurrent_cases,
};

kunit_test_suite(migrate_longterm_concurrent_suite);

MODULE_DESCRIPTION("KUnit tests for several page migrations at once");
MODULE_LICENSE("GPL");
