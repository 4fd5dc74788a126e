// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests for the batches that folios wait in before they get on an LRU list,
 * to another one, or are locked in memory: which references they hold, who drains
 * them, and where a folio is afterwards.
 */

/* First: linux/mm_inline.h needs its types and does not include it. */
#include <linux/mm.h>

#include <linux/folio_batch.h>
#include <linux/memcontrol.h>
#include <linux/mm_inline.h>
#include <linux/swap.h>

#include "../internal.h"
#include "counters.h"
#include "folio_fixture.h"

/* Folios without users, as LRU lists tell them apart. */
struct lru_kind {
	const char *name;
	unsigned int order;
	bool swapbacked;
};

static const struct lru_kind file = { "file" };
static const struct lru_kind anon = { "anon", .swapbacked = true };
static const struct lru_kind large = { "large", .order = 2 };

static const struct lru_kind *const kinds[] = { &file, &anon, &large };
static const struct lru_kind *const small_kinds[] = { &file, &anon };

PARAM_ARRAY(kinds, "%s", (*p)->name);
PARAM_ARRAY(small_kinds, "%s", (*p)->name);

/* No list: the folio is isolated, in a batch or free. */
#define NOWHERE		NR_LRU_LISTS

static const struct lru_kind *kind_param(struct kunit *test)
{
	const struct lru_kind *const *kind = test->param_value;

	return *kind;
}

static enum lru_list inactive(const struct lru_kind *kind)
{
	return kind->swapbacked ? LRU_INACTIVE_ANON : LRU_INACTIVE_FILE;
}

static enum lru_list active(const struct lru_kind *kind)
{
	return inactive(kind) + LRU_ACTIVE;
}

static struct folio *new_folio(struct kunit *test, const struct lru_kind *kind)
{
	struct folio *folio = test_folio_alloc(test, kind->order);

	if (kind->swapbacked)
		__folio_set_swapbacked(folio);
	/* What comes to the LRU belongs to a control group. */
	KUNIT_ASSERT_EQ(test, 0, mem_cgroup_charge(folio, current->mm, GFP_KERNEL));
	return folio;
}

static struct folio *folio_in_batch(struct kunit *test, const struct lru_kind *kind)
{
	struct folio *folio = new_folio(test, kind);

	folio_add_lru(folio);
	return folio;
}

static struct folio *folio_on_lru(struct kunit *test, const struct lru_kind *kind)
{
	struct folio *folio = folio_in_batch(test, kind);

	lru_add_drain_all();
	KUNIT_ASSERT_TRUE(test, folio_test_lru(folio));
	return folio;
}

/* At its head or its tail. */
static void expect_listed(struct kunit *test, struct folio *folio,
			  enum lru_list lru, bool head)
{
	struct lruvec *lruvec = folio_lruvec_lock_irq(folio);
	struct list_head *list = &lruvec->lists[lru];
	bool listed = head ? list->next == &folio->lru : list->prev == &folio->lru;

	lruvec_unlock_irq(lruvec);
	KUNIT_EXPECT_TRUE_MSG(test, listed, "not at the %s of its list",
			      head ? "head" : "tail");
}

/* From one list to another, and by the counters as well. */
static void expect_moved(const struct counters *before, struct folio *folio,
			 enum lru_list from, enum lru_list to)
{
	const long nr = folio_nr_pages(folio);
	struct kunit *test = before->test;
	enum lru_list lru;

	KUNIT_EXPECT_EQ(test, folio_test_lru(folio), to != NOWHERE);
	if (to != NOWHERE)
		KUNIT_EXPECT_EQ(test, folio_lru_list(folio), to);
	for_each_lru(lru)
		expect_lru_change(before, folio_zonenum(folio), lru,
				  nr * ((lru == to) - (lru == from)));
}

static void expect_stays(const struct counters *before, struct folio *folio,
			 enum lru_list lru)
{
	expect_moved(before, folio, lru, lru);
}

static int lru_batch_init(struct kunit *test)
{
	if (lru_gen_enabled())
		kunit_skip(test, "lists are generations");
	lru_add_drain_all();
	return folio_fixture_init(test);
}

static void expect_accessed(struct kunit *test, struct folio *folio,
			    bool is_active, bool referenced)
{
	KUNIT_EXPECT_EQ(test, folio_test_active(folio), is_active);
	KUNIT_EXPECT_EQ(test, folio_test_referenced(folio), referenced);
}

/*
 * What folio_mark_accessed() documents: inactive, referenced, active, and
 * active and referenced.
 */
static void marked_accessed(struct kunit *test)
{
	const struct lru_kind *kind = kind_param(test);
	struct folio *folio = folio_on_lru(test, kind);
	struct counters *before = counters_read(test);

	folio_mark_accessed(folio);
	lru_add_drain_all();
	expect_accessed(test, folio, false, true);
	expect_stays(before, folio, inactive(kind));

	folio_mark_accessed(folio);
	lru_add_drain_all();
	expect_accessed(test, folio, true, false);
	expect_moved(before, folio, inactive(kind), active(kind));
	expect_listed(test, folio, active(kind), true);
	expect_events(before, PGACTIVATE, folio_nr_pages(folio));

	folio_mark_accessed(folio);
	expect_accessed(test, folio, true, true);
	folio_mark_accessed(folio);
	lru_add_drain_all();
	expect_accessed(test, folio, true, true);
	expect_moved(before, folio, inactive(kind), active(kind));
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 1);
}

/* A folio that is not on a list yet gets on the active one. */
static void marked_accessed_in_batch(struct kunit *test)
{
	const struct lru_kind *kind = kind_param(test);
	struct counters *before = counters_read(test);
	struct folio *other = folio_in_batch(test, kind);
	struct folio *folio = folio_in_batch(test, kind);
	struct folio *nowhere = new_folio(test, kind);

	KUNIT_ASSERT_FALSE(test, folio_test_lru(folio));
	folio_mark_accessed(folio);
	expect_accessed(test, folio, false, true);
	folio_mark_accessed(folio);
	expect_accessed(test, folio, true, false);

	/* One that is in no batch may be anybody's. */
	folio_mark_accessed(nowhere);
	folio_mark_accessed(nowhere);
	expect_accessed(test, nowhere, false, false);

	lru_add_drain_all();
	KUNIT_EXPECT_EQ(test, folio_lru_list(folio), active(kind));
	KUNIT_EXPECT_EQ(test, folio_lru_list(other), inactive(kind));
	expect_lru_change(before, folio_zonenum(folio), active(kind), 1);
	expect_lru_change(before, folio_zonenum(folio), inactive(kind), 1);
}

/* Neither unevictable folios nor those that are to be dropped age. */
static void not_marked_accessed(struct kunit *test)
{
	struct folio *folio = folio_on_lru(test, &file);
	struct counters *before;

	folio_set_dropbehind(folio);
	folio_mark_accessed(folio);
	expect_accessed(test, folio, false, false);
	folio_clear_dropbehind(folio);

	mlock_folio(folio);
	lru_add_drain_all();
	before = counters_read(test);
	folio_mark_accessed(folio);
	folio_mark_accessed(folio);
	lru_add_drain_all();
	expect_accessed(test, folio, false, true);
	expect_stays(before, folio, LRU_UNEVICTABLE);
	folio_activate(folio);
	lru_add_drain_all();
	expect_accessed(test, folio, false, true);
	expect_stays(before, folio, LRU_UNEVICTABLE);
}

/* A folio can only be activated once. */
static void activated(struct kunit *test)
{
	const struct lru_kind *kind = kind_param(test);
	struct folio *folio = folio_on_lru(test, kind);
	struct counters *before = counters_read(test);
	int i;

	for (i = 0; i < 2; i++) {
		folio_activate(folio);
		lru_add_drain_all();
		expect_moved(before, folio, inactive(kind), active(kind));
		expect_events(before, PGACTIVATE, folio_nr_pages(folio));
	}
	KUNIT_EXPECT_TRUE(test, folio_isolate_lru(folio));
	folio_clear_active(folio);
	folio_activate(folio);
	KUNIT_EXPECT_FALSE(test, folio_test_active(folio));
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 2);
	folio_putback_lru(folio);
}

/* What writeback does with folios that are to be reclaimed. */
static void rotated(struct kunit *test)
{
	const struct lru_kind *kind = kind_param(test);
	struct folio *older = folio_on_lru(test, kind);
	struct folio *folio = folio_on_lru(test, kind);
	struct counters *before = counters_read(test);

	expect_listed(test, folio, inactive(kind), true);
	folio_rotate_reclaimable(folio);
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), kind->order ? 1 : 2);
	lru_add_drain_all();
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 1);
	expect_stays(before, folio, inactive(kind));
	expect_listed(test, folio, inactive(kind), false);
	expect_listed(test, older, inactive(kind), true);
	expect_events(before, PGROTATED, folio_nr_pages(folio));

	/* An active one becomes inactive. */
	folio_activate(older);
	lru_add_drain_all();
	expect_moved(before, older, inactive(kind), active(kind));
	folio_rotate_reclaimable(older);
	lru_add_drain_all();
	expect_stays(before, older, inactive(kind));
	expect_listed(test, older, inactive(kind), false);
}

/* One that became unevictable in the batch stays where it is. */
static void unevictable_in_batch(struct kunit *test)
{
	struct folio *rotates = folio_on_lru(test, &file);
	struct folio *deactivates = folio_on_lru(test, &file);
	struct folio *folios[] = { rotates, deactivates };
	struct counters *before;
	int i;

	folio_activate(deactivates);
	lru_add_drain_all();
	before = counters_read(test);

	migrate_disable();
	folio_rotate_reclaimable(rotates);
	folio_deactivate(deactivates);
	for (i = 0; i < ARRAY_SIZE(folios); i++) {
		mlock_folio(folios[i]);
		mlock_drain_local();
		KUNIT_EXPECT_TRUE(test, folio_test_unevictable(folios[i]));
	}
	migrate_enable();
	lru_add_drain_all();

	for (i = 0; i < ARRAY_SIZE(folios); i++) {
		KUNIT_EXPECT_EQ(test, folio_lru_list(folios[i]), LRU_UNEVICTABLE);
		KUNIT_EXPECT_EQ(test, folio_ref_count(folios[i]), 1);
	}
	expect_lru_change(before, folio_zonenum(rotates), LRU_UNEVICTABLE, 2);
	expect_lru_change(before, folio_zonenum(rotates), LRU_INACTIVE_FILE, -1);
	expect_lru_change(before, folio_zonenum(rotates), LRU_ACTIVE_FILE, -1);
	expect_events(before, PGROTATED, 0);
	expect_events(before, PGDEACTIVATE, 0);
}

/* A batch of large folios would hold back much memory, and migration does not drain it. */
static void large_is_not_batched(struct kunit *test)
{
	struct folio *folio = folio_in_batch(test, &large);

	KUNIT_EXPECT_TRUE(test, folio_test_lru(folio));
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 1);
	folio_activate(folio);
	KUNIT_EXPECT_TRUE(test, folio_test_active(folio));
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 1);
	folio_deactivate(folio);
	KUNIT_EXPECT_FALSE(test, folio_test_active(folio));
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 1);
}

/* Why folio_rotate_reclaimable() leaves a folio alone. */
static void not_rotated(struct kunit *test)
{
	struct folio *folio = folio_on_lru(test, &file);

	folio_set_dirty(folio);
	folio_rotate_reclaimable(folio);
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 1);
	folio_clear_dirty(folio);

	test_folio_lock(test, folio);
	folio_rotate_reclaimable(folio);
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 1);
	test_folio_unlock(test, folio);

	KUNIT_EXPECT_TRUE(test, folio_isolate_lru(folio));
	folio_rotate_reclaimable(folio);
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 2);
	folio_putback_lru(folio);
}

/* Only active folios are deactivated. */
static void deactivated(struct kunit *test)
{
	const struct lru_kind *kind = kind_param(test);
	struct folio *folio = folio_on_lru(test, kind);
	struct folio *newer;
	struct counters *before = counters_read(test);

	folio_deactivate(folio);
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 1);

	folio_activate(folio);
	lru_add_drain_all();
	folio_set_referenced(folio);
	expect_moved(before, folio, inactive(kind), active(kind));
	newer = folio_on_lru(test, kind);
	before = counters_read(test);
	folio_deactivate(folio);
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), kind->order ? 1 : 2);
	lru_add_drain_all();
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 1);
	expect_accessed(test, folio, false, false);
	expect_moved(before, folio, active(kind), inactive(kind));
	expect_listed(test, folio, inactive(kind), true);
	KUNIT_EXPECT_TRUE(test, folio_test_lru(newer));
	expect_events(before, PGDEACTIVATE, folio_nr_pages(folio));
}

/* One that was deactivated by somebody else meanwhile stays. */
static void deactivated_twice(struct kunit *test)
{
	struct folio *folio = folio_on_lru(test, &file);
	struct counters *before;

	folio_activate(folio);
	lru_add_drain_all();
	before = counters_read(test);
	folio_deactivate(folio);
	folio_rotate_reclaimable(folio);
	lru_add_drain_all();
	expect_moved(before, folio, LRU_ACTIVE_FILE, LRU_INACTIVE_FILE);
	expect_events(before, PGROTATED, 1);
	expect_events(before, PGDEACTIVATE, 0);
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 1);
}

/* What truncation could not drop: clean ones go to the tail, dirty ones to the head. */
static void file_deactivated(struct kunit *test)
{
	const struct lru_kind *kind = kind_param(test);
	struct folio *folio = folio_on_lru(test, kind);
	struct folio *newer = folio_on_lru(test, kind);
	struct counters *before = counters_read(test);
	const long nr = folio_nr_pages(folio);

	folio_set_referenced(newer);
	deactivate_file_folio(newer);
	lru_add_drain_all();
	expect_accessed(test, newer, false, false);
	expect_stays(before, newer, inactive(kind));
	expect_listed(test, newer, inactive(kind), false);
	expect_events(before, PGROTATED, nr);
	expect_events(before, PGDEACTIVATE, 0);

	folio_activate(newer);
	lru_add_drain_all();
	folio_set_dirty(newer);
	deactivate_file_folio(newer);
	lru_add_drain_all();
	expect_accessed(test, newer, false, false);
	expect_stays(before, newer, inactive(kind));
	expect_listed(test, newer, inactive(kind), true);
	KUNIT_EXPECT_TRUE(test, folio_test_reclaim(newer));
	expect_events(before, PGROTATED, nr);
	expect_events(before, PGDEACTIVATE, nr);
	folio_clear_reclaim(newer);
	folio_clear_dirty(newer);
	KUNIT_EXPECT_EQ(test, folio_ref_count(newer), 1);
}

/* Mapped ones are in use. */
static void mapped_not_deactivated(struct kunit *test)
{
	struct test_folio *tf = test_folio_make(test, &test_folio_anon_mapped);
	struct counters *before;
	enum lru_list lru;

	lru_add_drain_all();
	lru = folio_lru_list(tf->folio);
	folio_set_referenced(tf->folio);
	before = counters_read(test);
	deactivate_file_folio(tf->folio);
	lru_add_drain_all();
	expect_stays(before, tf->folio, lru);
	KUNIT_EXPECT_TRUE(test, folio_test_referenced(tf->folio));
}

/* As MADV_FREE does: anonymous memory becomes like clean page cache. */
static void lazily_freed(struct kunit *test)
{
	struct test_folio *tf = test_folio_make(test, &test_folio_anon_mapped);
	struct folio *folio = tf->folio;
	struct folio *bare = folio_on_lru(test, &anon);
	struct counters *before;
	int refs;

	lru_add_drain_all();
	folio_clear_referenced(folio);
	folio_activate(folio);
	lru_add_drain_all();
	folio_set_referenced(folio);
	before = counters_read(test);
	refs = folio_ref_count(folio);

	/* Without an anon_vma it is not anonymous. */
	folio_mark_lazyfree(bare);
	KUNIT_EXPECT_EQ(test, folio_ref_count(bare), 1);

	folio_mark_lazyfree(folio);
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), refs + 1);
	/* Once is enough. */
	folio_mark_lazyfree(folio);
	lru_add_drain_all();
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), refs);
	KUNIT_EXPECT_FALSE(test, folio_test_swapbacked(folio));
	expect_accessed(test, folio, false, false);
	expect_moved(before, folio, LRU_ACTIVE_ANON, LRU_INACTIVE_FILE);
	expect_listed(test, folio, LRU_INACTIVE_FILE, true);
	expect_events(before, PGLAZYFREE, 1);

	folio_mark_lazyfree(folio);
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), refs);
}

/* One that got a place in swap meanwhile has to be written. */
static void not_lazily_freed(struct kunit *test)
{
	struct test_folio *tf = test_folio_make(test, &test_folio_anon_mapped);
	struct folio *folio = tf->folio;
	struct counters *before;

	lru_add_drain_all();
	before = counters_read(test);
	migrate_disable();
	folio_mark_lazyfree(folio);
	mlock_folio(folio);
	mlock_drain_local();
	KUNIT_EXPECT_TRUE(test, folio_test_unevictable(folio));
	migrate_enable();
	lru_add_drain_all();
	KUNIT_EXPECT_TRUE(test, folio_test_swapbacked(folio));
	KUNIT_EXPECT_EQ(test, folio_lru_list(folio), LRU_UNEVICTABLE);
	expect_events(before, PGLAZYFREE, 0);
	munlock_folio(folio);
	lru_add_drain_all();
	KUNIT_EXPECT_FALSE(test, folio_test_unevictable(folio));
}

/* Of a batch some folios are freed by the drain, for nobody else has them. */
static void freed_in_batch(struct kunit *test)
{
	const struct lru_kind *kind = kind_param(test);
	struct counters *before = counters_read(test);
	struct folio *folios[5];
	int i;

	for (i = 0; i < ARRAY_SIZE(folios); i++) {
		folios[i] = folio_in_batch(test, kind);
		KUNIT_ASSERT_EQ(test, folio_ref_count(folios[i]), 2);
	}
	test_folio_mark(folios[1]);
	test_folio_mark(folios[3]);
	folio_set_active(folios[1]);
	folio_set_unevictable(folios[3]);
	test_folio_put(test, folios[1]);
	test_folio_put(test, folios[3]);
	lru_add_drain_all();

	for (i = 0; i < ARRAY_SIZE(folios); i++) {
		bool freed = i == 1 || i == 3;

		KUNIT_EXPECT_EQ(test, folio_ref_count(folios[i]), !freed);
		KUNIT_EXPECT_EQ(test, folio_test_lru(folios[i]), !freed);
		if (freed)
			KUNIT_EXPECT_TRUE(test, test_folio_freed(folios[i]));
	}
	expect_lru_change(before, folio_zonenum(folios[0]), inactive(kind), 3);
	expect_lru_change(before, folio_zonenum(folios[0]), active(kind), 0);
	expect_lru_change(before, folio_zonenum(folios[0]), LRU_UNEVICTABLE, 0);
}

/* The last drop takes a folio off its list. */
static void freed_on_lru(struct kunit *test)
{
	const struct lru_kind *kind = kind_param(test);
	struct folio *older = folio_on_lru(test, kind);
	struct folio *folio = folio_on_lru(test, kind);
	struct folio *newer = folio_on_lru(test, kind);
	struct counters *before;

	folio_activate(folio);
	lru_add_drain_all();
	before = counters_read(test);
	test_folio_mark(folio);
	test_folio_give(test, folio);
	folio_put(folio);

	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 0);
	KUNIT_EXPECT_TRUE(test, test_folio_freed(folio));
	expect_lru_change(before, folio_zonenum(older), active(kind),
			  -(1L << kind->order));
	expect_lru_change(before, folio_zonenum(older), inactive(kind), 0);
	expect_listed(test, newer, inactive(kind), true);
}

/*
 * In one batch folios are freed that are on lists, and others live on: who waits for
 * one of these is woken, whatever lock the batch holds then.
 */
static void wakes_behind_freed(struct kunit *test)
{
	struct folio *first = folio_on_lru(test, &file);
	struct folio *lives = folio_on_lru(test, &file);
	struct folio *last = folio_on_lru(test, &anon);
	struct counters *before = counters_read(test);
	struct wakeup_spy *spy = wakeup_spy(test, lives);
	struct folio_batch fbatch;

	folio_wakeup_key_get(test);
	folio_batch_init(&fbatch);
	folio_get(lives);
	folio_batch_add(&fbatch, first);
	folio_batch_add(&fbatch, lives);
	folio_batch_add(&fbatch, last);
	test_folio_give(test, first);
	test_folio_give(test, last);
	folios_put(&fbatch);

	KUNIT_EXPECT_EQ(test, fbatch.nr, 0);
	KUNIT_EXPECT_EQ(test, folio_ref_count(first), 0);
	KUNIT_EXPECT_EQ(test, folio_ref_count(lives), 1);
	KUNIT_EXPECT_EQ(test, folio_ref_count(last), 0);
	expect_lru_change(before, folio_zonenum(lives), LRU_INACTIVE_FILE, -1);
	expect_lru_change(before, folio_zonenum(lives), LRU_INACTIVE_ANON, -1);
	KUNIT_EXPECT_EQ(test, spy->wakeups,
			wait_promises()->has_key && drop_wakes(FOLIO_DROP_PUT));
}

/* Isolation holds a reference and takes the folio off its list. */
static void isolated(struct kunit *test)
{
	const struct lru_kind *kind = kind_param(test);
	struct folio *folio = folio_on_lru(test, kind);
	struct counters *before = counters_read(test);

	KUNIT_EXPECT_TRUE(test, folio_isolate_lru(folio));
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 2);
	expect_moved(before, folio, inactive(kind), NOWHERE);
	KUNIT_EXPECT_FALSE(test, folio_isolate_lru(folio));
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 2);

	folio_putback_lru(folio);
	lru_add_drain_all();
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 1);
	expect_stays(before, folio, inactive(kind));
	expect_listed(test, folio, inactive(kind), true);
	expect_events(before, UNEVICTABLE_PGRESCUED, 0);
	expect_events(before, UNEVICTABLE_PGCULLED, 0);
}

/* Only what may have references of batches is drained, and only as far as needed. */
static void drained_for_folio(struct kunit *test)
{
	enum lru_cache_drained drained = LRU_CACHE_NOT_DRAINED;
	struct folio *folio, *other;

	migrate_disable();
	other = folio_in_batch(test, &file);
	/* No reference too many: no drain. */
	lru_cache_drain_for_folio(other, folio_ref_count(other), NULL);
	KUNIT_EXPECT_FALSE(test, folio_test_lru(other));
	lru_cache_drain_for_folio(other, folio_ref_count(other), &drained);
	KUNIT_EXPECT_FALSE(test, folio_test_lru(other));
	KUNIT_EXPECT_EQ(test, drained, LRU_CACHE_NOT_DRAINED);

	/* One that this CPU has. */
	lru_cache_drain_for_folio(other, 1, &drained);
	KUNIT_EXPECT_TRUE(test, folio_test_lru(other));
	KUNIT_EXPECT_EQ(test, drained, LRU_CACHE_DRAINED);

	/* All have been drained here: now the others. */
	folio = folio_in_batch(test, &file);
	lru_cache_drain_for_folio(folio, 2, &drained);
	KUNIT_EXPECT_FALSE(test, folio_test_lru(folio));
	KUNIT_EXPECT_EQ(test, drained, LRU_CACHE_DRAINED);
	lru_cache_drain_for_folio(folio, 1, &drained);
	KUNIT_EXPECT_TRUE(test, folio_test_lru(folio));
	KUNIT_EXPECT_EQ(test, drained, LRU_CACHE_DRAINED_ALL);

	/* No more. */
	folio = folio_in_batch(test, &file);
	lru_cache_drain_for_folio(folio, 1, &drained);
	KUNIT_EXPECT_FALSE(test, folio_test_lru(folio));
	KUNIT_EXPECT_EQ(test, drained, LRU_CACHE_DRAINED_ALL);

	/* Who keeps no record has it drained each time. */
	lru_cache_drain_for_folio(folio, 1, NULL);
	KUNIT_EXPECT_TRUE(test, folio_test_lru(folio));
	folio = folio_in_batch(test, &file);
	lru_cache_drain_for_folio(folio, 1, NULL);
	KUNIT_EXPECT_TRUE(test, folio_test_lru(folio));

	/* A reference that no drain cures. */
	drained = LRU_CACHE_NOT_DRAINED;
	lru_cache_drain_for_folio(folio, 0, &drained);
	KUNIT_EXPECT_EQ(test, drained, LRU_CACHE_DRAINED_ALL);

	/* A large folio is in no batch. */
	drained = LRU_CACHE_NOT_DRAINED;
	folio = folio_in_batch(test, &file);
	other = new_folio(test, &large);
	lru_cache_drain_for_folio(other, 0, &drained);
	KUNIT_EXPECT_FALSE(test, folio_test_lru(folio));
	KUNIT_EXPECT_EQ(test, drained, LRU_CACHE_NOT_DRAINED);
	migrate_enable();
}

/* While batches are disabled, nothing stays in one. */
static void disabled(struct kunit *test)
{
	struct folio *folio = folio_in_batch(test, &file);
	struct folio *other;

	lru_cache_disable();
	KUNIT_EXPECT_TRUE(test, folio_test_lru(folio));
	other = folio_in_batch(test, &file);
	KUNIT_EXPECT_TRUE(test, folio_test_lru(other));
	mlock_folio(other);
	KUNIT_EXPECT_TRUE(test, folio_test_unevictable(other));
	munlock_folio(other);
	KUNIT_EXPECT_FALSE(test, folio_test_unevictable(other));
	lru_cache_enable();
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 1);
	KUNIT_EXPECT_EQ(test, folio_ref_count(other), 1);
}

static void expect_mlocked(const struct counters *before, struct folio *folio,
			   unsigned int times)
{
	struct kunit *test = before->test;
	const long nr = folio_nr_pages(folio);

	KUNIT_EXPECT_EQ(test, folio_test_mlocked(folio), times > 0);
	if (times)
		KUNIT_EXPECT_EQ(test, folio->mlock_count, times);
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 1);
	expect_zone_change(before, folio_zonenum(folio), NR_MLOCK, times ? nr : 0);
}

/* A folio is locked as often as it is mapped locked, until the last is unmapped. */
static void mlocked(struct kunit *test)
{
	const struct lru_kind *kind = kind_param(test);
	struct folio *folio = folio_on_lru(test, kind);
	struct counters *before = counters_read(test);
	const long nr = folio_nr_pages(folio);

	mlock_folio(folio);
	KUNIT_EXPECT_TRUE(test, folio_test_mlocked(folio));
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), kind->order ? 1 : 2);
	lru_add_drain_all();
	expect_mlocked(before, folio, 1);
	expect_moved(before, folio, inactive(kind), LRU_UNEVICTABLE);
	expect_events(before, UNEVICTABLE_PGCULLED, nr);
	mlock_folio(folio);
	lru_add_drain_all();
	expect_mlocked(before, folio, 2);
	expect_events(before, UNEVICTABLE_PGMLOCKED, nr);
	expect_events(before, UNEVICTABLE_PGCULLED, nr);

	munlock_folio(folio);
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), kind->order ? 1 : 2);
	lru_add_drain_all();
	expect_mlocked(before, folio, 1);
	expect_moved(before, folio, inactive(kind), LRU_UNEVICTABLE);
	expect_events(before, UNEVICTABLE_PGMUNLOCKED, 0);
	munlock_folio(folio);
	lru_add_drain_all();
	expect_mlocked(before, folio, 0);
	expect_stays(before, folio, inactive(kind));
	expect_listed(test, folio, inactive(kind), true);
	expect_events(before, UNEVICTABLE_PGMUNLOCKED, nr);
	expect_events(before, UNEVICTABLE_PGRESCUED, nr);
	expect_events(before, UNEVICTABLE_PGSTRANDED, 0);
}

/* An active folio is inactive when it is unlocked. */
static void active_mlocked(struct kunit *test)
{
	struct folio *folio = folio_on_lru(test, &file);
	struct counters *before = counters_read(test);

	folio_activate(folio);
	lru_add_drain_all();
	mlock_folio(folio);
	lru_add_drain_all();
	KUNIT_EXPECT_FALSE(test, folio_test_active(folio));
	expect_moved(before, folio, LRU_INACTIVE_FILE, LRU_UNEVICTABLE);
	munlock_folio(folio);
	lru_add_drain_all();
	expect_stays(before, folio, LRU_INACTIVE_FILE);
}

/* A new folio is locked before it gets on a list. */
static void new_mlocked(struct kunit *test)
{
	const struct lru_kind *kind = kind_param(test);
	struct counters *before = counters_read(test);
	struct folio *folio = new_folio(test, kind);
	const long nr = folio_nr_pages(folio);

	mlock_new_folio(folio);
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), kind->order ? 1 : 2);
	KUNIT_EXPECT_EQ(test, folio_test_lru(folio), !!kind->order);
	lru_add_drain_all();
	expect_mlocked(before, folio, 1);
	expect_moved(before, folio, NOWHERE, LRU_UNEVICTABLE);
	expect_events(before, UNEVICTABLE_PGMLOCKED, nr);
	expect_events(before, UNEVICTABLE_PGCULLED, nr);

	munlock_folio(folio);
	lru_add_drain_all();
	expect_mlocked(before, folio, 0);
	expect_moved(before, folio, NOWHERE, inactive(kind));
}

/* Without its reference on the list. */
static void clear_mlocked(struct folio *folio)
{
	folio_clear_mlocked(folio);
	zone_stat_mod_folio(folio, NR_MLOCK, -folio_nr_pages(folio));
}

/* A folio that is unlocked while it is in the batch goes where it belongs. */
static void unlocked_in_batch(struct kunit *test)
{
	const struct lru_kind *kind = kind_param(test);
	struct counters *before = counters_read(test);
	struct folio *folio = new_folio(test, kind);
	struct folio *other = new_folio(test, kind);

	mlock_new_folio(folio);
	mlock_new_folio(other);
	clear_mlocked(folio);
	lru_add_drain_all();
	KUNIT_EXPECT_EQ(test, folio_lru_list(folio), inactive(kind));
	KUNIT_EXPECT_TRUE(test, folio_test_lru(folio));
	expect_listed(test, folio, inactive(kind), true);
	expect_lru_change(before, folio_zonenum(folio), inactive(kind), 1);
	expect_lru_change(before, folio_zonenum(folio), LRU_UNEVICTABLE, 1);
	expect_events(before, UNEVICTABLE_PGCULLED, 1);

	/* The same of one that was unevictable, and one that never was. */
	mlock_folio(other);
	clear_mlocked(other);
	mlock_folio(folio);
	clear_mlocked(folio);
	lru_add_drain_all();
	KUNIT_EXPECT_EQ(test, folio_lru_list(folio), inactive(kind));
	KUNIT_EXPECT_EQ(test, folio_lru_list(other), inactive(kind));
	expect_lru_change(before, folio_zonenum(folio), inactive(kind), 2);
	expect_lru_change(before, folio_zonenum(folio), LRU_UNEVICTABLE, 0);
	expect_events(before, UNEVICTABLE_PGRESCUED, 1);
	expect_zone_change(before, folio_zonenum(folio), NR_MLOCK, 0);
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 1);
	KUNIT_EXPECT_EQ(test, folio_ref_count(other), 1);
}

/* One that is isolated is not on a list: the count begins anew when it is put back. */
static void isolated_mlocked(struct kunit *test)
{
	struct folio *folio = folio_on_lru(test, &file);
	struct counters *before = counters_read(test);

	mlock_folio(folio);
	mlock_folio(folio);
	lru_add_drain_all();
	expect_mlocked(before, folio, 2);
	KUNIT_ASSERT_TRUE(test, folio_isolate_lru(folio));
	folio_putback_lru(folio);
	lru_add_drain_all();
	KUNIT_EXPECT_EQ(test, folio->mlock_count, 0);
	expect_moved(before, folio, LRU_INACTIVE_FILE, LRU_UNEVICTABLE);
	/* It was unevictable before. */
	expect_events(before, UNEVICTABLE_PGCULLED, 1);

	/* The first to unlock it does so for all: what reclaim finds is right then. */
	munlock_folio(folio);
	lru_add_drain_all();
	expect_mlocked(before, folio, 0);
	expect_stays(before, folio, LRU_INACTIVE_FILE);
	munlock_folio(folio);
	lru_add_drain_all();
	expect_mlocked(before, folio, 0);
	expect_stays(before, folio, LRU_INACTIVE_FILE);
	expect_listed(test, folio, LRU_INACTIVE_FILE, true);
	expect_events(before, UNEVICTABLE_PGMUNLOCKED, 1);
	expect_events(before, UNEVICTABLE_PGRESCUED, 1);
}

/* Locked and unlocked while it is isolated: only the flag tells. */
static void mlocked_while_isolated(struct kunit *test)
{
	struct folio *folio = folio_on_lru(test, &file);
	struct counters *before = counters_read(test);

	KUNIT_ASSERT_TRUE(test, folio_isolate_lru(folio));
	mlock_folio(folio);
	lru_add_drain_all();
	KUNIT_EXPECT_TRUE(test, folio_test_mlocked(folio));
	KUNIT_EXPECT_FALSE(test, folio_test_unevictable(folio));
	munlock_folio(folio);
	lru_add_drain_all();
	KUNIT_EXPECT_FALSE(test, folio_test_mlocked(folio));
	expect_events(before, UNEVICTABLE_PGMUNLOCKED, 1);
	expect_events(before, UNEVICTABLE_PGSTRANDED, 0);
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 2);
	expect_moved(before, folio, LRU_INACTIVE_FILE, NOWHERE);

	/* Put back while it is locked it is unevictable, and afterwards stranded. */
	mlock_folio(folio);
	lru_add_drain_all();
	folio_putback_lru(folio);
	lru_add_drain_all();
	expect_moved(before, folio, LRU_INACTIVE_FILE, LRU_UNEVICTABLE);
	expect_events(before, UNEVICTABLE_PGCULLED, 1);
	KUNIT_ASSERT_TRUE(test, folio_isolate_lru(folio));
	munlock_folio(folio);
	lru_add_drain_all();
	KUNIT_EXPECT_TRUE(test, folio_test_unevictable(folio));
	expect_events(before, UNEVICTABLE_PGSTRANDED, 1);
	expect_events(before, UNEVICTABLE_PGRESCUED, 0);
	folio_putback_lru(folio);
	lru_add_drain_all();
	expect_stays(before, folio, LRU_INACTIVE_FILE);
	expect_events(before, UNEVICTABLE_PGRESCUED, 1);
	expect_zone_change(before, folio_zonenum(folio), NR_MLOCK, 0);
}

/* One that is locked but not on the unevictable list yet has no count to go by. */
static void munlocked_on_evictable(struct kunit *test)
{
	struct folio *older = folio_on_lru(test, &file);
	struct folio *folio = folio_on_lru(test, &file);
	struct folio *newer = folio_on_lru(test, &file);
	struct counters *before = counters_read(test);

	folio_set_mlocked(folio);
	zone_stat_mod_folio(folio, NR_MLOCK, 1);
	munlock_folio(folio);
	lru_add_drain_all();
	expect_mlocked(before, folio, 0);
	expect_stays(before, folio, LRU_INACTIVE_FILE);
	expect_events(before, UNEVICTABLE_PGMUNLOCKED, 1);
	expect_events(before, UNEVICTABLE_PGRESCUED, 0);
	KUNIT_EXPECT_PTR_EQ(test, folio->lru.next, &older->lru);
	KUNIT_EXPECT_PTR_EQ(test, folio->lru.prev, &newer->lru);
}

/* Freed while it is locked: its pages are no longer counted. */
static void freed_mlocked(struct kunit *test)
{
	const struct lru_kind *kind = kind_param(test);
	struct counters *before = counters_read(test);
	struct folio *folio = new_folio(test, kind);

	mlock_new_folio(folio);
	lru_add_drain_all();
	expect_mlocked(before, folio, 1);
	test_folio_mark(folio);
	test_folio_put(test, folio);
	KUNIT_EXPECT_TRUE(test, test_folio_freed(folio));
	KUNIT_EXPECT_FALSE(test, folio_test_mlocked(folio));
	expect_zone_change(before, folio_zonenum(folio), NR_MLOCK, 0);
	expect_lru_change(before, folio_zonenum(folio), LRU_UNEVICTABLE, 0);
	expect_events(before, UNEVICTABLE_PGCLEARED, 1L << kind->order);
	expect_events(before, UNEVICTABLE_PGMUNLOCKED, 0);
}

/* Each full batch is drained, and nothing is left out. */
static void full_batch(struct kunit *test)
{
	const struct lru_kind *kind = kind_param(test);
	const unsigned int nr = 2 * FOLIO_BATCH_SIZE + 1;
	struct folio **folios = test_zalloc(test, array_size(nr, sizeof(*folios)));
	struct counters *before = counters_read(test);
	unsigned int i, listed = 0;

	migrate_disable();
	for (i = 0; i < nr; i++) {
		folios[i] = folio_in_batch(test, kind);
		listed += folio_test_lru(folios[i]);
	}
	for (i = 0, listed = 0; i < nr; i++)
		listed += folio_test_lru(folios[i]);
	KUNIT_EXPECT_EQ(test, listed, 2 * FOLIO_BATCH_SIZE);
	for (i = 0; i < nr; i++)
		mlock_folio(folios[i]);
	for (i = 0, listed = 0; i < nr; i++)
		listed += folio_test_unevictable(folios[i]);
	KUNIT_EXPECT_EQ(test, listed, 2 * FOLIO_BATCH_SIZE);
	migrate_enable();
	lru_add_drain_all();
	expect_lru_change(before, folio_zonenum(folios[0]), LRU_UNEVICTABLE, nr);
	for (i = 0; i < nr; i++)
		munlock_folio(folios[i]);
	lru_add_drain_all();
	expect_lru_change(before, folio_zonenum(folios[0]), LRU_UNEVICTABLE, 0);
	expect_lru_change(before, folio_zonenum(folios[0]), inactive(kind), nr);
	for (i = 0; i < nr; i++)
		KUNIT_EXPECT_EQ(test, folio_ref_count(folios[i]), 1);
}

static struct kunit_case lru_batch_cases[] = {
	KUNIT_CASE_PARAM_ARRAY(marked_accessed, kinds),
	KUNIT_CASE_PARAM_ARRAY(marked_accessed_in_batch, small_kinds),
	KUNIT_CASE(not_marked_accessed),
	KUNIT_CASE_PARAM_ARRAY(activated, kinds),
	KUNIT_CASE_PARAM_ARRAY(rotated, kinds),
	KUNIT_CASE(large_is_not_batched),
	KUNIT_CASE(not_rotated),
	KUNIT_CASE(unevictable_in_batch),
	KUNIT_CASE_PARAM_ARRAY(deactivated, kinds),
	KUNIT_CASE(deactivated_twice),
	KUNIT_CASE_PARAM_ARRAY(file_deactivated, kinds),
	KUNIT_CASE(mapped_not_deactivated),
	KUNIT_CASE(lazily_freed),
	KUNIT_CASE(not_lazily_freed),
	KUNIT_CASE_PARAM_ARRAY(freed_in_batch, small_kinds),
	KUNIT_CASE_PARAM_ARRAY(freed_on_lru, kinds),
	KUNIT_CASE(wakes_behind_freed),
	KUNIT_CASE_PARAM_ARRAY(isolated, kinds),
	KUNIT_CASE(drained_for_folio),
	KUNIT_CASE(disabled),
	KUNIT_CASE_PARAM_ARRAY(mlocked, kinds),
	KUNIT_CASE(active_mlocked),
	KUNIT_CASE_PARAM_ARRAY(new_mlocked, kinds),
	KUNIT_CASE_PARAM_ARRAY(unlocked_in_batch, small_kinds),
	KUNIT_CASE(isolated_mlocked),
	KUNIT_CASE(mlocked_while_isolated),
	KUNIT_CASE(munlocked_on_evictable),
	KUNIT_CASE_PARAM_ARRAY(freed_mlocked, kinds),
	KUNIT_CASE_PARAM_ARRAY(full_batch, small_kinds),
	{}
};

static struct kunit_suite lru_batch_suite = {
	.name = "lru_batch",
	.init = lru_batch_init,
	.test_cases = lru_batch_cases,
};

kunit_test_suite(lru_batch_suite);

MODULE_DESCRIPTION("KUnit tests for batches of folios on their way to LRU lists");
MODULE_LICENSE("GPL");
