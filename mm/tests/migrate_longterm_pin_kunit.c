// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests for page migration before a longterm pin: it waits for transient
 * folio references.
 */

#include "folio_fixture.h"

/* The timer wheel may add an eighth, see kernel/time/timer.c. */
static unsigned long wait_at_most(unsigned long wait)
{
	return wait + wait / 8 + 1;
}

static const struct test_folio_kind * const kinds[] = {
	&test_folio_shmem,
	&test_folio_private,
	&test_folio_anon_unmapped,
	&test_folio_anon_mapped,
	&test_folio_large_2,
	&test_folio_large_4,
};

static const unsigned int delays_ms[] = { 0, 1, 10, 100, 500, 900 };

struct pin_param {
	const struct test_folio_kind *kind;
	unsigned int delay_ms;
};

/* Longer than one wait, but gone before the last: a later attempt migrates. */
static const struct pin_param long_holds[] = {
	{ &test_folio_shmem, 1500 },
	{ &test_folio_shmem, 3500 },
	{ &test_folio_shmem, 8000 },
	{ &test_folio_anon_mapped, 8000 },
	{ &test_folio_large_4, 3500 },
};

static void kind_desc(struct kunit *test, const void *param, char *desc)
{
	const struct pin_param *p = param;

	strscpy(desc, p->kind->name, KUNIT_PARAM_DESC_SIZE);
}

static void kind_and_delay_desc(struct kunit *test, const void *param, char *desc)
{
	const struct pin_param *p = param;

	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%s-%ums", p->kind->name,
		 p->delay_ms);
}

static int kinds_init(struct kunit *test)
{
	struct pin_param *params;
	int i;

	params = kunit_kcalloc(test, ARRAY_SIZE(kinds), sizeof(*params),
			       GFP_KERNEL);
	if (!params)
		return -ENOMEM;
	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		params[i].kind = kinds[i];
	kunit_register_params_array(test, params, ARRAY_SIZE(kinds), kind_desc);
	return 0;
}

static int kinds_and_delays_init(struct kunit *test)
{
	const size_t nr_short = ARRAY_SIZE(kinds) * ARRAY_SIZE(delays_ms);
	const size_t nr = nr_short + ARRAY_SIZE(long_holds);
	struct pin_param *params;
	int i;

	params = kunit_kcalloc(test, nr, sizeof(*params), GFP_KERNEL);
	if (!params)
		return -ENOMEM;
	for (i = 0; i < nr_short; i++) {
		params[i].kind = kinds[i / ARRAY_SIZE(delays_ms)];
		params[i].delay_ms = delays_ms[i % ARRAY_SIZE(delays_ms)];
	}
	memcpy(&params[nr_short], long_holds, sizeof(long_holds));
	kunit_register_params_array(test, params, nr, kind_and_delay_desc);
	return 0;
}

/* Nobody else holds a reference: there is nothing to wait for. */
static void no_extra_reference(struct kunit *test)
{
	const struct pin_param *p = test->param_value;
	struct test_folio *tf = test_folio_make(test, p->kind);
	struct folio_migration *m = folio_migration(test, MIGRATE_SYNC,
						    MR_LONGTERM_PIN);

	folio_migration_add(m, tf);
	folio_migration_run(m);

	KUNIT_EXPECT_EQ(test, m->rc, 0);
	KUNIT_EXPECT_EQ(test, m->nr_succeeded, 1 << p->kind->order);
	KUNIT_EXPECT_TRUE(test, list_empty(&m->from));
	expect_took(test, m, 0, ticks_to_ktime(1));
	/*
	 * Of an unmapped anonymous folio there is only the isolated reference
	 * left: it counts as migrated when that is dropped.
	 */
	if (p->kind != &test_folio_anon_unmapped)
		expect_migrated(test, tf);
}

/* Migration takes as long as the reference is held. */
static void transient_reference(struct kunit *test)
{
	const struct pin_param *p = test->param_value;
	struct folio_migration *m;
	struct test_folio *tf;
	struct folio_hold *hold;

	if (p->delay_ms > 1500)
		folio_fixture_needs_virtual_time(test, p->delay_ms / MSEC_PER_SEC);

	tf = test_folio_make(test, p->kind);
	hold = folio_hold(test, tf->folio, 1, p->delay_ms);
	m = folio_migration(test, MIGRATE_SYNC, MR_LONGTERM_PIN);
	folio_migration_add(m, tf);
	m->on_alloc = release_hold_on_alloc;
	m->data = hold;
	folio_migration_run(m);
	folio_hold_join(hold);

	KUNIT_EXPECT_EQ(test, m->rc, 0);
	KUNIT_EXPECT_EQ(test, m->nr_succeeded, 1 << p->kind->order);
	KUNIT_EXPECT_TRUE(test, list_empty(&m->from));
	KUNIT_EXPECT_GE(test, m->ended_at, hold->dropped_at);
	expect_took(test, m, hold->delay,
		    ktime_add(hold->delay, ticks_to_ktime(2)));
	expect_migrated(test, tf);
}

/* The reference is never dropped: each attempt waits its time, then all fail. */
static void expect_lasting_reference_fails(struct kunit *test,
					   const struct test_folio_kind *kind,
					   enum migrate_mode mode)
{
	struct test_folio *tf = test_folio_make(test, kind);
	struct folio_hold *hold = folio_hold(test, tf->folio, 1, 0);
	struct folio_migration *m = folio_migration(test, mode, MR_LONGTERM_PIN);
	const struct wait_promises *p = wait_promises();
	const unsigned int attempts = p->async_attempts + p->sync_attempts;

	folio_migration_add(m, tf);
	folio_migration_run(m);

	KUNIT_EXPECT_EQ(test, m->rc, 1);
	KUNIT_EXPECT_EQ(test, m->nr_succeeded, 0);
	KUNIT_EXPECT_TRUE(test, list_is_singular(&m->from));
	KUNIT_EXPECT_FALSE(test, completion_done(&hold->dropped));
	expect_took(test, m, ticks_to_ktime(attempts * p->wait),
		    ticks_to_ktime(attempts * wait_at_most(p->wait)));

	folio_migration_putback(m);
	expect_unharmed(test, tf, 1);
}

static void lasting_reference(struct kunit *test)
{
	const struct pin_param *p = test->param_value;

	/* In real time one kind has to do. */
	if (p->kind != &test_folio_shmem)
		folio_fixture_needs_virtual_time(test, 10);
	expect_lasting_reference_fails(test, p->kind, MIGRATE_SYNC);
}

/* In asynchronous mode all attempts are of the one kind, and wait as well. */
static void lasting_reference_async(struct kunit *test)
{
	folio_fixture_needs_virtual_time(test, 10);
	expect_lasting_reference_fails(test, &test_folio_shmem, MIGRATE_ASYNC);
}

/* All extra references have to go, whoever holds them. */
static void several_references(struct kunit *test)
{
	struct test_folio *tf = test_folio_make(test, &test_folio_shmem);
	struct folio_hold *first = folio_hold(test, tf->folio, 3, 100);
	struct folio_hold *last = folio_hold(test, tf->folio, 2, 300);
	struct folio_migration *m = folio_migration(test, MIGRATE_SYNC,
						    MR_LONGTERM_PIN);

	folio_migration_add(m, tf);
	folio_hold_release(first);
	folio_hold_release(last);
	folio_migration_run(m);
	folio_hold_join(first);
	folio_hold_join(last);

	KUNIT_EXPECT_EQ(test, m->rc, 0);
	KUNIT_EXPECT_GE(test, m->ended_at, first->dropped_at);
	KUNIT_EXPECT_GE(test, m->ended_at, last->dropped_at);
	if (folio_fixture_virtual_time())
		expect_took(test, m, last->delay,
			    ktime_add(last->delay, ticks_to_ktime(2)));
	expect_migrated(test, tf);
}

/* Of three folios the middle one is held: all migrate, as late as that one. */
static void one_held_of_several(struct kunit *test)
{
	struct folio_migration *m = folio_migration(test, MIGRATE_SYNC,
						    MR_LONGTERM_PIN);
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
	folio_hold_join(hold);

	KUNIT_EXPECT_EQ(test, m->rc, 0);
	KUNIT_EXPECT_EQ(test, m->nr_succeeded, ARRAY_SIZE(tf));
	KUNIT_EXPECT_GE(test, m->ended_at, hold->dropped_at);
	expect_took(test, m, hold->delay,
		    ktime_add(hold->delay, ticks_to_ktime(2)));
	for (i = 0; i < ARRAY_SIZE(tf); i++)
		expect_migrated(test, tf[i]);
}

/*
 * The folio is locked when migration comes to it, so it can't even be unmapped.
 * The wait is for references, not for locks: with none in excess an attempt
 * does not wait, a mode that does not block fails, and nothing is harmed.
 */
static void locked_folio_is_not_waited_for(struct kunit *test)
{
	struct test_folio *tf = test_folio_make(test, &test_folio_shmem);
	struct folio_migration *m = folio_migration(test, MIGRATE_ASYNC,
						    MR_LONGTERM_PIN);

	folio_migration_add(m, tf);
	folio_lock(tf->folio);
	folio_migration_run(m);
	folio_unlock(tf->folio);

	KUNIT_EXPECT_EQ(test, m->rc, 1);
	expect_took(test, m, 0, ticks_to_ktime(1));

	folio_migration_putback(m);
	expect_unharmed(test, tf, 0);
}

/*
 * The same with an extra reference: the attempt that finds the folio locked
 * waits for the reference before the next one.
 */
static void locked_and_held_folio(struct kunit *test)
{
	struct test_folio *tf = test_folio_make(test, &test_folio_shmem);
	struct folio_hold *hold = folio_hold(test, tf->folio, 1, 500);
	struct folio_migration *m = folio_migration(test, MIGRATE_ASYNC,
						    MR_LONGTERM_PIN);

	folio_migration_add(m, tf);
	m->on_alloc = release_hold_on_alloc;
	m->data = hold;
	folio_lock(tf->folio);
	folio_migration_run(m);
	folio_unlock(tf->folio);
	folio_hold_join(hold);

	KUNIT_EXPECT_EQ(test, m->rc, 1);
	KUNIT_EXPECT_GE(test, m->ended_at, hold->dropped_at);
	expect_took(test, m, hold->delay,
		    ktime_add(hold->delay, ticks_to_ktime(2)));

	folio_migration_putback(m);
	expect_unharmed(test, tf, 0);
}

static struct kunit_case migrate_longterm_pin_cases[] = {
	KUNIT_CASE_PARAM_WITH_INIT(no_extra_reference, kunit_array_gen_params,
				   kinds_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT_SLOW(transient_reference,
					kinds_and_delays_init),
	KUNIT_CASE_PARAM_WITH_INIT_SLOW(lasting_reference, kinds_init),
	KUNIT_CASE_SLOW(lasting_reference_async),
	KUNIT_CASE(several_references),
	KUNIT_CASE(one_held_of_several),
	KUNIT_CASE(locked_folio_is_not_waited_for),
	KUNIT_CASE(locked_and_held_folio),
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
