# SPDX-License-Identifier: GPL-2.0
"""Read a kernel log: cases by the kernel tree's own kunit_parser.py, times by a light scan.

The parser decides what passed. The scan only finds the result lines: they tell when each case
ended and which case was running at any line. The two have to agree.
"""

import functools
import importlib
import io
import re
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import splat
from ..util.errors import CannotJudge
from ..util.text import printable
from .results import UNNAMED, Case, Ending, LogLine, LogResult, Status, leaf_id

INDENT = 4		# columns per level of KTAP
MAX_TEXT = 60		# lines of log kept for a case; kernel.log has them all
LAST_LINES = 15

# Lines from before the console was up are printed late, with the level in front.
_STAMP = re.compile(r"(?:<\d>)?\[ *(\d+\.\d{6})\](?:\[ *[TC]\d+\])? ?")
# QEMU tells when the machine stops, and the signal if it is told to end; a reset that the kernel did not announce is a fault.
_STOPPED, _ENDED = "vm_state_notify running 0 ", re.compile(r"qemu-system-\S+: terminating on signal ")
_ERROR_LINE = re.compile(r"\[[\d:]+\] \[ERROR\] Test: (.*)")
# A failed assertion, with the name of its case. KUnit loses it if it belongs to neither a parameter nor a plain case, for
# example in param_exit, and if the case skips after it.
_FAILED = re.compile(r"\s*# (?P<name>\S+): (?:EXPECTATION|ASSERTION) FAILED at ")
FORGOTTEN = "(KUnit has forgotten this, and says that the case is ok)"
# The parser's errors about a test without an end. They are dropped: the ending has its own sentence.
_CUT_OFF = ("missing expected subtest!", "missing subtest result line!", "No more test results!", "0 tests run!")


@dataclass
class _Mark:
	"""A leaf's result line, as found by the scan."""
	id: str
	start: int		# index of the KTAP line before it
	end: int


@dataclass
class _Scan:
	marks: list[_Mark] = field(default_factory=list)
	owners: list[str | None] = field(default_factory=list)	# what was running, by line
	ktap: list[int] = field(default_factory=list)		# indices of KTAP lines
	running: tuple[str, str] | None = None			# (suite, case) that never reported


def read_log(lines: Sequence[LogLine], parser_dir: Path, timed_out: bool) -> LogResult:
	"""Read the console log of one boot.

	parser_dir is the kernel's tools/testing/kunit; timed_out tells that the time limit ended
	the boot. Raises CannotJudge if parser_dir has no parser.
	"""
	parser = _load_parser(parser_dir)
	stamps: list[float | None] = []
	texts: list[str] = []
	for line in lines:
		text = printable(line.text.rstrip())
		stamp = _STAMP.match(text)
		stamps.append(float(stamp[1]) if stamp else None)
		texts.append(text[stamp.end():] if stamp else text)

	output = io.StringIO()
	tree = parser.parse_run_tests(texts, parser.Printer(output=output))
	scan = _scan(texts, parser)
	result = LogResult(
		splats=splat.scan(texts, set(scan.ktap), scan.owners),
		blind=splat.blind(texts, stamps),
		started=any(parser.KTAP_START.match(text) for text in texts),
		ending=_ending(texts, timed_out),
		virtual_seconds=_last(stamps),
		wall_seconds=_last([line.wall for line in lines]),
		last_lines=texts[-LAST_LINES:],
	)
	_flatten(tree, parser.TestStatus, result)
	_add_times(result, scan, stamps, [line.wall for line in lines])
	_remember(result, scan, texts)
	if scan.running:
		result.cases.append(_unfinished(result, scan, texts, stamps, [line.wall for line in lines]))
	said = dict.fromkeys(match[1] for match in map(_ERROR_LINE.match, output.getvalue().splitlines()) if match)
	cut_off = scan.running or result.ending is not Ending.FINISHED
	result.errors += [f"KTAP: {text}" for text in said
			  if result.started and not (cut_off and text.endswith(_CUT_OFF))]
	result.errors += [text for text in texts if parser.EXECUTOR_ERROR.match(text)]
	if not texts:
		result.errors.append("the log is empty: the kernel printed nothing")
	elif not any(text.startswith("Linux version ") for text in texts):
		result.blind.append("the log has no 'Linux version' line: its beginning is missing")
	return result


@functools.cache
def _load_parser(directory: Path) -> Any:
	"""Import kunit_parser.py of a kernel tree without leaving a trace in the tree or in the interpreter."""
	names = ("kunit_parser", "kunit_printer")
	path, modules, bytecode = list(sys.path), dict(sys.modules), sys.dont_write_bytecode
	sys.path.insert(0, str(directory))
	sys.dont_write_bytecode = True
	try:
		for name in names:
			sys.modules.pop(name, None)
		return importlib.import_module(names[0])
	except ImportError as error:
		raise CannotJudge(f"{directory}: no usable kunit_parser.py ({error}); is this a kernel tree?") from error
	finally:
		sys.path[:] = path
		sys.dont_write_bytecode = bytecode
		for name in names:
			sys.modules.pop(name, None)
			if name in modules:
				sys.modules[name] = modules[name]


def _ending(texts: Sequence[str], timed_out: bool) -> Ending:
	if any(text.startswith("Kernel panic - not syncing") for text in texts):
		return Ending.PANIC
	if any(text.startswith("reboot: ") for text in texts):
		return Ending.FINISHED
	if timed_out:
		return Ending.HANG
	reset = any(_STOPPED in text for text in texts) and not any(_ENDED.search(text) for text in texts)
	return Ending.RESET if reset else Ending.TRUNCATED


def _last(values: Sequence[float | None]) -> float | None:
	return next((value for value in reversed(values) if value is not None), None)


def _case_text(lines: Sequence[str]) -> str:
	"""Join log lines; if there are too many, keep the first and the last."""
	kept = list(lines)
	if len(kept) > MAX_TEXT:
		kept[MAX_TEXT // 2:-MAX_TEXT // 2] = [f"... {len(kept) - MAX_TEXT} more lines ..."]
	return textwrap.dedent("\n".join(kept)).strip()


def _flatten(tree: Any, status_type: Any, result: LogResult) -> None:
	"""Turn the parser's tree into leaf cases; a bad node that is no leaf becomes an error."""
	statuses = {status_type.SUCCESS: Status.PASS, status_type.FAILURE: Status.FAIL, status_type.SKIPPED: Status.SKIP}

	def add(suite: str, name: str, param: str | None, test: Any) -> bool:
		"""Add one leaf and tell whether it failed."""
		if not test.name or test.status not in statuses:
			return False	# cut off: the parser's errors and the ending report it
		status = statuses[test.status]
		text = {Status.PASS: "", Status.SKIP: test.skip_reason}.get(status)
		result.cases.append(Case(suite, name, param, status, None, None,
					 _case_text(test.log) if text is None else text))
		return status is Status.FAIL

	def blame(what: str, test: Any, failed: bool) -> bool:
		"""Add an error for a parent that fails although none of its children does."""
		if test.status is status_type.FAILURE and not failed:
			result.errors.append(": ".join(filter(None, [f"{what} failed as a whole", _case_text(test.log)])))
		return failed or test.status is status_type.FAILURE

	for suite in tree.subtests:
		failed = False
		for case in suite.subtests:
			if case.subtests:
				bad = [add(suite.name, case.name, param.name, param) for param in case.subtests]
				failed |= blame(f"{suite.name}.{case.name}", case, any(bad))
			else:
				failed |= add(suite.name, case.name, None, case)
		blame(suite.name, suite, failed)
		if not suite.subtests and suite.status in (status_type.SUCCESS, status_type.SKIPPED):
			result.errors.append(f"{suite.name} reports a result but no case of it ran")


def _remember(result: LogResult, scan: _Scan, texts: Sequence[str]) -> None:
	"""Fail each case in which an assertion failed, or its parent, whatever result KUnit reports."""
	cases = {case.id: case for case in result.cases}
	names = {leaf_id(case.suite, case.name, None) for case in result.cases}
	unfinished = ".".join(scan.running) if scan.running else ""
	ktap = set(scan.ktap)
	for index, text in enumerate(texts):
		failed, owner = _FAILED.match(text), scan.owners[index] or ""
		if not failed or owner == unfinished:
			continue
		case = cases.get(owner)
		late = leaf_id(owner.partition(".")[0], failed["name"], None)
		if late in names and owner.partition("[")[0] != late:
			owner, case = late, None	# the assertion ran after its case, in something that the case left behind
		if case and case.status in (Status.PASS, Status.SKIP):
			said = [texts[at] for at, name in enumerate(scan.owners) if name == owner and at not in ktap]
			skipped = [f"and then it was skipped: {case.text}"] if case.status is Status.SKIP else []
			case.status, case.text = Status.FAIL, "\n".join([_case_text(said), *skipped, FORGOTTEN])
		elif not case and not any(error.startswith(f"{owner} failed as a whole") for error in result.errors):
			said = [line for at, line in enumerate(texts[index:index + MAX_TEXT], index)
				if at not in ktap and (at == index or scan.owners[at] == scan.owners[index])]
			result.errors.append(f"{owner or 'KUnit'} failed as a whole: {_case_text(said)}")


def _scan(texts: Sequence[str], parser: Any) -> _Scan:
	"""Find KTAP lines with the parser's own expressions, and the case that ran between them."""
	scan = _Scan(owners=[None] * len(texts))
	suite = case = None
	params = done = planned = 0
	begin = len(texts)	# first line without an owner

	def own(end: int, owner: str | None) -> None:
		nonlocal begin
		scan.owners[begin:end + 1] = [owner] * (end + 1 - begin)
		begin = end + 1

	for index, text in enumerate(texts):
		depth = (len(text) - len(text.lstrip(" "))) // INDENT
		header, found = parser.TEST_HEADER.match(text), parser.TEST_RESULT.match(text)
		plan = parser.TEST_PLAN.match(text)
		if not scan.ktap:
			if parser.KTAP_START.match(text):
				scan.ktap.append(index)
				begin = index + 1
			continue
		if parser.KTAP_END.match(text):
			break
		if header and depth == 1:
			suite, case, done, planned = header[1], None, 0, 0
			own(index, suite)
		elif header:
			case, params = header[1], 0
			own(index, f"{suite}.{case}")
		elif plan and depth == 1:
			planned = int(plan[1])
		elif found:
			skip = parser.TEST_RESULT_SKIP.match(text)
			name = (skip or found)[4]
			leaf = None
			if depth == 0:
				own(index, name)
				suite = case = None
			elif depth == 1:
				own(index, leaf_id(str(suite), name, None))
				leaf = None if params else leaf_id(str(suite), name, None)
				case, params, done = None, 0, done + 1
			else:
				leaf = leaf_id(str(suite), str(case), name)
				own(index, leaf)
				params += 1
			if leaf:
				scan.marks.append(_Mark(leaf, scan.ktap[-1], index))
		elif not parser.KTAP_START.match(text):
			continue
		scan.ktap.append(index)
	if suite and (case or not planned or done < planned):
		scan.running = (suite, case or f"{UNNAMED}{done + 1}>")
		own(len(texts) - 1, ".".join(scan.running))
	elif suite:
		own(len(texts) - 1, suite)
	return scan


def _add_times(result: LogResult, scan: _Scan, stamps: Sequence[float | None], walls: Sequence[float | None]) -> None:
	parsed, seen = [case.id for case in result.cases], [mark.id for mark in scan.marks]
	if parsed != seen:
		only = [leaf for leaf in parsed + seen if parsed.count(leaf) != seen.count(leaf)]
		result.errors.append("KTAP: parser and log disagree about " + (", ".join(dict.fromkeys(only)) or "the order of cases"))
		return
	for case, mark in zip(result.cases, scan.marks):
		case.virtual_seconds = _elapsed(stamps, mark.start, mark.end)
		case.wall_seconds = _elapsed(walls, mark.start, mark.end)


def _elapsed(clock: Sequence[float | None], start: int, end: int) -> float | None:
	first, last = clock[start], clock[end]
	return None if first is None or last is None else round(last - first, 6)


def _unfinished(result: LogResult, scan: _Scan, texts: Sequence[str], stamps: Sequence[float | None],
		walls: Sequence[float | None]) -> Case:
	"""Add a case for the one that was running when the log ended."""
	assert scan.running
	why = {
		Ending.PANIC: "the kernel panicked while this case ran",
		Ending.HANG: "this case did not return before the time limit",
		Ending.RESET: "the machine was reset while this case ran, as by a triple fault",
		Ending.TRUNCATED: "the log ends while this case ran",
		Ending.FINISHED: "the kernel shut down while this case ran",
	}[result.ending]
	start = scan.ktap[-1]
	suite, name = scan.running
	return Case(suite, name, None, Status.CRASH,
		    _elapsed([stamps[start], _last(stamps)], 0, 1), _elapsed([walls[start], _last(walls)], 0, 1),
		    "\n".join([why, _case_text(texts[start + 1:])]).rstrip())
