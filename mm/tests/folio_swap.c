// SPDX-License-Identifier: GPL-2.0
/*
 * A swap device, and merging of equal pages, for KUnit tests.
 */

#include <kunit/test.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/fs_struct.h>
#include <linux/kthread.h>
#include <linux/major.h>
#include <linux/mman.h>
#include <linux/mmu_context.h>
#include <linux/mount.h>
#include <linux/namei.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/swap.h>
#include <linux/syscalls.h>
#include <linux/uaccess.h>
#include <linux/workqueue.h>

#include "folio_fixture.h"
#include "folio_swap.h"

/*
 * swapon() and swapoff() can't be had but as system calls, which take the name
 * of a file from user memory.
 */
#if defined(CONFIG_SWAP) && defined(CONFIG_BLK_DEV_RAM) && \
	!defined(CONFIG_ARCH_HAS_SYSCALL_WRAPPER)

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

static int swap_syscall(bool on)
{
	unsigned long addr = vm_mmap(NULL, 0, PAGE_SIZE, PROT_READ | PROT_WRITE,
				     MAP_ANONYMOUS | MAP_PRIVATE, 0);
	char __user *name = (char __user *)addr;

	if (IS_ERR_VALUE(addr))
		return addr;
	if (copy_to_user(name, swap_node, sizeof(swap_node)))
		return -EFAULT;
	return on ? sys_swapon(name, 0) : sys_swapoff(name);
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
		call->ret = call->ret ?: swap_syscall(call->on);
		if (!call->on || call->ret)
			call->ret = swap_node_remove() ?: call->ret;
	}
	kthread_unuse_mm(mm);
	mmput(mm);
}

/* From a worker, for neither a test nor its cleanup can take on another mm. */
static int swap_call(bool on)
{
	struct swap_call call = { .on = on };

	INIT_WORK_ONSTACK(&call.work, swap_call_fn);
	schedule_work(&call.work);
	flush_work(&call.work);
	destroy_work_on_stack(&call.work);
	/* A device that is still about to be closed can't be opened again. */
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

#else

int test_swap_on(struct kunit *test)
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
