/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Cases that run once for each element of an array.
 */
#ifndef _MM_TESTS_PARAM_ARRAY_H
#define _MM_TESTS_PARAM_ARRAY_H

#include <kunit/test.h>

/*
 * PARAM_ARRAY() - have cases run for each element of an array
 * @_array: the array
 * ...: a format and its arguments, which describe the element that p points to
 *
 * For KUNIT_CASE_PARAM_ARRAY().  Unlike KUNIT_ARRAY_PARAM() this prints a plan, so
 * that a lost element is noticed.
 */
#define PARAM_ARRAY(_array, ...)						\
static void _array##_desc(struct kunit *test, const void *param, char *desc)	\
{										\
	const typeof((_array)[0]) * const p = param;				\
										\
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, __VA_ARGS__);			\
}										\
										\
static int _array##_init(struct kunit *test)					\
{										\
	const typeof((_array)[0]) * const first = (_array);			\
										\
	kunit_register_params_array(test, first, sizeof(_array) / sizeof(*first), \
				    _array##_desc);				\
	return 0;								\
}

#define KUNIT_CASE_PARAM_ARRAY(test_name, array_name)				\
	KUNIT_CASE_PARAM_WITH_INIT(test_name, kunit_array_gen_params,		\
				   array_name##_init, NULL)

/* For a case that takes more than a second of kernel time. */
#define KUNIT_CASE_PARAM_ARRAY_SLOW(test_name, array_name)			\
	{ .run_case = test_name, .name = #test_name,				\
	  .generate_params = kunit_array_gen_params,				\
	  .param_init = array_name##_init,					\
	  .attr.speed = KUNIT_SPEED_SLOW, .module_name = KBUILD_MODNAME }

#endif /* _MM_TESTS_PARAM_ARRAY_H */
