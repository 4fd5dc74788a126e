// SPDX-License-Identifier: GPL-2.0
/*
 * Kernel probes for KUnit tests.
 */

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
#endif
