// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests for longterm pins of huge pages, transparent and of hugetlbfs: they move,
 * a fork leaves them to the process that has pinned them, and nobody finds in them what
 * others have left there.
 */

/* First: linux/memfd.h needs its types and does not include it. */
#include <linux/mm.h>

#include <linux/file.h>
#include <linux/highmem.h>
#include <linux/huge_mm.h>
#include <linux/hugetlb.h>
#include <linux/memfd.h>
#include <linux/mman.h>
#include <linux/mount.h>
#include <linux/pagewalk.h>
#include <linux/pgalloc.h>
#include <linux/seqlock.h>
#include <linux/shmem_fs.h>
#include <linux/sizes.h>
#include <linux/uaccess.h>
#include <linux/unistd.h>
#include <uapi/linux/memfd.h>

#include "folio_fixture.h"
#include "probe.h"
#include "user_pages.h"

/* The page that a case looks at, not the first of its folio. */
#define THE_PAGE	3

/* How many pages from there on a case pins that does not pin all. */
#define NR_INSIDE	5

/* No page contains this after user_pages_fill(). */
#define NEWS		0x5a

static const struct user_memory * const memories[] = {
	&user_memory_thp,
	&user_memory_hugetlb_private,
};

PARAM_ARRAY(memories, "%s", (*p)->name);

static const struct pin_way * const ways[] = {
	&pin_way_locked,
	&pin_way_unlocked,
	&pin_way_try_fast,
	&pin_way_remote,
};

PARAM_ARRAY(ways, "%s", (*p)->name);

static struct user_pages *make(struct kunit *test, const struct user_memory *memory)
{
	return user_pages_make(test, memory, 1U << memory->order);
}

static u8 device_finds(struct user_pages *up)
{
	const u8 *page = kmap_local_page(up->pages[THE_PAGE]);
	const u8 found = *page;

	kunmap_local(page);
	return found;
}

/* The process that has pinned the page keeps it, and its child gets a copy. */
static void fork_after_pin(struct kunit *test)
{
	const struct user_memory * const *memory = test->param_value;
	struct user_pages *up = make(test, *memory);
	struct user_fork *forked;

	user_pages_pin(up, &pin_way_locked, FOLL_LONGTERM);
	expect_pinned(up);
	forked = user_fork(up, THE_PAGE);

	user_pages_write(up, THE_PAGE, NEWS);
	KUNIT_EXPECT_EQ(test, device_finds(up), NEWS);
	expect_fork_reads(forked, user_pages_pattern(up, THE_PAGE));
	user_pages_unpin(up);
}

/**
 * struct fork_param - a pin after a fork
 * @memory: the kind of memory
 * @reads: the pin is for reading
 * @fast: the page is where the fast way may pin it, and is pinned so
 */
struct fork_param {
	const struct user_memory *memory;
	bool reads;
	bool fast;
};

static const struct fork_param forks[] = {
	{ &user_memory_thp },
	{ &user_memory_thp, true },
	{ &user_memory_thp, true, true },
	{ &user_memory_hugetlb_private },
	{ &user_memory_hugetlb_private, true },
	{ &user_memory_hugetlb_private, true, true },
};

PARAM_ARRAY(forks, "%s-%s%s", p->memory->name, p->fast ? "fast-" : "", p->reads ? "read" : "write");

/* A longterm pin moves them to where the fast way, or the next pin, may take them. */
static void move_out(struct user_pages *up)
{
	user_pages_pin(up, &pin_way_locked, FOLL_LONGTERM);
	expect_pinned(up);
	user_pages_unpin(up);
	lru_add_drain_all();
}

/* How many mappings a fork announces in write_protect_seq, which fast GUP looks at. */
static unsigned int forks_told(struct kunit *test)
{
	const unsigned int before = current->mm->write_protect_seq.sequence;
	struct test_task *task = test_task_start(test, test_task_await_go, NULL, 0);
	const unsigned int after = current->mm->write_protect_seq.sequence;

	test_task_go(task);
	test_task_join(task);
	KUNIT_EXPECT_EQ(test, after % 2, 0);
	return (after - before) / 2;
}

/* A fork announces each private mapping, so that fast GUP notices. */
static void fork_is_told(struct kunit *test)
{
	const struct user_memory * const *memory = test->param_value;
	unsigned int others;

	/* A fork needs something to copy. */
	user_pages_make(test, &user_memory_anon, 1);
	others = forks_told(test);
	make(test, *memory);
	KUNIT_EXPECT_EQ(test, forks_told(test), others + 1);
}

/* Each way moves them, as a whole. */
static void moves_out(struct kunit *test)
{
	const struct pin_way * const *way = test->param_value;
	struct user_pages *up = make(test, &user_memory_hugetlb_private);
	struct folio *folio = user_pages_folio(up, 0);

	KUNIT_ASSERT_TRUE(test, folio_test_anon(folio));
	KUNIT_ASSERT_TRUE(test, folio_is_zone_movable(folio));
	user_pages_pin(up, *way, FOLL_LONGTERM);
	expect_pinned(up);
	folio = page_folio(up->pages[0]);
	KUNIT_EXPECT_TRUE(test, folio_test_hugetlb(folio));
	KUNIT_EXPECT_FALSE(test, folio_is_zone_movable(folio));
	expect_unpins(up);
}

KUNIT_DEFINE_ACTION_WRAPPER(unpin_folio_action, unpin_folio, struct folio *);
KUNIT_DEFINE_ACTION_WRAPPER(fput_action, __fput_sync, struct file *);

static struct file *memfd(struct kunit *test, unsigned int nr)
{
	struct file *file = memfd_alloc_file("pin_huge", MFD_HUGETLB);

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, file);
	test_cleanup(test, fput_action, file);
	KUNIT_ASSERT_EQ(test, 0, vfs_truncate(&file->f_path, nr * HPAGE_SIZE));
	return file;
}

static void expect_cleared(struct kunit *test, struct folio *folio)
{
	unsigned int i;

	for (i = 0; i < folio_nr_pages(folio); i++) {
		void *page = kmap_local_folio(folio, i * PAGE_SIZE);

		KUNIT_EXPECT_NULL_MSG(test, memchr_inv(page, 0, PAGE_SIZE), "page %u", i);
		kunmap_local(page);
	}
}

/* What its last user has left in a page of the pool is gone. */
static void memfd_is_cleared(struct kunit *test)
{
	struct user_pages *up = make(test, &user_memory_hugetlb);
	struct file *file = memfd(test, 1);
	struct folio *folio, *old;
	pgoff_t offset;

	move_out(up);
	old = user_pages_folio(up, 0);
	KUNIT_ASSERT_EQ(test, 0, vfs_truncate(&up->file->f_path, 0));

	KUNIT_ASSERT_EQ(test, 1, memfd_pin_folios(file, 0, HPAGE_SIZE - 1, &folio, 1, &offset));
	test_cleanup(test, unpin_folio_action, folio);
	KUNIT_ASSERT_PTR_EQ(test, folio, old);
	expect_cleared(test, folio);
}

static int overcommit(const char *nr)
{
	char path[64];

	snprintf(path, sizeof(path), "kernel/mm/hugepages/hugepages-%lukB/nr_overcommit_hugepages",
		 HPAGE_SIZE / SZ_1K);
	return pseudo_file_write("sysfs", path, nr);
}

static void overcommit_end(void *data)
{
	struct kunit *test = data;

	KUNIT_EXPECT_EQ(test, 0, overcommit("0"));
}

/*
 * Pages that a child has as well: a pin for writing takes a copy for the parent, and so
 * does one for reading, or the device would miss what the parent writes afterwards.
 */
static void fork_before_pin(struct kunit *test)
{
	const struct fork_param *p = test->param_value;
	const struct pin_way *way = p->fast ? &pin_way_try_fast : &pin_way_unlocked;
	struct user_pages *up = make(test, p->memory);
	struct user_fork *forked;
	struct folio *shared;

	if (p->fast)
		move_out(up);
	shared = user_pages_folio(up, THE_PAGE);
	/* All of the pool is where longterm pins may not be; without others the child has to go. */
	KUNIT_ASSERT_EQ(test, 0, overcommit("1"));
	test_cleanup(test, overcommit_end, test);
	forked = user_fork(up, THE_PAGE);
	if (p->reads)
		user_pages_pin_read_only(up, way, FOLL_LONGTERM);
	else
		user_pages_pin(up, way, FOLL_LONGTERM);

	KUNIT_ASSERT_EQ(test, up->rc, up->nr);
	KUNIT_EXPECT_FALSE(test, folio_maybe_dma_pinned(shared));
	KUNIT_EXPECT_EQ(test, folio_ref_count(shared), 1);
	user_pages_write(up, THE_PAGE, NEWS);
	KUNIT_EXPECT_EQ(test, device_finds(up), NEWS);
	expect_fork_reads(forked, user_pages_pattern(up, THE_PAGE));
	user_pages_unpin(up);
}

/* The fast way by itself takes pages from inside of a huge one, each with a reference. */
static void fast_only(struct kunit *test)
{
	const struct user_memory * const *memory = test->param_value;
	struct user_pages *up = make(test, *memory);
	const unsigned long addr = up->addr + THE_PAGE * PAGE_SIZE;
	struct folio *folio;
	int i, refs;

	move_out(up);
	folio = user_pages_folio(up, 0);
	refs = folio_ref_count(folio);
	KUNIT_ASSERT_EQ(test, NR_INSIDE, get_user_pages_fast_only(addr, NR_INSIDE, FOLL_WRITE,
								  up->pages));
	for (i = 0; i < NR_INSIDE; i++)
		KUNIT_EXPECT_PTR_EQ_MSG(test, up->pages[i], folio_page(folio, THE_PAGE + i),
					"page %d", i);
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), refs + NR_INSIDE);
	for (i = 0; i < NR_INSIDE; i++)
		put_page(up->pages[i]);

	KUNIT_ASSERT_EQ(test, NR_INSIDE, pin_user_pages_fast(addr, NR_INSIDE,
							     FOLL_WRITE | FOLL_LONGTERM,
							     up->pages));
	KUNIT_EXPECT_EQ(test, atomic_read(&folio->_pincount), NR_INSIDE);
	expect_pins(up, NR_INSIDE);
	unpin_user_pages(up->pages, NR_INSIDE);
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), refs);
	expect_not_pinned(up);
}

/* It goes on from one huge page to the next, and from one that small entries map. */
static void fast_across_huge(struct kunit *test)
{
	const struct user_memory * const *memory = test->param_value;
	const unsigned int half = 1U << (*memory)->order, first = half - 2;
	struct user_pages *up = user_pages_make(test, *memory, 2 * half);
	struct page *pages[NR_INSIDE];
	unsigned int i, split;

	for (split = 0; split <= (*memory == &user_memory_thp); split++) {
		if (split) {
			KUNIT_ASSERT_EQ(test, 1, pin_user_pages_unlocked(up->addr, 1, pages,
									 FOLL_SPLIT_PMD));
			unpin_user_pages(pages, 1);
		}
		KUNIT_ASSERT_EQ(test, NR_INSIDE,
				get_user_pages_fast_only(up->addr + first * PAGE_SIZE,
							 NR_INSIDE, FOLL_WRITE, pages));
		for (i = 0; i < NR_INSIDE; i++) {
			struct folio *folio = user_pages_folio(up, first + i);

			KUNIT_EXPECT_PTR_EQ(test, pages[i],
					    folio_page(folio, (first + i) % half));
			put_page(pages[i]);
		}
	}
	expect_not_pinned(up);
}

#if defined(HAVE_TEST_PROBES) && defined(CONFIG_X86_64)
/* If there are too many references on a huge page for all of a pin, it has none of them. */
static void too_many_references(struct kunit *test)
{
	const struct user_memory * const *memory = test->param_value;
	struct user_pages *up = make(test, *memory);
	struct folio *folio = user_pages_folio(up, 0);
	struct failing_call *grab;
	int refs;

	lru_add_drain_all();
	refs = folio_ref_count(folio);
	/* The second reference is that of all pages but the first. */
	grab = test_call_fails(test, "try_grab_folio", 2, -ENOMEM);
	KUNIT_EXPECT_EQ(test, -EFAULT, pin_user_pages_unlocked(up->addr, up->nr, up->pages,
							       FOLL_WRITE));
	KUNIT_EXPECT_EQ(test, grab->nth, 0);
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), refs);
	expect_not_pinned(up);
	user_pages_pin(up, &pin_way_unlocked, 0);
	expect_pins(up, up->nr);
	user_pages_unpin(up);
}

/**
 * struct change - the entry of a huge page changes between two looks at it
 * @point: before a function that is called in between
 * @mm: the mm of who calls it
 * @arg: the first argument, by which it is told from other calls
 * @entry: the entry, of whatever table
 * @value: what becomes of it
 */
struct change {
	struct kprobe point;
	struct mm_struct *mm;
	void *arg;
	unsigned long *entry;
	unsigned long value;
};

static int change_entry(struct kprobe *point, struct pt_regs *regs)
{
	struct change *c = container_of(point, struct change, point);

	if (current->mm == c->mm && regs_get_kernel_argument(regs, 0) == (unsigned long)c->arg)
		WRITE_ONCE(*c->entry, c->value);
	return 0;
}

/* A page table with just one of the pages of a huge one. */
static struct page *table_with(struct kunit *test, struct page *page)
{
	struct page *table = pte_alloc_one(current->mm);

	KUNIT_ASSERT_NOT_NULL(test, table);
	set_pte((pte_t *)page_address(table) + THE_PAGE, pte_mkdirty(mk_pte(page, PAGE_SHARED)));
	return table;
}

static const bool split[] = { true, false };

PARAM_ARRAY(split, "%s", *p ? "split" : "gone");

/* What is at the entry once it is locked is what counts. */
static void entry_changes(struct kunit *test)
{
	const bool *is_split = test->param_value;
	struct user_pages *up = make(test, &user_memory_thp);
	const unsigned long addr = up->addr + THE_PAGE * PAGE_SIZE;
	struct change *c = test_zalloc(test, sizeof(*c));
	struct page *due = folio_page(user_pages_folio(up, 0), THE_PAGE);
	struct page *table = table_with(test, due), *page = NULL;
	pmd_t *pmdp = pmd_off(current->mm, addr), old = *pmdp;
	spinlock_t *lock = pmd_lockptr(current->mm, pmdp);
	bool unlocked;

	c->mm = current->mm;
	c->arg = lock;
	c->entry = &pmdp->pmd;
	c->value = *is_split ? page_to_phys(table) | _PAGE_TABLE : 0;
	KUNIT_ASSERT_EQ(test, 0, test_probe(test, &c->point, "_raw_spin_lock", change_entry));
	if (*is_split)
		KUNIT_EXPECT_EQ(test, 1, get_user_pages_unlocked(addr, 1, &page, FOLL_WRITE));
	else
		KUNIT_EXPECT_EQ(test, -EFAULT, user_dump(test, addr, 1));
	test_probe_end(test, &c->point);
	KUNIT_EXPECT_EQ(test, pmd_val(*pmdp), c->value);
	set_pmd(pmdp, old);
	pte_free(c->mm, table);

	unlocked = spin_trylock(lock);
	KUNIT_ASSERT_TRUE(test, unlocked);
	spin_unlock(lock);
	if (*is_split) {
		KUNIT_ASSERT_PTR_EQ(test, page, due);
		put_page(page);
	}
	expect_not_pinned(up);
}
#endif

#ifdef CONFIG_X86_64
/**
 * struct gigantic - an entry for a gigabyte, of which a case has a part and uses no other
 * @folio: the part
 * @refs: its references
 * @pudp: the entry; no CPU looks at it
 * @addr: the user address of one of the pages of @folio
 * @pages: for some of these, from that one on
 */
struct gigantic {
	struct folio *folio;
	int refs;
	pud_t *pudp;
	unsigned long addr;
	struct page *pages[NR_INSIDE];
};

/* Until gigantic_end() a case does not end: the mm could not be torn down. */
static struct gigantic *gigantic(struct kunit *test, pgprot_t prot)
{
	struct gigantic *g = test_zalloc(test, sizeof(*g));
	unsigned long base, pfn;
	p4d_t *p4dp;

	g->folio = test_folio_alloc(test, HPAGE_PMD_ORDER);
	g->refs = folio_ref_count(g->folio);
	base = kunit_vm_mmap(test, NULL, 0, 2 * PUD_SIZE, PROT_READ | PROT_WRITE,
			     MAP_ANONYMOUS | MAP_PRIVATE | MAP_NORESERVE, 0);
	KUNIT_ASSERT_FALSE(test, !base || IS_ERR_VALUE(base));
	test_mm_ends(test);
	base = ALIGN(base, PUD_SIZE);
	p4dp = p4d_alloc(current->mm, pgd_offset(current->mm, base), base);
	KUNIT_ASSERT_NOT_NULL(test, p4dp);
	g->pudp = pud_alloc(current->mm, p4dp, base);
	KUNIT_ASSERT_NOT_NULL(test, g->pudp);
	KUNIT_ASSERT_TRUE(test, pud_none(*g->pudp));

	pfn = folio_pfn(g->folio) & ~(PTRS_PER_PMD * PTRS_PER_PTE - 1UL);
	g->addr = base + PFN_PHYS(folio_pfn(g->folio) + THE_PAGE - pfn);
	set_pud(g->pudp, pud_mkdirty(pud_mkhuge(pfn_pud(pfn, prot))));
	return g;
}

static void gigantic_end(struct gigantic *g)
{
	pud_clear(g->pudp);
}

/* All were taken, with a reference for each, or pinned; gives them back. */
static void expect_taken(struct kunit *test, struct gigantic *g, long rc, bool pinned)
{
	int i;

	KUNIT_EXPECT_EQ(test, rc, NR_INSIDE);
	if (rc != NR_INSIDE)
		return;
	for (i = 0; i < NR_INSIDE; i++)
		KUNIT_EXPECT_PTR_EQ_MSG(test, g->pages[i], folio_page(g->folio, THE_PAGE + i),
					"page %d", i);
	KUNIT_EXPECT_EQ(test, folio_ref_count(g->folio), g->refs + NR_INSIDE);
	KUNIT_EXPECT_EQ(test, atomic_read(&g->folio->_pincount), pinned ? NR_INSIDE : 0);
	if (pinned)
		unpin_user_pages(g->pages, NR_INSIDE);
	else
		release_pages(g->pages, NR_INSIDE);
	KUNIT_EXPECT_EQ(test, folio_ref_count(g->folio), g->refs);
}

static long take_fast_only(struct gigantic *g, unsigned int gup_flags)
{
	return get_user_pages_fast_only(g->addr, NR_INSIDE, gup_flags, g->pages);
}

static long pin_slow(struct gigantic *g, unsigned int gup_flags)
{
	return pin_user_pages_unlocked(g->addr, NR_INSIDE, g->pages, gup_flags);
}

/* One entry for a gigabyte is pinned from as any other, by either way. */
static void gigantic_entry(struct kunit *test)
{
	struct gigantic *g = gigantic(test, PAGE_SHARED);
	const long unpinned = folio_fixture_unpinned();
	long rc;

	expect_taken(test, g, take_fast_only(g, FOLL_WRITE), false);
	/* Without a mapping the fast way cannot tell whether it may, and gives back what it has. */
	rc = pin_user_pages_fast(g->addr, NR_INSIDE, FOLL_WRITE | FOLL_LONGTERM, g->pages);
	KUNIT_EXPECT_EQ(test, folio_fixture_unpinned() - unpinned, NR_INSIDE);
	expect_taken(test, g, rc, true);
	expect_taken(test, g, pin_slow(g, FOLL_WRITE), true);
	gigantic_end(g);
}

/* Where it may only be read, nothing is taken to be written to. */
static void gigantic_read_only(struct kunit *test)
{
	struct gigantic *g = gigantic(test, PAGE_READONLY);

	KUNIT_EXPECT_EQ(test, take_fast_only(g, FOLL_WRITE), 0);
	KUNIT_EXPECT_EQ(test, folio_ref_count(g->folio), g->refs);
	expect_taken(test, g, take_fast_only(g, 0), false);
	expect_taken(test, g, pin_slow(g, 0), true);
	gigantic_end(g);
}

#ifdef HAVE_TEST_PROBES
/* What has been taken while it changed is given back. */
static void gigantic_changes(struct kunit *test)
{
	struct gigantic *g = gigantic(test, PAGE_SHARED);
	struct change *c = test_zalloc(test, sizeof(*c));
	int probed;

	c->mm = current->mm;
	c->arg = folio_page(g->folio, THE_PAGE);
	c->entry = &g->pudp->pud;
	c->value = pud_val(*g->pudp) ^ _PAGE_ACCESSED;
	probed = test_probe(test, &c->point, "try_grab_folio_fast", change_entry);
	KUNIT_EXPECT_EQ(test, probed, 0);
	KUNIT_EXPECT_EQ(test, take_fast_only(g, FOLL_WRITE), 0);
	KUNIT_EXPECT_EQ(test, pud_val(*g->pudp), c->value);
	KUNIT_EXPECT_EQ(test, folio_ref_count(g->folio), g->refs);
	expect_taken(test, g, take_fast_only(g, FOLL_WRITE), false);
	gigantic_end(g);
}
#endif
#endif

static const bool tracked[] = { false, true };

PARAM_ARRAY(tracked, "%s", *p ? "tracked" : "shared");

/* Nor does it leave out a huge page that it may not take, and take the next one. */
static void fast_stops(struct kunit *test)
{
	const bool *is_tracked = test->param_value;
	const unsigned int half = HPAGE_PMD_NR;
	struct user_pages *up = user_pages_map(test, &user_memory_thp, 2 * half);
	unsigned int i;

	if (*is_tracked) {
		struct user_pages *file = make(test, &user_memory_memfd_huge);

		KUNIT_ASSERT_EQ(test, up->addr,
				test_syscall(__NR_mremap, file->addr, HPAGE_PMD_SIZE,
					     HPAGE_PMD_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED,
					     up->addr));
		user_pages_fill(up, up->nr);
		move_out(up);
		user_pages_track_dirty(file);
		user_pages_pin(up, &pin_way_try_fast, FOLL_LONGTERM);
	} else {
		user_pages_write(up, 0, NEWS);
		test_task_start(test, test_task_await_go, NULL, 0);
		user_pages_write(up, half, NEWS);
		user_pages_pin_read_only(up, &pin_way_try_fast, 0);
	}

	KUNIT_ASSERT_EQ(test, up->rc, 2 * half);
	for (i = 0; i < 2 * half; i++) {
		struct folio *folio = user_pages_folio(up, i);

		/* A huge page that is copied is copied in small ones. */
		KUNIT_EXPECT_PTR_EQ_MSG(test, up->pages[i],
					folio_page(folio, i % folio_nr_pages(folio)),
					"page %u", i);
	}
	expect_pins(up, 2 * half);
	user_pages_unpin(up);
	expect_pins(up, 0);
}

static const struct user_memory * const dumped[] = {
	&user_memory_thp,
	&user_memory_hugetlb,
	&user_memory_hugetlb_private,
};

PARAM_ARRAY(dumped, "%s", (*p)->name);

/* A dump leaves out what nobody has written to, but not what is only unmapped. */
static void dump_skips_untouched(struct kunit *test)
{
	const struct user_memory * const *memory = test->param_value;
	struct user_pages *up = user_pages_map(test, *memory, 1U << (*memory)->order);
	const unsigned long addr = up->addr + THE_PAGE * PAGE_SIZE;
	u8 found;

	KUNIT_EXPECT_EQ(test, user_dump(test, addr, 1), -EFAULT);
	KUNIT_EXPECT_NULL(test, user_pages_folio(up, THE_PAGE));
	if (*memory == &user_memory_thp) {
		KUNIT_ASSERT_EQ(test, 0, copy_from_user(&found, (void __user *)addr, 1));
		KUNIT_ASSERT_TRUE(test, is_huge_zero_folio(user_pages_folio(up, THE_PAGE)));
		KUNIT_EXPECT_EQ(test, user_dump(test, addr, 1), -EFAULT);
	}
	user_pages_write(up, THE_PAGE, NEWS);
	KUNIT_EXPECT_EQ(test, user_dump(test, addr, 1), 1);
	if (*memory == &user_memory_hugetlb) {
		KUNIT_ASSERT_EQ(test, 0, do_madvise(current->mm, up->addr, HPAGE_SIZE,
						    MADV_DONTNEED));
		KUNIT_ASSERT_NULL(test, user_pages_folio(up, THE_PAGE));
		KUNIT_EXPECT_EQ(test, user_dump(test, addr, 1), 1);
	}
}

/* Who asks for that gets pages with entries of their own, still of one folio. */
static void split_for_pin(struct kunit *test)
{
	struct user_pages *up = make(test, &user_memory_thp);
	struct folio *folio = user_pages_folio(up, 0);

	KUNIT_ASSERT_EQ(test, folio_mapcount(folio), 1);
	user_pages_pin(up, &pin_way_unlocked, FOLL_SPLIT_PMD);
	KUNIT_EXPECT_EQ(test, up->rc, up->nr);
	KUNIT_EXPECT_PTR_EQ(test, page_folio(up->pages[THE_PAGE]), folio);
	KUNIT_EXPECT_EQ(test, folio_mapcount(folio), up->nr);
	expect_unpins(up);
}

static const struct user_memory * const indivisible[] = {
	&user_memory_hugetlb,
	&user_memory_hugetlb_private,
};

PARAM_ARRAY(indivisible, "%s", (*p)->name);

/* One of hugetlbfs has no other entry. */
static void never_split_for_pin(struct kunit *test)
{
	static const struct pin_way * const slow[] = {
		&pin_way_locked, &pin_way_unlocked, &pin_way_remote,
	};
	const struct user_memory * const *memory = test->param_value;
	struct user_pages *up = make(test, *memory);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(slow); i++) {
		user_pages_pin(up, slow[i], FOLL_SPLIT_PMD);
		KUNIT_EXPECT_EQ_MSG(test, up->rc, -EOPNOTSUPP, "%s", slow[i]->name);
		user_pages_unpin(up);
	}
	expect_not_pinned(up);
}

static unsigned long nr_free(void)
{
	return default_hstate.free_huge_pages;
}

/* Whoever gives up a huge page that is pinned gets another one; it is free when it is unpinned. */
static void dontneed_under_pin(struct kunit *test)
{
	struct user_pages *up = make(test, &user_memory_hugetlb_private);
	const unsigned long before = nr_free(), reserved = default_hstate.resv_huge_pages;
	u8 data = user_pages_pattern(up, THE_PAGE), found = NEWS;

	user_pages_pin(up, &pin_way_unlocked, FOLL_LONGTERM);
	expect_pinned(up);
	KUNIT_EXPECT_EQ(test, nr_free(), before);
	KUNIT_ASSERT_EQ(test, 0, do_madvise(current->mm, up->addr, HPAGE_SIZE, MADV_DONTNEED));
	KUNIT_EXPECT_EQ(test, nr_free(), before);
	KUNIT_EXPECT_EQ(test, device_finds(up), data);
	KUNIT_ASSERT_EQ(test, 0, copy_from_user(&found, (void __user *)up->addr, 1));
	KUNIT_EXPECT_EQ(test, found, 0);
	KUNIT_EXPECT_EQ(test, nr_free(), before - 1);
	user_pages_unpin(up);
	KUNIT_EXPECT_EQ(test, nr_free(), before);
	KUNIT_EXPECT_EQ(test, default_hstate.resv_huge_pages, reserved);
}

/* A file that shrinks leaves the page to the device. */
static void truncate_under_pin(struct kunit *test)
{
	struct user_pages *up = make(test, &user_memory_hugetlb);
	const unsigned long before = nr_free();
	struct folio *folio;

	user_pages_pin(up, &pin_way_unlocked, FOLL_LONGTERM);
	expect_pinned(up);
	folio = page_folio(up->pages[0]);
	KUNIT_ASSERT_EQ(test, 0, vfs_truncate(&up->file->f_path, 0));
	KUNIT_EXPECT_NULL(test, folio->mapping);
	KUNIT_EXPECT_FALSE(test, folio_mapped(folio));
	KUNIT_EXPECT_EQ(test, device_finds(up), user_pages_pattern(up, THE_PAGE));
	KUNIT_EXPECT_EQ(test, nr_free(), before);
	user_pages_unpin(up);
	KUNIT_EXPECT_EQ(test, nr_free(), before + 1);
}

static int split_it(struct folio *folio)
{
	int rc;

	/* Whoever splits it has a reference, and the lock. */
	folio_get(folio);
	folio_lock(folio);
	rc = split_folio(folio);
	folio_unlock(folio);
	folio_put(folio);
	return rc;
}

/* A part of a transparent huge page, from its beginning. */
static struct folio *pin_part(struct kunit *test, struct user_pages *up)
{
	up->nr = THE_PAGE + 1;
	user_pages_pin(up, &pin_way_unlocked, FOLL_LONGTERM);
	KUNIT_ASSERT_EQ(test, up->rc, up->nr);
	expect_pins(up, up->nr);
	return user_pages_folio(up, THE_PAGE);
}

/* A transparent huge page cannot be split while a part of it is pinned. */
static void split_under_pin(struct kunit *test)
{
	struct user_pages *up = make(test, &user_memory_thp);
	struct folio *folio = pin_part(test, up);

	KUNIT_EXPECT_EQ(test, split_it(folio), -EAGAIN);
	KUNIT_EXPECT_PTR_EQ(test, user_pages_folio(up, THE_PAGE), folio);
	KUNIT_EXPECT_PTR_EQ(test, page_folio(up->pages[THE_PAGE]), folio);
	KUNIT_EXPECT_EQ(test, folio_order(folio), HPAGE_PMD_ORDER);
	user_pages_unpin(up);

	KUNIT_EXPECT_EQ(test, split_it(folio), 0);
	KUNIT_EXPECT_EQ(test, folio_order(user_pages_folio(up, THE_PAGE)), 0);
	expect_not_pinned(up);
}

/* Small pages of which one is pinned are not joined. */
static void collapse_under_pin(struct kunit *test)
{
	struct user_pages *up = make(test, &user_memory_thp);
	struct folio *folio;

	KUNIT_ASSERT_EQ(test, 0, split_it(user_pages_folio(up, 0)));
	folio = pin_part(test, up);
	KUNIT_EXPECT_NE(test, 0, do_madvise(current->mm, up->addr, HPAGE_SIZE, MADV_COLLAPSE));
	KUNIT_EXPECT_PTR_EQ(test, user_pages_folio(up, THE_PAGE), folio);
	KUNIT_EXPECT_PTR_EQ(test, page_folio(up->pages[THE_PAGE]), folio);
	KUNIT_EXPECT_EQ(test, folio_order(folio), 0);
	user_pages_unpin(up);

	KUNIT_EXPECT_EQ(test, 0, do_madvise(current->mm, up->addr, HPAGE_SIZE, MADV_COLLAPSE));
	KUNIT_EXPECT_EQ(test, folio_order(user_pages_folio(up, THE_PAGE)), HPAGE_PMD_ORDER);
	expect_not_pinned(up);
}

static const struct pin_way * const slow_ways[] = {
	&pin_way_locked,
	&pin_way_unlocked,
	&pin_way_remote,
};

PARAM_ARRAY(slow_ways, "%s", (*p)->name);

/* Reads the entry of a huge page; @replace says what it is to be, if anything. */
static pmd_t read_pmd(struct user_pages *up, pmd_t (*replace)(pmd_t pmd))
{
	struct vm_area_struct *vma;
	struct folio_walk fw = {};
	pmd_t pmd = __pmd(0);

	mmap_read_lock(current->mm);
	vma = vma_lookup(current->mm, up->addr);
	if (vma && folio_walk_start(&fw, vma, up->addr, 0)) {
		pmd = fw.pmd;
		if (fw.level == FW_LEVEL_PMD && replace)
			set_pmd_at(current->mm, up->addr, fw.pmdp, replace(pmd));
		folio_walk_end(&fw, vma);
	}
	mmap_read_unlock(current->mm);
	KUNIT_ASSERT_EQ(up->test, fw.level, FW_LEVEL_PMD);
	return pmd;
}

static pmd_t old_and_clean(pmd_t pmd)
{
	return pmd_mkold(pmd_mkclean(pmd));
}

/* All but pin_user_pages() mark the entry accessed and dirty when they pin for writing. */
static void marks_what_it_touches(struct kunit *test)
{
	const struct pin_way * const *way = test->param_value;
	const bool touches = *way != &pin_way_locked;
	struct user_pages *up = make(test, &user_memory_thp);
	pmd_t pmd;

	read_pmd(up, old_and_clean);
	user_pages_pin_read_only(up, *way, 0);
	KUNIT_EXPECT_EQ(test, up->rc, up->nr);
	KUNIT_EXPECT_FALSE(test, pmd_dirty(read_pmd(up, NULL)));
	user_pages_unpin(up);

	user_pages_pin(up, *way, 0);
	KUNIT_EXPECT_EQ(test, up->rc, up->nr);
	pmd = read_pmd(up, NULL);
	KUNIT_EXPECT_EQ(test, !!pmd_young(pmd), touches);
	KUNIT_EXPECT_EQ(test, !!pmd_dirty(pmd), touches);
	user_pages_unpin(up);
	expect_pins(up, 0);
}

/* What was only read is the huge zero page, of which a device gets a copy. */
static void zero_page(struct kunit *test)
{
	const struct pin_way * const *way = test->param_value;
	struct user_pages *up = user_pages_map(test, &user_memory_thp,
					       1U << user_memory_thp.order);
	unsigned int i;
	u8 found;

	KUNIT_ASSERT_EQ(test, 0, copy_from_user(&found, (void __user *)up->addr, 1));
	KUNIT_ASSERT_TRUE(test, is_huge_zero_folio(user_pages_folio(up, 0)));
	user_pages_pin_read_only(up, *way, FOLL_LONGTERM);
	KUNIT_ASSERT_EQ(test, up->rc, up->nr);
	for (i = 0; i < up->nr; i += THE_PAGE) {
		struct folio *folio = page_folio(up->pages[i]);

		KUNIT_EXPECT_TRUE(test, folio_test_anon(folio));
		KUNIT_EXPECT_FALSE(test, is_zero_folio(folio) || is_huge_zero_folio(folio));
		KUNIT_EXPECT_FALSE(test, folio_is_zone_movable(folio));
		KUNIT_EXPECT_PTR_EQ(test, folio, user_pages_folio(up, i));
	}
	expect_pins(up, up->nr);
	user_pages_write(up, THE_PAGE, NEWS);
	KUNIT_EXPECT_EQ(test, device_finds(up), NEWS);
	user_pages_unpin(up);
	expect_pins(up, 0);
}

/* Ranges that begin and end inside of the folio of a file. */
static void memfd_part(struct kunit *test)
{
	struct user_pages *up = make(test, &user_memory_hugetlb);
	const loff_t start = THE_PAGE * PAGE_SIZE + 5;
	struct folio *folio;
	pgoff_t offset;

	KUNIT_ASSERT_EQ(test, 1, memfd_pin_folios(up->file, start, start + PAGE_SIZE, &folio, 1,
						  &offset));
	KUNIT_EXPECT_EQ(test, offset, start);
	KUNIT_EXPECT_PTR_EQ(test, folio, user_pages_folio(up, 0));
	KUNIT_EXPECT_FALSE(test, folio_is_zone_movable(folio));
	expect_pins(up, 1);
	unpin_folio(folio);
	expect_not_pinned(up);
}

#define NR_HUGE	2

/* Has so many huge pages in the pool that a pin may take, which new ones are not. */
static void fill_pool(struct kunit *test)
{
	struct user_pages *up = user_pages_make(test, &user_memory_hugetlb,
						NR_HUGE << user_memory_hugetlb.order);

	move_out(up);
	KUNIT_ASSERT_EQ(test, 0, vfs_truncate(&up->file->f_path, 0));
	KUNIT_ASSERT_EQ(test, nr_free(), NR_HUGE);
	KUNIT_ASSERT_EQ(test, default_hstate.resv_huge_pages, 0);
}

static void expect_pool(struct kunit *test, unsigned long free, unsigned long reserved)
{
	KUNIT_EXPECT_EQ(test, nr_free(), free);
	KUNIT_EXPECT_EQ(test, default_hstate.resv_huge_pages, reserved);
}

/**
 * struct hole_param - what there is of a file when it is pinned
 * @name: short name without spaces
 * @mapped: it is mapped, and huge pages are reserved for it
 * @touched: which of its pages are there, by bits
 */
struct hole_param {
	const char *name;
	bool mapped;
	unsigned int touched;
};

static const struct hole_param holes[] = {
	{ "nothing", false, 0 },
	{ "reserved", true, 0 },
	{ "first", true, BIT(0) },
	{ "second", true, BIT(1) },
	{ "all", true, BIT(0) | BIT(1) },
};

PARAM_ARRAY(holes, "%s", p->name);

/* What is missing of a file is made when it is pinned, of what is reserved or free. */
static void memfd_with_holes(struct kunit *test)
{
	const struct hole_param *p = test->param_value;
	const u8 news = NEWS;
	struct folio *folios[NR_HUGE];
	u8 __user *user = NULL;
	struct file *file;
	pgoff_t offset;
	unsigned int i;

	fill_pool(test);
	file = memfd(test, NR_HUGE);
	if (p->mapped)
		user = (void __user *)test_mmap_aligned(test, file, NR_HUGE * HPAGE_SIZE,
							MAP_SHARED);
	for (i = 0; i < NR_HUGE; i++)
		if (p->touched & BIT(i))
			KUNIT_ASSERT_EQ(test, 0, copy_to_user(user + i * HPAGE_SIZE, &news, 1));
	expect_pool(test, NR_HUGE - hweight32(p->touched),
		    p->mapped ? NR_HUGE - hweight32(p->touched) : 0);

	KUNIT_ASSERT_EQ(test, NR_HUGE, memfd_pin_folios(file, 0, NR_HUGE * HPAGE_SIZE - 1, folios,
							NR_HUGE, &offset));
	KUNIT_EXPECT_EQ(test, offset, 0);
	expect_pool(test, 0, 0);
	for (i = 0; i < NR_HUGE; i++) {
		struct folio *folio = folios[i];

		KUNIT_EXPECT_PTR_EQ(test, folio->mapping, file->f_mapping);
		KUNIT_EXPECT_EQ(test, folio->index, i << folio_order(folio));
		KUNIT_EXPECT_FALSE(test, folio_is_zone_movable(folio));
		KUNIT_EXPECT_EQ(test, atomic_read(&folio->_pincount), 1);
		if (p->touched & BIT(i)) {
			const u8 *page = kmap_local_folio(folio, 0);

			KUNIT_EXPECT_EQ(test, *page, NEWS);
			kunmap_local(page);
		} else {
			expect_cleared(test, folio);
		}
	}
	unpin_folios(folios, NR_HUGE);
	expect_pool(test, 0, 0);
	KUNIT_ASSERT_EQ(test, 0, vfs_truncate(&file->f_path, 0));
	expect_pool(test, NR_HUGE, 0);
}

#ifdef HAVE_TEST_PROBES
/* Adds of huge pages to a file that are still to come until one finds another page there. */
static unsigned int adds_left;

/*
 * Linux 7.3 counts the reservation of a page that it cannot add as used, and gives it back
 * as well.
 */
static int made_by_another(struct kprobe *point, struct pt_regs *regs)
{
	if (!adds_left || --adds_left)
		return 0;
	default_hstate.resv_huge_pages++;
	return test_probe_returns(regs, -EEXIST);
}

/* Somebody else makes a page of the file at the same time: the pin looks again. */
static void memfd_made_by_another(struct kunit *test)
{
	struct kprobe *point = test_zalloc(test, sizeof(*point));
	struct folio *folios[NR_HUGE];
	struct file *file;
	pgoff_t offset;
	long nr;

	fill_pool(test);
	file = memfd(test, NR_HUGE);
	/* That it has gone again by then makes no difference. */
	adds_left = 2;
	KUNIT_ASSERT_EQ(test, 0, test_probe(test, point, "hugetlb_add_to_page_cache",
					    made_by_another));
	nr = memfd_pin_folios(file, 0, NR_HUGE * HPAGE_SIZE - 1, folios, NR_HUGE, &offset);
	KUNIT_EXPECT_EQ(test, adds_left, 0);
	default_hstate.resv_huge_pages = 0;
	KUNIT_ASSERT_EQ(test, nr, NR_HUGE);
	KUNIT_EXPECT_EQ(test, nr_free(), 0);
	unpin_folios(folios, NR_HUGE);
	KUNIT_ASSERT_EQ(test, 0, vfs_truncate(&file->f_path, 0));
	expect_pool(test, NR_HUGE, 0);
}
#endif

/* A page that nobody has touched, made by fallocate(), moves as any other. */
static void fallocated(struct kunit *test)
{
	struct folio *folio;
	struct file *file;
	struct page *page;
	unsigned long addr;

	KUNIT_ASSERT_EQ(test, 0, test_hugetlb_pool(test, 2));
	file = memfd(test, 1);
	addr = test_mmap_aligned(test, file, HPAGE_SIZE, MAP_SHARED);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(addr));
	KUNIT_ASSERT_EQ(test, 0, vfs_fallocate(file, 0, 0, HPAGE_SIZE));
	folio = filemap_get_folio(file->f_mapping, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR(folio));
	folio_put(folio);
	/* Or else a pin would try to move it without end. */
	KUNIT_ASSERT_TRUE(test, folio_test_hugetlb_migratable(folio));
	KUNIT_ASSERT_EQ(test, 1, pin_user_pages_unlocked(addr, 1, &page,
							 FOLL_LONGTERM | FOLL_WRITE));
	KUNIT_EXPECT_FALSE(test, is_zone_movable_page(page));
	unpin_user_page(page);
}

KUNIT_DEFINE_ACTION_WRAPPER(unmount_action, kern_unmount, struct vfsmount *);

/* A file of a mount that has @nr huge pages to itself. */
static struct file *limited_file(struct kunit *test, unsigned int nr)
{
	struct file_system_type *type = get_fs_type("hugetlbfs");
	char options[32];
	struct vfsmount *mnt;
	struct file *file;

	KUNIT_ASSERT_NOT_NULL(test, type);
	snprintf(options, sizeof(options), "size=%lu", nr * HPAGE_SIZE);
	mnt = vfs_kern_mount(type, SB_KERNMOUNT, "hugetlbfs", options);
	put_filesystem(type);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, mnt);
	test_cleanup(test, unmount_action, mnt);
	file = file_open_root_mnt(mnt, "limited", O_CREAT | O_RDWR, 0600);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, file);
	test_cleanup(test, fput_action, file);
	KUNIT_ASSERT_EQ(test, 0, vfs_truncate(&file->f_path, nr * HPAGE_SIZE));
	return file;
}

/* What is taken of a mount's limit is given back when the page that has moved is freed. */
static void limit_of_mount(struct kunit *test)
{
	struct hugepage_subpool *limit;
	struct file *file;
	struct page *page;
	unsigned long addr;
	const u8 data = 1;

	KUNIT_ASSERT_EQ(test, 0, test_hugetlb_pool(test, 2));
	file = limited_file(test, 1);
	limit = HUGETLBFS_SB(file_inode(file)->i_sb)->spool;
	KUNIT_ASSERT_NOT_NULL(test, limit);
	addr = test_mmap_aligned(test, file, HPAGE_SIZE, MAP_SHARED);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(addr));
	KUNIT_ASSERT_EQ(test, 0, copy_to_user((void __user *)addr, &data, 1));
	KUNIT_EXPECT_EQ(test, limit->used_hpages, 1);

	KUNIT_ASSERT_EQ(test, 1, pin_user_pages_unlocked(addr, 1, &page,
							 FOLL_LONGTERM | FOLL_WRITE));
	KUNIT_EXPECT_FALSE(test, is_zone_movable_page(page));
	KUNIT_EXPECT_PTR_EQ(test, hugetlb_folio_subpool(page_folio(page)), limit);
	KUNIT_EXPECT_EQ(test, limit->used_hpages, 1);
	unpin_user_page(page);
	KUNIT_ASSERT_EQ(test, 0, vfs_truncate(&file->f_path, 0));
	KUNIT_EXPECT_EQ(test, limit->used_hpages, 0);
}

/* Where the pool has too few, or none that may be pinned, the pin fails and leaves nothing. */
static const bool of_movable[] = { false, true };

PARAM_ARRAY(of_movable, "%s", *p ? "movable" : "too-few");

static void memfd_without_pool(struct kunit *test)
{
	const bool movable = *(const bool *)test->param_value;
	struct folio *folios[NR_HUGE + 1];
	struct file *file;
	pgoff_t offset;
	long pins;

	if (movable)
		KUNIT_ASSERT_EQ(test, 0, test_hugetlb_pool(test, NR_HUGE));
	else
		fill_pool(test);
	file = memfd(test, NR_HUGE + 1);
	pins = folio_fixture_pins();
	KUNIT_EXPECT_EQ(test, -ENOMEM,
			memfd_pin_folios(file, 0, (NR_HUGE + 1) * HPAGE_SIZE - 1, folios,
					 NR_HUGE + 1, &offset));
	KUNIT_EXPECT_EQ(test, folio_fixture_pins(), pins);
	/* What has been made of the file stays there. */
	expect_pool(test, movable ? NR_HUGE : 0, 0);
	KUNIT_ASSERT_EQ(test, 0, vfs_truncate(&file->f_path, 0));
	expect_pool(test, NR_HUGE, 0);
}

/* Not more folios are pinned than there is room for. */
static void memfd_up_to_room(struct kunit *test)
{
	struct user_pages *up = user_pages_make(test, &user_memory_hugetlb,
						NR_HUGE << user_memory_hugetlb.order);
	const loff_t start = HPAGE_SIZE - 1, end = NR_HUGE * HPAGE_SIZE - 1;
	struct folio *folios[NR_HUGE] = {};
	pgoff_t offset;

	KUNIT_ASSERT_EQ(test, 1, memfd_pin_folios(up->file, start, end, folios, 1, &offset));
	KUNIT_EXPECT_EQ(test, offset, start);
	KUNIT_EXPECT_PTR_EQ(test, folios[0], user_pages_folio(up, 0));
	KUNIT_EXPECT_NULL(test, folios[1]);
	expect_pins(up, 1);
	unpin_folio(folios[0]);
	expect_not_pinned(up);
}

/* A hole in a large folio that is swapped out takes what is in it, and no more. */
static void hole_in_swapped_out(struct kunit *test)
{
	struct user_pages *up;
	unsigned int i;
	void *entry;

	KUNIT_ASSERT_EQ(test, 0, test_swap_on(test));
	up = make(test, &user_memory_memfd_large);
	KUNIT_ASSERT_EQ(test, 0, do_madvise(current->mm, up->addr, up->nr * PAGE_SIZE,
					    MADV_PAGEOUT));
	entry = xa_load(&up->file->f_mapping->i_pages, 0);
	KUNIT_ASSERT_TRUE(test, xa_is_value(entry));
	KUNIT_ASSERT_PTR_EQ(test, entry, xa_load(&up->file->f_mapping->i_pages, up->nr - 1));

	shmem_truncate_range(file_inode(up->file), THE_PAGE * PAGE_SIZE,
			     (THE_PAGE + 1) * PAGE_SIZE - 1);
	for (i = 0; i < up->nr; i++) {
		u8 found;

		KUNIT_ASSERT_EQ(test, 0, copy_from_user(&found, (void __user *)(up->addr +
								i * PAGE_SIZE), 1));
		KUNIT_EXPECT_EQ(test, found, i == THE_PAGE ? 0 : user_pages_pattern(up, i));
	}
	user_pages_pin(up, &pin_way_unlocked, FOLL_LONGTERM);
	KUNIT_EXPECT_EQ(test, up->rc, up->nr);
	expect_pins(up, up->nr);
	user_pages_unpin(up);
	expect_pins(up, 0);
}

#ifdef CONFIG_HUGETLB_PMD_PAGE_TABLE_SHARING
/**
 * struct sharer - a process that shares page tables of huge pages with the test
 * @addr: of the huge page
 * @mm: its mm
 * @looked: it has looked at the page once
 * @found: what it has found there then, and after test_task_go()
 * @left: how many bytes could not be read
 */
struct sharer {
	unsigned long addr;
	struct mm_struct *mm;
	struct completion looked;
	u8 found[2];
	unsigned long left;
};

static void sharer_fn(struct test_task *task)
{
	struct sharer *sharer = task->data;
	void __user *there = (void __user *)sharer->addr;

	sharer->mm = current->mm;
	sharer->left = copy_from_user(&sharer->found[0], there, 1);
	complete_all(&sharer->looked);
	test_task_await_go(task);
	sharer->left += copy_from_user(&sharer->found[1], there, 1);
}

static pud_t pud_of(struct mm_struct *mm, unsigned long addr)
{
	return pudp_get(pud_offset(p4d_offset(pgd_offset(mm, addr), addr), addr));
}

/* A huge page, and a process that has the table of its entry in common with the test. */
static struct sharer *share_table(struct kunit *test, struct test_task **task, u8 content)
{
	struct sharer *sharer = test_zalloc(test, sizeof(*sharer));
	struct file *file;

	/* One page, and one to move it to.  A table is that of a gigabyte. */
	KUNIT_ASSERT_EQ(test, 0, test_hugetlb_pool(test, 2));
	file = memfd(test, PUD_SIZE / HPAGE_SIZE);
	sharer->addr = test_mmap_aligned(test, file, PUD_SIZE, MAP_SHARED | MAP_NORESERVE);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(sharer->addr));
	KUNIT_ASSERT_EQ(test, 0, copy_to_user((void __user *)sharer->addr, &content, 1));

	init_completion(&sharer->looked);
	*task = test_task_start(test, sharer_fn, sharer, 0);
	wait_for_completion(&sharer->looked);
	KUNIT_EXPECT_EQ(test, sharer->found[0], content);
	KUNIT_ASSERT_EQ(test, pud_val(pud_of(sharer->mm, sharer->addr)),
			pud_val(pud_of(current->mm, sharer->addr)));
	return sharer;
}

static void expect_sharer_finds(struct kunit *test, struct sharer *sharer, struct test_task *task,
				u8 content)
{
	test_task_go(task);
	test_task_join(task);
	KUNIT_EXPECT_EQ(test, sharer->left, 0);
	KUNIT_EXPECT_EQ(test, sharer->found[1], content);
}

/* Two processes with a table in common find the page where a pin has put it. */
static void shared_tables(struct kunit *test)
{
	const long pins_before = folio_fixture_pins();
	const u8 before = 1, after = NEWS;
	struct sharer *sharer;
	struct test_task *task;
	struct page *page;

	sharer = share_table(test, &task, before);
	KUNIT_ASSERT_EQ(test, 1, pin_user_pages_unlocked(sharer->addr, 1, &page,
							 FOLL_LONGTERM | FOLL_WRITE));
	KUNIT_EXPECT_FALSE(test, is_zone_movable_page(page));
	KUNIT_EXPECT_EQ(test, 0, copy_to_user((void __user *)sharer->addr, &after, 1));
	expect_sharer_finds(test, sharer, task, after);
	KUNIT_EXPECT_EQ(test, *(u8 *)page_address(page), after);
	KUNIT_EXPECT_EQ(test, folio_mapcount(page_folio(page)), 1);
	KUNIT_EXPECT_EQ(test, atomic_read(&page_folio(page)->_pincount), 1);
	unpin_user_page(page);
	KUNIT_EXPECT_EQ(test, folio_fixture_pins(), pins_before);
}

#ifdef HAVE_TEST_PROBES
/**
 * struct unsharing - a way in which two processes cease to have a table in common
 * @name: short name without spaces, for parameter descriptions
 * @unshare: does it in the test's mm, returns 0 or a negative errno
 */
struct unsharing {
	const char *name;
	long (*unshare)(struct kunit *test, unsigned long addr);
};

static long by_pin(struct kunit *test, unsigned long addr)
{
	struct page *page;
	long ret;

	ret = pin_user_pages_unlocked(addr, 1, &page, FOLL_LONGTERM | FOLL_WRITE);
	if (ret != 1)
		return ret ?: -EFAULT;
	unpin_user_page(page);
	return 0;
}

static long by_mprotect(struct kunit *test, unsigned long addr)
{
	return test_syscall(__NR_mprotect, addr, PUD_SIZE, PROT_READ);
}

static long by_mremap(struct kunit *test, unsigned long addr)
{
	const unsigned long to = test_mmap_aligned(test, NULL, PUD_SIZE, MAP_NORESERVE);
	long ret;

	if (IS_ERR_VALUE(to))
		return to;
	ret = test_syscall(__NR_mremap, addr, PUD_SIZE, PUD_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED,
			   to);
	return ret == to ? 0 : ret;
}

static long by_munmap(struct kunit *test, unsigned long addr)
{
	return vm_munmap(addr, PUD_SIZE);
}

static const struct unsharing unsharings[] = {
	{ "pin", by_pin },
	{ "mprotect", by_mprotect },
	{ "mremap", by_mremap },
	{ "munmap", by_munmap },
};

PARAM_ARRAY(unsharings, "%s", p->name);

static struct task_struct *unsharer;
static unsigned int waits;

static int count_wait(struct kprobe *point, struct pt_regs *regs)
{
	if (current == unsharer)
		waits++;
	return 0;
}

/* Fast GUP of the other process has come to its end before somebody uses the table alone. */
static void unshared_tables(struct kunit *test)
{
	static const char * const for_walkers[] = {
		"tlb_remove_table_sync_one", "tlb_remove_table_sync_rcu",
	};
	const struct unsharing *by = test->param_value;
	const u8 content = 1;
	struct sharer *sharer;
	struct test_task *task;
	unsigned int i;

	sharer = share_table(test, &task, content);
	waits = 0;
	unsharer = current;
	for (i = 0; i < ARRAY_SIZE(for_walkers); i++) {
		struct kprobe *point = test_zalloc(test, sizeof(*point));

		KUNIT_ASSERT_EQ(test, 0, test_probe(test, point, for_walkers[i], count_wait));
	}
	KUNIT_EXPECT_EQ(test, 0, by->unshare(test, sharer->addr));
	KUNIT_EXPECT_GE(test, waits, 1);
	unsharer = NULL;
	expect_sharer_finds(test, sharer, task, content);
}
#endif
#endif

static struct kunit_case pin_huge_cases[] = {
	KUNIT_CASE_PARAM_ARRAY(fork_after_pin, memories),
	KUNIT_CASE_PARAM_ARRAY(fork_before_pin, forks),
	KUNIT_CASE_PARAM_ARRAY(fork_is_told, memories),
	KUNIT_CASE_PARAM_ARRAY(fast_only, memories),
	KUNIT_CASE_PARAM_ARRAY(fast_across_huge, memories),
#if defined(HAVE_TEST_PROBES) && defined(CONFIG_X86_64)
	KUNIT_CASE_PARAM_ARRAY(too_many_references, memories),
	KUNIT_CASE_PARAM_ARRAY(entry_changes, split),
#endif
#ifdef CONFIG_X86_64
	KUNIT_CASE(gigantic_entry),
	KUNIT_CASE(gigantic_read_only),
#ifdef HAVE_TEST_PROBES
	KUNIT_CASE(gigantic_changes),
#endif
#endif
	KUNIT_CASE_PARAM_ARRAY(fast_stops, tracked),
	KUNIT_CASE_PARAM_ARRAY(dump_skips_untouched, dumped),
	KUNIT_CASE(split_for_pin),
	KUNIT_CASE_PARAM_ARRAY(never_split_for_pin, indivisible),
	KUNIT_CASE_PARAM_ARRAY(moves_out, ways),
	KUNIT_CASE(memfd_is_cleared),
	KUNIT_CASE(memfd_part),
	KUNIT_CASE_PARAM_ARRAY(memfd_with_holes, holes),
#ifdef HAVE_TEST_PROBES
	KUNIT_CASE(memfd_made_by_another),
#endif
	KUNIT_CASE_PARAM_ARRAY(memfd_without_pool, of_movable),
	KUNIT_CASE(fallocated),
	KUNIT_CASE(limit_of_mount),
	KUNIT_CASE(memfd_up_to_room),
	KUNIT_CASE(dontneed_under_pin),
	KUNIT_CASE(truncate_under_pin),
	KUNIT_CASE(split_under_pin),
	KUNIT_CASE(collapse_under_pin),
	KUNIT_CASE_PARAM_ARRAY(marks_what_it_touches, slow_ways),
	KUNIT_CASE_PARAM_ARRAY(zero_page, ways),
	KUNIT_CASE(hole_in_swapped_out),
#ifdef CONFIG_HUGETLB_PMD_PAGE_TABLE_SHARING
	KUNIT_CASE(shared_tables),
#ifdef HAVE_TEST_PROBES
	KUNIT_CASE_PARAM_ARRAY(unshared_tables, unsharings),
#endif
#endif
	{}
};

static struct kunit_suite pin_huge_suite = {
	.name = "pin_huge",
	.init = user_pages_init,
	.test_cases = pin_huge_cases,
};

kunit_test_suite(pin_huge_suite);

MODULE_DESCRIPTION("KUnit tests for longterm pins of huge pages");
MODULE_LICENSE("GPL");
