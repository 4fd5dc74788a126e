# SPDX-License-Identifier: GPL-2.0
"""Make the states of a tree, one at a time, and look at each in all ways that are asked for.

What needs the same folder of objects is done one after the other, in a lane; lanes run side by side, each
in a process of its own, so that each boot can end all of its children.
"""

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..kernel import build, gcov
from ..source import worktree
from . import lint
from ..log.results import Ending
from ..report.judgement import Covered
from ..source.store import Kernel
from ..util.errors import CannotJudge
from ..util.proc import workers
from ..util.progress import Progress
from .attempt import Result, Trials
from .seen import CODE, COUNTED, changes_code, covered, text_of

STATIC, WARNINGS, STUBS, COVERAGE, APPLY = "static", "warnings", "stubs", "coverage", "apply"
STUBS_PROFILE, COVERAGE_PROFILE = "uml-stubs", gcov.PROFILE
THROUGH = 3		# C files through which a header is looked at
WIDE = 60		# C files: what more of them include is too much to build once more for coverage
# Of a boot in virtual time: so many times what the base took, in wall seconds, and no less than so many seconds.
PATIENCE, LEAST_PATIENCE = 40, 20


@dataclass
class Answer:
	"""What a lane found out about one thing."""
	what: str
	result: Result | None = None
	lines: Mapping[str, Sequence[str]] | None = None	# by file: compilers' messages
	sources: Mapping[str, Sequence[str]] | None = None	# by file that a patch touches: through which C files it was looked at
	counts: Mapping[str, Mapping[int, int]] | None = None	# by file and line: how often it was executed
	problem: str = ""
	seconds: float = 0.0


class Workshop:
	"""The states of one tree, and what is known of them; the caller holds the worktree's lock."""

	def __init__(self, kernel: Kernel, states: Sequence[str], touched: Sequence[Sequence[str]],
		     trials: Mapping[str, Trials], main: str, strays: Path, progress: Progress):
		"""touched names, for each state, the files that differ from the one before; main is the profile whose
		objects the compilers' warnings are looked at with."""
		self.kernel, self.states, self.trials, self.main = kernel, list(states), trials, main
		self.touched = [*touched, ()]
		self.strays, self.progress = strays, progress
		self.answers: dict[tuple[int, str], Answer] = {}

	def result(self, index: int, profile: str) -> Result:
		"""Return what came of a state in a profile; look() has tried it."""
		found = self.answers[index, profile].result
		assert found
		return found

	def same(self, index: int) -> None:
		"""Take a state for the one before it: nothing that is built differs."""
		for (at, what), answer in list(self.answers.items()):
			if at == index - 1 and answer.result:
				self.answers.setdefault((index, what), answer)

	def look(self, index: int, wanted: Sequence[str]) -> None:
		"""Find out about a state what is wanted and not yet known: profiles, WARNINGS, COVERAGE.

		Raises CannotJudge if the machine is at fault.
		"""
		todo = [what for what in wanted if not self._known(index, what)]
		if not todo:
			return
		# What is only to be booted anew needs no worktree.
		if not all(self._kept(index, what) for what in todo):
			self.check_out(index)
		lanes = self._lanes(todo)
		with workers(len(lanes), _Worker.start, self) as pool:
			for answers in pool.map(_Worker.lane, [index] * len(lanes), lanes):
				self.answers.update({(index, answer.what): answer for answer in answers})

	def also(self, commit: str) -> int:
		"""Return the index of one more state, which is none of the series'."""
		if commit not in self.states:
			self.states.append(commit)
			self.touched.append(())
		return self.states.index(commit)

	def check_out(self, index: int) -> None:
		"""Make the worktree a state."""
		worktree.check_out(self.kernel, self.states[index], self.strays, self.progress)

	def messages(self, index: int, name: str, sources: Sequence[str], log: Path) -> list[str]:
		"""Return what the compiler says with W=1 of sources in a state that is checked out for it."""
		self.check_out(index)
		trial = self.trials[name]
		there = [source for source in sources if (self.kernel.tree / source).exists()]
		_, output = lint.compile_anew(self.kernel.tree, trial.obj, there, trial.request, trial.root, log, sparse=False)
		return list(dict.fromkeys(build.warnings(output, self.kernel.tree)))

	def kconfig(self, index: int, name: str, log: Path) -> list[str]:
		"""Return what Kconfig warns of in a state that is checked out for it, configured as a profile is."""
		self.check_out(index)
		trial = self.trials[name]
		return lint.kconfig(self.kernel.tree, trial.obj, trial.request, trial.root, log)

	def compiled(self, files: Iterable[str], profile: str = "") -> list[str]:
		"""Return the C files of those, or through which headers among them are seen, that a profile compiles."""
		obj = self.trials[profile or self.main].obj
		found: dict[str, None] = {}
		for name in files:
			path = Path(name)
			if path.suffix == ".c" and (obj / path.parent / f".{path.stem}.o.cmd").exists():
				found[name] = None
			elif path.suffix == ".h":
				found |= dict.fromkeys(lint.includers(obj, name, THROUGH))
		return list(found)

	def wide(self, index: int) -> bool:
		"""Tell whether so much includes a header that differs in a state that all would be compiled once more."""
		obj = self.trials[self.main].obj
		return any(len(lint.includers(obj, name, WIDE)) == WIDE for name in self.touched[index] if name.endswith(".h"))

	def unsound(self, index: int, name: str) -> str:
		"""Say why nothing can be compared with a state, "" if something can."""
		result = self.result(index, name)
		if result.error:
			return f"does not build: {result.error}"
		if self.trials[name].boots and (not result.log.started or result.log.ending is Ending.TRUNCATED):
			return f"does not come to the tests, or not to their end: {result.verdict.reason}"
		return ""

	def expect_sound_base(self, name: str) -> None:
		"""Raise CannotJudge if the base does not build, or does not come to the tests."""
		why = self.unsound(0, name)
		if why:
			raise CannotJudge(f"no patch can be judged in profile {name}, for the base {why}")

	def last_sound(self, number: int, name: str) -> int:
		"""Return the last state before a patch that came to the tests; the base does, or nothing can be judged."""
		index = number - 1
		while index and self.unsound(index, name):
			index -= 1
			self.look(index, [name])
		if not index:
			self.expect_sound_base(name)
		return index

	def _known(self, index: int, what: str) -> bool:
		"""See whether an answer is at hand, and take it."""
		if what == WARNINGS:
			sources, lines = self._noted(index)
			if set(self._touched(index)) <= sources.keys():
				self.answers[index, what] = Answer(what, lines=lines, sources=sources)
				return True
			return False
		if (index, what) in self.answers:
			return True
		if what == COVERAGE:
			if not set(self._counted_files(index)) <= (counts := self._counts_noted(index)).keys():
				return False
			self.answers[index, what] = Answer(what, counts=counts)
			return True
		result = self._kept(index, what)
		if not result or self.trials[what].anew:
			return False
		self.answers[index, what] = Answer(what, result)
		return True

	def _kept(self, index: int, what: str) -> Result | None:
		"""Return what came of a state in a profile before; None if something has to be built, or it is no profile."""
		if what in (WARNINGS, COVERAGE) or what == self.main and not self.trials[what].obj.exists():
			return None
		return self.trials[what].known(self.states[index])

	def _touched(self, index: int) -> list[str]:
		"""Return the files to look at in a state: also what the next patch touches, so that it finds them known."""
		return list(dict.fromkeys([*self.touched[index], *self.touched[index + 1]]))

	def _noted(self, index: int) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
		"""Return what was noted of a state: C files by touched file, and messages by file; one without any is there, too."""
		found = self.trials[self.main].noted(self.states[index], WARNINGS)
		return found.get("sources", {}), found.get("lines", {})

	def _lanes(self, todo: Sequence[str]) -> list[list[str]]:
		"""Spread work over two lanes: what uses the main profile's objects in the first, in this order."""
		first = [what for what in (self.main, WARNINGS) if what in todo]
		second = [what for what in todo if what not in first]
		while len(second) > len(first) + 1:
			first.append(second.pop())
		return [lane for lane in (first, second) if lane]

	def attempt(self, index: int, what: str, progress: Progress) -> Answer:
		"""Find out one thing about the state that is checked out."""
		start = time.monotonic()
		answer = Answer(what)
		if what == WARNINGS:
			answer.sources, answer.lines, answer.problem = self._warnings(index, progress)
		elif what == COVERAGE:
			try:
				answer.counts = self._counts(index, progress)
			except CannotJudge as error:
				answer.problem = str(error).splitlines()[0]
		else:
			known = self.answers.get((index - 1, what))
			answer.result = self.trials[what].attempt(self.states[index], progress, known.result if known else None,
								   self.patience(what), what == self.main)
		answer.seconds = round(time.monotonic() - start, 1)
		return answer

	def patience(self, what: str) -> int:
		"""Return after how many wall seconds a boot in a profile is taken to hang, 0 if only its time limit tells."""
		trial = self.trials[what]
		# What is booted for coverage has no result of its own, and is not much slower.
		answer = self.answers.get((0, self.main if what == COVERAGE_PROFILE else what))
		base = answer.result if answer else None
		if not (trial.request.profile.virtual_time and base and base.log.wall_seconds):
			return 0
		return min(trial.timeout, max(LEAST_PATIENCE, round(PATIENCE * base.log.wall_seconds)))

	def _warnings(self, index: int, progress: Progress) -> tuple[dict[str, list[str]], dict[str, list[str]], str]:
		"""Note and return what _noted() does, of W=1 and sparse, and say what could not be looked at."""
		trial = self.trials[self.main]
		folder = trial.folder(self.states[index])
		folder.mkdir(parents=True, exist_ok=True)
		sources, noted = self._noted(index)
		main = self.answers.get((index, self.main))
		builds = not (main and main.result and main.result.error)
		if builds:	# the objects may be of another state, and with them what is compiled
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
			# What a header says is said once, whichever file it was seen through.
			told = noted.setdefault(line.partition(":")[0], [])
			told += [line] if line not in told else []
		# What sparse did not see is not known: the next judgement tries again.
		known = {"sources": {name: files for name, files in sources.items() if not set(files) & set(unseen)},
			 "lines": {name: lines for name, lines in noted.items() if name not in unseen}}
		if builds:
			trial.note(self.states[index], WARNINGS, known)
		return sources, noted, f"sparse did not look at {', '.join(unseen)}" if unseen else ""

	def _counted_files(self, index: int) -> list[str]:
		"""Return the sources of which a state is to tell what is executed in them."""
		return [name for name in self._touched(index) if name.endswith(COUNTED)]

	def _counts_noted(self, index: int) -> dict[str, dict[int, int]]:
		"""Return what was noted of a state: how often each line of a file is executed; {} for a file without code."""
		found = self.trials[COVERAGE_PROFILE].noted(self.states[index], COVERAGE)
		return {name: {int(number): count for number, count in lines.items()} for name, lines in found.items()}

	def _counts(self, index: int, progress: Progress) -> dict[str, dict[int, int]]:
		"""Note and return how often each line of some sources is executed in a state, when the suites run."""
		files = self._counted_files(index)
		trial = self.trials[COVERAGE_PROFILE]
		folder = trial.folder(self.states[index])
		folder.mkdir(parents=True, exist_ok=True)
		built = build.build(self.kernel, self.states[index], trial.request, trial.root, folder / "build.log", progress)
		for old in built.obj.rglob("*.gcda"):
			old.unlink()
		trial.how(built, trial.promised(self.states[index]), self.patience(COVERAGE_PROFILE)).run(folder, progress)
		objects = [built.obj / Path(name).with_suffix(".gcda") for name in files if name.endswith(".c")]
		# Of the base all is noted: most patches to it find what they need.
		if index == 0 or any(name.endswith(".h") for name in files):
			objects += sorted((built.obj / gcov.FOLDER).rglob("*.gcda"))
		there = [path for path in dict.fromkeys(objects) if path.exists()]
		lines = gcov.read_counters(there, built.obj, self.kernel.tree)
		wanted = lines if index == 0 else files
		found = self._counts_noted(index) | {name: {number: line.count for number, line in lines.get(name, {}).items()}
						     for name in [*wanted, *files]}
		trial.note(self.states[index], COVERAGE, found)
		return found

	def covered(self, index: int) -> tuple[list[Covered], list[str]]:
		"""Return what is executed of the code that differs from the state before, and which files of it are compiled."""
		git, earlier, state = self.kernel.git, self.states[index - 1], self.states[index]
		found: list[Covered] = []
		compiled: list[str] = []
		for name in self.touched[index]:
			before, after = (text_of(git, commit, name) for commit in (earlier, state))
			if not name.endswith(CODE) or not changes_code(before, after):
				continue
			old, new = self._lines_of(index - 1, name), self._lines_of(index, name)
			if not name.endswith(COUNTED):
				found.append(Covered(name))
			else:
				found.append(covered(name, git.changed(earlier, state, name), (before, old or {}),
						     None if new is None else (after, new)))
			compiled += [name] if old or new else []
		return found, compiled

	def _lines_of(self, index: int, name: str) -> Mapping[int, int] | None:
		"""Return how often each line of a file is executed in a state, None if that was not measured."""
		answer = self.answers.get((index, COVERAGE))
		counts = answer.counts if answer else None
		return None if counts is None else counts.get(name, {})


class _Worker:
	"""A process that works on a lane."""
	shop: Workshop

	@classmethod
	def start(cls, shop: Workshop) -> None:
		"""Make ready a forked process."""
		cls.shop = shop

	@classmethod
	def lane(cls, index: int, lane: Sequence[str]) -> list[Answer]:
		"""Do what is in a lane, one after the other."""
		with open(os.devnull, "w", encoding="utf-8") as nowhere:
			for what in lane:
				cls.shop.answers[index, what] = cls.shop.attempt(index, what, Progress(nowhere))
			return [cls.shop.answers[index, what] for what in lane]
