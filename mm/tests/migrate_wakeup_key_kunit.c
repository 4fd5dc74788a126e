// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests for folio_put_wakeup_key: migrate_pages() for a longterm pin holds
 * it while it runs, and gives it back on every way out.
 */

#include "folio_fixture.h"

/* The most folios that a case here migrates. */
#define NR_FOLIOS	4

struct key_test {
	struct folio_migration *m;
	struct test_folio *tf[NR_FOLIOS];
	int nr;
	int key_before;
};

static void key_test_make(struct kunit *test, struct key_test *kt,
			  const struct test_folio_kind *kind, int nr,
			  enum migrate_mode mode)
{
	int i;

	kt->nr = nr;
	kt->key_before = folio_wakeup_key_count();
	kt->m = longterm_migration(test, mode);
	for (i = 0; i < nr; i++) {
		kt->tf[i] = test_folio_make(test, kind);
		folio_migration_add(kt->m, kt->tf[i]);
	}
}

/* On once inside, if there is one, and back where it was. */
static void expect_balanced(struct kunit *test, const struct key_test *kt)
{
	KUNIT_EXPECT_EQ(test, kt->m->key_inside, kt->key_before + key_count_of(1));
	KUNIT_EXPECT_EQ(test, folio_wakeup_key_count(), kt->key_before);
}

static void balanced_on_success(struct kunit *test)
{
	struct key_test kt;
	int i;

	key_test_make(test, &kt, &test_folio_shmem, 3, MIGRATE_SYNC);
	folio_migration_run(kt.m);

	KUNIT_EXPECT_EQ(test, kt.m->rc, 0);
	expect_balanced(test, &kt);
	for (i = 0; i < kt.nr; i++)
		expect_migrated(test, kt.tf[i]);
}

static void balanced_on_success_async(struct kunit *test)
{
	struct key_test kt;

	key_test_make(test, &kt, &test_folio_shmem, 1, MIGRATE_ASYNC);
	folio_migration_run(kt.m);

	KUNIT_EXPECT_EQ(test, kt.m->rc, 0);
	expect_balanced(test, &kt);
	expect_migrated(test, kt.tf[0]);
}

static void balanced_on_timeout(struct kunit *test)
{
	struct key_test kt;

	key_test_make(test, &kt, &test_folio_shmem, 1, MIGRATE_SYNC);
	folio_hold(test, kt.tf[0]->folio, 1, 0);
	folio_migration_run(kt.m);

	KUNIT_EXPECT_EQ(test, kt.m->rc, 1);
	expect_balanced(test, &kt);
	folio_migration_putback(kt.m);
	expect_unharmed(test, kt.tf[0], 1);
}

/* A permanent error is not waited for. */
static void balanced_on_permanent_error(struct kunit *test)
{
	struct key_test kt;

	key_test_make(test, &kt, &test_folio_private, 1, MIGRATE_SYNC);
	folio_hold(test, kt.tf[0]->folio, 1, 0);
	kt.tf[0]->migrate_error = -EIO;
	folio_migration_run(kt.m);

	KUNIT_EXPECT_EQ(test, kt.m->rc, 1);
	expect_balanced(test, &kt);
	expect_did_not_wait(test, kt.m);
	folio_migration_putback(kt.m);
	expect_unharmed(test, kt.tf[0], 1);
}

struct enomem_param {
	int fail_at;
	enum migrate_mode mode;
};

static const struct enomem_param enomem_params[] = {
	{ 1, MIGRATE_SYNC },
	{ 2, MIGRATE_SYNC },
	{ 3, MIGRATE_SYNC },
	{ 1, MIGRATE_ASYNC },
	{ 2, MIGRATE_ASYNC },
	{ 3, MIGRATE_ASYNC },
};

PARAM_ARRAY(enomem_params, "folio%d-%s", p->fail_at, test_mode_names[p->mode]);

/* There is no destination for a folio: those before it migrate all the same. */
static void balanced_on_enomem(struct kunit *test)
{
	const struct enomem_param *p = test->param_value;
	struct key_test kt;
	int i;

	key_test_make(test, &kt, &test_folio_shmem, 3, p->mode);
	kt.m->fail_alloc_at = p->fail_at;
	folio_migration_run(kt.m);

	KUNIT_EXPECT_EQ(test, kt.m->rc, -ENOMEM);
	KUNIT_EXPECT_EQ(test, kt.m->nr_succeeded, p->fail_at - 1);
	expect_balanced(test, &kt);
	folio_migration_putback(kt.m);
	for (i = 0; i < kt.nr; i++) {
		if (i < p->fail_at - 1)
			expect_migrated(test, kt.tf[i]);
		else
			expect_unharmed(test, kt.tf[i], 0);
	}
}

/*
 * The asynchronous attempts fail with a destination, and there is none for the
 * synchronous ones.
 */
static void balanced_on_late_enomem(struct kunit *test)
{
	struct key_test kt;

	folio_fixture_needs_virtual_time(test, 3);
	key_test_make(test, &kt, &test_folio_shmem, 1, MIGRATE_SYNC);
	folio_hold(test, kt.tf[0]->folio, 1, 0);
	kt.m->fail_alloc_at = 2;
	folio_migration_run(kt.m);

	KUNIT_EXPECT_EQ(test, kt.m->rc, -ENOMEM);
	KUNIT_EXPECT_EQ(test, kt.m->nr_allocs, 2);
	expect_balanced(test, &kt);
	folio_migration_putback(kt.m);
	expect_unharmed(test, kt.tf[0], 1);
}

static void balanced_on_empty_list(struct kunit *test)
{
	struct key_test kt;

	key_test_make(test, &kt, NULL, 0, MIGRATE_SYNC);
	folio_migration_run(kt.m);

	KUNIT_EXPECT_EQ(test, kt.m->rc, 0);
	KUNIT_EXPECT_EQ(test, kt.m->nr_allocs, 0);
	KUNIT_EXPECT_EQ(test, folio_wakeup_key_count(), kt.key_before);
}

/* The key was on before: it stays on for its other user. */
static void leaves_other_users_alone(struct kunit *test)
{
	struct key_test kt;

	folio_fixture_needs_key(test);
	folio_wakeup_key_get(test);
	key_test_make(test, &kt, &test_folio_shmem, 1, MIGRATE_SYNC);
	KUNIT_ASSERT_EQ(test, kt.key_before, 1);
	folio_migration_run(kt.m);

	KUNIT_EXPECT_EQ(test, kt.m->rc, 0);
	expect_balanced(test, &kt);
	expect_migrated(test, kt.tf[0]);
}

struct concurrent_test {
	struct folio_hold *hold[NR_FOLIOS];
	atomic_t inside;
	int key_with_all_inside;
};

/* Lets all references go once the last migration has begun. */
static void release_all_when_inside(struct folio_migration *m)
{
	struct concurrent_test *ct = m->data;
	int i;

	if (m->nr_allocs > 1 || atomic_inc_return(&ct->inside) < NR_FOLIOS)
		return;
	ct->key_with_all_inside = m->key_inside;
	for (i = 0; i < NR_FOLIOS; i++)
		folio_hold_release(ct->hold[i]);
}

/* Each of several migrations at once counts. */
static void counts_concurrent_migrations(struct kunit *test)
{
	struct concurrent_test *ct = test_zalloc(test, sizeof(*ct));
	const int key_before = folio_wakeup_key_count();
	struct folio_migration *m[NR_FOLIOS];
	struct test_folio *tf[NR_FOLIOS];
	int i;

	folio_fixture_needs_key(test);
	for (i = 0; i < NR_FOLIOS; i++) {
		tf[i] = test_folio_make(test, &test_folio_shmem);
		ct->hold[i] = folio_hold(test, tf[i]->folio, 1, 100);
	}
	for (i = 0; i < NR_FOLIOS; i++) {
		m[i] = longterm_migration(test, MIGRATE_SYNC);
		m[i]->on_alloc = release_all_when_inside;
		m[i]->data = ct;
		folio_migration_add(m[i], tf[i]);
	}
	for (i = 0; i < NR_FOLIOS; i++)
		folio_migration_start(m[i]);
	for (i = 0; i < NR_FOLIOS; i++)
		folio_migration_join(m[i]);

	KUNIT_EXPECT_EQ(test, ct->key_with_all_inside, key_before + NR_FOLIOS);
	KUNIT_EXPECT_EQ(test, folio_wakeup_key_count(), key_before);
	for (i = 0; i < NR_FOLIOS; i++) {
		KUNIT_EXPECT_EQ(test, m[i]->rc, 0);
		expect_migrated(test, tf[i]);
	}
}

static struct kunit_case migrate_wakeup_key_cases[] = {
	KUNIT_CASE(balanced_on_success),
	KUNIT_CASE(balanced_on_success_async),
	KUNIT_CASE_SLOW(balanced_on_timeout),
	KUNIT_CASE(balanced_on_permanent_error),
	KUNIT_CASE_PARAM_ARRAY(balanced_on_enomem, enomem_params),
	KUNIT_CASE_SLOW(balanced_on_late_enomem),
	KUNIT_CASE(balanced_on_empty_list),
	KUNIT_CASE(leaves_other_users_alone),
	KUNIT_CASE(counts_concurrent_migrations),
	{}
};

static struct kunit_suite migrate_wakeup_key_suite = {
	.name = "migrate_wakeup_key",
	.init = folio_fixture_init,
	.test_cases = migrate_wakeup_key_cases,
};

kunit_test_suite(migrate_wakeup_key_suite);

MODULE_DESCRIPTION("KUnit tests for the folio wake-up key in page migration");
MODULE_LICENSE("GPL");
