// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests for the wake-ups that dropping a folio reference sends.
 *
 * A spy stands where a waiter would wait, so what a drop does is known when it
 * returns, whatever the scheduler or the clock do.
 */

#include <linux/folio_batch.h>
#include <linux/kthread.h>
#include <linux/pagemap.h>

#include "../internal.h"
#include "folio_fixture.h"

/* The references that a case takes, and the way it drops them. */
struct drop_param {
	const char *name;
	unsigned int order;
	int refs;
	bool pin;
	/* How often the reference count goes down on that way. */
	int drops;
	void (*drop)(struct folio *folio, int refs);
};

static void drop_folio_put(struct folio *folio, int refs)
{
	while (refs--)
		folio_put(folio);
}

static void drop_put_page(struct folio *folio, int refs)
{
	while (refs--)
		put_page(&folio->page);
}

static void drop_put_tail_page(struct folio *folio, int refs)
{
	while (refs--)
		put_page(folio_page(folio, folio_nr_pages(folio) - 1));
}

static void drop_folios_put(struct folio *folio, int refs)
{
	struct folio_batch batch;

	folio_batch_init(&batch);
	while (refs--)
		folio_batch_add(&batch, folio);
	folios_put(&batch);
}

static void drop_folios_put_refs(struct folio *folio, int refs)
{
	unsigned int nr[] = { refs };
	struct folio_batch batch;

	folio_batch_init(&batch);
	folio_batch_add(&batch, folio);
	folios_put_refs(&batch, nr);
}

static void drop_release_pages(struct folio *folio, int refs)
{
	struct page *pages[] = { &folio->page, &folio->page, &folio->page };

	release_pages(pages, refs);
}

static void drop_unpin_user_page(struct folio *folio, int refs)
{
	while (refs--)
		unpin_user_page(folio_page(folio, folio_nr_pages(folio) - 1));
}

static void drop_unpin_folio(struct folio *folio, int refs)
{
	while (refs--)
		unpin_folio(folio);
}

static void drop_unpin_folios(struct folio *folio, int refs)
{
	struct folio *folios[] = { folio, folio, folio };

	unpin_folios(folios, refs);
}

static const struct drop_param drop_params[] = {
	{ "folio_put",             0,  1, false, 1, drop_folio_put },
	{ "folio_put-many",        0, 64, false, 64, drop_folio_put },
	{ "folio_put-large",       2,  1, false, 1, drop_folio_put },
	{ "put_page",              0,  1, false, 1, drop_put_page },
	{ "put_page-tail",         2,  1, false, 1, drop_put_tail_page },
	{ "folio_put_refs",        0,  1, false, 1, folio_put_refs },
	{ "folio_put_refs-many",   0, 64, false, 1, folio_put_refs },
	{ "folios_put",            0,  1, false, 1, drop_folios_put },
	{ "folios_put-same",       0,  3, false, 3, drop_folios_put },
	{ "folios_put_refs",       0,  1, false, 1, drop_folios_put_refs },
	{ "folios_put_refs-many",  0, 64, false, 1, drop_folios_put_refs },
	{ "folios_put_refs-large", 2,  4, false, 1, drop_folios_put_refs },
	{ "release_pages",         0,  3, false, 3, drop_release_pages },
	{ "unpin_user_page",       0,  1, true, 1, drop_unpin_user_page },
	{ "unpin_user_page-many",  0,  3, true, 3, drop_unpin_user_page },
	{ "unpin_user_page-large", 2,  1, true, 1, drop_unpin_user_page },
	{ "unpin_folio",           0,  1, true, 1, drop_unpin_folio },
	{ "unpin_folio-large",     2,  1, true, 1, drop_unpin_folio },
	{ "unpin_folios",          0,  3, true, 1, drop_unpin_folios },
};

static void drop_param_desc(struct kunit *test, const void *param, char *desc)
{
	const struct drop_param *p = param;

	strscpy(desc, p->name, KUNIT_PARAM_DESC_SIZE);
}

static int drop_params_init(struct kunit *test)
{
	kunit_register_params_array(test, drop_params, ARRAY_SIZE(drop_params),
				    drop_param_desc);
	return 0;
}

static void take_refs(struct kunit *test, struct folio *folio,
		      const struct drop_param *p)
{
	KUNIT_ASSERT_EQ(test, 0, try_grab_folio(folio, p->refs,
						p->pin ? FOLL_PIN : FOLL_GET));
}

/* Each drop that leaves a reference wakes a waiter, after the drop. */
static void wakes_when_on(struct kunit *test)
{
	const struct drop_param *p = test->param_value;
	struct folio *folio = test_folio_alloc(test, p->order);
	struct wakeup_spy *spy = wakeup_spy(test, folio);

	folio_wakeup_key_get(test);
	take_refs(test, folio, p);
	KUNIT_EXPECT_EQ(test, spy->wakeups, 0);

	p->drop(folio, p->refs);

	KUNIT_EXPECT_EQ(test, spy->wakeups, p->drops);
	KUNIT_EXPECT_EQ(test, spy->refs_at_wakeup, 1);
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 1);
}

/* While the key is off nobody is woken. */
static void silent_when_off(struct kunit *test)
{
	const struct drop_param *p = test->param_value;
	struct folio *folio = test_folio_alloc(test, p->order);
	struct wakeup_spy *spy = wakeup_spy(test, folio);

	KUNIT_ASSERT_EQ(test, folio_wakeup_key_count(), 0);
	take_refs(test, folio, p);

	p->drop(folio, p->refs);

	KUNIT_EXPECT_EQ(test, spy->wakeups, 0);
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 1);
}

/*
 * The drop of the last reference frees the folio, and has nobody to wake: who
 * waits holds a reference.
 */
static void last_drop_is_silent(struct kunit *test)
{
	const struct drop_param *p = test->param_value;
	struct folio *folio = test_folio_alloc(test, p->order);
	struct wakeup_spy *spy = wakeup_spy(test, folio);
	bool freed;

	folio_wakeup_key_get(test);
	take_refs(test, folio, p);
	test_folio_disown(test, folio);
	spy->wakeups = 0;
	/* A mark that the page allocator wipes off. */
	folio_set_referenced(folio);

	p->drop(folio, p->refs);
	freed = !folio_ref_count(folio) && !folio_test_referenced(folio);

	KUNIT_EXPECT_EQ(test, spy->wakeups, p->drops - 1);
	/* In real time somebody else may have got the page by now. */
	if (folio_fixture_virtual_time())
		KUNIT_EXPECT_TRUE(test, freed);
}

/* A batch is told apart folio by folio: some are freed, the others wake. */
static void batch_wakes_survivors(struct kunit *test)
{
	struct folio *kept = test_folio_alloc(test, 0);
	struct wakeup_spy *kept_spy = wakeup_spy(test, kept);
	struct folio *freed = test_folio_alloc(test, 0);
	struct wakeup_spy *freed_spy = wakeup_spy(test, freed);
	struct folio_batch batch;

	folio_wakeup_key_get(test);
	folio_get(freed);
	test_folio_disown(test, freed);
	freed_spy->wakeups = 0;

	folio_get(kept);
	folio_batch_init(&batch);
	folio_batch_add(&batch, freed);
	folio_batch_add(&batch, kept);
	folios_put(&batch);

	KUNIT_EXPECT_EQ(test, freed_spy->wakeups, 0);
	KUNIT_EXPECT_EQ(test, kept_spy->wakeups, 1);
	KUNIT_EXPECT_EQ(test, folio_ref_count(kept), 1);
}

/* Whoever waits for another folio is left alone. */
static void wakes_only_its_own(struct kunit *test)
{
	struct folio *folio = test_folio_alloc(test, 0);
	struct folio *other = test_folio_alloc(test, 0);
	struct wakeup_spy *spy = wakeup_spy(test, other);

	folio_wakeup_key_get(test);
	folio_get(folio);
	folio_put(folio);

	KUNIT_EXPECT_EQ(test, spy->wakeups, 0);
}

struct waiter {
	struct folio *folio;
	long timeout;
	long left;
	ktime_t began_at;
	ktime_t ended_at;
	struct completion done;
};

static int waiter_fn(void *data)
{
	struct waiter *w = data;

	w->began_at = ktime_get();
	w->left = wait_var_event_timeout(&w->folio->_refcount,
					 folio_ref_count(w->folio) <= 1,
					 w->timeout);
	w->ended_at = ktime_get();
	complete_all(&w->done);
	return 0;
}

KUNIT_DEFINE_ACTION_WRAPPER(kthread_stop_put_action, kthread_stop_put,
			    struct task_struct *);

static struct waiter *start_waiter(struct kunit *test, struct folio *folio,
				   long timeout)
{
	struct waiter *w = kunit_kzalloc(test, sizeof(*w), GFP_KERNEL);
	struct task_struct *task;

	KUNIT_ASSERT_NOT_NULL(test, w);
	w->folio = folio;
	w->timeout = timeout;
	init_completion(&w->done);
	task = kthread_create(waiter_fn, w, "folio_waiter");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, task);
	get_task_struct(task);
	wake_up_process(task);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test,
							   kthread_stop_put_action,
							   task));
	return w;
}

/* A task that waits sleeps until the drop, and no longer. */
static void waiter_ends_with_drop(struct kunit *test)
{
	struct folio *folio = test_folio_alloc(test, 0);
	struct folio_hold *hold = folio_hold(test, folio, 1, 100);
	struct waiter *w;

	folio_wakeup_key_get(test);
	w = start_waiter(test, folio, 60 * HZ);
	folio_hold_release(hold);
	wait_for_completion(&w->done);
	folio_hold_join(hold);

	KUNIT_EXPECT_GT(test, w->left, 1);
	KUNIT_EXPECT_GE(test, w->ended_at, hold->dropped_at);
	if (folio_fixture_virtual_time())
		KUNIT_EXPECT_LE(test, ktime_sub(w->ended_at, hold->dropped_at),
				ticks_to_ktime(1));
}

/* With the key off the same task finds out when its time is over. */
static void waiter_times_out_when_off(struct kunit *test)
{
	struct folio *folio = test_folio_alloc(test, 0);
	struct folio_hold *hold = folio_hold(test, folio, 1, 100);
	struct waiter *w;

	KUNIT_ASSERT_EQ(test, folio_wakeup_key_count(), 0);
	w = start_waiter(test, folio, HZ);
	folio_hold_release(hold);
	wait_for_completion(&w->done);

	/* Nothing is left of its time, but a 1 if the reference has gone. */
	KUNIT_EXPECT_LE(test, w->left, 1);
	KUNIT_EXPECT_GE(test, ktime_sub(w->ended_at, w->began_at),
			ms_to_ktime(MSEC_PER_SEC));
}

static struct kunit_case folio_put_wakeup_cases[] = {
	KUNIT_CASE_PARAM_WITH_INIT(wakes_when_on, kunit_array_gen_params,
				   drop_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(silent_when_off, kunit_array_gen_params,
				   drop_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(last_drop_is_silent, kunit_array_gen_params,
				   drop_params_init, NULL),
	KUNIT_CASE(batch_wakes_survivors),
	KUNIT_CASE(wakes_only_its_own),
	KUNIT_CASE(waiter_ends_with_drop),
	KUNIT_CASE_SLOW(waiter_times_out_when_off),
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
