// SPDX-License-Identifier: GPL-2.0
/*
 * Calls of migrate_pages() for KUnit tests, and what is expected of them.
 */

#include <linux/hugetlb.h>
#include <linux/kthread.h>
#include <linux/pagemap.h>
#include <linux/sched/task.h>
#include <linux/swap.h>

#include "../internal.h"
#include "folio_fixture.h"

const char * const test_mode_names[] = {
	[MIGRATE_ASYNC] = "async",
	[MIGRATE_SYNC_LIGHT] = "sync_light",
	[MIGRATE_SYNC] = "sync",
};

static void folio_migration_begin(struct folio_migration *m)
{
	m->began_tick = jiffies;
	m->began_at = ktime_get();
	m->sleeps = current->nvcsw;
}

/* NULL for what a large folio has been split into. */
static struct test_folio *find_test_folio(struct folio_migration *m,
					  struct folio *folio)
{
	struct test_folio *tf;

	list_for_each_entry(tf, &m->folios, entry)
		if (tf->folio == folio && folio_order(folio) == tf->kind->order)
			return tf;
	return NULL;
}

/* The halt does not count as time of the migration. */
static void folio_migration_halt(struct folio_migration *m)
{
	complete_all(&m->halted);
	wait_for_completion_timeout(&m->go_on, HOLD_AT_MOST);
	folio_migration_begin(m);
}

static struct folio *alloc_dst(struct folio_migration *m, struct folio *src)
{
	struct hstate *h;

	if (m->nid != NUMA_NO_NODE)
		return __folio_alloc_node(GFP_KERNEL | __GFP_THISNODE, folio_order(src), m->nid);
	if (!folio_test_hugetlb(src))
		return folio_alloc(GFP_KERNEL, folio_order(src));
	h = folio_hstate(src);
	return alloc_hugetlb_folio_nodemask(h, folio_nid(src), NULL,
					    htlb_modify_alloc_mask(h, GFP_USER), true);
}

static struct folio *get_dst(struct folio *src, unsigned long private)
{
	struct folio_migration *m = (struct folio_migration *)private;
	struct test_folio *tf = find_test_folio(m, src);
	struct folio *dst;

	m->nr_allocs++;
	m->key_inside = folio_wakeup_key_count();
	if (m->on_alloc)
		m->on_alloc(m);
	if (m->nr_allocs == m->halt_at)
		folio_migration_halt(m);
	if (m->nr_allocs == m->fail_alloc_at)
		return NULL;
	if (m->fail_alloc_order && folio_order(src) >= m->fail_alloc_order)
		return NULL;

	dst = alloc_dst(m, src);
	if (!dst) {
		m->nr_failed_allocs++;
		m->unserved = tf;
	} else if (tf) {
		folio_get(dst);
		tf->dst = dst;
	}
	return dst;
}

static void put_dst(struct folio *dst, unsigned long private)
{
	struct folio_migration *m = (struct folio_migration *)private;
	struct test_folio *tf;
	int refs = 1;

	list_for_each_entry(tf, &m->folios, entry) {
		if (tf->dst == dst) {
			tf->dst = NULL;
			refs++;
		}
	}
	folio_put_refs(dst, refs);
}

static void folio_migration_end(void *data)
{
	struct folio_migration *m = data;

	if (m->gate)
		complete_all(m->gate);
	complete_all(&m->go_on);
	if (m->task)
		kthread_stop_put(m->task);
	putback_movable_pages(&m->from);
}

/**
 * folio_migration() - prepare a call of migrate_pages()
 * @test: the running test
 * @mode: the migration mode
 * @reason: the reason for the migration
 *
 * Return: the migration, to be filled with folio_migration_add().  Folios that
 * have not been migrated are put back when the case ends.
 */
struct folio_migration *folio_migration(struct kunit *test,
					enum migrate_mode mode,
					enum migrate_reason reason)
{
	struct folio_migration *m = test_zalloc(test, sizeof(*m));

	m->test = test;
	m->mode = mode;
	m->reason = reason;
	m->nid = NUMA_NO_NODE;
	INIT_LIST_HEAD(&m->folios);
	INIT_LIST_HEAD(&m->from);
	init_completion(&m->halted);
	init_completion(&m->go_on);
	init_completion(&m->done);
	test_cleanup(test, folio_migration_end, m);
	return m;
}

/**
 * folio_migration_add() - isolate a folio for migration
 * @m: the migration
 * @tf: the folio; the fixture gives up its reference, so that no other than
 *	the isolation's and those of the folio's users remain
 */
void folio_migration_add(struct folio_migration *m, struct test_folio *tf)
{
	struct kunit *test = m->test;

	lru_add_drain_all();
	KUNIT_ASSERT_TRUE(test, isolate_folio_to_list(tf->folio, &m->from));
	/* In the order in which they are added. */
	list_move_tail(&tf->folio->lru, &m->from);
	list_add_tail(&tf->entry, &m->folios);
	test_folio_let_go(tf);

	if (tf->kind->isolated)
		KUNIT_ASSERT_EQ(test, 0, tf->kind->isolated(tf));
}

/**
 * set_fail_nth() - have a point of fault injection fail, for this task
 * @nth: which of those that it meets from here on, counted from 1; 0 for none
 *
 * Return: what is left of the former value, 0 if that point has failed.
 */
unsigned int set_fail_nth(unsigned int nth)
{
	unsigned int left = 0;

#ifdef CONFIG_FAULT_INJECTION
	left = current->fail_nth;
	current->fail_nth = nth;
#endif
	return left;
}

/*
 * A source that was not freed still has PG_uptodate.  A page that was freed and
 * reused does not, unless it became a destination of the same migration.
 */
static bool source_kept(struct folio_migration *m, struct test_folio *tf)
{
	struct test_folio *other;

	if (!folio_ref_count(tf->folio) || !folio_test_uptodate(tf->folio))
		return false;
	list_for_each_entry(other, &m->folios, entry)
		if (other->dst == tf->folio)
			return false;
	return true;
}

/**
 * folio_migration_run() - call migrate_pages()
 * @m: the migration
 */
void folio_migration_run(struct folio_migration *m)
{
	struct test_folio *tf;

	folio_migration_begin(m);
	set_fail_nth(m->fail_nth);
	m->rc = migrate_pages(&m->from, get_dst, put_dst, (unsigned long)m,
			      m->mode, m->reason, &m->nr_succeeded);
	m->fail_nth = set_fail_nth(0);
	m->sleeps = current->nvcsw - m->sleeps;
	list_for_each_entry(tf, &m->folios, entry) {
		tf->src_refs = folio_ref_count(tf->folio);
		tf->src_kept = source_kept(m, tf);
	}
	m->ended_tick = jiffies;
	m->ended_at = ktime_get();
	if (m->halts_for && m->halts_for->dst) {
		list_del_init(&m->halts_for->entry);
		m->halts_for = NULL;
		m->nr_succeeded--;
		m->nr_allocs--;
	}
}

static int folio_migration_fn(void *data)
{
	struct folio_migration *m = data;

	if (m->gate)
		wait_for_completion(m->gate);
	folio_migration_run(m);
	complete_all(&m->done);
	return 0;
}

/**
 * folio_migration_start() - call migrate_pages() from a kthread
 * @m: the migration
 */
void folio_migration_start(struct folio_migration *m)
{
	struct task_struct *task = kthread_create(folio_migration_fn, m,
						  "folio_migration");

	KUNIT_ASSERT_NOT_ERR_OR_NULL(m->test, task);
	m->task = get_task_struct(task);
	wake_up_process(task);
}

/**
 * folio_migration_join() - wait until a started migration is over
 * @m: the migration
 */
void folio_migration_join(struct folio_migration *m)
{
	wait_for_completion(&m->done);
}

/**
 * folio_migration_prolong() - have a migration last until folios that are held are
 *	dropped, or folio_migration_go_on()
 * @m: the migration, to which all others have been added
 *
 * For cases that act meanwhile.  With a series that waits this does nothing.
 * Without one the migration halts in the middle of an attempt: it has unmapped and
 * locked all it could, and asks for the destination of one more folio.  That one is
 * added here and does not count if it was migrated.
 */
void folio_migration_prolong(struct folio_migration *m)
{
	if (wait_promises()->wait)
		return;
	m->halt_at = list_count_nodes(&m->from) + 1;
	m->halts_for = test_folio_make(m->test, &test_folio_shmem);
	folio_migration_add(m, m->halts_for);
}

/**
 * folio_migration_go_on() - end what folio_migration_prolong() began
 * @m: the migration
 */
void folio_migration_go_on(struct folio_migration *m)
{
	complete_all(&m->go_on);
}

static bool has_ref_waiter(struct folio *folio)
{
	struct wait_queue_head *wq_head = __var_waitqueue(&folio->_refcount);
	struct wait_bit_queue_entry *entry;
	bool found = false;

	spin_lock_irq(&wq_head->lock);
	list_for_each_entry(entry, &wq_head->head, wq_entry.entry)
		if (entry->key.flags == (void *)&folio->_refcount)
			found = true;
	spin_unlock_irq(&wq_head->lock);
	return found;
}

static bool has_lock_waiter(struct folio *folio)
{
	return folio_test_waiters(folio);
}

/* Poll: there is no notification when the waiter sleeps. */
static bool happens_during(struct folio_migration *m, struct folio *folio,
			   bool (*event)(struct folio *folio))
{
	while (!event(folio))
		if (wait_for_completion_timeout(&m->done, 1))
			return false;
	return true;
}

/**
 * folio_migration_waits() - wait until a started migration waits for a folio
 * @m: the migration
 * @tf: the folio
 *
 * Return: true when the migration waits for references on @tf to go, or has been
 * made to halt by folio_migration_prolong(); false if it is over and did not.
 */
bool folio_migration_waits(struct folio_migration *m, struct test_folio *tf)
{
	if (!m->halt_at)
		return happens_during(m, tf->folio, has_ref_waiter);
	while (!completion_done(&m->halted))
		if (wait_for_completion_timeout(&m->done, 1))
			return false;
	return true;
}

/**
 * folio_migration_blocks() - wait until a started migration blocks a task
 * @m: the migration
 * @tf: the folio
 *
 * Return: true when a task waits for @tf to be unlocked, false if the migration is
 * over and none did.
 */
bool folio_migration_blocks(struct folio_migration *m, struct test_folio *tf)
{
	return happens_during(m, tf->folio, has_lock_waiter);
}

/**
 * folio_migration_putback() - put back the folios that were not migrated
 * @m: the migration
 */
void folio_migration_putback(struct folio_migration *m)
{
	putback_movable_pages(&m->from);
}

/**
 * folio_migration_again() - migrate what a migration has left, for the same reason
 * @m: the migration, after folio_migration_putback()
 *
 * Without holds, faults and callbacks.  Folios that were migrated, or have lost all
 * users, take no part.
 */
void folio_migration_again(struct folio_migration *m)
{
	struct test_folio *tf, *next;

	lru_add_drain_all();
	list_for_each_entry_safe(tf, next, &m->folios, entry) {
		if (tf->dst || !test_folio_has_users(tf)) {
			list_del_init(&tf->entry);
			continue;
		}
		KUNIT_ASSERT_TRUE(m->test, isolate_folio_to_list(tf->folio, &m->from));
		tf->migrate_error = 0;
	}
	m->on_alloc = NULL;
	m->nr_allocs = 0;
	m->halt_at = 0;
	m->fail_alloc_at = 0;
	m->fail_alloc_order = 0;
	m->fail_nth = 0;
	folio_migration_run(m);
}

/**
 * release_hold_on_alloc() - for &folio_migration.on_alloc
 * @m: the migration; its data is a &struct folio_hold, which is released if the
 *	series waits
 *
 * Without a wait the case releases the hold after the migration has failed.
 */
void release_hold_on_alloc(struct folio_migration *m)
{
	if (wait_promises()->wait)
		folio_hold_release(m->data);
}

static unsigned int pages_at_destination(const struct folio_migration *m)
{
	unsigned int pages = 0;
	struct test_folio *tf;

	list_for_each_entry(tf, &m->folios, entry)
		if (tf->dst || tf->splits)
			pages += 1 << tf->kind->order;
	return pages;
}

/**
 * expect_failed_at_once() - expect a migration to have failed for what is held
 * @test: the running test
 * @m: a migration that is over
 * @nr: how many folios are held
 *
 * They were tried once, without a wait.  Puts them back.
 */
void expect_failed_at_once(struct kunit *test, struct folio_migration *m,
			   unsigned int nr)
{
	KUNIT_EXPECT_EQ(test, m->rc, nr);
	KUNIT_EXPECT_GT(test, m->nr_allocs, 0);
	KUNIT_EXPECT_EQ(test, m->nr_succeeded, pages_at_destination(m));
	KUNIT_EXPECT_EQ(test, list_count_nodes(&m->from), nr);
	expect_did_not_wait(test, m);
	folio_migration_putback(m);
}

/**
 * expect_migrates_later() - expect what a migration has left to migrate now
 * @test: the running test
 * @m: a migration that failed; its folios are put back and not held any more
 */
void expect_migrates_later(struct kunit *test, struct folio_migration *m)
{
	struct test_folio *tf, *next;

	/* Attempts that unmap it page by page have reclaim think that a part of it is not used. */
	list_for_each_entry(tf, &m->folios, entry)
		tf->splits = tf->kind->order > 1 && tf->mapcount > 1 &&
			     folio_test_partially_mapped(tf->folio);
	folio_migration_again(m);

	KUNIT_EXPECT_EQ(test, m->rc, 0);
	KUNIT_EXPECT_EQ(test, m->nr_succeeded, pages_at_destination(m));
	KUNIT_EXPECT_TRUE(test, list_empty(&m->from));
	expect_did_not_wait(test, m);
	list_for_each_entry_safe(tf, next, &m->folios, entry) {
		if (tf->splits)
			expect_split(test, tf);
		else
			expect_migrated(test, tf);
	}
}

/**
 * expect_took() - expect a migration to have taken so long
 * @test: the running test
 * @m: a migration that is over
 * @lower: at least so long
 * @upper: at most so long, and as much longer as late_by() allows
 */
void expect_took(struct kunit *test, const struct folio_migration *m,
		 ktime_t lower, ktime_t upper)
{
	ktime_t took = ktime_sub(m->ended_at, m->began_at);

	KUNIT_EXPECT_GE(test, took, lower);
	KUNIT_EXPECT_LE(test, took, ktime_add(upper, late_by(0)));
}

/**
 * expect_took_hold() - expect a migration to have taken as long as a hold
 * @test: the running test
 * @m: a migration that is over
 * @hold: what it waited for, released when the migration began
 */
void expect_took_hold(struct kunit *test, const struct folio_migration *m,
		      const struct folio_hold *hold)
{
	expect_took(test, m, hold->delay, ktime_add(hold->delay, ticks_to_ktime(2)));
}

/**
 * expect_did_not_wait() - expect a migration to have waited for nothing at all
 * @test: the running test
 * @m: a migration that is over
 *
 * In real time a loaded machine may take as long as a wait.  The count of sleeps is
 * exact there as well.
 */
void expect_did_not_wait(struct kunit *test, const struct folio_migration *m)
{
	KUNIT_EXPECT_EQ_MSG(test, m->sleeps, 0, "it has gone to sleep");
	expect_took(test, m, 0, ticks_to_ktime(1));
}

/**
 * expect_ended_with() - expect a migration to have ended with what it waited for
 * @test: the running test
 * @m: a migration that is over
 * @due: when that came
 */
void expect_ended_with(struct kunit *test, const struct folio_migration *m,
		       ktime_t due)
{
	KUNIT_EXPECT_GE(test, m->ended_at, due);
	KUNIT_EXPECT_LE(test, m->ended_at, ktime_add(due, late_by(2)));
}

/**
 * expect_allocs() - expect so many calls for destinations
 * @test: the running test
 * @m: a migration that is over, of one folio
 * @nr: how many
 *
 * In real time a wait may time out before the drop.  Then there is another wait, and
 * another call.
 */
void expect_allocs(struct kunit *test, const struct folio_migration *m,
		   unsigned int nr)
{
	unsigned long waits = 0;

	if (!waits_are_free() && wait_promises()->wait)
		waits = (m->ended_tick - m->began_tick) / wait_promises()->wait;
	KUNIT_EXPECT_GE(test, m->nr_allocs, nr);
	KUNIT_EXPECT_LE(test, m->nr_allocs, nr + waits);
}

/**
 * expect_took_ticks() - expect a migration to have waited so long
 * @test: the running test
 * @m: a migration that is over
 * @least: at least so many ticks
 * @most: at most so many ticks, as of expect_took()
 *
 * Waits are counted in ticks.  In real time ticks may come late and then several at
 * once, so that a wait is shorter than that many ticks.
 */
void expect_took_ticks(struct kunit *test, const struct folio_migration *m,
		       unsigned int least, unsigned int most)
{
	const bool exact = waits_are_free();

	KUNIT_EXPECT_GE(test, m->ended_tick - m->began_tick, least);
	expect_took(test, m, exact ? ticks_to_ktime(least) : 0, ticks_to_ktime(most));
}

/**
 * expect_took_waits() - expect a migration to have waited so often, to the end
 * @test: the running test
 * @m: a migration that is over
 * @nr: how often
 */
void expect_took_waits(struct kunit *test, const struct folio_migration *m,
		       unsigned int nr)
{
	const unsigned long wait = wait_promises()->wait;

	expect_took_ticks(test, m, nr * wait, nr * wait_at_most(wait));
}
