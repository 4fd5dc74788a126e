/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Fixture for KUnit tests that pin user pages.
 *
 * Maps memory of the kinds that pinning tells apart into the mm of the test,
 * pins it in each way there is, and checks what became of pages, contents and
 * counters.  Cleaned up when the case ends, as all that folio_fixture makes.
 */
#ifndef _MM_TESTS_USER_PAGES_H
#define _MM_TESTS_USER_PAGES_H

#include <kunit/test.h>
#include <linux/completion.h>
#include <linux/fs.h>
#include <linux/ktime.h>
#include <linux/mm.h>

/**
 * struct user_memory - a kind of user memory
 * @name: short name without spaces, for parameter descriptions
 * @memfd: it is that of a memfd
 * @memfd_flags: of the memfd
 * @flags: of the mapping
 * @order: of its folios
 * @cma: it lies in the area of the contiguous memory allocator, else in ZONE_MOVABLE
 */
struct user_memory {
	const char *name;
	bool memfd;
	unsigned int memfd_flags;
	unsigned long flags;
	unsigned int order;
	bool cma;
};

extern const struct user_memory user_memory_anon;
extern const struct user_memory user_memory_shmem;
extern const struct user_memory user_memory_memfd;
extern const struct user_memory user_memory_private;
/* Each only where the kernel has such memory. */
extern const struct user_memory user_memory_thp;
extern const struct user_memory user_memory_memfd_large;
extern const struct user_memory user_memory_memfd_huge;
extern const struct user_memory user_memory_hugetlb;
extern const struct user_memory user_memory_hugetlb_private;
extern const struct user_memory user_memory_cma;

int user_memories_init(struct kunit *test);

/**
 * struct user_pages - pages of the test's mm, and what is pinned of them
 * @test: the running test
 * @memory: the kind of memory
 * @nr: number of pages
 * @filled: how many of these, from the first, have been written to
 * @addr: user address of the first
 * @file: the memfd that is mapped there, NULL for other memory
 * @a_ops: its own operations, while it has others
 * @pins_before: pages that the system had pinned when these were mapped
 * @fail_nth: which point of fault injection in the next pin fails, counted from
 *	1; 0 for none.  Afterwards what is left of it: 0 if it has failed.
 * @way: how they are pinned, NULL if they are not
 * @pages: the pinned pages
 * @folios: their folios
 * @rc: what the last pin returned
 * @sleeps: how often its caller has gone to sleep in it
 * @began_at: when it was called
 * @ended_at: when it returned
 */
struct user_pages {
	struct kunit *test;
	const struct user_memory *memory;
	unsigned int nr;
	unsigned int filled;
	unsigned long addr;
	struct file *file;
	const struct address_space_operations *a_ops;
	long pins_before;
	unsigned int fail_nth;
	const struct pin_way *way;
	struct page **pages;
	struct folio **folios;
	long rc;
	unsigned long sleeps;
	ktime_t began_at;
	ktime_t ended_at;
};

/**
 * struct pin_way - a way to pin user pages
 * @name: short name without spaces, for parameter descriptions
 * @holds_mmap_lock: mmap_lock is held for reading while pages are moved
 * @pin: pins all pages, returns their number or a negative errno
 * @unpin: undoes that
 */
struct pin_way {
	const char *name;
	bool holds_mmap_lock;
	long (*pin)(struct user_pages *up, unsigned int gup_flags);
	void (*unpin)(struct user_pages *up);
};

extern const struct pin_way pin_way_locked;
extern const struct pin_way pin_way_unlocked;
extern const struct pin_way pin_way_try_fast;
extern const struct pin_way pin_way_remote;
extern const struct pin_way pin_way_remote_held;
extern const struct pin_way pin_way_folios;

/**
 * struct foreign_isolation - a folio that another task has isolated
 * @folio: the folio
 * @released: unpinned pages so far, in the whole system, at the isolation
 * @end: put it back now
 * @put_back: complete when the folio is on the LRU again
 * @task: puts it back
 */
struct foreign_isolation {
	struct folio *folio;
	long released;
	bool end;
	struct completion put_back;
	struct task_struct *task;
};

/**
 * struct user_fork - a process that fork() made of the test's, with its own mm
 * @up: pages that it has as well
 * @i: the one that it looks at
 * @task: waits until it is told to look
 * @folio: what it has then mapped there; no reference is held on it
 * @buf: what it reads there
 * @left: how many bytes could not be read
 */
struct user_fork {
	struct user_pages *up;
	unsigned int i;
	struct test_task *task;
	struct folio *folio;
	u8 *buf;
	unsigned long left;
};

int user_pages_init(struct kunit *test);

struct user_pages *user_pages_map(struct kunit *test,
				  const struct user_memory *memory,
				  unsigned int nr);
void user_pages_write(struct user_pages *up, unsigned int i, u8 value);
void user_pages_fill(struct user_pages *up, unsigned int nr);
u8 user_pages_pattern(const struct user_pages *up, unsigned int i);
struct user_pages *user_pages_make(struct kunit *test,
				   const struct user_memory *memory,
				   unsigned int nr);
struct folio *user_pages_folio(struct user_pages *up, unsigned int i);
void user_pages_hint(struct user_pages *up);
unsigned int user_pages_hinted(struct user_pages *up);
long user_dump(struct kunit *test, unsigned long addr, unsigned int nr);
void user_pages_track_dirty(struct user_pages *up);
struct user_fork *user_fork(struct user_pages *up, unsigned int i);
void user_fork_look(struct user_fork *fork);
void expect_fork_reads(struct user_fork *fork, u8 due);
void user_limit_locked(struct kunit *test, unsigned long pages);

void user_pages_pin(struct user_pages *up, const struct pin_way *way,
		    unsigned int gup_flags);
void user_pages_pin_read_only(struct user_pages *up, const struct pin_way *way,
			      unsigned int gup_flags);
void user_pages_pin_killed(struct user_pages *up, const struct pin_way *way,
			   unsigned int gup_flags, unsigned int delay_ms);
void user_pages_unpin(struct user_pages *up);

struct foreign_isolation *foreign_isolation(struct kunit *test,
					    struct folio *folio);

void expect_page_pinned(struct user_pages *up, unsigned int i, int pins);
void expect_pinned(struct user_pages *up);
void expect_some_pinned(struct user_pages *up);
void expect_folios_pinned(struct user_pages *up, unsigned int pins);
void expect_not_pinned(struct user_pages *up);
void expect_unpins(struct user_pages *up);
void expect_pins(struct user_pages *up, long pins);
void expect_pin_did_not_sleep(struct user_pages *up);
void expect_pin_took(struct user_pages *up, ktime_t lower, ktime_t upper);

#endif /* _MM_TESTS_USER_PAGES_H */
