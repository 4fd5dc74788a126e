/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Kernel probes and watched words for KUnit tests: something happens in the middle of a
 * function, or another one returns what it does not otherwise.
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

#if defined(CONFIG_HAVE_HW_BREAKPOINT) && defined(CONFIG_PERF_EVENTS)
#define HAVE_TEST_WATCH

/**
 * struct test_watch - a word in memory that a task writes to
 * @written: called after each write, wherever the task is, as from an NMI: it takes no lock
 * @task: the task
 * @writes: how often it has written, this time included
 * @events: its breakpoint on each CPU
 */
struct test_watch {
	void (*written)(struct test_watch *watch);
	struct task_struct *task;
	unsigned int writes;
	struct perf_event * __percpu *events;
};

void test_watch(struct kunit *test, struct test_watch *watch, void *word, unsigned int len,
		void (*written)(struct test_watch *watch));
void test_watch_end(struct kunit *test, struct test_watch *watch);
#endif

#endif /* _MM_TESTS_PROBE_H */
