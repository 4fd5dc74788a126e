// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests for pages that are in memory of a device, as of GPUs, whether CPUs can reach it
 * or not, or that a device uses alone: a longterm pin gets them back first, and what others do
 * with them in the meantime is not lost.
 */

#include <linux/highmem.h>
#include <linux/leafops.h>
#include <linux/memremap.h>
#include <linux/migrate.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/moduleparam.h>
#include <linux/pagemap.h>
#include <linux/rmap.h>
#include <linux/sizes.h>
#include <linux/swapops.h>
#include <linux/uaccess.h>

#include "../internal.h"
#include "folio_fixture.h"
#include "page_entry.h"
#include "probe.h"
#include "user_pages.h"

#define NR_PAGES	4

/* The page that a case looks at. */
#define THE_PAGE	1

/* No page contains this after user_pages_fill(). */
#define NEWS		0x5a

static unsigned long memory;
module_param(memory, ulong, 0444);
MODULE_PARM_DESC(memory, "address of 2 MB of memory that the kernel does not use, see mem=");

/**
 * struct device_memory - memory of a device that does not exist
 * @test: the running test
 * @pgmap: its pages; if no CPU can reach them, each has an ordinary one for its contents as
 *	zone_device_data
 * @region: the addresses that nothing else has
 * @used: how many pages have ever been given away, from the first
 * @came_back: how many pages have been copied from there
 * @freed: how many pages nobody has any more
 * @broken: it can be read no more
 */
struct device_memory {
	struct kunit *test;
	struct dev_pagemap pgmap;
	struct resource *region;
	unsigned int used;
	unsigned int came_back;
	unsigned int freed;
	bool broken;
};

static void folio_free(struct folio *folio)
{
	struct device_memory *dm = folio->pgmap->owner;

	if (folio_is_device_private(folio))
		__free_page(folio_zone_device_data(folio));
	dm->freed++;
}

static unsigned long ordinary_page(struct device_memory *dm, struct vm_fault *vmf)
{
	struct page *page = alloc_page_vma(GFP_HIGHUSER_MOVABLE, vmf->vma, vmf->address);

	if (!page)
		return 0;
	lock_page(page);
	copy_highpage(page, folio_zone_device_data(page_folio(vmf->page)));
	dm->came_back++;
	return migrate_pfn(page_to_pfn(page));
}

/* As drivers do: the page moves to ordinary memory. */
static vm_fault_t migrate_to_ram(struct vm_fault *vmf)
{
	struct device_memory *dm = page_pgmap(vmf->page)->owner;
	unsigned long src = 0, dst = 0;
	struct migrate_vma args = {
		.vma = vmf->vma,
		.start = vmf->address & PAGE_MASK,
		.end = (vmf->address & PAGE_MASK) + PAGE_SIZE,
		.src = &src,
		.dst = &dst,
		.pgmap_owner = dm,
		.flags = MIGRATE_VMA_SELECT_DEVICE_PRIVATE,
		.fault_page = vmf->page,
	};

	if (dm->broken || migrate_vma_setup(&args))
		return VM_FAULT_SIGBUS;
	if (src & MIGRATE_PFN_MIGRATE)
		dst = ordinary_page(dm, vmf);
	migrate_vma_pages(&args);
	migrate_vma_finalize(&args);
	return 0;
}

static const struct dev_pagemap_ops ops = {
	.folio_free = folio_free,
	.migrate_to_ram = migrate_to_ram,
};

static void device_memory_end(void *data)
{
	struct device_memory *dm = data;

	KUNIT_EXPECT_EQ(dm->test, dm->freed, dm->used);
	if (dm->pgmap.nr_range)
		memunmap_pages(&dm->pgmap);
	release_mem_region(dm->region->start, resource_size(dm->region));
}

/* To be called before anything is mapped that may go there. */
static struct device_memory *device_memory(struct kunit *test, enum memory_type type)
{
	struct device_memory *dm = test_zalloc(test, sizeof(*dm));
	void *addr;

	dm->test = test;
	if (type == MEMORY_DEVICE_PRIVATE)
		dm->region = request_free_mem_region(&iomem_resource, SZ_2M, "pin_device_memory");
	else
		dm->region = request_mem_region(memory, SZ_2M, "pin_device_memory");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, dm->region);
	test_cleanup(test, device_memory_end, dm);
	dm->pgmap.type = type;
	dm->pgmap.ops = &ops;
	dm->pgmap.owner = dm;
	dm->pgmap.range.start = dm->region->start;
	dm->pgmap.range.end = dm->region->start + SZ_2M - 1;
	dm->pgmap.nr_range = 1;
	addr = memremap_pages(&dm->pgmap, 0);
	if (IS_ERR(addr))
		dm->pgmap.nr_range = 0;
	KUNIT_ASSERT_FALSE(test, IS_ERR(addr));
	return dm;
}

static struct device_memory *private_memory(struct kunit *test)
{
	return device_memory(test, MEMORY_DEVICE_PRIVATE);
}

static struct device_memory *coherent_memory(struct kunit *test)
{
	if (!memory)
		kunit_skip(test, "pin_device_memory_kunit.memory= does not say where memory is");
	return device_memory(test, MEMORY_DEVICE_COHERENT);
}

/* A page of the device with the contents of another one, locked. */
static unsigned long device_page(struct device_memory *dm, struct page *src)
{
	const bool private = dm->pgmap.type == MEMORY_DEVICE_PRIVATE;
	struct page *page = pfn_to_page(PHYS_PFN(dm->pgmap.range.start) + dm->used);
	struct page *contents = private ? alloc_page(GFP_KERNEL) : page;

	if (!contents)
		return 0;
	zone_device_folio_init(page_folio(page), &dm->pgmap, 0);
	copy_highpage(contents, src);
	if (private)
		folio_set_zone_device_data(page_folio(page), contents);
	dm->used++;
	return migrate_pfn(page_to_pfn(page));
}

/* Moves to the device what may move.  Returns how many pages have. */
static unsigned int move_to_device(struct device_memory *dm, struct user_pages *up)
{
	unsigned long src[NR_PAGES] = {}, dst[NR_PAGES] = {};
	struct migrate_vma args = {
		.start = up->addr,
		.end = up->addr + up->nr * PAGE_SIZE,
		.src = src,
		.dst = dst,
		.pgmap_owner = dm,
		.flags = MIGRATE_VMA_SELECT_SYSTEM,
	};
	unsigned int i, moved = 0;
	int rc;

	mmap_read_lock(current->mm);
	args.vma = vma_lookup(current->mm, up->addr);
	rc = migrate_vma_setup(&args);
	for (i = 0; !rc && i < up->nr; i++) {
		if (!(src[i] & MIGRATE_PFN_MIGRATE))
			continue;
		dst[i] = device_page(dm, migrate_pfn_to_page(src[i]));
		if (src[i] & MIGRATE_PFN_WRITE)
			dst[i] |= MIGRATE_PFN_WRITE;
	}
	if (!rc) {
		migrate_vma_pages(&args);
		for (i = 0; i < up->nr; i++)
			moved += !!(src[i] & MIGRATE_PFN_MIGRATE);
		migrate_vma_finalize(&args);
	}
	mmap_read_unlock(current->mm);
	KUNIT_ASSERT_EQ(up->test, rc, 0);
	return moved;
}

static bool is_in_device(struct user_pages *up, unsigned int i)
{
	const pte_t pte = entry_read(up->test, up->addr + i * PAGE_SIZE);

	return !pte_present(pte) && softleaf_is_device_private(softleaf_from_pte(pte));
}

/* Pages of the user, all of them in the memory of the device. */
static struct user_pages *make(struct kunit *test, struct device_memory *dm)
{
	struct user_pages *up = user_pages_make(test, &user_memory_anon, NR_PAGES);
	unsigned int i;

	KUNIT_ASSERT_EQ(test, move_to_device(dm, up), NR_PAGES);
	for (i = 0; i < NR_PAGES; i++)
		KUNIT_ASSERT_TRUE_MSG(test, is_in_device(up, i), "page %u", i);
	return up;
}

static const struct pin_way * const ways[] = {
	&pin_way_locked,
	&pin_way_unlocked,
	&pin_way_try_fast,
	&pin_way_remote,
};

PARAM_ARRAY(ways, "%s", (*p)->name);

/* Another device cannot reach them there: they come back, and stay. */
static void pinned(struct kunit *test)
{
	const struct pin_way * const *way = test->param_value;
	struct device_memory *dm = private_memory(test);
	struct user_pages *up = make(test, dm);

	KUNIT_EXPECT_EQ(test, 0, get_user_pages_fast_only(up->addr, NR_PAGES, 0, up->pages));
	user_pages_pin(up, *way, FOLL_LONGTERM);
	KUNIT_EXPECT_EQ(test, dm->came_back, NR_PAGES);
	KUNIT_EXPECT_EQ(test, dm->freed, NR_PAGES);
	expect_pinned(up);
	KUNIT_EXPECT_EQ(test, move_to_device(dm, up), 0);
	expect_pinned(up);
	expect_unpins(up);
	KUNIT_EXPECT_EQ(test, move_to_device(dm, up), NR_PAGES);
	expect_not_pinned(up);
}

/* What only the entry knew of a page the page itself knows in the memory of the device. */
static void stays_dirty(struct kunit *test)
{
	struct device_memory *dm = private_memory(test);
	struct user_pages *up = user_pages_make(test, &user_memory_anon, 2);
	unsigned int i;

	for (i = 0; i < 2; i++) {
		folio_clear_dirty(user_pages_folio(up, i));
		entry_set(test, up->addr + i * PAGE_SIZE, ENTRY_WRITE | (i ? ENTRY_DIRTY : 0));
	}
	KUNIT_ASSERT_EQ(test, move_to_device(dm, up), 2);
	for (i = 0; i < 2; i++) {
		const pte_t pte = entry_read(test, up->addr + i * PAGE_SIZE);
		struct folio *folio = softleaf_to_folio(softleaf_from_pte(pte));

		KUNIT_EXPECT_EQ_MSG(test, folio_test_dirty(folio), i == 1, "page %u", i);
	}
}

/* A page that somebody else uses stays where it is. */
static void in_use(struct kunit *test)
{
	struct device_memory *dm = private_memory(test);
	struct user_pages *up = user_pages_make(test, &user_memory_anon, NR_PAGES);
	struct folio *folio = user_pages_folio(up, THE_PAGE);
	unsigned int i;

	test_folio_get(test, folio);
	KUNIT_EXPECT_EQ(test, move_to_device(dm, up), NR_PAGES - 1);
	for (i = 0; i < NR_PAGES; i++)
		KUNIT_EXPECT_EQ_MSG(test, is_in_device(up, i), i != THE_PAGE, "page %u", i);
	test_folio_put(test, folio);
	expect_not_pinned(up);
	KUNIT_EXPECT_PTR_EQ(test, user_pages_folio(up, THE_PAGE), folio);
}

/* What the device does not give back is not pinned, and not lost. */
static void not_given_back(struct kunit *test)
{
	const struct pin_way * const *way = test->param_value;
	struct device_memory *dm = private_memory(test);
	struct user_pages *up = make(test, dm);
	unsigned int i;

	dm->broken = true;
	user_pages_pin(up, *way, FOLL_LONGTERM);
	KUNIT_EXPECT_EQ(test, up->rc, -EFAULT);
	expect_pins(up, 0);
	for (i = 0; i < NR_PAGES; i++)
		KUNIT_EXPECT_TRUE_MSG(test, is_in_device(up, i), "page %u", i);
	dm->broken = false;
	expect_not_pinned(up);
}

/* An entry is what it was when its page comes back, but that it has been used. */
static void entry_stays(struct kunit *test)
{
	const unsigned int kept = ENTRY_WRITE | ENTRY_SOFT_DIRTY | ENTRY_UFFD | ENTRY_EXCLUSIVE;
	struct device_memory *dm = private_memory(test);
	struct user_pages *up = user_pages_make(test, &user_memory_anon, 1);
	unsigned int state, due;

	for (state = 0; state < ENTRY_EXCLUSIVE; state++) {
		if (!entry_can_be(state))
			continue;
		entry_set(test, up->addr, state);
		due = entry_state(test, up->addr) & kept;
		KUNIT_ASSERT_EQ_MSG(test, move_to_device(dm, up), 1, "from %x", state);
		KUNIT_ASSERT_TRUE_MSG(test, is_in_device(up, 0), "from %x", state);
		expect_not_pinned(up);
		KUNIT_EXPECT_EQ_MSG(test, entry_state(test, up->addr) & kept, due,
				    "from %x", state);
	}
}

/* Who has them since a fork has them still: a pin takes a copy, or the last one the page. */
static void forked(struct kunit *test)
{
	struct device_memory *dm = private_memory(test);
	struct user_pages *up = make(test, dm);
	struct user_fork *fork = user_fork(up, THE_PAGE);

	user_pages_pin(up, &pin_way_unlocked, FOLL_LONGTERM);
	expect_pinned(up);
	user_pages_write(up, THE_PAGE, NEWS);
	expect_page_pinned(up, THE_PAGE, 1);
	expect_fork_reads(fork, user_pages_pattern(up, THE_PAGE));
	user_pages_write(up, THE_PAGE, user_pages_pattern(up, THE_PAGE));
	expect_unpins(up);
	KUNIT_EXPECT_EQ(test, dm->freed, NR_PAGES);
}

/* They can be protected, mapped elsewhere and unmapped without the device. */
static void mapping_changes(struct kunit *test)
{
	const unsigned long size = NR_PAGES * PAGE_SIZE;
	struct device_memory *dm = private_memory(test);
	struct user_pages *up = make(test, dm);
	unsigned long other;
	unsigned int i;
	u8 found;

	KUNIT_EXPECT_EQ(test, 0, test_syscall(__NR_mprotect, up->addr, size, PROT_READ));
	KUNIT_EXPECT_EQ(test, 0, copy_from_user(&found, (void __user *)up->addr, 1));
	KUNIT_EXPECT_EQ(test, entry_state(test, up->addr) & ENTRY_WRITE, 0);
	KUNIT_EXPECT_EQ(test, dm->came_back, 1);
	KUNIT_EXPECT_EQ(test, 0, test_syscall(__NR_mprotect, up->addr, size,
					      PROT_READ | PROT_WRITE));
	KUNIT_EXPECT_EQ(test, move_to_device(dm, up), 1);
	other = user_pages_map(test, &user_memory_anon, NR_PAGES)->addr;
	KUNIT_ASSERT_EQ(test, other, test_syscall(__NR_mremap, up->addr, size, size,
						  MREMAP_MAYMOVE | MREMAP_FIXED, other));
	up->addr = other;
	for (i = 0; i < NR_PAGES; i++)
		KUNIT_EXPECT_TRUE_MSG(test, is_in_device(up, i), "page %u", i);
	KUNIT_EXPECT_EQ(test, dm->came_back, 1);
	expect_not_pinned(up);
	KUNIT_EXPECT_EQ(test, dm->came_back, 1 + NR_PAGES);

	KUNIT_EXPECT_EQ(test, move_to_device(dm, up), NR_PAGES);
	KUNIT_EXPECT_EQ(test, 0, vm_munmap(up->addr, size));
	KUNIT_EXPECT_EQ(test, dm->freed, dm->used);
	KUNIT_EXPECT_EQ(test, dm->came_back, 1 + NR_PAGES);
}

/* The last reference on one gives it back to the device, whatever it is dropped with. */
static void dropped_together(struct kunit *test)
{
	struct device_memory *dm = private_memory(test);
	struct user_pages *up = make(test, dm);
	struct user_pages *others = user_pages_make(test, &user_memory_anon, 2);
	struct page *first = pfn_to_page(PHYS_PFN(dm->pgmap.range.start));
	struct folio *folios[] = {
		user_pages_folio(others, 0), page_folio(first), user_pages_folio(others, 1),
	};
	struct folio_batch batch;
	unsigned int i;

	lru_add_drain_all();
	folio_batch_init(&batch);
	for (i = 0; i < ARRAY_SIZE(folios); i++) {
		folio_get(folios[i]);
		folio_batch_add(&batch, folios[i]);
	}
	KUNIT_EXPECT_EQ(test, 0, vm_munmap(up->addr, NR_PAGES * PAGE_SIZE));
	KUNIT_EXPECT_EQ(test, 0, vm_munmap(others->addr, 2 * PAGE_SIZE));
	lru_add_drain_all();
	KUNIT_EXPECT_EQ(test, dm->freed, NR_PAGES - 1);
	for (i = 0; i < ARRAY_SIZE(folios); i++)
		KUNIT_EXPECT_EQ_MSG(test, folio_ref_count(folios[i]), 1, "folio %u", i);

	folios_put(&batch);
	KUNIT_EXPECT_EQ(test, dm->freed, NR_PAGES);
	if (nobody_else_runs()) {
		KUNIT_EXPECT_EQ(test, folio_ref_count(folios[0]), 0);
		KUNIT_EXPECT_EQ(test, folio_ref_count(folios[2]), 0);
	}
}

/* The device alone may use the page, which stays where it is. */
static struct folio *make_exclusive(struct user_pages *up, unsigned int i)
{
	struct kunit *test = up->test;
	struct folio *folio;
	struct page *page;

	mmap_read_lock(current->mm);
	page = make_device_exclusive(current->mm, up->addr + i * PAGE_SIZE, test, &folio);
	mmap_read_unlock(current->mm);
	KUNIT_ASSERT_FALSE(test, IS_ERR(page));
	folio_unlock(folio);
	folio_put(folio);
	KUNIT_ASSERT_FALSE(test, pte_present(entry_read(test, up->addr + i * PAGE_SIZE)));
	return folio;
}

/* A pin ends that. */
static void exclusive(struct kunit *test)
{
	const struct pin_way * const *way = test->param_value;
	struct user_pages *up = user_pages_make(test, &user_memory_anon, NR_PAGES);
	unsigned int i;

	for (i = 0; i < NR_PAGES; i++)
		make_exclusive(up, i);
	KUNIT_EXPECT_EQ(test, 0, get_user_pages_fast_only(up->addr, NR_PAGES, 0, up->pages));
	user_pages_pin(up, *way, FOLL_LONGTERM);
	expect_pinned(up);
	expect_unpins(up);
}

static struct folio *ordinary_folio(struct folio *src, unsigned long private)
{
	return folio_alloc(GFP_KERNEL, 0);
}

static const bool held[] = { false, true };

PARAM_ARRAY(held, "%s", *p ? "held" : "moves");

/* Migration finds the page there all the same. */
static void exclusive_migrates(struct kunit *test)
{
	const bool *is_held = test->param_value;
	struct user_pages *up = user_pages_make(test, &user_memory_anon, 1);
	const long rss = get_mm_counter_sum(current->mm, MM_ANONPAGES);
	struct folio *folio = make_exclusive(up, 0);
	LIST_HEAD(from);
	bool isolated;
	int rc;

	if (*is_held)
		test_folio_get(test, folio);
	lru_add_drain_all();
	isolated = isolate_folio_to_list(folio, &from);
	KUNIT_ASSERT_TRUE(test, isolated);
	rc = migrate_pages(&from, ordinary_folio, NULL, 0, MIGRATE_SYNC, MR_SYSCALL, NULL);
	putback_movable_pages(&from);

	KUNIT_EXPECT_EQ(test, rc, *is_held);
	KUNIT_EXPECT_EQ(test, user_pages_folio(up, 0) == folio, *is_held);
	KUNIT_EXPECT_EQ(test, get_mm_counter_sum(current->mm, MM_ANONPAGES), rss);
	if (*is_held)
		test_folio_put(test, folio);
	expect_not_pinned(up);
	user_pages_write(up, 0, user_pages_pattern(up, 0));
	expect_not_pinned(up);
}

#if defined(HAVE_TEST_PROBES) && defined(CONFIG_KSM)
/**
 * struct taken - a page that a device takes for itself just before ksmd write-protects it
 * @point: before page_vma_mapped_walk()
 * @ptep: the entry of the page
 * @page: the page
 * @done: it has been taken
 */
struct taken {
	struct kprobe point;
	pte_t *ptep;
	struct page *page;
	bool done;
};

static pte_t exclusive_entry(struct page *page)
{
	return softleaf_to_pte(make_device_exclusive_entry(page_to_pfn(page)));
}

/* Nobody else looks at this table. */
static int take(struct kprobe *point, struct pt_regs *regs)
{
	struct taken *taken = container_of(point, struct taken, point);
	struct page_vma_mapped_walk *pvmw = (void *)regs_get_kernel_argument(regs, 0);

	if (current->mm || taken->done || pvmw->pfn != page_to_pfn(taken->page))
		return 0;
	taken->done = true;
	set_pte(taken->ptep, exclusive_entry(taken->page));
	return 0;
}

static struct taken *take_from_ksmd(struct user_pages *up)
{
	struct taken *taken = test_zalloc(up->test, sizeof(*taken));

	taken->page = folio_page(user_pages_folio(up, 0), 0);
	taken->ptep = pte_offset_kernel(pmd_off(current->mm, up->addr), up->addr);
	KUNIT_ASSERT_EQ(up->test, 0, test_probe(up->test, &taken->point,
						"page_vma_mapped_walk", take));
	return taken;
}

/* Equal pages are merged, but none that a device has taken meanwhile. */
static void exclusive_meanwhile(struct kunit *test)
{
	struct user_pages *first = user_pages_make(test, &user_memory_anon, 1);
	struct user_pages *second = user_pages_make(test, &user_memory_anon, 1);
	struct taken *taken[] = { take_from_ksmd(first), take_from_ksmd(second) };
	struct user_pages *all[] = { first, second };
	const unsigned long end = jiffies + TEST_KSM_AT_MOST;
	unsigned int i;

	for (i = 0; i < 2; i++)
		KUNIT_ASSERT_EQ(test, 0, do_madvise(current->mm, all[i]->addr, PAGE_SIZE,
						    MADV_MERGEABLE));
	lru_add_drain_all();
	KUNIT_ASSERT_EQ(test, 0, test_ksm_run(test));
	while (!taken[0]->done && !taken[1]->done && time_before(jiffies, end))
		schedule_timeout_uninterruptible(HZ / 10);
	KUNIT_EXPECT_EQ(test, 0, test_ksm_stop());

	KUNIT_EXPECT_TRUE(test, taken[0]->done || taken[1]->done);
	for (i = 0; i < 2; i++) {
		if (taken[i]->done)
			KUNIT_EXPECT_TRUE(test, pte_same(entry_read(test, all[i]->addr),
							 exclusive_entry(taken[i]->page)));
		expect_not_pinned(all[i]);
		KUNIT_EXPECT_PTR_EQ(test, user_pages_folio(all[i], 0),
				    page_folio(taken[i]->page));
	}
}
#endif

/* Pages of the user, all of them in memory of the device that CPUs reach. */
static struct user_pages *make_coherent(struct kunit *test, struct device_memory *dm)
{
	struct user_pages *up = user_pages_make(test, &user_memory_anon, NR_PAGES);
	unsigned int i;

	KUNIT_ASSERT_EQ(test, move_to_device(dm, up), NR_PAGES);
	for (i = 0; i < NR_PAGES; i++)
		KUNIT_ASSERT_TRUE(test, folio_is_device_coherent(user_pages_folio(up, i)));
	return up;
}

/* They may be pinned there for short, but not for long. */
static void coherent(struct kunit *test)
{
	const struct pin_way * const *way = test->param_value;
	struct device_memory *dm = coherent_memory(test);
	struct user_pages *up = make_coherent(test, dm);
	unsigned int i;

	user_pages_pin(up, *way, 0);
	KUNIT_EXPECT_EQ(test, up->rc, NR_PAGES);
	for (i = 0; i < NR_PAGES; i++) {
		struct folio *folio = user_pages_folio(up, i);

		KUNIT_EXPECT_PTR_EQ_MSG(test, page_folio(up->pages[i]), folio, "page %u", i);
		KUNIT_EXPECT_TRUE_MSG(test, folio_is_device_coherent(folio), "page %u", i);
		KUNIT_EXPECT_TRUE_MSG(test, folio_maybe_dma_pinned(folio), "page %u", i);
	}
	KUNIT_EXPECT_EQ(test, dm->freed, 0);
	user_pages_unpin(up);
	expect_pins(up, 0);

	user_pages_pin(up, *way, FOLL_LONGTERM);
	KUNIT_EXPECT_EQ(test, dm->freed, NR_PAGES);
	expect_pinned(up);
	expect_unpins(up);
}

/* One that somebody else uses stays, and the pin fails as a whole. */
static void coherent_in_use(struct kunit *test)
{
	const struct pin_way * const *way = test->param_value;
	struct device_memory *dm = coherent_memory(test);
	struct user_pages *up = make_coherent(test, dm);
	struct folio *folio = user_pages_folio(up, THE_PAGE);

	test_folio_get(test, folio);
	user_pages_pin(up, *way, FOLL_LONGTERM);
	KUNIT_EXPECT_EQ(test, up->rc, -EBUSY);
	expect_pins(up, 0);
	/* Those before it have moved. */
	KUNIT_EXPECT_EQ(test, dm->freed, THE_PAGE);
	KUNIT_EXPECT_PTR_EQ(test, user_pages_folio(up, THE_PAGE), folio);
	KUNIT_EXPECT_FALSE(test, folio_test_locked(folio));
	test_folio_put(test, folio);
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 1);

	user_pages_pin(up, *way, FOLL_LONGTERM);
	expect_pinned(up);
	expect_unpins(up);
}

static struct kunit_case pin_device_memory_cases[] = {
	KUNIT_CASE_PARAM_ARRAY(pinned, ways),
	KUNIT_CASE(stays_dirty),
	KUNIT_CASE(in_use),
	KUNIT_CASE_PARAM_ARRAY(not_given_back, ways),
	KUNIT_CASE(entry_stays),
	KUNIT_CASE(forked),
	KUNIT_CASE(mapping_changes),
	KUNIT_CASE(dropped_together),
	KUNIT_CASE_PARAM_ARRAY(coherent, ways),
	KUNIT_CASE_PARAM_ARRAY(coherent_in_use, ways),
	KUNIT_CASE_PARAM_ARRAY(exclusive, ways),
	KUNIT_CASE_PARAM_ARRAY(exclusive_migrates, held),
#if defined(HAVE_TEST_PROBES) && defined(CONFIG_KSM)
	KUNIT_CASE(exclusive_meanwhile),
#endif
	{}
};

static struct kunit_suite pin_device_memory_suite = {
	.name = "pin_device_memory",
	.init = user_pages_init,
	.test_cases = pin_device_memory_cases,
};

kunit_test_suite(pin_device_memory_suite);

MODULE_DESCRIPTION("KUnit tests for pages in the memory of a device");
MODULE_LICENSE("GPL");
