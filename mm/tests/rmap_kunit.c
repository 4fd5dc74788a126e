// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests for how migration finds the mappings of a folio: which of them rmap_walk()
 * visits, under which lock, and where in a page table page_vma_mapped_walk() finds a page.
 */

#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/pagemap.h>
#include <linux/rmap.h>

#include "../internal.h"
#include "folio_fixture.h"
#include "probe.h"
#include "user_pages.h"

/**
 * struct visits - what a walk of the rmap has done
 * @nr: how many mappings it has visited
 * @stop_at: at which of them it is told to stop, counted from 1; 0 for none
 * @asked: about how many mappings it has asked
 * @rejected: how many of these, from the first, are not to be visited
 * @locks: how often it has asked for the lock of the anon_vma
 */
struct visits {
	unsigned int nr;
	unsigned int stop_at;
	unsigned int asked;
	unsigned int rejected;
	unsigned int locks;
};

static bool visit(struct folio *folio, struct vm_area_struct *vma, unsigned long addr, void *arg)
{
	struct visits *v = arg;

	return ++v->nr != v->stop_at;
}

static bool reject(struct vm_area_struct *vma, void *arg)
{
	struct visits *v = arg;

	return v->asked++ < v->rejected;
}

static int is_done(struct folio *folio)
{
	return true;
}

static struct anon_vma *lock_itself(const struct folio *folio, struct rmap_walk_control *rwc)
{
	struct visits *v = rwc->arg;

	v->locks++;
	return folio_lock_anon_vma_read(folio, rwc);
}

static struct anon_vma *lock_never(const struct folio *folio, struct rmap_walk_control *rwc)
{
	struct visits *v = rwc->arg;

	v->locks++;
	return NULL;
}

/* Folios that are mapped more than once. */
enum shared { BY_FORK, BY_FILE, BY_KSM };

static const char *const shared_names[] = { "anon", "memfd", "ksm" };

static const enum shared shared[] = { BY_FORK, BY_FILE, BY_KSM };

PARAM_ARRAY(shared, "%s", shared_names[*p]);

/* That of KSM would have others to ask, too. */
static const enum shared one_lock[] = { BY_FORK, BY_FILE };

PARAM_ARRAY(one_lock, "%s", shared_names[*p]);

static struct folio *map_twice(struct kunit *test, enum shared how)
{
	struct user_pages *up;
	unsigned long addr;
	u8 found;

	switch (how) {
	case BY_FORK:
		up = user_pages_make(test, &user_memory_anon, 1);
		test_task_start(test, test_task_await_go, NULL, 0);
		return user_pages_folio(up, 0);
	case BY_FILE:
		up = user_pages_make(test, &user_memory_memfd, 1);
		addr = kunit_vm_mmap(test, up->file, 0, PAGE_SIZE, PROT_READ, MAP_SHARED, 0);
		KUNIT_ASSERT_FALSE(test, !addr || IS_ERR_VALUE(addr));
		KUNIT_ASSERT_EQ(test, 0, copy_from_user(&found, (void __user *)addr, 1));
		return user_pages_folio(up, 0);
	default:
		return test_folio_make(test, &test_folio_ksm)->folio;
	}
}

static struct visits walk(struct folio *folio, struct rmap_walk_control *rwc, struct visits v)
{
	rwc->arg = &v;
	rwc->rmap_one = visit;
	folio_lock(folio);
	rmap_walk(folio, rwc);
	folio_unlock(folio);
	return v;
}

/* Each mapping is visited, unless the walk is told that it is over. */
static void visits_mappings(struct kunit *test)
{
	struct folio *folio = map_twice(test, *(const enum shared *)test->param_value);
	const unsigned int nr = folio_mapcount(folio);
	struct rmap_walk_control rwc = {};
	struct visits v;

	KUNIT_ASSERT_GT(test, nr, 1);
	KUNIT_EXPECT_EQ(test, walk(folio, &rwc, (struct visits) {}).nr, nr);
	KUNIT_EXPECT_EQ(test, walk(folio, &rwc, (struct visits) { .stop_at = 1 }).nr, 1);
	KUNIT_EXPECT_EQ(test, walk(folio, &rwc, (struct visits) { .stop_at = nr }).nr, nr);
	rwc.done = is_done;
	KUNIT_EXPECT_EQ(test, walk(folio, &rwc, (struct visits) {}).nr, 1);

	rwc.done = NULL;
	rwc.invalid_vma = reject;
	v = walk(folio, &rwc, (struct visits) { .rejected = 1 });
	KUNIT_EXPECT_EQ(test, v.asked, nr);
	KUNIT_EXPECT_EQ(test, v.nr, nr - 1);
}

/* Who walks in a way of his own finds what protects the mappings of anonymous memory. */
static void own_lock(struct kunit *test)
{
	struct folio *folio = map_twice(test, BY_FORK);
	struct rmap_walk_control rwc = { .anon_lock = lock_itself };
	struct visits v;

	v = walk(folio, &rwc, (struct visits) {});
	KUNIT_EXPECT_EQ(test, v.locks, 1);
	KUNIT_EXPECT_EQ(test, v.nr, 2);
	KUNIT_EXPECT_FALSE(test, rwsem_is_locked(&folio_anon_vma(folio)->root->rwsem));

	rwc.anon_lock = lock_never;
	v = walk(folio, &rwc, (struct visits) {});
	KUNIT_EXPECT_EQ(test, v.locks, 1);
	KUNIT_EXPECT_EQ(test, v.nr, 0);
}

static struct rw_semaphore *lock_of(struct folio *folio)
{
	return folio_test_anon(folio) ? &folio_anon_vma(folio)->root->rwsem :
					&folio->mapping->i_mmap_rwsem;
}

/* Who may not wait for a lock is told that somebody else has it. */
static void lock_is_taken(struct kunit *test)
{
	struct folio *folio = map_twice(test, *(const enum shared *)test->param_value);
	struct rmap_walk_control rwc = { .try_lock = true };
	struct rw_semaphore *sem = lock_of(folio);
	struct visits v;

	v = walk(folio, &rwc, (struct visits) {});
	KUNIT_EXPECT_FALSE(test, rwc.contended);
	KUNIT_EXPECT_EQ(test, v.nr, folio_mapcount(folio));
	down_write(sem);
	v = walk(folio, &rwc, (struct visits) {});
	up_write(sem);
	KUNIT_EXPECT_TRUE(test, rwc.contended);
	KUNIT_EXPECT_EQ(test, v.nr, 0);
	KUNIT_EXPECT_FALSE(test, rwsem_is_locked(sem));
}

/**
 * struct waiter - a task that walks the mappings of a folio
 * @folio: the folio
 * @go: complete when it may begin
 * @v: what it has done
 * @done: complete when it has
 */
struct waiter {
	struct folio *folio;
	struct completion go;
	struct visits v;
	struct completion done;
};

static int waiter_fn(void *data)
{
	struct waiter *w = data;
	struct rmap_walk_control rwc = { .anon_lock = lock_itself };

	wait_for_completion(&w->go);
	w->v = walk(w->folio, &rwc, (struct visits) {});
	complete_all(&w->done);
	return 0;
}

/* Who may wait does so, with no more than it has had before when it is over. */
static void lock_is_waited_for(struct kunit *test)
{
	struct folio *folio = map_twice(test, *(const enum shared *)test->param_value);
	struct anon_vma *anon_vma = folio_test_anon(folio) ? folio_anon_vma(folio) : NULL;
	const int refs = anon_vma ? atomic_read(&anon_vma->refcount) : 0;
	struct waiter *w = test_zalloc(test, sizeof(*w));
	struct rw_semaphore *sem = lock_of(folio);
	struct task_struct *task;

	w->folio = folio;
	init_completion(&w->go);
	init_completion(&w->done);
	task = test_thread(test, waiter_fn, w, "walker");
	/* Nobody may ask for memory from here on: reclaim wants these locks, too. */
	down_write(sem);
	complete(&w->go);
	wait_until_asleep(task, &w->done);
	KUNIT_EXPECT_FALSE(test, completion_done(&w->done));
	KUNIT_EXPECT_EQ(test, w->v.nr, 0);
	up_write(sem);
	wait_for_completion(&w->done);
	test_thread_stop(test, task);
	KUNIT_EXPECT_EQ(test, w->v.nr, folio_mapcount(folio));
	if (anon_vma)
		KUNIT_EXPECT_EQ(test, atomic_read(&anon_vma->refcount), refs);
	KUNIT_EXPECT_FALSE(test, rwsem_is_locked(sem));
}

/* There is no lock to take for a folio that nobody maps, or that is of a file. */
static void no_lock(struct kunit *test)
{
	struct folio *file = map_twice(test, BY_FILE);
	struct user_pages *up = user_pages_make(test, &user_memory_anon, 1);
	struct folio *folio = user_pages_folio(up, 0);
	struct anon_vma *anon_vma = folio_anon_vma(folio);
	const int refs = atomic_read(&anon_vma->refcount);

	test_folio_get(test, folio);
	folio_lock(file);
	KUNIT_EXPECT_NULL(test, folio_lock_anon_vma_read(file, NULL));
	KUNIT_EXPECT_NULL(test, folio_get_anon_vma(file));
	folio_unlock(file);
	test_folio_lock(test, folio);
	KUNIT_EXPECT_PTR_EQ(test, folio_lock_anon_vma_read(folio, NULL), anon_vma);
	anon_vma_unlock_read(anon_vma);
	KUNIT_EXPECT_PTR_EQ(test, folio_get_anon_vma(folio), anon_vma);
	KUNIT_EXPECT_EQ(test, atomic_read(&anon_vma->refcount), refs + 1);
	put_anon_vma(anon_vma);
	try_to_migrate(folio, 0);
	KUNIT_ASSERT_FALSE(test, folio_mapped(folio));
	KUNIT_EXPECT_NULL(test, folio_lock_anon_vma_read(folio, NULL));
	KUNIT_EXPECT_NULL(test, folio_get_anon_vma(folio));
	KUNIT_EXPECT_FALSE(test, rwsem_is_locked(&anon_vma->root->rwsem));
	KUNIT_EXPECT_EQ(test, atomic_read(&anon_vma->refcount), refs);
	remove_migration_ptes(folio, folio, 0);
	test_folio_unlock(test, folio);
	test_folio_put(test, folio);
	expect_not_pinned(up);
}

#if defined(HAVE_TEST_PROBES) && defined(CONFIG_SMP)
/* The folio whose last mapping goes when this lock, its anon_vma's, is about to be taken. */
static struct folio *unmapped;
static struct rw_semaphore *unmapped_at;

static int unmap(struct kprobe *point, struct pt_regs *regs)
{
	if (unmapped && regs_get_kernel_argument(regs, 0) == (unsigned long)unmapped_at)
		atomic_set(&unmapped->_mapcount, -1);
	return 0;
}

static const bool held[] = { false, true };

PARAM_ARRAY(held, "%s", *p ? "held" : "free");

/* What was mapped at the first look, and is not at the second, has lost its anon_vma. */
static void unmapped_meanwhile(struct kunit *test)
{
	const bool *is_held = test->param_value;
	struct user_pages *up = user_pages_make(test, &user_memory_anon, 1);
	struct folio *folio = user_pages_folio(up, 0);
	struct anon_vma *anon_vma = folio_anon_vma(folio), *found;
	const int refs = atomic_read(&anon_vma->refcount);
	struct kprobe *point = test_zalloc(test, sizeof(*point));

	KUNIT_ASSERT_EQ(test, 0, test_probe(test, point, "down_read_trylock", unmap));
	folio_lock(folio);
	if (*is_held)
		anon_vma_lock_write(anon_vma);
	unmapped_at = &anon_vma->root->rwsem;
	unmapped = folio;
	found = folio_lock_anon_vma_read(folio, NULL);
	unmapped = NULL;
	if (*is_held)
		anon_vma_unlock_write(anon_vma);
	test_probe_end(test, point);
	KUNIT_EXPECT_FALSE(test, folio_mapped(folio));
	atomic_set(&folio->_mapcount, 0);
	folio_unlock(folio);

	KUNIT_EXPECT_NULL(test, found);
	KUNIT_EXPECT_FALSE(test, rwsem_is_locked(&anon_vma->root->rwsem));
	KUNIT_EXPECT_EQ(test, atomic_read(&anon_vma->refcount), refs);
	expect_not_pinned(up);
}
#endif

#ifdef CONFIG_TRANSPARENT_HUGEPAGE
/**
 * struct walked_param - a huge folio whose pages are looked for
 * @kind: the kind of folio
 * @flags: PVMW_SYNC or 0
 */
struct walked_param {
	const struct test_folio_kind *kind;
	unsigned int flags;
};

static const struct walked_param walked[] = {
	{ &test_folio_anon_thp, PVMW_SYNC },
	{ &test_folio_anon_thp, 0 },
	{ &test_folio_anon_thp_ptes, PVMW_SYNC },
	{ &test_folio_anon_thp_ptes, 0 },
	{ &test_folio_shmem_thp, 0 },
};

PARAM_ARRAY(walked, "%s%s", p->kind->name, p->flags ? "-sync" : "");

/**
 * struct seen - what page_vma_mapped_walk() has found
 * @nr: how often it has found something
 * @address: where the last time
 * @by_pmd: that was a huge entry
 */
struct seen {
	unsigned int nr;
	unsigned long address;
	bool by_pmd;
};

static struct seen find(struct vm_area_struct *vma, unsigned long address, unsigned long pfn,
			unsigned long nr, unsigned int flags)
{
	struct page_vma_mapped_walk pvmw = {
		.pfn = pfn,
		.nr_pages = nr,
		.pgoff = linear_page_index(vma, address),
		.vma = vma,
		.address = address,
		.flags = flags,
	};
	struct seen seen = {};

	while (page_vma_mapped_walk(&pvmw)) {
		seen.nr++;
		seen.address = pvmw.address;
		seen.by_pmd = pvmw.pmd && !pvmw.pte;
	}
	return seen;
}

/* Each page of a huge one is found where it is mapped, and no other page. */
static void walk_finds_pages(struct kunit *test)
{
	static const unsigned int places[] = { 0, 1, HPAGE_PMD_NR - 2, HPAGE_PMD_NR - 1 };
	const struct walked_param *p = test->param_value;
	struct test_folio *tf = test_folio_make(test, p->kind);
	const unsigned long pfn = folio_pfn(tf->folio);
	const bool by_pmd = tf->mapcount == 1;
	struct vm_area_struct *vma;
	struct seen seen;
	unsigned int i;

	KUNIT_ASSERT_EQ(test, tf->len, HPAGE_PMD_SIZE);
	mmap_read_lock(current->mm);
	vma = vma_lookup(current->mm, tf->addr);
	for (i = 0; i < ARRAY_SIZE(places); i++) {
		const unsigned long addr = tf->addr + places[i] * PAGE_SIZE;

		seen = find(vma, addr, pfn + places[i], 1, p->flags);
		KUNIT_EXPECT_EQ_MSG(test, seen.nr, 1, "page %u", places[i]);
		KUNIT_EXPECT_EQ(test, seen.address, addr);
		KUNIT_EXPECT_EQ(test, seen.by_pmd, by_pmd);
		KUNIT_EXPECT_EQ(test, 0, find(vma, addr, pfn - 1, 1, p->flags).nr);
		KUNIT_EXPECT_EQ(test, 0, find(vma, addr, pfn + HPAGE_PMD_NR, 1,
					      p->flags).nr);
	}
	seen = find(vma, tf->addr, pfn, HPAGE_PMD_NR, p->flags);
	KUNIT_EXPECT_EQ(test, seen.nr, tf->mapcount);
	KUNIT_EXPECT_EQ(test, seen.by_pmd, by_pmd);
	KUNIT_EXPECT_EQ(test, seen.address, tf->addr + (tf->mapcount - 1) * PAGE_SIZE);
	mmap_read_unlock(current->mm);
}

#if defined(HAVE_TEST_PROBES) && defined(CONFIG_KRETPROBES) && defined(CONFIG_X86_64)
/**
 * struct table_param - what becomes of a page table while a walk looks for it
 * @name: short name without spaces
 * @finds_it: the function that finds the table for the walk
 * @flags: PVMW_SYNC or 0
 * @gone: it is not there at the first look, else its entry changes behind that
 * @hole: the first page is not mapped
 */
struct table_param {
	const char *name;
	const char *finds_it;
	unsigned int flags;
	bool gone;
	bool hole;
};

static const struct table_param tables[] = {
	{ "gone", "pte_offset_map_rw_nolock", 0, true, false },
	{ "gone-sync", "pte_offset_map_lock", PVMW_SYNC, true, false },
	{ "changes", "pte_offset_map_rw_nolock", 0, false, false },
	{ "changes-behind-hole", "pte_offset_map_rw_nolock", 0, false, true },
};

PARAM_ARRAY(tables, "%s", p->name);

/* The entry of the table that changes once, NULL if it has; or it is gone once; for this task. */
static pmd_t *changing;
static bool going;
static struct task_struct *walker;

static int gone_once(struct kprobe *point, struct pt_regs *regs)
{
	if (!going || current != walker)
		return 0;
	going = false;
	return test_probe_returns(regs, 0);
}

/* Nobody else looks at this table, and an access may change this bit at any time. */
static int change_once(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	if (changing && current == walker) {
		set_pmd(changing, __pmd(pmd_val(*changing) ^ _PAGE_ACCESSED));
		changing = NULL;
	}
	return 0;
}

static struct seen find_meanwhile(struct kunit *test, const struct table_param *p,
				  struct vm_area_struct *vma, struct test_folio *tf)
{
	struct kretprobe *behind = test_zalloc(test, sizeof(*behind));
	struct kprobe *point = test_zalloc(test, sizeof(*point));
	struct seen seen;

	walker = current;
	if (p->gone) {
		KUNIT_EXPECT_EQ(test, 0, test_probe(test, point, p->finds_it, gone_once));
		going = true;
	} else {
		behind->kp.symbol_name = p->finds_it;
		behind->handler = change_once;
		KUNIT_EXPECT_EQ(test, 0, register_kretprobe(behind));
		changing = pmd_off(current->mm, tf->addr);
	}
	seen = find(vma, tf->addr, folio_pfn(tf->folio), HPAGE_PMD_NR, p->flags);
	if (p->gone)
		test_probe_end(test, point);
	else
		unregister_kretprobe(behind);
	return seen;
}

/* What the walk has not found, or what is not any more what it was, it looks for again. */
static void table_changes(struct kunit *test)
{
	const struct table_param *p = test->param_value;
	struct test_folio *tf = test_folio_make(test, &test_folio_anon_thp_ptes);
	struct vm_area_struct *vma;
	struct seen seen;

	if (p->hole)
		KUNIT_ASSERT_EQ(test, 0, do_madvise(current->mm, tf->addr, PAGE_SIZE,
						    MADV_DONTNEED));
	mmap_read_lock(current->mm);
	vma = vma_lookup(current->mm, tf->addr);
	seen = find_meanwhile(test, p, vma, tf);
	mmap_read_unlock(current->mm);
	KUNIT_EXPECT_FALSE(test, going || changing);
	KUNIT_EXPECT_EQ(test, seen.nr, HPAGE_PMD_NR - p->hole);
	KUNIT_EXPECT_EQ(test, seen.address, tf->addr + HPAGE_PMD_SIZE - PAGE_SIZE);
	KUNIT_EXPECT_FALSE(test, seen.by_pmd);
}
#endif
#endif

/* A page of a file that lies before or behind the part that is mapped has no address there. */
static void outside_mapping(struct kunit *test)
{
	struct user_pages *up = user_pages_make(test, &user_memory_memfd, 8);
	const unsigned int first = 2, end = 6;
	struct vm_area_struct *vma;
	unsigned long addr;
	unsigned int i;

	addr = kunit_vm_mmap(test, up->file, 0, (end - first) * PAGE_SIZE, PROT_READ, MAP_SHARED,
			     first * PAGE_SIZE);
	KUNIT_ASSERT_FALSE(test, !addr || IS_ERR_VALUE(addr));
	test_mm_ends(test);
	for (i = 0; i < up->nr; i++) {
		struct folio *folio = user_pages_folio(up, i);
		const bool inside = i >= first && i < end;
		const unsigned long due = inside ? addr + (i - first) * PAGE_SIZE : -EFAULT;
		unsigned long found = 0;

		mmap_read_lock(current->mm);
		vma = vma_lookup(current->mm, addr);
		if (vma)
			found = page_address_in_vma(folio, folio_page(folio, 0), vma);
		mmap_read_unlock(current->mm);
		KUNIT_EXPECT_EQ_MSG(test, found, due, "page %u", i);
	}
}

static struct kunit_case rmap_cases[] = {
	KUNIT_CASE_PARAM_ARRAY(visits_mappings, shared),
	KUNIT_CASE(own_lock),
	KUNIT_CASE_PARAM_ARRAY(lock_is_taken, one_lock),
	KUNIT_CASE_PARAM_ARRAY(lock_is_waited_for, one_lock),
	KUNIT_CASE(no_lock),
#if defined(HAVE_TEST_PROBES) && defined(CONFIG_SMP)
	KUNIT_CASE_PARAM_ARRAY(unmapped_meanwhile, held),
#endif
#ifdef CONFIG_TRANSPARENT_HUGEPAGE
	KUNIT_CASE_PARAM_ARRAY(walk_finds_pages, walked),
#if defined(HAVE_TEST_PROBES) && defined(CONFIG_KRETPROBES) && defined(CONFIG_X86_64)
	KUNIT_CASE_PARAM_ARRAY(table_changes, tables),
#endif
#endif
	KUNIT_CASE(outside_mapping),
	{}
};

static struct kunit_suite rmap_suite = {
	.name = "rmap",
	.init = user_pages_init,
	.test_cases = rmap_cases,
};

kunit_test_suite(rmap_suite);

MODULE_DESCRIPTION("KUnit tests for how the mappings of a folio are found");
MODULE_LICENSE("GPL");
