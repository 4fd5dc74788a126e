# SPDX-License-Identifier: GPL-2.0
"""Find kernel complaints in a log, whether or not a case fails on them.

The texts come from lib/bug.c, kernel/panic.c, kernel/locking/lockdep.c, kernel/sched/core.c,
kernel/rcu/tree_stall.h, kernel/hung_task.c, kernel/watchdog.c, lib/ubsan.c, lib/debugobjects.c,
lib/list_debug.c, lib/refcount.c, mm/{slub,page_alloc,kmemleak}.c, mm/k?san/report.c and the
architectures' fault handlers. They begin their line (after a `subsystem: ` at most), while
the text of KUnit's own failures is indented: this distinguishes the two.
"""

import re
from collections.abc import Sequence

from .results import Splat

MAX_LINES = 100
KMEMLEAK_SUITE = "kmemleak_scan"	# scans by itself, and fails if it cannot
KMEMLEAK_SECONDS = 60 + 600	# until the thread has scanned twice: the first scan only takes checksums

_CUT_HERE = "------------[ cut here ]------------"
_END_TRACE = re.compile(r"---\[ end (trace|Kernel panic)")
# The first match names the complaint, so specific patterns come before general ones.
_KINDS = [(kind, re.compile(r"(?:[\w-]+: )?(?:" + pattern + ")")) for kind, pattern in (
	("panic", r"Kernel panic - not syncing"),
	("KASAN", r"BUG: KASAN:|KASAN: "),
	("KMSAN", r"BUG: KMSAN:"),
	("KCSAN", r"BUG: KCSAN:"),
	("KFENCE", r"BUG: KFENCE:"),
	("UBSAN", r"UBSAN: "),
	("lockdep", r"WARNING: (?:possible (?:circular|recursive|irq lock)|inconsistent lock state|held lock freed"
		    r"|bad unlock balance|bad contention|Nested lock was not taken|chain_key collision"
		    r"|suspicious RCU usage|.* still has locks held|lock held when returning"
		    r"|.*-safe -> .*-unsafe lock order|Invalid wait context)"
		    r"|\[ BUG: Invalid wait context|INFO: trying to register non-static key|DEBUG_LOCKS_WARN_ON"),
	("atomic sleep", r"BUG: (?:sleeping function called from invalid context|scheduling while atomic"
			 r"|scheduling in a non-blocking section|assuming atomic context)"),
	("bad page", r"BUG: Bad (?:page|rss-counter)|BUG: non-zero pgtables_bytes"),
	("list corruption", r"list_(?:add|del) corruption"),
	("refcount", r"refcount_t: "),
	("debug objects", r"ODEBUG: (?!Out of memory)"),
	("kmemleak", r"\d+ new suspected memory leaks"),
	("hung task", r"INFO: task .* blocked.* for more than"),
	("RCU stall", r"INFO: .*\bstalls?\b"),
	("lockup", r"BUG: (?:soft lockup|workqueue lockup)|Watchdog detected hard LOCKUP"),
	("BUG", r"(?:kernel BUG at |Kernel BUG\b)"),
	("fault", r"BUG: (?:kernel NULL pointer|unable to handle)|[Uu]nable to handle kernel|Kernel mode fault"
		  r"|Oops\b|Internal error: |general protection fault|(?:invalid opcode|divide error|double fault): "),
	("BUG", r"(?:\[ )?BUG:? "),
	("WARNING", r"WARNING: "),
	("call trace", r"Call [Tt]race:"),
)]
_BLIND = [(re.compile(pattern), meaning) for pattern, meaning in (
	(r"\*\* \d+ printk messages dropped", "the kernel dropped console lines, a complaint may be among them"),
	(r"BUG: MAX_(?:LOCK|STACK_TRACE)", "lockdep ran out of room and switched itself off"),
	(r"ODEBUG: Out of memory", "debug objects ran out of memory and were switched off"),
	(r"kmemleak: (?:Memory pool empty|Cannot allocate|Failed to create|Kernel memory leak detector disabled)",
	 "kmemleak was switched off"),
)]


def scan(texts: Sequence[str], boundaries: set[int], owners: Sequence[str | None]) -> list[Splat]:
	"""Return every complaint in a log.

	texts are the lines without time stamps, boundaries the indices of KTAP lines (a
	complaint ends before the next one), owners the case that was running at each line.
	"""
	splats: list[Splat] = []
	body: list[str] = []	# lines of the current complaint
	block = False		# it began with "cut here" and lasts to its "end trace"
	for index, text in enumerate(texts):
		if index in boundaries or len(body) >= MAX_LINES:
			_close(splats, body)
			block = False
			if index in boundaries:
				continue
		kind = _kind(text)
		if text == _CUT_HERE:
			_close(splats, body)
			kind, block = "WARNING", True
		elif kind and block and kind != "panic":
			_sharpen(splats[-1], kind)
			kind = None
		elif kind == "call trace" and body:
			kind = None
		if kind:
			_close(splats, body)
			block = block and kind != "panic"
			splats.append(Splat(kind, owners[index], index + 1, ""))
			body.append(text)
		elif body:
			body.append(text)
			if _END_TRACE.match(text):
				_close(splats, body)
				block = False
	_close(splats, body)
	return splats


def blind(texts: Sequence[str], stamps: Sequence[float | None]) -> list[str]:
	"""Return the checkers that did not work, whose silence therefore means nothing; stamps in seconds."""
	found = {meaning: None for text in texts for pattern, meaning in _BLIND if pattern.match(text)}
	detector = any(text.startswith("kmemleak: Kernel memory leak detector initialized") for text in texts)
	scanned = any(text.strip() == f"# Subtest: {KMEMLEAK_SUITE}" for text in texts)
	# A filtered run is short on purpose and does not claim to look for leaks.
	if detector and not scanned and not any("kunit.filter_glob=" in text for text in texts):
		start = next((stamp for text, stamp in zip(texts, stamps)
			      if text.startswith("kmemleak: Automatic memory scanning thread started")), None)
		last = next((stamp for stamp in reversed(stamps) if stamp is not None), None)
		if start is None or last is None:
			found["kmemleak is configured but was never told to scan"] = None
		elif last - start < KMEMLEAK_SECONDS:
			found[f"kmemleak is configured but needs {KMEMLEAK_SECONDS} s of kernel time for two scans "
			      f"and got {last - start:.0f} s"] = None
	return list(found)


def _kind(text: str) -> str | None:
	if any(pattern.match(text) for pattern, _ in _BLIND):
		return None
	return next((kind for kind, pattern in _KINDS if pattern.match(text)), None)


def _sharpen(splat: Splat, kind: str) -> None:
	"""Name a block by its most specific line."""
	if splat.kind == "WARNING" and kind != "call trace":
		splat.kind = kind


def _close(splats: list[Splat], body: list[str]) -> None:
	if body:
		splats[-1].text = "\n".join(body).rstrip()
		body.clear()
