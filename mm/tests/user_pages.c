// SPDX-License-Identifier: GPL-2.0
/*
 * Fixture for KUnit tests that pin user pages.
 */

/* First: linux/memfd.h needs its types and does not include it. */
#include <linux/mm.h>

#include <linux/cred.h>
#include <linux/gfp.h>
#include <linux/highmem.h>
#include <linux/hrtimer.h>
#include <linux/hugetlb.h>
#include <linux/kthread.h>
#include <linux/memfd.h>
#include <linux/mman.h>
#include <linux/mmzone.h>
#include <linux/pagemap.h>
#include <linux/pagewalk.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/sysctl.h>
#include <linux/sched/task.h>
#include <linux/shmem_fs.h>
#include <linux/swap.h>
#include <linux/uaccess.h>
#include <linux/wait_bit.h>
#include <uapi/linux/memfd.h>

#include "../internal.h"
#include "folio_fixture.h"
#include "user_pages.h"

/* Private anonymous memory. */
const struct user_memory user_memory_anon = {
	.name = "anon",
	.flags = MAP_PRIVATE | MAP_ANONYMOUS,
};

/* Shared anonymous memory: an unnamed file of shmem. */
const struct user_memory user_memory_shmem = {
	.name = "shmem",
	.flags = MAP_SHARED | MAP_ANONYMOUS,
};

/* A shared mapping of a memfd. */
const struct user_memory user_memory_memfd = {
	.name = "memfd",
	.memfd = true,
	.flags = MAP_SHARED,
};

/* A private mapping of a memfd, not written to. */
const struct user_memory user_memory_private = {
	.name = "private",
	.memfd = true,
	.flags = MAP_PRIVATE,
};

#ifdef CONFIG_TRANSPARENT_HUGEPAGE
/* Private anonymous memory in transparent huge pages. */
const struct user_memory user_memory_thp = {
	.name = "thp",
	.flags = MAP_PRIVATE | MAP_ANONYMOUS,
	.order = HPAGE_PMD_ORDER,
};

/* A shared mapping of a memfd in large folios, each mapped page by page. */
const struct user_memory user_memory_memfd_large = {
	.name = "memfd-large",
	.memfd = true,
	.flags = MAP_SHARED,
	.order = 4,
};

/* The same in folios that each have a huge entry. */
const struct user_memory user_memory_memfd_huge = {
	.name = "memfd-huge",
	.memfd = true,
	.flags = MAP_SHARED,
	.order = HPAGE_PMD_ORDER,
};
#endif

#ifdef CONFIG_HUGETLB_PAGE
/* A shared mapping of a memfd of hugetlbfs. */
const struct user_memory user_memory_hugetlb = {
	.name = "hugetlb",
	.memfd = true,
	.memfd_flags = MFD_HUGETLB,
	.flags = MAP_SHARED,
	.order = HPAGE_SHIFT - PAGE_SHIFT,
};

/* A private one: what is written to is anonymous. */
const struct user_memory user_memory_hugetlb_private = {
	.name = "hugetlb-private",
	.memfd = true,
	.memfd_flags = MFD_HUGETLB,
	.flags = MAP_PRIVATE,
	.order = HPAGE_SHIFT - PAGE_SHIFT,
};
#endif

#ifdef CONFIG_CMA
/* A shared mapping of a memfd, allocated where CMA lends its pages. */
const struct user_memory user_memory_cma = {
	.name = "cma",
	.memfd = true,
	.flags = MAP_SHARED,
	.cma = true,
};
#endif

static const struct user_memory * const memories[] = {
	&user_memory_anon,
	&user_memory_shmem,
	&user_memory_memfd,
#ifdef CONFIG_TRANSPARENT_HUGEPAGE
	&user_memory_thp,
	&user_memory_memfd_large,
#endif
#ifdef CONFIG_HUGETLB_PAGE
	&user_memory_hugetlb,
	&user_memory_hugetlb_private,
#endif
};

PARAM_ARRAY(memories, "%s", (*p)->name);

/**
 * user_memories_init() - have a case run for each kind of memory there is
 * @test: the test, whose parameter points to the kind
 *
 * For KUNIT_CASE_PARAM_ARRAY().  Not for those that are special in one respect.
 *
 * Return: 0.
 */
int user_memories_init(struct kunit *test)
{
	return memories_init(test);
}

static long pin_locked(struct user_pages *up, unsigned int gup_flags)
{
	long ret;

	mmap_read_lock(current->mm);
	ret = pin_user_pages(up->addr, up->nr, gup_flags, up->pages);
	mmap_read_unlock(current->mm);
	return ret;
}

static long pin_unlocked(struct user_pages *up, unsigned int gup_flags)
{
	return pin_user_pages_unlocked(up->addr, up->nr, up->pages, gup_flags);
}

static long pin_try_fast(struct user_pages *up, unsigned int gup_flags)
{
	return pin_user_pages_fast(up->addr, up->nr, gup_flags, up->pages);
}

static long pin_remote(struct user_pages *up, unsigned int gup_flags)
{
	int locked = 1;
	long ret;

	mmap_read_lock(current->mm);
	ret = pin_user_pages_remote(current->mm, up->addr, up->nr, gup_flags,
				    up->pages, &locked);
	if (locked)
		mmap_read_unlock(current->mm);
	return ret;
}

static void unpin_pages(struct user_pages *up)
{
	unpin_user_pages(up->pages, up->rc);
}

const struct pin_way pin_way_locked = {
	.name = "locked",
	.holds_mmap_lock = true,
	.pin = pin_locked,
	.unpin = unpin_pages,
};

const struct pin_way pin_way_unlocked = {
	.name = "unlocked",
	.pin = pin_unlocked,
	.unpin = unpin_pages,
};

/*
 * The fast way goes without locks and takes only what may stay where it is.  For
 * the rest, and for all where an architecture has no fast way (HAVE_GUP_FAST),
 * this is the unlocked way once more.
 */
const struct pin_way pin_way_try_fast = {
	.name = "try-fast",
	.pin = pin_try_fast,
	.unpin = unpin_pages,
};

const struct pin_way pin_way_remote = {
	.name = "remote",
	.holds_mmap_lock = true,
	.pin = pin_remote,
	.unpin = unpin_pages,
};

/* As VFIO does: its caller must find mmap_lock held. */
static long pin_remote_held(struct user_pages *up, unsigned int gup_flags)
{
	long ret;

	mmap_read_lock(current->mm);
	ret = pin_user_pages_remote(current->mm, up->addr, up->nr, gup_flags,
				    up->pages, NULL);
	mmap_read_unlock(current->mm);
	return ret;
}

const struct pin_way pin_way_remote_held = {
	.name = "remote-held",
	.holds_mmap_lock = true,
	.pin = pin_remote_held,
	.unpin = unpin_pages,
};

/* Always longterm, whatever the flags. */
static long pin_folios(struct user_pages *up, unsigned int gup_flags)
{
	pgoff_t offset;
	long ret, i;

	ret = memfd_pin_folios(up->file, 0, up->nr * PAGE_SIZE - 1, up->folios,
			       up->nr, &offset);
	for (i = 0; i < ret; i++)
		up->pages[i] = folio_page(up->folios[i], 0);
	return ret;
}

static void unpin_pinned_folios(struct user_pages *up)
{
	unpin_folios(up->folios, up->rc);
}

/* Pins the folios of a memfd, mapped or not. */
const struct pin_way pin_way_folios = {
	.name = "folios",
	.pin = pin_folios,
	.unpin = unpin_pinned_folios,
};

/**
 * user_pages_init() - skip the case without memory that longterm pins have to leave
 * @test: the running test
 *
 * For the .init of a suite, in place of folio_fixture_init().  The memory of other
 * nodes does not count: all zones of this CPU's node come first.
 *
 * Return: as folio_fixture_init().
 */
int user_pages_init(struct kunit *test)
{
	const struct pglist_data *node = NODE_DATA(numa_mem_id());

	if (!populated_zone(&node->node_zones[ZONE_MOVABLE]))
		kunit_skip(test, "no ZONE_MOVABLE on this node, see movablecore=");
	return folio_fixture_init(test);
}

static void user_pages_release(void *data)
{
	struct user_pages *up = data;

	user_pages_unpin(up);
	if (up->file)
		__fput_sync(up->file);
}

/**
 * user_pages_map() - map pages, but touch none
 * @test: the running test
 * @memory: the kind of memory
 * @nr: how many pages
 *
 * Return: the pages, unpinned when the case ends.
 */
struct user_pages *user_pages_map(struct kunit *test,
				  const struct user_memory *memory,
				  unsigned int nr)
{
	struct user_pages *up = test_zalloc(test, sizeof(*up));

	up->test = test;
	up->memory = memory;
	up->nr = nr;
	up->pages = test_zalloc(test, array_size(nr, sizeof(*up->pages)));
	up->folios = test_zalloc(test, array_size(nr, sizeof(*up->folios)));
	up->pins_before = folio_fixture_pins();
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action(test, user_pages_release, up));

	if (memory->memfd_flags & MFD_HUGETLB)
		/* A fork may have to copy what is private. */
		KUNIT_ASSERT_EQ(test, 0, test_hugetlb_pool(test, (nr >> memory->order) <<
							   !!(memory->flags & MAP_PRIVATE)));
	if (memory->memfd) {
		struct file *file = memfd_alloc_file("user_pages", memory->memfd_flags);

		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, file);
		up->file = file;
		KUNIT_ASSERT_EQ(test, 0, vfs_truncate(&file->f_path,
						      nr * PAGE_SIZE));
		/* Without __GFP_HIGHMEM, so not from ZONE_MOVABLE. */
		if (memory->cma) {
			mapping_set_gfp_mask(file->f_mapping, GFP_USER | __GFP_MOVABLE);
			test_run_near_cma(test);
		}
	}
	if (memory->order)
		up->addr = test_mmap_aligned(test, up->file, nr * PAGE_SIZE, memory->flags);
	else
		up->addr = kunit_vm_mmap(test, up->file, 0, nr * PAGE_SIZE,
					 PROT_READ | PROT_WRITE, memory->flags, 0);
	KUNIT_ASSERT_NE(test, up->addr, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(up->addr));
	test_mm_ends(test);
	/* Without madvise() there is no do_madvise() to link to. */
	if (IS_ENABLED(CONFIG_ADVISE_SYSCALLS) && memory->order &&
	    !(memory->memfd_flags & MFD_HUGETLB))
		KUNIT_ASSERT_EQ(test, 0, do_madvise(current->mm, up->addr,
						    nr * PAGE_SIZE, MADV_HUGEPAGE));
	return up;
}

static u8 *page_buffer(struct kunit *test)
{
	u8 *buf = kunit_kmalloc(test, PAGE_SIZE, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, buf);
	return buf;
}

static void __user *page_addr(const struct user_pages *up, unsigned int i)
{
	return (void __user *)(up->addr + i * PAGE_SIZE);
}

/**
 * user_pages_pattern() - what each byte of a page holds
 * @up: the pages
 * @i: which of them
 *
 * Return: the byte that user_pages_fill() wrote, 0 if it did not.
 */
u8 user_pages_pattern(const struct user_pages *up, unsigned int i)
{
	return i < up->filled ? 0xa5 + i : 0;
}

/**
 * user_pages_write() - write to a page, as its user does
 * @up: the pages
 * @i: which of them
 * @value: what each byte is to hold
 */
void user_pages_write(struct user_pages *up, unsigned int i, u8 value)
{
	struct kunit *test = up->test;
	u8 *buf = page_buffer(test);

	memset(buf, value, PAGE_SIZE);
	KUNIT_ASSERT_EQ(test, 0, copy_to_user(page_addr(up, i), buf, PAGE_SIZE));
	kunit_kfree(test, buf);
}

/* Writes through a private mapping do not reach the file. */
static void write_to_file(struct user_pages *up, unsigned int i)
{
	struct folio *folio = shmem_read_folio(up->file->f_mapping, i);
	void *page;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(up->test, folio);
	page = kmap_local_folio(folio, 0);
	memset(page, user_pages_pattern(up, i), PAGE_SIZE);
	kunmap_local(page);
	folio_put(folio);
}

/**
 * user_pages_fill() - write to the first pages
 * @up: the pages; of a private mapping, those of the file
 * @nr: how many of them
 */
void user_pages_fill(struct user_pages *up, unsigned int nr)
{
	unsigned int i;

	up->filled = nr;
	for (i = 0; i < nr; i++) {
		if (up->memory == &user_memory_private)
			write_to_file(up, i);
		else
			user_pages_write(up, i, user_pages_pattern(up, i));
	}
}

/**
 * user_pages_make() - make pages that a longterm pin has to move
 * @test: the running test
 * @memory: the kind of memory
 * @nr: how many pages
 *
 * Return: the pages, with known contents, on the LRU and where longterm pins may not
 * be; unpinned when the case ends.
 */
struct user_pages *user_pages_make(struct kunit *test,
				   const struct user_memory *memory,
				   unsigned int nr)
{
	struct user_pages *up = user_pages_map(test, memory, nr);
	unsigned int i;

	/* Pages at hand may not be those of CMA. */
	if (memory->cma)
		drain_local_pages(NULL);
	user_pages_fill(up, nr);
	lru_add_drain_all();
	for (i = 0; i < nr; i++) {
		struct folio *folio = user_pages_folio(up, i);

		KUNIT_ASSERT_NOT_NULL(test, folio);
		KUNIT_ASSERT_EQ(test, folio_order(folio), memory->order);
		if (memory->cma)
			KUNIT_ASSERT_TRUE(test, is_migrate_cma_page(&folio->page));
		else
			KUNIT_ASSERT_TRUE(test, folio_is_zone_movable(folio));
		KUNIT_ASSERT_TRUE(test, folio_is_put_back(folio));
	}
	return up;
}

/**
 * user_limit_locked() - let the calling thread lock no more than so many pages
 * @test: the running test, whose own the thread is
 * @pages: RLIMIT_MEMLOCK, and there is no CAP_IPC_LOCK any more
 */
void user_limit_locked(struct kunit *test, unsigned long pages)
{
	struct cred *cred;

	if (!IS_ENABLED(CONFIG_MULTIUSER))
		kunit_skip(test, "without CONFIG_MULTIUSER nobody is limited");
	cred = prepare_creds();
	KUNIT_ASSERT_NOT_NULL(test, cred);
	cap_lower(cred->cap_effective, CAP_IPC_LOCK);
	commit_creds(cred);
	current->signal->rlim[RLIMIT_MEMLOCK].rlim_cur = pages << PAGE_SHIFT;
}

/**
 * user_pages_folio() - the folio that a user finds
 * @up: the pages
 * @i: which of them
 *
 * Return: the folio, on which no reference is held for the caller; NULL if
 * none is mapped.
 */
struct folio *user_pages_folio(struct user_pages *up, unsigned int i)
{
	const unsigned long addr = (unsigned long)page_addr(up, i);
	struct folio *folio = NULL;
	struct vm_area_struct *vma;
	struct folio_walk fw;

	/* Not by GUP, which marks the page accessed and may put it in an LRU batch. */
	mmap_read_lock(current->mm);
	vma = vma_lookup(current->mm, addr);
	if (vma)
		folio = folio_walk_start(&fw, vma, addr, FW_ZEROPAGE);
	if (folio)
		folio_walk_end(&fw, vma);
	mmap_read_unlock(current->mm);
	return folio;
}

static void fork_fn(struct test_task *task)
{
	struct user_fork *fork = task->data;

	test_task_await_go(task);
	fork->folio = user_pages_folio(fork->up, fork->i);
	fork->left = copy_from_user(fork->buf, page_addr(fork->up, fork->i), PAGE_SIZE);
}

/**
 * user_fork() - fork a process that will look at a page
 * @up: the pages, of which it gets what fork() makes of them
 * @i: which of them
 *
 * Return: the process, waiting for user_fork_look(); it is gone when the case has ended.
 */
struct user_fork *user_fork(struct user_pages *up, unsigned int i)
{
	struct user_fork *fork = test_zalloc(up->test, sizeof(*fork));

	fork->up = up;
	fork->i = i;
	fork->buf = test_zalloc(up->test, PAGE_SIZE);
	fork->task = test_task_start(up->test, fork_fn, fork, 0);
	return fork;
}

/**
 * user_fork_look() - have a process look at its page, and end
 * @fork: the process
 */
void user_fork_look(struct user_fork *fork)
{
	test_task_go(fork->task);
	test_task_join(fork->task);
}

/**
 * expect_fork_reads() - have a process look at its page, and expect what it finds
 * @fork: the process, which ends
 * @due: what each byte of the page is to hold
 */
void expect_fork_reads(struct user_fork *fork, u8 due)
{
	struct kunit *test = fork->up->test;

	user_fork_look(fork);
	KUNIT_EXPECT_EQ(test, fork->left, 0);
	KUNIT_EXPECT_NULL(test, memchr_inv(fork->buf, due, PAGE_SIZE));
}

static void track_dirty_end(void *data)
{
	struct user_pages *up = data;

	up->file->f_mapping->a_ops = up->a_ops;
}

/**
 * user_pages_track_dirty() - make the file look as if its file system had to know who writes
 * @up: the pages of a memfd
 *
 * Until the case ends; fast GUP tells by the operations of the mapping.
 */
void user_pages_track_dirty(struct user_pages *up)
{
	struct address_space *mapping = up->file->f_mapping;
	void *others = test_zalloc(up->test, sizeof(*mapping->a_ops));

	up->a_ops = mapping->a_ops;
	memcpy(others, up->a_ops, sizeof(*up->a_ops));
	mapping->a_ops = others;
	test_cleanup(up->test, track_dirty_end, up);
}

#ifdef CONFIG_NUMA_BALANCING
/**
 * user_pages_hint() - have NUMA balancing mark all pages
 * @up: the pages, none of them pinned
 *
 * The next access of each tells which CPU it comes from.
 */
void user_pages_hint(struct user_pages *up)
{
	const int mode = sysctl_numa_balancing_mode;
	struct mm_struct *mm = current->mm;
	struct vm_area_struct *vma;

	/* Nothing is marked that only one task has, on this node, or while it is off. */
	mmget(mm);
	sysctl_numa_balancing_mode = NUMA_BALANCING_NORMAL;
	mmap_read_lock(mm);
	vma = vma_lookup(mm, up->addr);
	if (vma)
		change_prot_numa(vma, up->addr, up->addr + up->nr * PAGE_SIZE);
	mmap_read_unlock(mm);
	sysctl_numa_balancing_mode = mode;
	mmput(mm);
	KUNIT_ASSERT_EQ(up->test, user_pages_hinted(up), up->nr);
}

/**
 * user_pages_hinted() - count the pages that are marked
 * @up: the pages
 *
 * Return: how many of them the user would be asked about at the next access.
 */
unsigned int user_pages_hinted(struct user_pages *up)
{
	struct vm_area_struct *vma;
	unsigned int i, nr = 0;
	struct folio_walk fw;

	mmap_read_lock(current->mm);
	vma = vma_lookup(current->mm, up->addr);
	for (i = 0; vma && i < up->nr; i++) {
		if (!folio_walk_start(&fw, vma, up->addr + i * PAGE_SIZE, 0))
			continue;
		nr += fw.level == FW_LEVEL_PMD ? pmd_protnone(fw.pmd) : pte_protnone(fw.pte);
		folio_walk_end(&fw, vma);
	}
	mmap_read_unlock(current->mm);
	return nr;
}
#endif

/**
 * user_dump() - get pages as for a core dump, and drop them
 * @test: the running test
 * @addr: the user address of the first
 * @nr: how many pages
 *
 * Return: how many there are before the first that is to be left out, or a negative
 * errno if that is the first.
 */
long user_dump(struct kunit *test, unsigned long addr, unsigned int nr)
{
	struct page **pages = test_zalloc(test, array_size(nr, sizeof(*pages)));
	int locked = 1;
	long rc;

	mmap_read_lock(current->mm);
	rc = get_user_pages_remote(current->mm, addr, nr, FOLL_FORCE | FOLL_DUMP, pages,
				   &locked);
	if (locked)
		mmap_read_unlock(current->mm);
	if (rc > 0)
		release_pages(pages, rc);
	kunit_kfree(test, pages);
	return rc;
}

static void pin_all(struct user_pages *up, const struct pin_way *way,
		    unsigned int gup_flags)
{
	KUNIT_ASSERT_NULL(up->test, up->way);

	up->sleeps = current->nvcsw;
	up->began_at = ktime_get();
	set_fail_nth(up->fail_nth);
	up->rc = way->pin(up, gup_flags);
	up->fail_nth = set_fail_nth(0);
	up->ended_at = ktime_get();
	up->sleeps = current->nvcsw - up->sleeps;
	if (up->rc > 0)
		up->way = way;
}

/**
 * user_pages_pin() - pin all pages for writing
 * @up: the pages, none of which it has pinned
 * @way: how to pin them
 * @gup_flags: FOLL_LONGTERM and the like
 */
void user_pages_pin(struct user_pages *up, const struct pin_way *way,
		    unsigned int gup_flags)
{
	pin_all(up, way, gup_flags | FOLL_WRITE);
}

/**
 * user_pages_pin_read_only() - pin all pages for reading
 * @up: as of user_pages_pin()
 * @way: how to pin them
 * @gup_flags: FOLL_LONGTERM and the like
 */
void user_pages_pin_read_only(struct user_pages *up, const struct pin_way *way,
			      unsigned int gup_flags)
{
	pin_all(up, way, gup_flags);
}

struct killer {
	struct hrtimer timer;
	struct task_struct *victim;
};

static enum hrtimer_restart killer_fn(struct hrtimer *timer)
{
	struct killer *killer = container_of(timer, struct killer, timer);
	struct task_struct *victim = killer->victim;
	unsigned long flags;

	if (!WARN_ON(!lock_task_sighand(victim, &flags))) {
		sigaddset(&victim->pending.signal, SIGKILL);
		signal_wake_up(victim, true);
		unlock_task_sighand(victim, &flags);
	}
	return HRTIMER_NORESTART;
}

/**
 * user_pages_pin_killed() - pin all pages and get a fatal signal meanwhile
 * @up: the pages, none of which it has pinned
 * @way: how to pin them
 * @gup_flags: as of user_pages_pin()
 * @delay_ms: how long after the beginning the signal comes; 0 for before
 */
void user_pages_pin_killed(struct user_pages *up, const struct pin_way *way,
			   unsigned int gup_flags, unsigned int delay_ms)
{
	struct killer killer = { .victim = current };

	/* Before there is a timer on the stack. */
	KUNIT_ASSERT_NULL(up->test, up->way);

	hrtimer_setup_on_stack(&killer.timer, killer_fn, CLOCK_MONOTONIC,
			       HRTIMER_MODE_REL);
	if (delay_ms)
		hrtimer_start(&killer.timer, ms_to_ktime(delay_ms),
			      HRTIMER_MODE_REL);
	else
		killer_fn(&killer.timer);

	user_pages_pin(up, way, gup_flags);

	hrtimer_cancel(&killer.timer);
	destroy_hrtimer_on_stack(&killer.timer);
	/* A case runs in a kthread, which survives the signal. */
	flush_signals(current);
}

/**
 * user_pages_unpin() - unpin what user_pages_pin() has pinned
 * @up: the pages; nothing happens if none is pinned
 */
void user_pages_unpin(struct user_pages *up)
{
	if (!up->way)
		return;
	up->way->unpin(up);
	up->way = NULL;
}

/*
 * Isolation by another task
 */

/* Pins of the case come and go after the isolation. */
static bool has_unpinned(const struct foreign_isolation *iso)
{
	return READ_ONCE(iso->end) ||
	       folio_fixture_unpinned() != iso->released;
}

static int foreign_isolation_fn(void *data)
{
	struct foreign_isolation *iso = data;

	wait_var_event(&iso->folio->_refcount, has_unpinned(iso));
	folio_putback_lru(iso->folio);
	complete_all(&iso->put_back);
	return 0;
}

static void foreign_isolation_end(void *data)
{
	struct foreign_isolation *iso = data;

	WRITE_ONCE(iso->end, true);
	wake_up_var(&iso->folio->_refcount);
	wait_for_completion(&iso->put_back);
	kthread_stop_put(iso->task);
}

/*
 * Or the pin retries for ever: in virtual time nothing else runs meanwhile.
 */
static void assert_unpinning_is_noticed(struct kunit *test, struct folio *folio)
{
	struct wakeup_spy *spy = wakeup_spy(test, folio);
	const long unpinned = folio_fixture_unpinned();
	struct page *page = folio_page(folio, 0);
	int tries = 100;

	KUNIT_ASSERT_EQ(test, 0, try_grab_folio(folio, 1, FOLL_PIN));
	unpin_user_pages(&page, 1);
	KUNIT_ASSERT_GT(test, spy->wakeups, 0);
	/* As in the fixture: a CPU may be just folding its counters. */
	while (folio_fixture_unpinned() == unpinned && tries--)
		schedule_timeout_uninterruptible(1);
	KUNIT_ASSERT_GT(test, folio_fixture_unpinned(), unpinned);
}

/**
 * foreign_isolation() - have a folio isolated while it is pinned for long
 * @test: the running test; aborted on a kernel where unpinning does not wake
 * @folio: the folio, on the LRU
 *
 * A pin that finds the folio isolated unpins it and tries again without sleeping, so
 * that virtual time stands still.  A kthread notices the unpinning, for which it
 * needs the key, and puts the folio back.
 *
 * Return: the isolation, which ends with the case if not before.
 */
struct foreign_isolation *foreign_isolation(struct kunit *test,
					    struct folio *folio)
{
	struct foreign_isolation *iso = test_zalloc(test, sizeof(*iso));

	iso->folio = folio;
	init_completion(&iso->put_back);
	folio_wakeup_key_get(test);
	assert_unpinning_is_noticed(test, folio);
	iso->released = folio_fixture_unpinned();

	iso->task = kthread_create(foreign_isolation_fn, iso,
				   "foreign_isolation");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, iso->task);
	get_task_struct(iso->task);
	/* So that it runs before the next retry of the pin. */
	sched_set_fifo(iso->task);
	if (!folio_isolate_lru(folio)) {
		kthread_stop_put(iso->task);
		KUNIT_FAIL_AND_ABORT(test, "the folio can't be isolated");
	}
	wake_up_process(iso->task);
	test_cleanup(test, foreign_isolation_end, iso);
	return iso;
}

/* Reads as a user does. */
static void expect_intact(struct user_pages *up)
{
	struct kunit *test = up->test;
	u8 *buf = page_buffer(test);
	unsigned int i;

	for (i = 0; i < up->nr; i++) {
		KUNIT_EXPECT_EQ(test, 0, copy_from_user(buf, page_addr(up, i),
							PAGE_SIZE));
		KUNIT_EXPECT_NULL_MSG(test,
				      memchr_inv(buf, user_pages_pattern(up, i),
						 PAGE_SIZE),
				      "contents of page %u have changed", i);
	}
	kunit_kfree(test, buf);
}

/* A small folio counts a pin as many references, a large one each pinned page as one. */
static int refs_of_pins(const struct user_pages *up, struct folio *folio, int pins)
{
	if (!folio_has_pincount(folio))
		return pins * GUP_PIN_COUNTING_BIAS;
	return up->way == &pin_way_folios ? pins : pins * folio_nr_pages(folio);
}

/**
 * expect_page_pinned() - expect a user page to be the pinned one, and to be
 * where longterm pins may be
 * @up: the pages, pinned
 * @i: which of them
 * @pins: how often it is pinned, by anybody
 */
void expect_page_pinned(struct user_pages *up, unsigned int i, int pins)
{
	struct folio *folio = page_folio(up->pages[i]);
	struct kunit *test = up->test;

	lru_add_drain_all();
	KUNIT_EXPECT_PTR_EQ_MSG(test, folio, user_pages_folio(up, i),
				"the user finds another page than is pinned");
	KUNIT_EXPECT_TRUE(test, folio_is_longterm_pinnable(folio));
	KUNIT_EXPECT_TRUE(test, folio_maybe_dma_pinned(folio));
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio),
			folio_expected_ref_count(folio) +
			refs_of_pins(up, folio, pins));
	KUNIT_EXPECT_EQ(test, folio_order(folio), up->memory->order);
	KUNIT_EXPECT_TRUE(test, folio_is_put_back(folio));
}

/**
 * expect_pinned() - expect all pages to be pinned for long, once
 * @up: the pages
 *
 * Their contents, references and counters must be right.
 */
void expect_pinned(struct user_pages *up)
{
	unsigned int nr = up->nr;

	if (up->way == &pin_way_folios)
		nr >>= up->memory->order;
	KUNIT_EXPECT_EQ(up->test, up->rc, nr);
	expect_some_pinned(up);
}

/**
 * expect_some_pinned() - expect the pages that the last pin has pinned to be so
 * @up: the pages; as many as it returned, from the first, are meant
 *
 * As expect_pinned().
 */
void expect_some_pinned(struct user_pages *up)
{
	long i;

	KUNIT_EXPECT_GT(up->test, up->rc, 0);
	/* First: the pages of a memfd that was pinned as a file may not be mapped yet. */
	expect_intact(up);
	for (i = 0; i < up->rc; i++)
		expect_page_pinned(up, i, 1);
	expect_pins(up, max(up->rc, 0));
}

/**
 * expect_folios_pinned() - expect somebody, not user_pages_pin(), to have pinned all folios
 * @up: the pages
 * @pins: how often each folio is pinned
 *
 * They must be where longterm pins may be, whole, and without further references.
 */
void expect_folios_pinned(struct user_pages *up, unsigned int pins)
{
	const unsigned int order = up->memory->order;
	struct kunit *test = up->test;
	unsigned int i;

	expect_intact(up);
	expect_pins(up, (long)pins * (up->nr >> order));
	lru_add_drain_all();
	for (i = 0; i < up->nr; i += 1U << order) {
		struct folio *folio = user_pages_folio(up, i);

		KUNIT_EXPECT_NOT_NULL(test, folio);
		if (!folio)
			return;
		KUNIT_EXPECT_TRUE(test, folio_is_longterm_pinnable(folio));
		KUNIT_EXPECT_FALSE(test, folio_is_zone_movable(folio));
		KUNIT_EXPECT_TRUE(test, folio_maybe_dma_pinned(folio));
		KUNIT_EXPECT_EQ(test, folio_order(folio), order);
		KUNIT_EXPECT_EQ(test, folio_ref_count(folio), folio_expected_ref_count(folio) +
				pins * (folio_has_pincount(folio) ? 1 : GUP_PIN_COUNTING_BIAS));
	}
}

/**
 * expect_not_pinned() - expect no page to be pinned
 * @up: the pages
 *
 * Only their users may hold references, and contents and counters must be right.
 */
void expect_not_pinned(struct user_pages *up)
{
	struct kunit *test = up->test;
	unsigned int i;

	expect_intact(up);
	expect_pins(up, 0);
	lru_add_drain_all();
	for (i = 0; i < up->nr; i++) {
		struct folio *folio = user_pages_folio(up, i);

		KUNIT_EXPECT_NOT_NULL(test, folio);
		/* The zero page is everybody's. */
		if (!folio || is_zero_folio(folio))
			continue;
		KUNIT_EXPECT_FALSE(test, folio_maybe_dma_pinned(folio));
		KUNIT_EXPECT_EQ(test, folio_ref_count(folio),
				folio_expected_ref_count(folio));
		KUNIT_EXPECT_FALSE(test, folio_test_locked(folio));
		KUNIT_EXPECT_TRUE(test, folio_is_put_back(folio));
	}
}

/**
 * expect_unpins() - unpin what was pinned, and expect no page to be pinned
 * @up: the pages
 */
void expect_unpins(struct user_pages *up)
{
	user_pages_unpin(up);
	expect_not_pinned(up);
}

/**
 * expect_pins() - expect the counters to tell of so many pinned pages
 * @up: the pages
 * @pins: how many more than before these were mapped
 */
void expect_pins(struct user_pages *up, long pins)
{
	int tries = 100;

	/* As in the fixture: a CPU may be just folding its counters. */
	while (folio_fixture_pins() - up->pins_before != pins && tries--)
		schedule_timeout_uninterruptible(1);
	KUNIT_EXPECT_EQ(up->test, folio_fixture_pins() - up->pins_before, pins);
}

/**
 * expect_pin_did_not_sleep() - expect a pin not to have waited
 * @up: the pages; the last pin is meant
 *
 * A pin does sleep while other CPUs drain their LRU batches; there only the time tells.
 * Where CPU time is free a tick would be too wide a window: the cleanup of earlier
 * cases may drain LRU batches within it.
 */
void expect_pin_did_not_sleep(struct user_pages *up)
{
	if (num_online_cpus() == 1)
		KUNIT_EXPECT_EQ_MSG(up->test, up->sleeps, 0, "it has gone to sleep");
	expect_pin_took(up, 0, ms_to_ktime(1));
}

/**
 * expect_pin_took() - expect a pin to have taken so long
 * @up: the pages; the last pin is meant
 * @lower: at least so long, asserted only while nobody else runs
 * @upper: at most so long, and as much longer as late_by() allows
 *
 * Else a hold may be released long before the pin begins; the case asserts
 * the order.
 */
void expect_pin_took(struct user_pages *up, ktime_t lower, ktime_t upper)
{
	ktime_t took = ktime_sub(up->ended_at, up->began_at);

	if (nobody_else_runs())
		KUNIT_EXPECT_GE(up->test, took, lower);
	KUNIT_EXPECT_LE(up->test, took, ktime_add(upper, late_by(0)));
}
