// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests for migration of folios with buffer heads.
 *
 * Those of a block device are found without the folio, and have counts and locks of
 * their own.
 */

#include <linux/blkdev.h>
#include <linux/buffer_head.h>
#include <linux/delay.h>
#include <linux/pagemap.h>
#include <linux/swap.h>

#include "../internal.h"
#include "folio_fixture.h"

/* How long a buffer is locked, in milliseconds. */
#define LOCKED_MS	50

/* Not the first: those before it have been locked. */
#define THE_BUFFER	2

static struct buffer_head *the_buffer(const struct test_folio *tf)
{
	struct buffer_head *bh = folio_buffers(tf->folio);
	unsigned int nth = THE_BUFFER;

	while (nth--)
		bh = bh->b_this_page;
	return bh;
}

/* Every buffer is the folio's, at its place there, and can be had. */
static void expect_buffers(struct kunit *test, struct folio *folio, int users)
{
	struct buffer_head *head = folio_buffers(folio), *bh = head;
	size_t offset = 0;
	int found = 0;

	KUNIT_ASSERT_NOT_NULL(test, head);
	do {
		KUNIT_EXPECT_PTR_EQ(test, bh->b_folio, folio);
		KUNIT_EXPECT_PTR_EQ(test, (void *)bh->b_data, folio_address(folio) + offset);
		KUNIT_EXPECT_FALSE(test, buffer_locked(bh));
		KUNIT_EXPECT_FALSE(test, test_bit(BH_Migrate, &bh->b_state));
		found += atomic_read(&bh->b_count);
		offset += bh->b_size;
		bh = bh->b_this_page;
	} while (bh != head);
	KUNIT_EXPECT_EQ(test, offset, folio_size(folio));
	KUNIT_EXPECT_EQ(test, found, users);
}

static void expect_moved(struct kunit *test, struct folio_migration *m, struct test_folio *tf)
{
	KUNIT_EXPECT_EQ(test, m->rc, 0);
	expect_migrated(test, tf);
	expect_buffers(test, tf->dst, 0);
}

static struct folio_migration *make(struct kunit *test, struct test_folio **tf,
				    enum migrate_mode mode)
{
	struct folio_migration *m = longterm_migration(test, mode);

	*tf = test_folio_make(test, &test_folio_buffers);
	return m;
}

static const enum migrate_mode modes[] = {
	MIGRATE_ASYNC,
	MIGRATE_SYNC_LIGHT,
	MIGRATE_SYNC,
};

PARAM_ARRAY(modes, "%s", test_mode_names[*p]);

static void follow_the_folio(struct kunit *test)
{
	const enum migrate_mode *mode = test->param_value;
	struct test_folio *tf;
	struct folio_migration *m = make(test, &tf, *mode);

	expect_buffers(test, tf->folio, 0);
	folio_migration_add(m, tf);
	folio_migration_run(m);
	expect_moved(test, m, tf);
	expect_did_not_wait(test, m);
}

/* A buffer in use is no extra reference on the folio: nobody waits for it. */
static void in_use(struct kunit *test)
{
	const enum migrate_mode *mode = test->param_value;
	struct test_folio *tf;
	struct folio_migration *m = make(test, &tf, *mode);
	struct buffer_head *bh = the_buffer(tf);

	get_bh(bh);
	folio_migration_add(m, tf);
	folio_migration_run(m);
	expect_failed_at_once(test, m, 1);
	expect_buffers(test, tf->folio, 1);
	put_bh(bh);
	expect_unharmed(test, tf, 0);
	expect_migrates_later(test, m);
	expect_buffers(test, tf->dst, 0);
}

/* Look it up as a file system does: the CPU remembers it, and has a reference. */
static struct buffer_head *look_up(struct kunit *test, struct test_folio *tf)
{
	struct buffer_head *head = folio_buffers(tf->folio), *bh;

	bh = __find_get_block(file_bdev(tf->file), THE_BUFFER, head->b_size);
	KUNIT_ASSERT_PTR_EQ(test, bh, the_buffer(tf));
	brelse(bh);
	return bh;
}

/* What a CPU remembers is forgotten. */
static void remembered(struct kunit *test)
{
	const enum migrate_mode *mode = test->param_value;
	struct test_folio *tf;
	struct folio_migration *m = make(test, &tf, *mode);

	look_up(test, tf);
	expect_buffers(test, tf->folio, 1);
	folio_migration_add(m, tf);
	folio_migration_run(m);
	expect_moved(test, m, tf);
}

/* Whoever wants no references in the caches of CPUs gets rid of these, too. */
static void drained(struct kunit *test)
{
	struct test_folio *tf = test_folio_make(test, &test_folio_buffers);

	look_up(test, tf);
	expect_buffers(test, tf->folio, 1);
	lru_add_drain_all();
	/* For one CPU it is another function, which leaves buffers alone. */
	expect_buffers(test, tf->folio, !IS_ENABLED(CONFIG_SMP));

	look_up(test, tf);
	lru_cache_disable();
	expect_buffers(test, tf->folio, 0);
	look_up(test, tf);
	expect_buffers(test, tf->folio, 0);
	lru_cache_enable();
	look_up(test, tf);
	expect_buffers(test, tf->folio, 1);
	invalidate_bh_lrus();
}

/**
 * struct buffer_lock - a buffer that another task has locked
 * @bh: the buffer
 * @go: complete when it may be unlocked
 * @unlocked: complete when it is
 * @unlocked_at: when that was
 */
struct buffer_lock {
	struct buffer_head *bh;
	struct completion go;
	struct completion unlocked;
	ktime_t unlocked_at;
};

static int unlock_late(void *data)
{
	struct buffer_lock *lock = data;

	wait_for_completion(&lock->go);
	usleep_range(LOCKED_MS * USEC_PER_MSEC, LOCKED_MS * USEC_PER_MSEC);
	lock->unlocked_at = ktime_get();
	unlock_buffer(lock->bh);
	complete(&lock->unlocked);
	return 0;
}

/* Locked as for I/O: only those who may block wait. */
static void locked(struct kunit *test)
{
	const enum migrate_mode *mode = test->param_value;
	struct buffer_lock *lock = test_zalloc(test, sizeof(*lock));
	struct test_folio *tf;
	struct folio_migration *m = make(test, &tf, *mode);

	lock->bh = the_buffer(tf);
	init_completion(&lock->go);
	init_completion(&lock->unlocked);
	lock_buffer(lock->bh);
	test_thread(test, unlock_late, lock, "unlock_buffer");
	folio_migration_add(m, tf);
	if (*mode != MIGRATE_ASYNC)
		complete(&lock->go);
	folio_migration_run(m);
	if (*mode == MIGRATE_ASYNC) {
		expect_failed_at_once(test, m, 1);
		KUNIT_EXPECT_TRUE(test, buffer_locked(lock->bh));
		complete(&lock->go);
	}
	wait_for_completion(&lock->unlocked);
	if (*mode == MIGRATE_ASYNC) {
		expect_buffers(test, tf->folio, 0);
		expect_migrates_later(test, m);
		expect_buffers(test, tf->dst, 0);
		return;
	}
	expect_moved(test, m, tf);
	expect_ended_with(test, m, lock->unlocked_at);
}

/* Without contents it waits for I/O, which takes longer: light mode does not wait. */
static void locked_for_reading(struct kunit *test)
{
	struct test_folio *tf;
	struct folio_migration *m = make(test, &tf, MIGRATE_SYNC_LIGHT);
	struct buffer_head *bh = the_buffer(tf);

	lock_buffer(bh);
	clear_buffer_uptodate(bh);
	folio_migration_add(m, tf);
	folio_migration_run(m);
	expect_failed_at_once(test, m, 1);
	set_buffer_uptodate(bh);
	unlock_buffer(bh);
	expect_buffers(test, tf->folio, 0);
	expect_migrates_later(test, m);
	expect_buffers(test, tf->dst, 0);
}

/*
 * Truncation leaves a folio alone whose buffers are in use.  Migration frees what nobody
 * can find.
 */
static void orphan(struct kunit *test)
{
	struct test_folio *tf;
	struct folio_migration *m = make(test, &tf, MIGRATE_SYNC);
	struct folio *folio = tf->folio;
	struct buffer_head *bh = the_buffer(tf);

	folio_migration_add(m, tf);
	get_bh(bh);
	truncate_inode_pages(tf->file->f_mapping, 0);
	put_bh(bh);
	KUNIT_ASSERT_NULL(test, folio->mapping);
	KUNIT_ASSERT_NOT_NULL(test, folio_buffers(folio));

	folio_migration_run(m);
	KUNIT_EXPECT_EQ(test, m->rc, 0);
	KUNIT_EXPECT_TRUE(test, list_empty(&m->from));
	KUNIT_EXPECT_FALSE(test, tf->src_kept);
	KUNIT_EXPECT_TRUE(test, IS_ERR(filemap_get_folio(tf->file->f_mapping, 0)));
	expect_did_not_wait(test, m);
}

static struct kunit_case migrate_buffers_cases[] = {
	KUNIT_CASE_PARAM_ARRAY(follow_the_folio, modes),
	KUNIT_CASE_PARAM_ARRAY(in_use, modes),
	KUNIT_CASE_PARAM_ARRAY(remembered, modes),
	KUNIT_CASE(drained),
	KUNIT_CASE_PARAM_ARRAY(locked, modes),
	KUNIT_CASE(locked_for_reading),
	KUNIT_CASE(orphan),
	{}
};

static struct kunit_suite migrate_buffers_suite = {
	.name = "migrate_buffers",
	.init = folio_fixture_init,
	.test_cases = migrate_buffers_cases,
};

kunit_test_suite(migrate_buffers_suite);

MODULE_DESCRIPTION("KUnit tests for migration of folios with buffers");
MODULE_LICENSE("GPL");
