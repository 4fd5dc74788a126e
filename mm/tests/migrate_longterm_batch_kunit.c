// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests for page migration of many folios before a longterm pin, of which
 * one, some or all have an extra reference.
 */

#include "folio_fixture.h"

/* How long a transient reference is held. */
#define HOLD_MS		100

/**
 * struct held - which folios of a batch have an extra reference
 * @name: for parameter descriptions
 * @is_held: does folio @i of @nr have one?
 */
struct held {
	const char *name;
	bool (*is_held)(unsigned int i, unsigned int nr);
};

static bool is_none(unsigned int i, unsigned int nr)
{
	return false;
}

static bool is_first(unsigned int i, unsigned int nr)
{
	return i == 0;
}

static bool is_middle(unsigned int i, unsigned int nr)
{
	return i == nr / 2;
}

static bool is_last(unsigned int i, unsigned int nr)
{
	return i == nr - 1;
}

static bool is_end(unsigned int i, unsigned int nr)
{
	return is_first(i, nr) || is_last(i, nr);
}

static bool is_third(unsigned int i, unsigned int nr)
{
	return i % 3 == 1;
}

static bool is_any(unsigned int i, unsigned int nr)
{
	return true;
}

static const struct held none = { "none", is_none };
static const struct held first = { "first", is_first };
static const struct held middle = { "middle", is_middle };
static const struct held last = { "last", is_last };
static const struct held ends = { "ends", is_end };
static const struct held thirds = { "thirds", is_third };
static const struct held all = { "all", is_any };

struct batch_param {
	unsigned int nr;
	const struct held *held;
};

/* More than 512, NR_MAX_BATCHED_MIGRATION, is migrated in several batches. */
static const struct batch_param transient_params[] = {
	{ 1, &none },
	{ 1, &all },
	{ 2, &none },
	{ 2, &first },
	{ 2, &last },
	{ 2, &all },
	{ 8, &none },
	{ 8, &first },
	{ 8, &middle },
	{ 8, &last },
	{ 8, &thirds },
	{ 8, &all },
	{ 600, &none },
	{ 600, &first },
	{ 600, &middle },
	{ 600, &last },
	{ 600, &thirds },
	{ 600, &all },
};

static const struct batch_param lasting_params[] = {
	{ 1, &all },
	{ 2, &first },
	{ 2, &last },
	{ 2, &all },
	{ 8, &first },
	{ 8, &middle },
	{ 8, &last },
	{ 8, &thirds },
	{ 8, &all },
	{ 600, &first },
	{ 600, &last },
	{ 600, &ends },
};

#define BATCH_DESC	"%u-%s", p->nr, p->held->name

PARAM_ARRAY(transient_params, BATCH_DESC);
PARAM_ARRAY(lasting_params, BATCH_DESC);

/**
 * struct batch - folios that are migrated together
 * @m: their migration
 * @nr: how many there are
 * @nr_pages: how many pages they have
 * @tf: the folios
 * @nr_held: how many have an extra reference
 * @hold: that of each folio, NULL for those without
 */
struct batch {
	struct folio_migration *m;
	unsigned int nr;
	unsigned int nr_pages;
	struct test_folio **tf;
	unsigned int nr_held;
	struct folio_hold **hold;
};

static void release_all_at_first_alloc(struct folio_migration *m)
{
	struct batch *b = m->data;
	unsigned int i;

	/* Without a wait they are dropped after the migration. */
	if (m->nr_allocs > 1 || !wait_promises()->wait)
		return;
	for (i = 0; i < b->nr; i++)
		if (b->hold[i])
			folio_hold_release(b->hold[i]);
}

static struct batch *batch_alloc(struct kunit *test, unsigned int nr)
{
	struct batch *b = test_zalloc(test, sizeof(*b));

	b->nr = nr;
	b->tf = test_zalloc(test, array_size(nr, sizeof(*b->tf)));
	b->hold = test_zalloc(test, array_size(nr, sizeof(*b->hold)));
	b->m = longterm_migration(test, MIGRATE_SYNC);
	b->m->data = b;
	return b;
}

static void batch_make(struct kunit *test, struct batch *b, unsigned int i,
		       const struct test_folio_kind *kind)
{
	b->tf[i] = test_folio_make(test, kind);
	b->nr_pages += 1 << kind->order;
}

static void batch_hold(struct kunit *test, struct batch *b, unsigned int i,
		       unsigned int delay_ms)
{
	b->hold[i] = folio_hold(test, b->tf[i]->folio, 1, delay_ms);
	b->nr_held++;
}

static void batch_isolate(struct batch *b)
{
	unsigned int i;

	for (i = 0; i < b->nr; i++)
		folio_migration_add(b->m, b->tf[i]);
}

static struct batch *batch(struct kunit *test,
			   const struct test_folio_kind *kind, unsigned int nr,
			   const struct held *held, unsigned int delay_ms)
{
	struct batch *b = batch_alloc(test, nr);
	unsigned int i;

	for (i = 0; i < nr; i++) {
		batch_make(test, b, i, kind);
		if (held->is_held(i, nr))
			batch_hold(test, b, i, delay_ms);
	}
	batch_isolate(b);
	return b;
}

/* Once all references are dropped the whole batch migrates. */
static void expect_all_migrate_later(struct kunit *test, struct batch *b)
{
	unsigned int i;

	for (i = 0; i < b->nr; i++)
		if (b->hold[i])
			folio_hold_release(b->hold[i]);
	for (i = 0; i < b->nr; i++)
		if (b->hold[i])
			folio_hold_join(b->hold[i]);
	expect_migrates_later(test, b->m);
}

/* Held folios are where they were, the others have moved. */
static void expect_only_held_stay(struct kunit *test, struct batch *b)
{
	unsigned int i;

	for (i = 0; i < b->nr; i++) {
		if (b->hold[i]) {
			KUNIT_EXPECT_FALSE(test, completion_done(&b->hold[i]->dropped));
			expect_unharmed(test, b->tf[i], 1);
		} else {
			expect_migrated(test, b->tf[i]);
		}
	}
}

/* Without a wait held folios fail, and the others migrate. */
static void expect_held_fail_at_once(struct kunit *test, struct batch *b)
{
	expect_failed_at_once(test, b->m, b->nr_held);
	expect_only_held_stay(test, b);
	expect_all_migrate_later(test, b);
}

/* All migrate, as late as the last reference is dropped. */
static void expect_all_migrated(struct kunit *test, struct batch *b)
{
	ktime_t longest = 0;
	unsigned int i;

	if (!wait_promises()->wait) {
		expect_held_fail_at_once(test, b);
		return;
	}
	KUNIT_EXPECT_EQ(test, b->m->rc, 0);
	KUNIT_EXPECT_EQ(test, b->m->nr_succeeded, b->nr_pages);
	KUNIT_EXPECT_TRUE(test, list_empty(&b->m->from));
	for (i = 0; i < b->nr; i++) {
		if (b->hold[i]) {
			folio_hold_join(b->hold[i]);
			KUNIT_EXPECT_GE(test, b->m->ended_at,
					b->hold[i]->dropped_at);
			longest = max(longest, b->hold[i]->delay);
		}
		expect_migrated(test, b->tf[i]);
	}
	expect_took(test, b->m, longest,
		    ktime_add(longest, ticks_to_ktime(2)));
}

/* All migrate after the drops, which come at the same time. */
static void transient_references(struct kunit *test)
{
	const struct batch_param *p = test->param_value;
	struct batch *b = batch(test, &test_folio_shmem, p->nr, p->held, HOLD_MS);

	b->m->on_alloc = release_all_at_first_alloc;
	folio_migration_run(b->m);

	expect_all_migrated(test, b);
}

/* Drops one after the other, in the order of the folios or in reverse. */
static void expect_staggered(struct kunit *test,
			     unsigned int (*delay)(unsigned int i, unsigned int nr))
{
	struct batch *b = batch_alloc(test, 8);
	unsigned int i;

	for (i = 0; i < b->nr; i++) {
		batch_make(test, b, i, &test_folio_shmem);
		batch_hold(test, b, i, delay(i, b->nr) * HOLD_MS / 2);
	}
	batch_isolate(b);
	b->m->on_alloc = release_all_at_first_alloc;
	folio_migration_run(b->m);

	expect_all_migrated(test, b);
}

static unsigned int ascending(unsigned int i, unsigned int nr)
{
	return i + 1;
}

static unsigned int descending(unsigned int i, unsigned int nr)
{
	return nr - i;
}

static void staggered_ascending(struct kunit *test)
{
	expect_staggered(test, ascending);
}

static void staggered_descending(struct kunit *test)
{
	expect_staggered(test, descending);
}

/*
 * Folios with a lasting reference fail, the others migrate.  A limit of the series,
 * unless it promises better: it waits for each of them in turn.
 */
static void lasting_references(struct kunit *test)
{
	const struct batch_param *param = test->param_value;
	const struct wait_promises *p = wait_promises();
	unsigned long waits = wait_attempts();
	struct batch *b;

	folio_fixture_needs_virtual_time(test, 10);
	b = batch(test, &test_folio_shmem, param->nr, param->held, 0);
	if (p->per_folio)
		waits *= b->nr_held;
	folio_migration_run(b->m);

	if (!p->wait) {
		expect_held_fail_at_once(test, b);
		return;
	}
	KUNIT_EXPECT_EQ(test, b->m->rc, b->nr_held);
	KUNIT_EXPECT_EQ(test, b->m->nr_succeeded, b->nr - b->nr_held);
	KUNIT_EXPECT_EQ(test, list_count_nodes(&b->m->from), b->nr_held);
	expect_took_waits(test, b->m, waits);

	folio_migration_putback(b->m);
	expect_only_held_stay(test, b);
}

/* A drop during the wait for another folio costs no time. */
static void transient_behind_lasting(struct kunit *test)
{
	const struct wait_promises *p = wait_promises();
	const unsigned long waits = wait_attempts();
	struct batch *b;

	folio_fixture_needs_virtual_time(test, 10);
	b = batch_alloc(test, 3);
	batch_make(test, b, 0, &test_folio_shmem);
	batch_make(test, b, 1, &test_folio_shmem);
	batch_make(test, b, 2, &test_folio_shmem);
	batch_hold(test, b, 0, 0);
	batch_hold(test, b, 1, HOLD_MS);
	batch_isolate(b);
	if (p->wait)
		folio_hold_release(b->hold[1]);
	folio_migration_run(b->m);

	if (!p->wait) {
		expect_held_fail_at_once(test, b);
		return;
	}
	KUNIT_EXPECT_EQ(test, b->m->rc, 1);
	KUNIT_EXPECT_EQ(test, b->m->nr_succeeded, 2);
	expect_took_waits(test, b->m, waits);

	folio_migration_putback(b->m);
	expect_unharmed(test, b->tf[0], 1);
	expect_migrated(test, b->tf[1]);
	expect_migrated(test, b->tf[2]);
}

/*
 * A limit of the series, unless it promises better: a drop during the last wait is
 * in vain, for no attempt follows.
 */
static void dropped_during_last_wait(struct kunit *test)
{
	const struct wait_promises *p = wait_promises();
	const unsigned long waits = wait_attempts();
	unsigned int drop_after;
	struct batch *b;

	folio_fixture_needs_wait(test);
	folio_fixture_needs_virtual_time(test, 10);
	drop_after = jiffies_to_msecs(waits * p->wait - p->wait / 4);
	b = batch(test, &test_folio_shmem, 1, &all, drop_after);
	b->m->on_alloc = release_all_at_first_alloc;
	folio_migration_run(b->m);
	folio_hold_join(b->hold[0]);

	/* It did end the wait. */
	KUNIT_EXPECT_GE(test, b->m->ended_at, b->hold[0]->dropped_at);
	expect_took_hold(test, b->m, b->hold[0]);

	KUNIT_EXPECT_EQ(test, b->m->rc, p->retries_after_wait ? 0 : 1);
	folio_migration_putback(b->m);
	if (p->retries_after_wait)
		expect_migrated(test, b->tf[0]);
	else
		expect_unharmed(test, b->tf[0], 0);
}

/*
 * A limit of the series, unless it promises better: it waits with the whole batch
 * locked and unmapped, so that users of the other folios wait too.
 */
static void others_during_wait(struct kunit *test)
{
	const struct wait_promises *p = wait_promises();
	struct batch *b = batch(test, &test_folio_anon_mapped, 8, &first, 0);
	unsigned int locked = 0, mapped = 0, i;

	folio_migration_prolong(b->m);
	folio_migration_start(b->m);
	KUNIT_ASSERT_TRUE(test, folio_migration_waits(b->m, b->tf[0]));
	for (i = 1; i < b->nr; i++) {
		locked += folio_test_locked(b->tf[i]->folio);
		mapped += folio_mapped(b->tf[i]->folio);
	}
	KUNIT_EXPECT_EQ(test, folio_test_locked(b->tf[0]->folio), p->holds_folio);
	KUNIT_EXPECT_EQ(test, folio_mapped(b->tf[0]->folio), !p->holds_folio);
	KUNIT_EXPECT_EQ(test, locked, p->holds_batch ? b->nr - 1 : 0);
	KUNIT_EXPECT_EQ(test, mapped, p->holds_batch ? 0 : b->nr - 1);
	folio_hold_join(b->hold[0]);
	folio_migration_go_on(b->m);
	folio_migration_join(b->m);

	KUNIT_EXPECT_EQ(test, b->m->rc, 0);
	for (i = 0; i < b->nr; i++)
		expect_migrated(test, b->tf[i]);
}

static const struct test_folio_kind * const mixed_kinds[] = {
	&test_folio_shmem,
	&test_folio_clean[4],
	&test_folio_anon_mapped,
	&test_folio_private,
	&test_folio_clean[2],
};

PARAM_ARRAY(mixed_kinds, "%s-held", (*p)->name);

static struct batch *mixed_batch(struct kunit *test,
				 const struct test_folio_kind *held)
{
	struct batch *b = batch_alloc(test, ARRAY_SIZE(mixed_kinds));
	unsigned int i;

	for (i = 0; i < b->nr; i++) {
		batch_make(test, b, i, mixed_kinds[i]);
		if (mixed_kinds[i] == held)
			batch_hold(test, b, i, HOLD_MS);
	}
	batch_isolate(b);
	b->m->on_alloc = release_all_at_first_alloc;
	return b;
}

/* Small and large, of files and anonymous, all in one list. */
static void mixed_kinds_in_one_list(struct kunit *test)
{
	const struct test_folio_kind * const *held = test->param_value;
	struct batch *b = mixed_batch(test, *held);

	folio_migration_run(b->m);

	expect_all_migrated(test, b);
}

/* One folio can never migrate: held folios migrate all the same. */
static void permanent_error_beside_held(struct kunit *test)
{
	struct batch *b = mixed_batch(test, &test_folio_shmem);
	struct test_folio *bad = NULL;
	unsigned int i;

	for (i = 0; i < b->nr; i++)
		if (b->tf[i]->kind == &test_folio_private)
			bad = b->tf[i];
	KUNIT_ASSERT_NOT_NULL(test, bad);
	bad->migrate_error = -EIO;
	folio_migration_run(b->m);

	if (wait_promises()->wait) {
		KUNIT_EXPECT_EQ(test, b->m->rc, 1);
		KUNIT_EXPECT_EQ(test, b->m->nr_succeeded, b->nr_pages - 1);
		KUNIT_EXPECT_TRUE(test, list_is_singular(&b->m->from));
		expect_took(test, b->m, ms_to_ktime(HOLD_MS),
			    ktime_add(ms_to_ktime(HOLD_MS), ticks_to_ktime(2)));
		folio_migration_putback(b->m);
	} else {
		expect_failed_at_once(test, b->m, 2);
	}
	for (i = 0; i < b->nr; i++) {
		if (b->tf[i] == bad)
			expect_unharmed(test, bad, 0);
		else if (b->hold[i] && !wait_promises()->wait)
			expect_unharmed(test, b->tf[i], 1);
		else
			expect_migrated(test, b->tf[i]);
	}
	expect_all_migrate_later(test, b);
}

/* A folio that can never migrate is not waited for. */
static void permanent_error_of_held(struct kunit *test)
{
	struct batch *b = mixed_batch(test, &test_folio_private);
	struct folio_hold *hold = NULL;
	unsigned int i;

	b->m->on_alloc = NULL;
	for (i = 0; i < b->nr; i++) {
		if (b->hold[i]) {
			hold = b->hold[i];
			b->tf[i]->migrate_error = -EIO;
		}
	}
	KUNIT_ASSERT_NOT_NULL(test, hold);
	folio_migration_run(b->m);

	KUNIT_EXPECT_EQ(test, b->m->rc, 1);
	KUNIT_EXPECT_EQ(test, b->m->nr_succeeded, b->nr_pages - 1);
	KUNIT_EXPECT_FALSE(test, completion_done(&hold->dropped));
	expect_did_not_wait(test, b->m);

	folio_migration_putback(b->m);
	for (i = 0; i < b->nr; i++) {
		if (b->hold[i])
			expect_unharmed(test, b->tf[i], 1);
		else
			expect_migrated(test, b->tf[i]);
	}
	expect_all_migrate_later(test, b);
}

/*
 * There is no destination for the middle one of three folios.  The first one is
 * migrated, and waited for if need be; the last one is not even tried.
 */
static struct batch *run_without_destination(struct kunit *test,
					     const struct held *held,
					     bool transient)
{
	struct batch *b = batch(test, &test_folio_shmem, 3, held, HOLD_MS);

	b->m->fail_alloc_at = 2;
	if (transient)
		b->m->on_alloc = release_all_at_first_alloc;
	folio_migration_run(b->m);

	KUNIT_EXPECT_EQ(test, b->m->rc, -ENOMEM);
	KUNIT_EXPECT_EQ(test, b->m->nr_allocs, 2);
	return b;
}

static void expect_none_moved(struct kunit *test, struct batch *b)
{
	unsigned int i;

	KUNIT_EXPECT_EQ(test, b->m->nr_succeeded, 0);
	folio_migration_putback(b->m);
	for (i = 0; i < b->nr; i++)
		expect_unharmed(test, b->tf[i], b->hold[i] ? 1 : 0);
	expect_all_migrate_later(test, b);
}

static void no_destination_behind_transient(struct kunit *test)
{
	struct batch *b = run_without_destination(test, &first, true);

	if (!wait_promises()->wait) {
		expect_did_not_wait(test, b->m);
		expect_none_moved(test, b);
		return;
	}
	KUNIT_EXPECT_EQ(test, b->m->nr_succeeded, 1);
	expect_took_hold(test, b->m, b->hold[0]);
	folio_migration_putback(b->m);
	expect_migrated(test, b->tf[0]);
	expect_unharmed(test, b->tf[1], 0);
	expect_unharmed(test, b->tf[2], 0);
}

/* Only the asynchronous attempts are made. */
static void no_destination_behind_lasting(struct kunit *test)
{
	const struct wait_promises *p = wait_promises();
	struct batch *b;

	folio_fixture_needs_virtual_time(test, 3);
	b = run_without_destination(test, &first, false);

	if (p->wait)
		expect_took_waits(test, b->m, p->async_attempts);
	else
		expect_did_not_wait(test, b->m);
	expect_none_moved(test, b);
}

static void expect_no_wait_without_destination(struct kunit *test,
					       const struct held *held)
{
	struct batch *b = run_without_destination(test, held, false);
	unsigned int i;

	KUNIT_EXPECT_EQ(test, b->m->nr_succeeded, 1);
	expect_did_not_wait(test, b->m);
	folio_migration_putback(b->m);
	expect_migrated(test, b->tf[0]);
	for (i = 1; i < b->nr; i++)
		expect_unharmed(test, b->tf[i], b->hold[i] ? 1 : 0);
	expect_all_migrate_later(test, b);
}

static void no_destination_for_held(struct kunit *test)
{
	expect_no_wait_without_destination(test, &middle);
}

static void no_destination_before_held(struct kunit *test)
{
	expect_no_wait_without_destination(test, &last);
}

/*
 * A limit of the series: without a destination the split of a large folio is tried,
 * which an extra reference prevents, and which does not wait.
 */
static void no_destination_for_held_large(struct kunit *test)
{
	struct batch *b;

	if (IS_ENABLED(CONFIG_DEBUG_VM) && !IS_ENABLED(CONFIG_TRANSPARENT_HUGEPAGE))
		kunit_skip(test, "a kernel without THP warns about the split");

	b = batch(test, &test_folio_clean[4], 1, &all, HOLD_MS);
	b->m->fail_alloc_order = b->tf[0]->kind->order;
	folio_migration_run(b->m);

	/* Not split for now, or for good on a kernel without THP. */
	KUNIT_EXPECT_EQ(test, b->m->rc,
			IS_ENABLED(CONFIG_TRANSPARENT_HUGEPAGE) ? 1 : -ENOMEM);
	KUNIT_EXPECT_FALSE(test, completion_done(&b->hold[0]->dropped));
	expect_did_not_wait(test, b->m);
	expect_none_moved(test, b);
}

/*
 * The same limit while the folio is locked: its split is tried as often as its
 * migration would be, without a wait.
 */
static void no_destination_for_locked_large(struct kunit *test)
{
	struct batch *b = batch(test, &test_folio_clean[4], 1, &all, HOLD_MS);

	b->m->mode = MIGRATE_ASYNC;
	b->m->fail_alloc_order = b->tf[0]->kind->order;
	test_folio_lock(test, b->tf[0]->folio);
	folio_migration_run(b->m);
	test_folio_unlock(test, b->tf[0]->folio);

	KUNIT_EXPECT_EQ(test, b->m->rc, 1);
	KUNIT_EXPECT_EQ(test, b->m->nr_allocs, wait_attempts());
	KUNIT_EXPECT_FALSE(test, completion_done(&b->hold[0]->dropped));
	expect_did_not_wait(test, b->m);
	expect_none_moved(test, b);
}

static struct kunit_case migrate_longterm_batch_cases[] = {
	KUNIT_CASE_PARAM_ARRAY(transient_references, transient_params),
	KUNIT_CASE(staggered_ascending),
	KUNIT_CASE(staggered_descending),
	KUNIT_CASE_PARAM_ARRAY_SLOW(lasting_references, lasting_params),
	KUNIT_CASE_SLOW(transient_behind_lasting),
	KUNIT_CASE_SLOW(dropped_during_last_wait),
	KUNIT_CASE(others_during_wait),
	KUNIT_CASE_PARAM_ARRAY(mixed_kinds_in_one_list, mixed_kinds),
	KUNIT_CASE(permanent_error_beside_held),
	KUNIT_CASE(permanent_error_of_held),
	KUNIT_CASE(no_destination_behind_transient),
	KUNIT_CASE_SLOW(no_destination_behind_lasting),
	KUNIT_CASE(no_destination_for_held),
	KUNIT_CASE(no_destination_before_held),
	KUNIT_CASE(no_destination_for_held_large),
	KUNIT_CASE(no_destination_for_locked_large),
	{}
};

static struct kunit_suite migrate_longterm_batch_suite = {
	.name = "migrate_longterm_batch",
	.init = folio_fixture_init,
	.test_cases = migrate_longterm_batch_cases,
};

kunit_test_suite(migrate_longterm_batch_suite);

MODULE_DESCRIPTION("KUnit tests for page migration of many folios before a longterm pin");
MODULE_LICENSE("GPL");
