// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests for the migration of pages that are not of the LRU but have an owner who
 * moves them, as balloons do: the owner is asked, and its page is its own afterwards.
 */

#include <linux/migrate.h>
#include <linux/mm.h>
#include <linux/page-flags.h>

#include "../internal.h"
#include "counters.h"
#include "folio_fixture.h"

/**
 * struct owner - who has a page, and moves it
 * @test: the running test
 * @page: the page
 * @rc: what it answers when it is to move the page: 0, or why that does not work
 * @keeps: the page must not be isolated
 * @asked: how often it has been asked for the page
 * @moves: how often it was to move it
 * @mode: the mode of the last time
 * @put_back: how often it has got it back
 * @locked: the page was locked each time
 */
struct owner {
	struct kunit *test;
	struct page *page;
	int rc;
	bool keeps;
	unsigned int asked;
	unsigned int moves;
	enum migrate_mode mode;
	unsigned int put_back;
	bool locked;
};

/* Nothing of a page tells its owner apart: there is one at a time. */
static struct owner *the_owner;

static bool owner_isolate(struct page *page, isolate_mode_t mode)
{
	the_owner->asked++;
	the_owner->locked &= PageLocked(page);
	return !the_owner->keeps;
}

static void own(struct owner *owner, struct page *page)
{
	__folio_set_offline(page_folio(page));
	SetPageMovableOps(page);
	owner->page = page;
}

static int owner_migrate(struct page *dst, struct page *src, enum migrate_mode mode)
{
	struct owner *owner = the_owner;

	owner->moves++;
	owner->mode = mode;
	owner->locked &= PageLocked(dst) && PageLocked(src);
	if (owner->rc)
		return owner->rc;
	copy_highpage(dst, src);
	get_page(dst);
	own(owner, dst);
	put_page(src);
	return 0;
}

static void owner_putback(struct page *page)
{
	the_owner->put_back++;
	the_owner->locked &= PageLocked(page) && PageMovableOpsIsolated(page);
}

static const struct movable_operations owner_ops = {
	.isolate_page = owner_isolate,
	.migrate_page = owner_migrate,
	.putback_page = owner_putback,
};

static void owner_end(void *data)
{
	struct owner *owner = data;

	if (owner->page)
		put_page(owner->page);
	set_movable_ops(NULL, PGTY_offline);
	the_owner = NULL;
}

#define PATTERN		0x3c

static struct owner *owner_make(struct kunit *test)
{
	struct owner *owner = test_zalloc(test, sizeof(*owner));
	struct page *page;

	if (set_movable_ops(&owner_ops, PGTY_offline))
		kunit_skip(test, "a balloon has all pages of this kind");
	owner->test = test;
	owner->locked = true;
	the_owner = owner;
	test_cleanup(test, owner_end, owner);
	page = alloc_page(GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, page);
	memset(page_address(page), PATTERN, PAGE_SIZE);
	own(owner, page);
	return owner;
}

/* It has the page alone, as nobody had been there. */
static void expect_owns(struct owner *owner)
{
	struct kunit *test = owner->test;
	struct page *page = owner->page;

	KUNIT_EXPECT_TRUE(test, page_has_movable_ops(page));
	KUNIT_EXPECT_FALSE(test, PageMovableOpsIsolated(page));
	KUNIT_EXPECT_FALSE(test, PageLocked(page));
	KUNIT_EXPECT_EQ(test, page_ref_count(page), 1);
	/* The type of a page lies where others count their mappings. */
	KUNIT_EXPECT_EQ(test, folio_mapcount(page_folio(page)), 0);
	KUNIT_EXPECT_NULL(test, memchr_inv(page_address(page), PATTERN, PAGE_SIZE));
	KUNIT_EXPECT_TRUE(test, owner->locked);
}

static bool isolate(struct owner *owner)
{
	return isolate_movable_ops_page(owner->page, ISOLATE_UNEVICTABLE);
}

static struct folio *new_dst(struct folio *src, unsigned long private)
{
	return folio_alloc(GFP_KERNEL, 0);
}

static int migrate(struct owner *owner, enum migrate_mode mode)
{
	LIST_HEAD(from);
	int rc;

	KUNIT_ASSERT_TRUE(owner->test, isolate(owner));
	KUNIT_EXPECT_TRUE(owner->test, PageMovableOpsIsolated(owner->page));
	list_add(&owner->page->lru, &from);
	rc = migrate_pages(&from, new_dst, NULL, 0, mode, MR_COMPACTION, NULL);
	putback_movable_pages(&from);
	return rc;
}

static const enum migrate_mode modes[] = {
	MIGRATE_ASYNC, MIGRATE_SYNC_LIGHT, MIGRATE_SYNC,
};

PARAM_ARRAY(modes, "%s", test_mode_names[*p]);

/* The owner moves it, once, and what it had before is free. */
static void moves(struct kunit *test)
{
	const enum migrate_mode *mode = test->param_value;
	struct owner *owner = owner_make(test);
	struct counters *before = counters_read(test);
	struct page *src = owner->page;
	struct folio_balance *balance = folio_balance(test);

	/* To see what is left of it. */
	get_page(src);
	KUNIT_EXPECT_EQ(test, 0, migrate(owner, *mode));
	KUNIT_EXPECT_PTR_NE(test, owner->page, src);
	KUNIT_EXPECT_EQ(test, owner->moves, 1);
	KUNIT_EXPECT_EQ(test, owner->put_back, 0);
	expect_owns(owner);
	KUNIT_EXPECT_EQ(test, page_ref_count(src), 1);
	KUNIT_EXPECT_FALSE(test, PageMovableOpsIsolated(src));
	KUNIT_EXPECT_FALSE(test, PageLocked(src));
	put_page(src);
	expect_events(before, PGMIGRATE_SUCCESS, 1);
	expect_balance(balance);
	/* And once more. */
	KUNIT_EXPECT_EQ(test, 0, migrate(owner, *mode));
	expect_owns(owner);
}

/* Why the owner does not move it, and how often it is asked to. */
struct refusal {
	int rc;
	enum migrate_mode mode;
	unsigned int moves;
};

static const struct refusal refusals[] = {
	{ -EAGAIN, MIGRATE_ASYNC, 10 },
	/* The first three are asynchronous. */
	{ -EAGAIN, MIGRATE_SYNC, 3 + 7 },
	{ -EBUSY, MIGRATE_ASYNC, 1 },
};

PARAM_ARRAY(refusals, "%d-%s", -p->rc, test_mode_names[p->mode]);

/* What is not moved is given back, and can be moved later. */
static void fails(struct kunit *test)
{
	const struct refusal *p = test->param_value;
	struct owner *owner = owner_make(test);
	struct counters *before = counters_read(test);
	struct page *src = owner->page;

	owner->rc = p->rc;
	KUNIT_EXPECT_EQ(test, 1, migrate(owner, p->mode));
	KUNIT_EXPECT_PTR_EQ(test, owner->page, src);
	KUNIT_EXPECT_EQ(test, owner->moves, p->moves);
	KUNIT_EXPECT_EQ(test, owner->mode, p->mode);
	KUNIT_EXPECT_EQ(test, owner->put_back, 1);
	expect_owns(owner);
	expect_events(before, PGMIGRATE_FAIL, 1);

	owner->rc = 0;
	KUNIT_EXPECT_EQ(test, 0, migrate(owner, p->mode));
	KUNIT_EXPECT_PTR_NE(test, owner->page, src);
	expect_owns(owner);
}

/* What is in use, or another's, is not isolated, and keeps its references. */
static void not_isolated(struct kunit *test)
{
	struct owner *owner = owner_make(test);
	struct page *page = owner->page, *other;
	LIST_HEAD(list);

	owner->keeps = true;
	KUNIT_EXPECT_FALSE(test, isolate(owner));
	KUNIT_EXPECT_EQ(test, owner->asked, 1);
	expect_owns(owner);
	owner->keeps = false;

	lock_page(page);
	KUNIT_EXPECT_FALSE(test, isolate(owner));
	unlock_page(page);
	KUNIT_EXPECT_EQ(test, owner->asked, 1);
	expect_owns(owner);

	KUNIT_ASSERT_TRUE(test, isolate(owner));
	KUNIT_EXPECT_FALSE(test, isolate(owner));
	KUNIT_EXPECT_EQ(test, owner->asked, 2);
	KUNIT_EXPECT_EQ(test, page_ref_count(page), 2);
	list_add(&page->lru, &list);
	putback_movable_pages(&list);
	expect_owns(owner);

	other = test_pages_alloc(test, GFP_KERNEL, 0);
	KUNIT_EXPECT_FALSE(test, isolate_movable_ops_page(other, ISOLATE_UNEVICTABLE));
	KUNIT_EXPECT_EQ(test, page_ref_count(other), 1);
	KUNIT_EXPECT_FALSE(test, PageLocked(other));
	KUNIT_EXPECT_EQ(test, owner->asked, 2);
}

/* A kind of page has one owner at a time, and only some kinds can have one. */
static void one_owner(struct kunit *test)
{
	owner_make(test);
	KUNIT_EXPECT_EQ(test, -EBUSY, set_movable_ops(&owner_ops, PGTY_offline));
	KUNIT_EXPECT_EQ(test, -EINVAL, set_movable_ops(&owner_ops, PGTY_hugetlb));
}

static struct kunit_case migrate_movable_ops_cases[] = {
	KUNIT_CASE_PARAM_ARRAY(moves, modes),
	KUNIT_CASE_PARAM_ARRAY(fails, refusals),
	KUNIT_CASE(not_isolated),
	KUNIT_CASE(one_owner),
	{}
};

static struct kunit_suite migrate_movable_ops_suite = {
	.name = "migrate_movable_ops",
	.init = folio_fixture_init,
	.test_cases = migrate_movable_ops_cases,
};

kunit_test_suite(migrate_movable_ops_suite);

MODULE_DESCRIPTION("KUnit tests for the migration of pages that their owner moves");
MODULE_LICENSE("GPL");
