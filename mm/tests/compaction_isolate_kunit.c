// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests for what compaction, and an allocation of contiguous memory, take off the
 * LRU lists to migrate it: where longterm pins are not allowed to be, this has to work.
 */

#include <linux/migrate.h>
#include <linux/pagemap.h>

#include "../internal.h"
#include "folio_fixture.h"
#include "user_pages.h"

/* So many that a few isolated ones are less than half of the LRU: more would have to wait. */
#define NR_PAGES	64
#define THE_PAGE	1

static const struct user_memory * const memories[] = {
	&user_memory_anon,
	&user_memory_shmem,
	&user_memory_memfd,
#ifdef CONFIG_TRANSPARENT_HUGEPAGE
	&user_memory_thp,
#endif
};

PARAM_ARRAY(memories, "%s", (*p)->name);

static const struct user_memory * const anon_memories[] = {
	&user_memory_anon,
#ifdef CONFIG_TRANSPARENT_HUGEPAGE
	&user_memory_thp,
#endif
};

PARAM_ARRAY(anon_memories, "%s", (*p)->name);

/**
 * struct isolation - what was isolated of a range
 * @folios: the folios
 * @nr: how many pages they are said to have
 * @end_pfn: how far it came
 * @rc: what was returned
 * @refs: how many references the first folio had before
 */
struct isolation {
	struct list_head folios;
	unsigned int nr;
	unsigned long end_pfn;
	int rc;
	int refs;
};

static void isolation_putback(void *data)
{
	struct isolation *isolation = data;

	putback_movable_pages(&isolation->folios);
}

/* As alloc_contig_range() does, but leaves the range open to other allocations. */
static struct isolation *isolate(struct kunit *test, struct page *page,
				 unsigned int nr, gfp_t gfp)
{
	struct isolation *isolation = test_zalloc(test, sizeof(*isolation));
	struct compact_control cc = {
		.order = -1,
		.zone = page_zone(page),
		.mode = MIGRATE_SYNC,
		.ignore_skip_hint = true,
		.no_set_skip_hint = true,
		.alloc_contig = true,
		.gfp_mask = gfp,
	};
	unsigned long pfn = page_to_pfn(page);

	INIT_LIST_HEAD(&cc.migratepages);
	INIT_LIST_HEAD(&isolation->folios);
	lru_add_drain_all();
	isolation->refs = page_count(page);
	isolation->rc = isolate_migratepages_range(&cc, pfn, pfn + nr);
	list_splice(&cc.migratepages, &isolation->folios);
	isolation->nr = cc.nr_migratepages;
	isolation->end_pfn = cc.migrate_pfn;
	test_cleanup(test, isolation_putback, isolation);
	return isolation;
}

static struct isolation *isolate_folio(struct kunit *test, struct folio *folio, gfp_t gfp)
{
	return isolate(test, folio_page(folio, 0), folio_nr_pages(folio), gfp);
}

static void expect_isolated(struct kunit *test, const struct isolation *isolation,
			    struct folio *folio)
{
	KUNIT_EXPECT_EQ(test, isolation->rc, 0);
	KUNIT_EXPECT_EQ(test, isolation->nr, folio_nr_pages(folio));
	KUNIT_EXPECT_TRUE(test, list_is_singular(&isolation->folios));
	KUNIT_EXPECT_FALSE(test, folio_test_lru(folio));
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), isolation->refs + 1);
}

static void expect_left_alone(struct kunit *test, const struct isolation *isolation,
			      struct folio *folio)
{
	KUNIT_EXPECT_EQ(test, isolation->rc, 0);
	KUNIT_EXPECT_EQ(test, isolation->nr, 0);
	KUNIT_EXPECT_TRUE(test, list_empty(&isolation->folios));
	KUNIT_EXPECT_TRUE(test, folio_test_lru(folio));
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), isolation->refs);
}

static struct user_pages *make(struct kunit *test, const struct user_memory *memory)
{
	return user_pages_make(test, memory, memory->order ? 1U << memory->order : NR_PAGES);
}

/* A folio is isolated as a whole, each of its pages counts, and it can be put back. */
static void takes(struct kunit *test)
{
	const struct user_memory * const *memory = test->param_value;
	struct user_pages *up = make(test, *memory);
	struct folio *folio = user_pages_folio(up, THE_PAGE);
	struct isolation *isolation = isolate_folio(test, folio, GFP_KERNEL);

	expect_isolated(test, isolation, folio);

	kunit_release_action(test, isolation_putback, isolation);
	lru_add_drain_all();
	KUNIT_EXPECT_TRUE(test, folio_test_lru(folio));
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), isolation->refs);
	KUNIT_EXPECT_PTR_EQ(test, user_pages_folio(up, THE_PAGE), folio);
}

/* To migrate it would be in vain. */
static void leaves_pinned(struct kunit *test)
{
	const struct user_memory * const *memory = test->param_value;
	struct user_pages *up = make(test, *memory);
	struct folio *folio;

	user_pages_pin(up, &pin_way_locked, 0);
	KUNIT_ASSERT_EQ(test, up->rc, up->nr);
	folio = user_pages_folio(up, THE_PAGE);
	expect_left_alone(test, isolate_folio(test, folio, GFP_KERNEL), folio);
	expect_unpins(up);
	expect_isolated(test, isolate_folio(test, folio, GFP_KERNEL), folio);
}

/* Who may not call file systems cannot migrate their folios. */
static void leaves_files_without_fs(struct kunit *test)
{
	const struct user_memory * const *memory = test->param_value;
	struct user_pages *up = make(test, *memory);
	struct folio *folio = user_pages_folio(up, THE_PAGE);
	struct isolation *isolation = isolate_folio(test, folio, GFP_NOFS);

	if (folio_test_anon(folio))
		expect_isolated(test, isolation, folio);
	else
		expect_left_alone(test, isolation, folio);
}

/* A folio that somebody else has isolated is left to them. */
static void leaves_isolated(struct kunit *test)
{
	struct user_pages *up = make(test, &user_memory_anon);
	struct folio *folio = user_pages_folio(up, THE_PAGE);
	struct isolation *first = isolate_folio(test, folio, GFP_KERNEL);
	struct isolation *second = isolate_folio(test, folio, GFP_KERNEL);

	expect_isolated(test, first, folio);
	KUNIT_EXPECT_EQ(test, second->rc, 0);
	KUNIT_EXPECT_EQ(test, second->nr, 0);
	KUNIT_EXPECT_TRUE(test, list_empty(&second->folios));
}

#define CLUSTER_ORDER	6

/* Not more than a cluster at once is isolated: the rest stays for others to use. */
static void stops_after_cluster(struct kunit *test)
{
	const unsigned int nr = 1 << CLUSTER_ORDER;
	struct user_pages *up = user_pages_map(test, &user_memory_memfd, nr);
	struct page *page = test_pages_alloc(test, GFP_HIGHUSER_MOVABLE, CLUSTER_ORDER);
	struct isolation *isolation;
	unsigned int i;

	for (i = 0; i < nr; i++) {
		struct folio *folio = page_folio(page + i);

		KUNIT_ASSERT_EQ(test, 0, filemap_add_folio(up->file->f_mapping, folio, i,
							   GFP_KERNEL));
		folio_mark_uptodate(folio);
		folio_unlock(folio);
		/* The page cache has its own. */
		test_folio_put(test, folio);
	}
	isolation = isolate(test, page, nr, GFP_KERNEL);
	KUNIT_EXPECT_EQ(test, isolation->rc, 0);
	KUNIT_EXPECT_EQ(test, isolation->nr, COMPACT_CLUSTER_MAX);
	KUNIT_EXPECT_EQ(test, list_count_nodes(&isolation->folios), COMPACT_CLUSTER_MAX);
	KUNIT_EXPECT_EQ(test, isolation->end_pfn, page_to_pfn(page) + COMPACT_CLUSTER_MAX);
	for (i = 0; i < nr; i++)
		KUNIT_EXPECT_EQ(test, PageLRU(page + i), i >= COMPACT_CLUSTER_MAX);
}

static struct kunit_case compaction_isolate_cases[] = {
	KUNIT_CASE_PARAM_ARRAY(takes, memories),
	KUNIT_CASE_PARAM_ARRAY(leaves_pinned, anon_memories),
	KUNIT_CASE_PARAM_ARRAY(leaves_files_without_fs, memories),
	KUNIT_CASE(leaves_isolated),
	KUNIT_CASE(stops_after_cluster),
	{}
};

static struct kunit_suite compaction_isolate_suite = {
	.name = "compaction_isolate",
	.init = user_pages_init,
	.test_cases = compaction_isolate_cases,
};

kunit_test_suite(compaction_isolate_suite);

MODULE_DESCRIPTION("KUnit tests for what compaction isolates");
MODULE_LICENSE("GPL");
