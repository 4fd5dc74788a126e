// SPDX-License-Identifier: GPL-2.0
/*
 * Fixture for KUnit tests of folio references and folio migration.
 */

#include <linux/jump_label.h>

/*
 * Null on a kernel without the wake-up, where the tests are to build as well.
 * Has to be declared weak before linux/mm.h uses it.
 */
extern struct static_key_false folio_put_wakeup_key __weak;

#include <kunit/test.h>
#include <linux/anon_inodes.h>
#include <linux/fail_folio_hold.h>
#include <linux/highmem.h>
#include <linux/hrtimer.h>
#include <linux/kthread.h>
#include <linux/mman.h>
#include <linux/moduleparam.h>
#include <linux/mount.h>
#include <linux/pagemap.h>
#include <linux/pid.h>
#include <linux/random.h>
#include <linux/rmap.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/shmem_fs.h>
#include <linux/swap.h>
#include <linux/uaccess.h>
#include <linux/vmstat.h>
#include <linux/workqueue.h>

#ifdef CONFIG_UML
#include <linux/time-internal.h>
#endif

#include "../internal.h"
#include "../swap.h"
#include "folio_fixture.h"
#include "folio_swap.h"

/**
 * folio_fixture_virtual_time() - does time pass only while everybody sleeps?
 *
 * If so a case can assert how long something took, exactly.  In real time it
 * can assert order, lower bounds, and upper bounds that are far away: late_by().
 *
 * Return: true in virtual time, false in real time.
 */
bool folio_fixture_virtual_time(void)
{
#ifdef CONFIG_UML
	return time_travel_mode == TT_MODE_INFCPU;
#else
	return false;
#endif
}

/*
 * A loaded machine may be late by this.  A migration that waits for what it must
 * not wait for, or for what never comes, takes ten seconds.
 */
#define REAL_TIME_SLACK_MS	3000

/**
 * late_by() - the latest that something may come after it was due
 * @ticks: how many ticks it may be late by on a machine that has nothing else to do
 *
 * Return: as long in virtual time, three seconds more in real time.
 */
ktime_t late_by(unsigned int ticks)
{
	const ktime_t late = ticks_to_ktime(ticks);

	if (folio_fixture_virtual_time())
		return late;
	return ktime_add(late, ms_to_ktime(REAL_TIME_SLACK_MS));
}

/**
 * folio_fixture_needs_virtual_time() - skip the case where waits take real time
 * @test: the running test
 * @seconds: what the case would take, for the message
 */
void folio_fixture_needs_virtual_time(struct kunit *test, unsigned int seconds)
{
	if (!folio_fixture_virtual_time())
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
 * in virtual time, where a boot repeats the one before, and random in real time.
 */
u64 folio_fixture_seed(void)
{
	if (!seed)
		seed = folio_fixture_virtual_time() ? 1 : get_random_u32();
	return seed;
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
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test,
							   kthread_stop_put_action,
							   task));
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
 * Return: true if it does, whatever is promised of it.
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
 * Nothing is held where no key is promised: there nobody is to be woken.
 */
void folio_wakeup_key_get(struct kunit *test)
{
	if (!wait_promises()->has_key)
		return;
	if (!folio_has_wakeup_key())
		KUNIT_FAIL_AND_ABORT(test, "this kernel has no folio_put_wakeup_key");

	static_key_slow_inc(&folio_put_wakeup_key.key);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test,
							   folio_wakeup_key_put,
							   NULL));
}

/* What each case has to leave as it found it. */
struct folio_balance {
	struct kunit *test;
	int key;
	long isolated_anon;
	long isolated_file;
	long pins;
};

static long node_stat(enum node_stat_item item)
{
	long x = atomic_long_read(&vm_node_stat[item]);
	struct pglist_data *pgdat;
	int cpu;

	for_each_online_pgdat(pgdat)
		for_each_online_cpu(cpu)
			x += per_cpu_ptr(pgdat->per_cpu_nodestats,
					 cpu)->vm_node_stat_diff[item];
	return x;
}

/**
 * folio_fixture_unpinned() - how many pages have been unpinned
 *
 * Return: pages unpinned so far, in the whole system.
 */
long folio_fixture_unpinned(void)
{
	return node_stat(NR_FOLL_PIN_RELEASED);
}

/**
 * folio_fixture_pins() - how many pins there are
 *
 * Return: pages pinned with FOLL_PIN and not yet unpinned, in the whole system.
 */
long folio_fixture_pins(void)
{
	return node_stat(NR_FOLL_PIN_ACQUIRED) - folio_fixture_unpinned();
}

static void balance_read(struct folio_balance *b)
{
	b->key = folio_wakeup_key_count();
	b->isolated_anon = node_stat(NR_ISOLATED_ANON);
	b->isolated_file = node_stat(NR_ISOLATED_FILE);
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
 * A CPU that is just folding its counters may show a page twice or not at all.
 * What is read twice alike, with every CPU having got on in between, is true.
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
 * folio_balance() - note what must not change: key and counters
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
 * folio_fixture_init() - have the case checked for what it leaves behind
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
	if (!before)
		return -ENOMEM;
	return kunit_add_action(test, expect_balance_action, before);
}

KUNIT_DEFINE_ACTION_WRAPPER(folio_put_action, folio_put, struct folio *);

/**
 * test_folio_alloc() - allocate a folio that belongs to nobody
 * @test: the running test
 * @order: its order
 *
 * Return: the folio with one reference, which is dropped when the case ends.
 */
struct folio *test_folio_alloc(struct kunit *test, unsigned int order)
{
	struct folio *folio = folio_alloc(GFP_KERNEL, order);

	KUNIT_ASSERT_NOT_NULL(test, folio);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test,
							   folio_put_action,
							   folio));
	return folio;
}

/**
 * test_folio_get() - take a reference that is dropped when the case ends
 * @test: the running test
 * @folio: the folio
 */
void test_folio_get(struct kunit *test, struct folio *folio)
{
	folio_get(folio);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test,
							   folio_put_action,
							   folio));
}

/**
 * test_folio_put() - drop a reference before the case ends
 * @test: the running test
 * @folio: the folio, from test_folio_alloc() or after test_folio_get()
 */
void test_folio_put(struct kunit *test, struct folio *folio)
{
	kunit_release_action(test, folio_put_action, folio);
}

/**
 * test_folio_give() - have the case drop a reference in a way of its own
 * @test: the running test
 * @folio: the folio, as for test_folio_put()
 */
void test_folio_give(struct kunit *test, struct folio *folio)
{
	kunit_remove_action(test, folio_put_action, folio);
}

KUNIT_DEFINE_ACTION_WRAPPER(folio_unlock_action, folio_unlock, struct folio *);

/**
 * test_folio_lock() - lock a folio, until the case ends if not before
 * @test: the running test
 * @folio: the folio
 *
 * Whoever waits for the lock does so uninterruptibly, and the cleanup waits for
 * him: a case that is aborted must not leave it locked.
 */
void test_folio_lock(struct kunit *test, struct folio *folio)
{
	folio_lock(folio);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test,
							   folio_unlock_action,
							   folio));
}

/**
 * test_folio_unlock() - unlock what test_folio_lock() has locked
 * @test: the running test
 * @folio: the folio
 */
void test_folio_unlock(struct kunit *test, struct folio *folio)
{
	kunit_release_action(test, folio_unlock_action, folio);
}

/* No pointer, and nothing that the page allocator keeps there. */
#define FOLIO_MARK	((void *)0x6d61726b)

/**
 * test_folio_mark() - put a mark on a folio that the page allocator wipes off
 * @folio: a folio that belongs to nobody
 */
void test_folio_mark(struct folio *folio)
{
	folio->private = FOLIO_MARK;
	folio_set_referenced(folio);
}

/**
 * test_folio_freed() - has a folio been freed?
 * @folio: a folio that was given to test_folio_mark()
 *
 * That it has no references any more does not tell: their count may have come
 * to nothing without anybody noticing, and in real time somebody else may have
 * got the page since.  The flag goes when the page is freed, the rest of the mark
 * before anybody else gets it.
 *
 * Return: true if it has.
 */
bool test_folio_freed(const struct folio *folio)
{
	return !folio_test_referenced(folio) || folio->private != FOLIO_MARK;
}

struct movable_filler {
	struct list_head folios;
};

static void movable_filler_free(void *data)
{
	struct movable_filler *filler = data;
	struct folio *folio, *next;

	list_for_each_entry_safe(folio, next, &filler->folios, lru) {
		list_del(&folio->lru);
		folio_put(folio);
	}
}

/**
 * movable_filler() - take up memory where movable folios lie
 * @test: the running test
 * @nr: how many pages
 *
 * Return: the pages, which belong to nobody and are freed when the case ends.
 */
struct movable_filler *movable_filler(struct kunit *test, unsigned int nr)
{
	struct movable_filler *filler = kunit_kzalloc(test, sizeof(*filler),
						      GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, filler);
	INIT_LIST_HEAD(&filler->folios);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action(test, movable_filler_free,
						  filler));
	while (nr--) {
		struct folio *folio = folio_alloc(GFP_HIGHUSER_MOVABLE, 0);

		KUNIT_ASSERT_NOT_NULL(test, folio);
		list_add(&folio->lru, &filler->folios);
	}
	return filler;
}

/**
 * movable_filler_thin() - free every other page
 * @filler: the pages
 */
void movable_filler_thin(struct movable_filler *filler)
{
	struct folio *folio, *next;
	bool keep = false;

	list_for_each_entry_safe(folio, next, &filler->folios, lru) {
		keep = !keep;
		if (keep)
			continue;
		list_del(&folio->lru);
		folio_put(folio);
	}
}

/*
 * A page cache of the fixture's own
 */

static void cache_invalidate_folio(struct folio *folio, size_t offset, size_t len)
{
	if (folio_test_private(folio))
		folio_detach_private(folio);
}

static int cache_migrate_folio(struct address_space *mapping, struct folio *dst,
			       struct folio *src, enum migrate_mode mode)
{
	struct test_folio *tf = mapping->host->i_private;

	tf->attempts++;
	if (tf->migrate_error)
		return tf->migrate_error;
	return filemap_migrate_folio(mapping, dst, src, mode);
}

static const struct address_space_operations cache_aops = {
	.dirty_folio = filemap_dirty_folio,
	.invalidate_folio = cache_invalidate_folio,
	.migrate_folio = cache_migrate_folio,
};

static const struct file_operations cache_fops = {
	.owner = THIS_MODULE,
};

/* Is there room for a destination, too? */
static bool can_be_had(unsigned int order)
{
	struct folio *folio = folio_alloc(GFP_KERNEL, order);

	if (folio)
		folio_put(folio);
	return folio;
}

static int make_cache(struct kunit *test, struct test_folio *tf)
{
	struct address_space *mapping;
	struct folio *folio;
	int ret;

	if (tf->kind->order > MAX_PAGE_ORDER)
		return -EOPNOTSUPP;

	tf->file = anon_inode_create_getfile("[folio_fixture]", &cache_fops,
					     NULL, O_RDWR, NULL);
	if (IS_ERR(tf->file)) {
		ret = PTR_ERR(tf->file);
		tf->file = NULL;
		return ret;
	}
	mapping = tf->file->f_mapping;
	mapping->a_ops = &cache_aops;
	mapping->host->i_private = tf;

	folio = folio_alloc(GFP_KERNEL, tf->kind->order);
	if (!folio)
		return -ENOMEM;
	if (!can_be_had(tf->kind->order)) {
		folio_put(folio);
		return -ENOMEM;
	}
	ret = filemap_add_folio(mapping, folio, 0, GFP_KERNEL);
	if (ret) {
		folio_put(folio);
		return ret;
	}
	folio_mark_uptodate(folio);
	folio_unlock(folio);
	tf->folio = folio;
	return 0;
}

static int dirty_cache(struct kunit *test, struct test_folio *tf)
{
	folio_lock(tf->folio);
	folio_mark_dirty(tf->folio);
	folio_unlock(tf->folio);
	return 0;
}

static int make_private(struct kunit *test, struct test_folio *tf)
{
	int ret = make_cache(test, tf);

	if (ret)
		return ret;
	folio_lock(tf->folio);
	folio_attach_private(tf->folio, tf);
	folio_unlock(tf->folio);
	return 0;
}

static int make_shmem(struct kunit *test, struct test_folio *tf)
{
	struct folio *folio;

	tf->file = shmem_kernel_file_setup("folio_fixture", PAGE_SIZE,
					   EMPTY_VMA_FLAGS);
	if (IS_ERR(tf->file)) {
		int ret = PTR_ERR(tf->file);

		tf->file = NULL;
		return ret;
	}
	folio = shmem_read_folio(tf->file->f_mapping, 0);
	if (IS_ERR(folio))
		return PTR_ERR(folio);
	tf->folio = folio;
	return 0;
}

static int map_anon(struct kunit *test, struct test_folio *tf,
		    unsigned int nr_pages, unsigned long flags)
{
	struct page *page;
	long ret;

	tf->len = nr_pages * PAGE_SIZE;
	tf->addr = kunit_vm_mmap(test, NULL, 0, tf->len, PROT_READ | PROT_WRITE,
				 MAP_ANONYMOUS | MAP_PRIVATE | flags, 0);
	if (!tf->addr || IS_ERR_VALUE(tf->addr))
		return -ENOMEM;
	ret = get_user_pages_unlocked(tf->addr, 1, &page, FOLL_WRITE);
	if (ret != 1)
		return ret < 0 ? ret : -EFAULT;
	tf->folio = page_folio(page);
	return 0;
}

static int make_anon(struct kunit *test, struct test_folio *tf)
{
	return map_anon(test, tf, 1, 0);
}

static int make_mlocked(struct kunit *test, struct test_folio *tf)
{
	return map_anon(test, tf, 1, MAP_LOCKED);
}

/* For two pages that become one. */
static int make_twins(struct kunit *test, struct test_folio *tf)
{
	return map_anon(test, tf, 2, 0);
}

static int share_anon(struct kunit *test, struct test_folio *tf)
{
	test_folio_fork(test, tf);
	return 0;
}

/* As reclaim does first. */
static int add_to_swap(struct kunit *test, struct test_folio *tf)
{
	int ret = test_swap_on(test);

	if (ret)
		return ret;
	folio_lock(tf->folio);
	ret = folio_alloc_swap(tf->folio);
	folio_unlock(tf->folio);
	return ret;
}

/* As reclaim does next: its users have to fault it in again. */
static int swap_out(struct kunit *test, struct test_folio *tf)
{
	int ret = add_to_swap(test, tf);

	if (ret)
		return ret;
	folio_lock(tf->folio);
	try_to_unmap(tf->folio, 0);
	folio_unlock(tf->folio);
	return folio_mapped(tf->folio) ? -EBUSY : 0;
}

/* The folio that is found at an address, with a reference; NULL if there is none. */
static struct folio *folio_at(struct mm_struct *mm, unsigned long addr)
{
	struct page *page;
	int locked = 1;
	long ret;

	mmap_read_lock(mm);
	ret = get_user_pages_remote(mm, addr, 1, 0, &page, &locked);
	if (locked)
		mmap_read_unlock(mm);
	return ret == 1 ? page_folio(page) : NULL;
}

static bool folio_is_at(struct folio *folio, struct mm_struct *mm,
			unsigned long addr)
{
	struct folio *found = folio_at(mm, addr);

	if (found)
		folio_put(found);
	return found == folio;
}

/* How long ksmd may take for two pages, in ticks. */
#define KSM_AT_MOST	(10 * HZ)

static int merge_twins(struct kunit *test, struct test_folio *tf)
{
	const unsigned long twin_addr = tf->addr + PAGE_SIZE;
	const unsigned long end = jiffies + KSM_AT_MOST;
	struct folio *folio;
	struct page *twin;
	long ret;

	/* Where there is no madvise(), there is no do_madvise() to link to. */
	if (!IS_ENABLED(CONFIG_KSM) || !IS_ENABLED(CONFIG_ADVISE_SYSCALLS))
		return -EOPNOTSUPP;

	ret = get_user_pages_unlocked(twin_addr, 1, &twin, FOLL_WRITE);
	if (ret != 1)
		return ret < 0 ? ret : -EFAULT;
	copy_highpage(twin, folio_page(tf->folio, 0));
	put_page(twin);

	/* ksmd does not merge what others refer to. */
	test_folio_let_go(tf);
	ret = do_madvise(current->mm, tf->addr, tf->len, MADV_MERGEABLE) ?:
	      test_ksm_run(test);
	if (ret)
		return ret;

	for (;;) {
		folio = folio_at(current->mm, tf->addr);
		if (!folio)
			return -EFAULT;
		if (folio_test_ksm(folio) &&
		    folio_is_at(folio, current->mm, twin_addr))
			break;
		folio_put(folio);
		if (time_after(jiffies, end))
			return -ETIMEDOUT;
		schedule_timeout_uninterruptible(msecs_to_jiffies(20));
	}
	tf->folio = folio;
	tf->owned = true;
	return test_ksm_stop();
}

/**
 * test_folio_unmap() - unmap an anonymous folio from the mm of the test
 * @tf: the folio
 *
 * Return: 0 or a negative errno.
 */
int test_folio_unmap(struct test_folio *tf)
{
	int ret = vm_munmap(tf->addr, tf->len);

	tf->addr = 0;
	tf->mapcount--;
	return ret;
}

/* A page cache folio of shmem, dirty as they all are. */
const struct test_folio_kind test_folio_shmem = {
	.name = "shmem",
	.state = TEST_FOLIO_SWAPBACKED | TEST_FOLIO_DIRTY,
	.make = make_shmem,
	.filled = dirty_cache,
};

/* A dirty page cache folio, which its mapping finds by a tag. */
const struct test_folio_kind test_folio_dirty = {
	.name = "dirty",
	.state = TEST_FOLIO_DIRTY | TEST_FOLIO_TAGGED,
	.make = make_cache,
	.filled = dirty_cache,
};

/* A page cache folio with private data, on which the mapping holds a reference. */
const struct test_folio_kind test_folio_private = {
	.name = "private",
	.state = TEST_FOLIO_PRIVATE,
	.make = make_private,
};

/* An anonymous folio that is unmapped after its isolation. */
const struct test_folio_kind test_folio_anon_unmapped = {
	.name = "anon-unmapped",
	.state = TEST_FOLIO_ANON | TEST_FOLIO_SWAPBACKED,
	.mapcount = 1,
	.make = make_anon,
	.isolated = test_folio_unmap,
};

/* An anonymous folio that is mapped in the mm of the test. */
const struct test_folio_kind test_folio_anon_mapped = {
	.name = "anon-mapped",
	.state = TEST_FOLIO_ANON | TEST_FOLIO_SWAPBACKED,
	.mapcount = 1,
	.make = make_anon,
};

/* An anonymous folio that two processes map. */
const struct test_folio_kind test_folio_anon_shared = {
	.name = "anon-shared",
	.state = TEST_FOLIO_ANON | TEST_FOLIO_SWAPBACKED,
	.mapcount = 1,
	.make = make_anon,
	.filled = share_anon,
};

/* An anonymous folio that is locked in memory. */
const struct test_folio_kind test_folio_mlocked = {
	.name = "mlocked",
	.state = TEST_FOLIO_ANON | TEST_FOLIO_SWAPBACKED | TEST_FOLIO_MLOCKED |
		 TEST_FOLIO_UNEVICTABLE,
	.mapcount = 1,
	.make = make_mlocked,
};

/* An anonymous folio that is mapped and has its place in swap. */
const struct test_folio_kind test_folio_swap_mapped = {
	.name = "swap-mapped",
	.state = TEST_FOLIO_ANON | TEST_FOLIO_SWAPBACKED | TEST_FOLIO_SWAPCACHE,
	.mapcount = 1,
	.make = make_anon,
	.filled = add_to_swap,
};

/* An anonymous folio that its user only finds by its place in swap. */
const struct test_folio_kind test_folio_swapped_out = {
	.name = "swapped-out",
	.state = TEST_FOLIO_ANON | TEST_FOLIO_SWAPBACKED | TEST_FOLIO_SWAPCACHE |
		 TEST_FOLIO_DIRTY,
	.make = make_anon,
	.filled = swap_out,
};

/* A folio that two equal anonymous pages have been merged into. */
const struct test_folio_kind test_folio_ksm = {
	.name = "ksm",
	.state = TEST_FOLIO_ANON | TEST_FOLIO_SWAPBACKED | TEST_FOLIO_KSM,
	.mapcount = 2,
	.make = make_twins,
	.filled = merge_twins,
};

#define CLEAN(_order)	{					\
		.name = "clean-order" #_order,			\
		.order = _order,				\
		.make = make_cache,				\
	}

/* Clean page cache folios, by order. */
const struct test_folio_kind test_folio_clean[NR_TEST_FOLIO_ORDERS] = {
	CLEAN(0), CLEAN(1), CLEAN(2), CLEAN(3), CLEAN(4),
	CLEAN(5), CLEAN(6), CLEAN(7), CLEAN(8), CLEAN(9),
};

static const struct test_folio_kind * const kinds[] = {
	&test_folio_shmem,
	&test_folio_dirty,
	&test_folio_private,
	&test_folio_anon_unmapped,
	&test_folio_anon_mapped,
	&test_folio_anon_shared,
	&test_folio_mlocked,
	&test_folio_swap_mapped,
	&test_folio_swapped_out,
	&test_folio_ksm,
	&test_folio_clean[0],
	&test_folio_clean[1],
	&test_folio_clean[2],
	&test_folio_clean[3],
	&test_folio_clean[4],
	&test_folio_clean[5],
	&test_folio_clean[6],
	&test_folio_clean[7],
	&test_folio_clean[8],
	&test_folio_clean[9],
};

static void kind_desc(struct kunit *test, const void *param, char *desc)
{
	const struct test_folio_kind * const *kind = param;

	strscpy(desc, (*kind)->name, KUNIT_PARAM_DESC_SIZE);
}

/**
 * test_folio_kinds_init() - have a case run for each kind of folio
 * @test: the test, which gets its kind from test_folio_kind_param()
 *
 * For KUNIT_CASE_PARAM_WITH_INIT().
 *
 * Return: 0.
 */
int test_folio_kinds_init(struct kunit *test)
{
	kunit_register_params_array(test, kinds, ARRAY_SIZE(kinds), kind_desc);
	return 0;
}

/**
 * test_folio_kind_param() - the kind of folio that a case is to run for
 * @test: the running test, of which test_folio_kinds_init() is the init
 *
 * Return: the kind.
 */
const struct test_folio_kind *test_folio_kind_param(const struct kunit *test)
{
	const struct test_folio_kind * const *kind = test->param_value;

	return *kind;
}

static u8 page_pattern(const struct test_folio *tf, unsigned long i)
{
	return tf->pattern + i;
}

static void test_folio_fill(struct test_folio *tf)
{
	unsigned long i;

	for (i = 0; i < folio_nr_pages(tf->folio); i++) {
		void *addr = kmap_local_folio(tf->folio, i * PAGE_SIZE);

		memset(addr, page_pattern(tf, i), PAGE_SIZE);
		kunmap_local(addr);
	}
}

static bool test_folio_intact(const struct test_folio *tf, struct folio *folio)
{
	unsigned long i;

	for (i = 0; i < folio_nr_pages(folio); i++) {
		void *addr = kmap_local_folio(folio, i * PAGE_SIZE);
		void *bad = memchr_inv(addr, page_pattern(tf, i), PAGE_SIZE);

		kunmap_local(addr);
		if (bad)
			return false;
	}
	return true;
}

static void test_folio_release(void *data)
{
	struct test_folio *tf = data;

	if (tf->dst)
		folio_put(tf->dst);
	if (tf->owned)
		folio_put(tf->folio);
	if (tf->file)
		__fput_sync(tf->file);
	if (tf->copy)
		mmput(tf->copy);
}

/**
 * test_folio_make() - make a folio of some kind, known contents, on the LRU
 * @test: the running test; aborted if the folio can't be made, skipped if this
 *	kernel has no such folios or its memory is not in pieces that large
 * @kind: what kind of folio
 *
 * Return: the folio, on which the fixture holds a reference until it is given
 * to folio_migration_add() or the case ends.
 */
struct test_folio *test_folio_make(struct kunit *test,
				   const struct test_folio_kind *kind)
{
	struct test_folio *tf = kunit_kzalloc(test, sizeof(*tf), GFP_KERNEL);
	int ret;

	KUNIT_ASSERT_NOT_NULL(test, tf);
	tf->kind = kind;
	tf->mapcount = kind->mapcount;
	tf->pattern = 0xa5;
	INIT_LIST_HEAD(&tf->entry);

	ret = kunit_add_action(test, test_folio_release, tf);
	KUNIT_ASSERT_EQ(test, ret, 0);
	ret = kind->make(test, tf);
	if (!ret) {
		tf->owned = true;
		test_folio_fill(tf);
		if (kind->filled)
			ret = kind->filled(test, tf);
	}
	if (ret == -EOPNOTSUPP)
		kunit_skip(test, "this kernel has no folios of kind %s",
			   kind->name);
	/* Of those the page allocator promises none, however much memory is free. */
	if (ret == -ENOMEM && kind->order > PAGE_ALLOC_COSTLY_ORDER)
		kunit_skip(test, "no memory in pieces of order %u", kind->order);
	KUNIT_ASSERT_EQ_MSG(test, ret, 0, "can't make a folio of kind %s",
			    kind->name);
	tf->private = folio_get_private(tf->folio);
	return tf;
}

/**
 * test_folio_has_users() - does anybody but those who hold it refer to a folio?
 * @tf: the folio
 *
 * Return: false if nothing refers to it but its isolation and extra references.
 * Migration of such a folio ends with it being freed.
 */
bool test_folio_has_users(const struct test_folio *tf)
{
	return tf->file || tf->addr || tf->mapcount;
}

/**
 * test_folio_let_go() - drop the reference that test_folio_make() took
 * @tf: the folio; stays with its users, who may move it elsewhere
 */
void test_folio_let_go(struct test_folio *tf)
{
	folio_put(tf->folio);
	tf->owned = false;
}

/*
 * Holds
 */

/*
 * Far beyond any bound that a wait may have.  Whoever would wait for ever does
 * so uninterruptibly, and would hang the boot and not just the case.
 */
#define HOLD_AT_MOST	(100 * HZ)

static void folio_hold_drop(void *data)
{
	struct folio_hold *hold = data;
	int refs = hold->refs;

	hold->dropped_at = ktime_get();
	if (hold->how)
		hold->how->drop(hold->folio, refs);
	else
		while (refs--)
			folio_put(hold->folio);
}

static void folio_hold_sleep(struct folio_hold *hold)
{
	ktime_t delay = hold->delay;

	if (!delay)
		return;
	set_current_state(TASK_UNINTERRUPTIBLE);
	schedule_hrtimeout(&delay, HRTIMER_MODE_REL);
}

/* The way back is a lookup as any user does it: another folio may be there now. */
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
	/* From here rather than never: somebody may wait for that without a bound. */
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

	/* A kthread that is stopped before it has run never gets to drop them. */
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
	struct folio_hold *hold = kunit_kzalloc(test, sizeof(*hold), GFP_KERNEL);
	int ret;

	KUNIT_ASSERT_NOT_NULL(test, hold);
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
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, folio_hold_end,
							   hold));
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
 * Return: the hold, which is released when the case ends if not before, or when
 * it has lasted so long that only a wait without a bound can still be on.
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
 * @where: the context they are dropped from; must not be atomic for a drop that
 *	is for tasks only
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

/*
 * User tasks
 */

static int test_task_fn(void *data)
{
	struct test_task *task = data;
	unsigned long flags;

	/* From a kthread it has inherited that all signals are ignored. */
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
 * @fn: what the task does; may block only where something else is certain to
 *	end that
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
	struct test_task *task = kunit_kzalloc(test, sizeof(*task), GFP_KERNEL);
	struct kernel_clone_args args = {
		/* A child of kthreadd's, which needs nobody to wait for it. */
		.flags = clone_flags | CLONE_PARENT | CLONE_UNTRACED,
		.fn = test_task_fn,
		.fn_arg = task,
	};
	pid_t pid;

	KUNIT_ASSERT_NOT_NULL(test, task);
	task->fn = fn;
	task->data = data;
	init_completion(&task->start);
	init_completion(&task->go);

	KUNIT_ASSERT_EQ(test, 0, kunit_attach_mm());
	pid = kernel_clone(&args);
	KUNIT_ASSERT_GT(test, pid, 0);
	task->pid = find_get_pid(pid);
	complete_all(&task->start);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, test_task_end,
							   task));
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

static void keep_mm(struct test_task *task)
{
	struct test_folio *tf = task->data;

	mmget(current->mm);
	tf->copy = current->mm;
}

/**
 * test_folio_fork() - have another process map a folio that the test has mapped
 * @test: the running test; aborted if that fails
 * @tf: the folio, of anonymous memory
 *
 * The process is gone at once; what it had mapped stays until
 * test_folio_unfork() or the end of the case.
 */
void test_folio_fork(struct kunit *test, struct test_folio *tf)
{
	test_task_join(test_task_start(test, keep_mm, tf, 0));
	tf->mapcount++;
}

/**
 * test_folio_unfork() - unmap what test_folio_fork() mapped
 * @tf: the folio
 */
void test_folio_unfork(struct test_folio *tf)
{
	mmput(tf->copy);
	tf->copy = NULL;
	tf->mapcount--;
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
	struct wakeup_spy *spy = kunit_kzalloc(test, sizeof(*spy), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, spy);
	spy->folio = folio;
	init_wait_var_entry(&spy->wait, &folio->_refcount, 0);
	spy->wait.wq_entry.func = wakeup_spy_fn;
	add_wait_queue(__var_waitqueue(&folio->_refcount),
		       &spy->wait.wq_entry);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test,
							   wakeup_spy_remove,
							   spy));
	return spy;
}

/*
 * Files of pseudo file systems, which nobody has mounted here
 */

static ssize_t pseudo_file_access(const char *fs, const char *path, char *buf,
				  size_t size, bool write)
{
	struct file_system_type *type = get_fs_type(fs);
	unsigned long addr;
	struct vfsmount *mnt;
	struct file *file;
	loff_t pos = 0;
	ssize_t ret;

	if (!type)
		return -ENODEV;
	mnt = kern_mount(type);
	put_filesystem(type);
	if (IS_ERR(mnt))
		return PTR_ERR(mnt);
	file = file_open_root_mnt(mnt, path, write ? O_WRONLY : O_RDONLY, 0);
	ret = PTR_ERR_OR_ZERO(file);
	if (ret)
		goto unmount;

	/* What lies behind some of them takes user memory only. */
	ret = kunit_attach_mm();
	if (ret)
		goto close;
	addr = vm_mmap(NULL, 0, size, PROT_READ | PROT_WRITE,
		       MAP_ANONYMOUS | MAP_PRIVATE, 0);
	ret = -ENOMEM;
	if (IS_ERR_VALUE(addr))
		goto close;
	if (write) {
		ret = -EFAULT;
		if (!copy_to_user((void __user *)addr, buf, size))
			ret = vfs_write(file, (void __user *)addr, size, &pos);
	} else {
		ret = vfs_read(file, (void __user *)addr, size, &pos);
		if (ret > 0 && copy_from_user(buf, (void __user *)addr, ret))
			ret = -EFAULT;
	}
	vm_munmap(addr, size);
close:
	__fput_sync(file);
unmount:
	kern_unmount(mnt);
	return ret;
}

/**
 * pseudo_file_write() - write to a file of a pseudo file system as a user would
 * @fs: the file system's name
 * @path: the file's path in it
 * @value: what to write
 *
 * Return: 0 or a negative errno, -ENODEV where there is no such file system.
 */
int pseudo_file_write(const char *fs, const char *path, const char *value)
{
	size_t size = strlen(value);
	ssize_t ret = pseudo_file_access(fs, path, (char *)value, size, true);

	return ret < 0 ? ret : ret == size ? 0 : -EIO;
}

/*
 * Fault injection
 */

/**
 * debugfs_write() - write to a file of debugfs as a user would
 * @path: the file's path in debugfs
 * @value: what to write
 *
 * Return: 0 or a negative errno.
 */
int debugfs_write(const char *path, const char *value)
{
	return pseudo_file_write("debugfs", path, value);
}

/**
 * debugfs_read() - read a file of debugfs as a user would
 * @path: the file's path in debugfs
 * @buf: what was read, without the newline at the end
 * @size: the size of @buf
 *
 * Return: 0 or a negative errno.
 */
int debugfs_read(const char *path, char *buf, size_t size)
{
	ssize_t ret = pseudo_file_access("debugfs", path, buf, size - 1, false);

	if (ret < 0)
		return ret;
	buf[ret] = '\0';
	strim(buf);
	return 0;
}

/**
 * folio_fixture_needs_debugfs() - skip the case where debugfs is off
 * @test: the running test
 */
void folio_fixture_needs_debugfs(struct kunit *test)
{
	struct file_system_type *type = get_fs_type("debugfs");

	if (!type)
		kunit_skip(test, "debugfs is off, see debugfs=");
	put_filesystem(type);
}

struct debugfs_setting {
	struct kunit *test;
	const char *path;
	char old[32];
};

static void debugfs_restore(void *data)
{
	struct debugfs_setting *s = data;
	struct kunit *test = s->test;

	KUNIT_EXPECT_EQ_MSG(test, debugfs_write(s->path, s->old), 0,
			    "can't restore %s", s->path);
}

/**
 * debugfs_set() - change a setting in debugfs until the case ends
 * @test: the running test; skipped where debugfs is off, aborted if that is not
 *	possible
 * @path: the file's path in debugfs
 * @value: the value to set
 */
void debugfs_set(struct kunit *test, const char *path, const char *value)
{
	struct debugfs_setting *s;

	folio_fixture_needs_debugfs(test);
	s = kunit_kzalloc(test, sizeof(*s), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, s);
	s->test = test;
	s->path = path;
	KUNIT_ASSERT_EQ(test, debugfs_read(path, s->old, sizeof(s->old)), 0);
	KUNIT_ASSERT_EQ(test, debugfs_write(path, value), 0);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, debugfs_restore,
							   s));
}

#ifdef CONFIG_FAIL_FOLIO_HOLD
static void fault_restore(void *data)
{
	struct fail_folio_hold_settings *old = data;

	fail_folio_hold_settings.attr.probability = 0;
	fail_folio_hold_drain();
	fail_folio_hold_settings = *old;
}

/**
 * fail_folio_hold_borrow() - have the injector of folio references to oneself
 * @test: the running test
 *
 * Return: its settings: not armed, quiet, for longterm pins only, and for the
 * rest at their defaults.  When the case ends, all holds are ended and the
 * settings are what they were.
 */
struct fail_folio_hold_settings *fail_folio_hold_borrow(struct kunit *test)
{
	static const struct fault_attr attr = FAULT_ATTR_INITIALIZER;
	struct fail_folio_hold_settings *s = &fail_folio_hold_settings;
	struct fail_folio_hold_settings *old = kunit_kzalloc(test, sizeof(*old),
							     GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, old);
	*old = *s;
	s->attr = attr;
	s->attr.verbose = 0;
	s->delay_us = USEC_PER_MSEC;
	s->refs = 1;
	s->reasons = BIT(MR_LONGTERM_PIN);
	s->context = FAIL_FOLIO_HOLD_KTHREAD;
	s->drop = FAIL_FOLIO_HOLD_FOLIO_PUT;
	s->observer = NULL;
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, fault_restore, old));
	return s;
}

/**
 * fail_folio_hold_last() - say how long a hold is to last that a migration meets
 * @us: how long if it is waited for; if not it lasts until it is drained, longer
 *	than any migration on whatever machine
 */
void fail_folio_hold_last(unsigned int us)
{
	fail_folio_hold_settings.delay_us = wait_promises()->wait ? us : 60 * USEC_PER_SEC;
}

/**
 * fail_folio_hold_fired() - how many holds the injector has taken
 *
 * Return: holds since boot.
 */
u64 fail_folio_hold_fired(void)
{
	return fail_folio_hold_count().fired;
}
#endif

/*
 * Migration
 */

static void folio_migration_begin(struct folio_migration *m)
{
	m->began_tick = jiffies;
	m->began_at = ktime_get();
	m->sleeps = current->nvcsw;
}

static struct test_folio *find_test_folio(struct folio_migration *m,
					  struct folio *folio)
{
	struct test_folio *tf;

	list_for_each_entry(tf, &m->folios, entry)
		if (tf->folio == folio)
			return tf;
	return NULL;
}

/* How long somebody else lets it halt is no time of the migration's. */
static void folio_migration_halt(struct folio_migration *m)
{
	complete_all(&m->halted);
	wait_for_completion_timeout(&m->go_on, HOLD_AT_MOST);
	folio_migration_begin(m);
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
	/* What a large folio has been split into is not followed. */
	if (!tf)
		return NULL;

	dst = folio_alloc(GFP_KERNEL, folio_order(src));
	if (!dst) {
		m->nr_failed_allocs++;
		return NULL;
	}
	folio_get(dst);
	tf->dst = dst;
	return dst;
}

static void put_dst(struct folio *dst, unsigned long private)
{
	struct folio_migration *m = (struct folio_migration *)private;
	struct test_folio *tf;

	list_for_each_entry(tf, &m->folios, entry)
		if (tf->dst == dst)
			tf->dst = NULL;
	folio_put_refs(dst, 2);
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
	struct folio_migration *m = kunit_kzalloc(test, sizeof(*m), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, m);
	m->test = test;
	m->mode = mode;
	m->reason = reason;
	INIT_LIST_HEAD(&m->folios);
	INIT_LIST_HEAD(&m->from);
	init_completion(&m->halted);
	init_completion(&m->go_on);
	init_completion(&m->done);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test,
							   folio_migration_end,
							   m));
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
 * A source that has not been freed has the flag still that its destination got
 * from it.  Whoever else gets a page that was freed has no use for the flag, but
 * for another folio of the same migration.
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
 * For what is to happen meanwhile.  A series that waits has it last anyhow.
 * Without one it is made to halt in the middle of an attempt, when it has
 * unmapped and locked all it could, and asks for the destination of one more
 * folio, which is added here and counts for nothing when it was migrated.
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

/* Nobody reports that he has gone to sleep, so this has to look. */
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
 * folio_migration_blocks() - wait until a started migration blocks somebody
 * @m: the migration
 * @tf: the folio
 *
 * Return: true when somebody waits for @tf to be unlocked, false if the
 * migration is over and nobody did.
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
 * Nothing is held, failed or called back any more.  Folios that were migrated, or
 * have lost all their users, take no part.
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
 * @m: the migration; its data is a &struct folio_hold, which is released if it is
 *	going to be waited for
 *
 * Where a migration fails at once the case releases the hold when that is over.
 */
void release_hold_on_alloc(struct folio_migration *m)
{
	if (wait_promises()->wait)
		folio_hold_release(m->data);
}

/*
 * The folio that a user of @tf would find, with a reference; NULL if it has no
 * users, or they find nothing.
 */
static struct folio *find_as_user(struct test_folio *tf)
{
	struct folio *found;

	if (tf->file) {
		found = filemap_get_folio(tf->file->f_mapping, 0);
		return IS_ERR(found) ? NULL : found;
	}
	return tf->addr ? folio_at(current->mm, tf->addr) : NULL;
}

/* Do all users of @tf find the folio? */
static bool reaches(struct test_folio *tf, struct folio *folio)
{
	struct folio *found = find_as_user(tf);
	unsigned long offset;

	if (found)
		folio_put(found);
	else if (!tf->file && !tf->addr)
		return true;
	if (found != folio)
		return false;
	for (offset = PAGE_SIZE; offset < tf->len; offset += PAGE_SIZE)
		if (!folio_is_at(folio, current->mm, tf->addr + offset))
			return false;
	return !tf->copy || folio_is_at(folio, tf->copy, tf->addr);
}

/**
 * test_folio_find() - find a folio again that may have been moved
 * @test: the running test; aborted if the folio can't be found
 * @tf: a folio after test_folio_let_go(), with a user
 *
 * The fixture holds a reference on the folio again.
 */
void test_folio_find(struct kunit *test, struct test_folio *tf)
{
	struct folio *folio = find_as_user(tf);

	KUNIT_ASSERT_NOT_NULL(test, folio);
	tf->folio = folio;
	tf->owned = true;
}

static bool folio_tagged_dirty(const struct folio *folio)
{
	const struct address_space *mapping = folio_mapping(folio);

	return mapping && mapping_tagged(mapping, PAGECACHE_TAG_DIRTY);
}

static const struct {
	enum test_folio_state state;
	const char *name;
	bool (*holds)(const struct folio *folio);
} folio_states[] = {
	{ TEST_FOLIO_ANON, "anonymous", folio_test_anon },
	{ TEST_FOLIO_SWAPBACKED, "swapbacked", folio_test_swapbacked },
	{ TEST_FOLIO_DIRTY, "dirty", folio_test_dirty },
	{ TEST_FOLIO_TAGGED, "tagged as dirty", folio_tagged_dirty },
	{ TEST_FOLIO_PRIVATE, "private", folio_test_private },
	{ TEST_FOLIO_MLOCKED, "mlocked", folio_test_mlocked },
	{ TEST_FOLIO_UNEVICTABLE, "unevictable", folio_test_unevictable },
	{ TEST_FOLIO_SWAPCACHE, "swapcache", folio_test_swapcache },
	{ TEST_FOLIO_KSM, "ksm", folio_test_ksm },
};

/* Whether a bit of the state is known: as long as it is mapped page tables have some. */
static bool state_known(const struct test_folio *tf, enum test_folio_state state)
{
	return state != TEST_FOLIO_DIRTY || !tf->kind->mapcount;
}

/* What holds for a folio in use, wherever it lies. */
static void expect_in_use(struct kunit *test, struct test_folio *tf,
			  struct folio *folio, int extra_refs)
{
	const struct test_folio_kind *kind = tf->kind;
	int i;

	lru_add_drain_all();
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio),
			folio_expected_ref_count(folio) + extra_refs);
	KUNIT_EXPECT_EQ(test, folio_order(folio), kind->order);
	KUNIT_EXPECT_EQ(test, folio_mapcount(folio), tf->mapcount);
	KUNIT_EXPECT_FALSE(test, folio_test_locked(folio));
	KUNIT_EXPECT_FALSE(test, folio_test_writeback(folio));
	KUNIT_EXPECT_TRUE(test, folio_test_uptodate(folio));
	KUNIT_EXPECT_TRUE(test, folio_test_lru(folio));
	for (i = 0; i < ARRAY_SIZE(folio_states); i++)
		if (state_known(tf, folio_states[i].state))
			KUNIT_EXPECT_EQ_MSG(test, folio_states[i].holds(folio),
					    !!(kind->state & folio_states[i].state),
					    "%s", folio_states[i].name);
	KUNIT_EXPECT_PTR_EQ(test, folio_get_private(folio), tf->private);
	if (tf->file)
		KUNIT_EXPECT_PTR_EQ(test, folio->mapping, tf->file->f_mapping);
	KUNIT_EXPECT_TRUE_MSG(test, reaches(tf, folio),
			      "its users do not find the folio");
	KUNIT_EXPECT_TRUE_MSG(test, test_folio_intact(tf, folio),
			      "contents have changed");
	/* Its user has found it, and so has swapped it in. */
	if (kind == &test_folio_swapped_out) {
		tf->kind = &test_folio_anon_mapped;
		tf->mapcount = tf->kind->mapcount;
		tf->private = NULL;
	}
}

/**
 * expect_at_destination() - expect a folio to live on at its destination
 * @test: the running test
 * @tf: a folio that took part in a migration
 *
 * Contents, flags, references and users at the destination must be those of
 * the source.
 */
void expect_at_destination(struct kunit *test, struct test_folio *tf)
{
	KUNIT_EXPECT_NOT_NULL_MSG(test, tf->dst, "the folio was not migrated");
	if (tf->dst)
		expect_in_use(test, tf, tf->dst, 1);
}

/**
 * expect_migrated() - expect a folio at its destination, and its source free
 * @test: the running test
 * @tf: a folio that took part in a migration beside which nobody allocated
 */
void expect_migrated(struct kunit *test, struct test_folio *tf)
{
	if (tf->dst) {
		KUNIT_EXPECT_FALSE_MSG(test, tf->src_kept,
				       "the source folio was not freed");
		/* In real time somebody else may have got the page by now. */
		if (folio_fixture_virtual_time())
			KUNIT_EXPECT_EQ(test, tf->src_refs, 0);
	}
	expect_at_destination(test, tf);
}

/**
 * expect_unharmed() - expect a folio to be as it was before its migration
 * @test: the running test
 * @tf: a folio whose migration failed and that has been put back
 * @extra_refs: references that are still held on it
 */
void expect_unharmed(struct kunit *test, struct test_folio *tf, int extra_refs)
{
	KUNIT_EXPECT_NULL_MSG(test, tf->dst, "the destination was not given back");
	if (tf->dst)
		return;
	expect_in_use(test, tf, tf->folio, extra_refs);
}

static unsigned int pages_at_destination(const struct folio_migration *m)
{
	unsigned int pages = 0;
	struct test_folio *tf;

	list_for_each_entry(tf, &m->folios, entry)
		if (tf->dst)
			pages += 1 << tf->kind->order;
	return pages;
}

/**
 * expect_failed_at_once() - expect a migration to have failed for what is held
 * @test: the running test
 * @m: a migration that is over
 * @nr: how many folios are held
 *
 * Those have been tried, and not waited for.  Puts them back.
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
 * @m: a migration that failed, of which nothing is held any more and all is put back
 */
void expect_migrates_later(struct kunit *test, struct folio_migration *m)
{
	struct test_folio *tf;

	folio_migration_again(m);

	KUNIT_EXPECT_EQ(test, m->rc, 0);
	KUNIT_EXPECT_EQ(test, m->nr_succeeded, pages_at_destination(m));
	KUNIT_EXPECT_TRUE(test, list_empty(&m->from));
	expect_did_not_wait(test, m);
	list_for_each_entry(tf, &m->folios, entry)
		expect_migrated(test, tf);
}

/**
 * expect_took() - expect a migration to have taken so long
 * @test: the running test
 * @m: a migration that is over
 * @lower: at least so long
 * @upper: at most so long, in real time as much longer as late_by() allows
 */
void expect_took(struct kunit *test, const struct folio_migration *m,
		 ktime_t lower, ktime_t upper)
{
	ktime_t took = ktime_sub(m->ended_at, m->began_at);

	KUNIT_EXPECT_GE(test, took, lower);
	KUNIT_EXPECT_LE(test, took, ktime_add(upper, late_by(0)));
}

/**
 * expect_did_not_wait() - expect a migration to have waited for nothing at all
 * @test: the running test
 * @m: a migration that is over
 *
 * A single wait that must not be takes a second, which a loaded machine may take
 * in real time as well.  That nobody slept holds there, too.
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
 * In real time a wait may be over before what it is for comes.  Then there is
 * another call, and a wait before it.
 */
void expect_allocs(struct kunit *test, const struct folio_migration *m,
		   unsigned int nr)
{
	unsigned long waits = 0;

	if (!folio_fixture_virtual_time() && wait_promises()->wait)
		waits = (m->ended_tick - m->began_tick) / wait_promises()->wait;
	KUNIT_EXPECT_GE(test, m->nr_allocs, nr);
	KUNIT_EXPECT_LE(test, m->nr_allocs, nr + waits);
}

/**
 * expect_took_ticks() - expect a migration to have waited so long
 * @test: the running test
 * @m: a migration that is over
 * @least: at least so many ticks
 * @most: at most so many ticks, in real time as expect_took()
 *
 * Waits are counted in ticks.  In real time those may come late and then several
 * at once: then a wait is shorter than as many of them usually take.
 */
void expect_took_ticks(struct kunit *test, const struct folio_migration *m,
		       unsigned int least, unsigned int most)
{
	const bool exact = folio_fixture_virtual_time();

	KUNIT_EXPECT_GE(test, m->ended_tick - m->began_tick, least);
	expect_took(test, m, exact ? ticks_to_ktime(least) : 0, ticks_to_ktime(most));
}
