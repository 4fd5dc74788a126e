# SPDX-License-Identifier: GPL-2.0
"""Break the change in many ways, one at a time, and check that the suite notices each.

Each mutant becomes a separate kernel, beside the built one, and runs the whole suite.
"""

import copy
import json
import multiprocessing
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..kernel import build, profile, qemu, relink
from ..log import verdict
from ..mutation import corpus, promises
from ..source import series
from ..util import deps
from ..kernel.boot import NARROW, patience
from ..kernel.build import Built
from ..log.results import Ending, LogResult, Outcome, Status, Verdict
from ..mutation.corpus import Change, Mutant
from ..source.options import Options
from ..source.store import Kernel
from ..util.errors import CannotJudge, UsageError
from ..util.files import write_whole
from ..util.outputs import attempt, to_stdout
from ..util.proc import workers
from ..util.progress import Progress
from ..util.project import CONFIGS, MUTANTS, PROMISES
from ..util.shard import Shard
from .session import Session

if TYPE_CHECKING:
	from multiprocessing.sharedctypes import Synchronized

ABSENT = "absent"	# this kernel lacks the text
GOOD = ("killed", "equivalent", ABSENT)
LEAST_PATIENCE = 10	# seconds before a boot counts as hung


@dataclass
class Fate:
	"""The fate of a mutant."""
	name: str
	file: str
	why: str
	profile: str
	outcome: str = ""	# killed, equivalent, survived, hung, invalid, not-as-listed, absent
	killer: str = ""	# the first failed case, or another reason for the outcome
	killers: list[str] = field(default_factory=list)	# all cases that failed
	seconds: float = 0.0

	@property
	def good(self) -> bool:
		"""Tell whether neither the suite nor the corpus needs a fix for it."""
		return self.outcome in GOOD


def mutants(options: Options, names: Sequence[str], sample: int = 0, shard: Shard = Shard()) -> int:
	"""Try all mutants of the corpus, named ones, or a sample. Return 0 if the suite kills all, and
	if a case of each mutant's row in the table of promises kills it; else 1.

	Raises CannotJudge if the suite fails without a mutant.
	"""
	if sample < 0 or sample and names:
		raise UsageError("a sample is a number of mutants, and takes no names")
	deps.ensure(deps.RUN)
	chosen = corpus.load(MUTANTS, names)
	if sample:
		chosen = corpus.sample(chosen, sample)
		print(f"sample: {' '.join(mutant.name for mutant in chosen)}")
	chosen = list(shard.spread(chosen))
	if not chosen:
		raise UsageError(f"shard {shard} is empty: there are fewer mutants than shards")
	groups: dict[str, list[Mutant]] = {}
	for mutant in sorted(chosen, key=lambda mutant: bool(mutant.profile)):
		groups.setdefault(mutant.profile or options.profile, []).append(mutant)
	session = Session(replace(options, profile=next(iter(groups))), "mutants")
	session.info.command += f" --sample={sample}" if sample else "".join(f" {name}" for name in names)
	session.info.command += f" --shard={shard}" if shard.count > 1 else ""
	with session.recorded():
		tried = [_try_all(session if number == 0 else in_profile(session, name), group, bool(names))
			 for number, (name, group) in enumerate(groups.items())]
		fates = [fate for _, group in tried for fate in group]
		# The session's profile is the first mutant's, which may differ between shards.
		content = {"kind": "mutants", "shard": str(shard), "fates": [asdict(fate) for fate in fates],
			   "job": session.job() | {"profile": options.profile, "names": names, "sample": sample}}
		attempt("mutants.json could not be written", lambda: write_whole(
			session.folder / "mutants.json", json.dumps(content, indent=1) + "\n"))
		unkept = promises.unkept(promises.rows(promises.load(PROMISES)), killed(fates))
		to_stdout(lambda: tell(fates, unkept))
		code = session.finish(tried[0][0], score(fates, len(unkept)))
	session.say_where()
	return code


def _owed(name: str) -> list[promises.Promise]:
	"""Return the promises that a mutant breaks."""
	return [promise for promise in promises.rows(promises.load(PROMISES)) if name in promise.mutants]


def killers_of(name: str, log: LogResult) -> dict[str, set[str]]:
	"""Return every suite.case that failed on a mutant, under its name."""
	return {name: {f"{case.suite}.{case.name}" for case in log.cases if case.status in (Status.FAIL, Status.CRASH)}}


def killed(fates: Sequence[Fate]) -> dict[str, set[str]]:
	"""Return, for each killed mutant, every suite.case that failed."""
	return {fate.name: {case.partition("[")[0] for case in fate.killers} for fate in fates if fate.outcome == "killed"}


def tell(fates: Sequence[Fate], unkept: Sequence[str]) -> None:
	"""Print the fates, those that need a fix first, and the promises that were not kept."""
	for fate in sorted(fates, key=lambda fate: fate.good):
		print(f"  {fate.outcome:13} {fate.name:<36} {fate.profile:9} {fate.seconds:5.1f} s  {fate.killer}")
	for text in unkept:
		print(f"  {PROMISES.name}: {text}")


def score(fates: Sequence[Fate], unkept: int = 0) -> Verdict:
	"""Return the verdict on the suite; unkept is the number of promises whose cases missed one of their mutants."""
	caught = len(killed(fates))
	equivalent = sum(fate.outcome == "equivalent" for fate in fates)
	absent = sum(fate.outcome == ABSENT for fate in fates)
	reason = f"{caught} of {len(fates) - equivalent - absent} mutants killed"
	reason += f", {equivalent} equivalent as listed" if equivalent else ""
	reason += f", {absent} not of this kernel" if absent else ""
	if bad := [fate for fate in fates if not fate.good]:
		reason += f"; not {', '.join(fate.name for fate in bad)}"
	reason += f"; {unkept} promises whose cases missed one of their mutants" if unkept else ""
	return Verdict(Outcome.FAIL if bad or unkept else Outcome.PASS, reason)


def in_profile(session: Session, name: str) -> Session:
	"""Return a session in another profile that is part of the same run."""
	other = copy.copy(session)
	other.options = replace(session.options, profile=name)
	other.profile = qemu.provided(profile.load(CONFIGS, name), session.options.build_root)
	other.folder = session.folder / name
	other.folder.mkdir()
	return other


def _try_all(session: Session, group: Sequence[Mutant], named: bool) -> tuple[LogResult, list[Fate]]:
	"""Try the mutants of one profile; return the log of the kernel without a mutant, and their fates.

	Mutants whose text a kernel without the default series lacks, or that it cannot compile, are only counted, unless they
	were named.
	"""
	options = session.options
	with session.built() as (kernel, done):
		complete = named or session.info.series == series.DEFAULT
		fates = [] if complete else [Fate(mutant.name, mutant.file, mutant.why, session.profile.name, ABSENT, "this kernel lacks the text that it breaks")
					     for mutant in group if not _stands_in(kernel, mutant)]
		group = [mutant for mutant in group if mutant.name not in {fate.name for fate in fates}]
		if not group:
			raise CannotJudge("this kernel lacks the text of every mutant")
		shop = Shop(session, kernel, done, group)
		shop.complete = complete
		try:
			log = shop.prove()
			started = multiprocessing.get_context("fork").Value("i", 0)
			with session.progress.stage("mutants", f"profile {options.profile}",
						    lambda: f"{len(fates)} of {len(group)} tried"), \
			     workers(min(options.jobs, len(group)), Worker.start, shop, started) as pool:
				for fate in pool.map(Worker.attempt, group):
					fates.append(fate)
					if not fate.good:
						session.progress.say(f"{fate.name}: {fate.outcome}, {fate.killer}")
		finally:
			shutil.rmtree(shop.scratch, ignore_errors=True)
	return log, fates


def _stands_in(kernel: Kernel, mutant: Mutant) -> bool:
	"""Tell whether a kernel has the text that a mutant breaks."""
	try:
		mutant.applied((kernel.tree / mutant.file).read_text(encoding="utf-8"))
	except (OSError, UsageError):
		return False
	return True


class Shop:
	"""The data and tools to try the mutants of a profile."""
	complete = True		# the kernel has the text of every mutant
	narrow = False		# a boot of all suites takes long

	def __init__(self, session: Session, kernel: Kernel, done: Built, group: Sequence[Change], flags: str = ""):
		options = session.options
		self.session, self.kernel, self.done, self.flags = session, kernel, done, flags
		request = build.Request(session.profile, options.jobs, options.kconfig_add, options.make_options)
		self.base = relink.base(kernel, done.obj, request, options.build_root)
		# The folder's name is in every compiler command: keep it the same, so that ccache recognises them.
		self.scratch = options.build_root / f"mutants-{kernel.name}-{session.profile.name}"
		self.objects = {mutant.name: relink.objects(done.obj, mutant.file, mutant.rebuild) for mutant in group}
		self.files = {mutant.file for mutant in group}
		for mutant in group:
			mutant.applied(self.source(mutant.file))

	def source(self, file: str) -> str:
		"""Return the text of a file of the kernel."""
		return (self.kernel.tree / file).read_text(encoding="utf-8")

	def compiled(self) -> list[str]:
		"""Return the objects that are recompiled for any of the mutants."""
		return sorted({name for names in self.objects.values() for name in names})

	def bench(self, number: int) -> relink.Bench:
		"""Return a bench for mutants, on which the kernel without a mutant has been linked."""
		bench = relink.Bench(self.base, self.scratch / str(number), self.files, self.compiled(), self.flags)
		bench.link(self.scratch / f"{number}.log")
		if not bench.is_original():
			raise CannotJudge("linking the same objects beside the build gives a different kernel")
		return bench

	def proven_bench(self) -> relink.Bench:
		"""Return a bench on which compiling the same sources gives the same objects, and the same kernel. Raises CannotJudge if not."""
		with self.session.progress.stage("relink", "the kernel without a mutant"):
			bench = self.bench(0)
			output = self.session.folder / "compile.log"
			differs = [name for name in self.compiled() if bench.compile([name], output)]
		if differs:
			raise CannotJudge(f"compiling the same sources beside the build gives different objects: {', '.join(differs)}")
		return bench

	def judged(self, bench: relink.Bench, folder: Path, suite: str = "") -> tuple[LogResult, Verdict]:
		"""Boot the kernel on a bench, with one suite or all, and judge it."""
		session = self.session
		if suite:
			session = copy.copy(session)
			session.options = replace(session.options, filter=suite)
		log = session.boot(self.kernel, Built(bench.obj, self.done.compiler), folder)
		return verdict.judge(log, session.cases, session.profile.name, suite)

	def seen(self, bench: relink.Bench, folder: Path, output: Path, suite: str = "") -> tuple[LogResult, Verdict]:
		"""The same, and once more with the kernel's own symbols if it complains: its back traces name functions."""
		log, answer = self.judged(bench, folder, suite)
		if log.splats or log.ending is Ending.PANIC:
			bench.link(output)
			log, answer = self.judged(bench, folder, suite)
		return log, answer

	def promised(self, bench: relink.Bench, name: str, folder: Path, output: Path) -> tuple[LogResult, Verdict] | None:
		"""Boot only the suites of the promises that a mutant breaks; None if not each of these has a case that fails."""
		found, failure = LogResult(started=True, ending=Ending.FINISHED), None
		kept = _owed(name)
		there = {case.suite for case in self.session.cases.select(self.session.profile.name)}
		for suite in dict.fromkeys(case.partition(".")[0] for promise in kept for case in promise.cases):
			if suite not in there or found.cases and not promises.unkept(kept, killers_of(name, found)):
				continue
			log, answer = self.seen(bench, folder, output, suite)
			if log.ending not in (Ending.FINISHED, Ending.PANIC):
				return None
			found.cases += log.cases
			found.splats += log.splats
			failure = answer if answer.outcome is Outcome.FAIL else failure
		return (found, failure) if failure and not promises.unkept(kept, killers_of(name, found)) else None

	def prove(self) -> LogResult:
		"""Check that compiling and linking on a bench gives the same kernel, and that the suite passes on it."""
		bench = self.proven_bench()
		log, answer = self.judged(bench, self.session.folder)
		if answer.outcome is not Outcome.PASS:
			raise CannotJudge(f"the suite does not pass without a mutant: {answer.reason}")
		# Many mutants have failed long before they hang; the profile's limit would waste time.
		limit = patience(log.wall_seconds or 0.0, LEAST_PATIENCE)
		self.narrow = (log.wall_seconds or 0.0) > NARROW
		options = self.session.options
		self.session = copy.copy(self.session)	# the next profile has a suite of its own
		self.session.options = replace(options, timeout=options.timeout or min(limit, self.session.timeout))
		return log

	def attempt(self, bench: relink.Bench, mutant: Mutant) -> Fate:
		"""Make a mutant on a bench, boot it, and return its fate."""
		start = time.monotonic()
		fate = Fate(mutant.name, mutant.file, mutant.why, self.session.profile.name)
		folder = self.session.folder / "mutants" / mutant.name
		folder.mkdir(parents=True)
		output, objects = folder / "build.log", self.objects[mutant.name]
		bench.replace(mutant.file, mutant.applied(self.source(mutant.file)))
		compiled = False
		try:
			differs = bench.compile(objects, output)
			compiled = True
			if differs:
				bench.relink(output)
				narrow = self.narrow and not mutant.equivalent
				decided = self.promised(bench, mutant.name, folder, output) if narrow else None
				log, answer = decided or self.seen(bench, folder, output)
				# A panic may have come before the cases of its promises.
				if log.ending is Ending.PANIC and not narrow and promises.unkept(_owed(mutant.name), killers_of(mutant.name, log)):
					log, answer = self.promised(bench, mutant.name, folder, output) or (log, answer)
				_settle(fate, log, answer)
			else:
				fate.outcome, fate.killer = "equivalent", "the object is the same"
		except CannotJudge as error:
			fate.outcome = "invalid" if compiled or self.complete else ABSENT
			fate.killer = "; ".join(str(error).splitlines()[:2])
		finally:
			bench.restore(mutant.file, objects)
		_compare(fate, mutant.equivalent)
		fate.seconds = round(time.monotonic() - start, 1)
		return fate


class Worker:
	"""A worker process for mutants; it has no other children, so that each boot can kill all children of its process."""
	shop: Shop
	number: int
	bench: relink.Bench | None = None

	@classmethod
	def start(cls, shop: Shop, started: "Synchronized[int]") -> None:
		"""Initialise a forked process."""
		shop.session.progress = Progress(open(os.devnull, "w", encoding="utf-8"))
		with started:
			started.value += 1
			cls.shop, cls.number = shop, started.value

	@classmethod
	def attempt(cls, mutant: Mutant) -> Fate:
		"""Try a mutant."""
		# Not in start(): the pool hides the reason of a worker that fails there.
		cls.bench = cls.bench or cls.shop.bench(cls.number)
		return cls.shop.attempt(cls.bench, mutant)


def _settle(fate: Fate, log: LogResult, answer: Verdict) -> None:
	"""Set the fate of a mutant that ran, and the reason."""
	failed = [case for case in log.cases if case.status in (Status.FAIL, Status.CRASH)]
	fate.killers = [case.id for case in failed]
	if answer.outcome is Outcome.PASS:
		fate.outcome, fate.killer = "survived", "the suite passes"
	elif answer.outcome is Outcome.CANNOT_JUDGE:
		fate.outcome, fate.killer = "invalid", answer.reason
	elif any(case.status is Status.FAIL for case in failed):
		fate.outcome, fate.killer = "killed", f"{failed[0].id} and {len(failed) - 1} more"
	elif log.splats:
		fate.outcome, fate.killer = "killed", f"{log.splats[0].kind} in {log.splats[0].case}"
	else:
		fate.outcome, fate.killer = "hung" if log.ending is Ending.HANG else "killed", answer.reason


def _compare(fate: Fate, equivalent: str) -> None:
	"""Compare a fate with the corpus: a mutant must be listed as equivalent if and only if it is."""
	if fate.outcome in ("hung", "invalid", ABSENT):
		return
	same = fate.outcome == "equivalent"
	as_listed = {"": not same, corpus.SAME_OBJECT: same}.get(equivalent, fate.outcome == "survived")
	if not as_listed:
		fate.killer = f"listed as {f'equivalent ({equivalent})' if equivalent else 'harmful'}, but: {fate.killer}"
		fate.outcome = "not-as-listed"
	elif equivalent:
		fate.outcome, fate.killer = "equivalent", fate.killer if same else equivalent
