# SPDX-License-Identifier: GPL-2.0
"""Captured kernel logs (data/*.log) and what to do to them.

They come from UML 7.3.4 with a suite of misbehaving cases, in virtual time, with KASAN, UBSAN,
lockdep and kmemleak, and, those whose names begin with x86, from QEMU; lines about devices were taken out of the boot. The parser is that of the
kernel under test, or of the one that was prepared last: `make prepare` gets one, no build is needed.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from pinwait.commands import check
from pinwait.log import expected, ktap, verdict
from pinwait.source import store
from pinwait.log.expected import Expected
from pinwait.log.results import LogLine, LogResult, Verdict
from pinwait.source.options import Options

DATA = Path(__file__).parent / "data"
KUNIT = "tools/testing/kunit"
TICK = 0.001		# wall seconds between two lines of a captured log


def _tree() -> Path:
	"""Return the tree of the kernel under test, or of the one that was prepared last."""
	if tree := os.environ.get(check.TREE):
		return Path(tree)
	root = Path(os.environ.get("PINWAIT_BUILD") or Options.build_root)
	found = [path for path in root.glob("kernels/*") if (path / KUNIT / "kunit_parser.py").exists() and store.load(path)]
	return max(found, key=lambda path: (path / KUNIT / "kunit_parser.py").stat().st_mtime) if found else root / "kernels/none"


TREE = _tree()
PARSER = Path(os.environ.get(check.PARSER) or TREE / KUNIT)


def lines_of(name: str) -> list[str]:
	"""Return a captured log."""
	text = (DATA / f"{name}.log").read_text(encoding="utf-8", errors="backslashreplace")
	return text.split("\n")[:-1]


def read(lines: Iterable[str], timed_out: bool = False) -> LogResult:
	"""Read lines as a kernel log."""
	return ktap.read_log([LogLine(text, index * TICK) for index, text in enumerate(lines)], PARSER, timed_out)


def listed(folder: Path, *entries: str) -> Expected:
	"""Return a list of expected cases."""
	path = folder / "expected-cases.txt"
	path.write_text("\n".join(entries) + "\n", encoding="utf-8")
	return expected.load(path)


def judge(folder: Path, lines: Iterable[str], *entries: str, timed_out: bool = False,
	  profile: str = "uml", filter_glob: str = "") -> tuple[Verdict, LogResult]:
	"""Judge a log against a list."""
	log = read(lines, timed_out)
	log, answer = verdict.judge(log, listed(folder, *entries), profile, filter_glob)
	return answer, log


def changed(lines: list[str], old: str, new: str | None) -> list[str]:
	"""Replace the one line that ends with old, keeping its time stamp; None removes it."""
	where = [index for index, line in enumerate(lines) if line.endswith(old)]
	assert len(where) == 1, (old, where)
	stamp = lines[where[0]].removesuffix(old)
	return lines[:where[0]] + ([stamp + new] if new is not None else []) + lines[where[0] + 1:]


def inserted(lines: list[str], before: str, *new: str) -> list[str]:
	"""Put lines before the one that ends with before."""
	where = [index for index, line in enumerate(lines) if line.endswith(before)]
	assert len(where) == 1, (before, where)
	return [*lines[:where[0]], *new, *lines[where[0]:]]
