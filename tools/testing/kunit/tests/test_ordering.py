# SPDX-License-Identifier: GPL-2.0
"""Changes of an order that no boot can show are named, and nothing else is."""

import pytest

from pinwait.gate import ordering


def _told(*rows):
	return [key.partition(": ")[2] for key in ordering.changed("mm/a.c", "\n".join(["--- a/mm/a.c", "+++ b/mm/a.c", "@@ -1,9 +1,9 @@ f()", *rows, ""]))]


@pytest.mark.parametrize("rows, told", [
	(["-\tsmp_wmb();"], ["it removes smp_wmb()"]),
	(["+\tsmp_mb__after_atomic();"], ["it adds smp_mb__after_atomic()"]),
	(["-\tx = READ_ONCE(*p);", "+\tx = *p;"], ["it removes READ_ONCE()"]),
	(["-\tWRITE_ONCE(*p, 1);", "+\tsmp_store_release(p, 1);"], ["it removes WRITE_ONCE()", "it adds smp_store_release()"]),
	(["-\tif (atomic_dec_return_release(&a))", "+\tif (atomic_dec_return(&a))"], ["it removes atomic_dec_return_release()"]),
	(["-\tset_bit(1, &x);", "+\t__set_bit(1, &x);"], ["it removes set_bit()", "it adds __set_bit()"]),
	(["-\tfolio_lock(folio);", "+\tif (!folio_trylock(folio))", "+\t\treturn;"], ["it takes folio_trylock(folio) in place of folio_lock()"]),
	(["-\tif (!down_read_trylock(&mm->lock))", "+\tdown_read(&mm->lock);"], ["it takes down_read(&mm->lock) in place of down_read_trylock()"]),
	(["-\tspin_lock(&a);", " \tspin_lock(page_lock(b));", "+\tspin_lock(&a);"],
	 ["it takes locks in another order: spin_lock(page_lock(b)), spin_lock(&a)"]),
	([" \tspin_lock(&a);", "-\tx = READ_ONCE(*p);", "+\ty = READ_ONCE(*p);"], []),
	(["-\t/* smp_mb() is not needed */"], []),
	([" \tsmp_mb();", "-\tfolio_unlock(folio);", "-\tatomic_inc(&a);"], []),
])
def test_orders(rows, told):
	assert _told(*rows) == told


def test_it_is_a_remark_about_the_file():
	item, = ordering.changed("mm/a.c", "@@ -1 +0,0 @@\n-\tsmp_mb();\n").values()
	assert (item.kind, item.where) == ("not observable", "mm/a.c") and item.text.startswith("not observable here: it removes smp_mb()")
