# SPDX-License-Identifier: GPL-2.0
"""Check out the states of a tree, one at a time, and find out about each what the checks need.

Work that needs the same folder of objects is done in sequence, in a lane. Lanes run in parallel, each in a process of its
own, so that each boot can kill all children of its process.
"""

import functools
import os
import re
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from ..kernel import build, traced
from ..kernel.boot import patience
from ..source import worktree
from . import choice, counted, lint
from ..log.results import Ending
from ..report.judgement import Covered
from ..source.store import Kernel
from ..util.errors import CannotJudge
from ..util.proc import workers
from ..util.progress import Progress
from .attempt import EXECUTED, Result, Trials, BOOT
from .seen import CODE, COUNTED, UNKNOWN, changes_code, covered, text_of

STATIC, WARNINGS, STUBS, COVERAGE, APPLY = "static", "warnings", "stubs", "coverage", "apply"
OBJECTS = "configs"
CONFIG_PROFILES = ("i386-objects", "x86_64-objects")	# other configurations, in which only some objects are compiled
NOMMU_PROFILE = "nommu-objects"	# the same, where a change depends on there being an MMU
TRACED = "traced"	# no check of its own: coverage, of a kernel in QEMU
STUBS_PROFILE, COVERAGE_PROFILE = "uml-stubs", "uml"
OBJECTS_ONLY = (*CONFIG_PROFILES, NOMMU_PROFILE)
BUILT_ONLY = (STUBS_PROFILE, *OBJECTS_ONLY)
THROUGH = 3		# C files to compile for a header
TRACED_THROUGH = 8	# to find those among them that use what changes
WIDE = 60		# C files: a header that this many include is too expensive to rebuild for coverage
MOST = "mm/"		# of such a header, only the copies in these files are counted, and before the patch
LANES = 2		# that work in parallel
LEAST_PATIENCE = 20	# wall seconds before a boot in virtual time counts as hung


@dataclass
class Answer:
	"""A lane's answer to one question."""
	what: str
	result: Result | None = None
	lines: Mapping[str, Sequence[str]] | None = None	# by file: compilers' messages
	sources: Mapping[str, Sequence[str]] | None = None	# by touched file: the C files that were compiled for it
	counts: Mapping[str, Mapping[int, int]] | None = None	# by file and line: how often it was executed
	objects: Mapping[str, Sequence[str]] | None = None	# by profile: the C files that were compiled there
	problem: str = ""
	seconds: float = 0.0


class Workshop:
	"""The states of one tree, and the answers about them; the caller holds the worktree's lock."""

	def __init__(self, kernel: Kernel, states: Sequence[str], touched: Sequence[Sequence[str]],
		     trials: Mapping[str, Trials], main: str, strays: Path, progress: Progress):
		"""touched names, for each state, the files that differ from the state before; main is the profile
		whose objects are recompiled for the compilers' warnings."""
		self.kernel, self.states, self.trials, self.main = kernel, list(states), trials, main
		self.touched = [*touched, ()]
		self.strays, self.progress = strays, progress
		self.answers: dict[tuple[int, str], Answer] = {}
		self.configs = list(CONFIG_PROFILES)	# in which OBJECTS compiles

	def result(self, index: int, profile: str) -> Result:
		"""Return the result of a state in a profile; look() must have tried it."""
		found = self.answers[index, profile].result
		assert found
		return found

	def same(self, index: int) -> None:
		"""Copy the previous state's results to a state: no file that is built differs."""
		for (at, what), answer in list(self.answers.items()):
			if at == index - 1 and answer.result:
				self.answers.setdefault((index, what), answer)

	def look(self, index: int, wanted: Sequence[str]) -> None:
		"""Find out what is wanted about a state and not yet known: profiles, WARNINGS, OBJECTS, COVERAGE, and then TRACED.

		Raises CannotJudge if the machine is at fault.
		"""
		todo = [what for what in wanted if not self._known(index, what)]
		if not todo:
			return
		# Cached kernels that are only booted again need no worktree.
		if not all(self._kept(index, what) for what in todo):
			self.check_out(index)
		lanes = self._lanes(todo)
		with workers(len(lanes), _Worker.start, self) as pool:
			for answers in pool.map(_Worker.lane, [index] * len(lanes), lanes):
				self.answers.update({(index, answer.what): answer for answer in answers})

	def also(self, commit: str) -> int:
		"""Return the index of an additional state outside of the series."""
		if commit not in self.states:
			self.states.append(commit)
			self.touched.append(())
		return self.states.index(commit)

	def check_out(self, index: int) -> None:
		"""Check out a state in the worktree."""
		worktree.check_out(self.kernel, self.states[index], self.strays, self.progress)

	def messages(self, index: int, name: str, sources: Sequence[str], log: Path) -> list[str]:
		"""Check out a state, and return the compiler's messages about sources with W=1."""
		self.check_out(index)
		trial = self.trials[name]
		there = [source for source in sources if (self.kernel.tree / source).exists()]
		_, output = lint.compile_anew(self.kernel.tree, trial.obj, there, trial.request, trial.root, log, sparse=False)
		if name == COVERAGE_PROFILE:	# where kernels with counters are linked: no longer of the objects of one state
			(trial.obj / build.STAMP).unlink(missing_ok=True)
		return list(dict.fromkeys(build.warnings(output, self.kernel.tree)))

	def kconfig(self, index: int, name: str, log: Path) -> list[str]:
		"""Check out a state, and return Kconfig's warnings in a profile's configuration."""
		self.check_out(index)
		trial = self.trials[name]
		return lint.kconfig(self.kernel.tree, trial.obj, trial.request, trial.root, log)

	def compiled(self, files: Iterable[str], profile: str = "", through: int = THROUGH) -> list[str]:
		"""Return the C files among files that a profile compiles, and compiled C files that include headers among them."""
		obj = self.trials[profile or self.main].obj
		found: dict[str, None] = {}
		for name in files:
			if name.endswith(".c") and choice.has_object(obj, name):
				found[name] = None
			elif name.endswith(".h"):
				found |= dict.fromkeys(lint.includers(obj, name, through))
		return list(found)

	def wide(self, index: int) -> bool:
		"""Tell whether a state changes a header that so many files include that nearly everything would be recompiled."""
		obj = self.trials[self.main].obj
		return any(len(lint.includers(obj, name, WIDE)) == WIDE for name in self.touched[index] if name.endswith(".h"))

	def unsound(self, index: int, name: str) -> str:
		"""Say why a state cannot be compared with, "" if it can."""
		result = self.result(index, name)
		if result.error:
			return f"does not build: {result.error}"
		if self.trials[name].boots and (not result.log.started or result.log.ending is Ending.TRUNCATED):
			return f"does not reach the tests, or their end: {result.verdict.reason}"
		return ""

	def expect_sound_base(self, name: str) -> None:
		"""Raise CannotJudge if the base does not build, or does not reach the tests."""
		why = self.unsound(0, name)
		if why:
			raise CannotJudge(f"no patch can be judged in profile {name}, because the base {why}")

	def last_sound(self, number: int, name: str) -> int:
		"""Return the last state before a patch that reached the tests; the base always did, or nothing can be judged."""
		index = number - 1
		while index and self.unsound(index, name):
			index -= 1
			self.look(index, [name])
		if not index:
			self.expect_sound_base(name)
		return index

	def _known(self, index: int, what: str) -> bool:
		"""Tell whether an answer is cached, and store it."""
		if what == WARNINGS:
			sources, lines = self._noted(index)
			if set(self._touched(index)) <= sources.keys():
				self.answers[index, what] = Answer(what, lines=lines, sources=sources)
				return True
			return False
		if (index, what) in self.answers:
			return True
		if what in (COVERAGE, TRACED):
			if not set(self._counted_files(index)) <= (counts := self._counts_noted(index, what)).keys():
				return False
			self.answers[index, what] = Answer(what, counts=counts)
			return True
		result = self._kept(index, what)
		if not result or self.trials[what].anew:
			return False
		self.answers[index, what] = Answer(what, result)
		return True

	def _kept(self, index: int, what: str) -> Result | None:
		"""Return the cached result of a state in a profile; None if something has to be built, or if it is no profile."""
		if what in (WARNINGS, COVERAGE, TRACED, OBJECTS) or what == self.main and not self.trials[what].obj.exists():
			return None
		return self.trials[what].known(self.states[index])

	def _touched(self, index: int) -> list[str]:
		"""Return the files to check in a state, and those that the next patch touches, for its comparison."""
		return list(dict.fromkeys([*self.touched[index], *self.touched[index + 1]]))

	def _noted(self, index: int) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
		"""Return the cached answer about a state: C files by touched file, and messages by file, also for a file without messages."""
		found = self.trials[self.main].noted(self.states[index], WARNINGS)
		return found.get("sources", {}), found.get("lines", {})

	def _lanes(self, todo: Sequence[str]) -> list[list[str]]:
		"""Distribute work over two lanes; what needs the same objects is in one, the kernel first."""
		folders: dict[str, list[str]] = {self.main: []}
		for what in sorted(todo, key=lambda what: what in (WARNINGS, COVERAGE)):
			folders.setdefault({WARNINGS: self.main, COVERAGE: COVERAGE_PROFILE}.get(what, what), []).append(what)
		first, second = folders.pop(self.main), list[str]()
		for work in folders.values():
			(second if len(second) <= len(first) else first).extend(work)
		return [lane for lane in (first, second) if lane]

	def attempt(self, index: int, what: str, progress: Progress) -> Answer:
		"""Answer one question about the checked-out state."""
		start = time.monotonic()
		answer = Answer(what)
		if what == WARNINGS:
			answer.sources, answer.lines, answer.problem = self._warnings(index, progress)
		elif what == OBJECTS:
			answer.objects, answer.lines = self._configs(index, progress)
		elif what in (COVERAGE, TRACED):
			try:
				answer.counts = (self._counts if what == COVERAGE else self._traced)(index, progress)
			except CannotJudge as error:
				answer.problem = str(error).splitlines()[0]
		else:
			known = self.answers.get((index - 1, what))
			answer.result = self.trials[what].attempt(self.states[index], progress, known.result if known else None,
								   self.patience(what), what == self.main)
		answer.seconds = round(time.monotonic() - start, 1)
		return answer

	def patience(self, what: str) -> int:
		"""Return the wall seconds after which a boot in a profile counts as hung, 0 if only its time limit decides."""
		trial = self.trials[what]
		answer = self.answers.get((0, what))
		base = answer.result if answer else None
		if not (trial.request.profile.virtual_time and base and base.log.wall_seconds):
			return 0
		return min(trial.timeout, patience(base.log.wall_seconds, LEAST_PATIENCE))

	def _warnings(self, index: int, progress: Progress) -> tuple[dict[str, list[str]], dict[str, list[str]], str]:
		"""Run W=1 and sparse; cache and return what _noted() returns, and name the files that could not be checked."""
		trial = self.trials[self.main]
		folder = trial.folder(self.states[index])
		folder.mkdir(parents=True, exist_ok=True)
		sources, noted = self._noted(index)
		main = self.answers.get((index, self.main))
		builds = not (main and main.result and main.result.error)
		if builds:	# the objects may belong to another state, which compiles other files
			build.build(self.kernel, self.states[index], trial.request, trial.root, folder / f"{WARNINGS}-build.log", progress)
		sources |= {name: self.compiled([name]) for name in self._touched(index) if name not in sources}
		new = [name for name in dict.fromkeys(name for names in sources.values() for name in names) if name not in noted]
		there = [name for name in new if (self.kernel.tree / name).exists()]
		found: list[str] = []
		unseen: list[str] = []
		if there:
			good, output = lint.compile_anew(self.kernel.tree, trial.obj, there, trial.request, trial.root,
							 folder / f"{WARNINGS}.log", sparse=True)
			if not good and (fault := build.machine_fault(output)):
				raise CannotJudge(f"W=1 could not be tried on this machine: {fault}")
			found = build.warnings(output, self.kernel.tree)
			unseen = lint.not_seen_by_sparse(output, there) if good else []
		noted |= {name: [] for name in new}
		for line in found:
			# A message about a header is kept once, whichever file included it.
			told = noted.setdefault(line.partition(":")[0], [])
			told += [line] if line not in told else []
		# Do not cache files that sparse did not check: the next judgement tries again.
		known = {"sources": {name: files for name, files in sources.items() if not set(files) & set(unseen)},
			 "lines": {name: lines for name, lines in noted.items() if name not in unseen}}
		if builds:
			trial.note(self.states[index], WARNINGS, known)
		return sources, noted, f"sparse did not check {', '.join(unseen)}" if unseen else ""

	def _configs(self, index: int, progress: Progress) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
		"""Compile some sources of a state in other configurations; return which, and the compiler's messages, by profile."""
		files = [name for name in self._touched(index) if name.endswith((".c", ".h"))]
		sources = dict.fromkeys(name for name in files if name.endswith(".c"))
		for profile in (self.main, choice.PROFILE):
			sources |= dict.fromkeys(self.compiled([name for name in files if name.endswith(".h")], profile) if profile in self.trials else [])
		there = [name for name in sources if (self.kernel.tree / name).exists()]
		read = functools.partial(text_of, self.kernel.git, self.states[index])

		def compiled(profile: str) -> tuple[list[str], list[str]]:
			trial = self.trials[profile]
			folder = trial.folder(self.states[index])
			folder.mkdir(parents=True, exist_ok=True)
			log = folder / f"{OBJECTS}.log"
			build.configure(self.kernel, self.states[index], trial.request, trial.root, log, progress)
			chosen = choice.options(trial.obj / ".config")
			names = [*there, *(choice.NOMMU_SOURCES if profile == NOMMU_PROFILE and len(sources) < len(files) else ())]
			names = [name for name in dict.fromkeys(names) if choice.builds(name, read, chosen)]
			good, output = lint.compile_with(self.kernel.tree, trial.obj, names, ["-k"], trial.request, trial.root, log) if names else (True, "")
			if not good and (fault := build.machine_fault(output)):
				raise CannotJudge(f"other configurations could not be tried on this machine: {fault}")
			said = list(dict.fromkeys(build.warnings(output, self.kernel.tree)))
			return names, said + ([] if good or said else [build.explain(output, self.kernel.tree)])
		with ThreadPoolExecutor(LANES) as pool:
			found = dict(zip(self.configs, pool.map(compiled, self.configs)))
		return {profile: names for profile, (names, _) in found.items()}, {profile: said for profile, (_, said) in found.items()}

	def _counted_files(self, index: int) -> list[str]:
		"""Return the sources of a state whose executed lines are to be counted."""
		return [name for name in self._touched(index) if name.endswith(COUNTED)]

	def _counts_noted(self, index: int, what: str = COVERAGE) -> dict[str, dict[int, int]]:
		"""Return a state's cached counts: how often each line of a file is executed; {} for a file without code."""
		found = self.trials[COVERAGE_PROFILE if what == COVERAGE else choice.PROFILE].noted(self.states[index], what)
		return {name: {int(number): count for number, count in lines.items()} for name, lines in found.items()}

	def _counts(self, index: int, progress: Progress) -> dict[str, dict[int, int]]:
		"""Run the suites; cache and return how often they execute each line of some sources in a state."""
		state, trial = self.states[index], self.trials[COVERAGE_PROFILE]
		folder = trial.folder(state) / COVERAGE
		folder.mkdir(parents=True, exist_ok=True)
		built = build.build(self.kernel, state, trial.request, trial.root, folder / "build.log", progress)
		how = trial.how(built, trial.promised(state), self.patience(COVERAGE_PROFILE))
		files, sources = self._counted_files(index), dict[str, None]()
		for name in files:
			sources |= dict.fromkeys([name] if name.endswith(".c") and choice.has_object(built.obj, name) else
						 self._copies(built.obj, name))
		there = [name for name in sources if (self.kernel.tree / name).exists()]
		lines = counted.count(how, there, trial.request, trial.root, folder, progress) if there else {}
		found = self._counts_noted(index)
		for name in files:
			source = text_of(self.kernel.git, state, name).split("\n")
			found[name] = {number: line.count for number, line in lines.get(name, {}).items() if not counted.decided(source, number, line)}
		trial.note(state, COVERAGE, found)
		return found

	@staticmethod
	def _copies(obj: Path, name: str) -> list[str]:
		"""Return the compiled C files that have a copy of another file's code."""
		found = lint.includers(obj, name, WIDE)
		return found if len(found) < WIDE else [path for path in lint.includers(obj, name, sys.maxsize) if path.startswith(MOST)]

	def _traced(self, index: int, progress: Progress) -> dict[str, dict[int, int]]:
		"""Cache and return which lines of some sources the kernel in QEMU executed in a state: 1, 0, or UNKNOWN."""
		files = self._counted_files(index)
		trial, result = self.trials[choice.PROFILE], self.result(index, choice.PROFILE)
		if result.error:
			raise CannotJudge(f"the kernel of {choice.PROFILE} does not build")
		executed = dict.fromkeys(traced.addresses(result.folder / EXECUTED), 1)
		folder = trial.folder(self.states[index])
		folder.mkdir(parents=True, exist_ok=True)
		log = folder / f"{TRACED}.log"
		if not (trial.obj / ".config").exists():	# the result was cached, the objects are gone
			build.build(self.kernel, self.states[index], trial.request, trial.root, log, progress)
		sources = [name for name in self.compiled(files, choice.PROFILE, TRACED_THROUGH) if (self.kernel.tree / name).exists()]
		if sources and not lint.compile_with(self.kernel.tree, trial.obj, sources, traced.DEBUG, trial.request, trial.root, log)[0]:
			raise CannotJudge(f"{', '.join(sources)} cannot be compiled with debug information: {log}")
		lines = traced.lines(result.folder / BOOT / trial.request.profile.binary,
				     [trial.obj / Path(name).with_suffix(".o") for name in sources], executed, self.kernel.tree)
		found = self._counts_noted(index, TRACED) | {name: _as_counts(lines.get(name, traced.Lines())) for name in files}
		trial.note(self.states[index], TRACED, found)
		return found

	def covered(self, index: int, what: str = COVERAGE) -> tuple[list[Covered], list[str]]:
		"""Return the executed lines of the code that differs from the state before, and which of its files are compiled.

		what says in which kernel: COVERAGE or TRACED.
		"""
		git, earlier, state = self.kernel.git, self.states[index - 1], self.states[index]
		found: list[Covered] = []
		compiled: list[str] = []
		texts = {name: (text_of(git, earlier, name), text_of(git, state, name)) for name in self.touched[index] if name.endswith(CODE)}
		# A file that only gets another name has the same code.
		moved = {before for before, after in texts.values() if not after} & {after for before, after in texts.values() if not before}
		for name, (before, after) in texts.items():
			if not changes_code(before, after) or not (before and after) and (before or after) in moved:
				continue
			old, new = self._lines_of(index - 1, name, what), self._lines_of(index, name, what)
			if not name.endswith(COUNTED):
				found.append(Covered(name))
			else:
				found.append(covered(name, git.changed(earlier, state, name), (before, old or {}),
						     None if new is None else (after, new)))
			compiled += [name] if old or new else []
		return found, compiled

	def needs_more(self, index: int) -> list[str]:
		"""Say why the suites have to run on x86_64, too, to judge what a state changes; COVERAGE must be known."""
		git, earlier, state = self.kernel.git, self.states[index - 1], self.states[index]
		other = self.trials[choice.PROFILE].obj if choice.PROFILE in self.trials else Path("not built")
		only = choice.options(other / ".config") - choice.options(self.trials[self.main].obj / ".config")
		found = []
		for name in self.touched[index]:
			before, after = (text_of(git, commit, name) for commit in (earlier, state))
			# A kernel that was not built yet may compile it.
			built = not (other / build.STAMP).exists() or not before or not name.endswith((".c", ".S")) or choice.has_object(other, name)
			if built:
				found += choice.reasons(name, git.changed(earlier, state, name), (before, self._lines_of(index - 1, name)),
							(after, self._lines_of(index, name)), only or choice.DIFFERENT)
		return list(dict.fromkeys(found))

	def depends_on(self, index: int) -> tuple[set[str], bool]:
		"""Return the options on which the changed lines of a state depend, and whether the width of a long matters to them."""
		git, earlier, state = self.kernel.git, self.states[index - 1], self.states[index]
		options: set[str] = set()
		width = False
		nommu = "\n".join(text_of(git, earlier, name) for name in choice.NOMMU_SOURCES)
		for name in self.touched[index]:
			options |= {choice.MMU} if choice.NOMMU.search(name) else set()
			if choice.may_be_built(name):
				changed = (git.changed(earlier, state, name), text_of(git, earlier, name), text_of(git, state, name))
				options |= set(choice.options_of(*changed))
				width |= choice.width(*changed)
				named = choice.declared(*changed)
				options |= {choice.MMU} if any(re.search(rf"\b{name}\(", nommu) for name in named) else set()
		return options, width

	def _lines_of(self, index: int, name: str, what: str = COVERAGE) -> Mapping[int, int] | None:
		"""Return how often each line of a file is executed in a state, None if that was not measured."""
		answer = self.answers.get((index, what))
		counts = answer.counts if answer else None
		return None if counts is None else counts.get(name, {})


def _as_counts(lines: traced.Lines) -> dict[int, int]:
	return dict.fromkeys(lines.unknown, UNKNOWN) | {number: int(executed) for number, executed in lines.executed.items()}


class _Worker:
	"""A worker process for one lane."""
	shop: Workshop

	@classmethod
	def start(cls, shop: Workshop) -> None:
		"""Initialise a forked process."""
		cls.shop = shop

	@classmethod
	def lane(cls, index: int, lane: Sequence[str]) -> list[Answer]:
		"""Do the work of a lane, in sequence."""
		with open(os.devnull, "w", encoding="utf-8") as nowhere:
			for what in lane:
				cls.shop.answers[index, what] = cls.shop.attempt(index, what, Progress(nowhere))
			return [cls.shop.answers[index, what] for what in lane]
