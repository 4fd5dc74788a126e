// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests for what migration and the LRU lists do with huge pages only: what is counted
 * of them, what becomes of one that has to be split, and how one of hugetlbfs is freed
 * beside others.
 */

#include <linux/hugetlb.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/swap.h>

#include "../internal.h"
#include "../swap.h"
#include "counters.h"
#include "folio_fixture.h"
#include "probe.h"
#include "user_pages.h"

/* What keeps a folio from being moved. */
enum obstacle {
	NOTHING,
	HELD,		/* somebody has a reference */
	LOCKED,		/* or the lock, */
	WRITEBACK,	/* it is written back, */
	REFUSED,	/* its file system does not move it, */
};

/**
 * struct attempt - a migration of a huge folio
 * @name: short name without spaces
 * @kind: the kind of folio
 * @mode: passed to migrate_pages()
 * @obstacle: why it does not move
 */
struct attempt {
	const char *name;
	const struct test_folio_kind *kind;
	enum migrate_mode mode;
	enum obstacle obstacle;
};

static const struct attempt attempts[] = {
	{ "moves", &test_folio_anon_thp, MIGRATE_SYNC, NOTHING },
	{ "moves-async", &test_folio_anon_thp, MIGRATE_ASYNC, NOTHING },
	{ "moves-ptes", &test_folio_anon_thp_ptes, MIGRATE_SYNC, NOTHING },
	{ "moves-shmem", &test_folio_shmem_thp, MIGRATE_ASYNC, NOTHING },
	{ "held", &test_folio_anon_thp, MIGRATE_SYNC, HELD },
	{ "held-async", &test_folio_anon_thp, MIGRATE_ASYNC, HELD },
	{ "held-shmem", &test_folio_shmem_thp, MIGRATE_SYNC, HELD },
	{ "locked-async", &test_folio_anon_thp, MIGRATE_ASYNC, LOCKED },
	{ "writeback-async", &test_folio_clean[HPAGE_PMD_ORDER], MIGRATE_ASYNC, WRITEBACK },
	{ "refused", &test_folio_clean[HPAGE_PMD_ORDER], MIGRATE_SYNC, REFUSED },
	{ "refused-async", &test_folio_clean[HPAGE_PMD_ORDER], MIGRATE_ASYNC, REFUSED },
};

PARAM_ARRAY(attempts, "%s", p->name);

static void expect_huge_events(const struct counters *before, long moved, long failed, long split)
{
	expect_events(before, THP_MIGRATION_SUCCESS, moved);
	expect_events(before, THP_MIGRATION_FAIL, failed);
	expect_events(before, THP_MIGRATION_SPLIT, split);
}

/* One that is migrated, or not, counts as one, and each of its pages as well. */
static void is_counted(struct kunit *test)
{
	const struct attempt *a = test->param_value;
	const bool moves = a->obstacle == NOTHING;
	struct test_folio *tf = test_folio_make(test, a->kind);
	struct folio_migration *m = folio_migration(test, a->mode, MR_SYSCALL);
	struct folio *folio = tf->folio;
	struct counters *before;

	lru_add_drain_all();
	if (a->obstacle == HELD)
		test_folio_get(test, folio);
	if (a->obstacle == WRITEBACK) {
		folio_lock(folio);
		folio_start_writeback(folio);
		folio_unlock(folio);
	}
	if (a->obstacle == REFUSED)
		tf->migrate_error = -EIO;
	folio_migration_add(m, tf);
	if (a->obstacle == LOCKED)
		test_folio_lock(test, folio);
	before = counters_read(test);
	folio_migration_run(m);
	if (a->obstacle == HELD)
		test_folio_put(test, folio);
	if (a->obstacle == LOCKED)
		test_folio_unlock(test, folio);
	if (a->obstacle == WRITEBACK)
		folio_end_writeback(folio);
	folio_migration_putback(m);

	KUNIT_EXPECT_EQ(test, m->rc, !moves);
	KUNIT_EXPECT_EQ(test, m->nr_succeeded, moves ? HPAGE_PMD_NR : 0);
	expect_events(before, PGMIGRATE_SUCCESS, moves ? HPAGE_PMD_NR : 0);
	expect_events(before, PGMIGRATE_FAIL, moves ? 0 : HPAGE_PMD_NR);
	expect_huge_events(before, moves, !moves, 0);
	if (moves)
		expect_migrated(test, tf);
	else
		expect_unharmed(test, tf, 0);
}

static const enum migrate_mode modes[] = { MIGRATE_ASYNC, MIGRATE_SYNC };

PARAM_ARRAY(modes, "%s", test_mode_names[*p]);

/* One that has to be split counts as failed, and its pages as moved. */
static void split_is_counted(struct kunit *test)
{
	const enum migrate_mode *mode = test->param_value;
	struct test_folio *huge = test_folio_make(test, &test_folio_anon_thp);
	struct test_folio *held = test_folio_make(test, &test_folio_shmem);
	struct folio_migration *m = folio_migration(test, *mode, MR_SYSCALL);
	struct counters *before;

	lru_add_drain_all();
	test_folio_get(test, held->folio);
	folio_migration_add(m, huge);
	folio_migration_add(m, held);
	m->fail_alloc_order = HPAGE_PMD_ORDER;
	before = counters_read(test);
	folio_migration_run(m);
	test_folio_put(test, held->folio);
	folio_migration_putback(m);

	KUNIT_EXPECT_EQ(test, m->rc, 2);
	KUNIT_EXPECT_EQ(test, m->nr_succeeded, HPAGE_PMD_NR);
	expect_events(before, PGMIGRATE_SUCCESS, HPAGE_PMD_NR);
	expect_events(before, PGMIGRATE_FAIL, 1);
	expect_huge_events(before, 0, 1, 1);
	expect_split(test, huge);
	expect_unharmed(test, held, 0);
}

/* Isolates a large folio of a user, and migrates it; what is left of it is in @from. */
static int migrate(struct kunit *test, struct test_folio *tf, enum migrate_mode mode,
		   struct list_head *from, new_folio_t get_new_folio, void *private,
		   unsigned int *moved)
{
	struct folio *folio = tf->folio;
	bool isolated;

	lru_add_drain_all();
	test_folio_let_go(tf);
	isolated = isolate_folio_to_list(folio, from);
	KUNIT_ASSERT_TRUE(test, isolated);
	return migrate_pages(from, get_new_folio, NULL, (unsigned long)private, mode,
			     MR_SYSCALL, moved);
}

/**
 * struct to_split - a migration of a folio for which there is no place as a whole
 * @name: short name without spaces
 * @kind: the kind of folio
 * @mode: passed to migrate_pages()
 * @shared: another process has it as well
 */
struct to_split {
	const char *name;
	const struct test_folio_kind *kind;
	enum migrate_mode mode;
	bool shared;
};

static const struct to_split splits[] = {
	{ "huge-async", &test_folio_anon_thp, MIGRATE_ASYNC },
	{ "huge", &test_folio_anon_thp, MIGRATE_SYNC },
	{ "large-async", &test_folio_anon_large, MIGRATE_ASYNC },
	{ "large", &test_folio_anon_large, MIGRATE_SYNC },
	{ "shared-huge", &test_folio_anon_thp, MIGRATE_SYNC, true },
	{ "shared-large", &test_folio_anon_large, MIGRATE_SYNC, true },
};

PARAM_ARRAY(splits, "%s", p->name);

static struct test_folio *make_to_split(struct kunit *test)
{
	const struct to_split *s = test->param_value;
	struct test_folio *tf = test_folio_make(test, s->kind);

	if (s->shared)
		test_folio_fork(test, tf);
	return tf;
}

static struct folio *no_folio(struct folio *src, unsigned long asked)
{
	(*(unsigned int *)asked)++;
	return NULL;
}

/* Where there is no memory at all, its pages stay, each on its own. */
static void no_memory_at_all(struct kunit *test)
{
	const struct to_split *s = test->param_value;
	struct test_folio *tf = make_to_split(test);
	const unsigned int nr = folio_nr_pages(tf->folio);
	const bool huge = s->kind->order == HPAGE_PMD_ORDER;
	struct counters *before = counters_read(test);
	unsigned int asked = 0, moved = 1;
	LIST_HEAD(from);
	int rc;

	rc = migrate(test, tf, s->mode, &from, no_folio, &asked, &moved);
	KUNIT_EXPECT_EQ(test, list_count_nodes(&from), nr);
	putback_movable_pages(&from);

	KUNIT_EXPECT_EQ(test, rc, 1);
	KUNIT_EXPECT_EQ(test, moved, 0);
	/* For the large one, and for the first of its pages. */
	KUNIT_EXPECT_EQ(test, asked, 2);
	expect_huge_events(before, 0, huge, huge);
	expect_split(test, tf);
}

/**
 * struct piecemeal - a migration of a large folio for which there are only small ones
 * @hold: somebody finds the folio of the first of its pages meanwhile
 * @held: that one
 * @asked: how many small folios have been asked for
 */
struct piecemeal {
	bool hold;
	struct folio *held;
	unsigned int asked;
};

static struct folio *small_folio(struct folio *src, unsigned long private)
{
	struct piecemeal *p = (struct piecemeal *)private;

	if (folio_test_large(src))
		return NULL;
	if (!p->asked++ && p->hold) {
		p->held = src;
		folio_get(src);
	}
	return folio_alloc(GFP_HIGHUSER_MOVABLE, 0);
}

/* Where there are only small ones, all of its pages move, and nothing has failed. */
static void moves_in_pieces(struct kunit *test)
{
	const struct to_split *s = test->param_value;
	struct test_folio *tf = make_to_split(test);
	const unsigned int nr = folio_nr_pages(tf->folio);
	struct piecemeal p = {};
	unsigned int moved = 0;
	LIST_HEAD(from);

	KUNIT_EXPECT_EQ(test, 0, migrate(test, tf, s->mode, &from, small_folio, &p, &moved));
	KUNIT_EXPECT_TRUE(test, list_empty(&from));
	putback_movable_pages(&from);
	KUNIT_EXPECT_EQ(test, p.asked, nr);
	KUNIT_EXPECT_EQ(test, moved, nr);
	expect_split(test, tf);
}

/* Of its pages one is in use when they are moved one by one: it alone comes back. */
static void piece_is_held(struct kunit *test)
{
	const struct to_split *s = test->param_value;
	struct test_folio *tf = make_to_split(test);
	const unsigned int nr = folio_nr_pages(tf->folio);
	struct piecemeal p = { .hold = true };
	unsigned int moved = 0;
	LIST_HEAD(from);
	int rc;

	rc = migrate(test, tf, s->mode, &from, small_folio, &p, &moved);
	KUNIT_EXPECT_TRUE(test, list_is_singular(&from));
	KUNIT_EXPECT_PTR_EQ(test, list_first_entry(&from, struct folio, lru), p.held);
	putback_movable_pages(&from);
	KUNIT_ASSERT_NOT_NULL(test, p.held);
	folio_put(p.held);

	KUNIT_EXPECT_EQ(test, rc, 1);
	KUNIT_EXPECT_EQ(test, moved, nr - 1);
	expect_split(test, tf);
}

#ifdef HAVE_TEST_PROBES
/* Nor do the others mind one that cannot be read any more. */
static void piece_is_unreadable(struct kunit *test)
{
	const struct to_split *s = test->param_value;
	struct test_folio *tf = make_to_split(test);
	const unsigned int nr = folio_nr_pages(tf->folio);
	struct failing_call *copy = test_call_fails(test, "folio_mc_copy", 3, -EHWPOISON);
	struct piecemeal p = {};
	unsigned int moved = 0;
	LIST_HEAD(from);
	int rc;

	rc = migrate(test, tf, s->mode, &from, small_folio, &p, &moved);
	KUNIT_EXPECT_EQ(test, copy->nth, 0);
	KUNIT_EXPECT_TRUE(test, list_is_singular(&from));
	putback_movable_pages(&from);

	KUNIT_EXPECT_EQ(test, rc, 1);
	KUNIT_EXPECT_EQ(test, moved, nr - 1);
	expect_split(test, tf);
}
#endif

/* Each place in swap that a large folio has knows where it has moved. */
static void swap_follows(struct kunit *test)
{
	struct folio_migration *m = folio_migration(test, MIGRATE_SYNC, MR_SYSCALL);
	struct test_folio *tf;
	struct folio *folio;
	unsigned int i, nr;
	bool freed;
	long unused;
	int rc;

	KUNIT_ASSERT_EQ(test, 0, test_swap_on(test));
	unused = get_nr_swap_pages();
	tf = test_folio_make(test, &test_folio_anon_large);
	folio = tf->folio;
	nr = folio_nr_pages(folio);
	lru_add_drain_all();
	folio_lock(folio);
	rc = folio_alloc_swap(folio);
	folio_unlock(folio);
	KUNIT_ASSERT_EQ(test, rc, 0);
	folio_migration_add(m, tf);
	folio_migration_run(m);
	KUNIT_ASSERT_EQ(test, m->rc, 0);
	KUNIT_ASSERT_NOT_NULL(test, tf->dst);

	KUNIT_EXPECT_TRUE(test, folio_test_swapcache(tf->dst));
	for (i = 0; i < nr; i++) {
		const swp_entry_t entry = page_swap_entry(folio_page(tf->dst, i));
		struct folio *found = swap_cache_get_folio(entry);

		KUNIT_EXPECT_PTR_EQ_MSG(test, found, tf->dst, "page %u", i);
		if (found)
			folio_put(found);
	}
	folio_lock(tf->dst);
	freed = folio_free_swap(tf->dst);
	folio_unlock(tf->dst);
	KUNIT_EXPECT_TRUE(test, freed);
	KUNIT_EXPECT_EQ(test, get_nr_swap_pages(), unused);
	expect_migrated(test, tf);
}

/* A folio of which nothing is left in use need not be split. */
static void unmapped_at_once(struct kunit *test)
{
	struct test_folio *tf = test_folio_make(test, &test_folio_anon_large);
	struct folio *folio = tf->folio;
	struct counters *before = counters_read(test);

	test_folio_get(test, folio);
	KUNIT_ASSERT_EQ(test, 0, vm_munmap(tf->addr, tf->len));
	KUNIT_EXPECT_FALSE(test, folio_mapped(folio));
	KUNIT_EXPECT_FALSE(test, folio_test_partially_mapped(folio));
	KUNIT_EXPECT_TRUE(test, list_empty(&folio->_deferred_list));
	expect_events(before, THP_DEFERRED_SPLIT_PAGE, 0);
}

#define UNDERUSED	"kernel/mm/transparent_hugepage/shrink_underused"

static void underused_again(void *data)
{
	struct kunit *test = data;

	KUNIT_EXPECT_EQ(test, 0, pseudo_file_write("sysfs", UNDERUSED, "1"));
}

static const bool queued[] = { true, false };

PARAM_ARRAY(queued, "%s", *p ? "queued" : "not-queued");

/* A huge page that reclaim may split, should it be used in part only, is known to it afterwards. */
static void deferred_split_stays(struct kunit *test)
{
	const bool *is_queued = test->param_value;
	struct folio_migration *m = folio_migration(test, MIGRATE_SYNC, MR_SYSCALL);
	struct test_folio *tf;

	if (!*is_queued) {
		test_cleanup(test, underused_again, test);
		KUNIT_ASSERT_EQ(test, 0, pseudo_file_write("sysfs", UNDERUSED, "0"));
	}
	tf = test_folio_make(test, &test_folio_anon_thp);
	KUNIT_ASSERT_EQ(test, !list_empty(&tf->folio->_deferred_list), *is_queued);
	KUNIT_ASSERT_EQ(test, 0, pseudo_file_write("sysfs", UNDERUSED, "1"));
	folio_migration_add(m, tf);
	folio_migration_run(m);

	KUNIT_ASSERT_EQ(test, m->rc, 0);
	KUNIT_EXPECT_EQ(test, !list_empty(&tf->dst->_deferred_list), *is_queued);
	KUNIT_EXPECT_FALSE(test, folio_test_partially_mapped(tf->dst));
	expect_migrated(test, tf);
}

/* The entries of all processes are replaced in one go. */
static void shared_by_processes(struct kunit *test)
{
	struct test_folio *tf = test_folio_make(test, &test_folio_anon_thp);
	struct folio_migration *m = folio_migration(test, MIGRATE_ASYNC, MR_SYSCALL);

	test_folio_fork(test, tf);
	folio_migration_add(m, tf);
	folio_migration_run(m);

	KUNIT_EXPECT_EQ(test, m->rc, 0);
	KUNIT_EXPECT_EQ(test, m->nr_allocs, 1);
	expect_migrated(test, tf);
}

/* References on folios of the LRU lists and on one of hugetlbfs are dropped together. */
static void freed_together(struct kunit *test)
{
	struct user_pages *small = user_pages_make(test, &user_memory_memfd, 2);
	struct user_pages *huge = user_pages_make(test, &user_memory_hugetlb,
						  1U << user_memory_hugetlb.order);
	const unsigned long nr_free = default_hstate.free_huge_pages;
	struct folio *folios[3];
	struct folio_batch batch;
	unsigned int i;

	folios[0] = user_pages_folio(small, 0);
	folios[1] = user_pages_folio(huge, 0);
	folios[2] = user_pages_folio(small, 1);
	lru_add_drain_all();
	folio_batch_init(&batch);
	for (i = 0; i < ARRAY_SIZE(folios); i++) {
		folio_get(folios[i]);
		folio_batch_add(&batch, folios[i]);
	}
	KUNIT_ASSERT_EQ(test, 0, vfs_truncate(&small->file->f_path, 0));
	KUNIT_ASSERT_EQ(test, 0, vfs_truncate(&huge->file->f_path, 0));
	lru_add_drain_all();
	for (i = 0; i < ARRAY_SIZE(folios); i++)
		KUNIT_ASSERT_EQ(test, folio_ref_count(folios[i]), 1);
	KUNIT_ASSERT_TRUE(test, folio_test_lru(folios[0]));
	KUNIT_EXPECT_EQ(test, default_hstate.free_huge_pages, nr_free);

	folios_put(&batch);
	KUNIT_EXPECT_EQ(test, folio_batch_count(&batch), 0);
	KUNIT_EXPECT_EQ(test, default_hstate.free_huge_pages, nr_free + 1);
	for (i = 0; i < ARRAY_SIZE(folios); i++)
		if (nobody_else_runs())
			KUNIT_EXPECT_EQ(test, folio_ref_count(folios[i]), 0);
}

static struct kunit_case huge_folios_cases[] = {
	KUNIT_CASE_PARAM_ARRAY(is_counted, attempts),
	KUNIT_CASE_PARAM_ARRAY(split_is_counted, modes),
	KUNIT_CASE_PARAM_ARRAY(no_memory_at_all, splits),
	KUNIT_CASE_PARAM_ARRAY(moves_in_pieces, splits),
	KUNIT_CASE_PARAM_ARRAY(piece_is_held, splits),
#ifdef HAVE_TEST_PROBES
	KUNIT_CASE_PARAM_ARRAY(piece_is_unreadable, splits),
#endif
	KUNIT_CASE_PARAM_ARRAY(deferred_split_stays, queued),
	KUNIT_CASE(swap_follows),
	KUNIT_CASE(unmapped_at_once),
	KUNIT_CASE(shared_by_processes),
	KUNIT_CASE(freed_together),
	{}
};

static struct kunit_suite huge_folios_suite = {
	.name = "huge_folios",
	.init = user_pages_init,
	.test_cases = huge_folios_cases,
};

kunit_test_suite(huge_folios_suite);

MODULE_DESCRIPTION("KUnit tests for huge folios in migration and LRU lists");
MODULE_LICENSE("GPL");
