/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What an entry of a page table, or directory, says of a user page.
 */
#ifndef _MM_TESTS_PAGE_ENTRY_H
#define _MM_TESTS_PAGE_ENTRY_H

#include <kunit/test.h>
#include <linux/bits.h>
#include <linux/mm_types.h>
#include <linux/pgtable.h>

/* The page can be written to, */
#define ENTRY_WRITE		BIT(0)
/* has been, */
#define ENTRY_DIRTY		BIT(1)
/* has been used, */
#define ENTRY_YOUNG		BIT(2)
/* has been written to since /proc/PID/clear_refs was, */
#define ENTRY_SOFT_DIRTY	BIT(3)
/* a userfaultfd is told of writes to it, */
#define ENTRY_UFFD		BIT(4)
/* it belongs to one mm alone.  From here on they can only be read. */
#define ENTRY_EXCLUSIVE		BIT(5)
/* Nobody can use it before somebody else has been asked. */
#define ENTRY_NONE		BIT(6)

unsigned int entry_bits(void);
bool entry_can_be(unsigned int state);
pte_t entry_read(struct kunit *test, unsigned long addr);
unsigned int entry_state(struct kunit *test, unsigned long addr);
void entry_set(struct kunit *test, unsigned long addr, unsigned int state);
void vma_flags_switch(struct kunit *test, unsigned long addr, vm_flags_t flags, bool on);

#endif /* _MM_TESTS_PAGE_ENTRY_H */
