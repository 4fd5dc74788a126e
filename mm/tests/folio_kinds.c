// SPDX-License-Identifier: GPL-2.0
/*
 * The kinds of folios that migration tells apart, and how each is made.
 */

/* First: linux/memfd.h needs its types and does not include it. */
#include <linux/mm.h>

#include <linux/anon_inodes.h>
#include <linux/blkdev.h>
#include <linux/buffer_head.h>
#include <linux/fs.h>
#include <linux/gfp.h>
#include <linux/highmem.h>
#include <linux/huge_mm.h>
#include <linux/hugetlb.h>
#include <linux/major.h>
#include <linux/memfd.h>
#include <linux/mman.h>
#include <linux/pagemap.h>
#include <linux/rmap.h>
#include <linux/shmem_fs.h>
#include <uapi/linux/memfd.h>

#include "../internal.h"
#include "../swap.h"
#include "folio_fixture.h"

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

/* Is there memory for a destination as well? */
static bool can_be_had(unsigned int order)
{
	struct folio *folio = folio_alloc(GFP_KERNEL, order);

	if (folio)
		folio_put(folio);
	return folio;
}

/* Consumes the reference on @folio. */
static int make_cache_of(struct test_folio *tf, struct folio *folio)
{
	struct address_space *mapping;
	int ret;

	tf->file = anon_inode_create_getfile("[folio_fixture]", &cache_fops,
					     NULL, O_RDWR, NULL);
	if (IS_ERR(tf->file)) {
		ret = PTR_ERR(tf->file);
		tf->file = NULL;
		folio_put(folio);
		return ret;
	}
	mapping = tf->file->f_mapping;
	mapping->a_ops = &cache_aops;
	mapping->host->i_private = tf;
	/* A split drops what is beyond the end of the file. */
	i_size_write(mapping->host, PAGE_SIZE << tf->kind->order);

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

static int make_cache(struct kunit *test, struct test_folio *tf)
{
	struct folio *folio;

	if (tf->kind->order > MAX_PAGE_ORDER)
		return -EOPNOTSUPP;

	folio = folio_alloc(GFP_KERNEL, tf->kind->order);
	if (!folio)
		return -ENOMEM;
	if (!can_be_had(tf->kind->order)) {
		folio_put(folio);
		return -ENOMEM;
	}
	return make_cache_of(tf, folio);
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

#if defined(CONFIG_BUFFER_HEAD) && defined(CONFIG_BLK_DEV_RAM)

/* What is swapped to, and what other cases use. */
#define RAMDISKS_IN_USE	2

/* Several buffers in a page, or one in a large folio: the device has one size for all. */
#define SMALL_BLOCK	1024

/* Each folio is the first of a device of its own. */
static int make_buffers(struct kunit *test, struct test_folio *tf)
{
	static unsigned int nr_made;
	const unsigned int nr = nr_made++ % (CONFIG_BLK_DEV_RAM_COUNT - RAMDISKS_IN_USE);
	struct folio *folio;
	int ret;

	tf->file = bdev_file_open_by_dev(MKDEV(RAMDISK_MAJOR, RAMDISKS_IN_USE + nr),
					 BLK_OPEN_READ | BLK_OPEN_WRITE, tf, NULL);
	if (IS_ERR(tf->file)) {
		ret = PTR_ERR(tf->file);
		tf->file = NULL;
		return ret;
	}
	ret = set_blocksize(tf->file, tf->kind->order ? PAGE_SIZE << tf->kind->order : SMALL_BLOCK);
	if (ret)
		return ret;
	folio = read_mapping_folio(tf->file->f_mapping, 0, NULL);
	if (IS_ERR(folio))
		return PTR_ERR(folio);
	tf->folio = folio;
	return folio_buffers(folio) ? 0 : -EOPNOTSUPP;
}

/* A folio of a block device, with several buffers. */
const struct test_folio_kind test_folio_buffers = {
	.name = "buffers",
	.state = TEST_FOLIO_PRIVATE,
	.make = make_buffers,
};

#ifdef CONFIG_TRANSPARENT_HUGEPAGE
/* A large one with one buffer. */
const struct test_folio_kind test_folio_buffers_large = {
	.name = "buffers-order2",
	.order = 2,
	.state = TEST_FOLIO_PRIVATE,
	.make = make_buffers,
};
#endif
#endif

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
	test_mm_ends(test);
	ret = get_user_pages_unlocked(tf->addr, 1, &page, FOLL_WRITE);
	if (ret != 1)
		return ret < 0 ? ret : -EFAULT;
	tf->folio = page_folio(page);
	return 0;
}

/**
 * test_mmap_aligned() - map memory at a multiple of its size
 * @test: the running test
 * @file: what to map; NULL for private anonymous memory
 * @size: how much
 * @flags: how a file is mapped, as of mmap()
 *
 * Return: the address or a negative errno.
 */
unsigned long test_mmap_aligned(struct kunit *test, struct file *file,
				unsigned long size, unsigned long flags)
{
	const unsigned long prot = PROT_READ | PROT_WRITE;
	unsigned long addr;

	/* What lies around a file is never touched. */
	addr = kunit_vm_mmap(test, NULL, 0, 2 * size, prot, MAP_ANONYMOUS | MAP_PRIVATE |
			     (file ? MAP_NORESERVE : flags & MAP_NORESERVE), 0);
	if (!addr || IS_ERR_VALUE(addr))
		return -ENOMEM;
	test_mm_ends(test);
	addr = ALIGN(addr, size);
	if (!file)
		return addr;
	return kunit_vm_mmap(test, file, addr, size, prot, flags | MAP_FIXED, 0);
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

/**
 * folio_at() - find a folio by its address
 * @mm: the mm
 * @addr: the address
 *
 * Return: the folio, with a reference for the caller; NULL if there is none.
 */
struct folio *folio_at(struct mm_struct *mm, unsigned long addr)
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

/**
 * folio_is_at() - is this the folio at an address?
 * @folio: the folio
 * @mm: the mm
 * @addr: the address
 *
 * Return: true if it is.
 */
bool folio_is_at(struct folio *folio, struct mm_struct *mm, unsigned long addr)
{
	struct folio *found = folio_at(mm, addr);

	if (found)
		folio_put(found);
	return found == folio;
}

#ifdef CONFIG_TRANSPARENT_HUGEPAGE
/* Memory that is aligned and advised to be huge gets a large folio at its first fault. */
static int map_large(struct kunit *test, struct test_folio *tf)
{
	const unsigned long size = PAGE_SIZE << tf->kind->order;
	unsigned long addr;
	struct page *page;
	long ret;

	/* As for KSM. */
	if (!IS_ENABLED(CONFIG_ADVISE_SYSCALLS))
		return -EOPNOTSUPP;
	addr = test_mmap_aligned(test, tf->file, size, MAP_SHARED);
	if (IS_ERR_VALUE(addr))
		return addr;
	tf->addr = addr;
	tf->len = size;
	ret = do_madvise(current->mm, tf->addr, size, MADV_HUGEPAGE);
	if (ret)
		return ret;
	ret = get_user_pages_unlocked(tf->addr, 1, &page, FOLL_WRITE);
	if (ret != 1)
		return ret < 0 ? ret : -EFAULT;
	tf->folio = page_folio(page);
	/* Or khugepaged would come by. */
	ret = do_madvise(current->mm, tf->addr, size, MADV_NOHUGEPAGE);
	if (!ret && folio_order(tf->folio) != tf->kind->order)
		ret = -EOPNOTSUPP;
	if (ret)
		folio_put(tf->folio);
	return ret;
}

static int make_shmem_large(struct kunit *test, struct test_folio *tf)
{
	tf->file = shmem_kernel_file_setup("folio_fixture", PAGE_SIZE << tf->kind->order,
					   EMPTY_VMA_FLAGS);
	if (IS_ERR(tf->file)) {
		int ret = PTR_ERR(tf->file);

		tf->file = NULL;
		return ret;
	}
	return map_large(test, tf);
}

/* As mprotect() of a part does. */
static int map_by_ptes(struct kunit *test, struct test_folio *tf)
{
	struct mm_struct *mm = current->mm;

	mmap_write_lock(mm);
	split_huge_pmd_address(vma_lookup(mm, tf->addr), tf->addr, false);
	mmap_write_unlock(mm);
	return 0;
}

#endif

static bool node_has_cma(int nid)
{
	unsigned int zid;

	for (zid = 0; zid < MAX_NR_ZONES; zid++)
		if (zone_cma_pages(&NODE_DATA(nid)->node_zones[zid]))
			return true;
	return false;
}

/**
 * test_run_near_cma() - have the running thread get its memory from the node of CMA
 * @test: the running test; each case has a thread of its own
 */
void test_run_near_cma(struct kunit *test)
{
	int cpu;

	/* An emulated node has all CPUs in its mask. */
	for_each_online_cpu(cpu) {
		if (!node_has_cma(cpu_to_mem(cpu)))
			continue;
		KUNIT_ASSERT_EQ(test, 0, set_cpus_allowed_ptr(current, cpumask_of(cpu)));
		return;
	}
}

#ifdef CONFIG_CMA
/*
 * Movable pages that need not be in ZONE_MOVABLE come from CMA while that is most of
 * the free memory.
 */
static int make_cma(struct kunit *test, struct test_folio *tf)
{
	struct folio *folio;

	test_run_near_cma(test);
	/* Those at hand may be others. */
	drain_local_pages(NULL);
	folio = folio_alloc(GFP_USER | __GFP_MOVABLE, 0);
	if (!folio)
		return -ENOMEM;
	if (!is_migrate_cma_page(folio_page(folio, 0))) {
		folio_put(folio);
		return -EOPNOTSUPP;
	}
	return make_cache_of(tf, folio);
}
#endif

#ifdef CONFIG_HUGETLB_PAGE
static int make_hugetlb(struct kunit *test, struct test_folio *tf)
{
	struct page *page;
	long ret;

	ret = test_hugetlb_pool(test, 1);
	if (ret)
		return ret;
	tf->file = memfd_alloc_file("folio_fixture", MFD_HUGETLB);
	if (IS_ERR(tf->file)) {
		ret = PTR_ERR(tf->file);
		tf->file = NULL;
		return ret;
	}
	tf->len = PAGE_SIZE << tf->kind->order;
	ret = vfs_truncate(&tf->file->f_path, tf->len);
	if (ret)
		return ret;
	tf->addr = test_mmap_aligned(test, tf->file, tf->len, MAP_SHARED);
	if (IS_ERR_VALUE(tf->addr))
		return tf->addr;
	ret = get_user_pages_unlocked(tf->addr, 1, &page, FOLL_WRITE);
	if (ret != 1)
		return ret < 0 ? ret : -EFAULT;
	tf->folio = page_folio(page);
	return 0;
}

/* A folio of hugetlbfs, the only one there. */
const struct test_folio_kind test_folio_hugetlb = {
	.name = "hugetlb",
	.order = HPAGE_SHIFT - PAGE_SHIFT,
	.mapcount = 1,
	.make = make_hugetlb,
};
#endif

static int merge_twins(struct kunit *test, struct test_folio *tf)
{
	const unsigned long twin_addr = tf->addr + PAGE_SIZE;
	const unsigned long end = jiffies + TEST_KSM_AT_MOST;
	struct folio *folio;
	struct page *twin;
	long ret;

	/* Without madvise() there is no do_madvise() to link to. */
	if (!IS_ENABLED(CONFIG_KSM) || !IS_ENABLED(CONFIG_ADVISE_SYSCALLS))
		return -EOPNOTSUPP;

	ret = get_user_pages_unlocked(twin_addr, 1, &twin, FOLL_WRITE);
	if (ret != 1)
		return ret < 0 ? ret : -EFAULT;
	copy_highpage(twin, folio_page(tf->folio, 0));
	put_page(twin);

	/* ksmd does not merge pages with extra references. */
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
 * test_folio_counts_attempts() - is it of a kind with a mapping of the fixture's own?
 * @tf: the folio
 *
 * Return: true if its @attempts and @migrate_error mean something.
 */
bool test_folio_counts_attempts(const struct test_folio *tf)
{
	return tf->file && tf->file->f_mapping->a_ops == &cache_aops;
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

#ifdef CONFIG_TRANSPARENT_HUGEPAGE
#define ANON_LARGE	.state = TEST_FOLIO_ANON | TEST_FOLIO_SWAPBACKED,	\
			.make = map_large

/* An anonymous folio that one entry of a page middle directory maps. */
const struct test_folio_kind test_folio_anon_thp = {
	.name = "anon-thp",
	.order = HPAGE_PMD_ORDER,
	.mapcount = 1,
	ANON_LARGE,
};

/* One of the same size that page table entries map. */
const struct test_folio_kind test_folio_anon_thp_ptes = {
	.name = "anon-thp-ptes",
	.order = HPAGE_PMD_ORDER,
	.mapcount = HPAGE_PMD_NR,
	ANON_LARGE,
	.filled = map_by_ptes,
};

/* A smaller one. */
const struct test_folio_kind test_folio_anon_large = {
	.name = "anon-order4",
	.order = 4,
	.mapcount = 1 << 4,
	ANON_LARGE,
};

#define SHMEM_LARGE	.state = TEST_FOLIO_SWAPBACKED | TEST_FOLIO_DIRTY,	\
			.make = make_shmem_large,				\
			.filled = dirty_cache

/* A folio of shmem that one entry of a page middle directory maps. */
const struct test_folio_kind test_folio_shmem_thp = {
	.name = "shmem-thp",
	.order = HPAGE_PMD_ORDER,
	.mapcount = 1,
	SHMEM_LARGE,
};

/* A smaller one, mapped by page table entries. */
const struct test_folio_kind test_folio_shmem_large = {
	.name = "shmem-order4",
	.order = 4,
	.mapcount = 1 << 4,
	SHMEM_LARGE,
};
#endif

#ifdef CONFIG_CMA
/* A page cache folio in the area of the contiguous memory allocator. */
const struct test_folio_kind test_folio_cma = {
	.name = "cma",
	.make = make_cma,
};
#endif

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
#if defined(CONFIG_BUFFER_HEAD) && defined(CONFIG_BLK_DEV_RAM)
	&test_folio_buffers,
#ifdef CONFIG_TRANSPARENT_HUGEPAGE
	&test_folio_buffers_large,
#endif
#endif
#ifdef CONFIG_TRANSPARENT_HUGEPAGE
	&test_folio_anon_thp,
	&test_folio_anon_thp_ptes,
	&test_folio_anon_large,
	&test_folio_shmem_thp,
	&test_folio_shmem_large,
#endif
#ifdef CONFIG_CMA
	&test_folio_cma,
#endif
};

PARAM_ARRAY(kinds, "%s", (*p)->name);

/**
 * test_folio_kinds_init() - have a case run for each kind of folio
 * @test: the test, which gets its kind from test_folio_kind_param()
 *
 * For KUNIT_CASE_PARAM_ARRAY().
 *
 * Return: 0.
 */
int test_folio_kinds_init(struct kunit *test)
{
	return kinds_init(test);
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
