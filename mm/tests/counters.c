// SPDX-License-Identifier: GPL-2.0
/*
 * What the counters of /proc/vmstat say of a stretch of a KUnit test.
 */

#include "counters.h"
#include "folio_fixture.h"

/**
 * counter_of_node() - read a counter of one node
 * @nid: the node
 * @item: which one
 *
 * Return: what it is, exactly: what CPUs have not folded yet counts.
 */
long counter_of_node(int nid, enum node_stat_item item)
{
	struct pglist_data *pgdat = NODE_DATA(nid);
	long x = atomic_long_read(&pgdat->vm_stat[item]);
	int cpu;

	for_each_online_cpu(cpu)
		x += per_cpu_ptr(pgdat->per_cpu_nodestats, cpu)->vm_node_stat_diff[item];
	return x;
}

/**
 * node_counter() - read a counter of all nodes
 * @item: which one
 *
 * Return: their sum, exactly, unlike global_node_page_state().
 */
long node_counter(enum node_stat_item item)
{
	long x = 0;
	int nid;

	for_each_online_node(nid)
		x += counter_of_node(nid, item);
	return x;
}

/**
 * counter_of_zone() - read a counter of one zone
 * @zone: the zone
 * @item: which one
 *
 * Return: what it is, exactly, as counter_of_node().
 */
long counter_of_zone(struct zone *zone, enum zone_stat_item item)
{
	long x = atomic_long_read(&zone->vm_stat[item]);
#ifdef CONFIG_SMP
	int cpu;

	for_each_online_cpu(cpu)
		x += per_cpu_ptr(zone->per_cpu_zonestats, cpu)->vm_stat_diff[item];
#endif
	return x;
}

static long zone_counter(enum zone_type zid, enum zone_stat_item item)
{
	struct pglist_data *pgdat;
	long x = 0;

	for_each_online_pgdat(pgdat)
		if (populated_zone(&pgdat->node_zones[zid]))
			x += counter_of_zone(&pgdat->node_zones[zid], item);
	return x;
}

/**
 * counters_read() - read all counters
 * @test: the running test
 *
 * Return: what they are now, for the expectations below.
 */
struct counters *counters_read(struct kunit *test)
{
	struct counters *c = test_zalloc(test, sizeof(*c));
	unsigned int item, zid;

	c->test = test;
	for (item = 0; item < NR_VM_NODE_STAT_ITEMS; item++)
		c->node[item] = node_counter(item);
	for (zid = 0; zid < MAX_NR_ZONES; zid++)
		for (item = 0; item < NR_VM_ZONE_STAT_ITEMS; item++)
			c->zone[zid][item] = zone_counter(zid, item);
	all_vm_events(c->events);
	return c;
}

/* While a CPU folds its counters a page counts twice or not at all: look again. */
static bool may_settle(unsigned int *looks)
{
	if (num_online_cpus() == 1 || ++*looks == 100)
		return false;
	schedule_timeout_uninterruptible(1);
	return true;
}

/**
 * expect_node_change() - expect a counter of nodes to have changed by so much
 * @before: from counters_read()
 * @item: which counter
 * @by: how much more it is now
 */
void expect_node_change(const struct counters *before, enum node_stat_item item,
			long by)
{
	const long due = before->node[item] + by;
	unsigned int looks = 0;

	while (node_counter(item) != due && may_settle(&looks))
		;
	KUNIT_EXPECT_EQ_MSG(before->test, node_counter(item), due,
			    "%s", node_stat_name(item));
}

/**
 * expect_counter_of_node() - expect a counter of one node to be so much
 * @test: the running test
 * @nid: the node
 * @item: which counter
 * @due: how much it is to be
 */
void expect_counter_of_node(struct kunit *test, int nid, enum node_stat_item item, long due)
{
	unsigned int looks = 0;

	while (counter_of_node(nid, item) != due && may_settle(&looks))
		;
	KUNIT_EXPECT_EQ_MSG(test, counter_of_node(nid, item), due,
			    "%s of node %d", node_stat_name(item), nid);
}

/**
 * expect_counter_of_zone() - expect a counter of one zone of one node to be so much
 * @test: the running test
 * @zone: the zone
 * @item: which counter
 * @due: how much it is to be
 */
void expect_counter_of_zone(struct kunit *test, struct zone *zone, enum zone_stat_item item,
			    long due)
{
	unsigned int looks = 0;

	while (counter_of_zone(zone, item) != due && may_settle(&looks))
		;
	KUNIT_EXPECT_EQ_MSG(test, counter_of_zone(zone, item), due,
			    "%s of zone %d of node %d", zone_stat_name(item),
			    (int)zone_idx(zone), zone_to_nid(zone));
}

/**
 * expect_zone_change() - expect a counter of a zone to have changed by so much
 * @before: from counters_read()
 * @zone: which zone, of all nodes
 * @item: which counter
 * @by: how much more it is now
 */
void expect_zone_change(const struct counters *before, enum zone_type zone,
			enum zone_stat_item item, long by)
{
	const long due = before->zone[zone][item] + by;
	unsigned int looks = 0;

	while (zone_counter(zone, item) != due && may_settle(&looks))
		;
	KUNIT_EXPECT_EQ_MSG(before->test, zone_counter(zone, item), due,
			    "%s of zone %d", zone_stat_name(item), zone);
}

/**
 * expect_events() - expect an event to have happened so often
 * @before: from counters_read()
 * @item: which event
 * @nr: how often
 */
void expect_events(const struct counters *before, enum vm_event_item item,
		   long nr)
{
	struct counters *now = test_zalloc(before->test, sizeof(*now));

	all_vm_events(now->events);
	KUNIT_EXPECT_EQ_MSG(before->test, now->events[item] - before->events[item],
			    nr, "event %d", item);
	kunit_kfree(before->test, now);
}

/**
 * expect_lru_change() - expect the sizes of an LRU list to have changed by so much
 * @before: from counters_read()
 * @zone: of which zone; that of all nodes is looked at as well
 * @lru: which list
 * @by: how many more pages are on it now
 */
void expect_lru_change(const struct counters *before, enum zone_type zone,
		       enum lru_list lru, long by)
{
	expect_node_change(before, NR_LRU_BASE + lru, by);
	expect_zone_change(before, zone, NR_ZONE_LRU_BASE + lru, by);
}
