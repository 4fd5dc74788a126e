# SPDX-License-Identifier: GPL-2.0
"""Name what a patch changes of the order in which CPUs see each other's stores, and take locks.

No boot shows that. In virtual time one CPU runs at a time, and sees its own stores in order; a race is won or lost the
same way every time. So a reviewer is told.
"""

import re
from collections import Counter
from collections.abc import Sequence

from .compare import Item
from .seen import COMMENT

KIND = "not observable"
HUNK = re.compile(r"^@@ .*$", re.MULTILINE)
ORDERS = re.compile(
	r"\b(?:smp_(?:w?mb|rmb|mb__\w+|store_release|store_mb|load_acquire|cond_load_\w+|acquire__after_ctrl_dep)|(?:dma_|virt_)?(?:mb|rmb|wmb)|"
	r"barrier|READ_ONCE|WRITE_ONCE|rcu_dereference\w*|rcu_assign_pointer|\w*(?:atomic|refcount|xchg)\w*_(?:relaxed|acquire|release)|"
	r"\w*_bit_(?:lock|unlock)|(?:__)?(?:set|clear|change)_bit)(?=\()")
TAKES = re.compile(r"\b(\w+_(?:try)?lock(?:_irq|_irqsave|_bh|_killable|_interruptible|_nested)?|down_(?:read|write)(?:_trylock|_killable)?)"
		   r"\(([^()]*(?:\([^()]*\)[^()]*)*)\)")

Lock = tuple[str, str]		# the function that takes it, and the arguments


def changed(name: str, diff: str) -> dict[str, Item]:
	"""Return, by identity, what a file's diff with context changes of orders: barriers, atomic forms, locks."""
	lost, gained = Counter[str](), Counter[str]()
	locks: list[str] = []
	for hunk in HUNK.split(diff)[1:]:
		rows = hunk.split("\n")
		lost += Counter(ORDERS.findall(_text(rows, "-")))
		gained += Counter(ORDERS.findall(_text(rows, "+")))
		locks += _of_locks(TAKES.findall(_text(rows, " -")), TAKES.findall(_text(rows, " +")))
	told = [*(f"it removes {word}()" for word in lost - gained), *(f"it adds {word}()" for word in gained - lost), *dict.fromkeys(locks)]
	return {f"{name}: {text}": Item(KIND, f"not observable here: {text}; no boot shows whether the new order is right", name) for text in told}


def _of_locks(old: Sequence[Lock], new: Sequence[Lock]) -> list[str]:
	"""Say how the order in which locks are taken changes, or that they are only tried."""
	if Counter(old) == Counter(new):
		return [] if list(old) == list(new) else ["it takes locks in another order: " + ", ".join(f"{name}({what})" for name, what in new)]
	gone = Counter(old) - Counter(new)
	return [f"it takes {name}({what}) in place of {_other(name)}()" for name, what in Counter(new) - Counter(old) if (_other(name), what) in gone]


def _other(name: str) -> str:
	"""Return the function that tries to take a lock for one that waits for it, and the other way round."""
	if "try" in name:
		return name.replace("_trylock", "" if name.startswith("down_") else "_lock")
	return f"{name}_trylock" if name.startswith("down_") else name.replace("_lock", "_trylock")


def _text(rows: Sequence[str], signs: str) -> str:
	"""Return the rows of a hunk with one of these signs, without comments."""
	return COMMENT.sub("", "\n".join(row[1:] for row in rows if row and row[0] in signs))
