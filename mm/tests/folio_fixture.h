/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Fixture for KUnit tests of folio references and folio migration.
 *
 * Makes folios of the kinds that migration tells apart, holds extra references
 * on them and drops these late from a kthread, migrates them, and checks what
 * became of them.  Everything made here is cleaned up when the case ends, also
 * when it ends early, newest first.
 */
#ifndef _MM_TESTS_FOLIO_FIXTURE_H
#define _MM_TESTS_FOLIO_FIXTURE_H

#include <kunit/test.h>
#include <linux/completion.h>
#include <linux/fs.h>
#include <linux/ktime.h>
#include <linux/list.h>
#include <linux/migrate.h>
#include <linux/mm.h>
#include <linux/wait_bit.h>

#include "folio_drop.h"
#include "param_array.h"

struct fail_folio_hold_settings;
struct folio_balance;
struct test_folio;

/**
 * struct wait_promises - what a series promises of the wait for folio references
 * @series: its name, that of its folder; "none" for a kernel without any
 * @has_key: there is a folio_put_wakeup_key, held by migration for a longterm pin
 * @wait: the longest time that one wait lasts, in ticks; 0 if nothing is waited
 *	for, so that a folio which is held fails at once
 * @async_attempts: attempts in asynchronous mode, before those that lock and wait
 *	for everything; each waits
 * @sync_attempts: attempts in synchronous mode, after those
 * @recounts: a wait notices when the number of expected references changes
 * @waking_drops: the kinds of drops that wake a waiter, a bit for each
 *	&enum folio_drop_kind
 * @hugetlb: also for folios of hugetlbfs
 * @per_folio: these are for each folio that is held, one after the other
 * @retries_after_wait: after each wait comes an attempt, also after the last
 * @holds_folio: the folio is locked and unmapped during the wait, or in the
 *	middle of an attempt
 * @holds_batch: so are all others of its batch that come behind it
 * @killable: a fatal signal ends the wait
 * @hotplug_deadlock: a pin whose caller holds mmap_lock waits for CPU hotplug, which
 *	never ends if it waits for a task that wants that lock
 *
 * Cases read a field here where series differ, and assert what it says.
 */
struct wait_promises {
	const char *series;
	bool has_key;
	unsigned long wait;
	unsigned int async_attempts;
	unsigned int sync_attempts;
	bool recounts;
	unsigned int waking_drops;
	bool hugetlb;
	bool per_folio;
	bool retries_after_wait;
	bool holds_folio;
	bool holds_batch;
	bool killable;
	bool hotplug_deadlock;
};

const struct wait_promises *wait_promises(void);

/* How often a folio is tried before it fails. */
static inline unsigned int wait_attempts(void)
{
	return wait_promises()->async_attempts + wait_promises()->sync_attempts;
}

static inline bool drop_wakes(enum folio_drop_kind kind)
{
	return wait_promises()->waking_drops & BIT(kind);
}

/* What so many migrations for a longterm pin add to the count of the key. */
static inline int key_count_of(int migrations)
{
	return wait_promises()->has_key ? migrations : 0;
}

/*
 * What migration must carry over to the new folio: bits of
 * &test_folio_kind.state.
 */
enum test_folio_state {
	TEST_FOLIO_ANON		= BIT(0),
	TEST_FOLIO_SWAPBACKED	= BIT(1),
	TEST_FOLIO_DIRTY	= BIT(2),
	TEST_FOLIO_TAGGED	= BIT(3),	/* as dirty, in the page cache */
	TEST_FOLIO_PRIVATE	= BIT(4),
	TEST_FOLIO_MLOCKED	= BIT(5),
	TEST_FOLIO_UNEVICTABLE	= BIT(6),
	TEST_FOLIO_SWAPCACHE	= BIT(7),
	TEST_FOLIO_KSM		= BIT(8),
};

/**
 * struct test_folio_kind - a kind of folio that migration treats in its own way
 * @name: short name without spaces, for parameter descriptions
 * @order: the folio's order
 * @state: bits of &enum test_folio_state that hold for the folio, before its
 *	migration and after; the others do not
 * @mapcount: how many entries of page tables, or directories, map the folio in use
 * @make: fills in a &struct test_folio with a folio on which it holds a
 *	reference, returns 0 or a negative errno
 * @filled: called when the folio has got its contents, may be NULL; returns
 *	like @make
 * @isolated: called when the folio has been isolated, may be NULL
 */
struct test_folio_kind {
	const char *name;
	unsigned int order;
	unsigned int state;
	int mapcount;
	int (*make)(struct kunit *test, struct test_folio *tf);
	int (*filled)(struct kunit *test, struct test_folio *tf);
	int (*isolated)(struct test_folio *tf);
};

/* 0 to 9.  A case is skipped where the page allocator has no folio of that order. */
#define NR_TEST_FOLIO_ORDERS	10

extern const struct test_folio_kind test_folio_shmem;
extern const struct test_folio_kind test_folio_dirty;
extern const struct test_folio_kind test_folio_private;
extern const struct test_folio_kind test_folio_anon_unmapped;
extern const struct test_folio_kind test_folio_anon_mapped;
extern const struct test_folio_kind test_folio_anon_shared;
extern const struct test_folio_kind test_folio_mlocked;
extern const struct test_folio_kind test_folio_swap_mapped;
extern const struct test_folio_kind test_folio_swapped_out;
extern const struct test_folio_kind test_folio_ksm;
extern const struct test_folio_kind test_folio_clean[NR_TEST_FOLIO_ORDERS];
/* Each only where the kernel has such folios. */
extern const struct test_folio_kind test_folio_anon_thp;
extern const struct test_folio_kind test_folio_anon_thp_ptes;
extern const struct test_folio_kind test_folio_anon_large;
extern const struct test_folio_kind test_folio_shmem_thp;
extern const struct test_folio_kind test_folio_shmem_large;
extern const struct test_folio_kind test_folio_cma;
extern const struct test_folio_kind test_folio_buffers;
extern const struct test_folio_kind test_folio_buffers_large;
/* Not among those that cases run for: there is no wait for it. */
extern const struct test_folio_kind test_folio_hugetlb;

/**
 * struct test_folio - a folio made for a test
 * @kind: what it was made as
 * @folio: the folio; after a successful migration only an address
 * @file: the file whose page cache it lies in, NULL for anonymous memory
 * @addr: the user address it is mapped at, 0 where it is not
 * @len: how much of the address space from there is mapped to it
 * @mapcount: how many page table entries are to map it
 * @copy: another mm that has it at the same address, NULL for none
 * @private: its private data
 * @memcg: the control group that it belongs to, NULL for none
 * @pattern: what its contents were filled with
 * @migrate_error: what the mapping's migrate_folio() returns if not 0, for the
 *	kinds with a mapping of the fixture's own
 * @attempts: how often migration has tried to move it, for the same kinds
 * @owned: the fixture holds a reference on @folio
 * @dst: where the last migration was to put it, NULL if that was undone; the
 *	fixture holds a reference
 * @splits: the next migration is to move it in pieces
 * @src_refs: reference count of @folio right after migrate_pages()
 * @src_kept: @folio was not freed by then, as far as can be told in real time
 * @entry: in &folio_migration.folios
 */
struct test_folio {
	const struct test_folio_kind *kind;
	struct folio *folio;
	struct file *file;
	unsigned long addr;
	unsigned long len;
	int mapcount;
	struct mm_struct *copy;
	void *private;
	struct mem_cgroup *memcg;
	u8 pattern;
	int migrate_error;
	unsigned int attempts;
	bool owned;
	struct folio *dst;
	bool splits;
	int src_refs;
	bool src_kept;
	struct list_head entry;
};

/**
 * struct folio_hold - extra references on a folio, dropped later by a kthread
 * @folio: the folio
 * @refs: number of references
 * @delay: how long after folio_hold_release() they are dropped
 * @retakes: how often they are dropped and at once taken again, @delay after
 *	@release or the time before; set it before the release
 * @retaken: how often that has been done
 * @needs_lock: not before the folio lock could be had
 * @test: the running test
 * @error: why they could not be dropped where they were to be, 0 if they could
 * @dropped_at: when they were dropped, valid once @dropped is complete
 * @how: the way they are dropped, NULL for @refs times folio_put()
 * @where: the context they are dropped from, NULL for @task
 * @release: starts the delay
 * @dropped: complete when the references are gone
 * @task: drops them
 */
struct folio_hold {
	struct folio *folio;
	int refs;
	ktime_t delay;
	unsigned int retakes;
	unsigned int retaken;
	bool needs_lock;
	struct kunit *test;
	int error;
	ktime_t dropped_at;
	const struct folio_drop *how;
	const struct exec_context *where;
	struct completion release;
	struct completion dropped;
	struct task_struct *task;
};

/**
 * struct folio_migration - one call of migrate_pages() and what was seen of it
 * @test: the running test
 * @mode: passed to migrate_pages()
 * @reason: passed to migrate_pages()
 * @nid: the node of its destinations; NUMA_NO_NODE for whichever has memory
 * @fail_alloc_at: which call for a destination folio fails, counted from 1;
 *	0 for none
 * @fail_alloc_order: all calls for destinations of this order or a higher one
 *	fail; 0 for none
 * @on_alloc: called at each call for a destination folio, may be NULL
 * @data: for @on_alloc
 * @gate: what a started one waits for before it begins, NULL for nothing
 * @halt_at: at which call for a destination folio it halts, counted from 1; 0 for
 *	none
 * @halts_for: the folio of that call, not counted if it was migrated
 * @halted: complete when it has
 * @go_on: complete when it may go on
 * @nr_allocs: calls for a destination folio so far
 * @nr_failed_allocs: how many of them found no memory
 * @unserved: the folio of the last such call
 * @key_inside: the wake-up key's count at the last of these calls
 * @rc: what migrate_pages() returned
 * @nr_succeeded: what it said of the number of migrated folios
 * @sleeps: how often its caller has gone to sleep in it
 * @began_at: when it was called, or went on after it had halted; @sleeps counts
 *	from then on, too
 * @began_tick: in which tick that was
 * @ended_at: when it returned
 * @ended_tick: in which tick that was
 * @fail_nth: which point of fault injection in migrate_pages() fails, counted
 *	from 1; 0 for none.  Afterwards what is left of it: 0 if it has failed.
 * @folios: the &struct test_folio that take part
 * @from: the isolated folios, afterwards those that were not migrated
 * @task: calls it, when it was started with folio_migration_start()
 * @done: complete when @task has got its results
 */
struct folio_migration {
	struct kunit *test;
	enum migrate_mode mode;
	enum migrate_reason reason;
	int nid;
	unsigned int fail_alloc_at;
	unsigned int fail_alloc_order;
	void (*on_alloc)(struct folio_migration *m);
	void *data;
	struct completion *gate;
	unsigned int halt_at;
	struct test_folio *halts_for;
	struct completion halted;
	struct completion go_on;
	unsigned int nr_allocs;
	unsigned int nr_failed_allocs;
	struct test_folio *unserved;
	int key_inside;
	int rc;
	unsigned int nr_succeeded;
	unsigned long sleeps;
	ktime_t began_at;
	unsigned long began_tick;
	ktime_t ended_at;
	unsigned long ended_tick;
	unsigned int fail_nth;
	struct list_head folios;
	struct list_head from;
	struct task_struct *task;
	struct completion done;
};

/**
 * struct test_task - a user task, in the mm of the test or in a copy of it
 * @fn: what it does; the task exits when this returns
 * @data: for @fn
 * @start: complete when @pid is valid
 * @go: for test_task_await_go()
 * @pid: its pid
 */
struct test_task {
	void (*fn)(struct test_task *task);
	void *data;
	struct completion start;
	struct completion go;
	struct pid *pid;
};

/**
 * struct wakeup_spy - stands in for a waiter and records its wake-ups
 * @wait: queued where wait_var_event() on the folio's reference count waits
 * @folio: the folio
 * @wakeups: how often the waiter would have been woken; exact as soon as the
 *	drop under test returns, no scheduling is involved
 * @refs_at_wakeup: the folio's reference count at the last wake-up
 */
struct wakeup_spy {
	struct wait_bit_queue_entry wait;
	struct folio *folio;
	int wakeups;
	int refs_at_wakeup;
};

/*
 * Far longer than any wait may last.  A wait without a bound would be
 * uninterruptible and hang the boot rather than fail the case.
 */
#define HOLD_AT_MOST	(100 * HZ)

/* How long a wait lasts: the timer wheel may add an eighth, see kernel/time/timer.c. */
static inline unsigned long wait_at_most(unsigned long wait)
{
	return wait + wait / 8 + 1;
}

/* Ticks as a time: what a sleep may be late by on a kernel with low resolution timers. */
static inline ktime_t ticks_to_ktime(unsigned int ticks)
{
	return ns_to_ktime(jiffies_to_nsecs(ticks));
}

/* folio_fixture.c */

int folio_fixture_init(struct kunit *test);
void folio_fixture_needs_virtual_time(struct kunit *test, unsigned int seconds);
void folio_fixture_needs_key(struct kunit *test);
void folio_fixture_needs_wait(struct kunit *test);
bool waits_are_free(void);
bool cpu_time_is_free(void);
bool nobody_else_runs(void);

#ifdef CONFIG_FOLIO_EXPLORE_KUNIT
bool folio_exploring(void);
int folio_explore_begin(struct kunit *test);
#else
static inline bool folio_exploring(void)
{
	return false;
}

static inline int folio_explore_begin(struct kunit *test)
{
	return 0;
}
#endif
ktime_t late_by(unsigned int ticks);
u64 folio_fixture_seed(void);

struct folio_balance *folio_balance(struct kunit *test);
void expect_balance(const struct folio_balance *before);
long folio_fixture_unpinned(void);
long folio_fixture_pins(void);

void test_cleanup(struct kunit *test, kunit_action_t *fn, void *data);
void *test_zalloc(struct kunit *test, size_t size);

struct task_struct *test_thread(struct kunit *test, int (*fn)(void *data),
				void *data, const char *name);
void test_thread_stop(struct kunit *test, struct task_struct *task);
void test_mm_ends(struct kunit *test);
void wait_until_asleep(struct task_struct *task, struct completion *done);

struct test_task *test_task_start(struct kunit *test,
				  void (*fn)(struct test_task *task),
				  void *data, u64 clone_flags);
void test_task_await_go(struct test_task *task);
void test_task_go(struct test_task *task);
void test_task_join(struct test_task *task);

bool folio_has_wakeup_key(void);
int folio_wakeup_key_count(void);
void folio_wakeup_key_get(struct kunit *test);
void folio_wakeup_key_keep(struct kunit *test);
struct wakeup_spy *wakeup_spy(struct kunit *test, struct folio *folio);

/* folio_kinds.c */

int test_folio_kinds_init(struct kunit *test);
const struct test_folio_kind *test_folio_kind_param(const struct kunit *test);
bool test_folio_counts_attempts(const struct test_folio *tf);
int test_folio_unmap(struct test_folio *tf);
unsigned long test_mmap_aligned(struct kunit *test, struct file *file,
				unsigned long size, unsigned long flags);
void test_run_near_cma(struct kunit *test);
struct folio *folio_at(struct mm_struct *mm, unsigned long addr);
bool folio_is_at(struct folio *folio, struct mm_struct *mm, unsigned long addr);

/* test_folio.c */

struct folio *test_folio_alloc(struct kunit *test, unsigned int order);
struct page *test_pages_alloc(struct kunit *test, gfp_t gfp, unsigned int order);
void test_folio_get(struct kunit *test, struct folio *folio);
void test_folio_take(struct kunit *test, struct folio *folio);
void test_folio_put(struct kunit *test, struct folio *folio);
void test_folio_give(struct kunit *test, struct folio *folio);
void test_folio_lock(struct kunit *test, struct folio *folio);
void test_folio_unlock(struct kunit *test, struct folio *folio);
void test_folio_mark(struct folio *folio);
bool test_folio_freed(const struct folio *folio);
struct movable_filler *movable_filler(struct kunit *test, unsigned int nr);
void movable_filler_thin(struct movable_filler *filler);

struct test_folio *test_folio_make(struct kunit *test,
				   const struct test_folio_kind *kind);
void test_folio_let_go(struct test_folio *tf);
void test_folio_find(struct kunit *test, struct test_folio *tf);
void test_folio_fork(struct kunit *test, struct test_folio *tf);
void test_folio_unfork(struct test_folio *tf);
bool test_folio_has_users(const struct test_folio *tf);
bool folio_is_put_back(const struct folio *folio);
void expect_migrated(struct kunit *test, struct test_folio *tf);
void expect_at_destination(struct kunit *test, struct test_folio *tf);
void expect_unharmed(struct kunit *test, struct test_folio *tf, int extra_refs);
void expect_split(struct kunit *test, struct test_folio *tf);

/* folio_hold.c */

struct folio_hold *folio_hold(struct kunit *test, struct folio *folio,
			      int refs, unsigned int delay_ms);
struct folio_hold *folio_hold_how(struct kunit *test, struct folio *folio,
				  const struct folio_drop *how,
				  const struct exec_context *where,
				  unsigned int delay_ms);
struct folio_hold *folio_hold_writeback(struct kunit *test, struct folio *folio,
					unsigned int delay_ms);
void folio_hold_release(struct folio_hold *hold);
void folio_hold_join(struct folio_hold *hold);

/* folio_migration.c */

/* By &enum migrate_mode, for parameter descriptions. */
extern const char * const test_mode_names[];

struct folio_migration *folio_migration(struct kunit *test,
					enum migrate_mode mode,
					enum migrate_reason reason);

/* For the reason that most cases are about. */
static inline struct folio_migration *longterm_migration(struct kunit *test,
							 enum migrate_mode mode)
{
	return folio_migration(test, mode, MR_LONGTERM_PIN);
}

void folio_migration_add(struct folio_migration *m, struct test_folio *tf);
void folio_migration_run(struct folio_migration *m);
void folio_migration_start(struct folio_migration *m);
void folio_migration_join(struct folio_migration *m);
void folio_migration_prolong(struct folio_migration *m);
void folio_migration_go_on(struct folio_migration *m);
bool folio_migration_waits(struct folio_migration *m, struct test_folio *tf);
bool folio_migration_blocks(struct folio_migration *m, struct test_folio *tf);
void folio_migration_putback(struct folio_migration *m);
void folio_migration_again(struct folio_migration *m);
void release_hold_on_alloc(struct folio_migration *m);
unsigned int set_fail_nth(unsigned int nth);

void expect_failed_at_once(struct kunit *test, struct folio_migration *m,
			   unsigned int nr);
void expect_migrates_later(struct kunit *test, struct folio_migration *m);
void expect_took(struct kunit *test, const struct folio_migration *m,
		 ktime_t lower, ktime_t upper);
void expect_took_hold(struct kunit *test, const struct folio_migration *m,
		      const struct folio_hold *hold);
void expect_took_waits(struct kunit *test, const struct folio_migration *m,
		       unsigned int nr);
void expect_took_ticks(struct kunit *test, const struct folio_migration *m,
		       unsigned int least, unsigned int most);
void expect_did_not_wait(struct kunit *test, const struct folio_migration *m);
void expect_ended_with(struct kunit *test, const struct folio_migration *m,
		       ktime_t due);
void expect_allocs(struct kunit *test, const struct folio_migration *m,
		   unsigned int nr);

/* folio_admin.c */

struct file *pseudo_file_open(struct kunit *test, const char *fs, const char *path);
void pseudo_file_close(struct kunit *test, struct file *file);
int pseudo_file_write(const char *fs, const char *path, const char *value);
int test_cgroup(struct kunit *test, const char *name, const char *controllers);
void folio_fixture_needs_debugfs(struct kunit *test);
int debugfs_write(const char *path, const char *value);
int debugfs_read(const char *path, char *buf, size_t size);
void debugfs_set(struct kunit *test, const char *path, const char *value);
struct fail_folio_hold_settings *fail_folio_hold_borrow(struct kunit *test);
void fail_folio_hold_last(unsigned int us);
u64 fail_folio_hold_fired(void);
void allocations_can_fail(struct kunit *test);
#define SYSCALL_ARGS	6
long test_syscall_args(unsigned int nr, const unsigned long *args);
/* The arguments that are not given are 0. */
#define test_syscall(nr, ...) \
	test_syscall_args(nr, (const unsigned long[SYSCALL_ARGS]) { __VA_ARGS__ })
int test_swap_on(struct kunit *test);
void test_swap_off(struct kunit *test);
int test_hugetlb_pool(struct kunit *test, unsigned int nr);
/* Ticks that ksmd may take to merge a few pages. */
#define TEST_KSM_AT_MOST	(10 * HZ)
int test_ksm_run(struct kunit *test);
int test_ksm_stop(void);

#endif /* _MM_TESTS_FOLIO_FIXTURE_H */
