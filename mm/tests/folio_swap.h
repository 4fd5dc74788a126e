/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A swap device, and merging of equal pages, for KUnit tests: what an
 * administrator does by writing to files and calling programs.
 */
#ifndef _MM_TESTS_FOLIO_SWAP_H
#define _MM_TESTS_FOLIO_SWAP_H

struct kunit;

int test_swap_on(struct kunit *test);
int test_ksm_run(struct kunit *test);
int test_ksm_stop(void);

#endif /* _MM_TESTS_FOLIO_SWAP_H */
