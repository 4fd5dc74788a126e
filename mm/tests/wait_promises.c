// SPDX-License-Identifier: GPL-2.0
/*
 * What each series promises of the wait for folio references, as data.
 */

#include <linux/bits.h>
#include <linux/jiffies.h>
#include <linux/moduleparam.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "folio_fixture.h"

static const struct wait_promises tables[] = {
	{
		.series = "rfc",
		.wait = HZ,
		.async_attempts = 3,
		.sync_attempts = 7,
		.recounts = false,
		.waking_drops = BIT(FOLIO_DROP_PUT),
		.per_folio = true,
		.retries_after_wait = false,
		.holds_folio = true,
		.holds_batch = true,
		.killable = false,
	},
};

static const struct wait_promises *chosen = &tables[0];

static int promises_set(const char *val, const struct kernel_param *kp)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(tables); i++) {
		if (sysfs_streq(val, tables[i].series)) {
			chosen = &tables[i];
			return 0;
		}
	}
	chosen = NULL;
	return -EINVAL;
}

static int promises_get(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%s\n", chosen ? chosen->series : "none");
}

static const struct kernel_param_ops promises_ops = {
	.set = promises_set,
	.get = promises_get,
};

#undef MODULE_PARAM_PREFIX
#define MODULE_PARAM_PREFIX "folio_fixture."

module_param_cb(promises, &promises_ops, NULL, 0444);
MODULE_PARM_DESC(promises, "series whose promises the suites assert");

/**
 * wait_promises() - what the series under test promises
 *
 * Return: the table of the series that folio_fixture.promises= names, the first
 * of all without that parameter, NULL if there is no such series.
 */
const struct wait_promises *wait_promises(void)
{
	return chosen;
}
