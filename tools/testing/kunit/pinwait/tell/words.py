# SPDX-License-Identifier: GPL-2.0
"""The words in which every report speaks of a judgement."""

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

from ..judgement import Change, Check, Finding, Judgement, PatchJudgement
from ..results import Outcome
from ..text import printable, ranges

__all__ = ["ranges"]
_CHANGES = {Change.NEW: "new", Change.FIXED: "fixed", Change.PRE_EXISTING: "there before"}


@dataclass(frozen=True)
class Told:
	"""A finding and where it belongs."""
	patch: PatchJudgement
	check: Check
	finding: Finding


@dataclass(frozen=True)
class Group:
	"""A finding, and those that only have another parameter of the same case."""
	told: Told
	others: list[Finding]

	@property
	def title(self) -> str:
		"""Say in a line what was found where, and with how many other parameters."""
		return " ".join(filter(None, [title(self.told.finding), self._more()]))

	@property
	def gist(self) -> str:
		"""The same with the first line of the text."""
		return " ".join(filter(None, [gist(self.told.finding), self._more()]))

	def _more(self) -> str:
		return f"and {count(len(self.others), 'other parameter')}" if self.others else ""


def findings(judgement: Judgement) -> Iterator[Told]:
	"""Give all findings, in the order of patches and checks."""
	for patch in judgement.patches:
		for check in patch.checks:
			for finding in check.findings:
				yield Told(patch, check, finding)


def held(judgement: Judgement) -> list[Told]:
	"""Return what is held against patches, of each patch every finding once."""
	return [told for told in findings(judgement) if told.finding.held and not seen_earlier(told)]


def grouped(found: list[Told]) -> list[Group]:
	"""Return findings with those put together that differ in the case's parameter only."""
	groups: dict[object, Group] = {}
	for index, told in enumerate(found):
		case, bracket, _ = told.finding.where.partition("[")
		key = (told.patch.number, told.check.name, told.finding.kind, case, seen(told.finding)) if bracket else index
		if key in groups:
			groups[key].others.append(told.finding)
		else:
			groups[key] = Group(told, [])
	return list(groups.values())


def remarks(judgement: Judgement) -> list[Told]:
	"""Return what is new and yet not held against a patch."""
	return [told for told in findings(judgement) if told.finding.change is Change.NEW and not told.finding.held]


def distinct(found: list[Told], change: Change) -> list[Finding]:
	"""Return each finding of a change once, however many patches and checks saw it, in whatever state."""
	return list({gist(told.finding): told.finding for told in found if told.finding.change is change}.values())


def repaired_by(judgement: Judgement, told: Told) -> PatchJudgement | None:
	"""Return the later patch that makes good what is held against this one."""
	return next((later.patch for later in findings(judgement)
		     if later.patch.number > told.patch.number and later.finding.change is Change.FIXED
		     and later.finding.id == told.finding.id), None)


def seen_earlier(told: Told) -> Check | None:
	"""Return the earlier check of the same patch that found the same."""
	return told_before(told.patch, told.check, told.finding)


def told_before(patch: PatchJudgement, check: Check, finding: Finding) -> Check | None:
	"""Return the check of a patch that found the same as this one, and earlier."""
	earlier = patch.checks[:next(index for index, one in enumerate(patch.checks) if one is check)]
	return next((one for one in earlier
		     if any((other.id, other.held) == (finding.id, finding.held) for other in one.findings)), None)


def unexplained(check: Check) -> bool:
	"""Tell whether a check fails although it has nothing to show for it."""
	return check.outcome is Outcome.FAIL and not check.held


def line(text: str) -> str:
	"""Return text as one printable line."""
	return printable(" ".join(text.split()))


def lines(text: str) -> list[str]:
	"""Return the printable lines of a text, those of kernel and compiler with their columns kept."""
	return [row.rstrip() for row in textwrap.dedent(printable(text).expandtabs()).strip("\n").split("\n")]


def title(finding: Finding) -> str:
	"""Say in a line what was found where: kind, place, and how often."""
	return " ".join(filter(None, [line(finding.kind), line(finding.where), seen(finding)]))


def seen(finding: Finding) -> str:
	"""Say in how many boots it was seen; "" where boots were not repeated."""
	if not finding.after and not finding.before:
		return ""
	return f"(in {finding.after or 'none'} boots, before the patch in {finding.before or 'none'})"


def first(finding: Finding) -> str:
	"""Return the first line of a finding's text, which may have none."""
	return next((row.strip() for row in lines(finding.text) if row.strip()), line(finding.kind))


def gist(finding: Finding) -> str:
	"""Return a finding in one line, which begins with its place as compilers have it."""
	text, where = first(finding), line(finding.where)
	if where and not text.startswith(where):
		text = f"{where}: {text}"
	return " ".join(filter(None, [text, seen(finding)]))


def message_id(patch: PatchJudgement) -> str:
	"""Return the id of the mail that the patch came in, without brackets; "" if there is none that can be one."""
	found = re.fullmatch(r"\s*<?([^\s<>@]+@[^\s<>@]+)>?\s*", printable(patch.message_id))
	return found[1] if found else ""


def change(finding: Finding) -> str:
	"""Name how a finding stands to what was before."""
	return _CHANGES[finding.change]


def base(judgement: Judgement) -> str:
	"""Say what the patches were applied to."""
	commit = f"commit {judgement.base_commit[:12]}" if judgement.base_commit else ""
	return ", ".join(filter(None, [line(judgement.base), commit])) or "none"


def count(number: int, noun: str, plural: str = "") -> str:
	"""Return a number and its noun."""
	return f"{number} {noun if number == 1 else plural or noun + 's'}"
