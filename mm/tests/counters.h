/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the counters of /proc/vmstat say of a stretch of a KUnit test.
 */
#ifndef _MM_TESTS_COUNTERS_H
#define _MM_TESTS_COUNTERS_H

#include <kunit/test.h>
#include <linux/mm.h>
#include <linux/vmstat.h>

/**
 * struct counters - all counters at one time, in pages or events
 * @test: the running test
 * @node: by &enum node_stat_item, of all nodes
 * @zone: by zone and &enum zone_stat_item, of all nodes
 * @events: by &enum vm_event_item
 */
struct counters {
	struct kunit *test;
	long node[NR_VM_NODE_STAT_ITEMS];
	long zone[MAX_NR_ZONES][NR_VM_ZONE_STAT_ITEMS];
	unsigned long events[NR_VM_EVENT_ITEMS];
};

long node_counter(enum node_stat_item item);
long counter_of_node(int nid, enum node_stat_item item);
long counter_of_zone(struct zone *zone, enum zone_stat_item item);
struct counters *counters_read(struct kunit *test);
void expect_node_change(const struct counters *before, enum node_stat_item item,
			long by);
void expect_counter_of_node(struct kunit *test, int nid, enum node_stat_item item, long due);
void expect_counter_of_zone(struct kunit *test, struct zone *zone, enum zone_stat_item item,
			    long due);
void expect_zone_change(const struct counters *before, enum zone_type zone,
			enum zone_stat_item item, long by);
void expect_events(const struct counters *before, enum vm_event_item item,
		   long nr);
void expect_lru_change(const struct counters *before, enum zone_type zone,
		       enum lru_list lru, long by);

#endif /* _MM_TESTS_COUNTERS_H */
