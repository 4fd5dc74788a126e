// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit test that scans for leaked memory when all other suites have run.
 *
 * kmemleak's own thread looks a minute after boot and then every ten minutes,
 * so it would miss what the last suites leak.
 */

#include <linux/init.h>
#include <linux/sched.h>

#include "folio_fixture.h"

/* kmemleak does not report an object younger than five seconds. */
#define OLD_ENOUGH	(6 * HZ)

/*
 * A first scan only takes the checksum of an object it has not seen before, and
 * a later one may ask to see it unreferenced again, see min_unref_scans.
 */
#define SCANS		4

static void no_leaks(struct kunit *test)
{
	char *leaks = test_zalloc(test, PAGE_SIZE);
	int i, ret;

	folio_fixture_needs_debugfs(test);
	schedule_timeout_uninterruptible(OLD_ENOUGH);

	for (i = 0; i < SCANS; i++) {
		ret = debugfs_write("kmemleak", "scan");
		/* kmemleak also switches itself off, when it fails. */
		if (ret == -EPERM && strstr(saved_command_line, "kmemleak=off"))
			kunit_skip(test, "kmemleak is off, see kmemleak=");
		KUNIT_ASSERT_EQ_MSG(test, ret, 0, "kmemleak did not scan");
	}

	KUNIT_ASSERT_EQ(test, 0, debugfs_read("kmemleak", leaks, PAGE_SIZE));
	KUNIT_EXPECT_STREQ(test, leaks, "");
}

static struct kunit_case kmemleak_scan_cases[] = {
	KUNIT_CASE_SLOW(no_leaks),
	{}
};

static struct kunit_suite kmemleak_scan_suite = {
	.name = "kmemleak_scan",
	.test_cases = kmemleak_scan_cases,
};

kunit_test_suite(kmemleak_scan_suite);

MODULE_DESCRIPTION("KUnit test that scans for leaked memory");
MODULE_LICENSE("GPL");
