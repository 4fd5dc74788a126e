# SPDX-License-Identifier: GPL-2.0
"""Break the change in many ways, one at a time: does the suite notice each?

A mutant is data (tools/testing/mutants/*.toml): a file, a text that stands in it once, what to
put in its place, and why that is wrong. It is killed if the suite fails, survives if it passes.
"""

import json
import os
import time
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from . import build, deps, verdict
from .build import Built
from .errors import CannotJudge, UsageError
from .kernel import Kernel
from .results import Ending, LogResult, Outcome, Status, Verdict
from .run import PROJECT, Options, Session

CORPUS = PROJECT / "tools/testing/mutants"
KEYS = {"name", "file", "old", "new", "why"}


@dataclass(frozen=True)
class Mutant:
	"""One way to break a file of the kernel."""
	name: str
	file: str
	old: str
	new: str
	why: str
	rebuild: tuple[str, ...]	# for a header: the objects in which it matters to the suite

	def applied(self, text: str) -> str:
		"""Return text with the mutation. Raises UsageError unless `old` stands in it just once."""
		found = text.count(self.old)
		if found != 1:
			raise UsageError(f"mutant {self.name}: its `old` stands {found} times in {self.file}, not once")
		return text.replace(self.old, self.new)


@dataclass
class Fate:
	"""What became of a mutant."""
	name: str
	outcome: str		# killed, survived, hung (killed by nothing but the time limit), invalid
	killer: str		# the first case that failed, or what else gave it away
	seconds: float
	why: str


def load(folder: Path, names: Sequence[str] = ()) -> list[Mutant]:
	"""Return the mutants of a corpus, or those named.

	Raises UsageError for a mutant that makes no sense, a name used twice, an unknown name.
	"""
	found: dict[str, Mutant] = {}
	for file in sorted(folder.glob("*.toml")):
		try:
			tables: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8"))
		except tomllib.TOMLDecodeError as error:
			raise UsageError(f"{file}: {error}") from error
		rebuild = tuple(tables.get("rebuild", ()))
		for table in tables.get("mutant", ()):
			table = {"file": tables.get("file"), **table}
			name = str(table.get("name", "?"))
			if set(table) != KEYS or not all(isinstance(value, str) for value in table.values()):
				raise UsageError(f"{file}: mutant {name} needs {', '.join(sorted(KEYS))} and nothing else")
			if name in found:
				raise UsageError(f"{file}: there is another mutant {name}")
			if table["old"] == table["new"]:
				raise UsageError(f"{file}: mutant {name} changes nothing")
			found[name] = Mutant(**table, rebuild=rebuild)
	if unknown := [name for name in names if name not in found]:
		raise UsageError(f"unknown mutant '{unknown[0]}'; there are: {', '.join(found)}")
	if not found:
		raise UsageError(f"{folder} holds no mutants")
	return [mutant for mutant in found.values() if not names or mutant.name in names]


def mutants(options: Options, names: Sequence[str]) -> int:
	"""Try the mutants of the corpus, or those named; return 0 if all are killed, 1 if not.

	Raises CannotJudge if the suite fails without any mutant.
	"""
	deps.ensure(deps.RUN)
	corpus = load(CORPUS, names)
	session = Session(options, "mutants")
	with session.recorded():
		with session.built() as (kernel, done):
			for mutant in corpus:
				mutant.applied((kernel.tree / mutant.file).read_text(encoding="utf-8"))
			log = session.boot(kernel, done, session.folder)
			answer = verdict.judge(log, session.cases, options.profile, options.filter)
			if answer.outcome is not Outcome.PASS:
				raise CannotJudge(f"the suite does not pass without a mutant: {answer.reason}")
			fates: list[Fate] = []
			for number, mutant in enumerate(corpus, 1):
				fates.append(_try(session, kernel, done, mutant))
				session.progress.say(f"mutant {number} of {len(corpus)}, {mutant.name}: {fates[-1].outcome}")
		bad = [fate for fate in fates if fate.outcome != "killed"]
		reason = f"{len(fates) - len(bad)} of {len(fates)} mutants killed"
		if bad:
			reason += f"; not {', '.join(fate.name for fate in bad)}"
		(session.folder / "mutants.json").write_text(
			json.dumps([asdict(fate) for fate in fates], indent=1) + "\n", encoding="utf-8")
		for fate in sorted(fates, key=lambda fate: fate.outcome == "killed"):
			print(f"  {fate.outcome:8} {fate.name:<36} {fate.seconds:5.1f} s  {fate.killer}")
		code = session.finish(log, Verdict(Outcome.FAIL if bad else Outcome.PASS, reason))
	session.say_where()
	return code


def _try(session: Session, kernel: Kernel, done: Built, mutant: Mutant) -> Fate:
	start = time.monotonic()
	folder = session.folder / "mutants" / mutant.name
	folder.mkdir(parents=True)
	request = build.Request(session.profile, session.options.jobs, session.options.kconfig_add,
				session.options.make_options)
	with _mutated(kernel, done.obj, mutant):
		try:
			build.rebuild(kernel, done.obj, request, session.options.build_root, folder / "build.log")
		except CannotJudge as error:
			outcome, killer = "invalid", str(error).splitlines()[1]
		else:
			log = session.boot(kernel, done, folder)
			answer = verdict.judge(log, session.cases, session.options.profile, session.options.filter)
			outcome, killer = _outcome(log, answer)
	return Fate(mutant.name, outcome, killer, round(time.monotonic() - start, 1), mutant.why)


def _outcome(log: LogResult, answer: Verdict) -> tuple[str, str]:
	"""Return a mutant's outcome and what gave it away."""
	failed = [case for case in log.cases if case.status in (Status.FAIL, Status.CRASH)]
	if answer.outcome is Outcome.PASS:
		return "survived", ""
	if answer.outcome is Outcome.CANNOT_JUDGE:
		return "invalid", answer.reason
	if any(case.status is Status.FAIL for case in failed):
		return "killed", f"{failed[0].id} and {len(failed) - 1} more"
	if log.splats:
		return "killed", f"{log.splats[0].kind} in {log.splats[0].case}"
	return ("hung" if log.ending is Ending.HANG else "killed"), answer.reason


@contextmanager
def _mutated(kernel: Kernel, obj: Path, mutant: Mutant) -> Iterator[None]:
	"""Have the mutation in the worktree and, for a header, in the objects where it matters.

	Make must not see that a header has changed, or it would compile the world: the header keeps
	its time and the objects go. They go before the header is restored, so that whatever is killed
	in between leaves an edited header, which the next run notices.
	"""
	path = kernel.tree / mutant.file
	text = path.read_text(encoding="utf-8")
	stat = path.stat()

	def forget() -> None:
		for name in mutant.rebuild:
			(obj / name).unlink(missing_ok=True)

	def write(content: str) -> None:
		path.write_text(content, encoding="utf-8")
		if mutant.rebuild:
			os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))

	write(mutant.applied(text))
	try:
		forget()
		yield
	finally:
		forget()
		write(text)
