# SPDX-License-Identifier: GPL-2.0
"""`make mutants GENERATED=1`: score the suite on generated mutants.

Every mutant is compiled. Unless its objects equal the original ones, or no case reaches its line, it is booted until the
first case fails. An equal object proves nothing if another profile makes a different one.
"""

import functools
import hashlib
import json
import math
import multiprocessing
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from ..gate import choice, seen
from ..kernel import build, gcov, quick, relink
from ..log import ktap
from ..mutation import coccinelle, equality, generate, road, score
from ..util import deps
from . import machine, mutants
from ..kernel.build import Built, Request
from ..log.results import Ending, LogResult, Outcome, Status, Verdict
from ..mutation.generate import Variant
from ..mutation.score import Fate
from ..source.options import Options
from ..source.prepared import Prepared
from ..source.store import Kernel
from ..util.errors import CannotJudge, UsageError
from ..util.files import write_whole
from ..util.outputs import attempt, to_stdout
from ..util.proc import workers
from ..util.project import GENERATED, ROAD, SCORES
from ..util.shard import Shard
from .session import Session
from .settle import fate_of, first_lines, settle

KIND = "generated"
NEAR = "near"		# of the series: functions that it changes, and those that they call
LINES, RESULT, TABLE = "generated.jsonl", "generated.json", "generated.txt"
UNINITIALIZED = "-ftrivial-auto-var-init=uninitialized"	# the default would hide a removed memset() on the stack
STRICT = "-Werror=int-conversion"	# an integer in place of a pointer is an invalid mutant
COMPARED = f"{STRICT} --param asan-globals=0"	# KASAN records the columns of definitions of static variables
SAME_AS = ("uml-rt", "uml-smp", "uml-debug", "uml-kasan")	# further profiles in which an object has to be equal
CPU_FACTOR, LEAST_CPU = 5, 4	# limits of a boot: multiple of the suite's processor time, least seconds


@dataclass(frozen=True)
class Asked:
	"""Which mutants to try, and how."""
	names: tuple[str, ...] = ()
	sample: int = 0
	seed: str = ""		# "": from the kernel's version
	functions: tuple[str, ...] = ()	# globs of function or file:function, or NEAR
	shard: Shard = Shard()
	resume: bool = False
	record: bool = False
	alone: bool = False	# not on x86_64, too


def generated(options: Options, asked: Asked) -> int:
	"""Try generated mutants; return 0 unless one survives that the record of the same seed calls noticed.

	Raises CannotJudge if the suite does not pass without a mutant.
	"""
	_check(asked, options.profile)
	deps.ensure(deps.RUN | deps.PARSER)
	session = Session(options, "mutants")
	with session.recorded():
		with session.ready() as (ready, done):
			session.info.command += _words(asked)	# the kernel's name is known only now
			made = _Made(session, ready, asked)
			trial = _Trial(session, ready, done, made)
			fates, log = trial.fates()
		answer = _tell(session, made, trial.job(), fates, trial.alone)
		code = session.finish(log, answer)
	session.say_where()
	return code


def _check(asked: Asked, profile: str) -> None:
	"""Raise UsageError for contradictory options."""
	if asked.sample < 0 or asked.names and (asked.sample or asked.functions or asked.seed):
		raise UsageError("a sample is a number of mutants; names take neither a sample nor a seed nor functions")
	if asked.record and (asked.names or asked.functions or asked.shard.count > 1):
		raise UsageError("a record needs a whole sample, without names, functions and shards")
	if asked.record and (profile != Options.profile or asked.alone):
		raise UsageError(f"a record is of profile {Options.profile}, and of what {machine.PROFILE} notices beside it")


def _words(asked: Asked) -> str:
	words = " --generated"
	words += f" --seed={asked.seed}" if asked.seed else ""
	words += f" --sample={asked.sample}" if asked.sample else ""
	words += f" --functions={','.join(asked.functions)}" if asked.functions else ""
	words += f" --shard={asked.shard}" if asked.shard.count > 1 else ""
	words += " --alone" if asked.alone else ""
	return words + "".join(f" '{name}'" for name in asked.names)


class _Made:
	"""The mutants of a kernel, and the chosen ones."""

	def __init__(self, session: Session, ready: Prepared, asked: Asked):
		self.road, self.operators = road.load(ROAD), generate.load(GENERATED / "operators.toml")
		self.asked = asked
		self.seed = asked.seed or generate.seed_of(ready.kernel.version)
		tree = ready.kernel.tree
		heads = {name.partition(":")[0] for name in asked.names}
		files = [name for name in self.road.functions if not heads or Path(name).name in heads]
		texts = {name: (tree / name).read_text(encoding="utf-8") for name in files if (tree / name).exists()}
		with session.progress.stage("parse", f"{len(texts)} files, with Coccinelle"):
			self.found = coccinelle.look(GENERATED, texts, session.options.build_root / "cache/coccinelle")
		self.all = [variant for name, found in self.found.items() for variant in
			    generate.variants(name, found, self.road.functions[name], self.operators)]
		self.near = road.near(self.road, self.found)
		for line in self.doubts():
			session.progress.say(line)
		self.chosen = self._choose()

	def doubts(self) -> list[str]:
		"""Return the sites, lines and functions that could not be mutated, as text."""
		told = []
		for name, found in self.found.items():
			rejected = [function for function in found.rejected if function in self.road.functions[name]]
			if rejected or found.unparsed:
				where = f" ({', '.join(dict.fromkeys(rejected))})" if rejected else ""
				told.append(f"{name}: {len(rejected)} sites are not as Coccinelle says{where}, {found.unparsed} lines of the file are not parsed")
		gone = [f"{name}:{function}" for name, found in self.found.items() for function in self.road.functions[name]
			if function not in found.defined]
		return told + ([f"not in this kernel, or not parsed: {', '.join(gone)}"] if gone else [])

	def _choose(self) -> list[Variant]:
		asked = self.asked
		if asked.names:
			chosen = generate.named(self.all, asked.names)
		else:
			among = [variant for variant in self.all if not asked.functions or any(
				fnmatchcase(text, glob) for glob in asked.functions
				for text in (variant.function, f"{Path(variant.file).name}:{variant.function}"))
				 or NEAR in asked.functions and (variant.file, variant.function) in self.near]
			chosen = generate.drawn(among, self.seed, asked.sample)
		chosen = list(asked.shard.spread(chosen))
		if not chosen:
			raise UsageError("no mutant matches" if asked.shard.count == 1 else
					 f"shard {asked.shard} is empty: there are fewer mutants than shards")
		return [replace(variant, rebuild=self.road.rebuild.get(variant.file, ())) for variant in chosen]


@dataclass(frozen=True)
class Reach:
	"""The lines that the cases reach: counts of the kernel without a mutant, by file and line."""
	sources: Mapping[str, Sequence[str]]
	counts: Mapping[str, Mapping[int, int]]

	def owner(self, variant: Variant) -> int:
		"""Return the line that has the count for a mutant, 0 if gcov has no code there."""
		return seen.statement(self.sources[variant.file], self.counts.get(variant.file, {}), variant.line)

	def never(self, variant: Variant) -> bool:
		"""Tell whether certainly no case reaches a mutant."""
		owner = self.owner(variant)
		return bool(owner) and not self.counts[variant.file][owner]


@dataclass(frozen=True)
class _Limits:
	"""The results of the kernel without a mutant, and the limits for a mutant's boot."""
	chatter: list[str]	# of kunit.py, which shows how a kernel is started
	statuses: dict[str, Status]
	errors: set[str]
	processor: int


class _Shop(mutants.Shop):
	"""The data and tools to try generated mutants."""
	limits: _Limits
	reach: Reach | None = None

	def prove(self) -> LogResult:
		"""Check that compiling on a bench gives the same kernel and that the suite passes on it; measure how long that takes."""
		session = self.session
		bench = self.proven_bench()
		log, answer = self.judged(bench, session.folder)
		if answer.outcome is not Outcome.PASS:
			raise CannotJudge(f"the suite does not pass without a mutant: {answer.reason}")
		# Boot it again in the way of mutants.
		argv = quick.command(session.chatter, bench.binary)
		booted = quick.run(argv, session.timeout, session.timeout, True, session.profile.programs)
		again = self.read(booted)
		statuses = {case.id: case.status for case in log.cases}
		if statuses != {case.id: case.status for case in again.cases}:
			raise CannotJudge("the kernel without a mutant gives other results without kunit.py")
		self.limits = _Limits(session.chatter, statuses, set(again.errors), max(LEAST_CPU, math.ceil(CPU_FACTOR * booted.seconds)))
		return log

	def read(self, booted: quick.Booted) -> LogResult:
		"""Return the results in a console."""
		return ktap.read_log(booted.lines, self.kernel.tree / "tools/testing/kunit", booted.hung)

	def attempt(self, bench: relink.Bench, item: Variant) -> Fate:	# type: ignore[override]
		"""Make a mutant on a bench, boot it if a boot can notice it, and return its fate."""
		start = time.monotonic()
		fate = fate_of(item)
		folder = self.session.folder / "mutants"
		folder.mkdir(exist_ok=True)
		log, objects = folder / f"{bench.tree.parent.name}.log", self.objects[item.file]
		log.unlink(missing_ok=True)
		bench.replace(item.file, item.applied(self.source(item.file)))
		try:
			self._settle(fate, bench, item, objects, log)
		finally:
			bench.restore(item.file, objects)
		fate.seconds = round(time.monotonic() - start, 1)
		return fate

	def _settle(self, fate: Fate, bench: relink.Bench, item: Variant, objects: Sequence[str], log: Path) -> None:
		try:
			differs = bench.compile(objects, log)
		except CannotJudge as error:
			fate.outcome, fate.killer = score.INVALID, first_lines(error)
			return
		if not differs:
			fate.outcome = score.SAME_OBJECT
			return
		fate.digest = bench.digest(objects)
		if self.reach and self.reach.never(item):
			fate.outcome, fate.killer = score.NOT_REACHED, "no case reaches its line"
			return
		try:
			bench.relink(log)
		except CannotJudge as error:
			fate.outcome, fate.killer = score.NO_LINK, first_lines(error)
			return
		booted = quick.run(quick.command(self.limits.chatter, bench.binary), self.limits.processor, self.session.timeout,
				   programs=self.session.profile.programs)
		fate.outcome, fate.killer = settle(self.read(booted), booted, self.limits.statuses, self.limits.errors)
		if fate.outcome in (score.HUNG, score.DEAD):
			write_whole(self.session.folder / "mutants" / f"{file_name(item.name)}.log",
				    "".join(f"{line.text}\n" for line in booted.lines))


def file_name(name: str) -> str:
	"""Turn a mutant's name into a file name."""
	return name.replace("/", "%")


class _Groups(mutants.Shop):
	"""A profile in which objects are only compared."""

	def __init__(self, session: Session, kernel: Kernel, done: Built, group: Sequence[Variant], flags: str):
		super().__init__(session, kernel, done, group, flags)
		self.originals: dict[str, str] = {}	# digests of each file's original objects

	def attempt(self, bench: relink.Bench, item: Sequence[Variant]) -> dict[str, str]:	# type: ignore[override]
		"""Return, by name, the answers for mutants of one file, which do not overlap."""
		file = item[0].file
		objects, log = self.objects[file], self.session.folder / f"equal-{bench.tree.parent.name}.log"
		text = self.source(file)
		if file not in self.originals:	# with flags, they may differ from the build's
			bench.compile(objects, log)
			self.originals[file] = bench.digest(objects)

		def compiled(group: Sequence[Variant]) -> str:
			log.unlink(missing_ok=True)
			bench.replace(file, equality.applied(group, text))
			try:
				bench.compile(objects, log)
			except CannotJudge:
				return equality.INVALID
			return equality.EQUAL if bench.digest(objects) == self.originals[file] else equality.DIFFERS
		try:
			return equality.sort_out(item, compiled)
		finally:
			bench.restore(file, objects)

	def bench(self, number: int) -> relink.Bench:
		"""Return a bench to compile on; nothing is linked there."""
		return relink.Bench(self.base, self.scratch / str(number), self.files, self.compiled(), self.flags)


class _Trial:
	"""One run over all chosen mutants."""

	def __init__(self, session: Session, ready: Prepared, done: Built, made: _Made):
		self.session, self.ready, self.done, self.made = session, ready, done, made
		self.lines = session.folder / LINES
		self.known: dict[str, Fate] = {}
		self.alone = made.asked.alone	# what is not noticed here was not tried on x86_64

	def fates(self) -> tuple[list[Fate], LogResult]:
		"""Try the chosen mutants; return their fates, in order, and the log of the kernel without a mutant."""
		session, chosen = self.session, self.made.chosen
		header = {"kind": KIND, "shard": str(self.made.asked.shard), "job": self.job()}
		if self.made.asked.resume:
			self.known = resumed(session.folder.parent, header)
			session.progress.say(f"resume: {len(self.known)} of {len(chosen)} are known")
		write_whole(self.lines, "".join(f"{json.dumps(line)}\n" for line in [header, *map(asdict, self.known.values())]))
		shop = _Shop(session, self.ready.kernel, self.done, chosen, STRICT)
		shop.objects = {variant.file: shop.objects[variant.name] for variant in chosen}
		try:
			log = shop.prove()
			if self._is_whole():
				shop.reach = self._reach()
				self._darkness(shop.reach)
			left = [variant for variant in chosen if variant.name not in self.known]
			for fate in self._pooled(shop, left, "mutants", "tried"):
				self._note(fate)
		finally:
			shutil.rmtree(shop.scratch, ignore_errors=True)
		same = [variant for variant in chosen if self.known[variant.name].outcome == score.SAME_OBJECT]
		if same and self._is_whole():
			self._elsewhere(same, shop.reach)
		if not self.alone and not session.profile.qemu_config:
			self._on_machine()
		return [replace(fate, near=(fate.file, fate.function) in self.made.near)
			for fate in score.settled([self.known[variant.name] for variant in chosen])], log

	def _is_whole(self) -> bool:
		"""Tell whether to ask what gcov and other profiles say, too; both are UML's, and know nothing of another architecture."""
		return not self.made.asked.names and not self.session.profile.qemu_config

	def job(self) -> dict[str, Any]:
		"""Return the data that shards and interrupted runs of one job share."""
		asked = self.made.asked
		return self.session.job() | {"tool": _tool(), "names": list(asked.names), "sample": asked.sample, "seed": self.made.seed,
					     "functions": list(asked.functions), "kernel": self.ready.kernel.version,
					     "series": self.ready.series.name}

	def _note(self, fate: Fate) -> None:
		"""Keep a fate as soon as it is known."""
		self.known[fate.name] = fate
		with open(self.lines, "a", encoding="utf-8") as stream:
			stream.write(json.dumps(asdict(fate)) + "\n")

	def _pooled(self, shop: mutants.Shop, items: Sequence[Any], stage: str, what: str) -> Iterator[Any]:
		"""Yield the results of a shop for items, which are tried in parallel."""
		if not items:
			return
		count = 0
		started = multiprocessing.get_context("fork").Value("i", 0)
		with self.session.progress.stage(stage, f"profile {shop.session.profile.name}", lambda: f"{count} of {len(items)} {what}"), \
		     workers(min(self.session.options.jobs, len(items)), mutants.Worker.start, shop, started) as pool:
			for answer in pool.map(mutants.Worker.attempt, items):
				count += 1
				yield answer

	def _darkness(self, reach: Reach) -> None:
		"""Set the fates of mutants with equal objects, among those where gcov has no code."""
		dark = {variant.name: variant for variant in self.made.chosen if not reach.owner(variant) and variant.name not in self.known}
		for name, answer in self._sorted_out(self.session, self.done, "dark", STRICT, list(dark.values())).items():
			if answer == equality.EQUAL:
				self._note(replace(fate_of(dark[name]), outcome=score.SAME_OBJECT))

	def _reach(self) -> Reach:
		"""Return the lines that the cases reach on the kernel without a mutant."""
		session, kernel = self.session, self.ready.kernel
		other = mutants.in_profile(session, gcov.PROFILE)
		request = _request(other)
		done = build.build(kernel, self.ready.commit, request, session.options.build_root, other.folder / "build.log", session.progress)
		sources = {name: found.text.splitlines() for name, found in self.made.found.items()}
		objects = self._objects()
		key = json.dumps([build.identity(kernel, self.ready.commit, request), session.info.series, objects])
		kept = session.options.build_root / "cache/counts" / f"{hashlib.sha256(key.encode()).hexdigest()[:40]}.json"
		try:
			content = json.loads(kept.read_text(encoding="utf-8"))
		except (OSError, ValueError):
			for old in done.obj.rglob("*.gcda"):
				old.unlink()
			log = other.boot(kernel, done, other.folder)
			if log.ending is not Ending.FINISHED:
				raise CannotJudge(f"the kernel with gcov's counters does not finish the suite: {log.ending.value}")
			with session.progress.stage("gcov", "read the counters"):
				counters = [done.obj / Path(name).with_suffix(".gcda") for name in objects]
				lines = gcov.read_counters([path for path in counters if path.exists()], done.obj, kernel.tree)
			content = {name: {number: line.count for number, line in found.items()} for name, found in lines.items() if name in sources}
			if not content:
				raise CannotJudge(f"the kernel wrote no counters below {done.obj}; did it shut down cleanly?")
			kept.parent.mkdir(parents=True, exist_ok=True)
			write_whole(kept, json.dumps(content))
		return Reach(sources, {name: {int(number): count for number, count in counts.items()} for name, counts in content.items()})

	def _sorted_out(self, session: Session, done: Built, where: str, flags: str, variants: Sequence[Variant]) -> dict[str, str]:
		"""Return, by name, whether mutants make a different object in a profile, with additional flags."""
		if not variants:
			return {}
		shop = _Groups(session, self.ready.kernel, done, variants, flags)
		shop.objects = {variant.file: shop.objects[variant.name] for variant in variants}
		shop.scratch = shop.scratch.with_name(f"{shop.scratch.name}-{where}")
		by_file: dict[str, list[Variant]] = {}
		for variant in variants:
			by_file.setdefault(variant.file, []).append(variant)
		groups = [layer for some in by_file.values() for layer in equality.layers(some)]
		found: dict[str, str] = {}
		try:
			for answers in self._pooled(shop, groups, "compare", f"groups of {len(variants)} mutants compared"):
				found |= answers
		finally:
			shutil.rmtree(shop.scratch, ignore_errors=True)
		return found

	def _elsewhere(self, variants: Sequence[Variant], reach: Reach | None) -> None:
		"""Find out whether mutants whose objects are equal here are equal everywhere, and set their fates."""
		kernel, answers, absent = self.ready.kernel, {}, []
		answers["an uninitialized stack"] = self._sorted_out(self.session, self.done, "uninitialized", UNINITIALIZED, variants)
		for name in SAME_AS:
			if name == self.session.profile.name:
				continue
			try:
				other = mutants.in_profile(self.session, name)
				done = build.build(kernel, self.ready.commit, _request(other), self.session.options.build_root,
						   other.folder / "build.log", self.session.progress, self._objects())
				answers[name] = self._sorted_out(other, done, "equal", COMPARED, variants)
			except CannotJudge as error:
				absent.append(name)
				self.session.progress.say(f"{name}: {first_lines(error)}")
		for variant in variants:
			fate = self.known[variant.name]
			answer, where = equality.everywhere(answers, variant.name)
			if answer == equality.INVALID:
				fate.outcome, fate.killer = score.INVALID, f"does not compile in {where}"
			elif answer == equality.DIFFERS:
				fate.outcome, fate.killer = score.SAME_OBJECT, f"differs in {where}"
			elif absent:
				fate.killer = f"not compared in {', '.join(absent)}"
			elif variant.kind:
				fate.killer = f"the same object in every profile, but {variant.kind} is never left out"
			elif reach and reach.owner(variant):
				fate.outcome, fate.killer = score.EQUIVALENT, "the same object in every profile"
			else:
				fate.outcome, fate.killer = score.NOT_BUILT, "no profile compiles code for it"

	def _on_machine(self) -> None:
		"""Try on x86_64 what is not noticed here, and set the fates of what is another mutant there."""
		left = [variant for variant in self.made.chosen if self.known[variant.name].outcome in machine.LEFT]
		if not left:
			return
		if lacks := choice.missing():
			self.session.progress.say(f"{machine.PROFILE}: {lacks}")
			self.alone = True
			return
		shop = machine.shop(self.session, self.ready, left, {name: found.text.splitlines() for name, found in self.made.found.items()})
		try:
			shop.prove()
			for there in self._pooled(shop, left, "machine", "tried"):
				self._note(machine.joined(self.known[there.name], there))
		finally:
			shutil.rmtree(shop.scratch, ignore_errors=True)

	def _objects(self) -> list[str]:
		"""Return the objects of all files of the road. The list is always the same, so that they are made only once."""
		there = self.made.road
		return sorted({name for file in self.made.found for name in relink.objects(self.done.obj, file, there.rebuild.get(file, ()))})


@functools.cache
def _tool() -> str:
	"""Return a digest of the modules and data that make mutants and fates: only results with the same digest are joined."""
	digest = hashlib.sha256()
	for path in sorted([*Path(__file__).parents[1].rglob("*.py"), *(path for path in GENERATED.iterdir() if path.is_file())]):
		digest.update(path.read_bytes())
	return digest.hexdigest()[:16]


def _request(session: Session) -> Request:
	options = session.options
	return Request(session.profile, options.jobs, options.kconfig_add, options.make_options)


def resumed(results: Path, header: Mapping[str, Any]) -> dict[str, Fate]:
	"""Return the fates from the newest unfinished run of the same job."""
	for path in sorted(results.glob(f"*/{LINES}"), key=lambda path: path.stat().st_mtime, reverse=True):
		lines = _whole_lines(path)
		if lines and lines[0] == json.loads(json.dumps(header)) and not path.with_name(RESULT).exists():
			return {fate.name: fate for fate in (Fate(**line) for line in lines[1:])}
	return {}


def _whole_lines(path: Path) -> list[dict[str, Any]]:
	"""Return the lines of a file of JSON, up to an incomplete one."""
	found: list[dict[str, Any]] = []
	for line in path.read_text(encoding="utf-8").splitlines():
		try:
			found.append(json.loads(line))
		except ValueError:
			break
	return found


def _tell(session: Session, made: _Made, job: Mapping[str, Any], fates: Sequence[Fate], alone: bool) -> Verdict:
	"""Write and print all fates; return the verdict, which is about changes since the record."""
	asked = made.asked
	content = {"kind": KIND, "shard": str(asked.shard), "job": job, "all": len(made.all), "doubts": made.doubts(),
		   "fates": [asdict(fate) for fate in fates]}
	attempt(f"{RESULT} could not be written", lambda: write_whole(session.folder / RESULT, json.dumps(content, indent=1) + "\n"))
	series, kernel = session.info.series, session.info.kernel_version
	answer = judged(fates, recorded(job), alone)
	text = report(fates, [f"{len(fates)} of {len(made.all)} mutants, seed {made.seed}, series {series}, linux {kernel}"])
	attempt(f"{TABLE} could not be written", lambda: write_whole(session.folder / TABLE, text))
	to_stdout(lambda: print_short(fates, asked.names, kernel))
	if asked.record:
		new = score.Record(series, kernel, made.seed, asked.sample, {fate.name: fate.outcome for fate in fates})
		SCORES.mkdir(exist_ok=True)
		write_whole(score.place(SCORES, series, kernel), score.text_of(new, f"make mutants GENERATED=1 SERIES={series} SAMPLE={asked.sample} "
										       f"SEED={made.seed} RECORD=1"))
	return answer


def recorded(job: Mapping[str, Any]) -> score.Record | None:
	"""Return the record to compare a job with: of its series, kernel and, unless mutants were named, seed."""
	if job["profile"] != Options.profile:
		return None	# a record is of the default profile
	record = score.load(score.place(SCORES, job["series"], job["kernel"]))
	return record if record and (job["names"] or record.seed == job["seed"]) else None


def judged(fates: Sequence[Fate], record: score.Record | None, alone: bool = False) -> Verdict:
	"""Return the verdict: mutants that a record calls noticed must still be noticed; alone: by this profile."""
	reason = f"{score.score_of(fate.outcome for fate in fates)} noticed"
	if not record:
		return Verdict(Outcome.PASS, f"{reason}; there is no record of this seed")
	alive, noticed = score.changed_sides(record, {fate.name: fate.outcome for fate in fates
						      if not (alone and record.fates.get(fate.name) == score.KILLED_ELSEWHERE)})
	reason += f"; came to life: {', '.join(alive)}" if alive else ""
	reason += f"; noticed now: {', '.join(noticed)}" if noticed else ""
	return Verdict(Outcome.FAIL if alive else Outcome.PASS, reason)


def print_short(fates: Sequence[Fate], names: Sequence[str], kernel: str) -> None:
	"""Print each fate if mutants were named, else counts; and each series' recorded score."""
	for fate in fates if names else ():
		print(f"  {fate.outcome:13} {fate.name:<60} {fate.seconds:5.1f} s  {fate.killer}")
	for fate in () if names else [fate for fate in fates if fate.outcome == score.HUNG]:
		print(f"  {fate.outcome:13} {fate.name:<60} {fate.killer}")
	print("\n".join(score.rows(fates, lambda fate: fate.file)))
	for path in sorted(SCORES.glob(f"*-{kernel}.toml")):
		if record := score.load(path):
			print(f"  recorded: series {record.series}, seed {record.seed}, sample {record.sample or 'all'}: {record.score} noticed")


def report(fates: Sequence[Fate], head: Sequence[str]) -> str:
	"""Return the report as text: counts by distance, file, function, operator and class, then the mutants of each outcome."""
	parts: list[str] = [*head, ""]
	for what, group in (("distance from the series", lambda fate: NEAR if fate.near else "further away"),
			    ("file", lambda fate: fate.file), ("function", lambda fate: f"{fate.file} {fate.function}"),
			    ("operator", lambda fate: fate.operator), ("class", lambda fate: fate.kind or "-")):
		parts += [f"by {what}:", *score.rows(fates, group), ""]
	for outcome in score.OUTCOMES:
		some = [fate for fate in fates if fate.outcome == outcome]
		parts += [f"{outcome}:", *(f"  {fate.file}:{fate.line}: {fate.name}: {fate.killer}" for fate in some), ""] if some else []
	return "\n".join(parts)
