// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit stress test for page migration before a longterm pin: random migrations
 * at once, of random folios, on which random holders drop references in random
 * ways.
 *
 * A round depends only on folio_fixture.seed= and its number: the seed that it prints
 * reproduces it.
 */

#include <linux/hash.h>
#include <linux/kthread.h>
#include <linux/pagemap.h>
#include <linux/prandom.h>

#include "folio_fixture.h"

#define NR_MIGRATIONS	4
#define NR_PASSERS_BY	2
#define MAX_FOLIOS	4
#define MAX_HOLDS	2
#define MAX_DELAY_MS	40

/* A drop from a timer or an RCU callback may come some ticks late. */
#define LATE_TICKS	5

static const struct test_folio_kind * const kinds[] = {
	&test_folio_shmem,
	&test_folio_dirty,
	&test_folio_private,
	&test_folio_anon_mapped,
	&test_folio_clean[0],
	&test_folio_clean[2],
	&test_folio_clean[4],
};

struct stress_folio {
	struct test_folio *tf;
	struct folio_hold *holds[MAX_HOLDS];
	int nr_holds;
};

struct stress_migration {
	struct folio_migration *m;
	struct stress_folio folios[MAX_FOLIOS];
	int nr_folios;
};

struct stress_round {
	struct rnd_state rnd;
	struct completion gate;
	struct stress_migration migrations[NR_MIGRATIONS];
};

/* Each draw depends only on those before it in its round. */
static u32 draw(struct stress_round *round, u32 below)
{
	return prandom_u32_state(&round->rnd) % below;
}

static bool one_in(struct stress_round *round, u32 n)
{
	return !draw(round, n);
}

static const struct folio_drop *draw_drop(struct stress_round *round,
					  unsigned int order)
{
	const struct folio_drop *how;

	/* A drop that needs the folio lock fails the migration, see migrate_longterm_users. */
	do
		how = &folio_drops[draw(round, ARRAY_SIZE(folio_drops))];
	while (how->order > order || how->locks);
	return how;
}

static const struct exec_context *draw_context(struct stress_round *round,
					       const struct folio_drop *how)
{
	const struct exec_context *where;

	do
		where = &exec_contexts[draw(round, ARRAY_SIZE(exec_contexts))];
	while (how->task_only && where->atomic);
	return where;
}

/* Success for MR_DEMOTION or MR_MEMORY_FAILURE leaves something to the caller. */
static enum migrate_reason draw_reason(struct stress_round *round)
{
	static const enum migrate_reason others[] = {
		MR_COMPACTION,
		MR_MEMORY_HOTPLUG,
		MR_SYSCALL,
		MR_MEMPOLICY_MBIND,
		MR_NUMA_MISPLACED,
		MR_CONTIG_RANGE,
		MR_DAMON,
	};

	return one_in(round, 4) ? others[draw(round, ARRAY_SIZE(others))] :
				  MR_LONGTERM_PIN;
}

static enum migrate_mode draw_mode(struct stress_round *round)
{
	return MIGRATE_ASYNC + draw(round, MIGRATE_SYNC - MIGRATE_ASYNC + 1);
}

/* For &folio_migration.on_alloc: time runs from the first destination on. */
static void release_holds(struct folio_migration *m)
{
	struct stress_migration *sm = m->data;
	int i, j;

	for (i = 0; i < sm->nr_folios; i++)
		for (j = 0; j < sm->folios[i].nr_holds; j++)
			folio_hold_release(sm->folios[i].holds[j]);
}

static bool waits(enum migrate_reason reason)
{
	return reason == MR_LONGTERM_PIN && wait_promises()->wait;
}

/*
 * A hold must outlast the attempts of a migration that does not wait: in virtual
 * time it does, for nothing sleeps.
 */
static unsigned int draw_delay_ms(struct stress_round *round,
				  enum migrate_reason reason)
{
	const unsigned int least = waits(reason) ? 0 : 1;

	return least + draw(round, MAX_DELAY_MS + 1 - least);
}

static void migration_make(struct kunit *test, struct stress_round *round,
			   struct stress_migration *sm)
{
	bool one_alloc_each = true;
	int i, j;

	sm->nr_folios = 1 + draw(round, MAX_FOLIOS);
	sm->m = folio_migration(test, draw_mode(round), draw_reason(round));
	sm->m->gate = &round->gate;
	sm->m->on_alloc = release_holds;
	sm->m->data = sm;

	for (i = 0; i < sm->nr_folios; i++) {
		struct stress_folio *sf = &sm->folios[i];
		const struct test_folio_kind *kind =
			kinds[draw(round, ARRAY_SIZE(kinds))];

		/* One that is large would be split first. */
		if (kind->order)
			one_alloc_each = false;
		sf->tf = test_folio_make(test, kind);
		sf->nr_holds = draw(round, MAX_HOLDS + 1);
		for (j = 0; j < sf->nr_holds; j++) {
			const struct folio_drop *how = draw_drop(round, kind->order);

			/* A pinned folio cannot be unmapped, and is tried again. */
			if (how->pin && kind == &test_folio_anon_mapped)
				one_alloc_each = false;
			sf->holds[j] = folio_hold_how(test, sf->tf->folio, how,
						      draw_context(round, how),
						      draw_delay_ms(round, sm->m->reason));
		}
		folio_migration_add(sm->m, sf->tf);
	}

	if (one_in(round, 8) && one_alloc_each)
		sm->m->fail_alloc_at = 1 + draw(round, sm->nr_folios);
}

/* Looks up the folios in the page cache, and drops them again. */
static int passer_by(void *data)
{
	struct stress_round *round = data;

	while (!kthread_should_stop()) {
		int i, j;

		for (i = 0; i < NR_MIGRATIONS; i++) {
			struct stress_migration *sm = &round->migrations[i];

			for (j = 0; j < sm->nr_folios; j++) {
				struct file *file = sm->folios[j].tf->file;
				struct folio *folio;

				if (!file)
					continue;
				folio = filemap_get_folio(file->f_mapping, 0);
				if (!IS_ERR(folio))
					folio_put(folio);
			}
		}
		schedule_timeout_uninterruptible(1);
	}
	return 0;
}

/* What must become of a folio. */
enum due {
	STAYS,
	MOVES,
	EITHER,
};

/*
 * It follows from the draws.  Unless CPU time is free a passer-by may hold a reference
 * during an attempt that does not wait, and a hold may have ended before it.
 */
static enum due folio_due(const struct stress_migration *sm, int i)
{
	const struct stress_folio *sf = &sm->folios[i];
	const struct folio_migration *m = sm->m;
	int j;

	if (m->fail_alloc_at && i >= m->fail_alloc_at - 1)
		return STAYS;
	if (waits(m->reason))
		return MOVES;
	if (cpu_time_is_free())
		return sf->nr_holds ? STAYS : MOVES;
	for (j = 0; j < sf->nr_holds; j++)
		if (ktime_after(sf->holds[j]->dropped_at, m->ended_at))
			return STAYS;
	return sf->nr_holds || sf->tf->file ? EITHER : MOVES;
}

static void expect_right_result(struct kunit *test, const struct stress_migration *sm)
{
	const struct folio_migration *m = sm->m;
	int nr_migrated = 0, nr_pages = 0;
	int i;

	for (i = 0; i < sm->nr_folios; i++) {
		const struct test_folio *tf = sm->folios[i].tf;
		const enum due due = folio_due(sm, i);

		if (due != EITHER)
			KUNIT_EXPECT_EQ_MSG(test, !!tf->dst, due == MOVES,
					    "folio %d", i);
		if (tf->dst) {
			nr_migrated++;
			nr_pages += 1 << tf->kind->order;
		}
	}

	KUNIT_EXPECT_EQ(test, m->nr_succeeded, nr_pages);
	KUNIT_EXPECT_EQ(test, m->rc, m->fail_alloc_at ? -ENOMEM :
				     sm->nr_folios - nr_migrated);
}

/* It waited for all references on folios that it moved, and no longer. */
static void expect_waited(struct kunit *test, const struct stress_migration *sm)
{
	const struct folio_migration *m = sm->m;
	ktime_t last = m->began_at, longest = 0;
	int i, j;

	for (i = 0; i < sm->nr_folios; i++) {
		const struct stress_folio *sf = &sm->folios[i];

		if (folio_due(sm, i) != MOVES)
			continue;
		for (j = 0; j < sf->nr_holds; j++) {
			last = max(last, sf->holds[j]->dropped_at);
			longest = max(longest, sf->holds[j]->delay);
		}
	}
	expect_ended_with(test, m, last);
	KUNIT_EXPECT_GE(test, ktime_sub(m->ended_at, m->began_at), longest);
	/* Elsewhere RCU may take longer than all delays. */
	if (cpu_time_is_free())
		expect_took(test, m, longest,
			    ktime_add(longest, ticks_to_ktime(LATE_TICKS)));
}

static void migration_check(struct kunit *test, struct stress_migration *sm)
{
	struct folio_migration *m = sm->m;
	int i, j;

	for (i = 0; i < sm->nr_folios; i++)
		for (j = 0; j < sm->folios[i].nr_holds; j++)
			folio_hold_join(sm->folios[i].holds[j]);
	folio_migration_putback(m);

	expect_right_result(test, sm);
	if (waits(m->reason))
		expect_waited(test, sm);
	else
		expect_did_not_wait(test, m);
	for (i = 0; i < sm->nr_folios; i++) {
		struct test_folio *tf = sm->folios[i].tf;

		if (tf->dst)
			expect_at_destination(test, tf);
		else
			expect_unharmed(test, tf, 0);
	}
	expect_migrates_later(test, m);
}

static void migration_print(struct kunit *test, const struct stress_migration *sm)
{
	const struct folio_migration *m = sm->m;
	int i, j;

	kunit_info(test, "reason %s, mode %d, allocation %u fails: %d after %lld us",
		   migrate_reason_names[m->reason], m->mode, m->fail_alloc_at,
		   m->rc, ktime_us_delta(m->ended_at, m->began_at));
	for (i = 0; i < sm->nr_folios; i++) {
		const struct stress_folio *sf = &sm->folios[i];

		kunit_info(test, "  %s%s", sf->tf->kind->name,
			   sf->tf->dst ? ", migrated" : "");
		for (j = 0; j < sf->nr_holds; j++)
			kunit_info(test, "    held, dropped by %s from %s after %lld ms",
				   sf->holds[j]->how->name,
				   sf->holds[j]->where->name,
				   ktime_to_ms(sf->holds[j]->delay));
	}
}

static void migrations_at_once(struct kunit *test)
{
	const unsigned int *number = test->param_value;
	const int key_before = folio_wakeup_key_count();
	struct task_struct *passers_by[NR_PASSERS_BY];
	struct stress_round *round;
	int i;

	round = test_zalloc(test, sizeof(*round));
	init_completion(&round->gate);
	kunit_info(test, "folio_fixture.seed=%llu", folio_fixture_seed());
	/* So that neighbouring rounds differ. */
	prandom_seed_state(&round->rnd, hash_64(folio_fixture_seed() + *number, 64));

	for (i = 0; i < NR_MIGRATIONS; i++)
		migration_make(test, round, &round->migrations[i]);
	for (i = 0; i < NR_PASSERS_BY; i++)
		passers_by[i] = test_thread(test, passer_by, round, "passer_by");
	for (i = 0; i < NR_MIGRATIONS; i++)
		folio_migration_start(round->migrations[i].m);

	complete_all(&round->gate);
	for (i = 0; i < NR_MIGRATIONS; i++)
		folio_migration_join(round->migrations[i].m);
	for (i = 0; i < NR_PASSERS_BY; i++)
		test_thread_stop(test, passers_by[i]);

	KUNIT_EXPECT_EQ(test, folio_wakeup_key_count(), key_before);
	for (i = 0; i < NR_MIGRATIONS; i++)
		migration_check(test, &round->migrations[i]);
	if (test->status == KUNIT_FAILURE)
		for (i = 0; i < NR_MIGRATIONS; i++)
			migration_print(test, &round->migrations[i]);
}

static const unsigned int rounds[] = {
	1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,
};

PARAM_ARRAY(rounds, "round%u", *p);

static struct kunit_case migrate_longterm_stress_cases[] = {
	KUNIT_CASE_PARAM_ARRAY(migrations_at_once, rounds),
	{}
};

static struct kunit_suite migrate_longterm_stress_suite = {
	.name = "migrate_longterm_stress",
	.init = folio_fixture_init,
	.test_cases = migrate_longterm_stress_cases,
};

kunit_test_suite(migrate_longterm_stress_suite);

MODULE_DESCRIPTION("KUnit stress test for page migration before a longterm pin");
MODULE_LICENSE("GPL");
