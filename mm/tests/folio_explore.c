// SPDX-License-Identifier: GPL-2.0
/*
 * Other orders of events: tasks of a case are delayed at named points of the kernel,
 * by times that are drawn from a seed, and the order in which they pass these points
 * is recorded.
 *
 * The points are kprobes, so the kernel under test is the one that everybody runs.
 */

#include <kunit/test.h>
#include <linux/delay.h>
#include <linux/jhash.h>
#include <linux/kprobes.h>
#include <linux/moduleparam.h>
#include <linux/sched.h>

#include "folio_fixture.h"

static unsigned int seed;
module_param(seed, uint, 0444);
MODULE_PARM_DESC(seed, "what delays are drawn from, 0 for none");

/* An order of this many events tells one boot from another. */
#define MAX_EVENTS	4096

/* Of a task's first passages of a point one in so many is delayed, by up to so long. */
#define NR_DELAYABLE	8
#define ONE_IN		4
#define MAX_DELAY_US	200

/* Tasks of a case that are told apart; the rest is never delayed. */
#define MAX_TASKS	64

struct folio_event {
	unsigned int who;
	unsigned int what;
};

static struct folio_event events[MAX_EVENTS];
static atomic_t nr_events;
/* The running case.  The tasks that it starts have higher ids. */
static pid_t first;

static int delay_here(struct kprobe *point, struct pt_regs *regs);

#define POINT(name)	{ .symbol_name = name, .pre_handler = delay_here }

/* What a point that this kernel lacks would show has no order. */
static struct kprobe points[] = {
	/* The waiter: before it queues, looks again, sleeps; after it woke up. */
	POINT("init_wait_var_entry"),
	POINT("prepare_to_wait_event"),
	POINT("schedule_timeout"),
	POINT("finish_wait"),
	/* Whoever drops a reference: before it wakes, before it frees. */
	POINT("wake_up_var"),
	POINT("__folio_put"),
	POINT("folios_put_refs"),
	POINT("unpin_user_page"),
	/* The key. */
	POINT("static_key_slow_inc"),
	POINT("static_key_slow_dec"),
	/* An attempt to migrate. */
	POINT("migrate_pages"),
	POINT("try_to_migrate"),
	POINT("folio_migrate_mapping"),
	POINT("remove_migration_ptes"),
	POINT("folio_isolate_lru"),
	POINT("folio_putback_lru"),
	POINT("lru_add_drain_all"),
	/* Users of the folio. */
	POINT("handle_mm_fault"),
	POINT("migration_entry_wait"),
	POINT("truncate_inode_folio"),
	POINT("filemap_get_entry"),
};

/* How often a task has passed a point. */
static unsigned int passed[MAX_TASKS][ARRAY_SIZE(points)];

/* What a task's n-th passage costs does not depend on what others do. */
static unsigned int draw_delay_us(unsigned int who, unsigned int what)
{
	const unsigned int nth = passed[who][what]++;
	const u32 drawn = jhash_3words(who, what, nth, seed);

	if (nth >= NR_DELAYABLE || drawn % ONE_IN)
		return 0;
	return drawn / ONE_IN % MAX_DELAY_US;
}

static int delay_here(struct kprobe *point, struct pt_regs *regs)
{
	const unsigned int what = point - points;
	const unsigned int who = current->pid - first;
	unsigned int nr;

	if (!first || who >= MAX_TASKS || current->flags & PF_WQ_WORKER || in_interrupt())
		return 0;
	nr = atomic_inc_return(&nr_events) - 1;
	if (nr < MAX_EVENTS) {
		events[nr].who = who;
		events[nr].what = what;
	}
	udelay(draw_delay_us(who, what));
	return 0;
}

static void folio_explore_end(void *data)
{
	const unsigned int nr = min_t(unsigned int, atomic_read(&nr_events), MAX_EVENTS);
	unsigned int rank[MAX_TASKS] = {};
	struct kunit *test = data;
	unsigned int i, ranks = 0;
	u32 order = 0;

	first = 0;
	/* Workers that the kernel starts meanwhile take ids, too. */
	for (i = 0; i < nr; i++)
		rank[events[i].who] = 1;
	for (i = 0; i < MAX_TASKS; i++)
		if (rank[i])
			rank[i] = ++ranks;
	for (i = 0; i < nr; i++)
		order = jhash_2words(rank[events[i].who], events[i].what, order);
	kunit_info(test, "order of %u events: %08x", nr, order);
}

/**
 * folio_exploring() - are tasks delayed at random?
 *
 * Then a case can assert order, and times within %FOLIO_EXPLORE_SLACK_MS.
 *
 * Return: true if the kernel was booted with folio_explore.seed=
 */
bool folio_exploring(void)
{
	return seed;
}

/**
 * folio_explore_begin() - record the order of events from here to the end of the case
 * @test: the running test
 *
 * Return: 0 or -ENOMEM.
 */
int folio_explore_begin(struct kunit *test)
{
	if (!folio_exploring())
		return 0;
	atomic_set(&nr_events, 0);
	memset(passed, 0, sizeof(passed));
	first = current->pid;
	return kunit_add_action(test, folio_explore_end, test);
}

static int __init folio_explore_init(void)
{
	int i, error;

	for (i = 0; seed && i < ARRAY_SIZE(points); i++) {
		error = register_kprobe(&points[i]);
		if (error)
			pr_info("folio_explore: no point %s: %d\n",
				points[i].symbol_name, error);
	}
	return 0;
}
late_initcall(folio_explore_init);
