/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The ways to drop a folio reference, and the contexts to do so from, as data
 * for KUnit tests.
 */
#ifndef _MM_TESTS_FOLIO_DROP_H
#define _MM_TESTS_FOLIO_DROP_H

#include <linux/types.h>

struct folio;

/**
 * enum folio_drop_kind - what a drop of references goes through
 * @FOLIO_DROP_PUT: folio_put(), folio_put_refs(), folios_put_refs(), and all
 *	that is built on them
 * @FOLIO_DROP_REF_SUB: folio_ref_sub() and folio_ref_dec(), which look at
 *	nothing
 * @FOLIO_DROP_TESTZERO: folio_put_testzero() and the like, for callers that free
 *	the folio themselves
 * @FOLIO_DROP_UNFREEZE: folio_ref_unfreeze() to less than was frozen
 * @FOLIO_DROP_FREE_PAGES: __free_pages() and what is built on it
 * @FOLIO_DROP_PAGE_FRAG: fragments of a page, as network drivers use them
 * @FOLIO_DROP_RECLAIM: remove_mapping(), for the page cache's reference
 *
 * A series wakes on some of these and not on others, see
 * &wait_promises.waking_drops.  The zone device branch of folios_put_refs() is not
 * covered: UML has no such memory.
 */
enum folio_drop_kind {
	FOLIO_DROP_PUT,
	FOLIO_DROP_REF_SUB,
	FOLIO_DROP_TESTZERO,
	FOLIO_DROP_UNFREEZE,
	FOLIO_DROP_FREE_PAGES,
	FOLIO_DROP_PAGE_FRAG,
	FOLIO_DROP_RECLAIM,
};

/**
 * struct folio_drop - a way to drop references on a folio
 * @name: short name without spaces, for parameter descriptions
 * @kind: what it goes through
 * @order: the least order of a folio that can be used
 * @refs: number of references that are to be dropped
 * @drops: how often the reference count goes down on that way
 * @pin: the references are pins
 * @task_only: may only be used where one may sleep
 * @locks: may take the folio lock before
 * @take: takes what @drop is to drop, returns 0 or a negative errno; NULL for
 *	@refs references, or pins
 * @drop: drops @refs references on a folio
 */
struct folio_drop {
	const char *name;
	enum folio_drop_kind kind;
	unsigned int order;
	int refs;
	int drops;
	bool pin;
	bool task_only;
	bool locks;
	int (*take)(struct folio *folio);
	void (*drop)(struct folio *folio, int refs);
};

/* All of FOLIO_DROP_PUT.  Sized, so that PARAM_ARRAY() knows their number. */
extern const struct folio_drop folio_drops[29];

/* The others. */
extern const struct folio_drop bypassing_drops[12];

void drop_folio_put(struct folio *folio, int refs);
void drop_unpin_folio(struct folio *folio, int refs);
int folio_drop_take(const struct folio_drop *how, struct folio *folio);

/* Otherwise a kthread may call them, with softirqs off. */
#define RCU_CALLBACKS_IN_SOFTIRQ \
	(!IS_ENABLED(CONFIG_RCU_NOCB_CPU) && !IS_ENABLED(CONFIG_PREEMPT_RT))

/**
 * struct exec_context - a context that code can run in
 * @name: short name without spaces, for parameter descriptions
 * @atomic: must not sleep there
 * @here: are we in that context?
 * @run: calls a function there, returns when that is done
 * @not_on_rt: @run does not get there with PREEMPT_RT, where interrupts stay on
 *	and handlers are threads or softirqs
 */
struct exec_context {
	const char *name;
	bool atomic;
	bool (*here)(void);
	int (*run)(void (*fn)(void *data), void *data);
	bool not_on_rt;
};

extern const struct exec_context exec_contexts[10];

#endif /* _MM_TESTS_FOLIO_DROP_H */
