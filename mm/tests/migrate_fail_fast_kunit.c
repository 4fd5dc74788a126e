// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests for page migration that must not wait: for any reason but a
 * longterm pin an extra folio reference makes it fail at once.
 */

#include "folio_fixture.h"

struct reason_param {
	const char *name;
	enum migrate_reason reason;
	enum migrate_mode mode;
};

/* All but MR_LONGTERM_PIN, and MR_NEVER of 7.3, for which nobody migrates. */
static const struct reason_param reasons[] = {
	{ "compaction", MR_COMPACTION, MIGRATE_ASYNC },
	{ "compaction", MR_COMPACTION, MIGRATE_SYNC_LIGHT },
	{ "compaction", MR_COMPACTION, MIGRATE_SYNC },
	{ "memory_failure", MR_MEMORY_FAILURE, MIGRATE_ASYNC },
	{ "memory_failure", MR_MEMORY_FAILURE, MIGRATE_SYNC_LIGHT },
	{ "memory_failure", MR_MEMORY_FAILURE, MIGRATE_SYNC },
	{ "memory_hotplug", MR_MEMORY_HOTPLUG, MIGRATE_ASYNC },
	{ "memory_hotplug", MR_MEMORY_HOTPLUG, MIGRATE_SYNC_LIGHT },
	{ "memory_hotplug", MR_MEMORY_HOTPLUG, MIGRATE_SYNC },
	{ "syscall", MR_SYSCALL, MIGRATE_ASYNC },
	{ "syscall", MR_SYSCALL, MIGRATE_SYNC_LIGHT },
	{ "syscall", MR_SYSCALL, MIGRATE_SYNC },
	{ "mempolicy_mbind", MR_MEMPOLICY_MBIND, MIGRATE_ASYNC },
	{ "mempolicy_mbind", MR_MEMPOLICY_MBIND, MIGRATE_SYNC_LIGHT },
	{ "mempolicy_mbind", MR_MEMPOLICY_MBIND, MIGRATE_SYNC },
	{ "numa_misplaced", MR_NUMA_MISPLACED, MIGRATE_ASYNC },
	{ "numa_misplaced", MR_NUMA_MISPLACED, MIGRATE_SYNC_LIGHT },
	{ "numa_misplaced", MR_NUMA_MISPLACED, MIGRATE_SYNC },
	{ "contig_range", MR_CONTIG_RANGE, MIGRATE_ASYNC },
	{ "contig_range", MR_CONTIG_RANGE, MIGRATE_SYNC_LIGHT },
	{ "contig_range", MR_CONTIG_RANGE, MIGRATE_SYNC },
	{ "demotion", MR_DEMOTION, MIGRATE_ASYNC },
	{ "demotion", MR_DEMOTION, MIGRATE_SYNC_LIGHT },
	{ "demotion", MR_DEMOTION, MIGRATE_SYNC },
	{ "damon", MR_DAMON, MIGRATE_ASYNC },
	{ "damon", MR_DAMON, MIGRATE_SYNC_LIGHT },
	{ "damon", MR_DAMON, MIGRATE_SYNC },
};

PARAM_ARRAY(reasons, "%s-%s", p->name, test_mode_names[p->mode]);

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
	KUNIT_CASE_PARAM_ARRAY(fails_at_once, reasons),
	KUNIT_CASE_PARAM_ARRAY(locked_fails_at_once, reasons),
	KUNIT_CASE_PARAM_ARRAY(every_kind_fails_at_once, test_folio_kinds),
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
