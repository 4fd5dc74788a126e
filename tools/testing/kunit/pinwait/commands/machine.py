# SPDX-License-Identifier: GPL-2.0
"""Generated mutants that UML does not notice, on x86_64.

There a boot of everything takes as long as many boots of one suite. So each suite is booted once by itself, and what it
executes is noted; a mutant is booted with the suites that execute its line, until one fails.
"""

import copy
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ..gate import choice, seen
from ..kernel import build, quick, relink, traced
from ..kernel.build import Built
from ..log import ktap
from ..log.results import Ending, LogResult, Status
from ..mutation import score
from ..mutation.generate import Variant
from ..mutation.score import Fate
from ..source.prepared import Prepared
from ..util.errors import CannotJudge
from ..util.files import write_whole
from . import mutants
from .session import Session
from .settle import fate_of, first_lines, settle

PROFILE = choice.PROFILE
LEFT = (*score.UNNOTICED, score.EQUIVALENT)	# what is tried here
CPU_FACTOR, LEAST_CPU = 5, 8	# limits of a boot: multiple of the suite's processor time, least seconds
EXECUTED = "executed"
DEBUG = "-g"


@dataclass(frozen=True)
class Suite:
	"""A suite's boot without a mutant."""
	name: str
	chatter: Sequence[str]	# of kunit.py, which shows how a kernel is started
	statuses: Mapping[str, str]
	errors: Sequence[str]
	seconds: float		# of processor time


class Shop(mutants.Shop):
	"""The data and tools to try mutants on x86_64."""
	suites: Sequence[Suite] = ()
	lines: Mapping[str, Mapping[int, Sequence[int]]] = {}	# by file and line: the suites that execute it, none if it has code

	def __init__(self, session: Session, ready: Prepared, done: Built, group: Sequence[Variant], sources: Mapping[str, Sequence[str]]):
		super().__init__(session, ready.kernel, done, group)
		self.ready, self.sources = ready, sources
		self.objects = {variant.file: self.objects[variant.name] for variant in group}

	def prove(self) -> LogResult:
		"""Check that compiling on a bench gives the same kernel; find out what each suite executes."""
		session = self.session
		self.proven_bench()
		request = build.Request(session.profile, session.options.jobs, session.options.kconfig_add, session.options.make_options)
		key = json.dumps([build.identity(self.kernel, self.ready.commit, request), session.profile.machine, session.promised, list(session.options.kernel_args),
				  self.compiled()])
		kept = session.options.build_root / "cache/suites" / f"{hashlib.sha256(key.encode()).hexdigest()[:40]}.json"
		try:
			content: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8"))
		except (OSError, ValueError):
			content = self._measured()
			kept.parent.mkdir(parents=True, exist_ok=True)
			write_whole(kept, json.dumps(content))
		self.suites = [Suite(**suite) for suite in content["suites"]]
		self.lines = {name: {int(number): suites for number, suites in lines.items()} for name, lines in content["lines"].items()}
		return LogResult()

	def _measured(self) -> dict[str, Any]:
		"""Boot each suite by itself; return how that went, and which suites execute each line."""
		session = self.session
		found: list[Suite] = []
		executed: list[set[int]] = []
		cases = [case for case in session.cases.select(PROFILE, "") if session.promised not in case.absent]
		names = list(dict.fromkeys(case.id.partition(".")[0] for case in cases))
		with session.progress.stage("suites", f"profile {PROFILE}", lambda: f"{len(found)} of {len(names)} booted by themselves"):
			for name in names:
				suite, addresses = self._alone(name)
				found.append(suite)
				executed.append(addresses)
		which: dict[int, int] = {}	# by address: a bit for each suite
		for bit, some in enumerate(executed):
			for address in some:
				which[address] = which.get(address, 0) | 1 << bit
		with session.progress.stage("lines", "which suites execute them"):
			place = self.scratch / "debug"
			debug = relink.Bench(self.base, place, self.files, self.compiled(), DEBUG)
			debug.compile(self.compiled(), session.folder / "debug.log")
			told = traced.lines(self.base.obj / self.base.binary, [debug.obj / name for name in self.compiled()], which, debug.tree)
		return {"suites": [asdict(suite) for suite in found],
			"lines": {file: {number: [bit for bit in range(len(names)) if bits >> bit & 1] for number, bits in lines.executed.items()
					 if number not in lines.unknown} for file, lines in told.items()}}

	def _alone(self, name: str) -> tuple[Suite, set[int]]:
		"""Boot a suite by itself; return how that went, and the addresses of what was executed."""
		session = copy.copy(self.session)
		session.options = replace(session.options, filter=f"{name}.*")
		session.folder = self.session.folder / name
		session.folder.mkdir()
		log = session.boot(self.kernel, self.done, session.folder, machine=traced.arguments(session.folder))
		if log.ending is not Ending.FINISHED or any(case.status in (Status.FAIL, Status.CRASH) for case in log.cases):
			raise CannotJudge(f"{name} does not pass by itself on {PROFILE}: {session.folder}")
		traced.keep(session.folder, session.folder / EXECUTED)
		# Without a trace, and as mutants are booted, for the limits.
		argv = self._argv(session.chatter, self.base.obj / self.base.binary)
		booted = quick.run(argv, session.timeout, session.timeout, True, session.profile.programs)
		again = self._read(booted)
		statuses = {case.id: case.status.value for case in log.cases}
		if statuses != {case.id: case.status.value for case in again.cases}:
			raise CannotJudge(f"{name} gives other results without kunit.py")
		return Suite(name, session.chatter, statuses, again.errors, booted.seconds), traced.addresses(session.folder / EXECUTED)

	@staticmethod
	def _argv(chatter: Sequence[str], binary: Path) -> list[str]:
		"""Return the command that boots a kernel as in a suite's own boot, without its trace."""
		words = quick.command(chatter, binary)
		trace = words.index("-d")
		return words[:trace] + words[trace + len("-d in_asm -D file".split()):]

	def _read(self, booted: quick.Booted) -> LogResult:
		return ktap.read_log(booted.lines, self.kernel.tree / "tools/testing/kunit", booted.hung)

	def reaching(self, variant: Variant) -> list[Suite]:
		"""Return the suites that execute a mutant's line, the shortest first; all of them if it is not known which."""
		lines = self.lines.get(variant.file, {})
		owner = seen.statement(self.sources[variant.file], {number: len(suites) for number, suites in lines.items()}, variant.line)
		bits = lines[owner] if owner else range(len(self.suites))
		return sorted((self.suites[bit] for bit in bits), key=lambda suite: suite.seconds)

	def attempt(self, bench: relink.Bench, item: Variant) -> Fate:	# type: ignore[override]
		"""Make a mutant on a bench, boot it with the suites that reach it, and return its fate here."""
		fate, objects = fate_of(item), self.objects[item.file]
		log = self.session.folder / f"{bench.tree.parent.name}.log"
		log.unlink(missing_ok=True)
		bench.replace(item.file, item.applied(self.source(item.file)))
		try:
			self._settle(fate, bench, item, objects, log)
		finally:
			bench.restore(item.file, objects)
		return fate

	def _settle(self, fate: Fate, bench: relink.Bench, item: Variant, objects: Sequence[str], log: Path) -> None:
		try:
			if not bench.compile(objects, log):
				fate.outcome = score.SAME_OBJECT
				return
			fate.digest = f"{PROFILE}:{bench.digest(objects)}"
			suites = self.reaching(item)
			if not suites:
				fate.outcome, fate.killer = score.NOT_REACHED, "no case reaches its line"
				return
			bench.relink(log)
		except CannotJudge as error:
			fate.outcome, fate.killer = score.INVALID, first_lines(error)
			return
		for suite in suites:
			limit = max(LEAST_CPU, math.ceil(CPU_FACTOR * suite.seconds))
			booted = quick.run(self._argv(suite.chatter, bench.binary), limit, self.session.timeout, programs=self.session.profile.programs)
			statuses = {name: Status(status) for name, status in suite.statuses.items()}
			fate.outcome, fate.killer = settle(self._read(booted), booted, statuses, suite.errors)
			if fate.outcome != score.SURVIVED:
				break
		if fate.outcome == score.KILLED:
			fate.outcome = score.KILLED_ELSEWHERE


def shop(session: Session, ready: Prepared, left: Sequence[Variant], sources: Mapping[str, Sequence[str]]) -> Shop:
	"""Build x86_64's kernel, and return the tools to try mutants on it."""
	other = mutants.in_profile(session, PROFILE)
	request = build.Request(other.profile, other.options.jobs, other.options.kconfig_add, other.options.make_options)
	done = build.build(ready.kernel, ready.commit, request, other.options.build_root, other.folder / "build.log", session.progress)
	return Shop(other, ready, done, left, sources)


def joined(here: Fate, there: Fate) -> Fate:
	"""Return the fate of a mutant that was tried on both machines."""
	if there.outcome in (*score.NOTICED, score.SURVIVED) or there.outcome == score.NOT_REACHED and here.outcome != score.SURVIVED:
		killer = f"{PROFILE}: {there.killer}" if there.outcome in score.NOTICED else there.killer
		if there.outcome == score.SURVIVED and here.outcome == score.SURVIVED:
			return here
		return replace(here, outcome=there.outcome, killer=killer, digest=here.digest or there.digest)
	if here.outcome == score.NOT_BUILT and there.outcome == score.INVALID:
		return replace(here, outcome=there.outcome, killer=f"{PROFILE}, which alone builds its line: {there.killer}")
	return here
