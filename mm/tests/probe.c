// SPDX-License-Identifier: GPL-2.0
/*
 * Kernel probes and watched words for KUnit tests.
 */

#include <linux/hw_breakpoint.h>
#include <linux/perf_event.h>

#include "folio_fixture.h"
#include "probe.h"

#ifdef HAVE_TEST_PROBES
/* With it the probe is not optimized, which could not change where the kernel goes on. */
static void post_handler(struct kprobe *probe, struct pt_regs *regs, unsigned long flags)
{
}

KUNIT_DEFINE_ACTION_WRAPPER(probe_end_action, unregister_kprobe, struct kprobe *);

/**
 * test_probe() - have something happen whenever a function is called
 * @test: the running test
 * @probe: for test_probe_end() and @handler; has to live until the case ends
 * @function: the function's name
 * @handler: what happens, before the function does; preemption is off.  It returns 0, or
 *	what test_probe_returns() does
 *
 * Until test_probe_end(), or the end of the case.  Whatever task calls the function.
 *
 * Return: 0, or a negative errno: -ENOENT if the compiler has left no such function.
 */
int test_probe(struct kunit *test, struct kprobe *probe, const char *function,
	       kprobe_pre_handler_t handler)
{
	int ret;

	probe->symbol_name = function;
	probe->pre_handler = handler;
	probe->post_handler = post_handler;
	ret = register_kprobe(probe);
	if (!ret)
		test_cleanup(test, probe_end_action, probe);
	return ret;
}

/**
 * test_probe_end() - have nothing happen any more
 * @test: the running test
 * @probe: from test_probe()
 */
void test_probe_end(struct kunit *test, struct kprobe *probe)
{
	kunit_release_action(test, probe_end_action, probe);
}

/**
 * test_probe_returns() - have the function return at once
 * @regs: the handler's
 * @value: what it returns
 *
 * Return: what the handler has to return.
 */
int test_probe_returns(struct pt_regs *regs, unsigned long value)
{
	regs_set_return_value(regs, value);
	override_function_with_return(regs);
	return 1;
}

static int fail_call(struct kprobe *point, struct pt_regs *regs)
{
	struct failing_call *call = container_of(point, struct failing_call, point);

	if (current != call->task || !call->nth || --call->nth)
		return 0;
	return test_probe_returns(regs, call->rc);
}

/**
 * test_call_fails() - have one call of a function fail, before it has done anything
 * @test: the running test; the calls of other tasks do not count
 * @function: the function's name; it returns an int
 * @nth: which call fails, counted from 1
 * @rc: what it returns
 *
 * Return: the call, whose @nth becomes 0 when it has failed.
 */
struct failing_call *test_call_fails(struct kunit *test, const char *function,
				     unsigned int nth, int rc)
{
	struct failing_call *call = test_zalloc(test, sizeof(*call));

	call->task = current;
	call->nth = nth;
	call->rc = rc;
	KUNIT_ASSERT_EQ(test, 0, test_probe(test, &call->point, function, fail_call));
	return call;
}
#endif

#ifdef HAVE_TEST_WATCH
static void watch_hit(struct perf_event *event, struct perf_sample_data *data,
		      struct pt_regs *regs)
{
	struct test_watch *watch = event->overflow_handler_context;

	if (current != watch->task)
		return;
	watch->writes++;
	watch->written(watch);
}

static void watch_release(void *data)
{
	struct test_watch *watch = data;

	unregister_wide_hw_breakpoint(watch->events);
}

/**
 * test_watch() - have something happen whenever the running task writes to a word
 * @test: the running test
 * @watch: for test_watch_end() and @written; has to live until the case ends
 * @word: the word, aligned to its length
 * @len: its length, 4 or 8 bytes
 * @written: what happens, right after the write and before the next instruction
 *
 * Until test_watch_end(), or the end of the case.
 */
void test_watch(struct kunit *test, struct test_watch *watch, void *word, unsigned int len,
		void (*written)(struct test_watch *watch))
{
	struct perf_event_attr attr;

	watch->written = written;
	watch->task = current;
	watch->writes = 0;
	hw_breakpoint_init(&attr);
	attr.bp_addr = (unsigned long)word;
	attr.bp_len = len;
	attr.bp_type = HW_BREAKPOINT_W;
	watch->events = register_wide_hw_breakpoint(&attr, watch_hit, watch);
	KUNIT_ASSERT_FALSE(test, IS_ERR_PCPU(watch->events));
	test_cleanup(test, watch_release, watch);
}

/**
 * test_watch_end() - have nothing happen any more
 * @test: the running test
 * @watch: from test_watch()
 */
void test_watch_end(struct kunit *test, struct test_watch *watch)
{
	kunit_release_action(test, watch_release, watch);
}
#endif
