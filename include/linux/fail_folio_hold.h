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

void fail_folio_hold(struct folio *folio, enum migrate_reason reason);
void fail_folio_hold_drain(void);

#else /* CONFIG_FAIL_FOLIO_HOLD */

static inline void fail_folio_hold(struct folio *folio, enum migrate_reason reason)
{
}

static inline void fail_folio_hold_drain(void)
{
}

#endif /* CONFIG_FAIL_FOLIO_HOLD */

#endif /* _LINUX_FAIL_FOLIO_HOLD_H */
