// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests for pins of pages that have to be faulted in first: faults that are to
 * be tried again, that fail, that a signal interrupts, and what is mapped without a
 * page.  The faults are those of a driver of the test's own.
 */

#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/hrtimer.h>
#include <linux/memblock.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/pagemap.h>
#include <linux/rwsem.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>
#include <linux/unistd.h>

#include "../internal.h"
#include "folio_fixture.h"
#include "page_entry.h"
#include "user_pages.h"

#define NR_PAGES	4
#define MAX_RESULTS	4

/**
 * struct odd_pages - a mapping whose pages a driver hands out when it likes to
 * @test: the running test
 * @file: what is mapped
 * @addr: where
 * @pages: what is mapped, as soon as it has been faulted in
 * @odd: at this page a fault fails first
 * @results: what the first faults there return; 0 for the page
 * @pfn: what is mapped there in place of the page, 0 for the page
 * @meanwhile: called by the first fault there, when mmap_lock has been dropped
 * @faults: faults there so far
 * @fault_flags: of these
 * @pinned: what a pin has returned in the array
 * @rc: what it has returned
 * @unlocked: it has dropped mmap_lock, which the caller held
 * @pins_before: pages that the system had pinned
 */
struct odd_pages {
	struct kunit *test;
	struct file *file;
	unsigned long addr;
	struct page *pages[NR_PAGES];
	unsigned int odd;
	vm_fault_t results[MAX_RESULTS];
	unsigned long pfn;
	void (*meanwhile)(struct odd_pages *op);
	unsigned int faults;
	unsigned int fault_flags[MAX_RESULTS + 1];
	struct page *pinned[NR_PAGES];
	long rc;
	bool unlocked;
	long pins_before;
};

/* The lock is only dropped by who may. */
static vm_fault_t drop_lock(struct odd_pages *op, struct vm_fault *vmf, vm_fault_t ret)
{
	if (!(vmf->flags & FAULT_FLAG_ALLOW_RETRY))
		return VM_FAULT_SIGBUS;
	if (vmf->flags & FAULT_FLAG_RETRY_NOWAIT)
		return ret;
	mmap_read_unlock(vmf->vma->vm_mm);
	if (op->meanwhile)
		op->meanwhile(op);
	return ret;
}

static vm_fault_t odd_fault(struct vm_fault *vmf)
{
	struct odd_pages *op = vmf->vma->vm_file->private_data;
	unsigned int n;

	if (vmf->pgoff == op->odd) {
		n = op->faults++;
		if (n < ARRAY_SIZE(op->fault_flags))
			op->fault_flags[n] = vmf->flags;
		if (n < MAX_RESULTS && op->results[n] & (VM_FAULT_RETRY | VM_FAULT_COMPLETED))
			return drop_lock(op, vmf, op->results[n]);
		if (n < MAX_RESULTS && op->results[n])
			return op->results[n];
		if (op->pfn)
			return vmf_insert_mixed(vmf->vma, vmf->address, op->pfn);
	}
	get_page(op->pages[vmf->pgoff]);
	vmf->page = op->pages[vmf->pgoff];
	return 0;
}

static const struct vm_operations_struct odd_ops = {
	.fault = odd_fault,
};

static int odd_mmap(struct file *file, struct vm_area_struct *vma)
{
	vm_flags_set(vma, VM_MIXEDMAP);
	vma->vm_ops = &odd_ops;
	return 0;
}

static const struct file_operations odd_fops = { .mmap = odd_mmap };

KUNIT_DEFINE_ACTION_WRAPPER(fput_action, __fput_sync, struct file *);

static struct odd_pages *odd_pages(struct kunit *test, unsigned int odd, int open)
{
	struct odd_pages *op = test_zalloc(test, sizeof(*op));
	unsigned int i;

	op->test = test;
	op->odd = odd;
	for (i = 0; i < NR_PAGES; i++) {
		op->pages[i] = alloc_page(GFP_KERNEL | __GFP_ZERO);
		KUNIT_ASSERT_NOT_NULL(test, op->pages[i]);
		test_folio_take(test, page_folio(op->pages[i]));
	}
	op->file = anon_inode_getfile("odd_pages", &odd_fops, op, open);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, op->file);
	test_cleanup(test, fput_action, op->file);
	op->addr = kunit_vm_mmap(test, op->file, 0, NR_PAGES * PAGE_SIZE,
				 open == O_RDWR ? PROT_READ | PROT_WRITE : PROT_READ,
				 MAP_SHARED, 0);
	KUNIT_ASSERT_NE(test, op->addr, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(op->addr));
	op->pins_before = folio_fixture_pins();
	return op;
}

/**
 * struct entry - a way into GUP
 * @name: short name without spaces, for parameter descriptions
 * @unlocks: it may drop mmap_lock, and take the fault again
 * @fault_flags: with which it takes faults, beside those that tell of that
 * @pin: pins pages from the first on
 */
struct entry {
	const char *name;
	bool unlocks;
	unsigned int fault_flags;
	void (*pin)(struct odd_pages *op, unsigned int nr, unsigned int flags);
};

static void pin_locked(struct odd_pages *op, unsigned int nr, unsigned int flags)
{
	mmap_read_lock(current->mm);
	op->rc = pin_user_pages(op->addr, nr, flags, op->pinned);
	mmap_read_unlock(current->mm);
}

static void pin_unlocked(struct odd_pages *op, unsigned int nr, unsigned int flags)
{
	op->rc = pin_user_pages_unlocked(op->addr, nr, op->pinned, flags);
}

static void pin_fast(struct odd_pages *op, unsigned int nr, unsigned int flags)
{
	op->rc = pin_user_pages_fast(op->addr, nr, flags, op->pinned);
}

static void pin_remote(struct odd_pages *op, unsigned int nr, unsigned int flags)
{
	int locked = 1;

	mmap_read_lock(current->mm);
	op->rc = pin_user_pages_remote(current->mm, op->addr, nr, flags, op->pinned,
				       &locked);
	op->unlocked = !locked;
	if (locked)
		mmap_read_unlock(current->mm);
}

/* As VFIO does. */
static void pin_remote_locked(struct odd_pages *op, unsigned int nr, unsigned int flags)
{
	mmap_read_lock(current->mm);
	op->rc = pin_user_pages_remote(current->mm, op->addr, nr, flags, op->pinned,
				       NULL);
	mmap_read_unlock(current->mm);
}

static const struct entry unlocked = { "unlocked", true, 0, pin_unlocked };
static const struct entry fast = { "fast", true, 0, pin_fast };
static const struct entry remote = { "remote", true, FAULT_FLAG_REMOTE, pin_remote };
static const struct entry locked = { "locked", false, 0, pin_locked };
static const struct entry remote_locked = {
	"remote-locked", false, FAULT_FLAG_REMOTE, pin_remote_locked,
};

static void unpin(struct odd_pages *op)
{
	if (op->rc > 0)
		unpin_user_pages(op->pinned, op->rc);
	op->rc = 0;
}

/*
 * As many pages as it says are pinned, once, and mmap_lock is held by nobody.  Unpins
 * them.
 */
static void expect_pinned_first(struct odd_pages *op, long nr)
{
	struct kunit *test = op->test;
	long i, pins;

	KUNIT_EXPECT_FALSE_MSG(test, rwsem_is_locked(&current->mm->mmap_lock),
			       "mmap_lock is still held");
	KUNIT_EXPECT_EQ(test, op->rc, nr);
	KUNIT_EXPECT_EQ(test, folio_fixture_pins() - op->pins_before, max(nr, 0L));
	for (i = 0; i < NR_PAGES; i++) {
		struct folio *folio = page_folio(op->pages[i]);

		pins = i < nr;
		KUNIT_EXPECT_EQ(test, folio_ref_count(folio),
				1 + folio_mapcount(folio) + pins * GUP_PIN_COUNTING_BIAS);
		if (pins && i < op->rc)
			KUNIT_EXPECT_PTR_EQ(test, op->pinned[i], op->pages[i]);
	}
	unpin(op);
	KUNIT_EXPECT_EQ(test, folio_fixture_pins(), op->pins_before);
}

static void expect_fault_flags(struct odd_pages *op, unsigned int n, unsigned int flags)
{
	const unsigned int known = FAULT_FLAG_WRITE | FAULT_FLAG_ALLOW_RETRY |
		FAULT_FLAG_RETRY_NOWAIT | FAULT_FLAG_KILLABLE | FAULT_FLAG_TRIED |
		FAULT_FLAG_REMOTE | FAULT_FLAG_INTERRUPTIBLE | FAULT_FLAG_UNSHARE;

	KUNIT_ASSERT_GT(op->test, op->faults, n);
	KUNIT_EXPECT_EQ_MSG(op->test, op->fault_flags[n] & known, flags, "fault %u", n);
}

/* Where the odd page is, and what its faults return. */
struct fault_param {
	const struct entry *entry;
	const char *name;
	unsigned int odd;
	unsigned int retries;
	vm_fault_t results[MAX_RESULTS];
	long rc;
};

#define RETRY		VM_FAULT_RETRY
#define COMPLETED	(VM_FAULT_COMPLETED | VM_FAULT_NOPAGE)

static const struct fault_param retries[] = {
	{ &unlocked, "first", 0, 1, { RETRY } },
	{ &unlocked, "middle", 2, 1, { RETRY } },
	{ &unlocked, "last", 3, 1, { RETRY } },
	{ &unlocked, "again", 1, 3, { RETRY, RETRY, RETRY } },
	{ &fast, "first", 0, 1, { RETRY } },
	{ &fast, "completed", 2, 1, { COMPLETED } },
	{ &fast, "last-again", 3, 2, { RETRY, COMPLETED } },
	{ &remote, "first", 0, 1, { COMPLETED } },
	{ &remote, "middle", 1, 1, { RETRY } },
	{ &remote, "last-again", 3, 2, { RETRY, RETRY } },
};

PARAM_ARRAY(retries, "%s-%s", p->entry->name, p->name);

/* A fault that dropped mmap_lock is taken again, and the pin goes on from there. */
static void retried(struct kunit *test)
{
	const struct fault_param *p = test->param_value;
	struct odd_pages *op = odd_pages(test, p->odd, O_RDWR);
	unsigned int i, flags;

	memcpy(op->results, p->results, sizeof(op->results));
	p->entry->pin(op, NR_PAGES, FOLL_WRITE | FOLL_LONGTERM);

	if (p->entry == &remote)
		KUNIT_EXPECT_TRUE(test, op->unlocked);
	expect_pinned_first(op, NR_PAGES);
	KUNIT_EXPECT_EQ(test, op->faults, p->retries + 1);
	for (i = 0; i <= p->retries; i++) {
		flags = p->entry->fault_flags | FAULT_FLAG_WRITE | FAULT_FLAG_ALLOW_RETRY |
			FAULT_FLAG_KILLABLE;
		expect_fault_flags(op, i, i ? flags | FAULT_FLAG_TRIED : flags);
	}
}

static const struct entry *const entries[] = {
	&unlocked, &fast, &remote, &locked, &remote_locked,
};

PARAM_ARRAY(entries, "%s", (*p)->name);

static const struct entry *entry_param(struct kunit *test)
{
	const struct entry *const *entry = test->param_value;

	return *entry;
}

/* Who does not let go of mmap_lock is not made to, and who may keeps it if it can. */
static void lock_is_kept(struct kunit *test)
{
	const struct entry *entry = entry_param(test);
	struct odd_pages *op = odd_pages(test, 1, O_RDWR);
	unsigned int flags = entry->fault_flags;

	if (entry->unlocks)
		flags |= FAULT_FLAG_ALLOW_RETRY | FAULT_FLAG_KILLABLE;
	entry->pin(op, NR_PAGES, FOLL_LONGTERM);
	KUNIT_EXPECT_FALSE(test, op->unlocked);
	expect_pinned_first(op, NR_PAGES);
	KUNIT_EXPECT_EQ(test, op->faults, 1);
	expect_fault_flags(op, 0, flags);
	KUNIT_EXPECT_TRUE(test, mm_flags_test(MMF_HAS_PINNED, current->mm));

	/* All are mapped now. */
	entry->pin(op, NR_PAGES, FOLL_WRITE | FOLL_LONGTERM);
	KUNIT_EXPECT_FALSE(test, op->unlocked);
	expect_pinned_first(op, NR_PAGES);
	KUNIT_EXPECT_EQ(test, op->faults, 1);
}

static const struct fault_param errors[] = {
	{ &unlocked, "sigbus", 0, 0, { VM_FAULT_SIGBUS }, -EFAULT },
	{ &unlocked, "sigbus-later", 2, 0, { VM_FAULT_SIGBUS }, 2 },
	{ &unlocked, "retry-sigbus", 0, 1, { RETRY, VM_FAULT_SIGBUS }, -EFAULT },
	{ &unlocked, "retry-sigbus-later", 2, 1, { RETRY, VM_FAULT_SIGBUS }, 2 },
	{ &unlocked, "oom", 0, 0, { VM_FAULT_OOM }, -ENOMEM },
	{ &fast, "oom", 0, 0, { VM_FAULT_OOM }, -ENOMEM },
	{ &fast, "retry-oom", 0, 1, { RETRY, VM_FAULT_OOM }, -ENOMEM },
	{ &fast, "sigsegv-later", 3, 0, { VM_FAULT_SIGSEGV }, 3 },
	{ &remote, "sigsegv", 0, 0, { VM_FAULT_SIGSEGV }, -EFAULT },
	{ &remote, "retry-oom-later", 1, 1, { RETRY, VM_FAULT_OOM }, 1 },
	{ &remote, "hwpoison", 0, 0, { VM_FAULT_HWPOISON }, -EFAULT },
	{ &locked, "oom-later", 2, 0, { VM_FAULT_OOM }, 2 },
	{ &locked, "sigbus", 0, 0, { VM_FAULT_SIGBUS }, -EFAULT },
	{ &remote_locked, "oom", 0, 0, { VM_FAULT_OOM }, -ENOMEM },
};

PARAM_ARRAY(errors, "%s-%s", p->entry->name, p->name);

/* A fault that fails ends the pin: with what there is, or with its error. */
static void fails(struct kunit *test)
{
	const struct fault_param *p = test->param_value;
	struct odd_pages *op = odd_pages(test, p->odd, O_RDWR);

	memcpy(op->results, p->results, sizeof(op->results));
	p->entry->pin(op, NR_PAGES, FOLL_WRITE | FOLL_LONGTERM);
	expect_pinned_first(op, p->rc);
	KUNIT_EXPECT_EQ(test, op->faults, p->retries + 1);

	/* The next time it goes well. */
	p->entry->pin(op, NR_PAGES, FOLL_WRITE | FOLL_LONGTERM);
	expect_pinned_first(op, NR_PAGES);
}

/* Only who asks for it is told of a memory error. */
static void hwpoison(struct kunit *test)
{
	struct odd_pages *op = odd_pages(test, 0, O_RDWR);

	op->results[0] = VM_FAULT_HWPOISON;
	op->results[1] = VM_FAULT_HWPOISON_LARGE;
	pin_unlocked(op, NR_PAGES, FOLL_WRITE | FOLL_HWPOISON);
	expect_pinned_first(op, -EHWPOISON);
	pin_unlocked(op, NR_PAGES, FOLL_WRITE | FOLL_HWPOISON);
	expect_pinned_first(op, -EHWPOISON);
}

/* Who may not wait gets what there is. */
static void nowait(struct kunit *test)
{
	struct odd_pages *op = odd_pages(test, 2, O_RDWR);
	unsigned int n;

	op->results[0] = RETRY;
	op->results[1] = RETRY;
	pin_unlocked(op, NR_PAGES, FOLL_WRITE | FOLL_NOWAIT);
	expect_pinned_first(op, 2);

	op->odd = 0;
	vm_munmap(op->addr, NR_PAGES * PAGE_SIZE);
	KUNIT_ASSERT_EQ(test, op->addr,
			vm_mmap(op->file, op->addr, NR_PAGES * PAGE_SIZE,
				PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, 0));
	pin_remote(op, NR_PAGES, FOLL_WRITE | FOLL_NOWAIT);
	KUNIT_EXPECT_FALSE(test, op->unlocked);
	expect_pinned_first(op, 0);
	KUNIT_EXPECT_EQ(test, op->faults, 2);
	for (n = 0; n < 2; n++)
		KUNIT_EXPECT_EQ(test, op->fault_flags[n] &
				(FAULT_FLAG_ALLOW_RETRY | FAULT_FLAG_RETRY_NOWAIT |
				 FAULT_FLAG_TRIED),
				FAULT_FLAG_ALLOW_RETRY | FAULT_FLAG_RETRY_NOWAIT);
}

/* Who may not fault gets what is mapped. */
static void nofault(struct kunit *test)
{
	const struct entry *entry = entry_param(test);
	struct odd_pages *op = odd_pages(test, 0, O_RDWR);

	entry->pin(op, NR_PAGES, FOLL_NOFAULT);
	expect_pinned_first(op, -EFAULT);
	KUNIT_EXPECT_EQ(test, op->faults, 0);

	entry->pin(op, 2, 0);
	expect_pinned_first(op, 2);
	entry->pin(op, NR_PAGES, FOLL_NOFAULT);
	expect_pinned_first(op, 2);
	KUNIT_EXPECT_EQ(test, op->faults, 1);
}

static void signal_self(int sig, bool fatal)
{
	unsigned long flags;

	if (!WARN_ON(!lock_task_sighand(current, &flags))) {
		sigaddset(&current->pending.signal, sig);
		signal_wake_up(current, fatal);
		unlock_task_sighand(current, &flags);
	}
}

static void killed(struct odd_pages *op)
{
	signal_self(SIGKILL, true);
}

static void interrupted(struct odd_pages *op)
{
	signal_self(SIGUSR1, false);
}

static const struct fault_param killings[] = {
	{ &unlocked, "first", 0, 0, { RETRY }, -EINTR },
	{ &unlocked, "later", 2, 0, { RETRY }, 2 },
	{ &fast, "first", 0, 0, { RETRY }, -EINTR },
	{ &remote, "later", 3, 0, { RETRY }, 3 },
};

PARAM_ARRAY(killings, "%s-%s", p->entry->name, p->name);

/* Who is killed meanwhile does not fault again. */
static void killed_in_fault(struct kunit *test)
{
	const struct fault_param *p = test->param_value;
	struct odd_pages *op = odd_pages(test, p->odd, O_RDWR);

	op->results[0] = RETRY;
	op->meanwhile = killed;
	p->entry->pin(op, NR_PAGES, FOLL_WRITE | FOLL_LONGTERM);
	flush_signals(current);
	expect_pinned_first(op, p->rc);
	KUNIT_EXPECT_EQ(test, op->faults, 1);
}

/* Other signals end the pin of who asks for it. */
static void interrupted_in_fault(struct kunit *test)
{
	struct odd_pages *op = odd_pages(test, 1, O_RDWR);

	op->results[0] = RETRY;
	op->results[1] = RETRY;
	op->meanwhile = interrupted;
	pin_unlocked(op, NR_PAGES, FOLL_WRITE | FOLL_INTERRUPTIBLE);
	flush_signals(current);
	expect_pinned_first(op, 1);
	expect_fault_flags(op, 0, FAULT_FLAG_WRITE | FAULT_FLAG_ALLOW_RETRY |
			   FAULT_FLAG_KILLABLE | FAULT_FLAG_INTERRUPTIBLE);

	pin_unlocked(op, NR_PAGES, FOLL_WRITE);
	flush_signals(current);
	expect_pinned_first(op, NR_PAGES);
	KUNIT_EXPECT_EQ(test, op->faults, 3);
}

/**
 * struct lock_writer - has mmap_lock while a pin wants it back
 * @mm: whose
 * @has: complete when it has the lock
 * @go: complete when it is to give it back
 */
struct lock_writer {
	struct mm_struct *mm;
	struct completion has;
	struct completion go;
};

static struct lock_writer *the_writer;

static int lock_writer_fn(void *data)
{
	struct lock_writer *w = data;

	mmap_write_lock(w->mm);
	complete_all(&w->has);
	wait_for_completion_timeout(&w->go, HOLD_AT_MOST);
	mmap_write_unlock(w->mm);
	return 0;
}

static int killer_fn(void *data)
{
	struct task_struct *victim = data;
	unsigned long flags;

	/* It sleeps, or will. */
	schedule_timeout_uninterruptible(msecs_to_jiffies(100));
	if (!WARN_ON(!lock_task_sighand(victim, &flags))) {
		sigaddset(&victim->pending.signal, SIGKILL);
		signal_wake_up(victim, true);
		unlock_task_sighand(victim, &flags);
	}
	return 0;
}

static void lose_lock(struct odd_pages *op)
{
	struct kunit *test = op->test;

	test_thread(test, lock_writer_fn, the_writer, "lock_writer");
	wait_for_completion(&the_writer->has);
	test_thread(test, killer_fn, current, "killer");
}

/* Who is killed while it waits for mmap_lock does not have it. */
static void killed_in_wait(struct kunit *test)
{
	const struct fault_param *p = test->param_value;
	struct odd_pages *op = odd_pages(test, p->odd, O_RDWR);

	the_writer = test_zalloc(test, sizeof(*the_writer));
	the_writer->mm = current->mm;
	init_completion(&the_writer->has);
	init_completion(&the_writer->go);
	op->results[0] = RETRY;
	op->meanwhile = lose_lock;
	p->entry->pin(op, NR_PAGES, FOLL_WRITE | FOLL_LONGTERM);
	complete_all(&the_writer->go);
	flush_signals(current);
	schedule_timeout_uninterruptible(2);

	if (p->entry == &remote)
		KUNIT_EXPECT_TRUE(test, op->unlocked);
	expect_pinned_first(op, p->rc);
	KUNIT_EXPECT_EQ(test, op->faults, 1);
}

/* The bits of a page table entry that tell of its use. */
static void pte_used(struct odd_pages *op, unsigned int i, bool clear,
		     bool *young, bool *dirty)
{
	const unsigned long addr = op->addr + i * PAGE_SIZE;
	struct mm_struct *mm = current->mm;
	spinlock_t *ptl = NULL;
	pte_t *ptep, pte;

	mmap_read_lock(mm);
	ptep = get_locked_pte(mm, addr, &ptl);
	if (ptep) {
		pte = ptep_get(ptep);
		*young = pte_young(pte);
		*dirty = pte_dirty(pte);
		if (clear)
			set_pte_at(mm, addr, ptep, pte_mkold(pte_mkclean(pte)));
		pte_unmap_unlock(ptep, ptl);
	}
	mmap_read_unlock(mm);
	KUNIT_ASSERT_NOT_NULL(op->test, ptep);
}

/* Memory without a struct page. */
static unsigned long pageless_pfn(void)
{
	unsigned long pfn = max_pfn;

	while (pfn_valid(pfn))
		pfn++;
	return pfn;
}

/* What has no struct page is not pinned, though it is mapped. */
static void no_page(struct kunit *test)
{
	const struct entry *entry = entry_param(test);
	/* All but pin_user_pages() say that it has been touched. */
	const bool touches = entry != &locked;
	struct odd_pages *op = odd_pages(test, 2, O_RDWR);
	bool young = false, dirty = false;

	op->pfn = pageless_pfn();
	entry->pin(op, NR_PAGES, FOLL_WRITE | FOLL_LONGTERM);
	expect_pinned_first(op, 2);

	op->addr += 2 * PAGE_SIZE;
	op->pinned[0] = NULL;
	pte_used(op, 0, true, &young, &dirty);
	entry->pin(op, 1, FOLL_LONGTERM);
	KUNIT_EXPECT_EQ(test, op->rc, -EEXIST);
	pte_used(op, 0, true, &young, &dirty);
	KUNIT_EXPECT_EQ(test, young, touches);
	KUNIT_EXPECT_FALSE(test, dirty);
	entry->pin(op, 1, FOLL_WRITE | FOLL_LONGTERM);
	KUNIT_EXPECT_EQ(test, op->rc, -EEXIST);
	pte_used(op, 0, true, &young, &dirty);
	KUNIT_EXPECT_EQ(test, young, touches);
	KUNIT_EXPECT_EQ(test, dirty, touches);
	KUNIT_EXPECT_NULL(test, op->pinned[0]);
	op->addr -= 2 * PAGE_SIZE;
	expect_pinned_first(op, -EEXIST);
}

/*
 * The zero page in a mapping that is never written to is pinned where it is, also if
 * that is ZONE_MOVABLE, as with kernelcore=.
 */
static void zero_page_in_movable(struct kunit *test)
{
	const struct entry *entry = entry_param(test);
	struct page *zero = ZERO_PAGE(0);
	const enum zone_type zone = page_zonenum(zero);
	struct odd_pages *op;
	const int refs = page_ref_count(zero);
	bool pinnable;

	if (IS_ENABLED(CONFIG_DEBUG_VM) && IS_ENABLED(CONFIG_CMA))
		kunit_skip(test, "the kernel checks whether a page lies in its zone");
	op = odd_pages(test, 1, O_RDONLY);
	op->pfn = page_to_pfn(zero);
	set_page_zone(zero, ZONE_MOVABLE);
	/* Or else the pin tries to move it for ever. */
	pinnable = folio_is_longterm_pinnable(page_folio(zero));
	if (pinnable)
		entry->pin(op, NR_PAGES, FOLL_LONGTERM);
	set_page_zone(zero, zone);
	KUNIT_ASSERT_TRUE(test, pinnable);

	KUNIT_EXPECT_EQ(test, op->rc, NR_PAGES);
	KUNIT_EXPECT_PTR_EQ(test, op->pinned[1], zero);
	KUNIT_EXPECT_EQ(test, page_ref_count(zero), refs);
	KUNIT_EXPECT_EQ(test, folio_fixture_pins() - op->pins_before, NR_PAGES - 1);
	unpin(op);
	KUNIT_EXPECT_EQ(test, page_ref_count(zero), refs);
	KUNIT_EXPECT_EQ(test, folio_fixture_pins(), op->pins_before);
}

/**
 * struct fault_in - has pages of the user faulted in, for who cannot sleep later on
 * @name: short name without spaces, for parameter descriptions
 * @run: does it, returns the number of bytes that it could not
 * @writes: for writing
 * @destroys: what is there becomes 0
 */
struct fault_in {
	const char *name;
	size_t (*run)(char __user *uaddr, size_t size);
	bool writes;
	bool destroys;
};

static size_t readable(char __user *uaddr, size_t size)
{
	return fault_in_readable(uaddr, size);
}

static size_t safe_writeable(char __user *uaddr, size_t size)
{
	return fault_in_safe_writeable(uaddr, size);
}

static const struct fault_in fault_ins[] = {
	{ "readable", readable },
	{ "writeable", fault_in_writeable, true, true },
	{ "subpage-writeable", fault_in_subpage_writeable, true, true },
	{ "safe-writeable", safe_writeable, true },
};

PARAM_ARRAY(fault_ins, "%s", p->name);

/* Where in its page a range begins, and ends. */
#define PART		100

/* All pages of a range are there, or it is told how many bytes are behind the last one. */
static void faulted_in(struct kunit *test)
{
	const struct fault_in *f = test->param_value;
	struct user_pages *up = user_pages_map(test, &user_memory_anon, NR_PAGES);
	char __user *from = (char __user *)up->addr + PART;
	const size_t size = 2 * PAGE_SIZE;
	u8 data = 1;
	unsigned int i;

	KUNIT_EXPECT_EQ(test, f->run(from, 0), 0);
	KUNIT_EXPECT_NULL(test, user_pages_folio(up, 0));
	KUNIT_EXPECT_EQ(test, f->run(from, size), 0);
	for (i = 0; i < NR_PAGES; i++)
		KUNIT_EXPECT_EQ_MSG(test, !!user_pages_folio(up, i), i < 3, "page %u", i);

	KUNIT_ASSERT_EQ(test, 0, copy_to_user(from, &data, 1));
	KUNIT_EXPECT_EQ(test, f->run(from, 1), 0);
	KUNIT_ASSERT_EQ(test, 0, copy_from_user(&data, from, 1));
	KUNIT_EXPECT_EQ(test, data, !f->destroys);

	KUNIT_ASSERT_EQ(test, 0, vm_munmap(up->addr + size, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, f->run(from, size), PART);
	KUNIT_EXPECT_EQ(test, f->run(from + size, PART), PART);
	KUNIT_ASSERT_EQ(test, 0, test_syscall(__NR_mprotect, up->addr, PAGE_SIZE, PROT_READ));
	KUNIT_EXPECT_EQ(test, f->run(from, size - PART), f->writes ? size - PART : 0);
}

static const bool to_write[] = { false, true };

PARAM_ARRAY(to_write, "%s", *p ? "write" : "read");

/* MADV_POPULATE_READ and _WRITE fault in all of a range, or say why they do not. */
static void populated(struct kunit *test)
{
	const bool *writes = test->param_value;
	const int advice = *writes ? MADV_POPULATE_WRITE : MADV_POPULATE_READ;
	struct user_pages *up = user_pages_map(test, &user_memory_anon, NR_PAGES);
	const size_t size = NR_PAGES * PAGE_SIZE;
	unsigned int i;

	KUNIT_EXPECT_EQ(test, 0, do_madvise(current->mm, up->addr, size, advice));
	for (i = 0; i < NR_PAGES; i++) {
		KUNIT_EXPECT_EQ_MSG(test, !!(entry_state(test, up->addr + i * PAGE_SIZE) &
					     ENTRY_WRITE), *writes, "page %u", i);
		KUNIT_EXPECT_NOT_NULL(test, user_pages_folio(up, i));
	}

	KUNIT_ASSERT_EQ(test, 0, test_syscall(__NR_mprotect, up->addr, PAGE_SIZE, PROT_READ));
	KUNIT_EXPECT_EQ(test, do_madvise(current->mm, up->addr, size, advice),
			*writes ? -EINVAL : 0);
	KUNIT_ASSERT_EQ(test, 0, test_syscall(__NR_mprotect, up->addr, PAGE_SIZE, PROT_NONE));
	KUNIT_EXPECT_EQ(test, -EINVAL, do_madvise(current->mm, up->addr, size, advice));
	KUNIT_ASSERT_EQ(test, 0, vm_munmap(up->addr, PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, -ENOMEM, do_madvise(current->mm, up->addr, size, advice));

	/* Nothing is behind the end of a file. */
	up = user_pages_map(test, &user_memory_memfd, NR_PAGES);
	KUNIT_ASSERT_EQ(test, 0, vfs_truncate(&up->file->f_path, size - PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, -EFAULT, do_madvise(current->mm, up->addr, size, advice));
	KUNIT_EXPECT_EQ(test, 0, do_madvise(current->mm, up->addr, size - PAGE_SIZE, advice));
}

static struct kunit_case pin_faults_cases[] = {
	KUNIT_CASE_PARAM_ARRAY(retried, retries),
	KUNIT_CASE_PARAM_ARRAY(lock_is_kept, entries),
	KUNIT_CASE_PARAM_ARRAY(fails, errors),
	KUNIT_CASE(hwpoison),
	KUNIT_CASE(nowait),
	KUNIT_CASE_PARAM_ARRAY(nofault, entries),
	KUNIT_CASE_PARAM_ARRAY(killed_in_fault, killings),
	KUNIT_CASE(interrupted_in_fault),
	KUNIT_CASE_PARAM_ARRAY(killed_in_wait, killings),
	KUNIT_CASE_PARAM_ARRAY(no_page, entries),
	KUNIT_CASE_PARAM_ARRAY(zero_page_in_movable, entries),
	KUNIT_CASE_PARAM_ARRAY(faulted_in, fault_ins),
	KUNIT_CASE_PARAM_ARRAY(populated, to_write),
	{}
};

static struct kunit_suite pin_faults_suite = {
	.name = "pin_faults",
	.init = folio_fixture_init,
	.test_cases = pin_faults_cases,
};

kunit_test_suite(pin_faults_suite);

MODULE_DESCRIPTION("KUnit tests for pins of pages that have to be faulted in");
MODULE_LICENSE("GPL");
