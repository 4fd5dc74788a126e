// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests for migration of folios of hugetlbfs before a longterm pin.
 *
 * They are migrated before all others, by code of their own that a series may not
 * have taught to wait.
 */

#include <linux/hugetlb.h>
#include <linux/pagemap.h>
#include <linux/sched/task.h>

#include "counters.h"
#include "folio_fixture.h"

/*
 * What references last, in milliseconds: less than a wait, and in real time more than a
 * slow machine takes for attempts that do not wait.
 */
#define HOLD_MS		(waits_are_free() ? 50 : 500)

/**
 * struct huge_test - a folio of hugetlbfs that is migrated
 * @tf: the folio
 * @m: its migration
 * @key_before: count of the wake-up key
 */
struct huge_test {
	struct test_folio *tf;
	struct folio_migration *m;
	int key_before;
};

static void huge_test_make(struct kunit *test, struct huge_test *ht,
			   enum migrate_mode mode)
{
	ht->tf = test_folio_make(test, &test_folio_hugetlb);
	ht->m = longterm_migration(test, mode);
	ht->key_before = folio_wakeup_key_count();
}

/* The key was on inside, if there is one, and is back where it was. */
static void expect_balanced(struct kunit *test, const struct huge_test *ht)
{
	if (ht->m->nr_allocs)
		KUNIT_EXPECT_EQ(test, ht->m->key_inside,
				ht->key_before + key_count_of(1));
	KUNIT_EXPECT_EQ(test, folio_wakeup_key_count(), ht->key_before);
}

static void expect_moved(struct kunit *test, struct huge_test *ht)
{
	KUNIT_EXPECT_EQ(test, ht->m->rc, 0);
	KUNIT_EXPECT_EQ(test, ht->m->nr_succeeded, 1 << ht->tf->kind->order);
	KUNIT_EXPECT_TRUE(test, list_empty(&ht->m->from));
	expect_migrated(test, ht->tf);
	expect_balanced(test, ht);
}

static const enum migrate_mode modes[] = {
	MIGRATE_ASYNC,
	MIGRATE_SYNC,
};

PARAM_ARRAY(modes, "%s", test_mode_names[*p]);

static void migrates(struct kunit *test)
{
	const enum migrate_mode *mode = test->param_value;
	struct huge_test ht;

	huge_test_make(test, &ht, *mode);
	folio_migration_add(ht.m, ht.tf);
	folio_migration_run(ht.m);

	expect_moved(test, &ht);
	expect_did_not_wait(test, ht.m);
}

/* Without a destination nothing is migrated, what comes before it in the list neither. */
static void no_destination(struct kunit *test)
{
	struct test_folio *small;
	struct huge_test ht;

	huge_test_make(test, &ht, MIGRATE_SYNC);
	small = test_folio_make(test, &test_folio_shmem);
	folio_migration_add(ht.m, small);
	folio_migration_add(ht.m, ht.tf);
	ht.m->fail_alloc_at = 1;
	folio_migration_run(ht.m);

	KUNIT_EXPECT_EQ(test, ht.m->rc, -ENOMEM);
	KUNIT_EXPECT_EQ(test, ht.m->nr_succeeded, 0);
	KUNIT_EXPECT_EQ(test, ht.m->nr_allocs, 1);
	expect_did_not_wait(test, ht.m);
	expect_balanced(test, &ht);
	folio_migration_putback(ht.m);
	expect_unharmed(test, ht.tf, 0);
	expect_unharmed(test, small, 0);
	expect_migrates_later(test, ht.m);
}

static const char *const reasons[] = { "held", "no-destination" };

PARAM_ARRAY(reasons, "%s", *p);

/* Each page of one that does not move counts, once. */
static void failure_is_counted(struct kunit *test)
{
	const bool held = test->param_value == &reasons[0];
	struct test_folio *tf = test_folio_make(test, &test_folio_hugetlb);
	struct folio_migration *m = folio_migration(test, MIGRATE_SYNC, MR_SYSCALL);
	const long nr = 1L << tf->kind->order;
	struct counters *before;

	folio_migration_add(m, tf);
	before = counters_read(test);
	if (held)
		test_folio_get(test, tf->folio);
	else
		m->fail_alloc_at = 1;
	folio_migration_run(m);
	if (held)
		test_folio_put(test, tf->folio);
	folio_migration_putback(m);

	KUNIT_EXPECT_EQ(test, m->rc, held ? 1 : -ENOMEM);
	expect_events(before, PGMIGRATE_FAIL, nr);
	expect_events(before, PGMIGRATE_SUCCESS, 0);
	folio_migration_again(m);
	KUNIT_EXPECT_EQ(test, m->rc, 0);
	expect_events(before, PGMIGRATE_FAIL, nr);
	expect_events(before, PGMIGRATE_SUCCESS, nr);
	expect_migrated(test, tf);
}

/*
 * A limit of the series, unless it promises better: all attempts are made at once,
 * and a reference that is about to go makes them fail.
 */
static void transient_reference(struct kunit *test)
{
	const enum migrate_mode *mode = test->param_value;
	struct folio_hold *hold;
	struct huge_test ht;

	huge_test_make(test, &ht, *mode);
	hold = folio_hold(test, ht.tf->folio, 1, HOLD_MS);
	folio_migration_add(ht.m, ht.tf);
	ht.m->on_alloc = release_hold_on_alloc;
	ht.m->data = hold;
	folio_migration_run(ht.m);

	if (wait_promises()->hugetlb) {
		folio_hold_join(hold);
		expect_took_hold(test, ht.m, hold);
		expect_moved(test, &ht);
		return;
	}
	KUNIT_EXPECT_EQ(test, ht.m->nr_allocs, wait_attempts());
	KUNIT_EXPECT_FALSE(test, completion_done(&hold->dropped));
	expect_balanced(test, &ht);
	expect_failed_at_once(test, ht.m, 1);
	folio_hold_join(hold);
	expect_unharmed(test, ht.tf, 0);
	expect_migrates_later(test, ht.m);
}

/* A small folio is waited for behind a huge one that fails. */
static void small_behind_held(struct kunit *test)
{
	struct folio_hold *lasts, *hold;
	struct test_folio *small;
	struct huge_test ht;

	folio_fixture_needs_wait(test);
	huge_test_make(test, &ht, MIGRATE_SYNC);
	small = test_folio_make(test, &test_folio_shmem);
	lasts = folio_hold(test, ht.tf->folio, 1, 0);
	hold = folio_hold(test, small->folio, 1, HOLD_MS);
	folio_migration_add(ht.m, ht.tf);
	folio_migration_add(ht.m, small);
	ht.m->on_alloc = release_hold_on_alloc;
	ht.m->data = hold;
	folio_migration_run(ht.m);
	folio_hold_join(hold);

	KUNIT_EXPECT_EQ(test, ht.m->rc, 1);
	KUNIT_EXPECT_EQ(test, ht.m->nr_succeeded, 1);
	KUNIT_EXPECT_EQ(test, ht.m->nr_allocs, wait_attempts() + 1);
	expect_took_hold(test, ht.m, hold);
	expect_balanced(test, &ht);
	expect_migrated(test, small);
	folio_migration_putback(ht.m);
	folio_hold_join(lasts);
	expect_unharmed(test, ht.tf, 0);
	expect_migrates_later(test, ht.m);
}

/* In asynchronous mode the lock is not waited for. */
static void locked_async(struct kunit *test)
{
	struct huge_test ht;

	huge_test_make(test, &ht, MIGRATE_ASYNC);
	folio_migration_add(ht.m, ht.tf);
	test_folio_lock(test, ht.tf->folio);
	folio_migration_run(ht.m);
	test_folio_unlock(test, ht.tf->folio);

	KUNIT_EXPECT_EQ(test, ht.m->nr_allocs, wait_attempts());
	expect_balanced(test, &ht);
	expect_failed_at_once(test, ht.m, 1);
	expect_unharmed(test, ht.tf, 0);
	expect_migrates_later(test, ht.m);
}

/* In synchronous mode it is, but not at the first attempts. */
static void locked_sync(struct kunit *test)
{
	struct huge_test ht;

	huge_test_make(test, &ht, MIGRATE_SYNC);
	folio_migration_add(ht.m, ht.tf);
	test_folio_lock(test, ht.tf->folio);
	folio_migration_start(ht.m);
	KUNIT_EXPECT_TRUE(test, folio_migration_blocks(ht.m, ht.tf));
	test_folio_unlock(test, ht.tf->folio);
	folio_migration_join(ht.m);

	KUNIT_EXPECT_EQ(test, ht.m->nr_allocs, wait_promises()->async_attempts + 1);
	expect_moved(test, &ht);
}

/* It was freed after its isolation, which is as good as migrated. */
static void freed_meanwhile(struct kunit *test)
{
	struct huge_test ht;

	huge_test_make(test, &ht, MIGRATE_SYNC);
	folio_migration_add(ht.m, ht.tf);
	KUNIT_ASSERT_EQ(test, 0, vm_munmap(ht.tf->addr, ht.tf->len));
	KUNIT_ASSERT_EQ(test, 0, vfs_truncate(&ht.tf->file->f_path, 0));
	KUNIT_ASSERT_EQ(test, folio_ref_count(ht.tf->folio), 1);
	folio_migration_run(ht.m);

	KUNIT_EXPECT_EQ(test, ht.m->rc, 0);
	KUNIT_EXPECT_EQ(test, ht.m->nr_succeeded, 1 << ht.tf->kind->order);
	KUNIT_EXPECT_EQ(test, ht.m->nr_allocs, 0);
	KUNIT_EXPECT_TRUE(test, list_empty(&ht.m->from));
	expect_did_not_wait(test, ht.m);
	expect_balanced(test, &ht);
	KUNIT_EXPECT_EQ(test, default_hstate.free_huge_pages, 1);
}

static void forget_subpool(void *folio)
{
	hugetlb_set_folio_subpool(folio, NULL);
}

/*
 * One that is about to be freed, with a subpool to count it, fails for good: it is tried
 * once.
 */
static void permanent_error(struct kunit *test)
{
	struct folio_hold *hold;
	struct huge_test ht;
	struct folio *folio;

	huge_test_make(test, &ht, MIGRATE_SYNC);
	folio = ht.tf->folio;
	hold = folio_hold(test, folio, 1, 0);
	folio_migration_add(ht.m, ht.tf);
	KUNIT_ASSERT_EQ(test, 0, vm_munmap(ht.tf->addr, ht.tf->len));
	KUNIT_ASSERT_EQ(test, 0, vfs_truncate(&ht.tf->file->f_path, 0));
	/* Nobody looks into it before the folio is freed. */
	hugetlb_set_folio_subpool(folio, test_zalloc(test, 1));
	test_cleanup(test, forget_subpool, folio);
	folio_migration_run(ht.m);
	kunit_release_action(test, forget_subpool, folio);

	KUNIT_EXPECT_EQ(test, ht.m->nr_allocs, 1);
	KUNIT_EXPECT_NULL(test, ht.tf->dst);
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 2);
	expect_balanced(test, &ht);
	expect_failed_at_once(test, ht.m, 1);
	folio_hold_join(hold);
	KUNIT_EXPECT_EQ(test, default_hstate.free_huge_pages, 1);
}

static struct kunit_case migrate_longterm_hugetlb_cases[] = {
	KUNIT_CASE_PARAM_ARRAY(migrates, modes),
	KUNIT_CASE(no_destination),
	KUNIT_CASE_PARAM_ARRAY(failure_is_counted, reasons),
	KUNIT_CASE_PARAM_ARRAY(transient_reference, modes),
	KUNIT_CASE(small_behind_held),
	KUNIT_CASE(locked_async),
	KUNIT_CASE(locked_sync),
	KUNIT_CASE(freed_meanwhile),
	KUNIT_CASE(permanent_error),
	{}
};

static struct kunit_suite migrate_longterm_hugetlb_suite = {
	.name = "migrate_longterm_hugetlb",
	.init = folio_fixture_init,
	.test_cases = migrate_longterm_hugetlb_cases,
};

kunit_test_suite(migrate_longterm_hugetlb_suite);

MODULE_DESCRIPTION("KUnit tests for migration of huge pages before a longterm pin");
MODULE_LICENSE("GPL");
