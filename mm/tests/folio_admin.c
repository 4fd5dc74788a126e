// SPDX-License-Identifier: GPL-2.0
/*
 * What an administrator does, for KUnit tests: files of debugfs and sysfs, control
 * groups, fault injection, a swap device, huge pages, and merging of equal pages.
 */

#include <kunit/test.h>
#include <linux/fail_folio_hold.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/fs_struct.h>
#include <linux/hugetlb.h>
#include <linux/kthread.h>
#include <linux/major.h>
#include <linux/mman.h>
#include <linux/mmu_context.h>
#include <linux/mount.h>
#include <linux/namei.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/swap.h>
#include <linux/syscalls.h>
#include <linux/uaccess.h>
#include <linux/workqueue.h>

#include <asm/syscall.h>
#include <asm/unistd.h>

#include "../fail_folio_hold.h"
#include "folio_fixture.h"

/*
 * Files of pseudo file systems, which are not mounted here
 */

static struct vfsmount *pseudo_mount(const char *fs)
{
	struct file_system_type *type = get_fs_type(fs);
	struct vfsmount *mnt;

	if (!type)
		return ERR_PTR(-ENODEV);
	mnt = kern_mount(type);
	put_filesystem(type);
	return mnt;
}

static ssize_t pseudo_file_access(const char *fs, const char *path, char *buf,
				  size_t size, bool write)
{
	struct vfsmount *mnt = pseudo_mount(fs);
	unsigned long addr;
	struct file *file;
	loff_t pos = 0;
	ssize_t ret;

	if (IS_ERR(mnt))
		return PTR_ERR(mnt);
	file = file_open_root_mnt(mnt, path, write ? O_WRONLY : O_RDONLY, 0);
	ret = PTR_ERR_OR_ZERO(file);
	if (ret)
		goto unmount;

	/* Some of these files take user memory only. */
	ret = kunit_attach_mm();
	if (ret)
		goto close;
	addr = vm_mmap(NULL, 0, size, PROT_READ | PROT_WRITE,
		       MAP_ANONYMOUS | MAP_PRIVATE, 0);
	ret = -ENOMEM;
	if (IS_ERR_VALUE(addr))
		goto close;
	if (write) {
		ret = -EFAULT;
		if (!copy_to_user((void __user *)addr, buf, size))
			ret = vfs_write(file, (void __user *)addr, size, &pos);
	} else {
		ret = vfs_read(file, (void __user *)addr, size, &pos);
		if (ret > 0 && copy_from_user(buf, (void __user *)addr, ret))
			ret = -EFAULT;
	}
	vm_munmap(addr, size);
close:
	__fput_sync(file);
unmount:
	kern_unmount(mnt);
	return ret;
}

/**
 * pseudo_file_write() - write to a file of a pseudo file system as a user would
 * @fs: the file system's name
 * @path: the file's path in it
 * @value: what to write
 *
 * Return: 0 or a negative errno, -ENODEV where there is no such file system.
 */
int pseudo_file_write(const char *fs, const char *path, const char *value)
{
	size_t size = strlen(value);
	ssize_t ret = pseudo_file_access(fs, path, (char *)value, size, true);

	return ret < 0 ? ret : ret == size ? 0 : -EIO;
}

static void pseudo_file_release(void *data)
{
	__fput_sync(data);
}

/**
 * pseudo_file_open() - open a file of a pseudo file system
 * @test: the running test, which fails if it cannot
 * @fs: the file system's name
 * @path: the file's path in it
 *
 * Return: the file, for reading and writing, closed when the case ends.
 */
struct file *pseudo_file_open(struct kunit *test, const char *fs, const char *path)
{
	struct vfsmount *mnt = pseudo_mount(fs);
	struct file *file;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, mnt);
	file = file_open_root_mnt(mnt, path, O_RDWR, 0);
	kern_unmount(mnt);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, file);
	test_cleanup(test, pseudo_file_release, file);
	return file;
}

/**
 * pseudo_file_close() - close a file before the case ends
 * @test: the running test
 * @file: of pseudo_file_open()
 */
void pseudo_file_close(struct kunit *test, struct file *file)
{
	kunit_release_action(test, pseudo_file_release, file);
}

/*
 * Control groups
 */

static int cgroup_change(const char *name, bool make)
{
	struct vfsmount *mnt = pseudo_mount("cgroup2");
	struct qstr qname = QSTR(name);
	struct dentry *root, *dentry;
	int ret;

	if (IS_ERR(mnt))
		return PTR_ERR(mnt);
	root = mnt->mnt_root;
	dentry = make ? start_creating_noperm(root, &qname) :
			start_removing_noperm(root, &qname);
	if (IS_ERR(dentry)) {
		ret = PTR_ERR(dentry);
	} else if (make) {
		dentry = vfs_mkdir(&nop_mnt_idmap, d_inode(root), dentry, 0755, NULL);
		ret = PTR_ERR_OR_ZERO(dentry);
		end_creating(dentry);
	} else {
		ret = vfs_rmdir(&nop_mnt_idmap, d_inode(root), dentry, NULL);
		end_removing(dentry);
	}
	kern_unmount(mnt);
	return ret;
}

struct cgroup_made {
	struct kunit *test;
	const char *name;
};

static void cgroup_remove(void *data)
{
	const struct cgroup_made *made = data;
	struct kunit *test = made->test;

	KUNIT_EXPECT_EQ(test, 0, cgroup_change(made->name, false));
}

/**
 * test_cgroup() - have a control group until the case ends
 * @test: the running test
 * @name: of the group, which lies in the root group
 * @controllers: what to write to the root's cgroup.subtree_control
 *
 * Return: 0 or a negative errno, -ENODEV where this kernel has no control groups.
 */
int test_cgroup(struct kunit *test, const char *name, const char *controllers)
{
	struct cgroup_made *made = test_zalloc(test, sizeof(*made));
	int ret;

	made->test = test;
	made->name = name;
	ret = pseudo_file_write("cgroup2", "cgroup.subtree_control", controllers);
	return ret ?: cgroup_change(name, true) ?:
	       kunit_add_action_or_reset(test, cgroup_remove, made);
}

/*
 * Fault injection
 */

/**
 * debugfs_write() - write to a file of debugfs as a user would
 * @path: the file's path in debugfs
 * @value: what to write
 *
 * Return: 0 or a negative errno.
 */
int debugfs_write(const char *path, const char *value)
{
	return pseudo_file_write("debugfs", path, value);
}

/**
 * debugfs_read() - read a file of debugfs as a user would
 * @path: the file's path in debugfs
 * @buf: what was read, without the newline at the end
 * @size: the size of @buf
 *
 * Return: 0 or a negative errno.
 */
int debugfs_read(const char *path, char *buf, size_t size)
{
	ssize_t ret = pseudo_file_access("debugfs", path, buf, size - 1, false);

	if (ret < 0)
		return ret;
	buf[ret] = '\0';
	strim(buf);
	return 0;
}

/**
 * folio_fixture_needs_debugfs() - skip the case where debugfs is off
 * @test: the running test
 */
void folio_fixture_needs_debugfs(struct kunit *test)
{
	struct file_system_type *type = get_fs_type("debugfs");

	if (!type)
		kunit_skip(test, "debugfs is off, see debugfs=");
	put_filesystem(type);
}

struct debugfs_setting {
	struct kunit *test;
	const char *path;
	char old[32];
};

static void debugfs_restore(void *data)
{
	struct debugfs_setting *s = data;
	struct kunit *test = s->test;

	KUNIT_EXPECT_EQ_MSG(test, debugfs_write(s->path, s->old), 0,
			    "can't restore %s", s->path);
}

/**
 * debugfs_set() - change a setting in debugfs until the case ends
 * @test: the running test; skipped where debugfs is off, aborted if that is not
 *	possible
 * @path: the file's path in debugfs
 * @value: the value to set
 */
void debugfs_set(struct kunit *test, const char *path, const char *value)
{
	struct debugfs_setting *s;

	folio_fixture_needs_debugfs(test);
	s = test_zalloc(test, sizeof(*s));
	s->test = test;
	s->path = path;
	KUNIT_ASSERT_EQ(test, debugfs_read(path, s->old, sizeof(s->old)), 0);
	KUNIT_ASSERT_EQ(test, debugfs_write(path, value), 0);
	test_cleanup(test, debugfs_restore, s);
}

#ifdef CONFIG_FAIL_FOLIO_HOLD
static void fault_restore(void *data)
{
	struct fail_folio_hold_settings *old = data;

	fail_folio_hold_settings.attr.probability = 0;
	fail_folio_hold_drain();
	fail_folio_hold_settings = *old;
	fail_folio_hold_observer = NULL;
}

/**
 * fail_folio_hold_borrow() - use the injector until the case ends
 * @test: the running test
 *
 * Return: its settings: not armed, quiet, for longterm pins only, otherwise the
 * defaults.  When the case ends, all holds end and the settings are restored.
 */
struct fail_folio_hold_settings *fail_folio_hold_borrow(struct kunit *test)
{
	static const struct fault_attr attr = FAULT_ATTR_INITIALIZER;
	struct fail_folio_hold_settings *s = &fail_folio_hold_settings;
	struct fail_folio_hold_settings *old = test_zalloc(test, sizeof(*old));

	*old = *s;
	s->attr = attr;
	s->attr.verbose = 0;
	s->delay_us = USEC_PER_MSEC;
	s->refs = 1;
	s->reasons = BIT(MR_LONGTERM_PIN);
	s->context = FAIL_FOLIO_HOLD_KTHREAD;
	s->drop = FAIL_FOLIO_HOLD_FOLIO_PUT;
	test_cleanup(test, fault_restore, old);
	return s;
}

/**
 * fail_folio_hold_last() - set how long holds last that migrations meet
 * @us: how long with a series that waits; without one they last until they are
 *	drained, longer than any migration
 */
void fail_folio_hold_last(unsigned int us)
{
	fail_folio_hold_settings.delay_us = wait_promises()->wait ? us : 60 * USEC_PER_SEC;
}

/**
 * fail_folio_hold_fired() - how many holds the injector has taken
 *
 * Return: holds since boot.
 */
u64 fail_folio_hold_fired(void)
{
	return fail_folio_hold_count().fired;
}
#endif

/**
 * allocations_can_fail() - have points of fault injection in allocations
 * @test: the running test; skipped where this kernel has none
 *
 * Until the case ends set_fail_nth() meets every allocation.
 */
void allocations_can_fail(struct kunit *test)
{
	if (!IS_ENABLED(CONFIG_FAULT_INJECTION_DEBUG_FS) ||
	    !IS_ENABLED(CONFIG_FAILSLAB) || !IS_ENABLED(CONFIG_FAIL_PAGE_ALLOC))
		kunit_skip(test, "needs FAILSLAB and FAIL_PAGE_ALLOC in debugfs");

	debugfs_set(test, "failslab/verbose", "0");
	debugfs_set(test, "failslab/ignore-gfp-wait", "N");
	debugfs_set(test, "fail_page_alloc/verbose", "0");
	debugfs_set(test, "fail_page_alloc/ignore-gfp-wait", "N");
	debugfs_set(test, "fail_page_alloc/ignore-gfp-highmem", "N");
	debugfs_set(test, "fail_page_alloc/min-order", "0");
}

/*
 * System calls
 */

/**
 * test_syscall_args() - do what a user can do only by a system call
 * @nr: its number, of swapon(), swapoff(), mprotect(), mremap(), memfd_secret(),
 *	io_uring_setup(), io_uring_register(), move_pages() and those of the mlock() family
 * @args: its arguments; test_syscall() takes them one by one
 *
 * Return: as the system call, -EOPNOTSUPP where the kernel cannot make it.
 */
long test_syscall_args(unsigned int nr, const unsigned long *args)
{
#ifndef CONFIG_ARCH_HAS_SYSCALL_WRAPPER
	switch (nr) {
	case __NR_swapon:
		return sys_swapon((const char __user *)args[0], args[1]);
	case __NR_swapoff:
		return sys_swapoff((const char __user *)args[0]);
	case __NR_mprotect:
		return sys_mprotect(args[0], args[1], args[2]);
	case __NR_mremap:
		return sys_mremap(args[0], args[1], args[2], args[3], args[4]);
	case __NR_mlock:
		return sys_mlock(args[0], args[1]);
	case __NR_mlock2:
		return sys_mlock2(args[0], args[1], args[2]);
	case __NR_munlock:
		return sys_munlock(args[0], args[1]);
	case __NR_mlockall:
		return sys_mlockall(args[0]);
	case __NR_munlockall:
		return sys_munlockall();
	case __NR_move_pages:
		return sys_move_pages(args[0], args[1], (const void __user * __user *)args[2],
				      (const int __user *)args[3], (int __user *)args[4],
				      args[5]);
	case __NR_memfd_secret:
		return sys_memfd_secret(args[0]);
	case __NR_io_uring_setup:
		return sys_io_uring_setup(args[0], (struct io_uring_params __user *)args[1]);
	case __NR_io_uring_register:
		return sys_io_uring_register(args[0], args[1], (void __user *)args[2], args[3]);
	}
#elif defined(CONFIG_X86_64)
	const struct pt_regs regs = {
		.di = args[0], .si = args[1], .dx = args[2], .r10 = args[3], .r8 = args[4],
		.r9 = args[5],
	};

	return sys_call_table[nr](&regs);
#endif
	return -EOPNOTSUPP;
}

/*
 * Swap and KSM
 */

#if defined(CONFIG_SWAP) && defined(CONFIG_BLK_DEV_RAM)

static const char swap_node[] = "/folio_fixture_swap";

static int swap_node_make(void)
{
	struct dentry *dentry;
	struct path path;
	int ret;

	dentry = start_creating_path(AT_FDCWD, swap_node, &path, 0);
	if (IS_ERR(dentry))
		return PTR_ERR(dentry);
	ret = vfs_mknod(mnt_idmap(path.mnt), d_inode(path.dentry), dentry,
			S_IFBLK | 0600, MKDEV(RAMDISK_MAJOR, 0), NULL);
	end_creating_path(&path, dentry);
	return ret;
}

static int swap_node_remove(void)
{
	struct dentry *dentry;
	struct path path;
	int ret;

	dentry = start_removing_path(swap_node, &path);
	if (IS_ERR(dentry))
		return PTR_ERR(dentry);
	ret = vfs_unlink(mnt_idmap(path.mnt), d_inode(path.dentry), dentry, NULL);
	end_removing_path(&path, dentry);
	return ret;
}

/* What mkswap does. */
static int swap_header_write(void)
{
	union swap_header *header;
	struct file *file;
	loff_t pos = 0;
	ssize_t ret;

	file = filp_open(swap_node, O_RDWR, 0);
	if (IS_ERR(file))
		return PTR_ERR(file);
	header = kzalloc(PAGE_SIZE, GFP_KERNEL);
	if (!header) {
		__fput_sync(file);
		return -ENOMEM;
	}
	header->info.version = 1;
	header->info.last_page = (i_size_read(file->f_mapping->host) >> PAGE_SHIFT) - 1;
	memcpy(header->magic.magic, "SWAPSPACE2", sizeof(header->magic.magic));
	ret = kernel_write(file, header, PAGE_SIZE, &pos);
	kfree(header);
	__fput_sync(file);
	if (ret < 0)
		return ret;
	return ret == PAGE_SIZE ? 0 : -EIO;
}

static int swap_switch(bool on)
{
	unsigned long addr = vm_mmap(NULL, 0, PAGE_SIZE, PROT_READ | PROT_WRITE,
				     MAP_ANONYMOUS | MAP_PRIVATE, 0);
	char __user *name = (char __user *)addr;

	if (IS_ERR_VALUE(addr))
		return addr;
	if (copy_to_user(name, swap_node, sizeof(swap_node)))
		return -EFAULT;
	return test_syscall(on ? __NR_swapon : __NR_swapoff, addr);
}

#ifndef scoped_with_init_fs
/* Before 7.3 kernel threads shared the files of init. */
#define scoped_with_init_fs()
#endif

struct swap_call {
	struct work_struct work;
	bool on;
	int ret;
};

static void swap_call_fn(struct work_struct *work)
{
	struct swap_call *call = container_of(work, struct swap_call, work);
	struct mm_struct *mm = mm_alloc();

	if (!mm) {
		call->ret = -ENOMEM;
		return;
	}
	mm->task_size = TASK_SIZE;
	arch_pick_mmap_layout(mm, &current->signal->rlim[RLIMIT_STACK]);
	kthread_use_mm(mm);
	/* A kernel thread has no files of its own. */
	scoped_with_init_fs() {
		call->ret = call->on ? swap_node_make() ?: swap_header_write() : 0;
		call->ret = call->ret ?: swap_switch(call->on);
		if (!call->on || call->ret)
			call->ret = swap_node_remove() ?: call->ret;
	}
	kthread_unuse_mm(mm);
	mmput(mm);
}

/* From a worker: a test and its cleanup cannot switch to another mm. */
static int swap_call(bool on)
{
	struct swap_call call = { .on = on };

	INIT_WORK_ONSTACK(&call.work, swap_call_fn);
	schedule_work(&call.work);
	flush_work(&call.work);
	destroy_work_on_stack(&call.work);
	/* The device cannot be opened again before its delayed close. */
	flush_delayed_fput();
	return call.ret;
}

static void swap_off(void *data)
{
	struct kunit *test = data;

	KUNIT_EXPECT_EQ(test, 0, swap_call(false));
}

/**
 * test_swap_on() - have a swap device until the case ends
 * @test: the running test
 *
 * Return: 0 or a negative errno, -EOPNOTSUPP where this kernel can't have one.
 */
int test_swap_on(struct kunit *test)
{
	return swap_call(true) ?: kunit_add_action_or_reset(test, swap_off, test);
}

/**
 * test_swap_off() - have no swap device any more
 * @test: the running test, after test_swap_on(); what is in swap comes back
 */
void test_swap_off(struct kunit *test)
{
	kunit_release_action(test, swap_off, test);
}

#else

int test_swap_on(struct kunit *test)
{
	return -EOPNOTSUPP;
}

void test_swap_off(struct kunit *test)
{
}

#endif

#ifdef CONFIG_HUGETLB_PAGE

static int hugetlb_pool_set(unsigned int nr)
{
	char path[64], value[16];

	snprintf(path, sizeof(path), "kernel/mm/hugepages/hugepages-%lukB/nr_hugepages",
		 HPAGE_SIZE / SZ_1K);
	snprintf(value, sizeof(value), "%u", nr);
	return pseudo_file_write("sysfs", path, value);
}

static void hugetlb_pool_empty(void *data)
{
	struct kunit *test = data;

	KUNIT_EXPECT_EQ(test, 0, hugetlb_pool_set(0));
}

/**
 * test_hugetlb_pool() - have huge pages until the case ends
 * @test: the running test
 * @nr: how many, beside none that were there before
 *
 * Migration replaces pages of the pool by others.  These here are new, and movable.
 *
 * Return: 0 or a negative errno.
 */
int test_hugetlb_pool(struct kunit *test, unsigned int nr)
{
	unsigned int tries = HZ;
	int ret;

	/* The mm of the last case may outlive it a little. */
	while (default_hstate.nr_huge_pages && tries--)
		schedule_timeout_uninterruptible(1);
	ret = hugetlb_pool_set(nr) ?:
	      kunit_add_action_or_reset(test, hugetlb_pool_empty, test);
	if (ret)
		return ret;
	return default_hstate.free_huge_pages == nr ? 0 : -ENOMEM;
}

#else

int test_hugetlb_pool(struct kunit *test, unsigned int nr)
{
	return -EOPNOTSUPP;
}

#endif

#ifdef CONFIG_KSM

static int ksm_write_run(const char *value)
{
	int ret = pseudo_file_write("sysfs", "kernel/mm/ksm/run", value);

	return ret == -ENODEV ? -EOPNOTSUPP : ret;
}

/**
 * test_ksm_stop() - have no more pages merged
 *
 * Return: 0 or a negative errno.
 */
int test_ksm_stop(void)
{
	return ksm_write_run("0");
}

static void ksm_forget(void *data)
{
	struct kunit *test = data;

	KUNIT_EXPECT_EQ(test, 0, ksm_write_run("2"));
	KUNIT_EXPECT_EQ(test, 0, test_ksm_stop());
}

/**
 * test_ksm_run() - have equal pages merged that madvise() says may be
 * @test: the running test, at whose end all are forgotten
 *
 * Return: 0 or a negative errno, -EOPNOTSUPP where this kernel can't do it.
 */
int test_ksm_run(struct kunit *test)
{
	return ksm_write_run("1") ?: kunit_add_action_or_reset(test, ksm_forget, test);
}

#else

int test_ksm_run(struct kunit *test)
{
	return -EOPNOTSUPP;
}

int test_ksm_stop(void)
{
	return -EOPNOTSUPP;
}

#endif
