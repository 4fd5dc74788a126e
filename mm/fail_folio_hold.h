/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Fault injection: transient references on folios under migration.
 * What the injector shares with its tests.
 */
#ifndef _MM_FAIL_FOLIO_HOLD_H
#define _MM_FAIL_FOLIO_HOLD_H

#include <linux/fault-inject.h>
#include <linux/types.h>

/* The most references that one hold can have. */
#define FAIL_FOLIO_HOLD_MAX_REFS	1024

/* Where the references are dropped. */
enum fail_folio_hold_context {
	FAIL_FOLIO_HOLD_KTHREAD,
	FAIL_FOLIO_HOLD_WORKQUEUE,
	FAIL_FOLIO_HOLD_SOFTIRQ,
	FAIL_FOLIO_HOLD_IRQ_WORK,
	FAIL_FOLIO_HOLD_RCU,
	NR_FAIL_FOLIO_HOLD_CONTEXTS
};

/* How they are dropped. */
enum fail_folio_hold_drop {
	FAIL_FOLIO_HOLD_FOLIO_PUT,
	FAIL_FOLIO_HOLD_FOLIO_PUT_REFS,
	FAIL_FOLIO_HOLD_PUT_PAGE,
	FAIL_FOLIO_HOLD_FOLIOS_PUT,
	FAIL_FOLIO_HOLD_FOLIOS_PUT_REFS,
	FAIL_FOLIO_HOLD_RELEASE_PAGES,
	FAIL_FOLIO_HOLD_UNPIN_FOLIO,
	FAIL_FOLIO_HOLD_FOLIO_REF_SUB,
	NR_FAIL_FOLIO_HOLD_DROPS
};

/**
 * struct fail_folio_hold_settings - what is set through debugfs
 * @attr: when a hold is taken
 * @delay_us: how long it lasts, in microseconds
 * @refs: how many references it has, 1 to %FAIL_FOLIO_HOLD_MAX_REFS
 * @reasons: for which reasons for a migration one is taken, a mask of
 *	1 << &enum migrate_reason
 * @context: where it ends, an &enum fail_folio_hold_context
 * @drop: how it ends, an &enum fail_folio_hold_drop
 */
struct fail_folio_hold_settings {
	struct fault_attr attr;
	u32 delay_us;
	u32 refs;
	u32 reasons;
	u32 context;
	u32 drop;
};

/**
 * struct fail_folio_hold_counters - what has become of the holds since boot
 * @fired: holds taken
 * @dropped: holds that have ended
 * @held: holds that last
 * @missed: holds that could not be taken, for want of memory or because the
 *	folio had too many references already
 */
struct fail_folio_hold_counters {
	u64 fired;
	u64 dropped;
	u64 held;
	u64 missed;
};

#if IS_ENABLED(CONFIG_KUNIT)
struct folio;
struct notifier_block;

/**
 * struct fail_folio_hold_observer - lets tests see a hold end
 * @dropping: called where the references are dropped, right before
 */
struct fail_folio_hold_observer {
	void (*dropping)(struct fail_folio_hold_observer *observer,
			 struct folio *folio);
};

extern struct fail_folio_hold_observer *fail_folio_hold_observer;
extern struct fail_folio_hold_settings fail_folio_hold_settings;
extern const char * const fail_folio_hold_contexts[NR_FAIL_FOLIO_HOLD_CONTEXTS];
extern const char * const fail_folio_hold_drops[NR_FAIL_FOLIO_HOLD_DROPS];
extern struct notifier_block fail_folio_hold_reboot_nb;

struct fail_folio_hold_counters fail_folio_hold_count(void);
void fail_folio_hold_wait(void);
void fail_folio_hold_accept(bool accept);
int fail_folio_hold_setup(char *str);
#endif

#endif /* _MM_FAIL_FOLIO_HOLD_H */
