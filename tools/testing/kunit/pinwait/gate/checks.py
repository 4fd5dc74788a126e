# SPDX-License-Identifier: GPL-2.0
"""The checks of a patch: the data that each needs about the states before and after it, and its judgement."""

import re
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..kernel import build
from . import blind, choice, compare, lint, ordering, planted, trailers
from ..kernel.sandbox import Sandbox
from ..log.results import Outcome
from ..mutation.score import Record
from ..report.judgement import Change, Check, Covered, Finding, known_of
from ..source.patches import Patch
from ..util.progress import Progress
from .blind import Blind
from .seen import COUNTED, joined, text_of, why_not
from .states import OBJECTS, COVERAGE, STATIC, TRACED, WARNINGS, Answer, Workshop

NAMED = 3		# maximal number of files and cases that a reason names
SUITE = re.compile(r"_kunit\.c$")	# a test's source


@dataclass
class Scene:
	"""The data that all checks of a judgement share."""
	shop: Workshop
	patches: Sequence[Patch]
	profiles: Sequence[str]		# profiles to run the suites in; the first is the main one
	boots: int			# boots of each side, if boots differ
	tools: Path			# the base's judging scripts
	box: Sandbox			# around all code of the patches
	kdir: str
	folder: Path			# of results
	progress: Progress
	note: Callable[[str], None]	# reports what could not be checked
	record: Record | None = None	# the fates of bugs that were planted in the base
	blind: Sequence[Blind] = ()	# what no case is about
	road: Mapping[str, Collection[str]] = field(default_factory=dict)	# what a longterm pin passes through, by file
	covered: dict[int, list[Covered]] = field(default_factory=dict)		# by patch: which of its lines are executed
	picked: dict[int, list[str]] = field(default_factory=dict)	# by patch: what x86_64 may show of it that uml cannot
	omitted: dict[tuple[int, str], str] = field(default_factory=dict)	# by patch and check: why the check is not made

	def traced(self, number: int) -> bool:
		"""Tell whether the suites run on x86_64 for a patch, where what they execute is known, too."""
		return choice.PROFILE in self.profiles and (number, choice.PROFILE) not in self.omitted

	def touches_code(self, number: int) -> bool:
		"""Tell whether a patch touches a file that a compiler reads."""
		return any(name.endswith((".c", ".h")) for name in self.patches[number - 1].files)

	def looked_at(self, number: int) -> list[str]:
		"""Return the C files that were compiled for a patch's files, before it or after it."""
		found: dict[str, None] = {}
		for index in (number, number - 1):
			answer = self.shop.answers.get((index, WARNINGS))
			for name in self.patches[number - 1].files:
				found |= dict.fromkeys((answer.sources or {}).get(name, ()) if answer else ())
		return list(found)


class Examiner(ABC):
	"""One check; judge() is called after the engine has found out everything in needs() about both states."""
	name: str

	def __init__(self, scene: Scene):
		self.scene = scene

	def needs(self, number: int) -> list[str]:
		"""Return what judge() needs to know of the states before and after a patch: profiles, WARNINGS, COVERAGE, TRACED."""
		return []

	@abstractmethod
	def judge(self, number: int) -> Check:
		"""Return the judgement on a patch."""

	def answered(self, number: int) -> Answer | None:
		"""Return the answer about the state after a patch, for a check whose only need has its own name."""
		return self.scene.shop.answers.get((number, self.name))


class Text(Examiner):
	"""The patch as a text: checkpatch, trailers, kernel-doc."""
	name = STATIC

	def judge(self, number: int) -> Check:
		"""Return their judgement; a missing sign-off is no fault if the author is unknown."""
		patch = self.scene.patches[number - 1]
		check = Check(self.name, Outcome.PASS, "checkpatch, trailers and kernel-doc have no error")
		for level, kind, text in lint.checkpatch(self.scene.box, self.scene.tools, self.scene.shop.kernel.tree, patch.path, not patch.bare):
			what = "sign-off" if kind == "MISSING_SIGN_OFF" else "checkpatch"
			if what == "sign-off" and patch.cut:
				text += "\nA Signed-off-by: stands after the first --- line, where git am cuts the message: the commit would have none"
			place = re.search(r"^#\d+: FILE: (\S+?):?$", text, re.MULTILINE)
			check.findings.append(Finding(what, f"{kind}: {text.splitlines()[0]}", Change.NEW, level == "ERROR",
						      f"{level}:{kind}: {text}", place[1] if place else ""))
		check.findings += compare.items({}, trailers.fixes(patch.message, self.scene.kdir))
		check.findings += compare.items({}, self._orders(number), held=False)
		before, after = (self._kernel_doc(index, patch) for index in (number - 1, number))
		check.findings += compare.items(before, after)
		if patch.no_author:
			check.findings = [replace(finding, held=False) for finding in check.findings]
			check.outcome, check.reason = Outcome.CANNOT_JUDGE, f"the author, who has to sign off, is unknown: {patch.place}: {patch.no_author}"
			return check
		notes = len([finding for finding in check.findings if not finding.held and finding.change is Change.NEW])
		if notes:
			check.reason += f"; {notes} remark{'s' if notes > 1 else ''}"
		if patch.bare:
			check.reason += "; it has no message to check"
		return check

	def _orders(self, number: int) -> dict[str, compare.Item]:
		"""Return what a patch changes of orders that no boot can show."""
		shop = self.scene.shop
		found: dict[str, compare.Item] = {}
		for name in self.scene.patches[number - 1].files:
			if name.endswith((".c", ".h")):
				found |= ordering.changed(name, shop.kernel.git("diff", "--no-ext-diff", "--no-renames", "-U9", shop.states[number - 1],
										shop.states[number], "--", name))
		return found

	def _kernel_doc(self, index: int, patch: Patch) -> dict[str, compare.Item]:
		"""Return kernel-doc's complaints about a patch's files in a state."""
		git = self.scene.shop.kernel.git
		sources = [name for name in patch.files if name.endswith((".c", ".h"))]
		listed = git("ls-tree", "--name-only", "-r", self.scene.shop.states[index], "--", *sources).splitlines() if sources else []
		with tempfile.TemporaryDirectory(prefix="pinwait-") as scratch:
			for name in listed:
				path = Path(scratch, name)
				path.parent.mkdir(parents=True, exist_ok=True)
				path.write_text(git("cat-file", "blob", f"{self.scene.shop.states[index]}:{name}") + "\n", encoding="utf-8",
						errors="surrogateescape")
			return compare.messages(lint.kernel_doc(self.scene.tools, Path(scratch), listed), "kernel-doc", dict(patch.renamed))


class Warnings(Examiner):
	"""New messages of W=1 and sparse about the files that the patch touches."""
	name = WARNINGS

	def needs(self, number: int) -> list[str]:
		"""Return the main profile, whose objects tell which files are compiled, and WARNINGS."""
		return [self.scene.shop.main, *([WARNINGS] if self.scene.touches_code(number) else [])]

	def judge(self, number: int) -> Check:
		"""Return their new messages, and name the files that they checked."""
		shop = self.scene.shop
		result = shop.result(number, shop.main)
		sources = self.scene.looked_at(number)
		check = Check(self.name, Outcome.PASS, "no file that it touches is compiled")
		if result.error:
			return Check(self.name, Outcome.CANNOT_JUDGE, f"it does not compile: see {shop.main}")
		headers = [name for name in self.scene.patches[number - 1].files if name.endswith(".h")]
		looked_at = [*sources, *headers]
		before, after = (self._said(index, looked_at, dict(self.scene.patches[number - 1].renamed)) for index in (number - 1, number))
		check.findings = compare.items(before, after)
		if sources:
			check.reason = f"no new message of W=1 and sparse about {', '.join(sources[:NAMED])}"
			check.reason += f" and {len(sources) - NAMED} more" if len(sources) > NAMED else ""
		answer = shop.answers.get((number, WARNINGS))
		if answer and answer.problem:
			self.scene.note(f"patch {number}: {answer.problem}")
		return check

	def _said(self, index: int, names: Sequence[str], renamed: Mapping[str, str]) -> dict[str, compare.Item]:
		answer = self.scene.shop.answers.get((index, WARNINGS))
		lines = answer.lines if answer and answer.lines else {}
		return compare.messages((line for name in names for line in lines.get(name, ())), renamed=renamed)


class Configurations(Examiner):
	"""New messages about the touched files where one builds for 32 bit, for one CPU, or with other huge pages."""
	name = OBJECTS

	def needs(self, number: int) -> list[str]:
		"""Return OBJECTS, unless nothing that the patch changes depends on such options."""
		return [] if (number, self.name) in self.scene.omitted else [OBJECTS]

	def judge(self, number: int) -> Check:
		"""Return the new messages of the compiler."""
		before, after = (self.scene.shop.answers[index, OBJECTS] for index in (number - 1, number))
		renamed = dict(self.scene.patches[number - 1].renamed)
		check = Check(self.name, Outcome.PASS, "")
		for profile, lines in (after.lines or {}).items():
			old, new = compare.messages((before.lines or {})[profile], renamed=renamed), compare.messages(lines)
			check.findings += [replace(finding, id=f"{profile}: {finding.id}") for finding in compare.items(old, new)]
		told = [f"{', '.join(names[:NAMED])} in {profile}" for profile, names in (after.objects or {}).items() if names]
		check.reason = f"no new message about {'; '.join(told)}" if told else "none of its files is compiled in other configurations"
		return check


class Executed(Examiner):
	"""Whether any of the code that a patch changes is executed. Lines that are not are informational."""
	name = COVERAGE

	def needs(self, number: int) -> list[str]:
		"""Return COVERAGE if executed lines are to be counted, and TRACED if on x86_64, too."""
		if not self._is_measured(number):
			return []
		return [COVERAGE, *([choice.PROFILE, TRACED] if self.scene.traced(number) else [])]

	def judge(self, number: int) -> Check:
		"""Return pass with the number of executed changed lines, or not seen if there are none."""
		wide = "" if (number - 1, COVERAGE) in self.scene.shop.answers or not self.scene.shop.wide(number) else \
			"an earlier patch also changes a header that most files include, and counting would compile everything twice more"
		problem = wide or self._problem(number, COVERAGE)
		if problem:
			self.scene.note(f"patch {number}: coverage of the changed lines: {problem}")
			return Check(self.name, Outcome.PASS, f"not measured: {problem}")
		shop = self.scene.shop
		covered, compiled = shop.covered(number)
		removed_in_uml = sum(len(file.removed) for file in covered)
		where, unknown = "", ""
		if self.scene.traced(number):
			where, unknown = f" in uml or {choice.PROFILE}", self._problem(number, TRACED)
			covered, compiled = self._joined(number, covered, compiled, unknown)
		covered = [self._known(number, file) for file in covered]
		self.scene.covered[number] = covered
		if not covered:
			return Check(self.name, Outcome.PASS, "it changes no code")
		executed, missed, removed = (sum(len(getattr(file, name)) for file in covered) for name in ("executed", "missed", "removed"))
		if not executed and not removed:
			if all(SUITE.search(file.file) and file.file in compiled and not file.missed for file in covered):
				return Check(self.name, Outcome.PASS, "it changes tables of suites, which KUnit reads")
			why = why_not(covered, compiled) + (f"; what {choice.PROFILE} executes is not known: {unknown}" if unknown else "")
			if left_out := self.scene.omitted.get((number, choice.PROFILE)):
				why += f"; {choice.PROFILE}, which may execute it, was not booted: {left_out}" if self.scene.picked.get(number) else ""
			return Check(self.name, Outcome.NOT_SEEN, f"none of the code that it changes is executed{where}: {why}")
		told = [f"{executed} of {executed + missed} changed lines with code are executed"] if executed + missed else []
		elsewhere = sum(len(file.elsewhere) for file in covered)
		told += [f"{elsewhere} of them only in {choice.PROFILE}"] if elsewhere else []
		told += [f"{removed} of those that it removes were"] if removed else []
		told += [f"{removed - removed_in_uml} of them only in {choice.PROFILE}"] if removed > removed_in_uml else []
		return Check(self.name, Outcome.PASS, "; ".join([", ".join(told), *known_of(covered)]))

	def _known(self, number: int, file: Covered) -> Covered:
		"""Add what is known of the functions that a patch changes in a file, whatever it changes."""
		states, git = self.scene.shop.states, self.scene.shop.kernel.git
		functions = planted.functions_of(file, *(text_of(git, states[index], file.file) for index in (number - 1, number)))
		file = replace(file, blind=[*blind.told(self.scene.blind, file.file, functions),
					    *blind.off_road(self.scene.road, file.file, functions)])
		return planted.told(self.scene.record, file, functions) if self.scene.record else file

	def _problem(self, number: int, what: str) -> str:
		"""Say why it could not be found out what is executed before or after a patch, "" if it could."""
		return next((answer.problem for index in (number, number - 1)
			     if (answer := self.scene.shop.answers.get((index, what))) and answer.problem), "")

	def _joined(self, number: int, covered: list[Covered], compiled: list[str], unknown: str) -> tuple[list[Covered], list[str]]:
		"""Add what x86_64 executes of a patch's lines; if that is unknown, only which files are compiled there."""
		shop = self.scene.shop
		obj = shop.trials[choice.PROFILE].obj
		if unknown:
			built = [file.file for file in covered if choice.has_object(obj, file.file)]
			return [replace(file, unmeasured=file.uncompiled or file.missed, missed=[], uncompiled=[]) if file.file in built else file
				for file in covered], [*compiled, *built]
		there, more = shop.covered(number, TRACED)
		found = {file.file: file for file in there}
		return [joined(file, found.get(file.file)) for file in covered], [*compiled, *more]

	def _is_measured(self, number: int) -> bool:
		"""Tell whether to count executed lines for a patch; not if two states in a row would have to be compiled completely."""
		counted = any(name.endswith(COUNTED) and not build.NOT_BUILT.match(name) for name in self.scene.patches[number - 1].files)
		return counted and not (self.scene.shop.wide(number) and any(map(self.scene.shop.wide, range(1, number))))
