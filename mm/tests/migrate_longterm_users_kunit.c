// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests for what the users of a folio meet while page migration before a
 * longterm pin waits for references on it to go, or is in the middle of an attempt.
 */

#include <linux/mman.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/shmem_fs.h>
#include <linux/uaccess.h>

#include "folio_fixture.h"

/**
 * struct waiting - a migration that waits for a reference on a folio to go, or
 *	halts in the middle of an attempt where nothing is waited for
 * @m: the migration
 * @tf: the folio
 * @hold: the reference
 */
struct waiting {
	struct folio_migration *m;
	struct test_folio *tf;
	struct folio_hold *hold;
};

static void waiting_prepare(struct kunit *test, struct waiting *w,
			    struct test_folio *tf, enum migrate_mode mode)
{
	w->tf = tf;
	w->m = longterm_migration(test, mode);
	/* Newer than the migration, so that it is released first. */
	w->hold = folio_hold(test, tf->folio, 1, 0);
	folio_migration_add(w->m, tf);
	folio_migration_prolong(w->m);
}

static void waiting_start(struct kunit *test, struct waiting *w,
			  struct test_folio *tf, enum migrate_mode mode)
{
	waiting_prepare(test, w, tf, mode);
	folio_migration_start(w->m);
	KUNIT_ASSERT_TRUE(test, folio_migration_waits(w->m, w->tf));
}

/* The drop ends the wait. */
static void waiting_finish(struct kunit *test, struct waiting *w)
{
	KUNIT_EXPECT_FALSE(test, completion_done(&w->m->done));
	folio_hold_join(w->hold);
	folio_migration_go_on(w->m);
	folio_migration_join(w->m);

	KUNIT_EXPECT_EQ(test, w->m->rc, 0);
	KUNIT_EXPECT_GE(test, w->m->ended_at, w->hold->dropped_at);
}

/* Each attempt has waited until its timeout, if at all, and failed. */
static void expect_waited_in_vain(struct kunit *test, struct waiting *w)
{
	const struct wait_promises *p = wait_promises();
	const unsigned int waits = wait_attempts();

	KUNIT_EXPECT_EQ(test, w->m->rc, 1);
	if (p->wait)
		expect_took_waits(test, w->m, waits);
	else
		expect_did_not_wait(test, w->m);
}

/**
 * struct reader - reads a page of user memory
 * @addr: its address
 * @buf: where to
 * @left: how many bytes could not be read
 * @read_at: when it had been read
 * @done: complete when it has been read
 */
struct reader {
	unsigned long addr;
	void *buf;
	unsigned long left;
	ktime_t read_at;
	struct completion done;
};

static struct reader *reader_alloc(struct kunit *test, unsigned long addr)
{
	struct reader *r = test_zalloc(test, sizeof(*r));

	r->addr = addr;
	r->buf = test_zalloc(test, PAGE_SIZE);
	init_completion(&r->done);
	return r;
}

/* Reads, and then waits until it is told to go. */
static void reader_fn(struct test_task *task)
{
	struct reader *r = task->data;

	r->left = copy_from_user(r->buf, (void __user *)r->addr, PAGE_SIZE);
	r->read_at = ktime_get();
	complete_all(&r->done);
	test_task_await_go(task);
}

static void expect_read_intact(struct kunit *test, struct reader *r,
			       struct test_folio *tf)
{
	wait_for_completion(&r->done);
	KUNIT_EXPECT_EQ(test, r->left, 0);
	KUNIT_EXPECT_NULL(test, memchr_inv(r->buf, tf->pattern, PAGE_SIZE));
}

/* A page fault waits for the end of the migration, and then finds the data. */
static void fault(struct kunit *test)
{
	struct test_folio *tf = test_folio_make(test, &test_folio_anon_mapped);
	struct reader *r = reader_alloc(test, tf->addr);
	struct waiting w;

	waiting_start(test, &w, tf, MIGRATE_SYNC);
	test_task_start(test, reader_fn, r, CLONE_VM);
	if (wait_promises()->holds_folio) {
		KUNIT_EXPECT_TRUE(test, folio_migration_blocks(w.m, tf));
		KUNIT_EXPECT_FALSE(test, completion_done(&r->done));
	} else {
		expect_read_intact(test, r, tf);
	}
	waiting_finish(test, &w);

	expect_read_intact(test, r, tf);
	if (wait_promises()->holds_folio)
		KUNIT_EXPECT_GE(test, r->read_at, w.hold->dropped_at);
	expect_migrated(test, tf);
}

/* The page is unmapped meanwhile: its destination is mapped nowhere. */
static void munmap(struct kunit *test)
{
	struct test_folio *tf = test_folio_make(test, &test_folio_anon_mapped);
	struct waiting w;

	waiting_start(test, &w, tf, MIGRATE_SYNC);
	KUNIT_EXPECT_EQ(test, 0, test_folio_unmap(tf));
	waiting_finish(test, &w);

	expect_migrated(test, tf);
}

/* The mm is copied meanwhile: both find the destination. */
static void copy_of_mm(struct kunit *test)
{
	struct test_folio *tf = test_folio_make(test, &test_folio_anon_mapped);
	struct reader *r = reader_alloc(test, tf->addr);
	struct test_task *child;
	struct waiting w;

	waiting_start(test, &w, tf, MIGRATE_SYNC);
	child = test_task_start(test, reader_fn, r, 0);
	waiting_finish(test, &w);

	expect_read_intact(test, r, tf);
	tf->mapcount++;
	expect_migrated(test, tf);
	test_task_go(child);
	test_task_join(child);
	tf->mapcount--;
	expect_migrated(test, tf);
}

/* The process whose page it is exits meanwhile. */
static void exit_of_process(struct kunit *test)
{
	struct test_folio *tf = test_folio_make(test, &test_folio_anon_mapped);
	struct test_task *process = test_task_start(test, test_task_await_go, NULL, 0);
	struct waiting w;

	tf->mapcount++;
	KUNIT_ASSERT_EQ(test, 0, test_folio_unmap(tf));
	/* Now only the process maps it. */
	KUNIT_ASSERT_EQ(test, 1, folio_mapcount(tf->folio));

	waiting_start(test, &w, tf, MIGRATE_SYNC);
	test_task_go(process);
	test_task_join(process);
	tf->mapcount--;
	waiting_finish(test, &w);

	expect_migrated(test, tf);
}

static void lock_user_prepare(struct kunit *test, struct waiting *w,
			      enum migrate_mode mode)
{
	waiting_prepare(test, w, test_folio_make(test, &test_folio_shmem), mode);
	w->hold->needs_lock = true;
}

/*
 * The holder comes for the lock while migration waits.  Both have one CPU: who gets
 * the lock on several depends on who is quicker.
 */
static void lock_user_run(struct kunit *test, struct waiting *w)
{
	folio_migration_start(w->m);
	KUNIT_ASSERT_EQ(test, 0, set_cpus_allowed_ptr(w->m->task, cpumask_of(0)));
	KUNIT_ASSERT_EQ(test, 0, set_cpus_allowed_ptr(w->hold->task, cpumask_of(0)));
	/* Keeps running after it has unlocked the folio. */
	sched_set_fifo(w->m->task);
	KUNIT_ASSERT_TRUE(test, folio_migration_waits(w->m, w->tf));
	folio_hold_release(w->hold);
	if (wait_promises()->holds_folio)
		KUNIT_EXPECT_TRUE(test, folio_migration_blocks(w->m, w->tf));
	folio_migration_go_on(w->m);
	folio_migration_join(w->m);
	folio_hold_join(w->hold);
}

static void expect_migrated_after_drop(struct kunit *test, struct waiting *w)
{
	KUNIT_EXPECT_EQ(test, w->m->rc, 0);
	KUNIT_EXPECT_GE(test, w->m->ended_at, w->hold->dropped_at);
	expect_migrated(test, w->tf);
}

/*
 * A limit of the series: a holder that needs the folio lock to drop its reference
 * gets it only when migration has given up.
 */
static void expect_lock_user_too_late(struct kunit *test, enum migrate_mode mode)
{
	struct waiting w;

	folio_fixture_needs_virtual_time(test, 10);
	lock_user_prepare(test, &w, mode);
	lock_user_run(test, &w);

	if (!wait_promises()->holds_folio) {
		expect_migrated_after_drop(test, &w);
		return;
	}
	expect_waited_in_vain(test, &w);
	/* Migration has more to do when it has unlocked the folio, which may be made to last. */
	KUNIT_EXPECT_GE(test, ktime_add(w.hold->dropped_at, folio_exploring() ? late_by(0) : 0),
			w.m->ended_at);
	folio_migration_putback(w.m);
	expect_unharmed(test, w.tf, 0);
	expect_migrates_later(test, w.m);
}

static void holder_needs_lock_async(struct kunit *test)
{
	expect_lock_user_too_late(test, MIGRATE_ASYNC);
}

/*
 * The folio is unlocked for a moment between asynchronous and synchronous attempts.
 * Here migration locks it again first.
 */
static void holder_needs_lock_sync(struct kunit *test)
{
	expect_lock_user_too_late(test, MIGRATE_SYNC);
}

/* The first synchronous attempt begins after the drop. */
static void let_lock_user_in(struct folio_migration *m)
{
	if (m->nr_allocs == m->halt_at + (m->halt_at ? 1 : 2))
		folio_hold_join(m->data);
}

/* Here the holder gets the lock first, and the migration succeeds. */
static void holder_gets_lock_between(struct kunit *test)
{
	const struct wait_promises *p = wait_promises();
	struct waiting w;

	lock_user_prepare(test, &w, MIGRATE_SYNC);
	w.m->on_alloc = let_lock_user_in;
	w.m->data = w.hold;
	lock_user_run(test, &w);

	expect_migrated_after_drop(test, &w);
	if (p->holds_folio) {
		expect_allocs(test, w.m, 2);
		expect_took_waits(test, w.m, p->async_attempts);
	}
}

static void truncate_fn(struct test_task *task)
{
	struct test_folio *tf = task->data;

	shmem_truncate_range(file_inode(tf->file), 0, -1);
}

/*
 * The same limit: truncation takes a reference and waits for the lock.  Then it
 * succeeds.
 */
static void truncation(struct kunit *test)
{
	struct test_folio *tf;
	struct test_task *task;
	struct waiting w;

	folio_fixture_needs_virtual_time(test, 10);
	tf = test_folio_make(test, &test_folio_shmem);
	waiting_start(test, &w, tf, MIGRATE_ASYNC);
	task = test_task_start(test, truncate_fn, tf, CLONE_VM);
	if (wait_promises()->holds_folio) {
		KUNIT_EXPECT_TRUE(test, folio_migration_blocks(w.m, tf));
		folio_hold_join(w.hold);
		folio_migration_go_on(w.m);
		folio_migration_join(w.m);
		KUNIT_EXPECT_GE(test, w.m->ended_at, w.hold->dropped_at);
		expect_waited_in_vain(test, &w);
	} else {
		test_task_join(task);
		waiting_finish(test, &w);
	}
	test_task_join(task);

	KUNIT_EXPECT_EQ(test, tf->file->f_mapping->nrpages, 0);
	if (wait_promises()->holds_folio) {
		/* It was truncated; only the reference of its isolation is left. */
		KUNIT_EXPECT_NULL(test, tf->dst);
		KUNIT_EXPECT_NULL(test, tf->folio->mapping);
		KUNIT_EXPECT_EQ(test, folio_ref_count(tf->folio), 1);
	}
}

/**
 * struct victim - a process that migrates, and gets a fatal signal meanwhile
 * @m: what it runs
 * @killed: the signal was pending at the end
 */
struct victim {
	struct folio_migration *m;
	bool killed;
};

static void victim_fn(struct test_task *task)
{
	struct victim *v = task->data;

	folio_migration_run(v->m);
	v->killed = fatal_signal_pending(current);
	complete_all(&v->m->done);
}

/* Returns while a migration waits, in a process with a fatal signal. */
static struct victim *waiting_kill(struct kunit *test, struct waiting *w)
{
	struct victim *v = test_zalloc(test, sizeof(*v));
	struct test_task *task;

	waiting_prepare(test, w, test_folio_make(test, &test_folio_shmem),
			MIGRATE_SYNC);
	v->m = w->m;
	task = test_task_start(test, victim_fn, v, CLONE_VM);
	KUNIT_ASSERT_TRUE(test, folio_migration_waits(w->m, w->tf));
	KUNIT_EXPECT_EQ(test, 0, kill_pid(task->pid, SIGKILL, 1));
	return v;
}

/* A limit of the series: a fatal signal does not end the wait, the drop does. */
static void killed_transient_reference(struct kunit *test)
{
	const struct wait_promises *p = wait_promises();
	struct waiting w;
	struct victim *v = waiting_kill(test, &w);

	if (!p->killable)
		waiting_finish(test, &w);
	folio_migration_join(w.m);

	KUNIT_EXPECT_TRUE(test, v->killed);
	if (p->killable) {
		KUNIT_EXPECT_EQ(test, w.m->rc, 1);
		folio_migration_putback(w.m);
		expect_unharmed(test, w.tf, 1);
	} else {
		expect_migrated(test, w.tf);
	}
}

/* The same limit: a killed task waits until the last timeout. */
static void killed_lasting_reference(struct kunit *test)
{
	const struct wait_promises *p = wait_promises();
	struct waiting w;
	struct victim *v;

	folio_fixture_needs_virtual_time(test, 10);
	v = waiting_kill(test, &w);
	folio_migration_go_on(w.m);
	folio_migration_join(w.m);

	KUNIT_EXPECT_TRUE(test, v->killed);
	if (p->killable)
		expect_took(test, w.m, 0, ticks_to_ktime(2));
	else
		expect_waited_in_vain(test, &w);
	folio_migration_putback(w.m);
	expect_unharmed(test, w.tf, 1);
	folio_hold_join(w.hold);
	expect_migrates_later(test, w.m);
}

static struct kunit_case migrate_longterm_users_cases[] = {
	KUNIT_CASE(fault),
	KUNIT_CASE(munmap),
	KUNIT_CASE(copy_of_mm),
	KUNIT_CASE(exit_of_process),
	KUNIT_CASE_SLOW(holder_needs_lock_async),
	KUNIT_CASE_SLOW(holder_needs_lock_sync),
	KUNIT_CASE_SLOW(holder_gets_lock_between),
	KUNIT_CASE_SLOW(truncation),
	KUNIT_CASE(killed_transient_reference),
	KUNIT_CASE_SLOW(killed_lasting_reference),
	{}
};

static struct kunit_suite migrate_longterm_users_suite = {
	.name = "migrate_longterm_users",
	.init = folio_fixture_init,
	.test_cases = migrate_longterm_users_cases,
};

kunit_test_suite(migrate_longterm_users_suite);

MODULE_DESCRIPTION("KUnit tests for users of a folio that migrates before a longterm pin");
MODULE_LICENSE("GPL");
