// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests that have each point of fault injection in migration before a
 * longterm pin fail in turn.
 */

#include <linux/fail_folio_hold.h>

#include "../fail_folio_hold.h"
#include "folio_fixture.h"

/* Far more points than a migration has. */
#define TOO_MANY	1000

/* Longer than all attempts without a wait, shorter than a wait. */
#define HOLD_US		(5 * USEC_PER_MSEC)

/* Which faults hit a migration. */
enum {
	HOLDS = BIT(0),		/* transient references */
	ALLOCS = BIT(1),	/* failures of allocations */
	BOTH = HOLDS | ALLOCS,
};

/**
 * struct folio_set - folios that are migrated together
 * @name: short name without spaces
 * @kinds: their kinds, ending with NULL
 */
struct folio_set {
	const char *name;
	const struct test_folio_kind *kinds[8];
};

static const struct folio_set sets[] = {
	{ "shmem", { &test_folio_shmem } },
	{ "dirty", { &test_folio_dirty } },
	{ "private", { &test_folio_private } },
	{ "anon-mapped", { &test_folio_anon_mapped } },
	{ "order2", { &test_folio_clean[2] } },
	{ "order4", { &test_folio_clean[4] } },
	{ "three-shmem", { &test_folio_shmem, &test_folio_shmem, &test_folio_shmem } },
	{ "small-mixed", { &test_folio_anon_mapped, &test_folio_shmem, &test_folio_private,
			   &test_folio_dirty, &test_folio_anon_mapped } },
	{ "all-mixed", { &test_folio_anon_mapped, &test_folio_clean[2], &test_folio_private,
			 &test_folio_shmem, &test_folio_clean[4] } },
#ifdef CONFIG_TRANSPARENT_HUGEPAGE
	{ "anon-order4", { &test_folio_anon_large } },
#endif
};

/* Needs a destination only while it is held: no allocation can fail. */
static const struct folio_set anon_unmapped = {
	"anon-unmapped", { &test_folio_anon_unmapped }
};

static const struct {
	const char *name;
	unsigned int mask;
} faults[] = {
	{ "holds", HOLDS },
	{ "allocs", ALLOCS },
	{ "all", BOTH },
};

struct sweep {
	const struct folio_set *set;
	const char *name;
	unsigned int faults;
};

static void sweep_desc(struct kunit *test, const void *param, char *desc)
{
	const struct sweep *sweep = param;

	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%s-%s", sweep->set->name, sweep->name);
}

static int sweeps_init(struct kunit *test)
{
	const size_t nr = ARRAY_SIZE(sets) * ARRAY_SIZE(faults) + 1;
	struct sweep *sweeps;
	int i;

	sweeps = kunit_kcalloc(test, nr, sizeof(*sweeps), GFP_KERNEL);
	if (!sweeps)
		return -ENOMEM;
	for (i = 0; i < nr - 1; i++) {
		sweeps[i].set = &sets[i / ARRAY_SIZE(faults)];
		sweeps[i].name = faults[i % ARRAY_SIZE(faults)].name;
		sweeps[i].faults = faults[i % ARRAY_SIZE(faults)].mask;
	}
	sweeps[i].set = &anon_unmapped;
	sweeps[i].name = "holds";
	sweeps[i].faults = HOLDS;
	kunit_register_params_array(test, sweeps, nr, sweep_desc);
	return 0;
}

/**
 * struct tally - what a sweep has met
 * @holds: points at which a reference was taken
 * @allocs: points at which a destination could not be allocated
 */
struct tally {
	unsigned int holds;
	unsigned int allocs;
};

/*
 * An unmapped anonymous folio has only the reference of its isolation: it counts as
 * migrated when that is dropped, and needs no destination.
 */
static bool freed_instead(const struct folio_migration *m, const struct test_folio *tf)
{
	return tf->kind == &test_folio_anon_unmapped && !tf->dst && !m->rc;
}

/* A large folio is split if there is no memory for its destination. */
static bool splits(const struct test_folio *tf)
{
	return IS_ENABLED(CONFIG_TRANSPARENT_HUGEPAGE) && tf && tf->kind->order;
}

/* Migrates folios with a fault at the n-th point; returns whether there is one. */
static bool migrate_with_fault(struct kunit *test, const struct folio_set *set,
			       unsigned int n, struct tally *tally)
{
	struct folio_migration *m = longterm_migration(test, MIGRATE_SYNC);
	const struct fail_folio_hold_counters before = fail_folio_hold_count();
	struct folio_balance *balance = folio_balance(test);
	unsigned int i, holds, failed, stay = 0, pages = 0, migrated = UINT_MAX;
	struct test_folio *tf, *next;
	bool met, split;

	KUNIT_ASSERT_NOT_NULL(test, balance);
	for (i = 0; set->kinds[i]; i++)
		folio_migration_add(m, test_folio_make(test, set->kinds[i]));
	m->fail_nth = n;
	folio_migration_run(m);
	fail_folio_hold_drain();
	holds = fail_folio_hold_count().fired - before.fired;
	KUNIT_EXPECT_EQ(test, fail_folio_hold_count().missed, before.missed);
	tally->holds += holds;
	tally->allocs += m->nr_failed_allocs;
	KUNIT_EXPECT_LE(test, holds + m->nr_failed_allocs, !m->fail_nth);
	met = !m->fail_nth;

	/*
	 * A reference is waited for or fails its folio; lack of memory fails all
	 * remaining folios, or splits a large one.
	 */
	failed = wait_promises()->wait ? 0 : holds;
	split = splits(m->unserved);
	if (m->nr_failed_allocs && !split) {
		KUNIT_EXPECT_EQ(test, m->rc, -ENOMEM);
		migrated = m->nr_allocs - 1;
	} else {
		KUNIT_EXPECT_EQ(test, m->rc, failed);
	}
	if (!wait_promises()->wait)
		expect_did_not_wait(test, m);
	folio_migration_putback(m);
	i = 0;
	list_for_each_entry_safe(tf, next, &m->folios, entry) {
		if (i++ >= migrated) {
			expect_unharmed(test, tf, 0);
			continue;
		}
		if (failed && !tf->dst) {
			stay++;
			if (test_folio_has_users(tf))
				expect_unharmed(test, tf, 0);
			continue;
		}
		pages += 1 << tf->kind->order;
		if (split && tf == m->unserved) {
			expect_split(test, tf);
			continue;
		}
		/* Destinations of what was split may be where its neighbours were. */
		if (split)
			expect_at_destination(test, tf);
		else if (!freed_instead(m, tf))
			expect_migrated(test, tf);
	}
	KUNIT_EXPECT_EQ(test, stay, failed);
	KUNIT_EXPECT_EQ(test, m->nr_succeeded, pages);
	expect_migrates_later(test, m);
	expect_balance(balance);
	return met;
}

/*
 * Migration copes with any single fault or fails cleanly: a folio is moved as a
 * whole, split or left as it was.
 */
static void sweep(struct kunit *test)
{
	const struct sweep *sweep = test->param_value;
	const struct folio_set *set = sweep->set;
	struct fail_folio_hold_settings *s = fail_folio_hold_borrow(test);
	unsigned int n, folios, large = 0, unmapped = 0;
	struct tally tally = { };

	for (folios = 0; set->kinds[folios]; folios++) {
		large += set->kinds[folios]->order > 0;
		unmapped += set->kinds[folios] == &test_folio_anon_unmapped;
	}
	/* Without a destination the split of a large folio is tried. */
	if (sweep->faults & ALLOCS && large && IS_ENABLED(CONFIG_DEBUG_VM) &&
	    !IS_ENABLED(CONFIG_TRANSPARENT_HUGEPAGE))
		kunit_skip(test, "DEBUG_VM warns of an attempt to split without THP");

	folio_wakeup_key_keep(test);
	fail_folio_hold_last(HOLD_US);
	if (!(sweep->faults & HOLDS))
		s->reasons = 0;
	debugfs_set(test, "failslab/verbose", "0");
	debugfs_set(test, "fail_page_alloc/verbose", "0");
	if (sweep->faults & ALLOCS) {
		debugfs_set(test, "failslab/ignore-gfp-wait", "N");
		debugfs_set(test, "fail_page_alloc/ignore-gfp-wait", "N");
		debugfs_set(test, "fail_page_alloc/min-order", "0");
	}

	for (n = 1; n < TOO_MANY && migrate_with_fault(test, set, n, &tally); n++)
		;
	KUNIT_EXPECT_GT_MSG(test, n, 1, "no point has been met");
	KUNIT_EXPECT_LT_MSG(test, n, TOO_MANY, "there is no end of points");

	/* Each folio before it is unmapped, before it is moved, and its destination. */
	KUNIT_EXPECT_EQ(test, tally.holds, sweep->faults & HOLDS ? 2 * folios - unmapped : 0);
	KUNIT_EXPECT_EQ(test, tally.allocs, sweep->faults & ALLOCS ? folios - unmapped : 0);
}

static struct kunit_case migrate_fault_sweep_cases[] = {
	KUNIT_CASE_PARAM_ARRAY(sweep, sweeps),
	{}
};

static struct kunit_suite migrate_fault_sweep_suite = {
	.name = "migrate_fault_sweep",
	.init = folio_fixture_init,
	.test_cases = migrate_fault_sweep_cases,
};

kunit_test_suite(migrate_fault_sweep_suite);

MODULE_DESCRIPTION("KUnit tests that inject faults into page migration");
MODULE_LICENSE("GPL");
