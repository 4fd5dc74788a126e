// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests for changes of a mapping whose pages are pinned: whatever its user does
 * with it, user and device go on to share the pages.
 */

#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/shmem_fs.h>
#include <linux/sizes.h>
#include <linux/swap.h>
#include <linux/uaccess.h>
#include <linux/unistd.h>

#include "folio_fixture.h"
#include "page_entry.h"
#include "probe.h"
#include "user_pages.h"

/* Of memory in small pages. */
#define NR_PAGES	4

/* The page that a case looks at, in the second half of the small ones. */
#define THE_PAGE	3

/* No page contains this after user_pages_fill(). */
#define NEWS		0x5a

/* Of these a part can be moved, and taken from its user. */
static const struct user_memory * const divisible[] = {
	&user_memory_anon,
	&user_memory_shmem,
#ifdef CONFIG_TRANSPARENT_HUGEPAGE
	&user_memory_thp,
#endif
};

PARAM_ARRAY(divisible, "%s", (*p)->name);

static struct user_pages *make_pinned(struct kunit *test)
{
	const struct user_memory * const *memory = test->param_value;
	struct user_pages *up;

	up = user_pages_make(test, *memory, (*memory)->order ? 1U << (*memory)->order : NR_PAGES);
	user_pages_pin(up, &pin_way_unlocked, FOLL_LONGTERM);
	expect_pinned(up);
	return up;
}

static unsigned long size_of(const struct user_pages *up)
{
	return up->nr * PAGE_SIZE;
}

static u8 device_finds(struct user_pages *up, unsigned int i)
{
	const u8 *page = kmap_local_page(up->pages[i]);
	const u8 found = *page;

	kunmap_local(page);
	return found;
}

/* What the user writes the device finds, and nothing has become of the pins. */
static void expect_shared(struct user_pages *up)
{
	user_pages_write(up, THE_PAGE, NEWS);
	KUNIT_EXPECT_EQ(up->test, device_finds(up, THE_PAGE), NEWS);
	user_pages_write(up, THE_PAGE, user_pages_pattern(up, THE_PAGE));
	expect_pinned(up);
	expect_unpins(up);
}

static void move(struct user_pages *up, unsigned long from, unsigned long len, unsigned long to)
{
	KUNIT_ASSERT_EQ(up->test, to, test_syscall(__NR_mremap, from, len, len,
						   MREMAP_MAYMOVE | MREMAP_FIXED, to));
}

static void moved(struct kunit *test)
{
	struct user_pages *up = make_pinned(test);
	const unsigned long to = test_mmap_aligned(test, NULL, size_of(up), 0);

	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(to));
	move(up, up->addr, size_of(up), to);
	up->addr = to;
	expect_shared(up);
}

/* As a whole it comes together again. */
static void moved_in_parts(struct kunit *test)
{
	struct user_pages *up = make_pinned(test);
	const unsigned long to = test_mmap_aligned(test, NULL, size_of(up), 0);
	const unsigned long half = size_of(up) / 2;

	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(to));
	move(up, up->addr + half, half, to + half);
	move(up, up->addr, half, to);
	up->addr = to;
	expect_shared(up);
}

static void protect(struct user_pages *up, unsigned long prot)
{
	KUNIT_ASSERT_EQ(up->test, 0, test_syscall(__NR_mprotect, up->addr, size_of(up), prot));
}

/* A page that is pinned is not copied when it may be written to again. */
static void protected(struct kunit *test)
{
	struct user_pages *up = make_pinned(test);
	u8 news = NEWS;

	protect(up, PROT_READ);
	KUNIT_EXPECT_EQ(test, 1, copy_to_user((void __user *)(up->addr + THE_PAGE * PAGE_SIZE),
					      &news, 1));
	expect_pinned(up);
	protect(up, PROT_NONE);
	protect(up, PROT_READ | PROT_WRITE);
	expect_shared(up);
}

#ifdef CONFIG_MEM_SOFT_DIRTY
/* Who wants to know of writes is told of those that mprotect() allows again. */
static void protected_unnoticed(struct kunit *test)
{
	struct user_pages *up = user_pages_make(test, &user_memory_anon, 1);

	vma_flags_switch(test, up->addr, VM_SOFTDIRTY, false);
	entry_set(test, up->addr, ENTRY_WRITE | ENTRY_DIRTY | ENTRY_YOUNG);
	protect(up, PROT_READ);
	protect(up, PROT_READ | PROT_WRITE);
	KUNIT_EXPECT_EQ(test, entry_state(test, up->addr) & (ENTRY_WRITE | ENTRY_SOFT_DIRTY), 0);
	user_pages_write(up, 0, NEWS);
	KUNIT_EXPECT_EQ(test, entry_state(test, up->addr) & (ENTRY_WRITE | ENTRY_SOFT_DIRTY),
			ENTRY_WRITE | ENTRY_SOFT_DIRTY);
}
#endif

static unsigned int nr_present(struct user_pages *up)
{
	unsigned int i, nr = 0;

	for (i = 0; i < up->nr; i++)
		nr += !!user_pages_folio(up, i);
	return nr;
}

/* The user gives the pages up: they are written to swap, but for what is pinned. */
static void paged_out(struct kunit *test)
{
	struct user_pages *up, *others;

	KUNIT_ASSERT_EQ(test, 0, test_swap_on(test));
	others = user_pages_make(test, &user_memory_anon, NR_PAGES);
	up = make_pinned(test);
	KUNIT_ASSERT_EQ(test, 0, do_madvise(current->mm, others->addr, size_of(others),
					    MADV_PAGEOUT));
	KUNIT_EXPECT_EQ(test, nr_present(others), 0);

	KUNIT_ASSERT_EQ(test, 0, do_madvise(current->mm, up->addr, size_of(up), MADV_PAGEOUT));
	/* Pages of a file are unmapped, but stay there. */
	if (up->memory != &user_memory_shmem) {
		KUNIT_EXPECT_EQ(test, nr_present(up), up->nr);
		KUNIT_EXPECT_FALSE(test, folio_test_swapcache(user_pages_folio(up, THE_PAGE)));
	}
	expect_shared(up);
}

/* Nobody gives up for another process. */
static void shared_paged_out(struct kunit *test)
{
	struct user_pages *up;
	struct user_fork *fork;

	KUNIT_ASSERT_EQ(test, 0, test_swap_on(test));
	up = user_pages_make(test, &user_memory_anon, NR_PAGES);
	fork = user_fork(up, THE_PAGE);
	KUNIT_ASSERT_EQ(test, 0, do_madvise(current->mm, up->addr, size_of(up), MADV_PAGEOUT));
	KUNIT_EXPECT_EQ(test, nr_present(up), up->nr);
	KUNIT_EXPECT_FALSE(test, folio_test_swapcache(user_pages_folio(up, THE_PAGE)));
	expect_fork_reads(fork, user_pages_pattern(up, THE_PAGE));
}

/* Huge ones come back as small ones. */
static const struct user_memory * const small[] = {
	&user_memory_anon,
	&user_memory_shmem,
};

PARAM_ARRAY(small, "%s", (*p)->name);

/* Without a swap device all is back in memory, and belongs to whom it did. */
static void back_from_swap(struct kunit *test)
{
	const struct user_memory * const *memory = test->param_value;
	struct user_pages *up;
	unsigned int i;

	KUNIT_ASSERT_EQ(test, 0, test_swap_on(test));
	up = user_pages_make(test, *memory, NR_PAGES);
	KUNIT_ASSERT_EQ(test, 0, do_madvise(current->mm, up->addr, size_of(up), MADV_PAGEOUT));
	KUNIT_ASSERT_EQ(test, nr_present(up), 0);
	test_swap_off(test);
	KUNIT_EXPECT_EQ(test, total_swap_pages, 0);
	for (i = 0; i < up->nr && *memory != &user_memory_shmem; i++) {
		struct folio *folio = user_pages_folio(up, i);

		KUNIT_ASSERT_NOT_NULL(test, folio);
		KUNIT_EXPECT_FALSE(test, folio_test_swapcache(folio));
		KUNIT_EXPECT_TRUE(test, PageAnonExclusive(folio_page(folio, 0)));
	}
	user_pages_pin(up, &pin_way_unlocked, FOLL_LONGTERM);
	expect_shared(up);
}

/* Who still needs pages that their user has given up. */
enum need {
	NOBODY,
	HELD,		/* somebody has a reference, */
	PINNED,		/* or a pin, */
	WRITTEN,	/* the user writes to them again */
};

static const struct freed_param {
	const char *name;
	const struct user_memory *memory;
	enum need need;
} freed_params[] = {
	{ "anon", &user_memory_anon, NOBODY },
	{ "anon-held", &user_memory_anon, HELD },
	{ "anon-pinned", &user_memory_anon, PINNED },
#ifndef CONFIG_UML	/* What the kernel writes for the user leaves the entry clean there. */
	{ "anon-written", &user_memory_anon, WRITTEN },
#endif
#ifdef CONFIG_TRANSPARENT_HUGEPAGE
	{ "thp", &user_memory_thp, NOBODY },
	{ "thp-held", &user_memory_thp, HELD },
	{ "thp-pinned", &user_memory_thp, PINNED },
	{ "thp-written", &user_memory_thp, WRITTEN },
#endif
};

PARAM_ARRAY(freed_params, "%s", p->name);

/*
 * After MADV_FREE reclaim takes the pages, but not from a device that may have written
 * to them, nor from a user who has.
 */
static void freed(struct kunit *test)
{
	const struct freed_param *p = test->param_value;
	const unsigned int order = p->memory->order;
	struct user_pages *up = user_pages_make(test, p->memory, order ? 1U << order : NR_PAGES);
	const unsigned long resident = get_mm_counter_sum(current->mm, MM_ANONPAGES);
	const unsigned int left = p->need == NOBODY ? 0 :
				  p->need == PINNED || order ? up->nr : 1;
	struct folio *folio;
	u8 found;

	if (p->need == PINNED)
		user_pages_pin(up, &pin_way_unlocked, FOLL_LONGTERM);
	folio = user_pages_folio(up, THE_PAGE);
	lru_add_drain_all();
	KUNIT_ASSERT_EQ(test, 0, do_madvise(current->mm, up->addr, size_of(up), MADV_FREE));
	lru_add_drain_all();
	if (p->need == HELD)
		test_folio_get(test, folio);
	else if (p->need == WRITTEN)
		user_pages_write(up, THE_PAGE, user_pages_pattern(up, THE_PAGE));
	KUNIT_ASSERT_EQ(test, 0, do_madvise(current->mm, up->addr, size_of(up), MADV_PAGEOUT));
	KUNIT_EXPECT_EQ(test, nr_present(up), left);
	KUNIT_EXPECT_EQ(test, get_mm_counter_sum(current->mm, MM_ANONPAGES),
			resident - up->nr + left);
	KUNIT_ASSERT_EQ(test, 0, copy_from_user(&found, (void __user *)
						(up->addr + THE_PAGE * PAGE_SIZE), 1));
	KUNIT_EXPECT_EQ(test, found, left ? user_pages_pattern(up, THE_PAGE) : 0);
	if (!left)
		return;

	KUNIT_EXPECT_PTR_EQ(test, user_pages_folio(up, THE_PAGE), folio);
	if (p->need == PINNED) {
		expect_shared(up);
	} else if (p->need == HELD) {
		test_folio_put(test, folio);
		KUNIT_ASSERT_EQ(test, 0, do_madvise(current->mm, up->addr, size_of(up),
						    MADV_PAGEOUT));
		KUNIT_EXPECT_EQ(test, nr_present(up), 0);
	}
}

/* A core dump has what is in swap, which is not the same as what nobody has touched. */
static void dump_of_paged_out(struct kunit *test)
{
	struct user_pages *up;

	KUNIT_ASSERT_EQ(test, 0, test_swap_on(test));
	up = user_pages_make(test, &user_memory_anon, NR_PAGES);
	KUNIT_ASSERT_EQ(test, 0, do_madvise(current->mm, up->addr, size_of(up), MADV_PAGEOUT));
	KUNIT_ASSERT_EQ(test, nr_present(up), 0);
	KUNIT_EXPECT_EQ(test, user_dump(test, up->addr, up->nr), up->nr);
	KUNIT_EXPECT_EQ(test, nr_present(up), up->nr);
}

static const struct user_memory * const swappable_files[] = {
	&user_memory_memfd,
#ifdef CONFIG_TRANSPARENT_HUGEPAGE
	&user_memory_memfd_large,
#endif
};

PARAM_ARRAY(swappable_files, "%s", (*p)->name);

#define NR_FOLIOS	6

/*
 * What is swapped out of a file goes with a hole; the rest is there for a pin, and
 * goes with the file.  A place in swap that is lost keeps swapoff() from ending.
 */
static void hole_in_swapped_out(struct kunit *test)
{
	const struct user_memory *memory = *(const struct user_memory **)test->param_value;
	const unsigned int nr = 1U << memory->order, begin = nr, end = (NR_FOLIOS - 2) * nr;
	struct user_pages *up;
	struct inode *inode;
	unsigned int i;
	long unused;

	KUNIT_ASSERT_EQ(test, 0, test_swap_on(test));
	up = user_pages_make(test, memory, NR_FOLIOS * nr);
	inode = file_inode(up->file);
	unused = get_nr_swap_pages();
	KUNIT_ASSERT_EQ(test, 0, do_madvise(current->mm, up->addr, size_of(up), MADV_PAGEOUT));
	for (i = 0; i < up->nr; i++)
		KUNIT_ASSERT_TRUE(test, xa_is_value(xa_load(&up->file->f_mapping->i_pages, i)));
	KUNIT_ASSERT_EQ(test, unused - get_nr_swap_pages(), up->nr);
	KUNIT_ASSERT_EQ(test, SHMEM_I(inode)->swapped, up->nr);

	shmem_truncate_range(inode, begin * PAGE_SIZE, end * PAGE_SIZE - 1);
	KUNIT_EXPECT_EQ(test, unused - get_nr_swap_pages(), up->nr - (end - begin));
	KUNIT_EXPECT_EQ(test, SHMEM_I(inode)->swapped, up->nr - (end - begin));
	user_pages_pin(up, &pin_way_unlocked, FOLL_LONGTERM);
	KUNIT_ASSERT_EQ(test, up->rc, up->nr);
	for (i = 0; i < up->nr; i++)
		KUNIT_EXPECT_EQ_MSG(test, device_finds(up, i),
				    i - begin < end - begin ? 0 : user_pages_pattern(up, i),
				    "page %u", i);
	user_pages_unpin(up);
	KUNIT_EXPECT_EQ(test, SHMEM_I(inode)->swapped, 0);

	KUNIT_ASSERT_EQ(test, 0, do_madvise(current->mm, up->addr, size_of(up), MADV_PAGEOUT));
	KUNIT_EXPECT_EQ(test, SHMEM_I(inode)->swapped, up->nr);
	KUNIT_ASSERT_EQ(test, 0, vfs_truncate(&up->file->f_path, 0));
	KUNIT_EXPECT_EQ(test, SHMEM_I(inode)->swapped, 0);
	KUNIT_EXPECT_EQ(test, get_nr_swap_pages(), unused);
}

/* A part is taken from the user, who gets new memory there.  The rest stays common. */
static void dontneed_in_part(struct kunit *test)
{
	struct user_pages *up = make_pinned(test);
	struct page *given_up = up->pages[0];
	const u8 data = user_pages_pattern(up, 0);
	u8 found;

	KUNIT_ASSERT_EQ(test, 0, do_madvise(current->mm, up->addr, PAGE_SIZE, MADV_DONTNEED));
	KUNIT_ASSERT_EQ(test, 0, copy_from_user(&found, (void __user *)up->addr, 1));
	KUNIT_EXPECT_EQ(test, found, up->memory == &user_memory_shmem ? data : 0);
	user_pages_write(up, THE_PAGE, NEWS);
	KUNIT_EXPECT_EQ(test, device_finds(up, THE_PAGE), NEWS);
	KUNIT_EXPECT_PTR_EQ(test, up->pages[0], given_up);
	KUNIT_EXPECT_EQ(test, device_finds(up, 0), data);
	expect_pins(up, up->nr);
	user_pages_unpin(up);
	expect_pins(up, 0);
	lru_add_drain_all();
	KUNIT_EXPECT_FALSE(test, folio_maybe_dma_pinned(user_pages_folio(up, THE_PAGE)));
}

#ifdef HAVE_TEST_PROBES
static unsigned int told;

/* In place of dump_stack(), which nobody has to read. */
static int count_and_return(struct kprobe *point, struct pt_regs *regs)
{
	told++;
	return test_probe_returns(regs, 0);
}

static void below_stack_fails(struct kunit *test, unsigned long addr, unsigned int told_before)
{
	struct page *page;

	KUNIT_EXPECT_EQ(test, -EFAULT, pin_user_pages_unlocked(addr, 1, &page, FOLL_WRITE));
	KUNIT_EXPECT_EQ(test, -EFAULT, pin_user_pages_fast(addr, 1, FOLL_WRITE | FOLL_LONGTERM,
							   &page));
	KUNIT_EXPECT_EQ(test, told, told_before);
}

/* A pin has no stack grow; that this was different once is told, but not every time. */
static void below_stack(struct kunit *test)
{
	const unsigned long size = 2 * SZ_128K;
	struct kprobe *point = test_zalloc(test, sizeof(*point));
	unsigned long addr, stack;

	addr = kunit_vm_mmap(test, NULL, 0, size, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, 0);
	KUNIT_ASSERT_FALSE(test, !addr || IS_ERR_VALUE(addr));
	test_mm_ends(test);
	stack = addr + size - PAGE_SIZE;
	KUNIT_ASSERT_EQ(test, 0, vm_munmap(addr, size));
	KUNIT_ASSERT_EQ(test, stack, vm_mmap(NULL, stack, PAGE_SIZE, PROT_READ | PROT_WRITE,
					     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED |
					     MAP_GROWSDOWN, 0));
	KUNIT_ASSERT_EQ(test, 0, test_probe(test, point, "dump_stack", count_and_return));
	told = 0;

	/* Nobody would have meant the stack this far below. */
	below_stack_fails(test, stack - SZ_64K - PAGE_SIZE, 0);
	below_stack_fails(test, stack - PAGE_SIZE, 1);
	schedule_timeout_uninterruptible(2 * HZ);
	below_stack_fails(test, stack - PAGE_SIZE, 1);
	KUNIT_EXPECT_NULL(test, folio_at(current->mm, stack - PAGE_SIZE));
	mmap_read_lock(current->mm);
	KUNIT_EXPECT_NULL(test, vma_lookup(current->mm, stack - PAGE_SIZE));
	mmap_read_unlock(current->mm);
}
#endif

#ifdef CONFIG_NUMA_BALANCING
static const struct pin_way * const any_way[] = {
	&pin_way_locked,
	&pin_way_unlocked,
	&pin_way_try_fast,
	&pin_way_remote,
};

/* What NUMA balancing has marked can be read as it is: that is no access of this CPU. */
static void numa_hints(struct kunit *test)
{
	struct user_pages *up = make_pinned(test);
	unsigned int i;

	user_pages_unpin(up);
	user_pages_hint(up);

	for (i = 0; i < ARRAY_SIZE(any_way); i++) {
		user_pages_pin_read_only(up, any_way[i], FOLL_LONGTERM);
		KUNIT_EXPECT_EQ(test, up->rc, up->nr);
		KUNIT_EXPECT_EQ(test, user_pages_hinted(up), up->nr);
		expect_pins(up, up->nr);
		user_pages_unpin(up);
	}
	user_pages_write(up, THE_PAGE, user_pages_pattern(up, THE_PAGE));
	KUNIT_EXPECT_LT(test, user_pages_hinted(up), up->nr);
	expect_not_pinned(up);
}
#endif

static struct kunit_case pin_mapping_cases[] = {
	KUNIT_CASE_PARAM_ARRAY(moved, user_memories),
	KUNIT_CASE_PARAM_ARRAY(moved_in_parts, divisible),
	KUNIT_CASE_PARAM_ARRAY(protected, user_memories),
#ifdef CONFIG_MEM_SOFT_DIRTY
	KUNIT_CASE(protected_unnoticed),
#endif
	KUNIT_CASE_PARAM_ARRAY(paged_out, divisible),
	KUNIT_CASE(shared_paged_out),
	KUNIT_CASE_PARAM_ARRAY(back_from_swap, small),
	KUNIT_CASE_PARAM_ARRAY(freed, freed_params),
	KUNIT_CASE(dump_of_paged_out),
	KUNIT_CASE_PARAM_ARRAY(hole_in_swapped_out, swappable_files),
	KUNIT_CASE_PARAM_ARRAY(dontneed_in_part, divisible),
#ifdef HAVE_TEST_PROBES
	KUNIT_CASE(below_stack),
#endif
#ifdef CONFIG_NUMA_BALANCING
	KUNIT_CASE_PARAM_ARRAY(numa_hints, divisible),
#endif
	{}
};

static struct kunit_suite pin_mapping_suite = {
	.name = "pin_mapping",
	.init = user_pages_init,
	.test_cases = pin_mapping_cases,
};

kunit_test_suite(pin_mapping_suite);

MODULE_DESCRIPTION("KUnit tests for changes of mappings under longterm pins");
MODULE_LICENSE("GPL");
