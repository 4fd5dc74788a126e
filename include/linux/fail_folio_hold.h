/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Fault injection: transient references on folios under migration.
 * See Documentation/fault-injection/fail_folio_hold.rst
 */
#ifndef _LINUX_FAIL_FOLIO_HOLD_H
#define _LINUX_FAIL_FOLIO_HOLD_H

#include <linux/migrate_mode.h>

struct folio;

#ifdef CONFIG_FAIL_FOLIO_HOLD

#include <linux/fault-inject.h>
#include <linux/types.h>

void fail_folio_hold(struct folio *folio, enum migrate_reason reason);
void fail_folio_hold_drain(void);

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
 * struct fail_folio_hold_observer - lets tests see a hold end
 * @dropping: called where the references are dropped, right before
 */
struct fail_folio_hold_observer {
	void (*dropping)(struct fail_folio_hold_observer *observer,
			 struct folio *folio);
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
 * @observer: of tests, may be NULL
 */
struct fail_folio_hold_settings {
	struct fault_attr attr;
	u32 delay_us;
	u32 refs;
	u32 reasons;
	u32 context;
	u32 drop;
#if IS_ENABLED(CONFIG_KUNIT)
	struct fail_folio_hold_observer *observer;
#endif
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
struct notifier_block;

extern struct fail_folio_hold_settings fail_folio_hold_settings;
extern struct notifier_block fail_folio_hold_reboot_nb;

struct fail_folio_hold_counters fail_folio_hold_count(void);
void fail_folio_hold_wait(void);
void fail_folio_hold_accept(bool accept);
int fail_folio_hold_setup(char *str);
#endif

#else /* CONFIG_FAIL_FOLIO_HOLD */

static inline void fail_folio_hold(struct folio *folio, enum migrate_reason reason)
{
}

static inline void fail_folio_hold_drain(void)
{
}

#endif /* CONFIG_FAIL_FOLIO_HOLD */

#endif /* _LINUX_FAIL_FOLIO_HOLD_H */
