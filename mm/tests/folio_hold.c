// SPDX-License-Identifier: GPL-2.0
/*
 * Extra references on folios, which a kthread drops late.
 */

#include <linux/hrtimer.h>
#include <linux/kthread.h>
#include <linux/pagemap.h>
#include <linux/sched/task.h>

#include "folio_fixture.h"

static void folio_hold_drop(void *data)
{
	struct folio_hold *hold = data;

	hold->dropped_at = ktime_get();
	if (hold->how)
		hold->how->drop(hold->folio, hold->refs);
	else
		drop_folio_put(hold->folio, hold->refs);
}

static void folio_hold_sleep(struct folio_hold *hold)
{
	ktime_t delay = hold->delay;

	if (!delay)
		return;
	set_current_state(TASK_UNINTERRUPTIBLE);
	schedule_hrtimeout(&delay, HRTIMER_MODE_REL);
}

/* Retake by a lookup, as users do: it may find another folio now. */
static bool folio_hold_retake(struct folio_hold *hold)
{
	struct address_space *mapping = hold->folio->mapping;
	const pgoff_t index = hold->folio->index;
	struct folio *folio;

	folio_hold_drop(hold);
	folio = filemap_get_folio(mapping, index);
	if (folio == hold->folio) {
		folio_ref_add(folio, hold->refs - 1);
		return true;
	}
	if (!IS_ERR(folio))
		folio_put(folio);
	return false;
}

static int folio_hold_fn(void *data)
{
	struct folio_hold *hold = data;

	wait_for_completion_timeout(&hold->release, HOLD_AT_MOST);
	folio_hold_sleep(hold);
	while (hold->retaken < hold->retakes) {
		if (!folio_hold_retake(hold))
			goto gone;
		hold->retaken++;
		folio_hold_sleep(hold);
	}
	if (hold->needs_lock) {
		folio_lock(hold->folio);
		folio_unlock(hold->folio);
	}
	if (hold->where)
		hold->error = hold->where->run(folio_hold_drop, hold);
	/* Drop here if all else failed: a waiter may have no timeout. */
	if (!hold->where || hold->error)
		folio_hold_drop(hold);
gone:
	complete_all(&hold->dropped);
	return 0;
}

static void folio_hold_end(void *data)
{
	struct folio_hold *hold = data;
	struct kunit *test = hold->test;

	/* A kthread that is stopped before it ran would drop nothing. */
	folio_hold_join(hold);
	kthread_stop_put(hold->task);
	KUNIT_EXPECT_EQ_MSG(test, hold->error, 0,
			    "the references could not be dropped from context %s",
			    hold->where->name);
}

static int folio_hold_take(struct folio_hold *hold)
{
	if (hold->how)
		return folio_drop_take(hold->how, hold->folio);
	folio_ref_add(hold->folio, hold->refs);
	return 0;
}

static struct folio_hold *hold_start(struct kunit *test, struct folio_hold like)
{
	struct folio_hold *hold = test_zalloc(test, sizeof(*hold));
	int ret;

	*hold = like;
	hold->test = test;
	init_completion(&hold->release);
	init_completion(&hold->dropped);

	hold->task = kthread_create(folio_hold_fn, hold, "folio_hold");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, hold->task);
	ret = folio_hold_take(hold);
	if (ret)
		kthread_stop(hold->task);
	KUNIT_ASSERT_EQ_MSG(test, ret, 0, "can't take the references to hold");
	get_task_struct(hold->task);
	wake_up_process(hold->task);
	test_cleanup(test, folio_hold_end, hold);
	return hold;
}

/**
 * folio_hold() - hold extra references on a folio
 * @test: the running test
 * @folio: the folio
 * @refs: how many references
 * @delay_ms: how long after folio_hold_release() a kthread drops them, in
 *	milliseconds
 *
 * Return: the hold, which is released when the case ends or after HOLD_AT_MOST, if
 * not before.
 */
struct folio_hold *folio_hold(struct kunit *test, struct folio *folio,
			      int refs, unsigned int delay_ms)
{
	return hold_start(test, (struct folio_hold) {
		.folio = folio,
		.refs = refs,
		.delay = ms_to_ktime(delay_ms),
	});
}

/**
 * folio_hold_how() - hold references that are dropped in some way, somewhere
 * @test: the running test
 * @folio: the folio
 * @how: the way they are dropped; says how many there are and whether they are
 *	pins
 * @where: the context they are dropped from; not an atomic one if @how is
 *	&folio_drop.task_only
 * @delay_ms: how long after folio_hold_release()
 *
 * Return: as folio_hold().
 */
struct folio_hold *folio_hold_how(struct kunit *test, struct folio *folio,
				  const struct folio_drop *how,
				  const struct exec_context *where,
				  unsigned int delay_ms)
{
	return hold_start(test, (struct folio_hold) {
		.folio = folio,
		.refs = how->refs,
		.delay = ms_to_ktime(delay_ms),
		.how = how,
		.where = where,
	});
}

static int start_writeback(struct folio *folio)
{
	folio_lock(folio);
	folio_start_writeback(folio);
	folio_unlock(folio);
	return 0;
}

static void end_writeback(struct folio *folio, int refs)
{
	folio_end_writeback(folio);
}

static const struct folio_drop writeback = {
	.name = "writeback",
	.take = start_writeback,
	.drop = end_writeback,
};

/**
 * folio_hold_writeback() - have a folio under writeback, which takes no reference
 * @test: the running test
 * @folio: the folio, of the page cache
 * @delay_ms: how long after folio_hold_release() writeback ends
 *
 * Return: as folio_hold().
 */
struct folio_hold *folio_hold_writeback(struct kunit *test, struct folio *folio,
					unsigned int delay_ms)
{
	return folio_hold_how(test, folio, &writeback, NULL, delay_ms);
}

/**
 * folio_hold_release() - have the references dropped when the delay is over
 * @hold: the hold
 *
 * Does not sleep.  Releasing a hold again has no effect.
 */
void folio_hold_release(struct folio_hold *hold)
{
	complete_all(&hold->release);
}

/**
 * folio_hold_join() - wait until the references are gone
 * @hold: the hold; released if it was not yet
 *
 * A migration that waited for the drop may be over before the dropping kthread
 * runs again.
 */
void folio_hold_join(struct folio_hold *hold)
{
	folio_hold_release(hold);
	wait_for_completion(&hold->dropped);
}
