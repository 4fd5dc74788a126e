// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit test that scans for leaked memory when all other suites have run.
 *
 * kmemleak's own thread looks a minute after boot and then every ten minutes,
 * so it would miss what the last suites leak.
 */

#include <kunit/test.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mman.h>
#include <linux/mount.h>
#include <linux/sched.h>
#include <linux/uaccess.h>

/* kmemleak does not report an object younger than five seconds. */
#define OLD_ENOUGH	(6 * HZ)

/*
 * A first scan only takes the checksum of an object it has not seen before, and
 * a later one may ask to see it unreferenced again, see min_unref_scans.
 */
#define SCANS		4

KUNIT_DEFINE_ACTION_WRAPPER(kern_unmount_action, kern_unmount, struct vfsmount *);
KUNIT_DEFINE_ACTION_WRAPPER(fput_action, __fput_sync, struct file *);

/* The file through which kmemleak is told to scan and asked what it found. */
static struct file *open_kmemleak(struct kunit *test)
{
	struct file_system_type *type = get_fs_type("debugfs");
	struct vfsmount *mnt;
	struct file *file;

	if (!type)
		kunit_skip(test, "debugfs is off, see debugfs=");
	mnt = kern_mount(type);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, mnt);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test,
							   kern_unmount_action,
							   mnt));
	file = file_open_root_mnt(mnt, "kmemleak", O_RDWR, 0);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, file);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, fput_action,
							   file));
	return file;
}

static void no_leaks(struct kunit *test)
{
	static const char scan[] = "scan";
	struct file *file = open_kmemleak(test);
	char __user *ubuf;
	unsigned long addr;
	ssize_t len;
	loff_t pos;
	char *text;
	int i;

	addr = kunit_vm_mmap(test, NULL, 0, PAGE_SIZE, PROT_READ | PROT_WRITE,
			     MAP_ANONYMOUS | MAP_PRIVATE, 0);
	KUNIT_ASSERT_NE(test, addr, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(addr));
	ubuf = (char __user *)addr;
	text = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, text);

	schedule_timeout_uninterruptible(OLD_ENOUGH);

	KUNIT_ASSERT_EQ(test, 0, copy_to_user(ubuf, scan, strlen(scan)));
	for (i = 0; i < SCANS; i++) {
		pos = 0;
		len = vfs_write(file, ubuf, strlen(scan), &pos);
		/* It also switches itself off, when it fails. */
		if (len == -EPERM && strstr(saved_command_line, "kmemleak=off"))
			kunit_skip(test, "kmemleak is off, see kmemleak=");
		KUNIT_ASSERT_EQ_MSG(test, len, strlen(scan),
				    "kmemleak did not scan");
	}

	pos = 0;
	len = vfs_read(file, ubuf, PAGE_SIZE - 1, &pos);
	KUNIT_ASSERT_GE(test, len, 0);
	KUNIT_ASSERT_EQ(test, 0, copy_from_user(text, ubuf, len));
	KUNIT_EXPECT_EQ_MSG(test, len, 0, "leaked memory:\n%s", text);
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
