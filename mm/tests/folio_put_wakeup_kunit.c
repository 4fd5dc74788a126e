// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests for drops of folio references, and the wake-ups that they send.
 *
 * A spy stands in for a waiter and is called by the drop itself, so the result does
 * not depend on scheduler or clock.
 */

#include <linux/folio_batch.h>
#include <linux/page_frag_cache.h>
#include <linux/pagemap.h>
#include <linux/swap.h>

#include "../internal.h"
#include "folio_fixture.h"

PARAM_ARRAY(folio_drops, "%s", p->name);
PARAM_ARRAY(bypassing_drops, "%s", p->name);
PARAM_ARRAY(exec_contexts, "%s", p->name);

static const struct exec_context *context_param(struct kunit *test)
{
	const struct exec_context *where = test->param_value;

	if (IS_ENABLED(CONFIG_PREEMPT_RT) && where->not_on_rt)
		kunit_skip(test, "PREEMPT_RT has no context %s", where->name);
	return where;
}

static void take_refs(struct kunit *test, struct folio *folio,
		      const struct folio_drop *how)
{
	KUNIT_ASSERT_EQ(test, 0, folio_drop_take(how, folio));
}

/* Drops what @how says, of which one reference is left, and expects so many wake-ups. */
static void expect_drop_wakes(struct kunit *test, const struct folio_drop *how,
			      int wakeups)
{
	struct folio *folio = test_folio_alloc(test, how->order);
	struct wakeup_spy *spy = wakeup_spy(test, folio);

	take_refs(test, folio, how);
	KUNIT_EXPECT_EQ(test, spy->wakeups, 0);

	how->drop(folio, how->refs);

	KUNIT_EXPECT_EQ(test, spy->wakeups, wakeups);
	if (wakeups)
		KUNIT_EXPECT_EQ(test, spy->refs_at_wakeup, 1);
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 1);
}

/* Each drop that leaves a reference wakes a waiter, after the drop. */
static void wakes_when_on(struct kunit *test)
{
	const struct folio_drop *how = test->param_value;

	folio_fixture_needs_key(test);
	folio_wakeup_key_get(test);
	expect_drop_wakes(test, how, how->drops);
}

/* While the key is off a drop wakes nobody. */
static void silent_when_off(struct kunit *test)
{
	KUNIT_ASSERT_EQ(test, folio_wakeup_key_count(), 0);
	expect_drop_wakes(test, test->param_value, 0);
}

/*
 * The last drop frees the folio and wakes nobody: a waiter holds a reference.
 */
static void last_drop_is_silent(struct kunit *test)
{
	const struct folio_drop *how = test->param_value;
	struct folio *folio = test_folio_alloc(test, how->order);
	struct wakeup_spy *spy = wakeup_spy(test, folio);
	bool freed;

	folio_wakeup_key_get(test);
	take_refs(test, folio, how);
	test_folio_put(test, folio);
	spy->wakeups = 0;
	test_folio_mark(folio);

	how->drop(folio, how->refs);
	freed = test_folio_freed(folio);

	KUNIT_EXPECT_EQ(test, spy->wakeups, drop_wakes(how->kind) ? how->drops - 1 : 0);
	KUNIT_EXPECT_TRUE(test, freed);
}

/*
 * These bypass folio_put(); whether they wake depends on the series.  A limit of
 * the rfc: they do not, so that a waiter sleeps until its timeout.
 */
static void bypassing_drop(struct kunit *test)
{
	const struct folio_drop *how = test->param_value;

	folio_wakeup_key_get(test);
	expect_drop_wakes(test, how, drop_wakes(how->kind) ? how->drops : 0);
}

/* A drop whose wake-ups are checked after all drops. */
struct watched_drop {
	const struct folio_drop *how;
	struct folio *folio;
	struct wakeup_spy *spy;
};

struct drops_test {
	const struct exec_context *where;
	bool was_there;
	size_t nr;
	struct watched_drop drops[];
};

static void drop_all(void *data)
{
	struct drops_test *dt = data;
	size_t i;

	dt->was_there = dt->where->here();
	for (i = 0; i < dt->nr; i++)
		dt->drops[i].how->drop(dt->drops[i].folio, dt->drops[i].how->refs);
}

/*
 * Each way to drop a reference works from each context that it may be used in, and
 * wakes there as anywhere.
 */
static void wakes_from(struct kunit *test)
{
	const struct exec_context *where = context_param(test);
	struct drops_test *dt;
	size_t i;

	dt = test_zalloc(test, struct_size(dt, drops, ARRAY_SIZE(folio_drops)));
	dt->where = where;
	folio_wakeup_key_get(test);
	/* From the cleanup, if the case is aborted before. */
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action(test, drop_all, dt));
	for (i = 0; i < ARRAY_SIZE(folio_drops); i++) {
		const struct folio_drop *how = &folio_drops[i];
		struct watched_drop *drop = &dt->drops[dt->nr];

		if (how->task_only && where->atomic)
			continue;
		drop->how = how;
		drop->folio = test_folio_alloc(test, how->order);
		drop->spy = wakeup_spy(test, drop->folio);
		take_refs(test, drop->folio, how);
		dt->nr++;
	}

	KUNIT_ASSERT_EQ(test, 0, where->run(drop_all, dt));
	kunit_remove_action(test, drop_all, dt);

	KUNIT_EXPECT_TRUE(test, dt->was_there);
	for (i = 0; i < dt->nr; i++) {
		const struct watched_drop *drop = &dt->drops[i];

		const bool wakes = drop_wakes(drop->how->kind);

		KUNIT_EXPECT_EQ_MSG(test, drop->spy->wakeups,
				    wakes ? drop->how->drops : 0,
				    "by %s", drop->how->name);
		if (wakes)
			KUNIT_EXPECT_EQ_MSG(test, drop->spy->refs_at_wakeup, 1,
					    "by %s", drop->how->name);
		KUNIT_EXPECT_EQ_MSG(test, folio_ref_count(drop->folio), 1,
				    "by %s", drop->how->name);
	}
}

/* Each folio of a batch is on its own: some are freed, the others wake. */
static void batch_wakes_survivors(struct kunit *test)
{
	struct folio *kept = test_folio_alloc(test, 0);
	struct wakeup_spy *kept_spy = wakeup_spy(test, kept);
	struct folio *freed = test_folio_alloc(test, 0);
	struct wakeup_spy *freed_spy = wakeup_spy(test, freed);
	struct folio_batch batch;

	folio_wakeup_key_get(test);
	folio_get(freed);
	test_folio_put(test, freed);
	freed_spy->wakeups = 0;
	test_folio_mark(freed);

	folio_get(kept);
	folio_batch_init(&batch);
	folio_batch_add(&batch, freed);
	folio_batch_add(&batch, kept);
	folios_put(&batch);

	KUNIT_EXPECT_TRUE(test, test_folio_freed(freed));
	KUNIT_EXPECT_EQ(test, freed_spy->wakeups, 0);
	KUNIT_EXPECT_EQ(test, kept_spy->wakeups, drop_wakes(FOLIO_DROP_PUT) ? 1 : 0);
	KUNIT_EXPECT_EQ(test, folio_ref_count(kept), 1);
}

/* A waiter for another folio is not woken, be it the neighbour in memory. */
static void wakes_only_its_own(struct kunit *test)
{
	struct page *pages = test_pages_alloc(test, GFP_KERNEL, 2);
	struct wakeup_spy *spies[4];
	struct folio *folio;
	int i;

	for (i = 0; i < ARRAY_SIZE(spies); i++)
		spies[i] = wakeup_spy(test, page_folio(pages + i));

	folio_fixture_needs_key(test);
	folio_wakeup_key_get(test);
	folio = page_folio(pages + 1);
	folio_get(folio);
	folio_put(folio);

	for (i = 0; i < ARRAY_SIZE(spies); i++)
		KUNIT_EXPECT_EQ_MSG(test, spies[i]->wakeups, i == 1, "page %d", i);
}

/*
 * What users of a folio do
 */

struct user_param {
	const char *name;
	enum folio_drop_kind kind;
	const struct test_folio_kind *folio;
	int drops;
	int refs;
	void (*drop)(struct kunit *test, struct test_folio *tf);
};

/* Drops the reference of the page cache, and that of the lookup. */
static void user_truncate(struct kunit *test, struct test_folio *tf)
{
	truncate_inode_pages(tf->file->f_mapping, 0);
}

static void user_munmap(struct kunit *test, struct test_folio *tf)
{
	KUNIT_EXPECT_EQ(test, 0, vm_munmap(tf->addr, PAGE_SIZE));
	tf->addr = 0;
}

/* An LRU batch holds a reference until it is drained. */
static void user_lru_batch(struct kunit *test, struct test_folio *tf)
{
	deactivate_file_folio(tf->folio);
	KUNIT_EXPECT_EQ(test, folio_ref_count(tf->folio), 3);
	lru_add_drain_all();
}

static void user_reclaim(struct kunit *test, struct test_folio *tf)
{
	folio_lock(tf->folio);
	folio_clear_dirty(tf->folio);
	KUNIT_EXPECT_EQ(test, 1, remove_mapping(tf->file->f_mapping, tf->folio));
	folio_unlock(tf->folio);
}

static const struct user_param user_params[] = {
	{ "truncate",	FOLIO_DROP_PUT,	    &test_folio_shmem,	     2, 1, user_truncate },
	{ "munmap",	FOLIO_DROP_PUT,	    &test_folio_anon_mapped, 1, 1, user_munmap },
	{ "lru_batch",	FOLIO_DROP_PUT,	    &test_folio_shmem,	     1, 2, user_lru_batch },
	{ "reclaim",	FOLIO_DROP_RECLAIM, &test_folio_shmem,	     1, 1, user_reclaim },
};

PARAM_ARRAY(user_params, "%s", p->name);

static void user_drop(struct kunit *test)
{
	const struct user_param *p = test->param_value;
	struct test_folio *tf = test_folio_make(test, p->folio);
	struct wakeup_spy *spy;

	/* Or a later drain would drop the reference of an LRU batch. */
	lru_add_drain_all();
	spy = wakeup_spy(test, tf->folio);
	folio_wakeup_key_get(test);

	p->drop(test, tf);

	KUNIT_EXPECT_EQ(test, spy->wakeups, drop_wakes(p->kind) ? p->drops : 0);
	KUNIT_EXPECT_EQ(test, folio_ref_count(tf->folio), p->refs);
}

KUNIT_DEFINE_ACTION_WRAPPER(frag_cache_drain_action, page_frag_cache_drain,
			    struct page_frag_cache *);
KUNIT_DEFINE_ACTION_WRAPPER(frag_free_action, page_frag_free, void *);

static struct page_frag_cache *frag_cache(struct kunit *test)
{
	struct page_frag_cache *cache = test_zalloc(test, sizeof(*cache));

	page_frag_cache_init(cache);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action(test, frag_cache_drain_action,
						  cache));
	return cache;
}

static void *frag(struct kunit *test, struct page_frag_cache *cache)
{
	void *frag = page_frag_alloc(cache, SMP_CACHE_BYTES, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, frag);
	test_cleanup(test, frag_free_action, frag);
	return frag;
}

/* A network driver's fragment, and the rest of the page when it is done. */
static void page_frag_drop(struct kunit *test)
{
	struct page_frag_cache *cache = frag_cache(test);
	void *first = frag(test, cache);
	struct wakeup_spy *spy;

	/* Keeps the page. */
	frag(test, cache);
	folio_wakeup_key_get(test);
	spy = wakeup_spy(test, virt_to_folio(first));

	kunit_release_action(test, frag_free_action, first);
	page_frag_cache_drain(cache);

	KUNIT_EXPECT_EQ(test, spy->wakeups,
			drop_wakes(FOLIO_DROP_PAGE_FRAG) ? 2 : 0);
	KUNIT_EXPECT_EQ(test, folio_ref_count(spy->folio), 1);
}

/*
 * A task that waits
 */

struct waiter {
	struct task_struct *task;
	struct folio *folio;
	long timeout;
	long left;
	ktime_t began_at;
	unsigned long began_tick;
	ktime_t ended_at;
	unsigned long ended_tick;
	struct completion done;
};

static int waiter_fn(void *data)
{
	struct waiter *w = data;

	w->began_tick = jiffies;
	w->began_at = ktime_get();
	w->left = wait_var_event_timeout(&w->folio->_refcount,
					 folio_ref_count(w->folio) <= 1,
					 w->timeout);
	w->ended_tick = jiffies;
	w->ended_at = ktime_get();
	complete_all(&w->done);
	return 0;
}

static struct waiter *start_waiter(struct kunit *test, struct folio *folio,
				   long timeout)
{
	struct waiter *w = test_zalloc(test, sizeof(*w));

	w->folio = folio;
	w->timeout = timeout;
	init_completion(&w->done);
	w->task = test_thread(test, waiter_fn, w, "folio_waiter");
	return w;
}

/* The waiter slept until the drop, and no longer. */
static void expect_woken(struct kunit *test, const struct waiter *w,
			 ktime_t dropped_at)
{
	KUNIT_EXPECT_GT(test, w->left, 1);
	KUNIT_EXPECT_GE(test, w->ended_at, dropped_at);
	KUNIT_EXPECT_LE(test, ktime_sub(w->ended_at, dropped_at), late_by(1));
}

/* No time is left, or 1 if the reference is gone. */
static void expect_timed_out(struct kunit *test, const struct waiter *w)
{
	KUNIT_EXPECT_LE(test, w->left, 1);
	KUNIT_EXPECT_GE(test, (long)(w->ended_tick - w->began_tick),
			w->timeout);
	/* In real time the clock may say less, see expect_took_ticks(). */
	if (waits_are_free())
		KUNIT_EXPECT_GE(test, ktime_sub(w->ended_at, w->began_at),
				ticks_to_ktime(w->timeout));
}

static void waiter_ends_with_drop(struct kunit *test)
{
	const struct exec_context *where = context_param(test);
	struct folio *folio = test_folio_alloc(test, 0);
	struct folio_hold *hold;
	struct waiter *w;

	folio_fixture_needs_key(test);
	folio_wakeup_key_get(test);
	hold = folio_hold_how(test, folio, &folio_drops[0], where, 100);
	w = start_waiter(test, folio, 60 * HZ);
	wait_until_asleep(w->task, &w->done);
	folio_hold_release(hold);
	wait_for_completion(&w->done);
	folio_hold_join(hold);

	expect_woken(test, w, hold->dropped_at);
}

/* Reclaim takes the page cache's reference away. */
static void waiter_for_reclaim(struct kunit *test)
{
	struct test_folio *tf = test_folio_make(test, &test_folio_shmem);
	ktime_t dropped_at;
	struct waiter *w;

	lru_add_drain_all();
	folio_wakeup_key_get(test);
	w = start_waiter(test, tf->folio, HZ);
	wait_until_asleep(w->task, &w->done);
	dropped_at = ktime_get();
	user_reclaim(test, tf);
	wait_for_completion(&w->done);

	if (drop_wakes(FOLIO_DROP_RECLAIM))
		expect_woken(test, w, dropped_at);
	else
		expect_timed_out(test, w);
}

/* With the key off the waiter sleeps until its timeout. */
static void waiter_times_out_when_off(struct kunit *test)
{
	struct folio *folio = test_folio_alloc(test, 0);
	struct folio_hold *hold = folio_hold(test, folio, 1, 100);
	struct waiter *w;

	KUNIT_ASSERT_EQ(test, folio_wakeup_key_count(), 0);
	w = start_waiter(test, folio, HZ);
	wait_until_asleep(w->task, &w->done);
	folio_hold_release(hold);
	wait_for_completion(&w->done);

	expect_timed_out(test, w);
}

/*
 * A drop that does not wake costs a migration its whole wait, though the reference
 * is gone.  Without a wait migration fails, and succeeds after the drop.
 */
static void migration_after_bypass(struct kunit *test)
{
	const struct folio_drop *how = test->param_value;
	const struct wait_promises *p = wait_promises();
	struct folio_migration *m;
	struct folio_hold *hold;
	struct test_folio *tf;

	/* In real time one way has to do. */
	if (how != bypassing_drops)
		folio_fixture_needs_virtual_time(test, 1);

	tf = test_folio_make(test, &test_folio_shmem);
	hold = folio_hold_how(test, tf->folio, how, NULL, 100);
	m = longterm_migration(test, MIGRATE_SYNC);
	folio_migration_add(m, tf);
	if (!p->wait) {
		folio_migration_run(m);
		expect_failed_at_once(test, m, 1);
		expect_unharmed(test, tf, how->refs);
		folio_hold_join(hold);
		expect_migrates_later(test, m);
		return;
	}
	folio_migration_start(m);
	KUNIT_EXPECT_TRUE(test, folio_migration_waits(m, tf));
	folio_hold_release(hold);
	folio_hold_join(hold);
	folio_migration_join(m);

	KUNIT_EXPECT_EQ(test, m->rc, 0);
	KUNIT_EXPECT_GE(test, m->ended_at, hold->dropped_at);
	if (drop_wakes(how->kind))
		expect_took(test, m, hold->delay,
			    ktime_add(ktime_sub(hold->dropped_at, m->began_at),
				      ticks_to_ktime(2)));
	else
		expect_took_waits(test, m, 1);
	expect_migrated(test, tf);
}

static struct kunit_case folio_put_wakeup_cases[] = {
	KUNIT_CASE_PARAM_ARRAY(wakes_when_on, folio_drops),
	KUNIT_CASE_PARAM_ARRAY(silent_when_off, folio_drops),
	KUNIT_CASE_PARAM_ARRAY(last_drop_is_silent, folio_drops),
	KUNIT_CASE_PARAM_ARRAY(bypassing_drop, bypassing_drops),
	KUNIT_CASE_PARAM_ARRAY(wakes_from, exec_contexts),
	KUNIT_CASE(batch_wakes_survivors),
	KUNIT_CASE(wakes_only_its_own),
	KUNIT_CASE_PARAM_ARRAY(user_drop, user_params),
	KUNIT_CASE(page_frag_drop),
	KUNIT_CASE_PARAM_ARRAY(waiter_ends_with_drop, exec_contexts),
	KUNIT_CASE_SLOW(waiter_times_out_when_off),
	KUNIT_CASE_SLOW(waiter_for_reclaim),
	KUNIT_CASE_PARAM_ARRAY_SLOW(migration_after_bypass, bypassing_drops),
	{}
};

static struct kunit_suite folio_put_wakeup_suite = {
	.name = "folio_put_wakeup",
	.init = folio_fixture_init,
	.test_cases = folio_put_wakeup_cases,
};

kunit_test_suite(folio_put_wakeup_suite);

MODULE_DESCRIPTION("KUnit tests for wake-ups on folio reference drops");
MODULE_LICENSE("GPL");
