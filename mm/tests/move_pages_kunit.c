// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests for move_pages(): which pages go to the node that is asked for, and what
 * the caller is told of each of them.
 */

#include <linux/hugetlb.h>
#include <linux/mempolicy.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/nodemask.h>
#include <linux/sched/mm.h>
#include <linux/uaccess.h>

#include <asm/unistd.h>

#include "../internal.h"
#include "counters.h"
#include "folio_fixture.h"
#include "user_pages.h"

#define NR_PAGES	6

/* More than the kernel looks up at once, which is 16. */
#define NR_MOST		20

/* What nobody has written to. */
#define UNTOLD		0x77

/* The argument of a call, as it lies in the memory of its caller. */
struct user_request {
	unsigned long pages[NR_MOST];
	int nodes[NR_MOST];
	int status[NR_MOST];
};

/**
 * struct request - a call of move_pages()
 * @test: the running test
 * @user: where it lies in user memory
 * @args: what lies there
 * @nr: how many pages it is about
 * @rc: what it returned
 */
struct request {
	struct kunit *test;
	struct user_request __user *user;
	struct user_request args;
	unsigned int nr;
	long rc;
};

static struct request *request(struct kunit *test)
{
	struct request *rq = test_zalloc(test, sizeof(*rq));

	BUILD_BUG_ON(sizeof(rq->args) > PAGE_SIZE);
	rq->test = test;
	rq->user = (void __user *)user_pages_map(test, &user_memory_anon, 1)->addr;
	return rq;
}

static void ask(struct request *rq, unsigned long addr, int node)
{
	KUNIT_ASSERT_LT(rq->test, rq->nr, NR_MOST);
	rq->args.pages[rq->nr] = addr;
	rq->args.nodes[rq->nr++] = node;
}

static unsigned long addr_of(const struct user_pages *up, unsigned int i)
{
	return up->addr + i * (PAGE_SIZE << up->memory->order);
}

/* Asks for all folios of these. */
static void ask_all(struct request *rq, const struct user_pages *up, int node)
{
	unsigned int i;

	for (i = 0; i < up->nr >> up->memory->order; i++)
		ask(rq, addr_of(up, i), node);
}

/* Makes the call, or only looks where the pages are. */
static void call(struct request *rq, bool moves, int flags)
{
	struct user_request __user *user = rq->user;

	memset(rq->args.status, UNTOLD, sizeof(rq->args.status));
	KUNIT_ASSERT_EQ(rq->test, 0, copy_to_user(user, &rq->args, sizeof(rq->args)));
	rq->rc = test_syscall(__NR_move_pages, 0, rq->nr, (unsigned long)user->pages,
			      moves ? (unsigned long)user->nodes : 0,
			      (unsigned long)user->status, flags);
	KUNIT_ASSERT_EQ(rq->test, 0, copy_from_user(&rq->args, user, sizeof(rq->args)));
}

static void expect_told(struct request *rq, unsigned int i, int status)
{
	KUNIT_EXPECT_EQ_MSG(rq->test, rq->args.status[i], status, "page %u", i);
}

static void expect_all_told(struct request *rq, int status)
{
	unsigned int i;

	for (i = 0; i < rq->nr; i++)
		expect_told(rq, i, status);
}

static void expect_untold(struct request *rq, unsigned int i)
{
	int untold;

	memset(&untold, UNTOLD, sizeof(untold));
	expect_told(rq, i, untold);
}

static int nid_of(struct user_pages *up, unsigned int i)
{
	struct folio *folio = user_pages_folio(up, i << up->memory->order);

	KUNIT_ASSERT_NOT_NULL(up->test, folio);
	return folio_nid(folio);
}

/* This one of the folios is there, on the list of its node, and nobody else has it. */
static void expect_on(struct user_pages *up, unsigned int i, int node)
{
	const unsigned int page = i << up->memory->order;
	struct kunit *test = up->test;
	u8 found = 0;

	KUNIT_EXPECT_EQ_MSG(test, nid_of(up, i), node, "folio %u", i);
	KUNIT_EXPECT_TRUE_MSG(test, folio_is_put_back(user_pages_folio(up, page)),
			      "folio %u", i);
	KUNIT_EXPECT_EQ(test, 0, copy_from_user(&found, (void __user *)addr_of(up, i), 1));
	KUNIT_EXPECT_EQ_MSG(test, found, user_pages_pattern(up, page), "folio %u", i);
}

static void expect_all_on(struct user_pages *up, int node)
{
	unsigned int i;

	for (i = 0; i < up->nr >> up->memory->order; i++)
		expect_on(up, i, node);
}

/* Those of the tests are on the first node, whose pages are at hand. */
static struct user_pages *make(struct kunit *test, const struct user_memory *memory)
{
	const unsigned int nr = memory->order ? 2U << memory->order : NR_PAGES;
	struct user_pages *up = user_pages_make(test, memory, nr);
	struct request *rq = request(test);
	unsigned int i;

	ask_all(rq, up, 0);
	call(rq, true, MPOL_MF_MOVE);
	KUNIT_ASSERT_EQ(test, rq->rc, 0);
	lru_add_drain_all();
	for (i = 0; i < nr >> memory->order; i++)
		KUNIT_ASSERT_EQ(test, nid_of(up, i), 0);
	return up;
}

static const struct user_memory * const memories[] = {
	&user_memory_anon,
	&user_memory_shmem,
	&user_memory_memfd,
	&user_memory_thp,
	&user_memory_hugetlb,
};

PARAM_ARRAY(memories, "%s", (*p)->name);

/* Moved to the other node, with what is in them; moved once more they stay. */
static void moved(struct kunit *test)
{
	const struct user_memory *memory = *(const struct user_memory **)test->param_value;
	struct user_pages *up = make(test, memory);
	struct counters *before = counters_read(test);
	struct request *rq = request(test);

	ask_all(rq, up, 1);
	call(rq, true, MPOL_MF_MOVE);
	KUNIT_EXPECT_EQ(test, rq->rc, 0);
	expect_all_told(rq, 1);
	expect_all_on(up, 1);
	expect_events(before, PGMIGRATE_SUCCESS, up->nr);
	expect_events(before, PGMIGRATE_FAIL, 0);
	expect_node_change(before, NR_ISOLATED_ANON, 0);
	expect_node_change(before, NR_ISOLATED_FILE, 0);

	before = counters_read(test);
	call(rq, true, MPOL_MF_MOVE);
	KUNIT_EXPECT_EQ(test, rq->rc, 0);
	expect_all_told(rq, 1);
	expect_all_on(up, 1);
	expect_events(before, PGMIGRATE_SUCCESS, 0);
}

/* Each to a node of its own, those that are there already among them. */
static void to_several_nodes(struct kunit *test)
{
	static const int nodes[NR_PAGES] = { 1, 1, 0, 1, 0, 1 };
	struct user_pages *up = make(test, &user_memory_anon);
	struct request *rq = request(test);
	unsigned int i;

	for (i = 0; i < NR_PAGES; i++)
		ask(rq, addr_of(up, i), nodes[i]);
	call(rq, true, MPOL_MF_MOVE);
	KUNIT_EXPECT_EQ(test, rq->rc, 0);
	for (i = 0; i < NR_PAGES; i++) {
		expect_told(rq, i, nodes[i]);
		expect_on(up, i, nodes[i]);
		rq->args.nodes[i] = !nodes[i];
	}

	/* Each of them has to move now, in batches for one node each. */
	call(rq, true, MPOL_MF_MOVE);
	KUNIT_EXPECT_EQ(test, rq->rc, 0);
	for (i = 0; i < NR_PAGES; i++) {
		expect_told(rq, i, !nodes[i]);
		expect_on(up, i, !nodes[i]);
	}
}

/* Without nodes nothing moves: the caller is told where the pages are. */
static void looked_up(struct kunit *test)
{
	struct user_pages *up = make(test, &user_memory_anon);
	struct user_pages *empty = user_pages_map(test, &user_memory_anon, 2);
	struct counters *before;
	struct request *rq = request(test);
	unsigned int i;
	u8 byte;

	ask(rq, addr_of(up, 0), 1);
	call(rq, true, MPOL_MF_MOVE);
	KUNIT_ASSERT_EQ(test, nid_of(up, 0), 1);
	/* The zero page. */
	KUNIT_ASSERT_EQ(test, 0, copy_from_user(&byte, (void __user *)empty->addr, 1));

	before = counters_read(test);
	while (rq->nr < NR_MOST - 3)
		ask(rq, addr_of(up, rq->nr % NR_PAGES), 0);
	ask(rq, addr_of(empty, 0), 0);
	ask(rq, addr_of(empty, 1), 0);
	ask(rq, 0, 0);
	call(rq, false, 0);
	KUNIT_EXPECT_EQ(test, rq->rc, 0);
	for (i = 0; i < NR_MOST - 3; i++)
		expect_told(rq, i, i % NR_PAGES == 0);
	expect_told(rq, NR_MOST - 3, -EFAULT);
	expect_told(rq, NR_MOST - 2, -ENOENT);
	expect_told(rq, NR_MOST - 1, -EFAULT);
	expect_events(before, PGMIGRATE_SUCCESS, 0);
}

static unsigned long addr_untouched(struct kunit *test)
{
	return user_pages_map(test, &user_memory_anon, 1)->addr;
}

static unsigned long addr_of_zero_page(struct kunit *test)
{
	unsigned long addr = addr_untouched(test);
	u8 byte;

	KUNIT_ASSERT_EQ(test, 0, copy_from_user(&byte, (void __user *)addr, 1));
	return addr;
}

static unsigned long addr_unmapped(struct kunit *test)
{
	return 0;
}

/* Twice in one address space: the kernel counts mappings, not processes. */
static unsigned long addr_shared(struct kunit *test)
{
	struct user_pages *up = make(test, &user_memory_memfd);
	unsigned long addr = kunit_vm_mmap(test, up->file, 0, PAGE_SIZE, PROT_READ, MAP_SHARED, 0);
	u8 byte;

	KUNIT_ASSERT_NE(test, addr, 0);
	KUNIT_ASSERT_EQ(test, 0, copy_from_user(&byte, (void __user *)addr, 1));
	return addr;
}

KUNIT_DEFINE_ACTION_WRAPPER(putback_action, folio_putback_lru, struct folio *);

static unsigned long addr_isolated(struct kunit *test)
{
	struct user_pages *up = make(test, &user_memory_anon);
	struct folio *folio = user_pages_folio(up, 0);
	bool isolated = folio_isolate_lru(folio);

	KUNIT_ASSERT_TRUE(test, isolated);
	test_cleanup(test, putback_action, folio);
	return up->addr;
}

/**
 * struct odd_param - a page that cannot move
 * @name: short name without spaces
 * @addr: makes it, and returns its address
 * @status: what the caller is told
 * @all: what it is told if also shared pages move
 */
struct odd_param {
	const char *name;
	unsigned long (*addr)(struct kunit *test);
	int status;
	int all;
};

static const struct odd_param odd_params[] = {
	{ "untouched", addr_untouched, -ENOENT, -ENOENT },
	{ "zero-page", addr_of_zero_page, -EFAULT, -EFAULT },
	{ "unmapped", addr_unmapped, -EFAULT, -EFAULT },
	{ "shared", addr_shared, -EACCES, 1 },
	{ "isolated", addr_isolated, -EBUSY, -EBUSY },
};

PARAM_ARRAY(odd_params, "%s", p->name);

/* One of the pages cannot move: the caller is told why, and the others do. */
static void one_stays(struct kunit *test)
{
	const struct odd_param *p = test->param_value;
	const unsigned long addr = p->addr(test);
	struct user_pages *up = make(test, &user_memory_anon);
	struct request *rq = request(test);
	unsigned int i;

	for (i = 0; i < NR_PAGES; i++) {
		if (i == 2)
			ask(rq, addr, 1);
		ask(rq, addr_of(up, i), 1);
	}
	call(rq, true, MPOL_MF_MOVE);
	KUNIT_EXPECT_EQ(test, rq->rc, 0);
	for (i = 0; i < rq->nr; i++)
		expect_told(rq, i, i == 2 ? p->status : 1);
	expect_all_on(up, 1);

	call(rq, true, MPOL_MF_MOVE_ALL);
	KUNIT_EXPECT_EQ(test, rq->rc, 0);
	for (i = 0; i < rq->nr; i++)
		expect_told(rq, i, i == 2 ? p->all : 1);
}

static const int no_nodes[] = { -1, 2, MAX_NUMNODES };

PARAM_ARRAY(no_nodes, "%d", *p);

/* No such node: what is asked for before it is done, and nothing behind it. */
static void no_such_node(struct kunit *test)
{
	const int *node = test->param_value;
	struct user_pages *up = make(test, &user_memory_anon);
	struct request *rq = request(test);
	unsigned int i;

	for (i = 0; i < NR_PAGES; i++)
		ask(rq, addr_of(up, i), i == 2 ? *node : 1);
	call(rq, true, MPOL_MF_MOVE);
	KUNIT_EXPECT_EQ(test, rq->rc, -ENODEV);
	for (i = 0; i < NR_PAGES; i++) {
		expect_on(up, i, i < 2);
		if (i < 2)
			expect_told(rq, i, 1);
		else
			expect_untold(rq, i);
	}
}

/* Somebody holds one of the pages: all that was not moved or tried is counted. */
static void held(struct kunit *test)
{
	static const int nodes[NR_PAGES] = { 1, 1, 0, 1, 1, 1 };
	struct user_pages *up = make(test, &user_memory_anon);
	struct counters *before = counters_read(test);
	struct request *rq = request(test);
	unsigned int i;

	test_folio_get(test, user_pages_folio(up, 1));
	for (i = 0; i < NR_PAGES; i++)
		ask(rq, addr_of(up, i), nodes[i]);
	call(rq, true, MPOL_MF_MOVE);
	/* The second, and those behind the third, at which the batch ended. */
	KUNIT_EXPECT_EQ(test, rq->rc, 1 + NR_PAGES - 2);
	KUNIT_EXPECT_EQ(test, nid_of(up, 0), 1);
	for (i = 1; i < NR_PAGES; i++)
		KUNIT_EXPECT_EQ_MSG(test, nid_of(up, i), 0, "page %u", i);
	for (i = 0; i < NR_PAGES; i++)
		expect_untold(rq, i);
	expect_events(before, PGMIGRATE_SUCCESS, 1);
	expect_events(before, PGMIGRATE_FAIL, 1);
	expect_node_change(before, NR_ISOLATED_ANON, 0);

	test_folio_put(test, user_pages_folio(up, 1));
	call(rq, true, MPOL_MF_MOVE);
	KUNIT_EXPECT_EQ(test, rq->rc, 0);
	for (i = 0; i < NR_PAGES; i++)
		expect_on(up, i, nodes[i]);
}

/* A huge page that somebody else moves stays, and the caller is told. */
static void huge_isolated(struct kunit *test)
{
	struct user_pages *up = make(test, &user_memory_hugetlb);
	struct folio *folio = user_pages_folio(up, 0);
	struct request *rq = request(test);
	LIST_HEAD(others);
	bool isolated = folio_isolate_hugetlb(folio, &others);

	KUNIT_ASSERT_TRUE(test, isolated);
	ask_all(rq, up, 1);
	call(rq, true, MPOL_MF_MOVE);
	KUNIT_EXPECT_EQ(test, rq->rc, 0);
	expect_told(rq, 0, -EBUSY);
	expect_told(rq, 1, 1);
	KUNIT_EXPECT_TRUE(test, list_is_singular(&others));
	folio_putback_hugetlb(folio);
	KUNIT_EXPECT_EQ(test, nid_of(up, 0), 0);
	KUNIT_EXPECT_EQ(test, nid_of(up, 1), 1);

	call(rq, true, MPOL_MF_MOVE);
	KUNIT_EXPECT_EQ(test, rq->rc, 0);
	expect_all_told(rq, 1);
	expect_all_on(up, 1);
}

static const struct user_memory *const private_memories[] = {
	&user_memory_anon, &user_memory_thp, &user_memory_hugetlb_private,
};

PARAM_ARRAY(private_memories, "%s", (*p)->name);

/* What is pinned for long stays where the device looks for it, and belongs to nobody else. */
static void pinned(struct kunit *test)
{
	const struct user_memory * const *memory = test->param_value;
	struct user_pages *up = make(test, *memory);
	struct request *rq = request(test);
	int node;

	user_pages_pin(up, &pin_way_unlocked, FOLL_LONGTERM);
	expect_pinned(up);
	node = nid_of(up, 0);
	ask_all(rq, up, !node);
	call(rq, true, MPOL_MF_MOVE);
	KUNIT_EXPECT_EQ(test, rq->rc, rq->nr);
	expect_pinned(up);
	KUNIT_EXPECT_TRUE(test, PageAnonExclusive(up->pages[0]));
	user_pages_write(up, 0, user_pages_pattern(up, 0));
	expect_pinned(up);
	expect_all_on(up, node);

	expect_unpins(up);
	call(rq, true, MPOL_MF_MOVE);
	KUNIT_EXPECT_EQ(test, rq->rc, 0);
	expect_all_on(up, !node);
}

/* Flags that nobody knows, and arguments that cannot be read, move nothing. */
static void refused(struct kunit *test)
{
	struct user_pages *up = make(test, &user_memory_anon);
	struct request *rq = request(test);
	struct user_request __user *user = rq->user;

	ask_all(rq, up, 1);
	call(rq, true, MPOL_MF_MOVE_ALL << 1);
	KUNIT_EXPECT_EQ(test, rq->rc, -EINVAL);
	KUNIT_EXPECT_EQ(test, -EFAULT, test_syscall(__NR_move_pages, 0, rq->nr, 0,
						    (unsigned long)user->nodes,
						    (unsigned long)user->status, MPOL_MF_MOVE));
	KUNIT_EXPECT_EQ(test, -EFAULT, test_syscall(__NR_move_pages, 0, rq->nr,
						    (unsigned long)user->pages, 8,
						    (unsigned long)user->status, MPOL_MF_MOVE));
	KUNIT_EXPECT_EQ(test, -EFAULT, test_syscall(__NR_move_pages, 0, rq->nr,
						    0, 0, (unsigned long)user->status, 0));
	expect_all_on(up, 0);

	/* The answer is lost, and the pages have moved. */
	KUNIT_EXPECT_EQ(test, -EFAULT, test_syscall(__NR_move_pages, 0, rq->nr,
						    (unsigned long)user->pages,
						    (unsigned long)user->nodes, 8, MPOL_MF_MOVE));
	expect_all_on(up, 1);
	KUNIT_EXPECT_EQ(test, -EFAULT, test_syscall(__NR_move_pages, 0, rq->nr,
						    (unsigned long)user->pages, 0, 8, 0));
}

static const bool in_use[] = { false, true };

PARAM_ARRAY(in_use, "%s", *p ? "held" : "free");

/* All that a process has on a node, as migrate_pages() of user space asks for. */
static void all_of_process(struct kunit *test)
{
	const bool *is_held = test->param_value;
	const nodemask_t from = nodemask_of_node(0), to = nodemask_of_node(1);
	struct user_pages *up = make(test, &user_memory_anon);
	unsigned int i;

	if (*is_held)
		test_folio_get(test, user_pages_folio(up, 0));
	KUNIT_EXPECT_EQ(test, do_migrate_pages(current->mm, &from, &to, MPOL_MF_MOVE), *is_held);
	if (*is_held)
		test_folio_put(test, user_pages_folio(up, 0));
	lru_add_drain_all();
	for (i = 0; i < NR_PAGES; i++)
		expect_on(up, i, !*is_held || i);
}

/* One that has no memory left, as it exits. */
static void none_of_process(struct kunit *test)
{
	const nodemask_t from = nodemask_of_node(0), to = nodemask_of_node(1);
	struct mm_struct *mm = mm_alloc();

	KUNIT_ASSERT_NOT_NULL(test, mm);
	KUNIT_EXPECT_EQ(test, 0, do_migrate_pages(mm, &from, &to, MPOL_MF_MOVE));
	mmput(mm);
}

#ifdef CONFIG_NUMA_BALANCING
/**
 * struct numa_fault - an access that tells NUMA balancing where pages are used
 * @name: short name without spaces
 * @memory: the kind of memory
 * @held: somebody has a reference on the first folio
 */
struct numa_fault {
	const char *name;
	const struct user_memory *memory;
	bool held;
};

static const struct numa_fault numa_faults[] = {
	{ "anon", &user_memory_anon },
	{ "shmem", &user_memory_shmem },
	{ "thp", &user_memory_thp },
	{ "held", &user_memory_anon, true },
	{ "held-thp", &user_memory_thp, true },
};

PARAM_ARRAY(numa_faults, "%s", p->name);

/* Pages come to the node that uses them, but for one that is in use: it can be, where it is. */
static void numa_fault(struct kunit *test)
{
	const struct numa_fault *f = test->param_value;
	const unsigned int size = 1U << f->memory->order;
	struct user_pages *up = make(test, f->memory);
	struct request *rq = request(test);
	struct counters *before;
	unsigned int i;

	ask_all(rq, up, 1);
	call(rq, true, MPOL_MF_MOVE);
	KUNIT_ASSERT_EQ(test, rq->rc, 0);
	lru_add_drain_all();
	user_pages_hint(up);
	if (f->held)
		test_folio_get(test, user_pages_folio(up, 0));
	before = counters_read(test);
	for (i = 0; i < up->nr; i += size)
		user_pages_write(up, i, user_pages_pattern(up, i));
	KUNIT_EXPECT_EQ(test, user_pages_hinted(up), 0);
	expect_events(before, NUMA_PAGE_MIGRATE, up->nr - (f->held ? size : 0));
	expect_events(before, PGMIGRATE_SUCCESS, up->nr - (f->held ? size : 0));
	expect_events(before, PGMIGRATE_FAIL, f->held ? size : 0);
	expect_node_change(before, NR_ISOLATED_ANON, 0);
	expect_node_change(before, NR_ISOLATED_FILE, 0);
	if (f->held)
		test_folio_put(test, user_pages_folio(up, 0));
	lru_add_drain_all();
	for (i = 0; i < up->nr / size; i++)
		expect_on(up, i, f->held && !i);
}
#endif

static struct kunit_case move_pages_cases[] = {
	KUNIT_CASE_PARAM_ARRAY(moved, memories),
	KUNIT_CASE(to_several_nodes),
	KUNIT_CASE(looked_up),
	KUNIT_CASE_PARAM_ARRAY(one_stays, odd_params),
	KUNIT_CASE_PARAM_ARRAY(no_such_node, no_nodes),
	KUNIT_CASE(held),
	KUNIT_CASE(huge_isolated),
	KUNIT_CASE_PARAM_ARRAY(pinned, private_memories),
	KUNIT_CASE(refused),
	KUNIT_CASE_PARAM_ARRAY(all_of_process, in_use),
	KUNIT_CASE(none_of_process),
#ifdef CONFIG_NUMA_BALANCING
	KUNIT_CASE_PARAM_ARRAY(numa_fault, numa_faults),
#endif
	{}
};

static int move_pages_init(struct kunit *test)
{
	if (num_node_state(N_MEMORY) < 2)
		kunit_skip(test, "one node, see numa=fake=2");
	return user_pages_init(test);
}

static struct kunit_suite move_pages_suite = {
	.name = "move_pages",
	.init = move_pages_init,
	.test_cases = move_pages_cases,
};

kunit_test_suite(move_pages_suite);

MODULE_DESCRIPTION("KUnit tests for move_pages()");
MODULE_LICENSE("GPL");
