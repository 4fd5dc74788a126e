// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests for drivers that pin user memory for long: udmabuf, and iommufd with the
 * mock device of its own tests.  The code of real users, from the ioctl on.
 */

#include <linux/dma-buf.h>
#include <linux/fcntl.h>
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/hugetlb.h>
#include <linux/iosys-map.h>
#include <linux/mman.h>
#include <linux/uaccess.h>
#ifdef CONFIG_X86_VSYSCALL_EMULATION
#include <asm/vsyscall.h>
#endif
#include <uapi/linux/iommufd.h>
#include <uapi/linux/memfd.h>
#include <uapi/linux/udmabuf.h>

#include "../../drivers/iommu/iommufd/iommufd_test.h"

#include "folio_fixture.h"
#include "probe.h"
#include "user_pages.h"

/* Last: it needs the types of linux/mm.h and does not include it. */
#include <linux/memfd.h>

/* Pages to pin, and the one that a case is about. */
#define NR_PAGES	4
#define THE_PAGE	1

/* How long an extra reference lasts. */
#define HOLD_MS		100

/* One that can be sealed: udmabuf takes only what cannot shrink. */
static const struct user_memory memfd = {
	.name = "memfd",
	.memfd = true,
	.memfd_flags = MFD_ALLOW_SEALING,
	.flags = MAP_SHARED,
};

static const struct user_memory hugetlb_memfd = {
	.name = "hugetlb",
	.memfd = true,
	.memfd_flags = MFD_ALLOW_SEALING | MFD_HUGETLB,
	.flags = MAP_SHARED,
	.order = HPAGE_SHIFT - PAGE_SHIFT,
};

struct driver;

/**
 * struct opened - a driver that pins some pages
 * @up: the pages
 * @driver: the driver
 * @file: its open file
 * @addr: a page of user memory, for what its ioctls take
 * @fd: of the memory's file
 * @buffer: what udmabuf has made of the pages, NULL if nothing
 * @ioas: iommufd's address space
 * @ioctl_rc: what an ioctl of another process has returned
 */
struct opened {
	struct user_pages *up;
	const struct driver *driver;
	struct file *file;
	unsigned long addr;
	int fd;
	struct dma_buf *buffer;
	u32 ioas;
	long ioctl_rc;
};

/**
 * struct driver - how a driver pins user memory
 * @path: of the driver in devtmpfs
 * @each: it pins each page of a large folio, else the folio
 * @setup: gets ready for the first pin
 * @pin: pins some pages, returns 0 or a negative errno
 * @unpin: undoes that
 */
struct driver {
	const char *path;
	bool each;
	void (*setup)(struct opened *drv);
	long (*pin)(struct opened *drv, unsigned long offset, unsigned long size);
	void (*unpin)(struct opened *drv);
};

/**
 * struct driver_way - a driver, and memory for it to pin
 * @name: short name without spaces, for parameter descriptions
 * @driver: the driver
 * @memory: the kind of memory
 */
struct driver_way {
	const char *name;
	const struct driver *driver;
	const struct user_memory *memory;
};

/* @arg is what the driver takes, and then what it has left there. */
static long driver_ioctl(struct opened *drv, unsigned int cmd, void *arg, size_t size)
{
	void __user *there = (void __user *)drv->addr;
	long ret;

	if (copy_to_user(there, arg, size))
		return -EFAULT;
	ret = drv->file->f_op->unlocked_ioctl(drv->file, cmd, drv->addr);
	return copy_from_user(arg, there, size) ? -EFAULT : ret;
}

static void driver_forget_fd(void *data)
{
	struct opened *drv = data;

	close_fd(drv->fd);
	flush_delayed_fput();
}

static struct opened *driver_open(struct kunit *test, const struct driver *driver,
				  const struct user_memory *memory)
{
	struct opened *drv = test_zalloc(test, sizeof(*drv));

	drv->up = user_pages_make(test, memory, max(NR_PAGES, 1 << memory->order));
	drv->driver = driver;
	drv->addr = kunit_vm_mmap(test, NULL, 0, PAGE_SIZE, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, 0);
	KUNIT_ASSERT_FALSE(test, !drv->addr || IS_ERR_VALUE(drv->addr));
	test_mm_ends(test);
	if (drv->up->file) {
		drv->fd = get_unused_fd_flags(0);
		KUNIT_ASSERT_GE(test, drv->fd, 0);
		fd_install(drv->fd, get_file(drv->up->file));
		test_cleanup(test, driver_forget_fd, drv);
	}
	drv->file = pseudo_file_open(test, "devtmpfs", driver->path);
	driver->setup(drv);
	return drv;
}

static void driver_pin_some(struct opened *drv, unsigned int first, unsigned int nr)
{
	struct user_pages *up = drv->up;

	up->began_at = ktime_get();
	up->rc = drv->driver->pin(drv, first * PAGE_SIZE, nr * PAGE_SIZE);
	up->ended_at = ktime_get();
}

static void driver_pin(struct opened *drv)
{
	driver_pin_some(drv, 0, drv->up->nr);
}

static void expect_driver_has(struct opened *drv)
{
	const unsigned int order = drv->up->memory->order;

	KUNIT_EXPECT_EQ(drv->up->test, drv->up->rc, 0);
	expect_folios_pinned(drv->up, drv->driver->each ? 1U << order : 1);
}

/*
 * udmabuf: a buffer for devices, of the pages of a memfd
 */

static void udmabuf_setup(struct opened *drv)
{
	KUNIT_ASSERT_EQ(drv->up->test, 0,
			memfd_fcntl(drv->up->file, F_ADD_SEALS, F_SEAL_SHRINK));
}

static long udmabuf_pin(struct opened *drv, unsigned long offset, unsigned long size)
{
	struct udmabuf_create create = {
		.memfd = drv->fd,
		.offset = offset,
		.size = size,
	};
	long fd = driver_ioctl(drv, UDMABUF_CREATE, &create, sizeof(create));

	if (fd < 0)
		return fd;
	drv->buffer = dma_buf_get(fd);
	close_fd(fd);
	flush_delayed_fput();
	return PTR_ERR_OR_ZERO(drv->buffer);
}

static void udmabuf_unpin(struct opened *drv)
{
	dma_buf_put(drv->buffer);
	drv->buffer = NULL;
	flush_delayed_fput();
}

/* What a device finds in the buffer: the first byte of a page. */
static u8 udmabuf_finds(struct opened *drv, unsigned int page)
{
	struct iosys_map map;
	u8 found;

	KUNIT_ASSERT_EQ(drv->up->test, 0, dma_buf_vmap_unlocked(drv->buffer, &map));
	found = *((u8 *)map.vaddr + page * PAGE_SIZE);
	dma_buf_vunmap_unlocked(drv->buffer, &map);
	return found;
}

/*
 * iommufd: an address space for devices, of user memory
 */

/* Where devices of the mock kind can have it, also one that comes later. */
#define MAP_FLAGS	(IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE | \
			 IOMMU_IOAS_MAP_WRITEABLE)

static void iommufd_setup(struct opened *drv)
{
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };

	KUNIT_ASSERT_EQ(drv->up->test, 0,
			driver_ioctl(drv, IOMMU_IOAS_ALLOC, &alloc, sizeof(alloc)));
	drv->ioas = alloc.out_ioas_id;
}

/* A device is attached: what is in its address space has to be pinned. */
static long iommufd_attach(struct opened *drv)
{
	struct iommu_test_cmd cmd = {
		.size = sizeof(cmd),
		.op = IOMMU_TEST_OP_MOCK_DOMAIN,
		.id = drv->ioas,
	};

	return driver_ioctl(drv, _IO(IOMMUFD_TYPE, IOMMUFD_CMD_BASE + 32), &cmd, sizeof(cmd));
}

static void iommufd_setup_attached(struct opened *drv)
{
	iommufd_setup(drv);
	KUNIT_ASSERT_EQ(drv->up->test, 0, iommufd_attach(drv));
}

static long iommufd_map(struct opened *drv, unsigned long offset, unsigned long size)
{
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = MAP_FLAGS,
		.ioas_id = drv->ioas,
		.user_va = drv->up->addr + offset,
		.length = size,
		.iova = MOCK_APERTURE_START,
	};

	return driver_ioctl(drv, IOMMU_IOAS_MAP, &map, sizeof(map));
}

static long iommufd_map_file(struct opened *drv, unsigned long offset, unsigned long size)
{
	struct iommu_ioas_map_file map = {
		.size = sizeof(map),
		.flags = MAP_FLAGS,
		.ioas_id = drv->ioas,
		.fd = drv->fd,
		.start = offset,
		.length = size,
		.iova = MOCK_APERTURE_START,
	};

	return driver_ioctl(drv, IOMMU_IOAS_MAP_FILE, &map, sizeof(map));
}

static void iommufd_unmap(struct opened *drv)
{
	struct iommu_ioas_unmap unmap = {
		.size = sizeof(unmap),
		.ioas_id = drv->ioas,
		.iova = MOCK_APERTURE_START,
		.length = drv->up->nr * PAGE_SIZE,
	};

	KUNIT_EXPECT_EQ(drv->up->test, 0,
			driver_ioctl(drv, IOMMU_IOAS_UNMAP, &unmap, sizeof(unmap)));
}

static const struct driver udmabuf = {
	.path = "udmabuf",
	.setup = udmabuf_setup,
	.pin = udmabuf_pin,
	.unpin = udmabuf_unpin,
};

static const struct driver iommufd = {
	.path = "iommu",
	.each = true,
	.setup = iommufd_setup_attached,
	.pin = iommufd_map,
	.unpin = iommufd_unmap,
};

static const struct driver iommufd_file = {
	.path = "iommu",
	.each = true,
	.setup = iommufd_setup_attached,
	.pin = iommufd_map_file,
	.unpin = iommufd_unmap,
};

static const struct driver_way ways[] = {
	{ "udmabuf-memfd", &udmabuf, &memfd },
	{ "udmabuf-hugetlb", &udmabuf, &hugetlb_memfd },
	{ "iommufd-anon", &iommufd, &user_memory_anon },
	{ "iommufd-thp", &iommufd, &user_memory_thp },
	{ "iommufd-hugetlb", &iommufd, &user_memory_hugetlb },
	{ "iommufd-file-memfd", &iommufd_file, &user_memory_memfd },
	{ "iommufd-file-hugetlb", &iommufd_file, &user_memory_hugetlb },
};

PARAM_ARRAY(ways, "%s", p->name);

/* Series may wait for small and transparent huge folios only. */
static const struct driver_way held[] = {
	{ "udmabuf-memfd", &udmabuf, &memfd },
	{ "iommufd-anon", &iommufd, &user_memory_anon },
	{ "iommufd-thp", &iommufd, &user_memory_thp },
	{ "iommufd-file-memfd", &iommufd_file, &user_memory_memfd },
};

PARAM_ARRAY(held, "%s", p->name);

static void pinned(struct kunit *test)
{
	const struct driver_way *way = test->param_value;
	struct opened *drv = driver_open(test, way->driver, way->memory);

	driver_pin(drv);
	expect_driver_has(drv);
	drv->driver->unpin(drv);
	expect_not_pinned(drv->up);
}

/* Whoever closes an address space gives back what is in it. */
static void closed(struct kunit *test)
{
	struct opened *drv = driver_open(test, &iommufd, &user_memory_anon);

	driver_pin(drv);
	expect_driver_has(drv);
	pseudo_file_close(test, drv->file);
	expect_not_pinned(drv->up);
}

/* Pinning lasts as long as the extra reference, or fails without the series. */
static void transient_reference(struct kunit *test)
{
	const struct driver_way *way = test->param_value;
	struct opened *drv = driver_open(test, way->driver, way->memory);
	const ktime_t delay = ms_to_ktime(HOLD_MS);
	struct user_pages *up = drv->up;
	struct folio_hold *hold;

	hold = folio_hold(test, user_pages_folio(up, THE_PAGE), 1, HOLD_MS);
	if (wait_promises()->wait) {
		folio_hold_release(hold);
		driver_pin(drv);
		folio_hold_join(hold);
		KUNIT_EXPECT_GE(test, up->ended_at, hold->dropped_at);
		expect_pin_took(up, delay, ktime_add(delay, ticks_to_ktime(2)));
	} else {
		driver_pin(drv);
		KUNIT_EXPECT_LT(test, up->rc, 0);
		folio_hold_join(hold);
		expect_not_pinned(up);
		driver_pin(drv);
	}
	expect_driver_has(drv);
	drv->driver->unpin(drv);
	expect_not_pinned(up);
}

static void attach_fn(struct test_task *task)
{
	struct opened *drv = task->data;

	drv->ioctl_rc = iommufd_attach(drv);
}

/* When another process attaches the device, it pins what this one has mapped. */
static void attached_by_another(struct kunit *test)
{
	static const struct driver unattached = {
		.path = "iommu",
		.each = true,
		.setup = iommufd_setup,
		.pin = iommufd_map,
	};
	struct opened *drv = driver_open(test, &unattached, &user_memory_shmem);

	driver_pin(drv);
	KUNIT_ASSERT_EQ(test, drv->up->rc, 0);
	expect_not_pinned(drv->up);
	test_task_join(test_task_start(test, attach_fn, drv, 0));
	KUNIT_EXPECT_EQ(test, drv->ioctl_rc, 0);
	expect_driver_has(drv);
	iommufd_unmap(drv);
	expect_not_pinned(drv->up);
}

/* A buffer has the pages of its range, and pins their folio once. */
static void part_of_large(struct kunit *test)
{
	struct opened *drv = driver_open(test, &udmabuf, &hugetlb_memfd);
	struct user_pages *up = drv->up;

	driver_pin_some(drv, THE_PAGE, NR_PAGES);
	KUNIT_ASSERT_EQ(test, up->rc, 0);
	expect_folios_pinned(up, 1);
	KUNIT_EXPECT_EQ(test, udmabuf_finds(drv, 0), user_pages_pattern(up, THE_PAGE));
	KUNIT_EXPECT_EQ(test, udmabuf_finds(drv, NR_PAGES - 1),
			user_pages_pattern(up, THE_PAGE + NR_PAGES - 1));
	udmabuf_unpin(drv);
	expect_not_pinned(up);
}

/* Also of pages of several folios, from the second on. */
static void part_of_file(struct kunit *test)
{
	struct opened *drv = driver_open(test, &udmabuf, &memfd);
	struct user_pages *up = drv->up;
	unsigned int i;

	driver_pin_some(drv, THE_PAGE, NR_PAGES - THE_PAGE);
	KUNIT_ASSERT_EQ(test, up->rc, 0);
	expect_pins(up, NR_PAGES - THE_PAGE);
	for (i = THE_PAGE; i < NR_PAGES; i++)
		KUNIT_EXPECT_EQ(test, udmabuf_finds(drv, i - THE_PAGE), user_pages_pattern(up, i));
	udmabuf_unpin(drv);
	expect_not_pinned(up);
}

/* What udmabuf must not take, and leaves as it was. */
static void refused(struct kunit *test)
{
	struct opened *drv = driver_open(test, &udmabuf, &memfd);

	KUNIT_EXPECT_EQ(test, udmabuf_pin(drv, PAGE_SIZE / 2, PAGE_SIZE), -EINVAL);
	KUNIT_EXPECT_EQ(test, udmabuf_pin(drv, 0, 0), -EINVAL);
	KUNIT_EXPECT_EQ(test, udmabuf_pin(drv, 0, (NR_PAGES + 1) * PAGE_SIZE), -EINVAL);
	expect_not_pinned(drv->up);
	KUNIT_ASSERT_EQ(test, 0, memfd_fcntl(drv->up->file, F_ADD_SEALS, F_SEAL_FUTURE_WRITE));
	KUNIT_EXPECT_EQ(test, udmabuf_pin(drv, 0, PAGE_SIZE), -EINVAL);
	expect_not_pinned(drv->up);
}

#ifdef CONFIG_X86_VSYSCALL_EMULATION
/* The only page that processes find without a mapping; "vsyscall=emulate" has it read. */
static void gate_page(struct kunit *test)
{
	const long pins = folio_fixture_pins();
	struct page *page = NULL;
	struct mm_struct *mm;
	int locked = 1;

	/* There is an mm as soon as something is mapped. */
	user_pages_map(test, &user_memory_anon, 1);
	mm = current->mm;
	set_bit(MM_CONTEXT_HAS_VSYSCALL, &mm->context.flags);
	KUNIT_ASSERT_TRUE(test, in_gate_area(mm, VSYSCALL_ADDR));
	KUNIT_EXPECT_EQ(test, 1, pin_user_pages_unlocked(VSYSCALL_ADDR, 1, &page, FOLL_LONGTERM));
	KUNIT_ASSERT_EQ(test, page_to_phys(page), slow_virt_to_phys((void *)VSYSCALL_ADDR));
	KUNIT_EXPECT_EQ(test, folio_fixture_pins(), pins + 1);
	unpin_user_page(page);
	KUNIT_EXPECT_EQ(test, folio_fixture_pins(), pins);

	/* No more than that page, and not to write to. */
	KUNIT_EXPECT_EQ(test, -EFAULT, pin_user_pages_unlocked(VSYSCALL_ADDR, 1, &page,
							       FOLL_WRITE | FOLL_LONGTERM));
	KUNIT_EXPECT_EQ(test, -EFAULT, pin_user_pages_unlocked(VSYSCALL_ADDR + PAGE_SIZE, 1,
							       &page, FOLL_LONGTERM));
	KUNIT_EXPECT_EQ(test, folio_fixture_pins(), pins);

	/* Who does not ask for the page is told that it is there. */
	mmap_read_lock(mm);
	KUNIT_EXPECT_EQ(test, 1, get_user_pages_remote(mm, VSYSCALL_ADDR, 1, 0, NULL, &locked));
	KUNIT_EXPECT_EQ(test, -EFAULT, get_user_pages_remote(mm, VSYSCALL_ADDR, 1, FOLL_WRITE,
							     NULL, &locked));
	mmap_read_unlock(mm);
	KUNIT_EXPECT_EQ(test, locked, 1);

#ifdef HAVE_TEST_PROBES
	/* It may have too many references already. */
	test_call_fails(test, "try_grab_folio", 1, -ENOMEM);
	KUNIT_EXPECT_EQ(test, -ENOMEM, pin_user_pages_unlocked(VSYSCALL_ADDR, 1, &page,
							       FOLL_LONGTERM));
	KUNIT_EXPECT_EQ(test, folio_fixture_pins(), pins);
#endif
}
#endif

static struct kunit_case pin_devices_cases[] = {
	KUNIT_CASE_PARAM_ARRAY(pinned, ways),
	KUNIT_CASE(closed),
	KUNIT_CASE_PARAM_ARRAY(transient_reference, held),
	KUNIT_CASE(attached_by_another),
	KUNIT_CASE(part_of_large),
	KUNIT_CASE(part_of_file),
	KUNIT_CASE(refused),
#ifdef CONFIG_X86_VSYSCALL_EMULATION
	KUNIT_CASE(gate_page),
#endif
	{}
};

static struct kunit_suite pin_devices_suite = {
	.name = "pin_devices",
	.init = user_pages_init,
	.test_cases = pin_devices_cases,
};

kunit_test_suite(pin_devices_suite);

MODULE_DESCRIPTION("KUnit tests for longterm pins by drivers");
MODULE_IMPORT_NS("DMA_BUF");
MODULE_LICENSE("GPL");
