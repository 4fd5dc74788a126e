// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests for the fast way to pin user pages, which takes no lock: when it does
 * the work, and what it leaves to the slow one.
 *
 * mmap_lock tells them apart.  While another task holds it for writing the slow way
 * waits.  What neither way may have is refused by both.
 */

#include <linux/anon_inodes.h>
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/hugetlb.h>
#include <linux/mman.h>
#include <linux/mmap_lock.h>
#include <linux/pagemap.h>
#include <linux/pgtable.h>
#include <linux/seqlock.h>
#include <linux/set_memory.h>
#include <linux/swap.h>
#include <linux/uaccess.h>

#include "folio_fixture.h"
#include "probe.h"
#include "user_pages.h"

#define NR_PAGES	4

/* How long a task that needs no lock may take, in ticks. */
#define UNLOCKED_AT_MOST	HZ

/* What is special about the pages. */
enum {
	OUTSIDE = BIT(0),	/* they lie where longterm pins may be */
	UNTOUCHED = BIT(1),	/* nobody has faulted them in */
	SHARED = BIT(2),	/* a child process maps them as well */
	FORKING = BIT(3),	/* the mm is being copied */
	READ_ONLY = BIT(4),	/* they are pinned for reading */
	TRACKED = BIT(5),	/* their file has to be told who writes */
};

struct fast_param {
	const char *name;
	const struct user_memory *memory;
	unsigned int gup_flags;
	unsigned int how;
	bool fast;
};

static const struct fast_param params[] = {
	{ "short", &user_memory_anon, 0, 0, true },
	{ "short-untouched", &user_memory_anon, 0, UNTOUCHED, false },
	{ "short-forking", &user_memory_anon, 0, FORKING, false },
	{ "short-shared", &user_memory_anon, 0, SHARED | READ_ONLY, false },
	{ "short-shared-file", &user_memory_shmem, 0, SHARED, true },
	{ "movable", &user_memory_anon, FOLL_LONGTERM, 0, false },
	{ "outside", &user_memory_anon, FOLL_LONGTERM, OUTSIDE, true },
	{ "outside-memfd", &user_memory_memfd, FOLL_LONGTERM, OUTSIDE, true },
	{ "outside-tracked", &user_memory_memfd, FOLL_LONGTERM, OUTSIDE | TRACKED, false },
	{ "outside-to-read", &user_memory_anon, FOLL_LONGTERM, OUTSIDE | READ_ONLY, true },
#ifdef CONFIG_TRANSPARENT_HUGEPAGE
	{ "thp-movable", &user_memory_thp, FOLL_LONGTERM, 0, false },
	{ "thp-outside", &user_memory_thp, FOLL_LONGTERM, OUTSIDE, true },
	{ "huge-memfd", &user_memory_memfd_huge, FOLL_LONGTERM, OUTSIDE, true },
	{ "huge-tracked", &user_memory_memfd_huge, FOLL_LONGTERM, OUTSIDE | TRACKED, false },
	{ "huge-tracked-to-read", &user_memory_memfd_huge, FOLL_LONGTERM,
	  OUTSIDE | TRACKED | READ_ONLY, true },
#endif
#ifdef CONFIG_HUGETLB_PAGE
	{ "hugetlb-movable", &user_memory_hugetlb, FOLL_LONGTERM, 0, false },
	{ "hugetlb-outside", &user_memory_hugetlb, FOLL_LONGTERM, OUTSIDE, true },
#endif
#ifdef CONFIG_CMA
	{ "cma", &user_memory_cma, FOLL_LONGTERM, 0, false },
#endif
};

PARAM_ARRAY(params, "%s", p->name);

struct pinner {
	const struct fast_param *param;
	struct user_pages *up;
	struct completion done;
};

static void pin(struct user_pages *up, const struct fast_param *p)
{
	if (p->how & READ_ONLY)
		user_pages_pin_read_only(up, &pin_way_try_fast, p->gup_flags);
	else
		user_pages_pin(up, &pin_way_try_fast, p->gup_flags);
}

static void pinner_fn(struct test_task *task)
{
	struct pinner *pinner = task->data;

	test_task_await_go(task);
	pin(pinner->up, pinner->param);
	complete_all(&pinner->done);
}

static struct user_pages *make_pages(struct kunit *test, const struct fast_param *p)
{
	const unsigned int nr = max(NR_PAGES, 1 << p->memory->order);
	struct user_pages *up;

	if (p->how & UNTOUCHED)
		return user_pages_map(test, p->memory, nr);
	up = user_pages_make(test, p->memory, nr);
	if (p->how & OUTSIDE) {
		user_pages_pin(up, &pin_way_unlocked, FOLL_LONGTERM);
		KUNIT_ASSERT_EQ(test, up->rc, nr);
		user_pages_unpin(up);
	}
	if (p->how & TRACKED)
		user_pages_track_dirty(up);
	if (p->how & SHARED)
		test_task_start(test, test_task_await_go, NULL, 0);
	return up;
}

/* Pins beside a writer; returns whether that could be done before it was over. */
static bool pin_beside_writer(struct kunit *test, struct pinner *pinner)
{
	const bool forking = pinner->param->how & FORKING;
	struct mm_struct *mm = current->mm;
	struct test_task *task;
	bool done;

	init_completion(&pinner->done);
	task = test_task_start(test, pinner_fn, pinner, CLONE_VM);
	mmap_write_lock(mm);
	/* As copy_page_range() does. */
	if (forking)
		raw_write_seqcount_begin(&mm->write_protect_seq);
	test_task_go(task);
	done = wait_for_completion_timeout(&pinner->done, UNLOCKED_AT_MOST);
	if (forking)
		raw_write_seqcount_end(&mm->write_protect_seq);
	mmap_write_unlock(mm);
	wait_for_completion(&pinner->done);
	return done;
}

/* Needs no lock for pages that are mapped and may stay, and pins the same as ever. */
static void needs_no_lock(struct kunit *test)
{
	const struct fast_param *p = test->param_value;
	struct pinner pinner = { .param = p, .up = make_pages(test, p) };
	struct user_pages *up = pinner.up;
	unsigned int i;

	KUNIT_EXPECT_EQ(test, pin_beside_writer(test, &pinner), p->fast);

	KUNIT_EXPECT_EQ(test, up->rc, up->nr);
	expect_pins(up, up->nr);
	for (i = 0; i < up->rc; i++) {
		struct folio *folio = page_folio(up->pages[i]);

		KUNIT_EXPECT_PTR_EQ(test, folio, user_pages_folio(up, i));
		KUNIT_EXPECT_TRUE(test, folio_maybe_dma_pinned(folio));
	}
	if (p->gup_flags & FOLL_LONGTERM)
		expect_pinned(up);
	expect_unpins(up);
}

/* What the fast way has pinned stays, and the slow way pins the rest. */
static void leaves_rest_to_slow_way(struct kunit *test)
{
	struct user_pages *up = user_pages_make(test, &user_memory_anon, NR_PAGES);
	struct folio *folios[NR_PAGES / 2];
	struct page *pages[NR_PAGES / 2];
	unsigned int i;

	KUNIT_ASSERT_EQ(test, NR_PAGES / 2,
			pin_user_pages_unlocked(up->addr, NR_PAGES / 2, pages,
						FOLL_WRITE | FOLL_LONGTERM));
	for (i = 0; i < NR_PAGES / 2; i++)
		folios[i] = page_folio(pages[i]);
	unpin_user_pages(pages, NR_PAGES / 2);
	user_pages_pin(up, &pin_way_try_fast, FOLL_LONGTERM);

	expect_pinned(up);
	for (i = 0; i < NR_PAGES / 2; i++)
		KUNIT_EXPECT_PTR_EQ(test, user_pages_folio(up, i), folios[i]);
	expect_unpins(up);
}

static int get_fast_only(struct kunit *test, unsigned long addr, unsigned int nr,
			 struct page **pages)
{
	int rc = get_user_pages_fast_only(addr, nr, FOLL_WRITE, pages);
	int i;

	for (i = 0; i < rc; i++)
		test_folio_take(test, page_folio(pages[i]));
	return rc;
}

/* Without the slow way there is no more than what comes before the first gap. */
static void fast_only(struct kunit *test)
{
	struct user_pages *up = user_pages_map(test, &user_memory_anon, NR_PAGES);
	struct page *pages[NR_PAGES];
	int rc, i;

	KUNIT_EXPECT_EQ(test, 0, get_user_pages_fast_only(up->addr, NR_PAGES,
							  FOLL_WRITE, pages));
	for (i = 0; i < NR_PAGES; i++)
		if (i != NR_PAGES / 2)
			user_pages_write(up, i, 0xa5);

	rc = get_fast_only(test, up->addr, NR_PAGES, pages);
	KUNIT_EXPECT_EQ(test, rc, NR_PAGES / 2);
	for (i = 0; i < rc; i++)
		KUNIT_EXPECT_PTR_EQ(test, page_folio(pages[i]), user_pages_folio(up, i));
	KUNIT_EXPECT_NULL(test, user_pages_folio(up, NR_PAGES / 2));
}

/* How much of the address space one table of each level is for. */
static const unsigned long spans[] = { PMD_SIZE, PUD_SIZE, P4D_SIZE };

PARAM_ARRAY(spans, "%luM", *p >> 20);

/* From one table it goes on to the next, if there is one. */
static void across_tables(struct kunit *test)
{
	const unsigned long *span = test->param_value;
	struct user_pages *up = user_pages_make(test, &user_memory_anon, NR_PAGES);
	const unsigned long behind = ALIGN_DOWN(up->addr, *span);
	const unsigned long half = NR_PAGES / 2 * PAGE_SIZE;
	struct page *pages[NR_PAGES];
	int i;

	KUNIT_ASSERT_EQ(test, behind - half,
			test_syscall(__NR_mremap, up->addr, 2 * half, 2 * half,
				     MREMAP_MAYMOVE | MREMAP_FIXED, behind - half));
	up->addr = behind - half;
	KUNIT_ASSERT_EQ(test, NR_PAGES, get_fast_only(test, up->addr, NR_PAGES, pages));
	for (i = 0; i < NR_PAGES; i++)
		KUNIT_EXPECT_PTR_EQ(test, page_folio(pages[i]), user_pages_folio(up, i));

	KUNIT_ASSERT_EQ(test, 0, vm_munmap(behind, half));
	KUNIT_EXPECT_EQ(test, NR_PAGES / 2, get_fast_only(test, up->addr, NR_PAGES, pages));
	KUNIT_EXPECT_EQ(test, 0, get_fast_only(test, behind, NR_PAGES / 2, pages));
	KUNIT_EXPECT_PTR_EQ(test, page_folio(pages[0]), user_pages_folio(up, 0));
}

#if defined(HAVE_TEST_PROBES) && defined(CONFIG_X86_64)
/* What changes between the look at an entry and the reference on its page. */
enum change {
	ENTRY,		/* the entry, of a page or a huge page */
	TABLE,		/* that of the table it is in */
	FORK,		/* nothing there, but the mm begins to be copied */
	GONE,		/* the table is gone when it is to be looked at */
};

/**
 * struct change_param - pages, and what changes
 * @name: short name without spaces
 * @memory: the kind of memory
 * @change: what changes
 */
struct change_param {
	const char *name;
	const struct user_memory *memory;
	enum change change;
};

static const struct change_param changes[] = {
	{ "entry", &user_memory_anon, ENTRY },
	{ "table", &user_memory_anon, TABLE },
	{ "fork", &user_memory_anon, FORK },
	{ "gone", &user_memory_anon, GONE },
#ifdef CONFIG_TRANSPARENT_HUGEPAGE
	{ "thp-entry", &user_memory_thp, ENTRY },
	{ "thp-fork", &user_memory_thp, FORK },
#endif
#ifdef CONFIG_HUGETLB_PAGE
	{ "hugetlb-entry", &user_memory_hugetlb, ENTRY },
	{ "hugetlb-fork", &user_memory_hugetlb, FORK },
#endif
};

PARAM_ARRAY(changes, "%s", p->name);

/**
 * struct meanwhile - where something changes, once
 * @point: before fast GUP takes the reference, without interrupts
 * @mm: whose pages it takes
 * @addr: the address of the first
 * @change: what changes
 * @armed: it has not yet
 */
struct meanwhile {
	struct kprobe point;
	struct mm_struct *mm;
	unsigned long addr;
	const struct change_param *change;
	bool armed;
};

/* Nobody else looks at these tables, and an access may change this bit at any time. */
static void use_entry(struct meanwhile *mw)
{
	pmd_t *pmdp = pmd_off(mw->mm, mw->addr);

	if (mw->change->change == TABLE || mw->change->memory->order) {
		set_pmd(pmdp, __pmd(pmd_val(*pmdp) ^ _PAGE_ACCESSED));
	} else {
		pte_t *ptep = pte_offset_kernel(pmdp, mw->addr);

		set_pte(ptep, __pte(pte_val(*ptep) ^ _PAGE_ACCESSED));
	}
}

static int meanwhile(struct kprobe *point, struct pt_regs *regs)
{
	struct meanwhile *mw = container_of(point, struct meanwhile, point);

	if (current->mm != mw->mm || !mw->armed)
		return 0;
	mw->armed = false;
	if (mw->change->change == GONE)
		return test_probe_returns(regs, 0);
	if (mw->change->change == FORK) {
		raw_write_seqcount_begin(&mw->mm->write_protect_seq);
		raw_write_seqcount_end(&mw->mm->write_protect_seq);
	} else {
		use_entry(mw);
	}
	return 0;
}

static struct meanwhile *meanwhile_probe(struct kunit *test, struct user_pages *up)
{
	struct meanwhile *mw = test_zalloc(test, sizeof(*mw));
	const char *function;
	int rc;

	mw->mm = current->mm;
	mw->addr = up->addr;
	mw->change = test->param_value;
	function = mw->change->change == GONE ? "__pte_offset_map" : "try_grab_folio_fast";
	rc = test_probe(test, &mw->point, function, meanwhile);
	/* Only this one is static: the compiler may do without it. */
	if (rc == -ENOENT && mw->change->change != GONE)
		kunit_skip(test, "the compiler has inlined try_grab_folio_fast()");
	KUNIT_ASSERT_EQ(test, rc, 0);
	return mw;
}

/* What has been taken while something changed is given back, and the slow way does it again. */
static void changes_meanwhile(struct kunit *test)
{
	const struct change_param *p = test->param_value;
	const unsigned int nr = max(NR_PAGES, 1 << p->memory->order);
	struct user_pages *up = user_pages_make(test, p->memory, nr);
	struct folio *folio = user_pages_folio(up, 0);
	struct meanwhile *mw = meanwhile_probe(test, up);
	const bool forks = p->change == FORK;
	const int per_entry = p->memory->order ? nr : 1;
	long unpinned;
	int rc, i, refs;

	lru_add_drain_all();
	refs = folio_ref_count(folio);
	/* A mere reference does not mind a fork. */
	mw->armed = true;
	rc = get_user_pages_fast_only(up->addr, nr, FOLL_WRITE, up->pages);
	KUNIT_EXPECT_FALSE(test, mw->armed);
	KUNIT_EXPECT_EQ(test, rc, forks ? nr : 0);
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), refs + (forks ? per_entry : 0));
	for (i = 0; i < rc; i++)
		put_page(up->pages[i]);

	unpinned = folio_fixture_unpinned();
	mw->armed = true;
	user_pages_pin(up, &pin_way_try_fast, 0);
	KUNIT_EXPECT_FALSE(test, mw->armed);
	KUNIT_EXPECT_EQ(test, up->rc, nr);
	/* An entry that has changed is the first one. */
	KUNIT_EXPECT_EQ(test, folio_fixture_unpinned() - unpinned,
			forks ? nr : p->change == GONE ? 0 : per_entry);
	expect_pins(up, nr);
	for (i = 0; i < up->rc; i++)
		KUNIT_EXPECT_PTR_EQ(test, page_folio(up->pages[i]), user_pages_folio(up, i));
	user_pages_unpin(up);
	expect_pins(up, 0);
	lru_add_drain_all();
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), refs);
	KUNIT_EXPECT_EQ(test, nr, get_user_pages_fast_only(up->addr, nr, FOLL_WRITE, up->pages));
	for (i = 0; i < nr; i++)
		put_page(up->pages[i]);
}
#endif

#if defined(HAVE_TEST_WATCH) && defined(CONFIG_TRANSPARENT_HUGEPAGE)
/**
 * struct leaving_page - a page that leaves its folio as soon as that gets another reference
 * @watch: the folio's references
 * @page: the page
 * @tie: what ties it to the folio
 */
struct leaving_page {
	struct test_watch watch;
	struct page *page;
	unsigned long tie;
};

static void leave(struct test_watch *watch)
{
	struct leaving_page *leaving = container_of(watch, struct leaving_page, watch);

	if (watch->writes == 1)
		WRITE_ONCE(leaving->page->compound_info, 0);
}

/* A folio that is split while the fast way takes it is not that of the page any more. */
static void splits_meanwhile(struct kunit *test)
{
	struct user_pages *up = user_pages_make(test, &user_memory_thp, HPAGE_PMD_NR);
	const unsigned long addr = up->addr + NR_PAGES * PAGE_SIZE;
	struct leaving_page *leaving = test_zalloc(test, sizeof(*leaving));
	struct folio *folio = user_pages_folio(up, 0);
	struct page *page = folio_page(folio, NR_PAGES), *found;
	int rc, refs;

	lru_add_drain_all();
	refs = folio_ref_count(folio);
	leaving->page = page;
	leaving->tie = page->compound_info;
	test_watch(test, &leaving->watch, &folio->_refcount, sizeof(int), leave);
	rc = get_user_pages_fast_only(addr, 1, FOLL_WRITE, &found);
	test_watch_end(test, &leaving->watch);
	WRITE_ONCE(page->compound_info, leaving->tie);
	KUNIT_ASSERT_GE(test, leaving->watch.writes, 1);

	/* Nobody has a reference on the page by itself yet. */
	KUNIT_EXPECT_EQ(test, rc, 0);
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), refs);
	KUNIT_ASSERT_EQ(test, 1, get_user_pages_fast_only(addr, 1, FOLL_WRITE, &found));
	KUNIT_EXPECT_PTR_EQ(test, found, page);
	put_page(found);
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), refs);
}
#endif

/* The user has read these pages of a private file, and not written to them. */
static void read_before(struct kunit *test)
{
	struct user_pages *up = user_pages_map(test, &user_memory_private, NR_PAGES);
	unsigned int i;
	u8 found;

	/* Where longterm pins may be: that is no reason to leave them. */
	mapping_set_gfp_mask(up->file->f_mapping, GFP_USER);
	user_pages_fill(up, NR_PAGES);
	for (i = 0; i < NR_PAGES; i++) {
		KUNIT_ASSERT_EQ(test, 0, copy_from_user(&found, (void __user *)
						       (up->addr + i * PAGE_SIZE), 1));
		KUNIT_ASSERT_FALSE(test, folio_is_zone_movable(user_pages_folio(up, i)));
	}

	/* Without the mapping at hand nothing can be copied, which takes the slow way. */
	user_pages_pin_read_only(up, &pin_way_try_fast, FOLL_LONGTERM);
	expect_pinned(up);
	for (i = 0; i < up->rc; i++)
		KUNIT_EXPECT_TRUE(test, PageAnon(up->pages[i]));
	expect_unpins(up);
}

static void page_release(void *data)
{
	struct page *page = data;

	page->mapping = NULL;
	put_page(page);
}

KUNIT_DEFINE_ACTION_WRAPPER(fput_action, __fput_sync, struct file *);

/* A page of the user, which the file of @fops has. */
static struct user_pages *map_file(struct kunit *test, const struct file_operations *fops)
{
	struct page *page = alloc_page(GFP_USER | __GFP_ZERO);
	struct user_pages *up;
	struct file *file;

	KUNIT_ASSERT_NOT_NULL(test, page);
	/* Before the mapping is made: it has to go first. */
	test_cleanup(test, page_release, page);
	file = anon_inode_getfile("gup_fast", fops, page, O_RDWR);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, file);
	test_cleanup(test, fput_action, file);

	up = user_pages_map(test, &user_memory_anon, 1);
	KUNIT_ASSERT_EQ(test, up->addr, vm_mmap(file, up->addr, PAGE_SIZE,
						PROT_READ | PROT_WRITE,
						MAP_FIXED | MAP_SHARED, 0));
	user_pages_write(up, 0, 0);
	KUNIT_ASSERT_PTR_EQ(test, user_pages_folio(up, 0), page_folio(page));
	return up;
}

/* Whether the page is pinned, and needs no lock for that. */
static void expect_page_of_file(struct user_pages *up, unsigned int gup_flags,
				unsigned int how, long rc, bool fast)
{
	const struct fast_param param = { .gup_flags = gup_flags, .how = how };
	struct pinner pinner = { .param = &param, .up = up };
	struct folio *folio = user_pages_folio(up, 0);
	const int refs = folio_ref_count(folio);
	struct kunit *test = up->test;

	KUNIT_EXPECT_EQ(test, pin_beside_writer(test, &pinner), fast);
	KUNIT_EXPECT_EQ_MSG(test, up->rc, rc, "flags %x", gup_flags);
	if (up->rc > 0)
		KUNIT_EXPECT_PTR_EQ(test, page_folio(up->pages[0]), folio);
	KUNIT_EXPECT_EQ(test, folio_maybe_dma_pinned(folio), rc > 0);
	expect_pins(up, max(rc, 0L));
	user_pages_unpin(up);
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), refs);
	expect_pins(up, 0);
}

static int map_inserted(struct file *file, struct vm_area_struct *vma)
{
	return vm_insert_page(vma, vma->vm_start, file->private_data);
}

static const struct file_operations inserted_fops = { .mmap = map_inserted };

/* As drivers do: nothing tells to what file the page belongs. */
static void no_mapping(struct kunit *test)
{
	struct user_pages *up = map_file(test, &inserted_fops);

	KUNIT_ASSERT_NULL(test, user_pages_folio(up, 0)->mapping);
	expect_page_of_file(up, 0, 0, 1, true);
	expect_page_of_file(up, 0, READ_ONLY, 1, true);
	expect_page_of_file(up, FOLL_LONGTERM, READ_ONLY, 1, true);
	expect_page_of_file(up, FOLL_LONGTERM, 0, 1, false);
}

static vm_fault_t tracked_fault(struct vm_fault *vmf)
{
	struct folio *folio = page_folio((struct page *)vmf->vma->vm_file->private_data);

	folio_lock(folio);
	folio_get(folio);
	folio->mapping = vmf->vma->vm_file->f_mapping;
	folio->index = vmf->pgoff;
	vmf->page = folio_page(folio, 0);
	return VM_FAULT_LOCKED;
}

static vm_fault_t tracked_mkwrite(struct vm_fault *vmf)
{
	folio_lock(page_folio(vmf->page));
	return VM_FAULT_LOCKED;
}

/* A file system that has to be told who writes. */
static const struct vm_operations_struct tracked_ops = {
	.fault = tracked_fault,
	.page_mkwrite = tracked_mkwrite,
};

static int map_tracked(struct file *file, struct vm_area_struct *vma)
{
	vma->vm_ops = &tracked_ops;
	return 0;
}

static const struct file_operations tracked_fops = { .mmap = map_tracked };

/* Nobody tells the file of writes by a device, which may not go on for long. */
static void tracked(struct kunit *test)
{
	struct user_pages *up = map_file(test, &tracked_fops);

	KUNIT_ASSERT_NOT_NULL(test, user_pages_folio(up, 0)->mapping);
	expect_page_of_file(up, 0, 0, 1, true);
	expect_page_of_file(up, FOLL_LONGTERM, READ_ONLY, 1, true);
	expect_page_of_file(up, FOLL_LONGTERM, 0, -EFAULT, false);
	expect_page_of_file(up, FOLL_LONGTERM | FOLL_FORCE, 0, -EFAULT, false);
}

#ifdef CONFIG_SECRETMEM

static struct file *secret_file(struct kunit *test)
{
	long fd = test_syscall(__NR_memfd_secret, 0);
	struct file *file;

	KUNIT_ASSERT_GE(test, fd, 0);
	file = fget(fd);
	close_fd(fd);
	KUNIT_ASSERT_NOT_NULL(test, file);
	test_cleanup(test, fput_action, file);
	KUNIT_ASSERT_EQ(test, 0, vfs_truncate(&file->f_path, NR_PAGES * PAGE_SIZE));
	return file;
}

static void expect_refused(struct user_pages *up)
{
	static const struct pin_way *const gup_ways[] = {
		&pin_way_try_fast, &pin_way_locked, &pin_way_unlocked, &pin_way_remote,
	};
	static const unsigned int times[] = { 0, FOLL_LONGTERM };
	struct kunit *test = up->test;
	struct page *page;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(gup_ways) * ARRAY_SIZE(times); i++) {
		const struct pin_way *way = gup_ways[i / ARRAY_SIZE(times)];
		const unsigned int flags = times[i % ARRAY_SIZE(times)];

		user_pages_pin(up, way, flags);
		KUNIT_EXPECT_EQ_MSG(test, up->rc, -EFAULT, "%s, flags %x", way->name, flags);
		user_pages_unpin(up);
		user_pages_pin_read_only(up, way, flags);
		KUNIT_EXPECT_EQ_MSG(test, up->rc, -EFAULT, "%s, flags %x", way->name, flags);
		user_pages_unpin(up);
	}
	KUNIT_EXPECT_EQ(test, -EFAULT, get_user_pages_fast(up->addr, 1, FOLL_WRITE, &page));
	KUNIT_EXPECT_EQ(test, 0, get_user_pages_fast_only(up->addr, 1, 0, &page));
}

/* What not even the kernel may read is kept from devices, by each way and for any time. */
static void secret(struct kunit *test)
{
	struct file *file = secret_file(test);
	struct user_pages *up = user_pages_map(test, &user_memory_anon, NR_PAGES);
	unsigned int i;
	u8 found = 1;

	KUNIT_ASSERT_EQ(test, up->addr, vm_mmap(file, up->addr, NR_PAGES * PAGE_SIZE,
						PROT_READ | PROT_WRITE,
						MAP_FIXED | MAP_SHARED, 0));
	/* In a batch of this CPU, and on the list of what cannot be evicted. */
	lru_add_drain_all();
	for (i = 0; i < NR_PAGES; i++)
		user_pages_write(up, i, user_pages_pattern(up, i));
	expect_refused(up);
	lru_add_drain_all();
	expect_refused(up);

	expect_pins(up, 0);
	KUNIT_EXPECT_EQ(test, 0, copy_from_user(&found, (void __user *)up->addr, 1));
	KUNIT_EXPECT_EQ(test, found, 0);
}

#ifdef HAVE_TEST_PROBES
/**
 * struct second_secret - a secret page that somebody else has made meanwhile
 * @add: where it is to become the file's
 * @put: where its last reference is dropped
 * @folio: the page
 * @dropped: it has been
 * @reachable: the kernel can read it by then
 */
struct second_secret {
	struct kprobe add;
	struct kprobe put;
	struct folio *folio;
	bool dropped;
	bool reachable;
};

static int add_second(struct kprobe *point, struct pt_regs *regs)
{
	struct second_secret *second = container_of(point, struct second_secret, add);

	if (second->folio)
		return 0;
	second->folio = (struct folio *)regs_get_kernel_argument(regs, 1);
	return test_probe_returns(regs, -EEXIST);
}

static int put_second(struct kprobe *point, struct pt_regs *regs)
{
	struct second_secret *second = container_of(point, struct second_secret, put);

	if (second->dropped || !second->folio ||
	    (struct folio *)regs_get_kernel_argument(regs, 0) != second->folio)
		return 0;
	second->dropped = true;
	second->reachable = kernel_page_present(folio_page(second->folio, 0));
	return 0;
}

/* Who gets a page that was to be secret can use it. */
static void secret_made_by_another(struct kunit *test)
{
	struct second_secret *second = test_zalloc(test, sizeof(*second));
	struct file *file = secret_file(test);
	struct user_pages *up = user_pages_map(test, &user_memory_anon, 1);
	const u8 data = 1;

	KUNIT_ASSERT_EQ(test, up->addr, vm_mmap(file, up->addr, PAGE_SIZE, PROT_READ | PROT_WRITE,
						MAP_FIXED | MAP_SHARED, 0));
	KUNIT_ASSERT_EQ(test, 0, test_probe(test, &second->add, "filemap_add_folio", add_second));
	KUNIT_ASSERT_EQ(test, 0, test_probe(test, &second->put, "__folio_put", put_second));
	KUNIT_EXPECT_EQ(test, 0, copy_to_user((void __user *)up->addr, &data, 1));
	KUNIT_EXPECT_TRUE(test, second->dropped);
	KUNIT_EXPECT_TRUE(test, second->reachable);
}
#endif
#endif /* CONFIG_SECRETMEM */

static struct kunit_case gup_fast_cases[] = {
	KUNIT_CASE_PARAM_ARRAY_SLOW(needs_no_lock, params),
	KUNIT_CASE(leaves_rest_to_slow_way),
	KUNIT_CASE(fast_only),
	KUNIT_CASE_PARAM_ARRAY(across_tables, spans),
#if defined(HAVE_TEST_PROBES) && defined(CONFIG_X86_64)
	KUNIT_CASE_PARAM_ARRAY(changes_meanwhile, changes),
#endif
#if defined(HAVE_TEST_WATCH) && defined(CONFIG_TRANSPARENT_HUGEPAGE)
	KUNIT_CASE(splits_meanwhile),
#endif
	KUNIT_CASE(read_before),
	KUNIT_CASE(no_mapping),
	KUNIT_CASE_SLOW(tracked),
#ifdef CONFIG_SECRETMEM
	KUNIT_CASE(secret),
#ifdef HAVE_TEST_PROBES
	KUNIT_CASE(secret_made_by_another),
#endif
#endif
	{}
};

static struct kunit_suite gup_fast_suite = {
	.name = "gup_fast",
	.init = user_pages_init,
	.test_cases = gup_fast_cases,
};

kunit_test_suite(gup_fast_suite);

MODULE_DESCRIPTION("KUnit tests for pins of user pages without a lock");
MODULE_LICENSE("GPL");
