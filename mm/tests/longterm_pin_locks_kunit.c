// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests for the locks that a longterm pin takes: against those of CPU hotplug,
 * and against what lockdep knows.
 *
 * A series may change a static key while the pin's caller holds mmap_lock, and changing
 * a key waits for CPU hotplug.  Others take these locks in the opposite order.
 *
 * The last suite that lockdep sees, because lockdep stops after its first report.
 */

#include <linux/cpu.h>
#include <linux/cpumask.h>
#include <linux/debug_locks.h>
#include <linux/nodemask.h>
#include <linux/rwsem.h>

#include "folio_fixture.h"
#include "user_pages.h"

#define NR_PAGES	4

/* How long the folio is held. */
#define HOLD_MS		500

/* A reader that has waited this long would wait for ever. */
#define READER_WAITS_MS	3000

/**
 * struct reader - holds off CPU hotplug, and wants an mmap_lock meanwhile, as a write to
 *	cpuset.mems does
 * @mm: whose lock; what maps the pages keeps it
 * @hold: what the pin waits for
 * @in: complete when it holds off CPU hotplug
 * @done: complete when it no longer does
 * @stuck: it has given up waiting for the lock
 */
struct reader {
	struct mm_struct *mm;
	struct folio_hold *hold;
	struct completion in;
	struct completion done;
	bool stuck;
};

static int reader_fn(void *data)
{
	struct reader *reader = data;
	ktime_t until;

	/* A series that does not wait gives the lock back before this looks. */
	while (!rwsem_is_locked(&reader->mm->mmap_lock) &&
	       !completion_done(&reader->hold->dropped))
		schedule_timeout_uninterruptible(1);
	cpus_read_lock();
	complete_all(&reader->in);
	until = ktime_add_ms(ktime_get(), READER_WAITS_MS);
	while (!down_write_trylock(&reader->mm->mmap_lock) && !reader->stuck) {
		schedule_timeout_uninterruptible(1);
		reader->stuck = ktime_after(ktime_get(), until);
	}
	if (!reader->stuck)
		up_write(&reader->mm->mmap_lock);
	cpus_read_unlock();
	complete_all(&reader->done);
	return 0;
}

/* Takes a CPU offline.  Where there is only one, takes just the lock of CPU hotplug. */
static int hotplug(void)
{
	const unsigned int cpu = cpumask_last(cpu_online_mask);

	if (num_online_cpus() > 1)
		return remove_cpu(cpu) ?: add_cpu(cpu);
	cpus_write_lock();
	cpus_write_unlock();
	return 0;
}

struct admin {
	struct reader *reader;
	struct completion done;
	int error;
};

static int admin_fn(void *data)
{
	struct admin *admin = data;

	wait_for_completion(&admin->reader->in);
	admin->error = hotplug();
	complete_all(&admin->done);
	return 0;
}

/*
 * The pin waits with mmap_lock held, the reader for mmap_lock, hotplug for the reader,
 * and at its end the pin for hotplug.
 */
static void cpu_hotplug_meanwhile(struct kunit *test)
{
	const struct wait_promises *promises = wait_promises();
	struct reader *reader = test_zalloc(test, sizeof(*reader));
	struct admin *admin = test_zalloc(test, sizeof(*admin));
	struct user_pages *up = user_pages_make(test, &user_memory_anon, NR_PAGES);
	struct folio_hold *hold = folio_hold(test, user_pages_folio(up, 0), 1, HOLD_MS);

	init_completion(&reader->in);
	init_completion(&reader->done);
	reader->mm = current->mm;
	reader->hold = hold;
	init_completion(&admin->done);
	admin->reader = reader;
	test_thread(test, reader_fn, reader, "mems_writer");
	test_thread(test, admin_fn, admin, "cpu_hotplug");

	folio_hold_release(hold);
	user_pages_pin(up, &pin_way_locked, FOLL_LONGTERM);
	wait_for_completion(&reader->done);
	wait_for_completion(&admin->done);
	folio_hold_join(hold);

	KUNIT_EXPECT_EQ(test, admin->error, 0);
	KUNIT_EXPECT_EQ(test, reader->stuck, promises->hotplug_deadlock);
	if (promises->wait) {
		expect_pinned(up);
		expect_unpins(up);
	}
}

#if defined(CONFIG_PROVE_LOCKING) && defined(CONFIG_CPUSETS)
/* The order of these locks in a write to cpuset.mems and in a pin before it. */
static void cpuset_write_after_pin(struct kunit *test)
{
	const struct wait_promises *promises = wait_promises();
	struct user_pages *up = user_pages_make(test, &user_memory_anon, NR_PAGES);
	struct test_task *task = test_task_start(test, test_task_await_go, NULL, 0);
	char procs[12];

	KUNIT_ASSERT_TRUE(test, debug_locks);
	KUNIT_ASSERT_GT(test, num_node_state(N_MEMORY), 1);
	user_pages_pin(up, &pin_way_locked, FOLL_LONGTERM);
	expect_pinned(up);

	KUNIT_ASSERT_EQ(test, 0, test_cgroup(test, "folio_fixture", "+cpuset"));
	scnprintf(procs, sizeof(procs), "%d", pid_nr(task->pid));
	KUNIT_ASSERT_EQ(test, 0, pseudo_file_write("cgroup2", "folio_fixture/cgroup.procs",
						   procs));
	KUNIT_ASSERT_EQ(test, 0, pseudo_file_write("cgroup2", "folio_fixture/cpuset.mems",
						   "1"));
	test_task_go(task);
	test_task_join(task);

	KUNIT_EXPECT_EQ(test, !debug_locks, promises->hotplug_deadlock);
	expect_unpins(up);
}
#endif

static struct kunit_case longterm_pin_locks_cases[] = {
	KUNIT_CASE_SLOW(cpu_hotplug_meanwhile),
#if defined(CONFIG_PROVE_LOCKING) && defined(CONFIG_CPUSETS)
	KUNIT_CASE(cpuset_write_after_pin),
#endif
	{}
};

static struct kunit_suite longterm_pin_locks_suite = {
	.name = "longterm_pin_locks",
	.init = user_pages_init,
	.test_cases = longterm_pin_locks_cases,
};

kunit_test_suite(longterm_pin_locks_suite);

MODULE_DESCRIPTION("KUnit tests for locks that a longterm pin takes");
MODULE_LICENSE("GPL");
