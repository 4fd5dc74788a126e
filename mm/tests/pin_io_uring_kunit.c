// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests for io_uring's fixed buffers, which pin user memory for long: the code of
 * a real user, from the system call on.
 */

#include <linux/cred.h>
#include <linux/fdtable.h>
#include <linux/mman.h>
#include <linux/sched/signal.h>
#include <linux/sched/user.h>
#include <linux/task_work.h>
#include <linux/uaccess.h>
#include <linux/uio.h>
#include <uapi/linux/io_uring.h>

#include "folio_fixture.h"
#include "user_pages.h"

/* Pages to pin, and the one that a case is about. */
#define NR_PAGES	4
#define THE_PAGE	1

/* How long an extra reference lasts. */
#define HOLD_MS		100

/**
 * struct ring - an io_uring
 * @test: the running test
 * @fd: the file descriptor, negative once it is closed
 * @addr: a page of user memory, for what the system calls take
 */
struct ring {
	struct kunit *test;
	int fd;
	unsigned long addr;
};

/*
 * A worker does what is left of it, and asks each task that has used the ring to forget
 * it, on the way back to user mode, which a kthread does not take.
 */
static void ring_close(void *data)
{
	struct ring *ring = data;
	unsigned int tries;

	if (ring->fd < 0)
		return;
	close_fd(ring->fd);
	ring->fd = -1;
	for (tries = 0; tries < 10; tries++) {
		schedule_timeout_uninterruptible(1);
		clear_notify_signal();
		if (task_work_pending(current))
			task_work_run();
	}
}

static struct ring *ring_make(struct kunit *test)
{
	struct ring *ring = test_zalloc(test, sizeof(*ring));
	struct io_uring_params params = {};

	ring->test = test;
	ring->fd = -1;
	ring->addr = kunit_vm_mmap(test, NULL, 0, PAGE_SIZE, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, 0);
	KUNIT_ASSERT_FALSE(test, !ring->addr || IS_ERR_VALUE(ring->addr));
	test_mm_ends(test);
	KUNIT_ASSERT_EQ(test, 0, copy_to_user((void __user *)ring->addr, &params,
					      sizeof(params)));
	ring->fd = test_syscall(__NR_io_uring_setup, 1, ring->addr);
	KUNIT_ASSERT_GE(test, ring->fd, 0);
	test_cleanup(test, ring_close, ring);
	return ring;
}

/* Registers some of the pages, as one buffer, and notes how long that took. */
static void ring_register(struct ring *ring, struct user_pages *up, unsigned int first,
			  unsigned int nr)
{
	const struct iovec iov = {
		.iov_base = (void __user *)(up->addr + first * PAGE_SIZE),
		.iov_len = nr * PAGE_SIZE,
	};

	KUNIT_ASSERT_EQ(ring->test, 0, copy_to_user((void __user *)ring->addr, &iov,
						    sizeof(iov)));
	up->began_at = ktime_get();
	up->rc = test_syscall(__NR_io_uring_register, ring->fd, IORING_REGISTER_BUFFERS,
			      ring->addr, 1);
	up->ended_at = ktime_get();
}

static void ring_unregister(struct ring *ring)
{
	KUNIT_EXPECT_EQ(ring->test, 0, test_syscall(__NR_io_uring_register, ring->fd,
						    IORING_UNREGISTER_BUFFERS, 0, 0));
}

static unsigned int nr_pages(const struct user_memory *memory)
{
	return max(NR_PAGES, 1 << memory->order);
}

/* It pins a large folio once. */
static void expect_registered(struct user_pages *up)
{
	KUNIT_EXPECT_EQ(up->test, up->rc, 0);
	expect_folios_pinned(up, 1);
}

/* Whose pins end when the buffers are given back, or with the ring. */
static void registered(struct kunit *test)
{
	const struct user_memory * const *memory = test->param_value;
	struct user_pages *up = user_pages_make(test, *memory, nr_pages(*memory));
	struct ring *ring = ring_make(test);

	ring_register(ring, up, 0, up->nr);
	expect_registered(up);
	ring_unregister(ring);
	expect_not_pinned(up);

	ring_register(ring, up, 0, up->nr);
	expect_registered(up);
	ring_close(ring);
	expect_not_pinned(up);
}

/* What of a range is not mapped keeps all of it from being pinned. */
static void partly_mapped(struct kunit *test)
{
	struct user_pages *up = user_pages_make(test, &user_memory_anon, NR_PAGES);
	struct ring *ring = ring_make(test);

	KUNIT_ASSERT_EQ(test, 0, vm_munmap(up->addr + (NR_PAGES - 1) * PAGE_SIZE, PAGE_SIZE));
	ring_register(ring, up, 0, NR_PAGES);
	KUNIT_EXPECT_EQ(test, up->rc, -EFAULT);
	up->nr = NR_PAGES - 1;
	expect_not_pinned(up);
}

/* Registering lasts as long as the extra reference, or fails without the series. */
static void transient_reference(struct kunit *test)
{
	const struct user_memory * const *memory = test->param_value;
	struct user_pages *up = user_pages_make(test, *memory, nr_pages(*memory));
	struct ring *ring = ring_make(test);
	const ktime_t delay = ms_to_ktime(HOLD_MS);
	struct folio_hold *hold;

	hold = folio_hold(test, user_pages_folio(up, THE_PAGE), 1, HOLD_MS);
	if (wait_promises()->wait) {
		folio_hold_release(hold);
		ring_register(ring, up, 0, up->nr);
		folio_hold_join(hold);
		KUNIT_EXPECT_GE(test, up->ended_at, hold->dropped_at);
		expect_pin_took(up, delay, ktime_add(delay, ticks_to_ktime(2)));
	} else {
		ring_register(ring, up, 0, up->nr);
		KUNIT_EXPECT_EQ(test, up->rc, -ENOMEM);
		folio_hold_join(hold);
		expect_not_pinned(up);
		ring_register(ring, up, 0, up->nr);
	}
	expect_registered(up);
	ring_unregister(ring);
	expect_not_pinned(up);
}

static const struct user_memory * const held[] = {
	&user_memory_anon,
	&user_memory_memfd,
#ifdef CONFIG_TRANSPARENT_HUGEPAGE
	&user_memory_thp,
#endif
};

PARAM_ARRAY(held, "%s", (*p)->name);

#ifdef CONFIG_TRANSPARENT_HUGEPAGE
/* A part of a large folio is pinned once, and unpinned once. */
static void part_of_large(struct kunit *test)
{
	struct user_pages *up = user_pages_make(test, &user_memory_thp,
						nr_pages(&user_memory_thp));
	struct ring *ring = ring_make(test);
	struct folio *folio;

	ring_register(ring, up, THE_PAGE, NR_PAGES);
	KUNIT_EXPECT_EQ(test, up->rc, 0);
	folio = user_pages_folio(up, 0);
	KUNIT_EXPECT_EQ(test, folio_order(folio), HPAGE_PMD_ORDER);
	KUNIT_EXPECT_TRUE(test, folio_is_longterm_pinnable(folio));
	KUNIT_EXPECT_EQ(test, atomic_read(&folio->_pincount), 1);
	expect_pins(up, 1);
	ring_unregister(ring);
	expect_not_pinned(up);
}
#endif

static void expect_charged(struct user_pages *up, long user_before, long mm_before, long nr)
{
	struct kunit *test = up->test;

	KUNIT_EXPECT_EQ(test, atomic_long_read(&current_user()->locked_vm) - user_before, nr);
	KUNIT_EXPECT_EQ(test, atomic64_read(&current->mm->pinned_vm) - mm_before, nr);
}

/* Without a privilege a user pins what may be locked, and no longer pays for it afterwards. */
static void limited(struct kunit *test)
{
	const struct user_memory * const *memory = test->param_value;
	struct user_pages *up = user_pages_make(test, *memory, nr_pages(*memory));
	const long user_before = atomic_long_read(&current_user()->locked_vm);
	const long mm_before = atomic64_read(&current->mm->pinned_vm);
	struct ring *ring;

	user_limit_locked(test, user_before + up->nr - 1);
	ring = ring_make(test);
	ring_register(ring, up, 0, up->nr);
	KUNIT_EXPECT_EQ(test, up->rc, -ENOMEM);
	expect_not_pinned(up);
	expect_charged(up, user_before, mm_before, 0);

	user_limit_locked(test, user_before + up->nr);
	ring_register(ring, up, 0, up->nr);
	expect_registered(up);
	expect_charged(up, user_before, mm_before, up->nr);
	ring_unregister(ring);
	expect_not_pinned(up);
	expect_charged(up, user_before, mm_before, 0);

	ring_register(ring, up, 0, up->nr);
	expect_registered(up);
	ring_close(ring);
	expect_not_pinned(up);
	expect_charged(up, user_before, mm_before, 0);
}

static struct kunit_case pin_io_uring_cases[] = {
	KUNIT_CASE_PARAM_ARRAY(registered, user_memories),
	KUNIT_CASE(partly_mapped),
	KUNIT_CASE_PARAM_ARRAY(transient_reference, held),
	KUNIT_CASE_PARAM_ARRAY(limited, held),
#ifdef CONFIG_TRANSPARENT_HUGEPAGE
	KUNIT_CASE(part_of_large),
#endif
	{}
};

static struct kunit_suite pin_io_uring_suite = {
	.name = "pin_io_uring",
	.init = user_pages_init,
	.test_cases = pin_io_uring_cases,
};

kunit_test_suite(pin_io_uring_suite);

MODULE_DESCRIPTION("KUnit tests for longterm pins by io_uring");
MODULE_LICENSE("GPL");
