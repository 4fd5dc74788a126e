/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Kernel probes for KUnit tests: something happens in the middle of a function, or another
 * one returns what it does not otherwise.
 */
#ifndef _MM_TESTS_PROBE_H
#define _MM_TESTS_PROBE_H

#include <kunit/test.h>
#include <linux/error-injection.h>
#include <linux/kprobes.h>

#if defined(CONFIG_KPROBES) && defined(CONFIG_FUNCTION_ERROR_INJECTION) && \
	defined(CONFIG_HAVE_FUNCTION_ARG_ACCESS_API)
#define HAVE_TEST_PROBES

int test_probe(struct kunit *test, struct kprobe *probe, const char *function,
	       kprobe_pre_handler_t handler);
void test_probe_end(struct kunit *test, struct kprobe *probe);
int test_probe_returns(struct pt_regs *regs, unsigned long value);

/**
 * struct failing_call - a call of a function that fails
 * @point: before the function
 * @task: whose calls count
 * @nth: which of them fails, counted from 1; afterwards 0
 * @rc: what it returns
 */
struct failing_call {
	struct kprobe point;
	struct task_struct *task;
	unsigned int nth;
	int rc;
};

struct failing_call *test_call_fails(struct kunit *test, const char *function,
				     unsigned int nth, int rc);
#endif

#endif /* _MM_TESTS_PROBE_H */
