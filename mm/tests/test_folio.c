// SPDX-License-Identifier: GPL-2.0
/*
 * Folios for KUnit tests: make one, fill it, hand it to a migration, find it again,
 * and see what has become of it.
 */

#include <linux/file.h>
#include <linux/highmem.h>
#include <linux/hugetlb.h>
#include <linux/memcontrol.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/sizes.h>

#include "../internal.h"
#include "folio_fixture.h"

KUNIT_DEFINE_ACTION_WRAPPER(folio_put_action, folio_put, struct folio *);

/**
 * test_folio_take() - have a reference of the case dropped when it ends
 * @test: the running test
 * @folio: the folio
 */
void test_folio_take(struct kunit *test, struct folio *folio)
{
	test_cleanup(test, folio_put_action, folio);
}

/**
 * test_folio_alloc() - allocate a folio without users
 * @test: the running test
 * @order: its order
 *
 * Return: the folio with one reference, which is dropped when the case ends.
 */
struct folio *test_folio_alloc(struct kunit *test, unsigned int order)
{
	struct folio *folio = folio_alloc(GFP_KERNEL, order);

	KUNIT_ASSERT_NOT_NULL(test, folio);
	test_folio_take(test, folio);
	return folio;
}

/**
 * test_pages_alloc() - allocate small folios that are neighbours in memory
 * @test: the running test
 * @gfp: how to allocate them
 * @order: 2^order of them
 *
 * Return: the page of the first; each has one reference, which is dropped when the
 * case ends.
 */
struct page *test_pages_alloc(struct kunit *test, gfp_t gfp, unsigned int order)
{
	struct page *pages = alloc_pages(gfp, order);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, pages);
	split_page(pages, order);
	for (i = 0; i < 1 << order; i++)
		test_folio_take(test, page_folio(pages + i));
	return pages;
}

/**
 * test_folio_get() - take a reference that is dropped when the case ends
 * @test: the running test
 * @folio: the folio
 */
void test_folio_get(struct kunit *test, struct folio *folio)
{
	folio_get(folio);
	test_folio_take(test, folio);
}

/**
 * test_folio_put() - drop a reference before the case ends
 * @test: the running test
 * @folio: the folio, from test_folio_alloc(), or after test_folio_get() or _take()
 */
void test_folio_put(struct kunit *test, struct folio *folio)
{
	kunit_release_action(test, folio_put_action, folio);
}

/**
 * test_folio_give() - leave the drop of a reference to the case
 * @test: the running test
 * @folio: the folio, as for test_folio_put()
 */
void test_folio_give(struct kunit *test, struct folio *folio)
{
	kunit_remove_action(test, folio_put_action, folio);
}

KUNIT_DEFINE_ACTION_WRAPPER(folio_unlock_action, folio_unlock, struct folio *);

/**
 * test_folio_lock() - lock a folio, until the case ends if not before
 * @test: the running test
 * @folio: the folio
 *
 * Tasks wait for the lock uninterruptibly, and the cleanup waits for them: a case
 * that is aborted must not leave it locked.
 */
void test_folio_lock(struct kunit *test, struct folio *folio)
{
	folio_lock(folio);
	test_cleanup(test, folio_unlock_action, folio);
}

/**
 * test_folio_unlock() - unlock what test_folio_lock() has locked
 * @test: the running test
 * @folio: the folio
 */
void test_folio_unlock(struct kunit *test, struct folio *folio)
{
	kunit_release_action(test, folio_unlock_action, folio);
}

/* No pointer, and nothing that the page allocator keeps there. */
#define FOLIO_MARK	((void *)0x6d61726b)

/**
 * test_folio_mark() - put a mark on a folio that the page allocator wipes off
 * @folio: a folio without users
 */
void test_folio_mark(struct folio *folio)
{
	folio->private = FOLIO_MARK;
	folio_set_referenced(folio);
}

/**
 * test_folio_freed() - has a folio been freed?
 * @folio: a folio that was given to test_folio_mark()
 *
 * The reference count does not tell: it may reach 0 without the folio being freed,
 * and in real time the page may have been reused.  Freeing clears the flag, and
 * allocation the rest of the mark.
 *
 * Return: true if it has.
 */
bool test_folio_freed(const struct folio *folio)
{
	return !folio_test_referenced(folio) || folio->private != FOLIO_MARK;
}

struct movable_filler {
	struct list_head folios;
};

static void movable_filler_free(void *data)
{
	struct movable_filler *filler = data;
	struct folio *folio, *next;

	list_for_each_entry_safe(folio, next, &filler->folios, lru) {
		list_del(&folio->lru);
		folio_put(folio);
	}
}

/* Far more than the pieces of free memory that the suites leave. */
#define MAX_FILLER	SZ_32K

/**
 * movable_filler() - take up memory where movable folios lie
 * @test: the running test
 * @nr: how many pages have to lie side by side, behind those that fill smaller gaps
 *
 * Return: the pages, which have no users and are freed when the case ends.
 */
struct movable_filler *movable_filler(struct kunit *test, unsigned int nr)
{
	struct movable_filler *filler = test_zalloc(test, sizeof(*filler));
	unsigned int side_by_side = 0, all = 0;
	unsigned long next = 0;

	INIT_LIST_HEAD(&filler->folios);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action(test, movable_filler_free,
						  filler));
	while (side_by_side < nr) {
		struct folio *folio = folio_alloc(GFP_HIGHUSER_MOVABLE, 0);

		KUNIT_ASSERT_NOT_NULL(test, folio);
		list_add(&folio->lru, &filler->folios);
		side_by_side = folio_pfn(folio) == next ? side_by_side + 1 : 1;
		next = folio_pfn(folio) + 1;
		KUNIT_ASSERT_LT_MSG(test, all++, MAX_FILLER, "memory is in pieces");
	}
	return filler;
}

/**
 * movable_filler_thin() - free every other page
 * @filler: the pages
 */
void movable_filler_thin(struct movable_filler *filler)
{
	struct folio *folio, *next;
	bool keep = false;

	list_for_each_entry_safe(folio, next, &filler->folios, lru) {
		keep = !keep;
		if (keep)
			continue;
		list_del(&folio->lru);
		folio_put(folio);
	}
}

static u8 page_pattern(const struct test_folio *tf, unsigned long i)
{
	/* None is all zeros: those may become the zero page. */
	return (tf->pattern - 1 + i) % U8_MAX + 1;
}

static void test_folio_fill(struct test_folio *tf)
{
	unsigned long i;

	for (i = 0; i < folio_nr_pages(tf->folio); i++) {
		void *addr = kmap_local_folio(tf->folio, i * PAGE_SIZE);

		memset(addr, page_pattern(tf, i), PAGE_SIZE);
		kunmap_local(addr);
	}
}

static bool page_intact(const struct test_folio *tf, unsigned long i,
			struct folio *folio, unsigned long page)
{
	void *addr = kmap_local_folio(folio, page * PAGE_SIZE);
	void *bad = memchr_inv(addr, page_pattern(tf, i), PAGE_SIZE);

	kunmap_local(addr);
	return !bad;
}

static bool test_folio_intact(const struct test_folio *tf, struct folio *folio)
{
	unsigned long i;

	for (i = 0; i < folio_nr_pages(folio); i++)
		if (!page_intact(tf, i, folio, i))
			return false;
	return true;
}

/* Compared only: nothing keeps it. */
static struct mem_cgroup *memcg_of(struct folio *folio)
{
	guard(rcu)();
	return folio_memcg(folio);
}

static void test_folio_release(void *data)
{
	struct test_folio *tf = data;

	if (tf->dst)
		folio_put(tf->dst);
	if (tf->owned)
		folio_put(tf->folio);
	if (tf->file)
		__fput_sync(tf->file);
	if (tf->copy)
		mmput(tf->copy);
}

/**
 * test_folio_make() - make a folio of some kind, known contents, on the LRU
 * @test: the running test; aborted if the folio can't be made, skipped if this
 *	kernel has no such folios or its memory is not in pieces that large
 * @kind: what kind of folio
 *
 * Return: the folio, on which the fixture holds a reference until it is given
 * to folio_migration_add() or the case ends.
 */
struct test_folio *test_folio_make(struct kunit *test,
				   const struct test_folio_kind *kind)
{
	struct test_folio *tf = test_zalloc(test, sizeof(*tf));
	int ret;

	tf->kind = kind;
	tf->mapcount = kind->mapcount;
	tf->pattern = 0xa5;
	INIT_LIST_HEAD(&tf->entry);

	ret = kunit_add_action(test, test_folio_release, tf);
	KUNIT_ASSERT_EQ(test, ret, 0);
	ret = kind->make(test, tf);
	if (!ret) {
		tf->owned = true;
		test_folio_fill(tf);
		if (kind->filled)
			ret = kind->filled(test, tf);
	}
	if (ret == -EOPNOTSUPP)
		kunit_skip(test, "this kernel has no folios of kind %s",
			   kind->name);
	/* Such orders may be unavailable, however much memory is free. */
	if (ret == -ENOMEM && kind->order > PAGE_ALLOC_COSTLY_ORDER)
		kunit_skip(test, "no memory in pieces of order %u", kind->order);
	KUNIT_ASSERT_EQ_MSG(test, ret, 0, "can't make a folio of kind %s",
			    kind->name);
	tf->private = folio_get_private(tf->folio);
	tf->memcg = memcg_of(tf->folio);
	return tf;
}

/**
 * test_folio_has_users() - is a folio mapped, or in the page cache?
 * @tf: the folio
 *
 * Return: false if nothing refers to it but its isolation and extra references.
 * Migration of such a folio ends with it being freed.
 */
bool test_folio_has_users(const struct test_folio *tf)
{
	return tf->file || tf->addr || tf->mapcount;
}

/**
 * test_folio_let_go() - drop the reference that test_folio_make() took
 * @tf: the folio; stays with its users, who may move it elsewhere
 */
void test_folio_let_go(struct test_folio *tf)
{
	folio_put(tf->folio);
	tf->owned = false;
}

static void keep_mm(struct test_task *task)
{
	struct test_folio *tf = task->data;

	mmget(current->mm);
	tf->copy = current->mm;
}

/**
 * test_folio_fork() - have another process map a folio that the test has mapped
 * @test: the running test; aborted if that fails
 * @tf: the folio, of anonymous memory
 *
 * The process is gone at once; what it had mapped stays until
 * test_folio_unfork() or the end of the case.
 */
void test_folio_fork(struct kunit *test, struct test_folio *tf)
{
	test_task_join(test_task_start(test, keep_mm, tf, 0));
	tf->mapcount++;
}

/**
 * test_folio_unfork() - unmap what test_folio_fork() mapped
 * @tf: the folio
 */
void test_folio_unfork(struct test_folio *tf)
{
	mmput(tf->copy);
	tf->copy = NULL;
	tf->mapcount--;
}

/*
 * The folio that a user of @tf would find at one of its pages, with a reference; NULL
 * if it has no users, or they find nothing.
 */
static struct folio *find_page_as_user(struct test_folio *tf, unsigned long i)
{
	struct folio *found;

	if (tf->file) {
		found = filemap_get_folio(tf->file->f_mapping, i);
		return IS_ERR(found) ? NULL : found;
	}
	return tf->addr ? folio_at(current->mm, tf->addr + i * PAGE_SIZE) : NULL;
}

static struct folio *find_as_user(struct test_folio *tf)
{
	return find_page_as_user(tf, 0);
}

/* Do all users of @tf find the folio? */
static bool reaches(struct test_folio *tf, struct folio *folio)
{
	struct folio *found = find_as_user(tf);
	unsigned long offset;

	if (found)
		folio_put(found);
	else if (!tf->file && !tf->addr)
		return true;
	if (found != folio)
		return false;
	for (offset = PAGE_SIZE; offset < tf->len; offset += PAGE_SIZE)
		if (!folio_is_at(folio, current->mm, tf->addr + offset))
			return false;
	return !tf->copy || folio_is_at(folio, tf->copy, tf->addr);
}

/**
 * test_folio_find() - find a folio again that may have been moved
 * @test: the running test; aborted if the folio can't be found
 * @tf: a folio after test_folio_let_go(), with a user
 *
 * The fixture holds a reference on the folio again.
 */
void test_folio_find(struct kunit *test, struct test_folio *tf)
{
	struct folio *folio = find_as_user(tf);

	KUNIT_ASSERT_NOT_NULL(test, folio);
	tf->folio = folio;
	tf->owned = true;
}

static bool folio_tagged_dirty(const struct folio *folio)
{
	const struct address_space *mapping = folio_mapping(folio);

	return mapping && mapping_tagged(mapping, PAGECACHE_TAG_DIRTY);
}

static const struct {
	enum test_folio_state state;
	const char *name;
	bool (*holds)(const struct folio *folio);
} folio_states[] = {
	{ TEST_FOLIO_ANON, "anonymous", folio_test_anon },
	{ TEST_FOLIO_SWAPBACKED, "swapbacked", folio_test_swapbacked },
	{ TEST_FOLIO_DIRTY, "dirty", folio_test_dirty },
	{ TEST_FOLIO_TAGGED, "tagged as dirty", folio_tagged_dirty },
	{ TEST_FOLIO_PRIVATE, "private", folio_test_private },
	{ TEST_FOLIO_MLOCKED, "mlocked", folio_test_mlocked },
	{ TEST_FOLIO_UNEVICTABLE, "unevictable", folio_test_unevictable },
	{ TEST_FOLIO_SWAPCACHE, "swapcache", folio_test_swapcache },
	{ TEST_FOLIO_KSM, "ksm", folio_test_ksm },
};

/* While a folio is mapped, page tables have its dirty bit. */
static bool state_known(const struct test_folio *tf, enum test_folio_state state)
{
	return state != TEST_FOLIO_DIRTY || !tf->kind->mapcount;
}

/**
 * folio_is_put_back() - is a folio where users of memory may isolate it?
 * @folio: the folio
 *
 * Return: false while it is isolated, or in a batch on its way to the LRU.
 */
bool folio_is_put_back(const struct folio *folio)
{
	if (folio_test_hugetlb(folio))
		return folio_test_hugetlb_migratable((struct folio *)folio);
	return folio_test_lru(folio);
}

/* What holds for a folio in use, at its source or destination. */
static void expect_in_use(struct kunit *test, struct test_folio *tf,
			  struct folio *folio, int extra_refs)
{
	const struct test_folio_kind *kind = tf->kind;
	int i;

	lru_add_drain_all();
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio),
			folio_expected_ref_count(folio) + extra_refs);
	KUNIT_EXPECT_EQ(test, folio_order(folio), kind->order);
	KUNIT_EXPECT_EQ(test, folio_mapcount(folio), tf->mapcount);
	KUNIT_EXPECT_FALSE(test, folio_test_locked(folio));
	KUNIT_EXPECT_FALSE(test, folio_test_writeback(folio));
	KUNIT_EXPECT_TRUE(test, folio_test_uptodate(folio));
	KUNIT_EXPECT_TRUE(test, folio_is_put_back(folio));
	for (i = 0; i < ARRAY_SIZE(folio_states); i++)
		if (state_known(tf, folio_states[i].state))
			KUNIT_EXPECT_EQ_MSG(test, folio_states[i].holds(folio),
					    !!(kind->state & folio_states[i].state),
					    "%s", folio_states[i].name);
	KUNIT_EXPECT_PTR_EQ(test, folio_get_private(folio), tf->private);
	KUNIT_EXPECT_PTR_EQ(test, memcg_of(folio), tf->memcg);
	if (tf->file)
		KUNIT_EXPECT_PTR_EQ(test, folio->mapping, tf->file->f_mapping);
	KUNIT_EXPECT_TRUE_MSG(test, reaches(tf, folio),
			      "its users do not find the folio");
	KUNIT_EXPECT_TRUE_MSG(test, test_folio_intact(tf, folio),
			      "contents have changed");
	/* reaches() has swapped it in. */
	if (kind == &test_folio_swapped_out) {
		tf->kind = &test_folio_anon_mapped;
		tf->mapcount = tf->kind->mapcount;
		tf->private = NULL;
	}
}

/**
 * expect_at_destination() - expect a folio to live on at its destination
 * @test: the running test
 * @tf: a folio that took part in a migration
 *
 * Contents, flags, references and users at the destination must be those of
 * the source.
 */
void expect_at_destination(struct kunit *test, struct test_folio *tf)
{
	KUNIT_EXPECT_NOT_NULL_MSG(test, tf->dst, "the folio was not migrated");
	if (tf->dst)
		expect_in_use(test, tf, tf->dst, 1);
}

/**
 * expect_migrated() - expect a folio at its destination, and its source free
 * @test: the running test
 * @tf: a folio that took part in a migration without other allocations beside it
 */
void expect_migrated(struct kunit *test, struct test_folio *tf)
{
	if (tf->dst) {
		KUNIT_EXPECT_FALSE_MSG(test, tf->src_kept,
				       "the source folio was not freed");
		/* Or the page may have been reused by now. */
		if (nobody_else_runs())
			KUNIT_EXPECT_EQ(test, tf->src_refs, 0);
	}
	expect_at_destination(test, tf);
}

/**
 * expect_unharmed() - expect a folio to be as it was before its migration
 * @test: the running test
 * @tf: a folio whose migration failed and that has been put back
 * @extra_refs: references that are still held on it
 */
void expect_unharmed(struct kunit *test, struct test_folio *tf, int extra_refs)
{
	KUNIT_EXPECT_NULL_MSG(test, tf->dst, "the destination was not given back");
	if (tf->dst)
		return;
	expect_in_use(test, tf, tf->folio, extra_refs);
}

/**
 * expect_split() - expect a large folio to live on in small ones
 * @test: the running test; aborted if its user misses one of these
 * @tf: a folio that took part in a migration; takes part in no other
 *
 * Its user finds them all, unharmed.  Some of them may have been migrated.
 */
void expect_split(struct kunit *test, struct test_folio *tf)
{
	const unsigned long len = tf->len ?: PAGE_SIZE << tf->kind->order;
	unsigned long i;

	KUNIT_EXPECT_NULL(test, tf->dst);
	list_del_init(&tf->entry);
	for (i = 0; i < len / PAGE_SIZE; i++) {
		struct folio *piece = find_page_as_user(tf, i);

		KUNIT_ASSERT_NOT_NULL(test, piece);
		/* That it was found may have put it in a batch. */
		lru_add_drain_all();
		KUNIT_EXPECT_EQ(test, folio_order(piece), 0);
		KUNIT_EXPECT_EQ(test, folio_ref_count(piece),
				folio_expected_ref_count(piece) + 1);
		KUNIT_EXPECT_FALSE(test, folio_test_locked(piece));
		KUNIT_EXPECT_TRUE(test, folio_test_uptodate(piece));
		KUNIT_EXPECT_TRUE(test, folio_test_lru(piece));
		KUNIT_EXPECT_TRUE_MSG(test, page_intact(tf, i, piece, 0),
				      "contents of page %lu have changed", i);
		folio_put(piece);
	}
}
