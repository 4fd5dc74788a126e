// SPDX-License-Identifier: GPL-2.0
/*
 * Fault injection: transient references on folios under migration.
 *
 * Page migration fails, or has to wait, while a folio has extra references.  This
 * takes such references before a folio is migrated, and drops them some time later,
 * by the call and from the context that were set.
 *
 * See Documentation/fault-injection/fail_folio_hold.rst
 */

#include <kunit/visibility.h>
#include <linux/debugfs.h>
#include <linux/error-injection.h>
#include <linux/fail_folio_hold.h>
#include <linux/fault-inject.h>
#include <linux/folio_batch.h>
#include <linux/hrtimer.h>
#include <linux/irq_work.h>
#include <linux/kthread.h>
#include <linux/list.h>
#include <linux/llist.h>
#include <linux/migrate.h>
#include <linux/mm.h>
#include <linux/rcupdate.h>
#include <linux/reboot.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "fail_folio_hold.h"
#include "internal.h"

/**
 * struct held_folio - references held on a folio
 * @folio: the folio, which they keep alive
 * @refs: how many
 * @context: where they are dropped
 * @drop: how they are dropped
 * @nr: counts the holds
 * @entry: in ffh_holds until they have been dropped
 * @timer: runs until they have to be
 * @due: in one of ffh_due from then on
 * @rcu: for the drop in an RCU callback, and to free this
 */
struct held_folio {
	struct folio *folio;
	unsigned int refs;
	enum fail_folio_hold_context context;
	enum fail_folio_hold_drop drop;
	u64 nr;
	struct list_head entry;
	struct hrtimer timer;
	struct llist_node due;
	struct rcu_head rcu;
};

VISIBLE_IF_KUNIT struct fail_folio_hold_settings fail_folio_hold_settings = {
	.attr = FAULT_ATTR_INITIALIZER,
	.delay_us = 1000,
	.refs = 1,
	.reasons = BIT(MR_TYPES) - 1,
};

/* Protects ffh_holds, ffh_counters and ffh_accepting. */
static DEFINE_SPINLOCK(ffh_lock);
/* Oldest first. */
static LIST_HEAD(ffh_holds);
static struct fail_folio_hold_counters ffh_counters;
/* Off until the threads that drop references exist, and at shutdown. */
static bool ffh_accepting;
static DECLARE_WAIT_QUEUE_HEAD(ffh_wait);

/*
 * How to drop references
 */

static void ffh_folio_put(struct folio *folio, unsigned int refs)
{
	while (refs--)
		folio_put(folio);
}

static void ffh_folio_put_refs(struct folio *folio, unsigned int refs)
{
	folio_put_refs(folio, refs);
}

static void ffh_put_page(struct folio *folio, unsigned int refs)
{
	while (refs--)
		put_page(&folio->page);
}

static void ffh_folios_put(struct folio *folio, unsigned int refs)
{
	struct folio_batch fbatch;

	folio_batch_init(&fbatch);
	while (refs--)
		if (!folio_batch_add(&fbatch, folio))
			folios_put(&fbatch);
	folios_put(&fbatch);
}

static void ffh_folios_put_refs(struct folio *folio, unsigned int refs)
{
	struct folio_batch fbatch;

	folio_batch_init(&fbatch);
	folio_batch_add(&fbatch, folio);
	folios_put_refs(&fbatch, &refs);
}

static void ffh_release_pages(struct folio *folio, unsigned int refs)
{
	struct page *pages[FOLIO_BATCH_SIZE];
	unsigned int i, nr;

	for (; refs; refs -= nr) {
		nr = min(refs, ARRAY_SIZE(pages));
		for (i = 0; i < nr; i++)
			pages[i] = &folio->page;
		release_pages(pages, nr);
	}
}

static void ffh_unpin_folio(struct folio *folio, unsigned int refs)
{
	while (refs--)
		unpin_folio(folio);
}

static void ffh_folio_ref_sub(struct folio *folio, unsigned int refs)
{
	if (folio_ref_sub_and_test(folio, refs))
		__folio_put(folio);
}

static void (* const ffh_drops[])(struct folio *folio, unsigned int refs) = {
	[FAIL_FOLIO_HOLD_FOLIO_PUT] = ffh_folio_put,
	[FAIL_FOLIO_HOLD_FOLIO_PUT_REFS] = ffh_folio_put_refs,
	[FAIL_FOLIO_HOLD_PUT_PAGE] = ffh_put_page,
	[FAIL_FOLIO_HOLD_FOLIOS_PUT] = ffh_folios_put,
	[FAIL_FOLIO_HOLD_FOLIOS_PUT_REFS] = ffh_folios_put_refs,
	[FAIL_FOLIO_HOLD_RELEASE_PAGES] = ffh_release_pages,
	[FAIL_FOLIO_HOLD_UNPIN_FOLIO] = ffh_unpin_folio,
	[FAIL_FOLIO_HOLD_FOLIO_REF_SUB] = ffh_folio_ref_sub,
};

/*
 * Holds
 */

static bool ffh_take_refs(struct held_folio *hold)
{
	struct folio *folio = hold->folio;
	unsigned int flags = FOLL_GET;

	/* The count must not overflow, however often the folio is held. */
	if (folio_ref_count(folio) > INT_MAX / 2)
		return false;
	if (hold->drop == FAIL_FOLIO_HOLD_UNPIN_FOLIO)
		flags = FOLL_PIN;
	return !try_grab_folio(folio, hold->refs, flags);
}

#if IS_ENABLED(CONFIG_KUNIT)
struct fail_folio_hold_observer *fail_folio_hold_observer;

static void ffh_observe(struct folio *folio)
{
	struct fail_folio_hold_observer *observer = READ_ONCE(fail_folio_hold_observer);

	if (observer)
		observer->dropping(observer, folio);
}
#else
static void ffh_observe(struct folio *folio)
{
}
#endif

static void ffh_end_hold(struct held_folio *hold)
{
	unsigned long flags;

	ffh_observe(hold->folio);
	ffh_drops[hold->drop](hold->folio, hold->refs);

	spin_lock_irqsave(&ffh_lock, flags);
	list_del(&hold->entry);
	ffh_counters.held--;
	ffh_counters.dropped++;
	wake_up_all(&ffh_wait);
	spin_unlock_irqrestore(&ffh_lock, flags);

	/* The timer's callback may not have returned on another CPU. */
	kfree_rcu(hold, rcu);
}

static void ffh_end_hold_rcu(struct rcu_head *rcu)
{
	ffh_end_hold(container_of(rcu, struct held_folio, rcu));
}

static struct llist_head ffh_due[NR_FAIL_FOLIO_HOLD_CONTEXTS];

static void ffh_end_due(enum fail_folio_hold_context context)
{
	struct llist_node *due = llist_del_all(&ffh_due[context]);
	struct held_folio *hold, *next;

	llist_for_each_entry_safe(hold, next, llist_reverse_order(due), due)
		ffh_end_hold(hold);
}

static void ffh_due_in_kthread(struct kthread_work *unused)
{
	ffh_end_due(FAIL_FOLIO_HOLD_KTHREAD);
}

static void ffh_due_in_workqueue(struct work_struct *unused)
{
	ffh_end_due(FAIL_FOLIO_HOLD_WORKQUEUE);
}

static void ffh_due_in_irq_work(struct irq_work *unused)
{
	ffh_end_due(FAIL_FOLIO_HOLD_IRQ_WORK);
}

static struct kthread_worker *ffh_worker;
static DEFINE_KTHREAD_WORK(ffh_kthread_work, ffh_due_in_kthread);
static DECLARE_WORK(ffh_work, ffh_due_in_workqueue);
static DEFINE_IRQ_WORK(ffh_irq_work, ffh_due_in_irq_work);

/* Runs in softirq context. */
static enum hrtimer_restart ffh_timer_fn(struct hrtimer *timer)
{
	struct held_folio *hold = container_of(timer, struct held_folio, timer);
	enum fail_folio_hold_context context = hold->context;

	switch (context) {
	case FAIL_FOLIO_HOLD_KTHREAD:
		llist_add(&hold->due, &ffh_due[context]);
		kthread_queue_work(ffh_worker, &ffh_kthread_work);
		break;
	case FAIL_FOLIO_HOLD_WORKQUEUE:
		llist_add(&hold->due, &ffh_due[context]);
		schedule_work(&ffh_work);
		break;
	case FAIL_FOLIO_HOLD_IRQ_WORK:
		llist_add(&hold->due, &ffh_due[context]);
		irq_work_queue(&ffh_irq_work);
		break;
	case FAIL_FOLIO_HOLD_RCU:
		/* Not lazily: that may add seconds to the delay. */
		call_rcu_hurry(&hold->rcu, ffh_end_hold_rcu);
		break;
	default:
		ffh_end_hold(hold);
		break;
	}
	return HRTIMER_NORESTART;
}

static bool ffh_can_hold(struct folio *folio, enum migrate_reason reason)
{
	struct fail_folio_hold_settings *s = &fail_folio_hold_settings;

	if (!READ_ONCE(ffh_accepting))
		return false;
	if (!(READ_ONCE(s->reasons) & BIT(reason)))
		return false;
	/* Their drivers migrate them whatever the reference count is. */
	return !page_has_movable_ops(&folio->page);
}

/* Overriding this changes when it fires, not which folios are eligible. */
static noinline bool should_fail_folio_hold(struct folio *folio)
{
	struct fail_folio_hold_settings *s = &fail_folio_hold_settings;

	return should_fail(&s->attr, folio_nr_pages(folio));
}
ALLOW_ERROR_INJECTION(should_fail_folio_hold, TRUE);

/**
 * fail_folio_hold() - take transient references on a folio if it is time to
 * @folio: the folio, on which the caller has a reference
 * @reason: why it is migrated
 *
 * To be called before each attempt to migrate a folio.
 *
 * Context: Process context; does not sleep.
 */
void fail_folio_hold(struct folio *folio, enum migrate_reason reason)
{
	struct fail_folio_hold_settings *s = &fail_folio_hold_settings;
	struct held_folio *hold;
	unsigned long flags;

	if (!ffh_can_hold(folio, reason) || !should_fail_folio_hold(folio))
		return;

	hold = kmalloc_obj(*hold, GFP_NOWAIT);
	if (hold) {
		hold->folio = folio;
		hold->refs = READ_ONCE(s->refs);
		hold->context = READ_ONCE(s->context);
		hold->drop = READ_ONCE(s->drop);
		hrtimer_setup(&hold->timer, ffh_timer_fn, CLOCK_MONOTONIC,
			      HRTIMER_MODE_REL_SOFT);
	}

	spin_lock_irqsave(&ffh_lock, flags);
	if (hold && ffh_accepting && ffh_take_refs(hold)) {
		hold->nr = ++ffh_counters.fired;
		ffh_counters.held++;
		list_add_tail(&hold->entry, &ffh_holds);
		hrtimer_start(&hold->timer, us_to_ktime(READ_ONCE(s->delay_us)),
			      HRTIMER_MODE_REL_SOFT);
		hold = NULL;
	} else {
		ffh_counters.missed++;
	}
	spin_unlock_irqrestore(&ffh_lock, flags);
	kfree(hold);
}

static bool ffh_any_lasts(u64 nr)
{
	struct held_folio *oldest;
	unsigned long flags;
	bool ret;

	spin_lock_irqsave(&ffh_lock, flags);
	oldest = list_first_entry_or_null(&ffh_holds, struct held_folio, entry);
	ret = oldest && oldest->nr <= nr;
	spin_unlock_irqrestore(&ffh_lock, flags);
	return ret;
}

VISIBLE_IF_KUNIT struct fail_folio_hold_counters fail_folio_hold_count(void)
{
	struct fail_folio_hold_counters ret;
	unsigned long flags;

	spin_lock_irqsave(&ffh_lock, flags);
	ret = ffh_counters;
	spin_unlock_irqrestore(&ffh_lock, flags);
	return ret;
}

/* Wait until all holds that were taken so far have ended. */
VISIBLE_IF_KUNIT void fail_folio_hold_wait(void)
{
	u64 fired = fail_folio_hold_count().fired;

	wait_event(ffh_wait, !ffh_any_lasts(fired));
}

/**
 * fail_folio_hold_drain() - end all holds now
 *
 * The references are dropped where and how they would have been later.  Holds
 * that are taken meanwhile are left alone.
 *
 * Context: Process context; sleeps until the references are gone.
 */
void fail_folio_hold_drain(void)
{
	struct held_folio *hold;
	unsigned long flags;

	spin_lock_irqsave(&ffh_lock, flags);
	list_for_each_entry(hold, &ffh_holds, entry)
		if (hrtimer_try_to_cancel(&hold->timer) == 1)
			hrtimer_start(&hold->timer, 0, HRTIMER_MODE_REL_SOFT);
	spin_unlock_irqrestore(&ffh_lock, flags);

	fail_folio_hold_wait();
}

VISIBLE_IF_KUNIT void fail_folio_hold_accept(bool accept)
{
	unsigned long flags;

	spin_lock_irqsave(&ffh_lock, flags);
	WRITE_ONCE(ffh_accepting, accept);
	spin_unlock_irqrestore(&ffh_lock, flags);
}

static int ffh_reboot(struct notifier_block *nb, unsigned long action, void *data)
{
	fail_folio_hold_accept(false);
	fail_folio_hold_drain();
	return NOTIFY_DONE;
}

VISIBLE_IF_KUNIT struct notifier_block fail_folio_hold_reboot_nb = {
	.notifier_call = ffh_reboot,
};

VISIBLE_IF_KUNIT int __init fail_folio_hold_setup(char *str)
{
	return setup_fault_attr(&fail_folio_hold_settings.attr, str);
}
__setup("fail_folio_hold=", fail_folio_hold_setup);

static int __init ffh_init(void)
{
	int ret;

	ffh_worker = kthread_run_worker(0, "fail_folio_hold");
	if (IS_ERR(ffh_worker))
		return PTR_ERR(ffh_worker);
	ret = register_reboot_notifier(&fail_folio_hold_reboot_nb);
	if (ret) {
		kthread_destroy_worker(ffh_worker);
		return ret;
	}
	fail_folio_hold_accept(true);
	return 0;
}
late_initcall(ffh_init);

#ifdef CONFIG_FAULT_INJECTION_DEBUG_FS

/**
 * struct ffh_choice - a setting whose values have names
 * @names: the names
 * @nr: how many there are
 * @mask: any number of them can be chosen, as a mask; else one, by its index
 * @value: the setting
 */
struct ffh_choice {
	const char * const *names;
	unsigned int nr;
	bool mask;
	u32 *value;
};

VISIBLE_IF_KUNIT const char * const fail_folio_hold_contexts[] = {
	[FAIL_FOLIO_HOLD_KTHREAD] = "kthread",
	[FAIL_FOLIO_HOLD_WORKQUEUE] = "workqueue",
	[FAIL_FOLIO_HOLD_SOFTIRQ] = "softirq",
	[FAIL_FOLIO_HOLD_IRQ_WORK] = "irq_work",
	[FAIL_FOLIO_HOLD_RCU] = "rcu",
};

VISIBLE_IF_KUNIT const char * const fail_folio_hold_drops[] = {
	[FAIL_FOLIO_HOLD_FOLIO_PUT] = "folio_put",
	[FAIL_FOLIO_HOLD_FOLIO_PUT_REFS] = "folio_put_refs",
	[FAIL_FOLIO_HOLD_PUT_PAGE] = "put_page",
	[FAIL_FOLIO_HOLD_FOLIOS_PUT] = "folios_put",
	[FAIL_FOLIO_HOLD_FOLIOS_PUT_REFS] = "folios_put_refs",
	[FAIL_FOLIO_HOLD_RELEASE_PAGES] = "release_pages",
	[FAIL_FOLIO_HOLD_UNPIN_FOLIO] = "unpin_folio",
	[FAIL_FOLIO_HOLD_FOLIO_REF_SUB] = "folio_ref_sub",
};

static struct ffh_choice ffh_reasons = {
	.names = migrate_reason_names,
	.nr = MR_TYPES,
	.mask = true,
	.value = &fail_folio_hold_settings.reasons,
};

static struct ffh_choice ffh_context = {
	.names = fail_folio_hold_contexts,
	.nr = ARRAY_SIZE(fail_folio_hold_contexts),
	.value = &fail_folio_hold_settings.context,
};

static struct ffh_choice ffh_drop = {
	.names = fail_folio_hold_drops,
	.nr = ARRAY_SIZE(fail_folio_hold_drops),
	.value = &fail_folio_hold_settings.drop,
};

static int ffh_choice_show(struct seq_file *m, void *unused)
{
	const struct ffh_choice *c = m->private;
	u32 value = READ_ONCE(*c->value);
	unsigned int i;

	if (!c->mask)
		value = BIT(value);
	for (i = 0; i < c->nr; i++) {
		if (i)
			seq_putc(m, ' ');
		seq_printf(m, value & BIT(i) ? "[%s]" : "%s", c->names[i]);
	}
	seq_putc(m, '\n');
	return 0;
}

static ssize_t ffh_choice_write(struct file *file, const char __user *ubuf,
				size_t count, loff_t *ppos)
{
	const struct ffh_choice *c = ((struct seq_file *)file->private_data)->private;
	char *buf, *words, *word;
	ssize_t ret = -EINVAL;
	u32 mask = 0;
	int i;

	if (count >= PAGE_SIZE)
		return -EINVAL;
	buf = memdup_user_nul(ubuf, count);
	if (IS_ERR(buf))
		return PTR_ERR(buf);

	words = buf;
	while ((word = strsep(&words, " ,\n"))) {
		if (!*word)
			continue;
		i = match_string(c->names, c->nr, word);
		if (i < 0)
			goto out;
		mask |= BIT(i);
	}
	if (c->mask)
		WRITE_ONCE(*c->value, mask);
	else if (is_power_of_2(mask))
		WRITE_ONCE(*c->value, __ffs(mask));
	else
		goto out;
	ret = count;
out:
	kfree(buf);
	return ret;
}
DEFINE_SHOW_STORE_ATTRIBUTE(ffh_choice);

static int ffh_refs_get(void *data, u64 *val)
{
	*val = READ_ONCE(fail_folio_hold_settings.refs);
	return 0;
}

static int ffh_refs_set(void *data, u64 val)
{
	if (!val || val > FAIL_FOLIO_HOLD_MAX_REFS)
		return -EINVAL;
	WRITE_ONCE(fail_folio_hold_settings.refs, val);
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(ffh_refs_fops, ffh_refs_get, ffh_refs_set, "%llu\n");

static int ffh_drain_set(void *data, u64 val)
{
	fail_folio_hold_drain();
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(ffh_drain_fops, NULL, ffh_drain_set, "%llu\n");

static int __init ffh_init_debugfs(void)
{
	struct fail_folio_hold_settings *s = &fail_folio_hold_settings;
	umode_t mode = S_IFREG | 0600;
	umode_t read_only = S_IFREG | 0400;
	struct dentry *dir;

	dir = fault_create_debugfs_attr("fail_folio_hold", NULL, &s->attr);
	if (IS_ERR(dir))
		return PTR_ERR(dir);

	debugfs_create_u32("delay-us", mode, dir, &s->delay_us);
	debugfs_create_file_unsafe("refs", mode, dir, NULL, &ffh_refs_fops);
	debugfs_create_file("reasons", mode, dir, &ffh_reasons, &ffh_choice_fops);
	debugfs_create_file("context", mode, dir, &ffh_context, &ffh_choice_fops);
	debugfs_create_file("drop", mode, dir, &ffh_drop, &ffh_choice_fops);
	debugfs_create_u64("fired", read_only, dir, &ffh_counters.fired);
	debugfs_create_u64("dropped", read_only, dir, &ffh_counters.dropped);
	debugfs_create_u64("held", read_only, dir, &ffh_counters.held);
	debugfs_create_u64("missed", read_only, dir, &ffh_counters.missed);
	debugfs_create_file_unsafe("drain", S_IFREG | 0200, dir, NULL, &ffh_drain_fops);
	return 0;
}
late_initcall(ffh_init_debugfs);

#endif /* CONFIG_FAULT_INJECTION_DEBUG_FS */
