# SPDX-License-Identifier: GPL-2.0
"""Report which lines and branches of the change the suite executes.

The verdict is pass if the suite executes every line that the series adds, and takes every branch
on it. For the functions around them, named in tools/testing/coverage.toml, unreached lines are
listed with the reasons from that file; a line without a reason, or a reason without its line, also
fails the run.
"""

import json
import re
import shlex
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ..kernel import gcov
from ..log import verdict
from ..source import series
from ..util import deps, proc
from ..gate.seen import changed_lines
from ..kernel.build import Built
from ..kernel.gcov import Line
from ..log.results import Outcome, Verdict
from ..source.options import Options
from ..source.prepared import Prepared
from ..source.store import Kernel
from ..util.errors import CannotJudge, UsageError
from ..util.progress import Progress
from ..util.project import PROJECT
from .session import Session

REASONS = PROJECT / "tools/testing/coverage.toml"
SHOWN = 20		# lines not executed that are printed; coverage.json has them all


@dataclass(frozen=True)
class Reason:
	"""Why a function's line is not reached, or a branch on it not taken."""
	file: str
	function: str
	code: str		# the line, without white space around it; the one before it and "\n" may precede
	why: str
	branch: bool = False	# the line is reached, but not every branch taken


@dataclass(frozen=True)
class Gap:
	"""A line, or a branch on a line, that was not executed."""
	file: str
	line: int
	function: str
	before: str		# the line before it
	code: str
	what: str		# "line", or "1 of 2 branches"
	added: bool		# by the series
	why: str		# the reason given, "" for none


def coverage(options: Options) -> int:
	"""Run the suites with gcov's counters; return 0 if every line that the series adds is executed and
	every other unreached line has a reason, 1 if not.

	Raises CannotJudge if the suites do not pass, or the profile's kernel has no counters.
	"""
	deps.ensure(deps.RUN | deps.COVERAGE)
	functions, reasons = load(REASONS)
	session = Session(options, "coverage")
	with session.recorded():
		with session.ready() as (ready, done):
			kernel = ready.kernel
			for old in done.obj.rglob("*.gcda"):
				old.unlink()
			log = session.boot(kernel, done, session.folder)
			log, answer = verdict.judge(log, session.cases, options.profile, options.filter)
			if answer.outcome is not Outcome.PASS:
				raise CannotJudge(f"the suites do not pass: {answer.reason}")
			with session.progress.stage("gcov", "read the counters"):
				lines = gcov.read(done.obj, kernel.tree)
			added = added_lines(kernel, ready)
			with session.progress.stage("report", "render HTML"):
				_html(kernel, done, [*added, *functions], session.folder / "html", session.progress)
			sources = {name: (kernel.tree / name).read_text(encoding="utf-8").splitlines()
				   for name in {*added, *functions}}
		gaps = find_gaps(sources, lines, added, functions, reasons)
		stale = [reason for reason in reasons if not any(_explains(reason, gap) for gap in gaps)]
		answer = _judge(lines, added, gaps, stale)
		_tell(session.folder, lines, added, gaps, stale)
		code = session.finish(log, answer)
	session.say_where()
	return code


def load(path: Path) -> tuple[dict[str, list[str]], list[Reason]]:
	"""Return the functions to check, by file, and the reasons. Raises UsageError."""
	try:
		tables: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
		functions = {str(name): [str(function) for function in found]
			     for name, found in tables["functions"].items()}
		reasons = [Reason(**{**table, "code": code}) for table in tables.get("unreached", ())
			   for code in ([table["code"]] if isinstance(table["code"], str) else table["code"])]
	except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError, AttributeError) as error:
		raise UsageError(f"{path}: {error}") from error
	for reason in reasons:
		if reason.function not in functions.get(reason.file, ()) or not reason.why:
			raise UsageError(f"{path}: '{reason.code}' needs a why, and a function that is listed for {reason.file}")
	return functions, reasons


def added_lines(kernel: Kernel, ready: Prepared) -> dict[str, set[int]]:
	"""Return the numbers of the lines that the series adds, by file."""
	chosen = ready.series
	before = series.apply(kernel, replace(chosen, patches=()))
	after = series.apply(kernel, chosen)
	names = kernel.git("diff", "--name-only", before, after).splitlines()
	return {name: changed_lines(kernel.git.changed(before, after, name))[1]
		for name in names if name.endswith((".c", ".h"))}


def function_lines(source: Sequence[str], name: str) -> range:
	"""Return the numbers of a function's lines, from its name to the brace that ends it.

	Raises UsageError if source defines no such function.
	"""
	head = re.compile(rf"^(?!#|\s).*\b{re.escape(name)}\(")
	for start, text in enumerate(source, 1):
		if not head.match(text):
			continue
		for end in range(start, len(source) + 1):
			if source[end - 1].endswith(";") and not source[end - 1].startswith("\t") or source[end - 1] == "}":
				break
		if source[end - 1] == "}":
			return range(start, end + 1)
	raise UsageError(f"{REASONS}: there is no function {name}")


def find_gaps(sources: Mapping[str, Sequence[str]], lines: Mapping[str, Mapping[int, Line]],
	      added: Mapping[str, Iterable[int]], functions: Mapping[str, Sequence[str]],
	      reasons: Sequence[Reason]) -> list[Gap]:
	"""Return the added lines, and the lines of the functions, that were not executed."""
	gaps = []
	for name, source in sources.items():
		where = {number: function for function in functions.get(name, ())
			 for number in function_lines(source, function)}
		mine = set(added.get(name, ()))
		for number in sorted(mine | set(where)):
			line = lines.get(name, {}).get(number)
			if not line or line.count and not line.untaken:
				continue
			gap = Gap(name, number, where.get(number, ""), source[number - 2].strip(), source[number - 1].strip(),
				  f"{line.untaken} of {line.branches} branches" if line.count else "line", number in mine, "")
			why = next((reason.why for reason in reasons if _explains(reason, gap)), "")
			# An untaken branch outside of the series' lines needs no reason if it leads nowhere else.
			if gap.added or why or not line.count:
				gaps.append(replace(gap, why=why))
	return gaps


def _explains(reason: Reason, gap: Gap) -> bool:
	return ((reason.file, reason.function, reason.branch) == (gap.file, gap.function, gap.what != "line")
		and reason.code in (gap.code, f"{gap.before}\n{gap.code}"))


def _judge(lines: Mapping[str, Mapping[int, Line]], added: Mapping[str, set[int]], gaps: Sequence[Gap],
	   stale: Sequence[Reason]) -> Verdict:
	code = [lines[name][number] for name, numbers in added.items() for number in numbers
		if number in lines.get(name, {})]
	if not code:
		return Verdict(Outcome.FAIL, "the series adds no line for which gcov has code")
	total = len(code) + sum(line.branches for line in code)
	missed = sum(1 if gap.what == "line" else int(gap.what.split()[0]) for gap in gaps if gap.added and not gap.why)
	faults = [f"{missed} lines or branches of the series are not executed"] if missed else []
	bare = [gap for gap in gaps if not gap.added and not gap.why]
	faults += [f"{len(bare)} lines around it are not reached and have no reason"] if bare else []
	faults += [f"{len(stale)} reasons match no unreached line"] if stale else []
	explained = sum(gap.added and bool(gap.why) for gap in gaps)
	reached = (f"{len(code)} lines and {total - len(code)} branches of the series executed"
		   + (f", {explained} of them impossible as explained" if explained else ""))
	return Verdict(Outcome.FAIL if faults else Outcome.PASS, "; ".join(faults) or reached)


def _html(kernel: Kernel, done: Built, names: Iterable[str], folder: Path, progress: Progress) -> None:
	folder.mkdir()
	filters = [f"--filter={re.escape(str(kernel.tree / name))}$" for name in dict.fromkeys(names)]
	argv = ["gcovr", f"--root={kernel.tree}", f"--object-directory={done.obj}", *filters,
		"--html-title=Coverage of the change", f"--html-details={folder / 'index.html'}", str(done.obj / gcov.FOLDER)]
	try:
		proc.run(argv, cwd=done.obj)
	except proc.CommandFailed as error:
		raise CannotJudge(f"{shlex.join(argv)}: {error}") from error
	progress.say(f"HTML: {folder / 'index.html'}")


def _tell(folder: Path, lines: Mapping[str, Mapping[int, Line]], added: Mapping[str, set[int]],
	  gaps: Sequence[Gap], stale: Sequence[Reason]) -> None:
	"""Write coverage.json, and print the lines that are not executed, those without a reason first."""
	counts = {name: {str(number): {"count": line.count, "branches": line.branches, "untaken": line.untaken}
			 for number in sorted(numbers) if (line := lines.get(name, {}).get(number))}
		  for name, numbers in added.items()}
	(folder / "coverage.json").write_text(json.dumps(
		{"added": counts, "gaps": [asdict(gap) for gap in gaps],
		 "stale": [asdict(reason) for reason in stale]}, indent=1) + "\n", encoding="utf-8")
	for gap in sorted(gaps, key=lambda gap: (bool(gap.why), not gap.added)):
		mark = "added" if gap.added else gap.function
		print(f"  {gap.file}:{gap.line}: {mark}: {gap.what} not executed: {gap.code}\n"
		      f"      {gap.why or 'NO REASON GIVEN'}")
	for reason in stale:
		print(f"  {REASONS.name}: matches no unreached line: {reason.function}: {reason.code}")
