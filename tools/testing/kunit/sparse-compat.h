/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What Linux 7.3 uses and sparse 0.6.4, the newest release, does not know.  Put
 * before each file that sparse checks; the compiler never sees it.
 */
#define __typeof_unqual__ __typeof__
/* MODULE_INFO() wants the length of a string literal as a constant. */
#define __builtin_strlen(string) (sizeof(string) - 1)
