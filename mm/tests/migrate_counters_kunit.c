// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests for what page migration leaves behind: the counters of nodes, zones and
 * events, destinations that were not used, and the state of the task.
 */

#include <linux/blkdev.h>
#include <linux/file.h>
#include <linux/major.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/mm_inline.h>
#include <linux/pagemap.h>
#include <linux/rmap.h>
#include <linux/sched.h>
#include <linux/sched/sysctl.h>
#include <linux/swap.h>

#include "../internal.h"
#include "counters.h"
#include "folio_fixture.h"
#include "probe.h"

/* What tells of folios in use, and must not change when they move. */
static const enum node_stat_item node_items[] = {
	NR_INACTIVE_ANON, NR_ACTIVE_ANON, NR_INACTIVE_FILE, NR_ACTIVE_FILE, NR_UNEVICTABLE,
	NR_ISOLATED_ANON, NR_ISOLATED_FILE, NR_ANON_MAPPED, NR_FILE_MAPPED, NR_FILE_PAGES,
	NR_FILE_DIRTY, NR_WRITEBACK, NR_SHMEM,
#ifdef CONFIG_SWAP
	NR_SWAPCACHE,
#endif
	NR_SHMEM_THPS, NR_SHMEM_PMDMAPPED, NR_FILE_THPS, NR_ANON_THPS,
};

/* The same of zones. */
static const enum zone_stat_item zone_items[] = {
	NR_ZONE_INACTIVE_ANON, NR_ZONE_ACTIVE_ANON, NR_ZONE_INACTIVE_FILE,
	NR_ZONE_ACTIVE_FILE, NR_ZONE_UNEVICTABLE, NR_ZONE_WRITE_PENDING, NR_MLOCK,
};

static void expect_nodes_unchanged(const struct counters *before)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(node_items); i++)
		expect_node_change(before, node_items[i], 0);
}

static void expect_zone_sums_unchanged(const struct counters *before)
{
	const struct counters *now = counters_read(before->test);
	unsigned int i, zone;

	for (i = 0; i < ARRAY_SIZE(zone_items); i++) {
		long change = 0;

		for (zone = 0; zone < MAX_NR_ZONES; zone++)
			change += now->zone[zone][zone_items[i]] -
				  before->zone[zone][zone_items[i]];
		KUNIT_EXPECT_EQ_MSG(before->test, change, 0, "%s",
				    zone_stat_name(zone_items[i]));
	}
}

/* Kinds that live on, and lie in ZONE_MOVABLE if there is one. */
static const struct test_folio_kind *const kinds[] = {
	&test_folio_shmem, &test_folio_dirty, &test_folio_private, &test_folio_anon_mapped,
	&test_folio_anon_shared, &test_folio_mlocked, &test_folio_swap_mapped,
	&test_folio_swapped_out, &test_folio_ksm,
	&test_folio_clean[0], &test_folio_clean[2], &test_folio_clean[9],
#ifdef CONFIG_TRANSPARENT_HUGEPAGE
	&test_folio_anon_thp, &test_folio_anon_thp_ptes, &test_folio_anon_large,
	&test_folio_shmem_thp, &test_folio_shmem_large,
#endif
};

PARAM_ARRAY(kinds, "%s", (*p)->name);

static const struct test_folio_kind *kind_param(struct kunit *test)
{
	const struct test_folio_kind *const *kind = test->param_value;

	return *kind;
}

static void isolated_count(struct folio_migration *m)
{
	struct test_folio *tf = list_first_entry(&m->folios, struct test_folio, entry);
	const long nr = folio_nr_pages(tf->folio);
	const bool is_file = folio_is_file_lru(tf->folio);

	expect_node_change(m->data, NR_ISOLATED_FILE, is_file ? nr : 0);
	expect_node_change(m->data, NR_ISOLATED_ANON, is_file ? 0 : nr);
}

/* A folio that moves takes its counts along, whatever zone it goes to. */
static void move_is_counted(struct kunit *test)
{
	const struct test_folio_kind *kind = kind_param(test);
	struct test_folio *tf = test_folio_make(test, kind);
	struct folio_migration *m = longterm_migration(test, MIGRATE_SYNC);
	const long nr = folio_nr_pages(tf->folio);
	enum zone_type from = folio_zonenum(tf->folio), to;
	struct counters *before;
	enum lru_list lru;

	lru_add_drain_all();
	lru = folio_lru_list(tf->folio);
	before = counters_read(test);
	m->data = before;
	m->on_alloc = isolated_count;
	folio_migration_add(m, tf);
	folio_migration_run(m);
	lru_add_drain_all();

	KUNIT_ASSERT_EQ(test, m->rc, 0);
	KUNIT_EXPECT_EQ(test, m->nr_succeeded, nr);
	expect_events(before, PGMIGRATE_SUCCESS, nr);
	expect_events(before, PGMIGRATE_FAIL, 0);
	to = folio_zonenum(tf->dst);
	expect_nodes_unchanged(before);
	expect_zone_sums_unchanged(before);
	if (from != to) {
		expect_zone_change(before, from, NR_ZONE_LRU_BASE + lru, -nr);
		expect_zone_change(before, to, NR_ZONE_LRU_BASE + lru, nr);
	}
	expect_migrated(test, tf);
}

#ifdef CONFIG_NUMA
/* How many pages of a folio a counter of its node has. */
static long counted_as(const struct test_folio *tf, enum lru_list lru,
		       enum node_stat_item item)
{
	const unsigned int state = tf->kind->state;
	const bool anon = state & TEST_FOLIO_ANON;
	const bool shmem = !anon && (state & TEST_FOLIO_SWAPBACKED);
	const bool huge = IS_ENABLED(CONFIG_TRANSPARENT_HUGEPAGE) &&
			  tf->kind->order == HPAGE_PMD_ORDER;
	const bool by_pmd = huge && tf->mapcount == 1;
	bool counts;

	switch (item) {
	case NR_ANON_MAPPED:
		counts = anon && tf->mapcount;
		break;
	case NR_ANON_THPS:
		counts = anon && by_pmd;
		break;
	case NR_FILE_MAPPED:
		counts = !anon && tf->mapcount;
		break;
	case NR_SHMEM_PMDMAPPED:
		counts = shmem && by_pmd;
		break;
	case NR_FILE_PAGES:
		counts = !anon || (state & TEST_FOLIO_SWAPCACHE);
		break;
	case NR_SHMEM:
		counts = shmem;
		break;
	case NR_SHMEM_THPS:
		counts = shmem && huge;
		break;
#ifdef CONFIG_SWAP
	case NR_SWAPCACHE:
		counts = state & TEST_FOLIO_SWAPCACHE;
		break;
#endif
	default:
		counts = item == NR_LRU_BASE + lru;
		break;
	}
	return counts << tf->kind->order;
}

#ifdef CONFIG_TRANSPARENT_HUGEPAGE
/* How many anonymous folios of an order there are. */
static long nr_anon_of(unsigned int order)
{
	long x = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		x += per_cpu(mthp_stats, cpu).stats[order][MTHP_STAT_NR_ANON];
	return x;
}
#else
static long nr_anon_of(unsigned int order)
{
	return 0;
}
#endif

/*
 * Migration unmaps an anonymous folio entry by entry: who tries once more finds it mapped
 * in part, and splits it.
 */
static bool splits_when_tried_again(const struct test_folio *tf)
{
	return (tf->kind->state & TEST_FOLIO_ANON) && tf->kind->order && tf->mapcount > 1;
}

/* A node loses what it has counted of a folio when that moves to another, and not before. */
static void moves_to_node(struct kunit *test)
{
	struct test_folio *tf = test_folio_make(test, kind_param(test));
	struct folio_migration *m = folio_migration(test, MIGRATE_SYNC, MR_SYSCALL);
	long had[ARRAY_SIZE(node_items)], has[ARRAY_SIZE(node_items)];
	const int from = folio_nid(tf->folio), to = next_node_in(from, node_online_map);
	const long nr_anon = nr_anon_of(tf->kind->order);
	enum lru_list lru;
	unsigned int i;

	if (from == to)
		kunit_skip(test, "one node");
	lru_add_drain_all();
	lru = folio_lru_list(tf->folio);
	for (i = 0; i < ARRAY_SIZE(node_items); i++) {
		had[i] = counter_of_node(from, node_items[i]);
		has[i] = counter_of_node(to, node_items[i]);
	}
	m->nid = to;
	folio_migration_add(m, tf);
	if (splits_when_tried_again(tf)) {
		folio_migration_run(m);
	} else {
		test_folio_get(test, tf->folio);
		folio_migration_run(m);
		KUNIT_EXPECT_EQ(test, m->rc, 1);
		test_folio_put(test, tf->folio);
		folio_migration_putback(m);
		lru_add_drain_all();
		for (i = 0; i < ARRAY_SIZE(node_items); i++) {
			expect_counter_of_node(test, from, node_items[i], had[i]);
			expect_counter_of_node(test, to, node_items[i], has[i]);
		}
		folio_migration_again(m);
	}
	lru_add_drain_all();

	KUNIT_ASSERT_EQ(test, m->rc, 0);
	KUNIT_ASSERT_NOT_NULL(test, tf->dst);
	KUNIT_EXPECT_EQ(test, folio_nid(tf->dst), to);
	for (i = 0; i < ARRAY_SIZE(node_items); i++) {
		const long nr = counted_as(tf, lru, node_items[i]);

		expect_counter_of_node(test, from, node_items[i], had[i] - nr);
		expect_counter_of_node(test, to, node_items[i], has[i] + nr);
	}
	KUNIT_EXPECT_EQ(test, nr_anon_of(tf->kind->order), nr_anon);
	expect_migrated(test, tf);
}
#endif

/* One that does not move keeps them. */
static void failure_is_counted(struct kunit *test)
{
	const struct test_folio_kind *kind = kind_param(test);
	struct test_folio *tf = test_folio_make(test, kind);
	struct folio_migration *m = folio_migration(test, MIGRATE_SYNC, MR_COMPACTION);
	const long nr = folio_nr_pages(tf->folio);
	enum zone_type zone = folio_zonenum(tf->folio);
	struct counters *before;
	unsigned int i;

	lru_add_drain_all();
	before = counters_read(test);
	test_folio_get(test, tf->folio);
	folio_migration_add(m, tf);
	folio_migration_run(m);
	folio_migration_putback(m);
	test_folio_put(test, tf->folio);
	lru_add_drain_all();

	KUNIT_EXPECT_EQ(test, m->rc, 1);
	KUNIT_EXPECT_EQ(test, m->nr_succeeded, 0);
	expect_events(before, PGMIGRATE_SUCCESS, 0);
	expect_events(before, PGMIGRATE_FAIL, nr);
	expect_nodes_unchanged(before);
	for (i = 0; i < ARRAY_SIZE(zone_items); i++)
		expect_zone_change(before, zone, zone_items[i], 0);
}

#ifdef HAVE_TEST_PROBES
/* A reference on this folio is taken as soon as its contents are copied. */
static struct folio *taken_late;

static int take_late(struct kprobe *point, struct pt_regs *regs)
{
	struct folio *src = (struct folio *)regs_get_kernel_argument(regs, 1);

	if (src == taken_late) {
		taken_late = NULL;
		folio_get(src);
	}
	return 0;
}

/* All but small anonymous folios that are not in swap: unmapped, nobody finds them. */
static const struct test_folio_kind *const findable[] = {
	&test_folio_shmem, &test_folio_dirty, &test_folio_private, &test_folio_swap_mapped,
	&test_folio_swapped_out,
	&test_folio_clean[0], &test_folio_clean[2], &test_folio_clean[9],
#ifdef CONFIG_TRANSPARENT_HUGEPAGE
	&test_folio_anon_thp, &test_folio_anon_thp_ptes, &test_folio_anon_large,
	&test_folio_shmem_thp, &test_folio_shmem_large,
#endif
};

PARAM_ARRAY(findable, "%s", (*p)->name);

/* Who comes when there was nobody to be seen, but before it is too late, is noticed. */
static void reference_taken_late(struct kunit *test)
{
	struct test_folio *tf = test_folio_make(test, kind_param(test));
	struct folio_migration *m = folio_migration(test, MIGRATE_SYNC, MR_SYSCALL);
	struct kprobe *point = test_zalloc(test, sizeof(*point));
	struct counters *before;

	KUNIT_ASSERT_EQ(test, 0, test_probe(test, point, "folio_mc_copy", take_late));
	lru_add_drain_all();
	before = counters_read(test);
	folio_migration_add(m, tf);
	taken_late = tf->folio;
	folio_migration_run(m);
	folio_migration_putback(m);
	lru_add_drain_all();

	KUNIT_ASSERT_NULL(test, taken_late);
	KUNIT_EXPECT_EQ(test, m->rc, 1);
	KUNIT_EXPECT_NULL(test, tf->dst);
	expect_nodes_unchanged(before);
	expect_zone_sums_unchanged(before);
	expect_unharmed(test, tf, 1);
	folio_put(tf->folio);
	expect_unharmed(test, tf, 0);
}

static const struct test_folio_kind *const copied[] = {
	&test_folio_shmem, &test_folio_private, &test_folio_anon_mapped, &test_folio_clean[0],
#ifdef CONFIG_TRANSPARENT_HUGEPAGE
	&test_folio_anon_thp, &test_folio_shmem_large,
#endif
#ifdef CONFIG_HUGETLB_PAGE
	&test_folio_hugetlb,
#endif
};

PARAM_ARRAY(copied, "%s", (*p)->name);

/* A page that cannot be read any more stays where it is. */
static void copy_fails(struct kunit *test)
{
	struct test_folio *tf = test_folio_make(test, kind_param(test));
	struct folio_migration *m = folio_migration(test, MIGRATE_ASYNC, MR_SYSCALL);
	struct failing_call *copy;
	struct counters *before;

	lru_add_drain_all();
	before = counters_read(test);
	folio_migration_add(m, tf);
	copy = test_call_fails(test, "folio_mc_copy", 1, -EHWPOISON);
	folio_migration_run(m);
	folio_migration_putback(m);
	lru_add_drain_all();

	KUNIT_EXPECT_EQ(test, copy->nth, 0);
	KUNIT_EXPECT_EQ(test, m->rc, 1);
	KUNIT_EXPECT_NULL(test, tf->dst);
	expect_events(before, PGMIGRATE_FAIL, folio_nr_pages(tf->folio));
	expect_nodes_unchanged(before);
	expect_zone_sums_unchanged(before);
	expect_unharmed(test, tf, 0);
	expect_migrates_later(test, m);
}
#endif

#ifdef CONFIG_NUMA_BALANCING
static void tiering_end(void *mode)
{
	sysctl_numa_balancing_mode = (long)mode;
}

/* Who has used a folio last is known of it afterwards, in a node of the same kind. */
static void last_user_stays(struct kunit *test)
{
	const int user = cpu_pid_to_cpupid(0, 42);
	struct test_folio *tf = test_folio_make(test, kind_param(test));
	struct folio_migration *m = folio_migration(test, MIGRATE_SYNC, MR_SYSCALL);

	/* Otherwise it is a time that says how hot the folio is. */
	test_cleanup(test, tiering_end, (void *)(long)sysctl_numa_balancing_mode);
	sysctl_numa_balancing_mode = NUMA_BALANCING_MEMORY_TIERING;
	m->nid = next_node_in(folio_nid(tf->folio), node_online_map);
	folio_migration_add(m, tf);
	folio_xchg_last_cpupid(tf->folio, user);
	folio_migration_run(m);
	KUNIT_ASSERT_EQ(test, m->rc, 0);
	KUNIT_EXPECT_EQ(test, folio_last_cpupid(tf->dst), user);
	expect_migrated(test, tf);
}
#endif

/* What a folio's private field has meant it means no more. */
static void source_forgets(struct kunit *test)
{
	struct folio *src = test_folio_alloc(test, 0), *dst = test_folio_alloc(test, 0);

	/* What it is charged to goes along. */
	KUNIT_ASSERT_EQ(test, 0, mem_cgroup_charge(src, NULL, GFP_KERNEL));
	src->private = src;
	folio_lock(src);
	folio_lock(dst);
	folio_migrate_flags(dst, src);
	folio_unlock(dst);
	folio_unlock(src);
	KUNIT_EXPECT_NULL(test, src->private);
	KUNIT_EXPECT_NULL(test, dst->private);
}

/*
 * One is locked, the next one moves, and there is no destination for the last: who
 * would have been tried again has failed as well.
 */
static void no_destination_is_counted(struct kunit *test)
{
	struct folio_migration *m = folio_migration(test, MIGRATE_ASYNC, MR_COMPACTION);
	struct counters *before;
	struct test_folio *tf[3];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(tf); i++)
		tf[i] = test_folio_make(test, &test_folio_shmem);
	lru_add_drain_all();
	before = counters_read(test);
	for (i = 0; i < ARRAY_SIZE(tf); i++)
		folio_migration_add(m, tf[i]);
	test_folio_lock(test, tf[0]->folio);
	m->fail_alloc_at = ARRAY_SIZE(tf);
	folio_migration_run(m);
	test_folio_unlock(test, tf[0]->folio);
	folio_migration_putback(m);
	lru_add_drain_all();

	KUNIT_EXPECT_EQ(test, m->rc, -ENOMEM);
	KUNIT_EXPECT_EQ(test, m->nr_succeeded, 1);
	expect_events(before, PGMIGRATE_SUCCESS, 1);
	expect_events(before, PGMIGRATE_FAIL, 2);
	expect_nodes_unchanged(before);
	expect_migrated(test, tf[1]);
	expect_unharmed(test, tf[0], 0);
	expect_unharmed(test, tf[2], 0);
}

/**
 * struct mover - a migration whose destinations are watched
 * @gfp: where from they are taken
 * @nid: the node that they are taken from
 * @lock_dst: they are locked by somebody else
 * @nr: how many folios there are
 * @asked: how many destinations have been asked for
 * @most: of how many folios at once the destination had been asked for and the folio
 *	not been moved
 * @src: the folios
 * @mapping: whose only folio each is, if @most is asked for
 * @dst: their destinations, in the order of asking
 * @anon_vma: that of the first, if it is anonymous
 * @anon_vma_refs: how many references there were on it when the last destination was
 *	asked for
 * @in_use: how often one looked as if it were in use before its folio was moved
 * @locked_back: how many destinations came back locked
 */
struct mover {
	gfp_t gfp;
	int nid;
	bool lock_dst;
	unsigned int nr;
	unsigned int asked;
	unsigned int most;
	struct folio **src;
	struct address_space **mapping;
	struct folio **dst;
	struct anon_vma *anon_vma;
	int anon_vma_refs;
	unsigned int in_use;
	unsigned int locked_back;
};

static struct folio *mover_dst(struct folio *src, unsigned long private)
{
	struct mover *mover = (struct mover *)private;
	struct folio *dst = __folio_alloc_node(mover->gfp, folio_order(src), mover->nid);
	unsigned int i, waiting = 0;

	for (i = 0; i < mover->nr; i++)
		waiting += mover->dst[i] && mover->mapping[i] &&
			   xa_load(&mover->mapping[i]->i_pages, 0) == mover->src[i];
	/* Asked for in asynchronous mode before any is moved. */
	for (i = 0; i < mover->nr; i++)
		mover->in_use += mover->dst[i] && !mover->mapping[i] &&
				 mover->dst[i]->mapping;
	if (mover->anon_vma)
		mover->anon_vma_refs = atomic_read(&mover->anon_vma->refcount);
	mover->most = max(mover->most, waiting);
	mover->asked++;
	if (!dst)
		return NULL;
	if (mover->lock_dst)
		folio_lock(dst);
	for (i = 0; i < mover->nr; i++)
		if (mover->src[i] == src)
			mover->dst[i] = dst;
	return dst;
}

static void mover_back(struct folio *dst, unsigned long private)
{
	struct mover *mover = (struct mover *)private;

	mover->locked_back += folio_test_locked(dst);
	if (mover->lock_dst)
		folio_unlock(dst);
	folio_put(dst);
}

static struct mover *mover_make(struct kunit *test, unsigned int nr)
{
	struct mover *mover = test_zalloc(test, sizeof(*mover));

	mover->gfp = GFP_KERNEL;
	mover->nid = numa_mem_id();
	mover->nr = nr;
	mover->src = test_zalloc(test, array_size(nr, sizeof(*mover->src)));
	mover->mapping = test_zalloc(test, array_size(nr, sizeof(*mover->mapping)));
	mover->dst = test_zalloc(test, array_size(nr, sizeof(*mover->dst)));
	return mover;
}

static int mover_run(struct kunit *test, struct mover *mover, enum migrate_mode mode,
		     bool gives_back)
{
	LIST_HEAD(from);
	unsigned int i;
	int rc;

	lru_add_drain_all();
	for (i = 0; i < mover->nr; i++) {
		bool isolated = isolate_folio_to_list(mover->src[i], &from);

		KUNIT_EXPECT_TRUE(test, isolated);
	}
	rc = migrate_pages(&from, mover_dst, gives_back ? mover_back : NULL,
			   (unsigned long)mover, mode, MR_SYSCALL, NULL);
	putback_movable_pages(&from);
	lru_add_drain_all();
	return rc;
}

/*
 * Why a folio does not get to its destination, and how often one is asked for: each of
 * ten attempts to unmap it has its own, and what is unmapped keeps one.
 */
struct obstacle {
	const char *name;
	const struct test_folio_kind *kind;
	bool held;
	bool locked;
	bool dst_locked;
	bool writeback;
	bool pinned;
	int error;
	unsigned int asked;
};

static const struct obstacle obstacles[] = {
	{ "held", &test_folio_anon_mapped, .held = true, .asked = 1 },
	{ "held-file", &test_folio_clean[0], .held = true, .asked = 1 },
	{ "locked", &test_folio_anon_mapped, .locked = true, .asked = 10 },
	{ "destination-locked", &test_folio_anon_mapped, .dst_locked = true, .asked = 10 },
	{ "writeback", &test_folio_clean[0], .writeback = true, .asked = 1 },
	{ "pinned", &test_folio_anon_mapped, .pinned = true, .asked = 10 },
	{ "error", &test_folio_clean[2], .error = -EIO, .asked = 1 },
};

PARAM_ARRAY(obstacles, "%s", p->name);

static void start_writeback(struct folio *folio)
{
	folio_lock(folio);
	folio_start_writeback(folio);
	folio_unlock(folio);
}

/* The destination goes back as it came, and with nobody to give it to is freed. */
static void destination_goes_back(struct kunit *test)
{
	const struct obstacle *o = test->param_value;
	struct test_folio *tf = test_folio_make(test, o->kind);
	struct mover *mover = mover_make(test, 1);
	struct folio *folio = tf->folio;
	unsigned int i;

	mover->src[0] = folio;
	mover->lock_dst = o->dst_locked;
	tf->migrate_error = o->error;
	for (i = 0; i < 2; i++) {
		const bool gives_back = i || o->dst_locked;

		if (o->locked)
			folio_lock(folio);
		if (o->writeback)
			start_writeback(folio);
		if (o->pinned)
			KUNIT_ASSERT_EQ(test, 0, try_grab_folio(folio, 1, FOLL_PIN));
		if (!o->held)
			test_folio_let_go(tf);
		mover->asked = 0;
		mover->locked_back = 0;
		KUNIT_EXPECT_EQ(test, 1, mover_run(test, mover, MIGRATE_ASYNC, gives_back));
		KUNIT_EXPECT_EQ(test, mover->asked, o->asked);
		if (!o->held)
			test_folio_find(test, tf);
		if (o->locked)
			folio_unlock(folio);
		if (o->writeback)
			folio_end_writeback(folio);
		if (o->pinned)
			unpin_folio(folio);
		KUNIT_EXPECT_PTR_EQ(test, tf->folio, folio);
		KUNIT_ASSERT_NOT_NULL(test, mover->dst[0]);
		KUNIT_EXPECT_EQ(test, mover->locked_back, o->dst_locked ? mover->asked : 0);
		if (nobody_else_runs())
			KUNIT_EXPECT_EQ(test, folio_ref_count(mover->dst[0]), 0);
		expect_unharmed(test, tf, 1);
	}
}

static bool keep_private(struct folio *folio, gfp_t gfp)
{
	return false;
}

static bool release_private(struct folio *folio, gfp_t gfp)
{
	folio_detach_private(folio);
	return true;
}

/* A file system that does not know how to migrate. */
static const struct address_space_operations keeping_aops = {
	.dirty_folio = filemap_dirty_folio,
	.release_folio = keep_private,
};

static const struct address_space_operations releasing_aops = {
	.dirty_folio = filemap_dirty_folio,
	.release_folio = release_private,
};

/* What such a file system has. */
struct fallback {
	const char *name;
	const struct test_folio_kind *kind;
	const struct address_space_operations *aops;
	enum migrate_mode mode;
	unsigned int asked;	/* for destinations; 0 if it moves */
};

static const struct fallback fallbacks[] = {
	{ "clean", &test_folio_clean[0], &keeping_aops, MIGRATE_SYNC },
	{ "dirty", &test_folio_dirty, &keeping_aops, MIGRATE_ASYNC, 1 },
	{ "private-released", &test_folio_private, &releasing_aops, MIGRATE_SYNC },
	{ "private-kept-async", &test_folio_private, &keeping_aops, MIGRATE_ASYNC, 1 },
	/* The first is for the asynchronous attempts, which are over at once. */
	{ "private-kept-sync", &test_folio_private, &keeping_aops, MIGRATE_SYNC, 2 },
};

PARAM_ARRAY(fallbacks, "%s", p->name);

/* Clean folios can be moved without its help, if private data can be released. */
static void without_help(struct kunit *test)
{
	const struct fallback *p = test->param_value;
	struct test_folio *tf = test_folio_make(test, p->kind);
	const struct address_space_operations *aops = tf->file->f_mapping->a_ops;
	struct mover *mover = mover_make(test, 1);
	struct folio *folio = tf->folio;

	mover->src[0] = folio;
	tf->file->f_mapping->a_ops = p->aops;
	test_folio_let_go(tf);
	KUNIT_EXPECT_EQ(test, !!p->asked, mover_run(test, mover, p->mode, true));
	tf->file->f_mapping->a_ops = aops;
	test_folio_find(test, tf);

	KUNIT_EXPECT_PTR_EQ(test, tf->folio, p->asked ? folio : mover->dst[0]);
	if (p->asked) {
		KUNIT_EXPECT_EQ(test, mover->asked, p->asked);
		expect_unharmed(test, tf, 1);
	} else {
		KUNIT_EXPECT_FALSE(test, folio_test_private(tf->folio));
		KUNIT_EXPECT_EQ(test, folio_ref_count(tf->folio), 2);
	}
}

/**
 * struct unlocker - unlocks one folio after the other
 * @folios: the folios, of which the first moves first
 * @mapping: that of the first
 * @moved: it had moved by the time the second was unlocked
 */
struct unlocker {
	struct folio *folios[2];
	struct address_space *mapping;
	bool moved;
};

static int unlocker_fn(void *data)
{
	struct unlocker *u = data;

	schedule_timeout_uninterruptible(msecs_to_jiffies(50));
	folio_unlock(u->folios[0]);
	schedule_timeout_uninterruptible(msecs_to_jiffies(50));
	u->moved = xa_load(&u->mapping->i_pages, 0) != u->folios[0];
	folio_unlock(u->folios[1]);
	return 0;
}

/* Who waits for a folio lock holds no other, or two who do so would wait for ever. */
static void locks_one_at_a_time(struct kunit *test)
{
	struct unlocker *u = test_zalloc(test, sizeof(*u));
	struct mover *mover = mover_make(test, 2);
	struct task_struct *task;
	unsigned int i;

	for (i = 0; i < 2; i++) {
		struct test_folio *tf = test_folio_make(test, &test_folio_clean[0]);

		if (!i)
			u->mapping = tf->file->f_mapping;
		u->folios[i] = tf->folio;
		/* The list begins with the one that is isolated last. */
		mover->src[1 - i] = tf->folio;
		folio_lock(tf->folio);
		test_folio_let_go(tf);
	}
	task = test_thread(test, unlocker_fn, u, "unlocker");
	KUNIT_EXPECT_EQ(test, 0, mover_run(test, mover, MIGRATE_SYNC, false));
	test_thread_stop(test, task);
	KUNIT_EXPECT_TRUE(test, u->moved);
}

/*
 * Until it is used nobody may take a destination for a page of an mm.  What finds its
 * mappings again does not go away meanwhile.
 */
static void destination_is_nobodys(struct kunit *test)
{
	struct mover *mover = mover_make(test, 3);
	unsigned int i;
	int refs, unmapped;

	for (i = 0; i < mover->nr; i++) {
		struct test_folio *tf = test_folio_make(test, i ? &test_folio_mlocked :
							    &test_folio_anon_mapped);

		mover->src[i] = tf->folio;
		test_folio_let_go(tf);
	}
	/* The list begins with the one that is isolated last. */
	mover->anon_vma = folio_anon_vma(mover->src[2]);
	unmapped = 1 + (folio_anon_vma(mover->src[1]) == mover->anon_vma);
	refs = atomic_read(&mover->anon_vma->refcount);
	KUNIT_EXPECT_EQ(test, 0, mover_run(test, mover, MIGRATE_ASYNC, false));
	KUNIT_EXPECT_EQ(test, mover->asked, mover->nr);
	KUNIT_EXPECT_EQ(test, mover->in_use, 0);
	KUNIT_EXPECT_EQ(test, mover->anon_vma_refs, refs + unmapped);
	KUNIT_EXPECT_EQ(test, atomic_read(&mover->anon_vma->refcount), refs);
}

/* More folios than one batch takes. */
#define NR_BATCHED	512
#define NR_MANY		(NR_BATCHED + 60)

static const unsigned int orders[] = { 0, 3 };

PARAM_ARRAY(orders, "order%u", *p);

/* Only so many pages are unmapped and locked at once. */
static void batch_is_limited(struct kunit *test)
{
	const unsigned int *order = test->param_value;
	const unsigned int nr = NR_MANY >> *order, batch = NR_BATCHED >> *order;
	struct mover *mover = mover_make(test, nr);
	struct counters *before;
	unsigned int i;

	for (i = 0; i < nr; i++) {
		struct test_folio *tf = test_folio_make(test, &test_folio_clean[*order]);

		mover->src[i] = tf->folio;
		mover->mapping[i] = tf->file->f_mapping;
		test_folio_let_go(tf);
	}
	before = counters_read(test);
	KUNIT_EXPECT_EQ(test, 0, mover_run(test, mover, MIGRATE_ASYNC, false));
	KUNIT_EXPECT_EQ(test, mover->asked, nr);
	/* All of a batch but the one that the last destination is for. */
	KUNIT_EXPECT_EQ(test, mover->most, batch - 1);
	expect_events(before, PGMIGRATE_SUCCESS, (long)nr << *order);
	for (i = 0; i < nr; i++)
		KUNIT_EXPECT_PTR_EQ(test, xa_load(&mover->mapping[i]->i_pages, 0),
				    mover->dst[i]);
}

static void bdev_put(void *data)
{
	struct file *file = data;

	filemap_write_and_wait(file->f_mapping);
	invalidate_mapping_pages(file->f_mapping, 0, -1);
	bdev_fput(file);
}

/* What waits to be written does so in the node and the zone that it has moved to. */
static void dirty_of_device(struct kunit *test)
{
	struct mover *mover = mover_make(test, 1);
	struct address_space *mapping;
	struct counters *before;
	struct zone *from, *to;
	struct folio *folio;
	struct file *file;
	long from_node, from_zone, to_node, to_zone;

	if (!IS_ENABLED(CONFIG_BLK_DEV_RAM))
		kunit_skip(test, "no RAM disk");
	file = bdev_file_open_by_dev(MKDEV(RAMDISK_MAJOR, 1), BLK_OPEN_READ | BLK_OPEN_WRITE,
				     NULL, NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, file);
	test_cleanup(test, bdev_put, file);
	mapping = file->f_mapping;
	folio = read_mapping_folio(mapping, 3, NULL);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, folio);
	from = folio_zone(folio);
	mover->gfp = GFP_HIGHUSER_MOVABLE;
	mover->nid = next_node_in(folio_nid(folio), node_online_map);
	to = &NODE_DATA(mover->nid)->node_zones[ZONE_MOVABLE];
	if (!populated_zone(to))
		kunit_skip(test, "no ZONE_MOVABLE on this node, see movablecore=");
	lru_add_drain_all();
	before = counters_read(test);
	from_node = counter_of_node(zone_to_nid(from), NR_FILE_DIRTY);
	from_zone = counter_of_zone(from, NR_ZONE_WRITE_PENDING);
	to_node = counter_of_node(mover->nid, NR_FILE_DIRTY);
	to_zone = counter_of_zone(to, NR_ZONE_WRITE_PENDING);

	folio_lock(folio);
	folio_mark_dirty(folio);
	folio_unlock(folio);
	expect_counter_of_node(test, zone_to_nid(from), NR_FILE_DIRTY, from_node + 1);
	expect_counter_of_zone(test, from, NR_ZONE_WRITE_PENDING, from_zone + 1);

	mover->src[0] = folio;
	/* That of the page cache stays. */
	folio_put(folio);
	KUNIT_ASSERT_EQ(test, 0, mover_run(test, mover, MIGRATE_SYNC, false));
	KUNIT_ASSERT_PTR_EQ(test, folio_zone(mover->dst[0]), to);
	KUNIT_EXPECT_TRUE(test, folio_test_dirty(mover->dst[0]));
	expect_node_change(before, NR_FILE_PAGES, 0);
	if (mover->nid != zone_to_nid(from))
		expect_counter_of_node(test, zone_to_nid(from), NR_FILE_DIRTY, from_node);
	expect_counter_of_node(test, mover->nid, NR_FILE_DIRTY, to_node + 1);
	expect_counter_of_zone(test, from, NR_ZONE_WRITE_PENDING, from_zone);
	expect_counter_of_zone(test, to, NR_ZONE_WRITE_PENDING, to_zone + 1);

	KUNIT_EXPECT_EQ(test, 0, filemap_write_and_wait(mapping));
	KUNIT_EXPECT_FALSE(test, folio_test_dirty(mover->dst[0]));
	expect_node_change(before, NR_FILE_DIRTY, 0);
	expect_counter_of_zone(test, from, NR_ZONE_WRITE_PENDING, from_zone);
	expect_counter_of_zone(test, to, NR_ZONE_WRITE_PENDING, to_zone);
}

/* Who has waited in a migration runs on. */
static void runs_on(struct kunit *test)
{
	struct test_folio *tf = test_folio_make(test, &test_folio_shmem);
	struct folio_migration *m = longterm_migration(test, MIGRATE_SYNC);
	struct folio_hold *hold = folio_hold(test, tf->folio, 1, 20);

	m->on_alloc = release_hold_on_alloc;
	m->data = hold;
	folio_migration_add(m, tf);
	folio_migration_run(m);

	KUNIT_EXPECT_EQ(test, get_current_state(), TASK_RUNNING);
	__set_current_state(TASK_RUNNING);
	KUNIT_EXPECT_EQ(test, m->rc, wait_promises()->wait ? 0 : 1);
	folio_hold_join(hold);
}

/* Flags of a folio that a migration takes along. */
static const enum pageflags flags[] = {
	PG_referenced, PG_active, PG_workingset, PG_checked, PG_readahead, PG_mappedtodisk,
#if defined(CONFIG_PAGE_IDLE_FLAG) && defined(CONFIG_64BIT)
	PG_young, PG_idle,
#endif
};

static const char *const flag_names[] = {
	"referenced", "active", "workingset", "checked", "readahead", "mappedtodisk",
	"young", "idle",
};

/* What is known of a folio's use is known of it afterwards. */
static void flags_stay(struct kunit *test)
{
	struct test_folio *tf;
	struct folio_migration *m;
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		tf = test_folio_make(test, &test_folio_clean[0]);
		m = longterm_migration(test, MIGRATE_SYNC);
		lru_add_drain_all();
		for (j = 0; j < ARRAY_SIZE(flags); j++)
			if (flags[j] != PG_active)
				clear_bit(flags[j], &tf->folio->flags.f);
		folio_migration_add(m, tf);
		set_bit(flags[i], &tf->folio->flags.f);
		folio_migration_run(m);
		lru_add_drain_all();
		KUNIT_ASSERT_EQ(test, m->rc, 0);
		for (j = 0; j < ARRAY_SIZE(flags); j++)
			KUNIT_EXPECT_EQ_MSG(test, test_bit(flags[j], &tf->dst->flags.f),
					    i == j, "%s after %s", flag_names[j],
					    flag_names[i]);
		KUNIT_EXPECT_EQ(test, folio_lru_list(tf->dst),
				flags[i] == PG_active ? LRU_ACTIVE_FILE : LRU_INACTIVE_FILE);
		expect_migrated(test, tf);
		for (j = 0; j < ARRAY_SIZE(flags); j++)
			if (flags[j] != PG_active)
				clear_bit(flags[j], &tf->dst->flags.f);
	}
}

static struct kunit_case migrate_counters_cases[] = {
	KUNIT_CASE_PARAM_ARRAY(move_is_counted, kinds),
	KUNIT_CASE_PARAM_ARRAY(failure_is_counted, kinds),
#ifdef CONFIG_NUMA
	KUNIT_CASE_PARAM_ARRAY(moves_to_node, kinds),
#endif
#ifdef HAVE_TEST_PROBES
	KUNIT_CASE_PARAM_ARRAY(reference_taken_late, findable),
	KUNIT_CASE_PARAM_ARRAY(copy_fails, copied),
#endif
#ifdef CONFIG_NUMA_BALANCING
	KUNIT_CASE_PARAM_ARRAY(last_user_stays, kinds),
#endif
	KUNIT_CASE(source_forgets),
	KUNIT_CASE(no_destination_is_counted),
	KUNIT_CASE_PARAM_ARRAY(destination_goes_back, obstacles),
	KUNIT_CASE_PARAM_ARRAY(without_help, fallbacks),
	KUNIT_CASE(destination_is_nobodys),
	KUNIT_CASE(locks_one_at_a_time),
	KUNIT_CASE_PARAM_ARRAY(batch_is_limited, orders),
	KUNIT_CASE(dirty_of_device),
	KUNIT_CASE(runs_on),
	KUNIT_CASE(flags_stay),
	{}
};

static struct kunit_suite migrate_counters_suite = {
	.name = "migrate_counters",
	.init = folio_fixture_init,
	.test_cases = migrate_counters_cases,
};

kunit_test_suite(migrate_counters_suite);

MODULE_DESCRIPTION("KUnit tests for what page migration leaves behind");
MODULE_LICENSE("GPL");
