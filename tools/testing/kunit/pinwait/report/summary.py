# SPDX-License-Identifier: GPL-2.0
"""Report the outcome of a run: on a terminal, as summary.json, as JUnit XML."""

import datetime
import json
import os
from collections import Counter
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import Any, TextIO

from ..log.results import GONE, Case, LogResult, Outcome, RunInfo, Splat, Status, Verdict
from ..util.errors import CannotJudge

SCHEMA = Path(__file__).parent / "schema/summary.schema.json"
SCHEMA_VERSION = 2
SPLAT_LINES = 12	# of each complaint on the terminal; the log has all
CASE_LINES = 30		# of each case's text
_COLOURS = {Status.PASS: "32", Status.SKIP: "33"}
_OK = (Status.PASS, Status.SKIP)


def summary(info: RunInfo, log: LogResult, verdict: Verdict) -> dict[str, Any]:
	"""Return the content of summary.json (schema/summary.schema.json); times in seconds."""
	counts = Counter(case.status for case in log.cases)
	return {
		"schema_version": SCHEMA_VERSION,
		"verdict": {"outcome": verdict.outcome.value, "reason": verdict.reason, "exit_code": verdict.exit_code},
		"kernel": {"version": info.kernel_version, "base_commit": info.base_commit, "base": info.base,
			   "dirty": info.dirty, "compiler": info.compiler},
		"series": {"name": info.series, "patches": [asdict(patch) for patch in info.patches]},
		"profile": info.profile,
		"filter": info.filter,
		"choice": list(info.choice),
		"command": info.command,
		"started": info.started,
		"seconds": dict(info.seconds),
		"ending": log.ending.value,
		"virtual_seconds": log.virtual_seconds,
		"wall_seconds": log.wall_seconds,
		"counts": {**{status.value: counts[status] for status in Status}, "total": len(log.cases)},
		"cases": [{**asdict(case), "status": case.status.value} for case in log.cases],
		"splats": [asdict(splat) for splat in log.splats],
		"errors": list(log.errors),
		"blind": list(log.blind),
		"last_lines": list(log.last_lines),
	}


def cannot_judge_summary(info: RunInfo, reason: str, exit_code: int) -> dict[str, Any]:
	"""Return the content of summary.json for a run that never booted; unknown texts of info are empty."""
	content = summary(info, LogResult(), Verdict(Outcome.CANNOT_JUDGE, reason))
	content["verdict"]["exit_code"] = exit_code
	return content | {"ending": None}


def summary_text(content: dict[str, Any]) -> str:
	"""Return the text of summary.json."""
	return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def junit(info: RunInfo, log: LogResult, verdict: Verdict) -> str:
	"""Return JUnit XML: a testsuite per suite, and one for faults outside of any case.

	Raises CannotJudge if python3-junitparser is missing.
	"""
	try:
		from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite
	except ImportError as error:
		raise CannotJudge("junit.xml needs the package python3-junitparser") from error
	kinds = {Status.FAIL: Failure, Status.CRASH: Error, Status.MISSING: Error, Status.SKIP: Skipped}
	xml = JUnitXml(f"pinwait {info.profile} {info.series}")
	for name, cases in groupby(sorted(log.cases, key=lambda case: case.suite), key=lambda case: case.suite):
		suite = TestSuite(name)
		for case in cases:
			entry = TestCase(case.id.removeprefix(f"{name}."), name, case.wall_seconds)
			if case.status in kinds:
				first = case.text.split("\n")[0]
				outcome = kinds[case.status](first, case.status.value)
				outcome.text = case.text
				entry.result = [outcome]
			suite.add_testcase(entry)
		xml.add_testsuite(suite)
	# A log can fail although all of its cases pass, so the verdict has its own suite.
	whole = TestSuite("pinwait")
	entry = TestCase("verdict", "pinwait", log.wall_seconds)
	if verdict.outcome is not Outcome.PASS:
		outcome = (Failure if verdict.outcome is Outcome.FAIL else Error)(verdict.reason, verdict.outcome.value)
		outcome.text = "\n\n".join([verdict.reason, *log.errors, *log.blind, *map(_splat_text, log.splats)])
		entry.result = [outcome]
	for reason in info.choice:
		whole.add_property("choice", reason)
	whole.add_testcase(entry)
	xml.add_testsuite(whole)
	text: str = xml.tostring().decode("utf-8")
	return text


def print_report(info: RunInfo, log: LogResult, verdict: Verdict, stream: TextIO, verbose: bool = False) -> None:
	"""Print cases, complaints and, last, one line with the verdict.

	Unless verbose, one line per case sums up parameters that passed or did not run.
	"""
	colour = stream.isatty() and not os.environ.get("NO_COLOR")

	def paint(code: str, text: str) -> str:
		return f"\033[{code}m{text}\033[0m" if colour else text

	def line(status: Status, name: str, case_times: str, text: str = "") -> None:
		mark = paint(_COLOURS.get(status, "1;31"), f"{status.value:7}")
		stream.write(f"  {mark} {name:<44} {case_times}".rstrip() + "\n")
		for row in _first(text if text != GONE else "", CASE_LINES):
			stream.write(f"            {row}\n")

	for reason in info.choice:
		stream.write(f"{reason}\n")
	for suite, cases in groupby(log.cases, key=lambda case: case.suite):
		stream.write(f"{suite}\n")
		for (name, status), group in groupby(cases, key=lambda case: (case.name, case.status)):
			leaves = list(group)
			alike = status is Status.SKIP and len({case.text for case in leaves}) == 1
			if (alike or status in (Status.PASS, Status.MISSING)) and len(leaves) > 1 and not verbose:
				line(status, f"{name} [{len(leaves)} parameters]", _times(leaves), leaves[0].text)
				continue
			for case in leaves:
				line(case.status, case.id.removeprefix(f"{suite}."), _times([case]), case.text)
	for splat in log.splats:
		stream.write(paint("1;31", f"{splat.kind} in {splat.case or 'no case'}, kernel.log:{splat.line}") + "\n")
		for row in _first(splat.text, SPLAT_LINES):
			stream.write(f"    {row}\n")
	for message in log.errors:
		stream.write(paint("1;31", "error: ") + message.replace("\n", "\n    ") + "\n")
	for message in log.blind:
		stream.write(paint("33", "no check: ") + message + "\n")
	if not log.started and log.last_lines:
		stream.write("last lines of kernel.log:\n" + "".join(f"    {row}\n" for row in log.last_lines))
	label = verdict.outcome.value.replace("-", " ")
	code = {Outcome.PASS: "1;32", Outcome.FAIL: "1;31"}.get(verdict.outcome, "1;33")
	times = _times_text(log.virtual_seconds, log.wall_seconds, " virtual in ")
	stream.write(f"{paint(code, label)}: {verdict.reason}{', ' + times if times else ''} "
		     f"({info.profile}, series {info.series}, linux {info.kernel_version})\n")


def _first(text: str, limit: int) -> list[str]:
	rows = text.splitlines()
	return rows if len(rows) <= limit else [*rows[:limit], f"... {len(rows) - limit} more lines in summary.json"]


def _times(cases: list[Case]) -> str:
	def total(values: list[float | None]) -> float | None:
		known = [value for value in values if value is not None]
		return sum(known) if known else None
	return _times_text(total([case.virtual_seconds for case in cases]),
			   total([case.wall_seconds for case in cases]), " virtual ")


def _times_text(virtual: float | None, wall: float | None, between: str) -> str:
	text = f"{virtual:.3g} s{between}" if virtual is not None else ""
	return (text + (f"{wall:.2f} s" if wall is not None else "")).rstrip()


def _splat_text(splat: Splat) -> str:
	return f"{splat.kind} in {splat.case or 'no case'}, kernel.log:{splat.line}\n{splat.text}"


def no_summary(command: str, reason: str, exit_code: int) -> str:
	"""Return the text of the summary.json of a run that ended before it had read its options."""
	return summary_text(cannot_judge_summary(_unknown(command), reason, exit_code))


def no_junit(command: str, reason: str) -> str:
	"""Return the text of its junit.xml."""
	return junit(_unknown(command), LogResult(), Verdict(Outcome.CANNOT_JUDGE, reason))


def _unknown(command: str) -> RunInfo:
	started = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
	return RunInfo(kernel_version="", base_commit="", base="", dirty=False, series="", patches=[], profile="", filter="",
		       command=command, started=started, compiler="")
