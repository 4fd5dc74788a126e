# SPDX-License-Identifier: GPL-2.0
"""Report a judgement on a terminal."""

import os
from typing import TextIO

from . import words
from ..log.results import LABELS, Outcome
from .judgement import Change, Judgement, PatchJudgement
from .words import Group, Told, line, lines

TEXT_LINES = 16		# of each finding; judgement.html has them all
TEXTS = 8		# findings of a check with their text; more are only named
NAMES = 20
OLD = 10		# fixed and pre-existing findings
_COLOURS = {Outcome.PASS: "1;32", Outcome.NOT_SEEN: "1;36", Outcome.FAIL: "1;31", Outcome.CANNOT_JUDGE: "1;33"}


def print_judgement(judgement: Judgement, stream: TextIO) -> None:
	"""Print the base, each patch with its findings and, as the last line, the verdict on all."""
	_Printer(judgement, stream).print()


class _Printer:
	def __init__(self, judgement: Judgement, stream: TextIO) -> None:
		self.judgement, self.stream = judgement, stream
		self.colour = stream.isatty() and not os.environ.get("NO_COLOR")
		self.found = list(words.findings(judgement))

	def print(self) -> None:
		"""Print the whole judgement."""
		judgement = self.judgement
		self._write(0, f"base: {words.base(judgement)}")
		for reason in judgement.choice:
			self._write(1, line(reason))
		for patch in judgement.tried:
			self._patch(patch)
		for what in words.lasting(self.found):
			self._write(0, f"still there: {what}")
		self._old(Change.FIXED, "fixed")
		self._old(Change.PRE_EXISTING, "there before (informational)")
		for what in words.not_checked(judgement):
			self._write(0, f"not checked: {what}")
		if words.nearest(judgement):
			self._write(0, f"nearest base to which it applies: {words.nearest(judgement)}")
		if judgement.outcome is not Outcome.PASS:
			self._write(0, f"reproduce all of it: {line(judgement.command)}")
		part = "this part" + (f", shard {judgement.shard}: " if judgement.shard else f", patch {judgement.only} alone: ")
		took = f", {judgement.seconds['total']:.1f} s" if "total" in judgement.seconds else ""
		self._write(0, f"{part if judgement.shard or judgement.only else ''}{self._label(judgement.outcome)}: {line(judgement.reason)}{took}")

	def _patch(self, patch: PatchJudgement) -> None:
		total = len(self.judgement.patches)
		seconds = sum(check.seconds for check in patch.checks)
		cached = ", from cache" if patch.checks and all(check.cached for check in patch.checks) else ""
		number = f"{patch.number:{len(str(total))}}/{total} " if total > 1 else ""
		self._write(0, f"{number}{self._label(patch.outcome)}  {line(patch.subject)}"
			       f"  ({seconds:.1f} s{cached})")
		for check in patch.checks:
			if check.outcome in (Outcome.CANNOT_JUDGE, Outcome.NOT_SEEN) or words.unexplained(check):
				self._write(1, f"{check.name}: {line(check.reason)}")
			self._held(words.grouped([Told(patch, check, finding) for finding in check.held]))
			for finding in check.findings:
				if finding.change is Change.NEW and not finding.held:
					self._write(1, f"{check.name}, a remark: {words.gist(finding)}")
			if check.outcome is not Outcome.PASS and check.command:
				self._write(2, f"reproduce: {line(check.command)}")
		for name in self.judgement.not_made(patch):
			self._write(1, f"{name}: was not made")
		for file in patch.covered or []:
			if file.missed:
				self._write(1, f"not executed: {line(file.file)}:{words.ranges(file.missed)}")

	def _held(self, groups: list[Group]) -> None:
		for number, group in enumerate(groups[:TEXTS + NAMES]):
			told = group.told
			earlier = words.seen_earlier(told)
			self._write(1, f"{told.check.name}: {group.title}{f', as in {earlier.name}' if earlier else ''}")
			if not earlier and number < TEXTS:
				self._text(told)
		if len(groups) > TEXTS + NAMES:
			self._write(1, f"... {len(groups) - TEXTS - NAMES} more in judgement.html")

	def _text(self, told: Told) -> None:
		repairer = words.repaired_by(self.judgement, told)
		if repairer:
			self._write(2, f"patch {repairer.number} repairs this; each patch has to pass by itself")
		rows = lines(told.finding.text)
		for row in rows[:TEXT_LINES]:
			self._write(2, row)
		if len(rows) > TEXT_LINES:
			self._write(2, f"... {len(rows) - TEXT_LINES} more lines in judgement.html")

	def _old(self, change: Change, meaning: str) -> None:
		old = words.distinct(self.found, change)
		if old:
			self._write(0, f"{meaning}: {len(old)}")
		for finding in old[:OLD]:
			self._write(1, words.gist(finding))
		if len(old) > OLD:
			self._write(1, f"... {len(old) - OLD} more in judgement.html")

	def _write(self, depth: int, text: str) -> None:
		self.stream.write("    " * depth + text.rstrip() + "\n")

	def _label(self, outcome: Outcome) -> str:
		label = LABELS[outcome]
		return f"\033[{_COLOURS[outcome]}m{label}\033[0m" if self.colour else label
