// SPDX-License-Identifier: GPL-2.0
/*
 * What all KUnit tests of folio references and folio migration share: time, the
 * wake-up key, what a case must leave as it was, threads and user tasks.
 */

#include <linux/jump_label.h>

/*
 * Null on a kernel without the wake-up, where the tests are to build as well.
 * Has to be declared weak before linux/mm.h uses it.
 */
extern struct static_key_false folio_put_wakeup_key __weak;

#include <kunit/test.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/pid.h>
#include <linux/random.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/vmstat.h>
#include <linux/workqueue.h>

#ifdef CONFIG_UML
#include <linux/time-internal.h>
#endif

#include "counters.h"
#include "folio_fixture.h"

static bool virtual_time;
module_param(virtual_time, bool, 0444);
MODULE_PARM_DESC(virtual_time, "the clock counts instructions and skips idle time, as of QEMU with -icount");

/**
 * cpu_time_is_free() - does time stand still while any task runs?
 *
 * If so a case can assert how long something took, exactly.  Else that has taken
 * CPU time as well: late_by().
 *
 * Return: true where time passes only while all tasks sleep.
 */
bool cpu_time_is_free(void)
{
#ifdef CONFIG_UML
	return time_travel_mode == TT_MODE_INFCPU;
#else
	return false;
#endif
}

/**
 * waits_are_free() - does the clock go on at once while all tasks sleep?
 *
 * If so a case may wait for long, and the load of the machine it runs on does not
 * show: a timer is late by no more than what the CPU was busy with.  In real time a
 * case can assert order, lower bounds, and upper bounds that are far away.
 *
 * A guest cannot tell by itself.  UML can: its kernel does it.
 *
 * Return: true in virtual time, false in real time.
 */
bool waits_are_free(void)
{
	return cpu_time_is_free() || virtual_time;
}

/**
 * nobody_else_runs() - is a task alone until it sleeps, and each boot like the last?
 *
 * If so a page that was freed is still free, who is woken has not run yet, and a
 * timer that has just been started is still to come.  Where CPU time is not free that
 * holds for less than a tick.
 *
 * Return: true in virtual time on one CPU.
 */
bool nobody_else_runs(void)
{
	return waits_are_free() && num_online_cpus() == 1 && !folio_exploring();
}

/*
 * How late a loaded machine may be.  A wrong wait, or one without end, takes ten
 * seconds.
 */
#define REAL_TIME_SLACK_MS	3000

/*
 * CPU time of what a case measures: under QEMU two toggles of the wake-up key take
 * 1.5 ms, and what is beside them 0.4 ms at most.  Lockdep makes 600 folios cost
 * 40 ms.  A wrong wait takes a second.
 */
#define CPU_TIME_SLACK_MS	(IS_ENABLED(CONFIG_PROVE_LOCKING) ? 100 : 10)

/* Delays of a case's tasks at all points that lie between.  A lost wake-up costs a second. */
#define EXPLORE_SLACK_MS	500

/**
 * late_by() - how late something may be
 * @ticks: how many ticks where CPU time is free
 *
 * Return: as long there, with some CPU time elsewhere, and three seconds more in
 * real time.
 */
ktime_t late_by(unsigned int ticks)
{
	const ktime_t late = ticks_to_ktime(ticks);

	if (cpu_time_is_free())
		return late;
	if (!waits_are_free())
		return ktime_add_ms(late, REAL_TIME_SLACK_MS);
	return ktime_add_ms(late, folio_exploring() ? EXPLORE_SLACK_MS : CPU_TIME_SLACK_MS);
}

/**
 * folio_fixture_needs_virtual_time() - skip the case where waits take real time
 * @test: the running test
 * @seconds: how long the case would take, for the message
 */
void folio_fixture_needs_virtual_time(struct kunit *test, unsigned int seconds)
{
	if (!waits_are_free())
		kunit_skip(test, "takes %u s; in virtual time only", seconds);
}

/**
 * folio_fixture_needs_key() - skip the case where there is no wake-up key
 * @test: the running test
 *
 * For what exists only with a series that has one.
 */
void folio_fixture_needs_key(struct kunit *test)
{
	const struct wait_promises *p = wait_promises();

	if (!p->has_key)
		kunit_skip(test, "series %s has no wake-up key", p->series);
}

/**
 * folio_fixture_needs_wait() - skip the case where nothing is waited for
 * @test: the running test
 *
 * As folio_fixture_needs_key().
 */
void folio_fixture_needs_wait(struct kunit *test)
{
	const struct wait_promises *p = wait_promises();

	if (!p->wait)
		kunit_skip(test, "series %s waits for no reference", p->series);
}

static unsigned long long seed;
module_param(seed, ullong, 0444);
MODULE_PARM_DESC(seed, "what random tests start from, 0 to have it drawn");

/**
 * folio_fixture_seed() - what this boot's random tests start from
 *
 * Return: folio_fixture.seed= of the command line.  Without it always the same
 * where a boot repeats the one before, and random elsewhere.
 */
u64 folio_fixture_seed(void)
{
	if (!seed)
		seed = nobody_else_runs() ? 1 : get_random_u32();
	return seed;
}

/**
 * test_cleanup() - have something done when the case ends
 * @test: the running test; aborted without memory, when that has been done
 * @fn: what to do
 * @data: for @fn
 */
void test_cleanup(struct kunit *test, kunit_action_t *fn, void *data)
{
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, fn, data));
}

/**
 * test_zalloc() - allocate zeroed memory until the case ends
 * @test: the running test; aborted without memory
 * @size: how much
 *
 * Return: the memory.
 */
void *test_zalloc(struct kunit *test, size_t size)
{
	void *p = kunit_kzalloc(test, size, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, p);
	return p;
}

KUNIT_DEFINE_ACTION_WRAPPER(kthread_stop_put_action, kthread_stop_put,
			    struct task_struct *);

/**
 * test_thread() - run a kthread beside the test
 * @test: the running test
 * @fn: its function, which ends by itself or looks at kthread_should_stop()
 * @data: passed to @fn
 * @name: its name
 *
 * Return: the kthread, on which there is a reference.  It is stopped and waited
 * for when the case ends.
 */
struct task_struct *test_thread(struct kunit *test, int (*fn)(void *data),
				void *data, const char *name)
{
	struct task_struct *task = kthread_create(fn, data, "%s", name);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, task);
	get_task_struct(task);
	wake_up_process(task);
	test_cleanup(test, kthread_stop_put_action, task);
	return task;
}

/**
 * test_thread_stop() - stop a kthread before the case ends, and wait for it
 * @test: the running test
 * @task: what test_thread() has returned
 */
void test_thread_stop(struct kunit *test, struct task_struct *task)
{
	kunit_release_action(test, kthread_stop_put_action, task);
}

/* What the running case has mapped. */
static struct mm_struct *ending;

static void mm_ends(void *data)
{
	struct mm_struct *mm = data;
	unsigned int tries = HZ;

	ending = NULL;
	/* On one CPU it is gone after the first tick. */
	do
		schedule_timeout_uninterruptible(1);
	while (atomic_read(&mm->mm_users) && --tries);
	mmdrop(mm);
}

/**
 * test_mm_ends() - have what the case maps be gone when the next one begins
 * @test: the running test, which has mapped something
 *
 * It goes with the thread of the case, which may outlive the case a little.  In the
 * middle of the next one it would change counters, and drain the LRU batches of its CPU.
 */
void test_mm_ends(struct kunit *test)
{
	if (ending == current->mm)
		return;
	ending = current->mm;
	mmgrab(ending);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action(test, mm_ends, ending));
}

/**
 * wait_until_asleep() - wait until a task has gone to sleep, uninterruptibly
 * @task: the task, on which the caller has a reference
 * @done: complete when it is over and will not sleep any more
 */
void wait_until_asleep(struct task_struct *task, struct completion *done)
{
	while (!wait_task_inactive(task, TASK_UNINTERRUPTIBLE) &&
	       !completion_done(done))
		schedule_timeout_uninterruptible(1);
}

/**
 * folio_has_wakeup_key() - does this kernel have a folio_put_wakeup_key?
 *
 * Return: true if it does, even if no promise is made about it.
 */
bool folio_has_wakeup_key(void)
{
	return &folio_put_wakeup_key;
}

/**
 * folio_wakeup_key_count() - count of folio_put_wakeup_key
 *
 * Return: how many users hold the key, 0 on a kernel without it.
 */
int folio_wakeup_key_count(void)
{
	if (!folio_has_wakeup_key())
		return 0;
	return static_key_count(&folio_put_wakeup_key.key);
}

static void folio_wakeup_key_put(void *unused)
{
	static_key_slow_dec(&folio_put_wakeup_key.key);
}

/**
 * folio_wakeup_key_get() - hold folio_put_wakeup_key until the case ends
 * @test: the running test; aborted on a kernel without the key
 *
 * Does nothing where no key is promised: there drops must not wake.
 */
void folio_wakeup_key_get(struct kunit *test)
{
	if (!wait_promises()->has_key)
		return;
	if (!folio_has_wakeup_key())
		KUNIT_FAIL_AND_ABORT(test, "this kernel has no folio_put_wakeup_key");

	static_key_slow_inc(&folio_put_wakeup_key.key);
	test_cleanup(test, folio_wakeup_key_put, NULL);
}

/**
 * folio_wakeup_key_keep() - keep folio_put_wakeup_key on if it is dear to switch
 * @test: the running test
 *
 * For cases of very many migrations.  Each switches the key on and off, which patches
 * code wherever folios are dropped, and an emulator translates that code again.
 */
void folio_wakeup_key_keep(struct kunit *test)
{
	if (waits_are_free() && !cpu_time_is_free())
		folio_wakeup_key_get(test);
}

/* What each case must leave as it was. */
struct folio_balance {
	struct kunit *test;
	int key;
	long isolated_anon;
	long isolated_file;
	long pins;
};

/**
 * folio_fixture_unpinned() - how many pages have been unpinned
 *
 * Return: pages unpinned so far, in the whole system.
 */
long folio_fixture_unpinned(void)
{
	return node_counter(NR_FOLL_PIN_RELEASED);
}

/**
 * folio_fixture_pins() - how many pins there are
 *
 * Return: pages pinned with FOLL_PIN and not yet unpinned, in the whole system.
 */
long folio_fixture_pins(void)
{
	return node_counter(NR_FOLL_PIN_ACQUIRED) - folio_fixture_unpinned();
}

static void balance_read(struct folio_balance *b)
{
	b->key = folio_wakeup_key_count();
	b->isolated_anon = node_counter(NR_ISOLATED_ANON);
	b->isolated_file = node_counter(NR_ISOLATED_FILE);
	b->pins = folio_fixture_pins();
}

static bool balance_equal(const struct folio_balance *a, const struct folio_balance *b)
{
	return a->key == b->key && a->isolated_anon == b->isolated_anon &&
	       a->isolated_file == b->isolated_file && a->pins == b->pins;
}

static void cpu_gets_on(struct work_struct *work)
{
}

/*
 * While a CPU folds its counters a page counts twice or not at all.  Two readings
 * that agree, with work on every CPU in between, are right.
 */
static void balance_read_settled(struct folio_balance *b)
{
	struct folio_balance last;
	int tries = 100;

	balance_read(b);
	if (num_online_cpus() == 1)
		return;
	do {
		last = *b;
		schedule_on_each_cpu(cpu_gets_on);
		balance_read(b);
	} while (!balance_equal(b, &last) && tries--);
}

/**
 * folio_balance() - read the key and counters, which must not change
 * @test: the running test
 *
 * Return: for expect_balance(), or NULL without memory.
 */
struct folio_balance *folio_balance(struct kunit *test)
{
	struct folio_balance *b = kunit_kzalloc(test, sizeof(*b), GFP_KERNEL);

	if (b) {
		b->test = test;
		balance_read_settled(b);
	}
	return b;
}

/**
 * expect_balance() - expect the wake-up key and the counters of isolated and
 *	pinned pages to be what they were
 * @before: from folio_balance()
 */
void expect_balance(const struct folio_balance *before)
{
	struct kunit *test = before->test;
	struct folio_balance after;
	int tries = 100;

	/* A real imbalance stays. */
	balance_read(&after);
	while (!balance_equal(before, &after) && tries--) {
		schedule_timeout_uninterruptible(1);
		balance_read(&after);
	}

	KUNIT_EXPECT_EQ_MSG(test, after.key, before->key,
			    "folio_put_wakeup_key is out of balance");
	KUNIT_EXPECT_EQ_MSG(test, after.isolated_anon, before->isolated_anon,
			    "NR_ISOLATED_ANON is out of balance");
	KUNIT_EXPECT_EQ_MSG(test, after.isolated_file, before->isolated_file,
			    "NR_ISOLATED_FILE is out of balance");
	KUNIT_EXPECT_EQ_MSG(test, after.pins, before->pins,
			    "FOLL_PIN counters are out of balance");
}

KUNIT_DEFINE_ACTION_WRAPPER(expect_balance_action, expect_balance,
			    const struct folio_balance *);

/**
 * folio_fixture_init() - check what the case leaves behind
 * @test: the running test
 *
 * For the .init of a suite.  After everything else has been cleaned up, the
 * wake-up key and the counters of isolated and pinned pages must be where they
 * were.
 *
 * Return: 0, -ENOMEM, or -EINVAL if nothing is known of what the series under
 * test promises.
 */
int folio_fixture_init(struct kunit *test)
{
	struct folio_balance *before = folio_balance(test);

	if (!wait_promises()) {
		kunit_err(test, "mm/tests/wait_promises.c has no table for folio_fixture.promises=");
		return -EINVAL;
	}
	if (!before || kunit_add_action(test, expect_balance_action, before))
		return -ENOMEM;
	return folio_explore_begin(test);
}

/*
 * User tasks
 */

static int test_task_fn(void *data)
{
	struct test_task *task = data;
	unsigned long flags;

	/* It inherits ignored signals from the kthread. */
	if (!WARN_ON(!lock_task_sighand(current, &flags))) {
		flush_signal_handlers(current, 1);
		unlock_task_sighand(current, &flags);
	}

	wait_for_completion(&task->start);
	task->fn(task);
	do_exit(0);
}

static void test_task_end(void *data)
{
	struct test_task *task = data;

	test_task_go(task);
	test_task_join(task);
	put_pid(task->pid);
}

/**
 * test_task_start() - start a user task
 * @test: the running test
 * @fn: what the task does; may block only for what certainly ends
 * @data: for @fn
 * @clone_flags: CLONE_VM for a task in the mm of the test, 0 for one that gets
 *	a copy of it, as fork() makes it
 *
 * Return: the task, which is told to go and waited for when the case ends.
 */
struct test_task *test_task_start(struct kunit *test,
				  void (*fn)(struct test_task *task),
				  void *data, u64 clone_flags)
{
	struct test_task *task = test_zalloc(test, sizeof(*task));
	struct kernel_clone_args args = {
		/* A child of kthreadd, which reaps it. */
		.flags = clone_flags | CLONE_PARENT | CLONE_UNTRACED,
		.fn = test_task_fn,
		.fn_arg = task,
	};
	pid_t pid;

	task->fn = fn;
	task->data = data;
	init_completion(&task->start);
	init_completion(&task->go);

	KUNIT_ASSERT_EQ(test, 0, kunit_attach_mm());
	pid = kernel_clone(&args);
	KUNIT_ASSERT_GT(test, pid, 0);
	task->pid = find_get_pid(pid);
	complete_all(&task->start);
	test_cleanup(test, test_task_end, task);
	return task;
}

/**
 * test_task_await_go() - for &test_task.fn, wait for test_task_go()
 * @task: the running task
 */
void test_task_await_go(struct test_task *task)
{
	wait_for_completion_timeout(&task->go, HOLD_AT_MOST);
}

/**
 * test_task_go() - let a task go on that waits in test_task_await_go()
 * @task: the task
 */
void test_task_go(struct test_task *task)
{
	complete_all(&task->go);
}

/**
 * test_task_join() - wait until a task has exited, its mm included
 * @task: the task
 */
void test_task_join(struct test_task *task)
{
	wait_event(task->pid->wait_pidfd,
		   !pid_has_task(task->pid, PIDTYPE_PID));
}

/*
 * Wake-up spy
 */

static int wakeup_spy_fn(struct wait_queue_entry *wq_entry, unsigned int mode,
			 int flags, void *arg)
{
	struct wakeup_spy *spy = container_of(wq_entry, struct wakeup_spy,
					      wait.wq_entry);
	struct wait_bit_key *key = arg;

	/* Other addresses hash to the same queue. */
	if (key->flags != spy->wait.key.flags ||
	    key->bit_nr != spy->wait.key.bit_nr)
		return 0;

	spy->refs_at_wakeup = folio_ref_count(spy->folio);
	spy->wakeups++;
	return 0;
}

static void wakeup_spy_remove(void *data)
{
	struct wakeup_spy *spy = data;

	remove_wait_queue(__var_waitqueue(&spy->folio->_refcount),
			  &spy->wait.wq_entry);
}

/**
 * wakeup_spy() - record the wake-ups for a folio's reference count
 * @test: the running test
 * @folio: the folio; may be freed while it is watched
 *
 * Return: the spy, which is withdrawn when the case ends.
 */
struct wakeup_spy *wakeup_spy(struct kunit *test, struct folio *folio)
{
	struct wakeup_spy *spy = test_zalloc(test, sizeof(*spy));

	spy->folio = folio;
	init_wait_var_entry(&spy->wait, &folio->_refcount, 0);
	spy->wait.wq_entry.func = wakeup_spy_fn;
	add_wait_queue(__var_waitqueue(&folio->_refcount),
		       &spy->wait.wq_entry);
	test_cleanup(test, wakeup_spy_remove, spy);
	return spy;
}
