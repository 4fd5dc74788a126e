// SPDX-License-Identifier: GPL-2.0
/*
 * The ways to drop a folio reference, and the contexts to do so from.
 */

#include <linux/completion.h>
#include <linux/folio_batch.h>
#include <linux/hrtimer.h>
#include <linux/irq_work.h>
#include <linux/kthread.h>
#include <linux/page_frag_cache.h>
#include <linux/pagemap.h>
#include <linux/rcupdate.h>
#include <linux/sched/task.h>
#include <linux/spinlock.h>
#include <linux/swap.h>
#include <linux/timer.h>
#include <linux/workqueue.h>

#include "../internal.h"
#include "folio_drop.h"

/* Size of the arrays that some ways take. */
#define MAX_ARRAY	4

static struct page *last_page(struct folio *folio)
{
	return folio_page(folio, folio_nr_pages(folio) - 1);
}

/* A way that drops one reference at a time. */
#define DROP_EACH(_name, _call)						\
static void _name(struct folio *folio, int refs)				\
{										\
	while (refs--)								\
		_call;								\
}

/**
 * drop_folio_put() - drop references one by one
 * @folio: the folio
 * @refs: how many
 */
void drop_folio_put(struct folio *folio, int refs)
{
	while (refs--)
		folio_put(folio);
}

DROP_EACH(drop_put_page, put_page(&folio->page));
DROP_EACH(drop_put_tail_page, put_page(last_page(folio)));

static void fill_batch(struct folio_batch *batch, struct folio *folio, int refs)
{
	folio_batch_init(batch);
	while (refs--)
		folio_batch_add(batch, folio);
}

static void drop_folios_put(struct folio *folio, int refs)
{
	struct folio_batch batch;

	fill_batch(&batch, folio, refs);
	folios_put(&batch);
}

static void drop_folios_put_refs(struct folio *folio, int refs)
{
	unsigned int nr[] = { refs };
	struct folio_batch batch;

	fill_batch(&batch, folio, 1);
	folios_put_refs(&batch, nr);
}

static void drop_folio_batch_release(struct folio *folio, int refs)
{
	struct folio_batch batch;

	fill_batch(&batch, folio, refs);
	folio_batch_release(&batch);
}

static void fill_pages(struct page *pages[MAX_ARRAY], struct folio *folio)
{
	int i;

	for (i = 0; i < MAX_ARRAY; i++)
		pages[i] = last_page(folio);
}

static void drop_release_pages(struct folio *folio, int refs)
{
	struct page *pages[MAX_ARRAY];

	fill_pages(pages, folio);
	release_pages(pages, refs);
}

/* One page, and how many references: as mmu_gather has it. */
static void encode(struct encoded_page *pages[2], struct folio *folio, int refs)
{
	pages[0] = encode_page(&folio->page, ENCODED_PAGE_BIT_NR_PAGES_NEXT);
	pages[1] = encode_nr_pages(refs);
}

static void drop_release_pages_encoded(struct folio *folio, int refs)
{
	struct encoded_page *pages[2];

	encode(pages, folio, refs);
	release_pages(pages, ARRAY_SIZE(pages));
}

DROP_EACH(drop_free_folio_and_swap_cache, free_folio_and_swap_cache(folio));

static void drop_free_pages_and_swap_cache(struct folio *folio, int refs)
{
	struct encoded_page *pages[2];

	encode(pages, folio, refs);
	free_pages_and_swap_cache(pages, ARRAY_SIZE(pages));
}

DROP_EACH(drop_unpin_user_page, unpin_user_page(last_page(folio)));

static void drop_unpin_user_pages(struct folio *folio, int refs)
{
	struct page *pages[MAX_ARRAY];

	fill_pages(pages, folio);
	unpin_user_pages(pages, refs);
}

static void drop_unpin_user_pages_clean(struct folio *folio, int refs)
{
	struct page *pages[MAX_ARRAY];

	fill_pages(pages, folio);
	unpin_user_pages_dirty_lock(pages, refs, false);
}

static void drop_unpin_user_pages_dirty(struct folio *folio, int refs)
{
	struct page *pages[MAX_ARRAY];

	fill_pages(pages, folio);
	unpin_user_pages_dirty_lock(pages, refs, true);
}

static void drop_unpin_range_clean(struct folio *folio, int refs)
{
	unpin_user_page_range_dirty_lock(&folio->page, refs, false);
}

static void drop_unpin_range_dirty(struct folio *folio, int refs)
{
	unpin_user_page_range_dirty_lock(&folio->page, refs, true);
}

static void drop_unpin_user_folio(struct folio *folio, int refs)
{
	unpin_user_folio(folio, refs);
}

/**
 * drop_unpin_folio() - drop pins one by one
 * @folio: the folio
 * @refs: how many
 */
void drop_unpin_folio(struct folio *folio, int refs)
{
	while (refs--)
		unpin_folio(folio);
}

static void drop_unpin_folios(struct folio *folio, int refs)
{
	struct folio *folios[MAX_ARRAY];
	int i;

	for (i = 0; i < MAX_ARRAY; i++)
		folios[i] = folio;
	unpin_folios(folios, refs);
}

/* Of references, of pins, and of pins on what is made dirty first. */
#define PUT(_name, _order, _refs, _drops, _drop, ...)				\
	{ .name = _name, .kind = FOLIO_DROP_PUT, .order = _order,		\
	  .refs = _refs, .drops = _drops, .drop = _drop, __VA_ARGS__ }
#define UNPIN(...)		PUT(__VA_ARGS__, .pin = true)
#define UNPIN_DIRTY(...)	UNPIN(__VA_ARGS__, .task_only = true, .locks = true)

const struct folio_drop folio_drops[] = {
	PUT("folio_put",			0,  1,  1, drop_folio_put),
	PUT("folio_put-many",			0, 64, 64, drop_folio_put),
	PUT("folio_put-large",			2,  1,  1, drop_folio_put),
	PUT("put_page",				0,  1,  1, drop_put_page),
	PUT("put_page-tail",			2,  1,  1, drop_put_tail_page),
	PUT("folio_put_refs",			0,  1,  1, folio_put_refs),
	PUT("folio_put_refs-many",		0, 64,  1, folio_put_refs),
	PUT("folios_put",			0,  1,  1, drop_folios_put),
	PUT("folios_put-same",			0,  3,  3, drop_folios_put),
	PUT("folios_put_refs",			0,  1,  1, drop_folios_put_refs),
	PUT("folios_put_refs-many",		0, 64,  1, drop_folios_put_refs),
	PUT("folios_put_refs-large",		2,  4,  1, drop_folios_put_refs),
	/* Drains the LRU batches of its CPU, not allowed in interrupts. */
	PUT("folio_batch_release",		0,  3,  3, drop_folio_batch_release,
	    .task_only = true),
	PUT("release_pages",			0,  3,  3, drop_release_pages),
	PUT("release_pages-encoded",		2,  3,  1, drop_release_pages_encoded),
	PUT("free_folio_and_swap_cache",	0,  3,  3, drop_free_folio_and_swap_cache),
	PUT("free_pages_and_swap_cache",	0,  3,  1, drop_free_pages_and_swap_cache),
	UNPIN("unpin_user_page",		0,  1,  1, drop_unpin_user_page),
	UNPIN("unpin_user_page-many",		0,  3,  3, drop_unpin_user_page),
	UNPIN("unpin_user_page-large",		2,  1,  1, drop_unpin_user_page),
	UNPIN("unpin_user_pages",		0,  3,  1, drop_unpin_user_pages),
	UNPIN("unpin_user_pages-clean",		0,  3,  1, drop_unpin_user_pages_clean),
	UNPIN_DIRTY("unpin_user_pages-dirty",	0,  3,  1, drop_unpin_user_pages_dirty),
	UNPIN("unpin_range-clean",		2,  3,  1, drop_unpin_range_clean),
	UNPIN_DIRTY("unpin_range-dirty",	2,  3,  1, drop_unpin_range_dirty),
	UNPIN("unpin_user_folio",		2,  3,  1, drop_unpin_user_folio),
	UNPIN("unpin_folio",			0,  1,  1, drop_unpin_folio),
	UNPIN("unpin_folio-large",		2,  1,  1, drop_unpin_folio),
	UNPIN("unpin_folios",			0,  3,  1, drop_unpin_folios),
};

/*
 * These never drop the last reference: some would free the folio, others leak it.
 */
DROP_EACH(drop_folio_ref_dec, folio_ref_dec(folio));

static void drop_folio_ref_sub_return(struct folio *folio, int refs)
{
	folio_ref_sub_return(folio, refs);
}

DROP_EACH(drop_folio_ref_dec_return, folio_ref_dec_return(folio));
DROP_EACH(drop_folio_put_testzero, WARN_ON(folio_put_testzero(folio)));

static void drop_folio_ref_sub_and_test(struct folio *folio, int refs)
{
	WARN_ON(folio_ref_sub_and_test(folio, refs));
}

static void drop_folio_ref_unfreeze(struct folio *folio, int refs)
{
	int count;

	/* A lookup elsewhere may hold a reference for a moment. */
	do
		count = folio_ref_count(folio);
	while (!folio_ref_freeze(folio, count));
	folio_ref_unfreeze(folio, count - refs);
}

DROP_EACH(drop___free_pages, __free_pages(&folio->page, folio_order(folio)));
DROP_EACH(drop_free_pages, free_pages((unsigned long)folio_address(folio), folio_order(folio)));
DROP_EACH(drop_free_pages_nolock, free_pages_nolock(&folio->page, folio_order(folio)));
DROP_EACH(drop_page_frag_free, page_frag_free(folio_address(folio)));

static void drop_page_frag_cache_drain(struct folio *folio, int refs)
{
	__page_frag_cache_drain(&folio->page, refs);
}

#define BYPASS(_name, _kind, _refs, _drops, _drop)				\
	{ .name = _name, .kind = FOLIO_DROP_##_kind, .refs = _refs,		\
	  .drops = _drops, .drop = _drop }

const struct folio_drop bypassing_drops[] = {
	BYPASS("folio_ref_sub",		REF_SUB,    3, 1, folio_ref_sub),
	BYPASS("folio_ref_dec",		REF_SUB,    3, 3, drop_folio_ref_dec),
	BYPASS("folio_ref_sub_return",	REF_SUB,    3, 1, drop_folio_ref_sub_return),
	BYPASS("folio_ref_dec_return",	REF_SUB,    3, 3, drop_folio_ref_dec_return),
	BYPASS("folio_put_testzero",	TESTZERO,   3, 3, drop_folio_put_testzero),
	BYPASS("folio_ref_sub_and_test", TESTZERO,  3, 1, drop_folio_ref_sub_and_test),
	BYPASS("folio_ref_unfreeze",	UNFREEZE,   3, 1, drop_folio_ref_unfreeze),
	BYPASS("__free_pages",		FREE_PAGES, 3, 3, drop___free_pages),
	BYPASS("free_pages",		FREE_PAGES, 3, 3, drop_free_pages),
	BYPASS("free_pages_nolock",	FREE_PAGES, 3, 3, drop_free_pages_nolock),
	BYPASS("page_frag_free",	PAGE_FRAG,  3, 3, drop_page_frag_free),
	BYPASS("page_frag_cache_drain",	PAGE_FRAG,  3, 1, drop_page_frag_cache_drain),
};

/**
 * folio_drop_take() - take the references that a drop is to drop
 * @how: the way they will be dropped
 * @folio: the folio, which has a reference already
 *
 * Return: 0, or a negative errno.
 */
int folio_drop_take(const struct folio_drop *how, struct folio *folio)
{
	if (how->take)
		return how->take(folio);
	return try_grab_folio(folio, how->refs, how->pin ? FOLL_PIN : FOLL_GET);
}

/*
 * Contexts.  run() returns after what it runs, so all of this is on the stack.
 */

struct exec_call {
	void (*fn)(void *data);
	void *data;
	struct completion done;
	union {
		struct work_struct work;
		struct timer_list timer;
		struct hrtimer hrtimer;
		struct irq_work irq_work;
		struct rcu_head rcu;
		struct completion start;
	};
};

static void exec_call_init(struct exec_call *call, void (*fn)(void *data), void *data)
{
	call->fn = fn;
	call->data = data;
	init_completion(&call->done);
}

static bool in_some_task(void)
{
	return in_task() && !irqs_disabled();
}

static int run_in_task(void (*fn)(void *data), void *data)
{
	fn(data);
	return 0;
}

static bool irqs_are_off(void)
{
	return irqs_disabled() && !in_interrupt();
}

static int run_with_irqs_off(void (*fn)(void *data), void *data)
{
	static DEFINE_SPINLOCK(lock);
	unsigned long flags;

	spin_lock_irqsave(&lock, flags);
	fn(data);
	spin_unlock_irqrestore(&lock, flags);
	return 0;
}

static bool in_kthread(void)
{
	return in_task() && !strcmp(current->comm, "exec_context");
}

static int kthread_run_call(void *data)
{
	struct exec_call *call = data;

	call->fn(call->data);
	complete(&call->done);
	return 0;
}

static int run_in_kthread(void (*fn)(void *data), void *data)
{
	struct task_struct *task;
	struct exec_call call;

	exec_call_init(&call, fn, data);
	task = kthread_create(kthread_run_call, &call, "exec_context");
	if (IS_ERR(task))
		return PTR_ERR(task);
	get_task_struct(task);
	wake_up_process(task);
	wait_for_completion(&call.done);
	kthread_stop_put(task);
	return 0;
}

static bool in_user_task(void)
{
	return in_task() && !(current->flags & PF_KTHREAD);
}

static int user_task_run_call(void *data)
{
	struct exec_call *call = data;

	wait_for_completion(&call->start);
	call->fn(call->data);
	do_exit(0);
}

static int run_in_user_task(void (*fn)(void *data), void *data)
{
	struct exec_call call;
	struct kernel_clone_args args = {
		/* A child of kthreadd, which reaps it. */
		.flags = CLONE_PARENT | CLONE_UNTRACED,
		.fn = user_task_run_call,
		.fn_arg = &call,
	};
	struct pid *task;
	pid_t pid;

	exec_call_init(&call, fn, data);
	init_completion(&call.start);
	pid = kernel_clone(&args);
	if (pid < 0)
		return pid;
	task = find_get_pid(pid);
	complete(&call.start);
	wait_event(task->wait_pidfd, !pid_has_task(task, PIDTYPE_PID));
	put_pid(task);
	return 0;
}

static bool in_workqueue(void)
{
	return in_task() && current_work();
}

static void work_run_call(struct work_struct *work)
{
	struct exec_call *call = container_of(work, struct exec_call, work);

	call->fn(call->data);
}

static int run_on_workqueue(struct workqueue_struct *wq, struct exec_call *call)
{
	queue_work(wq, &call->work);
	flush_work(&call->work);
	destroy_work_on_stack(&call->work);
	return 0;
}

static int run_in_workqueue(void (*fn)(void *data), void *data)
{
	struct exec_call call;

	exec_call_init(&call, fn, data);
	INIT_WORK_ONSTACK(&call.work, work_run_call);
	return run_on_workqueue(system_percpu_wq, &call);
}

static bool in_softirq_handler(void)
{
	return in_serving_softirq() && !in_hardirq();
}

/* Not of the class of run_in_workqueue(): lockdep would see it in both contexts. */
static int run_in_bh_workqueue(void (*fn)(void *data), void *data)
{
	struct exec_call call;

	exec_call_init(&call, fn, data);
	INIT_WORK_ONSTACK(&call.work, work_run_call);
	return run_on_workqueue(system_bh_wq, &call);
}

static void timer_run_call(struct timer_list *timer)
{
	struct exec_call *call = container_of(timer, struct exec_call, timer);

	call->fn(call->data);
	complete(&call->done);
}

static int run_in_timer(void (*fn)(void *data), void *data)
{
	struct exec_call call;

	exec_call_init(&call, fn, data);
	timer_setup_on_stack(&call.timer, timer_run_call, 0);
	mod_timer(&call.timer, jiffies);
	wait_for_completion(&call.done);
	timer_shutdown_sync(&call.timer);
	timer_destroy_on_stack(&call.timer);
	return 0;
}

static void rcu_run_call(struct rcu_head *rcu)
{
	struct exec_call *call = container_of(rcu, struct exec_call, rcu);

	call->fn(call->data);
	complete(&call->done);
}

static bool in_rcu_callback(void)
{
	if (RCU_CALLBACKS_IN_SOFTIRQ)
		return in_softirq_handler();
	return in_softirq() && !in_hardirq();
}

static int run_in_rcu(void (*fn)(void *data), void *data)
{
	struct exec_call call;

	exec_call_init(&call, fn, data);
	init_rcu_head_on_stack(&call.rcu);
	call_rcu_hurry(&call.rcu, rcu_run_call);
	wait_for_completion(&call.done);
	destroy_rcu_head_on_stack(&call.rcu);
	return 0;
}

static bool in_hardirq_handler(void)
{
	return in_hardirq();
}

static void irq_work_run_call(struct irq_work *work)
{
	struct exec_call *call = container_of(work, struct exec_call, irq_work);

	call->fn(call->data);
}

static int run_in_irq_work(void (*fn)(void *data), void *data)
{
	struct exec_call call;

	exec_call_init(&call, fn, data);
	init_irq_work(&call.irq_work, irq_work_run_call);
	irq_work_queue(&call.irq_work);
	irq_work_sync(&call.irq_work);
	return 0;
}

static enum hrtimer_restart hrtimer_run_call(struct hrtimer *timer)
{
	struct exec_call *call = container_of(timer, struct exec_call, hrtimer);

	call->fn(call->data);
	complete(&call->done);
	return HRTIMER_NORESTART;
}

static int run_in_hrtimer(void (*fn)(void *data), void *data)
{
	struct exec_call call;

	exec_call_init(&call, fn, data);
	hrtimer_setup_on_stack(&call.hrtimer, hrtimer_run_call, CLOCK_MONOTONIC,
			       HRTIMER_MODE_REL);
	hrtimer_start(&call.hrtimer, 0, HRTIMER_MODE_REL);
	wait_for_completion(&call.done);
	hrtimer_cancel(&call.hrtimer);
	destroy_hrtimer_on_stack(&call.hrtimer);
	return 0;
}

const struct exec_context exec_contexts[] = {
	{ "task",	  false, in_some_task,	     run_in_task },
	{ "irqs_off",	  true,  irqs_are_off,	     run_with_irqs_off, .not_on_rt = true },
	{ "kthread",	  false, in_kthread,	     run_in_kthread },
	{ "user_task",	  false, in_user_task,	     run_in_user_task },
	{ "workqueue",	  false, in_workqueue,	     run_in_workqueue },
	{ "bh_workqueue", true,  in_softirq_handler, run_in_bh_workqueue },
	{ "timer",	  true,  in_softirq_handler, run_in_timer },
	{ "rcu",	  true,  in_rcu_callback,    run_in_rcu },
	{ "irq_work",	  true,  in_hardirq_handler, run_in_irq_work, .not_on_rt = true },
	{ "hrtimer",	  true,  in_hardirq_handler, run_in_hrtimer, .not_on_rt = true },
};
