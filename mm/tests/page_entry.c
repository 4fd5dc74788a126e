// SPDX-License-Identifier: GPL-2.0
/*
 * Entries of page tables and directories for KUnit tests, and the flags of mappings: what
 * they say, and have them say something else.
 */

#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/rmap.h>

#include "../internal.h"
#include "page_entry.h"

/**
 * entry_bits() - which of the bits of page_entry.h can be set in this kernel
 *
 * Return: these.
 */
unsigned int entry_bits(void)
{
	return ENTRY_WRITE | ENTRY_DIRTY | ENTRY_YOUNG |
	       (IS_ENABLED(CONFIG_MEM_SOFT_DIRTY) ? ENTRY_SOFT_DIRTY : 0) |
	       (IS_ENABLED(CONFIG_HAVE_ARCH_USERFAULTFD_WP) ? ENTRY_UFFD : 0);
}

/* The entry of a directory that maps a huge page, with its lock; NULL for any other. */
static pmd_t *locked_pmd(unsigned long addr, spinlock_t **ptl)
{
	pmd_t *pmdp = mm_find_pmd(current->mm, addr);

	*ptl = pmdp ? pmd_trans_huge_lock(pmdp, vma_lookup(current->mm, addr)) : NULL;
	return *ptl ? pmdp : NULL;
}

static unsigned int exclusive(struct page *page)
{
	return PageAnon(page) && PageAnonExclusive(page) ? ENTRY_EXCLUSIVE : 0;
}

static unsigned int pmd_state(pmd_t pmd)
{
	return (pmd_write(pmd) ? ENTRY_WRITE : 0) | (pmd_dirty(pmd) ? ENTRY_DIRTY : 0) |
	       (pmd_young(pmd) ? ENTRY_YOUNG : 0) |
	       (pmd_soft_dirty(pmd) ? ENTRY_SOFT_DIRTY : 0) |
	       (pmd_uffd(pmd) ? ENTRY_UFFD : 0) | (pmd_protnone(pmd) ? ENTRY_NONE : 0) |
	       exclusive(pmd_page(pmd));
}

static unsigned int pte_state(pte_t pte)
{
	return (pte_write(pte) ? ENTRY_WRITE : 0) | (pte_dirty(pte) ? ENTRY_DIRTY : 0) |
	       (pte_young(pte) ? ENTRY_YOUNG : 0) |
	       (pte_soft_dirty(pte) ? ENTRY_SOFT_DIRTY : 0) |
	       (pte_uffd(pte) ? ENTRY_UFFD : 0) | (pte_protnone(pte) ? ENTRY_NONE : 0) |
	       exclusive(pte_page(pte));
}

/**
 * entry_can_be() - is there such an entry?
 * @state: ENTRY_* bits
 *
 * Return: false if this kernel has no such bits, or for what can be written to although a
 * userfaultfd wants to hear of that.
 */
bool entry_can_be(unsigned int state)
{
	return !(state & ~entry_bits()) && !((state & ENTRY_WRITE) && (state & ENTRY_UFFD));
}

/**
 * entry_read() - read an entry of a page table
 * @test: the running test; aborted if there is none
 * @addr: the user address, in the mm of the test
 *
 * Return: the entry.
 */
pte_t entry_read(struct kunit *test, unsigned long addr)
{
	pte_t *ptep, pte = __pte(0);
	spinlock_t *ptl = NULL;

	mmap_read_lock(current->mm);
	ptep = get_locked_pte(current->mm, addr, &ptl);
	if (ptep) {
		pte = ptep_get(ptep);
		pte_unmap_unlock(ptep, ptl);
	}
	mmap_read_unlock(current->mm);
	KUNIT_ASSERT_NOT_NULL(test, ptep);
	return pte;
}

/**
 * entry_state() - what the entry that maps a page says
 * @test: the running test; aborted if no page is mapped
 * @addr: the user address, in the mm of the test
 *
 * Return: bits of page_entry.h.
 */
unsigned int entry_state(struct kunit *test, unsigned long addr)
{
	unsigned int state = 0;
	spinlock_t *ptl = NULL;
	pmd_t *pmdp;
	pte_t pte;

	mmap_read_lock(current->mm);
	pmdp = locked_pmd(addr, &ptl);
	if (pmdp) {
		state = pmd_state(pmdp_get(pmdp));
		spin_unlock(ptl);
	}
	mmap_read_unlock(current->mm);
	if (pmdp)
		return state;

	pte = entry_read(test, addr);
	KUNIT_ASSERT_TRUE(test, pte_present(pte));
	return pte_state(pte);
}

static void pmd_set(struct vm_area_struct *vma, unsigned long addr, pmd_t *pmdp,
		    unsigned int state)
{
#ifdef CONFIG_TRANSPARENT_HUGEPAGE
	pmd_t pmd = pmdp_huge_clear_flush(vma, addr, pmdp);

	pmd = pmd_mkold(pmd_mkclean(pmd_wrprotect(pmd)));
	if (state & ENTRY_YOUNG)
		pmd = pmd_mkyoung(pmd);
	if (state & ENTRY_DIRTY)
		pmd = pmd_mkdirty(pmd);
	if (state & ENTRY_WRITE)
		pmd = pmd_mkwrite(pmd, vma);
	/* On x86 what is dirty is soft-dirty, too, if not told otherwise. */
	pmd = state & ENTRY_SOFT_DIRTY ? pmd_mksoft_dirty(pmd) : pmd_clear_soft_dirty(pmd);
	pmd = state & ENTRY_UFFD ? pmd_mkuffd(pmd) : pmd_clear_uffd(pmd);
	set_pmd_at(vma->vm_mm, addr, pmdp, pmd);
#endif
}

static void pte_set(struct vm_area_struct *vma, unsigned long addr, pte_t *ptep,
		    unsigned int state)
{
	pte_t pte = ptep_clear_flush(vma, addr, ptep);

	pte = pte_mkold(pte_mkclean(pte_wrprotect(pte)));
	if (state & ENTRY_YOUNG)
		pte = pte_mkyoung(pte);
	if (state & ENTRY_DIRTY)
		pte = pte_mkdirty(pte);
	if (state & ENTRY_WRITE)
		pte = pte_mkwrite(pte, vma);
	pte = state & ENTRY_SOFT_DIRTY ? pte_mksoft_dirty(pte) : pte_clear_soft_dirty(pte);
	pte = state & ENTRY_UFFD ? pte_mkuffd(pte) : pte_clear_uffd(pte);
	set_pte_at(vma->vm_mm, addr, ptep, pte);
}

/**
 * entry_set() - have the entry that maps a page say something else
 * @test: the running test; aborted if there is none
 * @addr: the user address, in the mm of the test; of a huge page the first
 * @state: bits of page_entry.h; who owns the page is left as it is, for only migration
 *	and fork() may change that
 */
void entry_set(struct kunit *test, unsigned long addr, unsigned int state)
{
	struct vm_area_struct *vma;
	pte_t *ptep = NULL;
	spinlock_t *ptl = NULL;
	pmd_t *pmdp;

	mmap_read_lock(current->mm);
	vma = vma_lookup(current->mm, addr);
	pmdp = vma ? locked_pmd(addr, &ptl) : NULL;
	if (pmdp) {
		pmd_set(vma, addr, pmdp, state);
		spin_unlock(ptl);
	} else if (vma) {
		ptep = get_locked_pte(current->mm, addr, &ptl);
		if (ptep) {
			pte_set(vma, addr, ptep, state);
			pte_unmap_unlock(ptep, ptl);
		}
	}
	mmap_read_unlock(current->mm);
	KUNIT_ASSERT_TRUE(test, pmdp || ptep);
}

/**
 * vma_flags_switch() - switch flags of a mapping on or off
 * @test: the running test; aborted if nothing is mapped there
 * @addr: a user address in it, in the mm of the test
 * @flags: the flags
 * @on: they are to be set, else cleared
 */
void vma_flags_switch(struct kunit *test, unsigned long addr, vm_flags_t flags, bool on)
{
	struct vm_area_struct *vma;

	mmap_write_lock(current->mm);
	vma = vma_lookup(current->mm, addr);
	if (vma && on)
		vm_flags_set(vma, flags);
	else if (vma)
		vm_flags_clear(vma, flags);
	mmap_write_unlock(current->mm);
	KUNIT_ASSERT_NOT_NULL(test, vma);
}
