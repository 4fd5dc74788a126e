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
		.has_key = true,
		.wait = HZ,
		.async_attempts = 3,
		.sync_attempts = 7,
		.recounts = false,
		.waking_drops = BIT(FOLIO_DROP_PUT),
		.hugetlb = false,
		.per_folio = true,
		.retries_after_wait = false,
		.holds_folio = true,
		.holds_batch = true,
		.killable = false,
		/* Jump labels change under the lock of CPU hotplug. */
		.hotplug_deadlock = IS_ENABLED(CONFIG_JUMP_LABEL) && IS_ENABLED(CONFIG_HOTPLUG_CPU),
	},
	{
		.series = "none",
		.has_key = false,
		.wait = 0,
		.async_attempts = 3,
		.sync_attempts = 7,
		.waking_drops = 0,
		.holds_folio = true,
		.holds_batch = true,
		.killable = false,
	},
};

static const struct wait_promises *chosen;
static bool unknown;

static int promises_set(const char *val, const struct kernel_param *kp)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(tables); i++) {
		if (sysfs_streq(val, tables[i].series)) {
			chosen = &tables[i];
			unknown = false;
			return 0;
		}
	}
	chosen = NULL;
	unknown = true;
	return -EINVAL;
}

static int promises_get(char *buffer, const struct kernel_param *kp)
{
	const struct wait_promises *promises = wait_promises();

	return sysfs_emit(buffer, "%s\n", promises ? promises->series : "unknown");
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
 * Return: the table of the series that folio_fixture.promises= names, NULL if
 * there is no such series.  Without that parameter the first whose key this
 * kernel has, or that has none either.
 */
const struct wait_promises *wait_promises(void)
{
	int i;

	for (i = 0; !chosen && !unknown && i < ARRAY_SIZE(tables); i++)
		if (tables[i].has_key == folio_has_wakeup_key())
			chosen = &tables[i];
	return chosen;
}
