// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests for page migration that must not wait: for any reason but a
 * longterm pin an extra folio reference makes it fail at once.
 */

#include "folio_fixture.h"

struct reason_param {
	enum migrate_reason reason;
	enum migrate_mode mode;
};

/* Nobody migrates for a reason that is not here: 7.3 has MR_NEVER. */
static const char * const reason_names[MR_TYPES] = {
	[MR_COMPACTION] = "compaction",
	[MR_MEMORY_FAILURE] = "memory_failure",
	[MR_MEMORY_HOTPLUG] = "memory_hotplug",
	[MR_SYSCALL] = "syscall",
	[MR_MEMPOLICY_MBIND] = "mempolicy_mbind",
	[MR_NUMA_MISPLACED] = "numa_misplaced",
	[MR_CONTIG_RANGE] = "contig_range",
	[MR_DEMOTION] = "demotion",
	[MR_DAMON] = "damon",
};

static const char * const mode_names[] = {
	[MIGRATE_ASYNC] = "async",
	[MIGRATE_SYNC_LIGHT] = "sync_light",
	[MIGRATE_SYNC] = "sync",
};

static void reason_desc(struct kunit *test, const void *param, char *desc)
{
	const struct reason_param *p = param;

	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%s-%s",
		 reason_names[p->reason], mode_names[p->mode]);
}

static int reasons_init(struct kunit *test)
{
	struct reason_param *params;
	int i, reason, mode;

	params = kunit_kcalloc(test, MR_TYPES * ARRAY_SIZE(mode_names),
			       sizeof(*params), GFP_KERNEL);
	if (!params)
		return -ENOMEM;
	i = 0;
	for (reason = 0; reason < MR_TYPES; reason++) {
		if (!reason_names[reason])
			continue;
		for (mode = 0; mode < ARRAY_SIZE(mode_names); mode++) {
			params[i].reason = reason;
			params[i].mode = mode;
			i++;
		}
	}
	kunit_register_params_array(test, params, i, reason_desc);
	return 0;
}

/* It has failed, for the reference and not for something before it. */
static void expect_failed(struct kunit *test, struct folio_migration *m,
			  struct test_folio *tf, struct folio_hold *hold)
{
	KUNIT_EXPECT_FALSE(test, completion_done(&hold->dropped));
	expect_failed_at_once(test, m, 1);
	expect_unharmed(test, tf, 1);
}

static void fails_at_once(struct kunit *test)
{
	const struct reason_param *p = test->param_value;
	struct test_folio *tf = test_folio_make(test, &test_folio_shmem);
	struct folio_hold *hold = folio_hold(test, tf->folio, 1, 0);
	struct folio_migration *m = folio_migration(test, p->mode, p->reason);
	const int key = folio_wakeup_key_count();

	folio_migration_add(m, tf);
	folio_migration_run(m);

	KUNIT_EXPECT_EQ(test, m->key_inside, key);
	expect_failed(test, m, tf, hold);
}

/* A folio that can't be unmapped is the other place where one could wait. */
static void locked_fails_at_once(struct kunit *test)
{
	const struct reason_param *p = test->param_value;
	struct test_folio *tf = test_folio_make(test, &test_folio_shmem);
	struct folio_hold *hold = folio_hold(test, tf->folio, 1, 0);
	struct folio_migration *m = folio_migration(test, MIGRATE_ASYNC,
						    p->reason);

	folio_migration_add(m, tf);
	test_folio_lock(test, tf->folio);
	folio_migration_run(m);
	test_folio_unlock(test, tf->folio);

	expect_failed(test, m, tf, hold);
}

/* Whatever the kind of folio. */
static void every_kind_fails_at_once(struct kunit *test)
{
	struct test_folio *tf = test_folio_make(test, test_folio_kind_param(test));
	struct folio_hold *hold = folio_hold(test, tf->folio, 1, 0);
	struct folio_migration *m = folio_migration(test, MIGRATE_SYNC,
						    MR_COMPACTION);

	folio_migration_add(m, tf);
	folio_migration_run(m);

	expect_failed(test, m, tf, hold);
}

static struct kunit_case migrate_fail_fast_cases[] = {
	KUNIT_CASE_PARAM_WITH_INIT(fails_at_once, kunit_array_gen_params,
				   reasons_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(locked_fails_at_once, kunit_array_gen_params,
				   reasons_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(every_kind_fails_at_once,
				   kunit_array_gen_params,
				   test_folio_kinds_init, NULL),
	{}
};

static struct kunit_suite migrate_fail_fast_suite = {
	.name = "migrate_fail_fast",
	.init = folio_fixture_init,
	.test_cases = migrate_fail_fast_cases,
};

kunit_test_suite(migrate_fail_fast_suite);

MODULE_DESCRIPTION("KUnit tests for page migration that must not wait");
MODULE_LICENSE("GPL");
