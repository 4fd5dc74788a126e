// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests for what pins of user pages take, what they refuse, and what they
 * leave behind.  There are no extra references here, so nothing waits.
 */

/* First: linux/memfd.h needs its types and does not include it. */
#include <linux/mm.h>

#include <linux/anon_inodes.h>
#include <linux/highmem.h>
#include <linux/memfd.h>
#include <linux/mman.h>
#include <linux/uaccess.h>
#include <linux/vmstat.h>

#include "../internal.h"
#include "folio_fixture.h"
#include "user_pages.h"

/* Pages to pin, and the one that a case looks at. */
#define NR_PAGES	4
#define THE_PAGE	1

/* No page contains this after user_pages_fill(). */
#define NEWS		0x5a

/* How to pin what. */
struct pin_param {
	const struct user_memory *memory;
	const struct pin_way *way;
	bool read_only;
};

static const struct pin_param anon_ways[] = {
	{ &user_memory_anon, &pin_way_locked },
	{ &user_memory_anon, &pin_way_unlocked },
	{ &user_memory_anon, &pin_way_try_fast },
	{ &user_memory_anon, &pin_way_remote },
};

static const struct pin_param fork_ways[] = {
	{ &user_memory_anon, &pin_way_locked },
	{ &user_memory_anon, &pin_way_unlocked },
	{ &user_memory_anon, &pin_way_try_fast },
	{ &user_memory_anon, &pin_way_remote },
	{ &user_memory_anon, &pin_way_locked, true },
	{ &user_memory_anon, &pin_way_unlocked, true },
	{ &user_memory_anon, &pin_way_try_fast, true },
	{ &user_memory_anon, &pin_way_remote, true },
};

static const struct pin_param memories[] = {
	{ &user_memory_anon, &pin_way_locked },
	{ &user_memory_shmem, &pin_way_try_fast },
	{ &user_memory_memfd, &pin_way_unlocked },
	{ &user_memory_memfd, &pin_way_folios },
};

static const struct pin_param read_only_memories[] = {
	{ &user_memory_anon, &pin_way_locked, true },
	{ &user_memory_anon, &pin_way_try_fast, true },
	{ &user_memory_shmem, &pin_way_unlocked, true },
	{ &user_memory_memfd, &pin_way_remote, true },
	{ &user_memory_private, &pin_way_locked, true },
	{ &user_memory_private, &pin_way_unlocked, true },
	{ &user_memory_private, &pin_way_try_fast, true },
	{ &user_memory_private, &pin_way_remote, true },
};

#define PIN_DESC	"%s-%s%s", p->memory->name, p->way->name, p->read_only ? "-ro" : ""

PARAM_ARRAY(anon_ways, PIN_DESC);
PARAM_ARRAY(fork_ways, PIN_DESC);
PARAM_ARRAY(memories, PIN_DESC);
PARAM_ARRAY(read_only_memories, PIN_DESC);

/* Pins as the parameter says. */
static void pin(struct user_pages *up, const struct pin_param *p)
{
	if (p->read_only)
		user_pages_pin_read_only(up, p->way, FOLL_LONGTERM);
	else
		user_pages_pin(up, p->way, FOLL_LONGTERM);
}

/* What a device would find in a page, which must be pinned. */
static void expect_device_finds(struct user_pages *up, unsigned int i, u8 value)
{
	void *page;

	KUNIT_ASSERT_GT(up->test, up->rc, (long)i);
	page = kmap_local_page(up->pages[i]);
	KUNIT_EXPECT_NULL_MSG(up->test, memchr_inv(page, value, PAGE_SIZE),
			      "a device finds other data in page %u", i);
	kunmap_local(page);
}

/* What a user writes, a device finds, and what a device writes, a user. */
static void expect_shared_with_device(struct user_pages *up)
{
	struct kunit *test = up->test;
	u8 pattern = user_pages_pattern(up, THE_PAGE), found;
	void __user *addr = (void __user *)(up->addr + THE_PAGE * PAGE_SIZE);
	void *page;

	user_pages_write(up, THE_PAGE, NEWS);
	expect_device_finds(up, THE_PAGE, NEWS);

	page = kmap_local_page(up->pages[THE_PAGE]);
	memset(page, pattern, PAGE_SIZE);
	kunmap_local(page);
	KUNIT_EXPECT_EQ(test, 0, copy_from_user(&found, addr, 1));
	KUNIT_EXPECT_EQ(test, found, pattern);
}

/* A pinned anonymous page belongs to one mm alone. */
static void expect_exclusive(struct user_pages *up)
{
	unsigned int i;

	for (i = 0; i < up->rc; i++) {
		KUNIT_EXPECT_TRUE(up->test, PageAnon(up->pages[i]));
		KUNIT_EXPECT_TRUE(up->test, PageAnonExclusive(up->pages[i]));
	}
}

/**
 * struct forked - a process that fork() made of the test's, with its own mm
 * @up: the pages, which it has as well
 * @task: waits until it is told to look
 * @folio: what it has then mapped as THE_PAGE; no reference is held on it
 * @buf: what it reads there
 * @left: how many bytes could not be read
 */
struct forked {
	struct user_pages *up;
	struct test_task *task;
	struct folio *folio;
	u8 *buf;
	unsigned long left;
};

static void forked_fn(struct test_task *task)
{
	struct forked *forked = task->data;
	struct user_pages *up = forked->up;

	test_task_await_go(task);
	forked->folio = user_pages_folio(up, THE_PAGE);
	forked->left = copy_from_user(forked->buf,
				      (void __user *)(up->addr + THE_PAGE * PAGE_SIZE),
				      PAGE_SIZE);
}

static struct forked *forked_start(struct kunit *test, struct user_pages *up)
{
	struct forked *forked = test_zalloc(test, sizeof(*forked));

	forked->up = up;
	forked->buf = test_zalloc(test, PAGE_SIZE);
	forked->task = test_task_start(test, forked_fn, forked, 0);
	return forked;
}

/* The child has the contents at the fork, in a page of its own. */
static void expect_fork_apart(struct kunit *test, struct forked *forked)
{
	u8 pattern = user_pages_pattern(forked->up, THE_PAGE);

	test_task_go(forked->task);
	test_task_join(forked->task);
	KUNIT_EXPECT_EQ(test, forked->left, 0);
	KUNIT_EXPECT_NULL(test, memchr_inv(forked->buf, pattern, PAGE_SIZE));
	KUNIT_EXPECT_NOT_NULL(test, forked->folio);
	KUNIT_EXPECT_PTR_NE(test, forked->folio,
			    page_folio(forked->up->pages[THE_PAGE]));
}

/*
 * A process that pins pages and then forks keeps them: the child gets copies at once,
 * for copy-on-write would give the copy to the first writer.
 */
static void fork_after_pin(struct kunit *test)
{
	const struct pin_param *p = test->param_value;
	struct user_pages *up = user_pages_make(test, p->memory, NR_PAGES);
	struct forked *forked;

	pin(up, p);
	forked = forked_start(test, up);

	expect_pinned(up);
	expect_exclusive(up);
	user_pages_write(up, THE_PAGE, NEWS);
	expect_device_finds(up, THE_PAGE, NEWS);
	expect_fork_apart(test, forked);
	expect_shared_with_device(up);
	expect_unpins(up);
}

/* A pin after a fork takes private copies, not the shared pages. */
static void fork_before_pin(struct kunit *test)
{
	const struct pin_param *p = test->param_value;
	struct user_pages *up = user_pages_make(test, p->memory, NR_PAGES);
	struct folio *common = user_pages_folio(up, THE_PAGE);
	struct forked *forked = forked_start(test, up);

	pin(up, p);

	expect_pinned(up);
	expect_exclusive(up);
	expect_shared_with_device(up);
	user_pages_write(up, THE_PAGE, NEWS);
	expect_fork_apart(test, forked);
	KUNIT_EXPECT_PTR_EQ(test, forked->folio, common);
	user_pages_fill(up, NR_PAGES);
	expect_unpins(up);
}

/* A pin for reading moves pages as well, and sees what is written afterwards. */
static void read_only(struct kunit *test)
{
	const struct pin_param *p = test->param_value;
	const bool unshares = p->memory == &user_memory_private;
	struct user_pages *up = user_pages_map(test, p->memory, NR_PAGES);

	user_pages_fill(up, NR_PAGES);
	pin(up, p);

	expect_pinned(up);
	if (unshares)
		expect_exclusive(up);
	expect_shared_with_device(up);
	expect_unpins(up);
}

/* A longterm pin of an untouched page must not take the zero page. */
static void read_only_untouched(struct kunit *test)
{
	const struct pin_param *p = test->param_value;
	struct user_pages *up = user_pages_map(test, p->memory, NR_PAGES);

	user_pages_pin_read_only(up, p->way, FOLL_LONGTERM);

	expect_pinned(up);
	expect_exclusive(up);
	expect_shared_with_device(up);
	expect_unpins(up);
}

/* A short pin takes the zero page, without counting it. */
static void zero_page(struct kunit *test)
{
	const struct pin_param *p = test->param_value;
	struct user_pages *up = user_pages_map(test, p->memory, NR_PAGES);
	struct folio *zero = page_folio(ZERO_PAGE(up->addr));
	const int refs = folio_ref_count(zero);
	unsigned int i;

	user_pages_pin_read_only(up, p->way, 0);

	KUNIT_EXPECT_EQ(test, up->rc, NR_PAGES);
	for (i = 0; i < NR_PAGES && up->rc == NR_PAGES; i++)
		KUNIT_EXPECT_TRUE(test, is_zero_page(up->pages[i]));
	KUNIT_EXPECT_EQ(test, folio_ref_count(zero), refs);
	expect_pins(up, 0);
	user_pages_unpin(up);
	KUNIT_EXPECT_EQ(test, folio_ref_count(zero), refs);
	expect_pins(up, 0);
}

static unsigned long nr_migrated(struct kunit *test)
{
	unsigned long *events = test_zalloc(test, array_size(NR_VM_EVENT_ITEMS, sizeof(*events)));
	unsigned long nr;

	all_vm_events(events);
	nr = events[PGMIGRATE_SUCCESS];
	kunit_kfree(test, events);
	return nr;
}

/* Each page that has to leave ZONE_MOVABLE is migrated, once. */
static void migrates_what_is_there(struct kunit *test)
{
	const struct pin_param *p = test->param_value;
	struct user_pages *up = user_pages_make(test, p->memory, NR_PAGES);
	const unsigned long before = nr_migrated(test);

	pin(up, p);

	KUNIT_EXPECT_EQ(test, nr_migrated(test) - before, NR_PAGES);
	expect_pinned(up);
}

/* Pages that the pin touches first are allocated where they may stay. */
static void first_touch_is_outside(struct kunit *test)
{
	const struct pin_param *p = test->param_value;
	struct user_pages *up = user_pages_map(test, p->memory, NR_PAGES);
	const unsigned long before = nr_migrated(test);

	pin(up, p);

	KUNIT_EXPECT_EQ(test, nr_migrated(test), before);
	expect_pinned(up);
}

/* A dirty page stays dirty when it moves. */
static void data_stays_dirty(struct kunit *test)
{
	struct user_pages *up = user_pages_make(test, &user_memory_anon, NR_PAGES);
	const unsigned long addr = up->addr + THE_PAGE * PAGE_SIZE;
	struct vm_area_struct *vma;
	struct folio_walk fw;
	bool dirty = false;

	user_pages_pin(up, &pin_way_locked, FOLL_LONGTERM);

	expect_pinned(up);
	mmap_read_lock(current->mm);
	vma = vma_lookup(current->mm, addr);
	if (vma && folio_walk_start(&fw, vma, addr, 0)) {
		dirty = pte_dirty(fw.pte) || folio_test_dirty(page_folio(fw.page));
		folio_walk_end(&fw, vma);
	}
	mmap_read_unlock(current->mm);
	KUNIT_EXPECT_TRUE(test, dirty);
}

/* As after mlockall(MCL_FUTURE | MCL_ONFAULT): the user's touch locks a page. */
static struct user_pages *map_mlocked(struct kunit *test)
{
	struct user_pages *up;

	KUNIT_ASSERT_EQ(test, 0, kunit_attach_mm());
	current->mm->def_flags = VM_LOCKED | VM_LOCKONFAULT;
	up = user_pages_map(test, &user_memory_anon, NR_PAGES);
	current->mm->def_flags = 0;
	return up;
}

/* Exact, unlike global_zone_page_state(). */
static unsigned long nr_mlocked(void)
{
	unsigned long nr = 0;
	struct zone *zone;

	for_each_populated_zone(zone)
		nr += zone_page_state_snapshot(zone, NR_MLOCK);
	return nr;
}

/* Mlocked pages stay mlocked, even if they are still in a batch. */
static void mlocked(struct kunit *test)
{
	const bool *in_batch = test->param_value;
	struct user_pages *up = map_mlocked(test);
	unsigned long before;
	unsigned int i;

	/* A full batch is drained. */
	lru_add_drain_all();
	user_pages_fill(up, NR_PAGES);
	if (!*in_batch)
		lru_add_drain_all();
	KUNIT_ASSERT_EQ(test, folio_test_lru(user_pages_folio(up, THE_PAGE)),
			!*in_batch);
	before = nr_mlocked();

	user_pages_pin(up, &pin_way_try_fast, FOLL_LONGTERM);

	expect_pinned(up);
	expect_pin_did_not_sleep(up);
	for (i = 0; i < up->rc; i++) {
		KUNIT_EXPECT_TRUE(test, folio_test_mlocked(page_folio(up->pages[i])));
		KUNIT_EXPECT_TRUE(test, folio_test_unevictable(page_folio(up->pages[i])));
	}
	KUNIT_EXPECT_EQ(test, nr_mlocked(), before);
	expect_unpins(up);
}

static const bool in_batch[] = { false, true };

PARAM_ARRAY(in_batch, "%s", *p ? "in-batch" : "on-lru");

/* Pins pages and takes a reference on one, to see what is left of it. */
static struct folio *pin_and_get(struct kunit *test, struct user_pages *up,
				 const struct pin_way *way)
{
	struct folio *folio;

	user_pages_pin(up, way, FOLL_LONGTERM);
	KUNIT_ASSERT_EQ(test, up->rc, NR_PAGES);
	expect_pinned(up);
	folio = page_folio(up->pages[THE_PAGE]);
	test_folio_get(test, folio);
	return folio;
}

/* A page without mappings stays with the device until it is unpinned. */
static void expect_only_pinned(struct user_pages *up, struct folio *folio, u8 data)
{
	struct kunit *test = up->test;

	KUNIT_EXPECT_FALSE(test, folio_mapped(folio));
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 1 + GUP_PIN_COUNTING_BIAS);
	expect_device_finds(up, THE_PAGE, data);
	expect_pins(up, NR_PAGES);

	user_pages_unpin(up);

	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 1);
	expect_pins(up, 0);
}

static void munmap_under_pin(struct kunit *test)
{
	const struct pin_param *p = test->param_value;
	struct user_pages *up = user_pages_make(test, p->memory, NR_PAGES);
	struct folio *folio = pin_and_get(test, up, p->way);

	KUNIT_ASSERT_EQ(test, 0, vm_munmap(up->addr, NR_PAGES * PAGE_SIZE));
	lru_add_drain_all();

	expect_only_pinned(up, folio, user_pages_pattern(up, THE_PAGE));
}

/* The user gets new pages, and the device keeps the old ones. */
static void dontneed_under_pin(struct kunit *test)
{
	const struct pin_param *p = test->param_value;
	struct user_pages *up = user_pages_make(test, p->memory, NR_PAGES);
	struct folio *folio = pin_and_get(test, up, p->way);
	u8 data = user_pages_pattern(up, THE_PAGE);

	KUNIT_ASSERT_EQ(test, 0, do_madvise(current->mm, up->addr,
					    NR_PAGES * PAGE_SIZE, MADV_DONTNEED));
	lru_add_drain_all();
	user_pages_fill(up, NR_PAGES);
	user_pages_write(up, THE_PAGE, NEWS);

	KUNIT_EXPECT_PTR_NE(test, user_pages_folio(up, THE_PAGE), folio);
	expect_only_pinned(up, folio, data);
	user_pages_fill(up, NR_PAGES);
	expect_not_pinned(up);
}

static void truncate_under_pin(struct kunit *test)
{
	const struct pin_param *p = test->param_value;
	struct user_pages *up = user_pages_make(test, &user_memory_memfd, NR_PAGES);
	struct folio *folio = pin_and_get(test, up, p->way);
	u8 data = user_pages_pattern(up, THE_PAGE), found;

	KUNIT_ASSERT_EQ(test, 0, vfs_truncate(&up->file->f_path, 0));
	lru_add_drain_all();

	KUNIT_EXPECT_PTR_EQ(test, folio->mapping, NULL);
	KUNIT_EXPECT_EQ(test, 1, copy_from_user(&found, (void __user *)up->addr, 1));
	expect_only_pinned(up, folio, data);
}

static const struct pin_param memfd_ways[] = {
	{ &user_memory_memfd, &pin_way_locked },
	{ &user_memory_memfd, &pin_way_try_fast },
	{ &user_memory_memfd, &pin_way_folios },
};

PARAM_ARRAY(memfd_ways, PIN_DESC);

/* A range that is mapped only in part is pinned as far as it is mapped. */
static void partly_mapped(struct kunit *test)
{
	const struct pin_param *p = test->param_value;
	struct user_pages *up = user_pages_make(test, p->memory, NR_PAGES);

	KUNIT_ASSERT_EQ(test, 0, vm_munmap(up->addr + (NR_PAGES - 1) * PAGE_SIZE,
					   PAGE_SIZE));
	pin(up, p);

	KUNIT_EXPECT_EQ(test, up->rc, NR_PAGES - 1);
	up->nr = NR_PAGES - 1;
	expect_pinned(up);
	expect_unpins(up);
}

static vm_fault_t count_fault(struct vm_fault *vmf)
{
	unsigned int *faults = vmf->vma->vm_file->private_data;

	++*faults;
	return VM_FAULT_SIGBUS;
}

static const struct vm_operations_struct no_page_ops = {
	.fault = count_fault,
};

/* A file system that has to be told who writes. */
static const struct vm_operations_struct tracked_ops = {
	.fault = count_fault,
	.page_mkwrite = count_fault,
};

static int map_as_io(struct file *file, struct vm_area_struct *vma)
{
	vm_flags_set(vma, VM_IO);
	vma->vm_ops = &no_page_ops;
	return 0;
}

static int map_as_pfns(struct file *file, struct vm_area_struct *vma)
{
	vm_flags_set(vma, VM_PFNMAP);
	vma->vm_ops = &no_page_ops;
	return 0;
}

static int map_as_tracked(struct file *file, struct vm_area_struct *vma)
{
	vma->vm_ops = &tracked_ops;
	return 0;
}

static const struct file_operations io_fops = { .mmap = map_as_io };
static const struct file_operations pfn_fops = { .mmap = map_as_pfns };
static const struct file_operations tracked_fops = { .mmap = map_as_tracked };

KUNIT_DEFINE_ACTION_WRAPPER(fput_action, __fput_sync, struct file *);

/**
 * struct refusal - a mapping that must not be pinned
 * @name: short name without spaces
 * @fops: of the file that is mapped; NULL for anonymous memory
 * @prot: how it is mapped
 * @unmap: it is unmapped again
 * @read_only: it must not be pinned even for reading
 * @faults: how often a page is looked for when it is pinned for reading
 */
struct refusal {
	const char *name;
	const struct file_operations *fops;
	unsigned long prot;
	bool unmap;
	bool read_only;
	unsigned int faults;
};

static const struct refusal refusals[] = {
	{ "nothing", NULL, PROT_READ | PROT_WRITE, .unmap = true, .read_only = true },
	{ "unreadable", NULL, PROT_NONE, .read_only = true },
	{ "unwritable", NULL, PROT_READ },
	{ "io", &io_fops, PROT_READ | PROT_WRITE, .read_only = true },
	{ "pfns", &pfn_fops, PROT_READ | PROT_WRITE, .read_only = true },
	{ "tracked", &tracked_fops, PROT_READ | PROT_WRITE, .faults = 1 },
};

PARAM_ARRAY(refusals, "%s", p->name);

/* Memory that a device must not write, or read, is refused and not touched. */
static void refused(struct kunit *test)
{
	static const struct pin_way *const gup[] = {
		&pin_way_locked, &pin_way_unlocked, &pin_way_try_fast, &pin_way_remote,
	};
	const struct refusal *r = test->param_value;
	unsigned int i, faults = 0, due = 0;
	struct user_pages *up = user_pages_map(test, &user_memory_anon, NR_PAGES);
	struct file *file = NULL;
	unsigned long addr;

	if (r->fops) {
		file = anon_inode_getfile("refused", r->fops, &faults, O_RDWR);
		KUNIT_ASSERT_NOT_ERR_OR_NULL(test, file);
		test_cleanup(test, fput_action, file);
	}
	addr = vm_mmap(file, up->addr, NR_PAGES * PAGE_SIZE, r->prot,
		       MAP_FIXED | (file ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS),
		       0);
	KUNIT_ASSERT_EQ(test, addr, up->addr);
	if (r->unmap)
		KUNIT_ASSERT_EQ(test, 0, vm_munmap(addr, NR_PAGES * PAGE_SIZE));

	for (i = 0; i < ARRAY_SIZE(gup); i++) {
		user_pages_pin(up, gup[i], FOLL_LONGTERM);
		KUNIT_EXPECT_EQ_MSG(test, up->rc, -EFAULT, "%s", gup[i]->name);
		user_pages_unpin(up);
		KUNIT_EXPECT_EQ(test, faults, due);

		user_pages_pin_read_only(up, gup[i], FOLL_LONGTERM);
		due += r->faults;
		if (r->read_only || r->faults)
			KUNIT_EXPECT_EQ_MSG(test, up->rc, -EFAULT, "%s", gup[i]->name);
		else
			KUNIT_EXPECT_EQ_MSG(test, up->rc, NR_PAGES, "%s", gup[i]->name);
		user_pages_unpin(up);
		KUNIT_EXPECT_EQ(test, faults, due);
		expect_pins(up, 0);
	}
	/* Before the file: a fault would find no pages. */
	vm_munmap(up->addr, NR_PAGES * PAGE_SIZE);
}

/* A range beyond user memory is refused, even if it begins inside. */
static void out_of_range(struct kunit *test)
{
	const unsigned long end = TASK_SIZE_MAX & PAGE_MASK;
	struct page *pages[NR_PAGES];
	unsigned long addr;

	addr = kunit_vm_mmap(test, NULL, end - PAGE_SIZE, PAGE_SIZE,
			     PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, 0);
	KUNIT_ASSERT_EQ(test, addr, end - PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, -EOVERFLOW,
			pin_user_pages_fast(-2 * PAGE_SIZE, NR_PAGES,
					    FOLL_WRITE | FOLL_LONGTERM, pages));
	KUNIT_EXPECT_EQ(test, -EFAULT,
			pin_user_pages_fast(end - PAGE_SIZE, NR_PAGES,
					    FOLL_WRITE | FOLL_LONGTERM, pages));
	KUNIT_EXPECT_EQ(test, -EFAULT,
			pin_user_pages_unlocked(end, NR_PAGES, pages,
						FOLL_WRITE | FOLL_LONGTERM));
	KUNIT_EXPECT_EQ(test, 0,
			pin_user_pages_fast(PAGE_SIZE, 0, FOLL_LONGTERM, pages));
	KUNIT_EXPECT_EQ(test, 0,
			pin_user_pages_unlocked(PAGE_SIZE, 0, pages, FOLL_LONGTERM));
}

/* Invalid ranges of a memfd, and other files. */
static void folios_refused(struct kunit *test)
{
	struct user_pages *up = user_pages_make(test, &user_memory_memfd, NR_PAGES);
	const loff_t size = NR_PAGES * PAGE_SIZE;
	pgoff_t offset = NEWS;
	struct file *other;

	other = anon_inode_getfile("refused", &io_fops, NULL, O_RDWR);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, other);
	test_cleanup(test, fput_action, other);

#define EXPECT_REFUSED(file, start, end, max)					\
	KUNIT_EXPECT_EQ(test, -EINVAL, memfd_pin_folios(file, start, end,	\
							up->folios, max, &offset))
	EXPECT_REFUSED(up->file, -1, size - 1, NR_PAGES);
	EXPECT_REFUSED(up->file, PAGE_SIZE, PAGE_SIZE - 1, NR_PAGES);
	EXPECT_REFUSED(up->file, 0, size - 1, 0);
	EXPECT_REFUSED(up->file, 0, size, NR_PAGES);
	EXPECT_REFUSED(NULL, 0, size - 1, NR_PAGES);
	EXPECT_REFUSED(other, 0, size - 1, NR_PAGES);
#undef EXPECT_REFUSED
	KUNIT_EXPECT_EQ(test, offset, NEWS);
	expect_not_pinned(up);
}

/* A part of a memfd, and how many folios there is room for. */
struct part {
	const char *name;
	loff_t start;
	loff_t end;
	unsigned int max;
	long nr;
	pgoff_t first;
	pgoff_t offset;
};

static const struct part parts[] = {
	{ "one-byte", 0, 0, NR_PAGES, 1, 0, 0 },
	{ "last-byte", NR_PAGES * PAGE_SIZE - 1, NR_PAGES * PAGE_SIZE - 1,
	  NR_PAGES, 1, NR_PAGES - 1, PAGE_SIZE - 1 },
	{ "middle", PAGE_SIZE + 100, 3 * PAGE_SIZE - 1, NR_PAGES, 2, 1, 100 },
	{ "over-the-edge", 2 * PAGE_SIZE - 1, 2 * PAGE_SIZE, NR_PAGES, 2, 1,
	  PAGE_SIZE - 1 },
	{ "room-for-less", PAGE_SIZE, NR_PAGES * PAGE_SIZE - 1, 2, 2, 1, 0 },
	{ "room-for-one", 10, NR_PAGES * PAGE_SIZE - 1, 1, 1, 0, 10 },
};

PARAM_ARRAY(parts, "%s", p->name);

/* The folios that a part of a memfd lies in are pinned, and no others. */
static void folios_of_part(struct kunit *test)
{
	const struct part *part = test->param_value;
	struct user_pages *up = user_pages_make(test, &user_memory_memfd, NR_PAGES);
	pgoff_t offset = NEWS;
	unsigned int i;

	up->rc = memfd_pin_folios(up->file, part->start, part->end, up->folios,
				  part->max, &offset);
	if (up->rc > 0)
		up->way = &pin_way_folios;

	KUNIT_ASSERT_EQ(test, up->rc, part->nr);
	KUNIT_EXPECT_EQ(test, offset, part->offset);
	expect_pins(up, part->nr);
	for (i = 0; i < NR_PAGES; i++) {
		struct folio *folio = user_pages_folio(up, i);
		bool is_in = i >= part->first && i < part->first + part->nr;

		KUNIT_ASSERT_NOT_NULL(test, folio);
		KUNIT_EXPECT_EQ(test, folio_maybe_dma_pinned(folio), is_in);
		KUNIT_EXPECT_EQ(test, folio_is_zone_movable(folio), !is_in);
		if (is_in)
			KUNIT_EXPECT_PTR_EQ(test, folio,
					    up->folios[i - part->first]);
	}
	expect_unpins(up);
}

/* A way to unpin pages, and whether it marks them dirty. */
struct dirty_way {
	const char *name;
	void (*unpin)(struct user_pages *up, bool dirty);
	bool dirty;
};

static void unpin_list(struct user_pages *up, bool dirty)
{
	unpin_user_pages_dirty_lock(up->pages, up->rc, dirty);
}

static void unpin_ranges(struct user_pages *up, bool dirty)
{
	unsigned int i;

	for (i = 0; i < up->rc; i++)
		unpin_user_page_range_dirty_lock(up->pages[i], 1, dirty);
}

static void unpin_each(struct user_pages *up, bool dirty)
{
	unsigned int i;

	for (i = 0; i < up->rc; i++)
		unpin_user_page(up->pages[i]);
}

static const struct dirty_way dirty_ways[] = {
	{ "list-clean", unpin_list, false },
	{ "list-dirty", unpin_list, true },
	{ "range-clean", unpin_ranges, false },
	{ "range-dirty", unpin_ranges, true },
	{ "each", unpin_each, false },
};

PARAM_ARRAY(dirty_ways, "%s", p->name);

/* Unpinning marks pages dirty if it is told to, and cleans none. */
static void unpin_dirty(struct kunit *test)
{
	const struct dirty_way *way = test->param_value;
	struct user_pages *up = user_pages_make(test, &user_memory_shmem, NR_PAGES);
	unsigned int i;

	user_pages_pin(up, &pin_way_locked, FOLL_LONGTERM);
	expect_pinned(up);
	KUNIT_ASSERT_EQ(test, up->rc, NR_PAGES);
	for (i = 0; i < NR_PAGES; i++) {
		if (i == THE_PAGE)
			folio_set_dirty(page_folio(up->pages[i]));
		else
			folio_clear_dirty(page_folio(up->pages[i]));
	}

	way->unpin(up, way->dirty);
	up->way = NULL;

	for (i = 0; i < NR_PAGES; i++)
		KUNIT_EXPECT_EQ(test, folio_test_dirty(page_folio(up->pages[i])),
				way->dirty || i == THE_PAGE);
	expect_not_pinned(up);
}

/* Of a large folio. */
#define ORDER	2

static void pin_folio(struct kunit *test, struct folio *folio, int pins)
{
	KUNIT_ASSERT_EQ(test, 0, try_grab_folio(folio, pins, FOLL_PIN));
}

static void expect_left(struct kunit *test, struct folio *folio, int pins)
{
	KUNIT_EXPECT_EQ(test, atomic_read(&folio->_pincount), pins);
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 1 + pins);
	KUNIT_EXPECT_EQ(test, folio_maybe_dma_pinned(folio), pins > 0);
}

/* A list of pages may begin and end inside of folios, and return to one. */
static void unpin_parts_of_folios(struct kunit *test)
{
	struct folio *one = test_folio_alloc(test, ORDER);
	struct folio *other = test_folio_alloc(test, ORDER);
	struct page *pages[] = {
		folio_page(one, 1), folio_page(one, 2), folio_page(one, 3),
		folio_page(other, 0), folio_page(other, 1), folio_page(one, 0),
	};

	pin_folio(test, one, 5);
	pin_folio(test, other, 3);
	unpin_user_pages(pages, ARRAY_SIZE(pages));
	expect_left(test, one, 1);
	expect_left(test, other, 1);

	unpin_user_page(folio_page(one, 3));
	unpin_folio(other);
	expect_left(test, one, 0);
	expect_left(test, other, 0);
}

/* So may a range. */
static void unpin_range_in_folio(struct kunit *test)
{
	struct folio *folio = test_folio_alloc(test, ORDER);

	pin_folio(test, folio, 6);
	unpin_user_page_range_dirty_lock(folio_page(folio, 1), 2, false);
	expect_left(test, folio, 4);
	KUNIT_EXPECT_FALSE(test, folio_test_dirty(folio));

	unpin_user_page_range_dirty_lock(folio_page(folio, 3), 1, true);
	expect_left(test, folio, 3);
	KUNIT_EXPECT_TRUE(test, folio_test_dirty(folio));

	unpin_user_page_range_dirty_lock(folio_page(folio, 1), 3, false);
	expect_left(test, folio, 0);
	folio_clear_dirty(folio);
}

static struct kunit_case pin_user_pages_cases[] = {
	KUNIT_CASE_PARAM_ARRAY(fork_after_pin, fork_ways),
	KUNIT_CASE_PARAM_ARRAY(fork_before_pin, fork_ways),
	KUNIT_CASE_PARAM_ARRAY(read_only, read_only_memories),
	KUNIT_CASE_PARAM_ARRAY(read_only_untouched, anon_ways),
	KUNIT_CASE_PARAM_ARRAY(zero_page, anon_ways),
	KUNIT_CASE_PARAM_ARRAY(migrates_what_is_there, memories),
	KUNIT_CASE_PARAM_ARRAY(first_touch_is_outside, memories),
	KUNIT_CASE(data_stays_dirty),
	KUNIT_CASE_PARAM_ARRAY(mlocked, in_batch),
	KUNIT_CASE_PARAM_ARRAY(munmap_under_pin, anon_ways),
	KUNIT_CASE_PARAM_ARRAY(dontneed_under_pin, anon_ways),
	KUNIT_CASE_PARAM_ARRAY(truncate_under_pin, memfd_ways),
	KUNIT_CASE_PARAM_ARRAY(partly_mapped, anon_ways),
	KUNIT_CASE_PARAM_ARRAY(refused, refusals),
	KUNIT_CASE(out_of_range),
	KUNIT_CASE(folios_refused),
	KUNIT_CASE_PARAM_ARRAY(folios_of_part, parts),
	KUNIT_CASE_PARAM_ARRAY(unpin_dirty, dirty_ways),
	KUNIT_CASE(unpin_parts_of_folios),
	KUNIT_CASE(unpin_range_in_folio),
	{}
};

static struct kunit_suite pin_user_pages_suite = {
	.name = "pin_user_pages",
	.init = user_pages_init,
	.test_cases = pin_user_pages_cases,
};

kunit_test_suite(pin_user_pages_suite);

MODULE_DESCRIPTION("KUnit tests for what pins of user pages take and leave");
MODULE_LICENSE("GPL");
