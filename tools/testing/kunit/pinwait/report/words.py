# SPDX-License-Identifier: GPL-2.0
"""The words that all reports of a judgement share."""

import re
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..log.results import Outcome
from ..util.text import printable, ranges
from .judgement import Change, Check, Finding, Judgement, PatchJudgement

__all__ = ["ranges"]
# KUnit's line before an assertion's text, and lines after the text that are no message.
FAILED = re.compile(r"(?:EXPECTATION|ASSERTION) FAILED at (\S+:\d+)$", re.MULTILINE)
NO_MESSAGE = re.compile(r"\s*(?:#|ok \d|not ok \d|KTAP version )")
# A compiler's or linker's own line in make's output; a line that only announces a complaint of the kernel.
ERROR = re.compile(r": (?:fatal )?error: |: undefined reference to |: multiple definition of ")
CUT = re.compile(r"[-=]{4}")
VARYING = re.compile(r"0x[0-9a-f]+|\b[0-9a-f]{8,}\b|\d+")
NAMED = 3		# maximal number of findings that a reason names
OF_CASES = ("case", "missing", "skip", "splat")	# kinds of findings whose place is a case
UNBUILT = ("apply", "static")	# checks that run no code of a patch
_CHANGES = {Change.NEW: "new", Change.FIXED: "fixed", Change.PRE_EXISTING: "there before"}


@dataclass(frozen=True)
class Told:
	"""A finding with its patch and check."""
	patch: PatchJudgement
	check: Check
	finding: Finding


@dataclass(frozen=True)
class Group:
	"""A finding of a patch's check, and equal ones in other cases."""
	told: Told
	others: list[Finding]

	@property
	def title(self) -> str:
		"""The finding, its place, and the number of other cases, in a line."""
		return " ".join(filter(None, [title(self.told.finding), self.more]))

	@property
	def gist(self) -> str:
		"""Its place, why it fails, and the number of other cases, in a line."""
		return " ".join(filter(None, [gist(self.told.finding), self.more]))

	@property
	def more(self) -> str:
		"""The number of other cases; "" if there is none."""
		if not self.others:
			return ""
		case = _case(self.told.finding)
		alike = all(_case(other) == case for other in self.others)
		return f"and {count(len(self.others), 'other parameter' if alike else 'other case')}"


def findings(judgement: Judgement) -> Iterator[Told]:
	"""Yield all findings, in the order of patches and checks."""
	for patch in judgement.patches:
		for check in patch.checks:
			for finding in check.findings:
				yield Told(patch, check, finding)


def held(judgement: Judgement) -> list[Told]:
	"""Return the findings that fail patches, each once for a patch."""
	return [told for told in findings(judgement) if told.finding.held and not seen_earlier(told)]


def grouped(found: list[Told]) -> list[Group]:
	"""Return findings in groups of cases that fail at the same line with the same text, except for numbers."""
	groups: dict[object, Group] = {}
	for told in found:
		key = told.patch.number, told.check.name, likeness(told.finding)
		if key in groups:
			groups[key].others.append(told.finding)
		else:
			groups[key] = Group(told, [])
	return list(groups.values())


def likeness(finding: Finding) -> object:
	"""Return the key that equal findings of a check share; they are reported as one."""
	if finding.kind not in OF_CASES:
		return id(finding)
	return finding.kind, place(finding), VARYING.sub("N", why(finding)), seen(finding)


def remarks(judgement: Judgement) -> list[Told]:
	"""Return the findings that are new but do not fail a patch."""
	return [told for told in findings(judgement) if told.finding.change is Change.NEW and not told.finding.held]


def distinct(found: list[Told], change: Change) -> list[Finding]:
	"""Return each finding of a change once, however many patches and checks saw it.

	Findings from an earlier patch of the series did not exist before the patches: lasting() reports them.
	"""
	brought = {id(told) for told, _ in _brought(found)}
	return list({gist(told.finding): told.finding for told in found
		     if told.finding.change is change and id(told) not in brought}.values())


def lasting(found: list[Told]) -> list[str]:
	"""For each patch and check, count in a sentence the findings from an earlier patch of the series that persist."""
	counts = Counter((told.patch.number, told.check.name, by.number) for told, by in _brought(found))
	return [f"patch {number}, {line(name)}: {count(times, 'finding')} since patch {by}"
		for (number, name, by), times in counts.items()]


def _brought(found: list[Told]) -> Iterator[tuple[Told, PatchJudgement]]:
	"""Yield findings that existed before a patch because of an earlier patch of the series, with that patch."""
	brought: dict[tuple[str, str], PatchJudgement] = {}
	for told in found:
		key = (told.check.name, told.finding.id)
		if told.finding.change is Change.NEW:
			brought[key] = told.patch
		elif told.finding.change is Change.FIXED:
			brought.pop(key, None)
		elif key in brought:
			yield told, brought[key]


def repaired_by(judgement: Judgement, told: Told) -> PatchJudgement | None:
	"""Return the later patch that fixes a finding that fails this one."""
	return next((later.patch for later in findings(judgement)
		     if later.patch.number > told.patch.number and later.finding.change is Change.FIXED
		     and later.finding.id == told.finding.id), None)


def seen_earlier(told: Told) -> Check | None:
	"""Return the earlier check of the same patch with the same finding."""
	return told_before(told.patch, told.check, told.finding)


def told_before(patch: PatchJudgement, check: Check, finding: Finding) -> Check | None:
	"""Return an earlier check of a patch with the same finding as this check."""
	earlier = patch.checks[:next(index for index, one in enumerate(patch.checks) if one is check)]
	return next((one for one in earlier
		     if any((other.id, other.held) == (finding.id, finding.held) for other in one.findings)), None)


def nearest(judgement: Judgement) -> str:
	"""Return the base to which the patches do apply, unless the reason names it; "" if none is known."""
	reasons = [check.reason for patch in judgement.patches for check in patch.checks]
	return "" if any(judgement.nearest in reason for reason in reasons) else line(judgement.nearest)


def not_checked(judgement: Judgement) -> list[str]:
	"""Return the omitted parts, and a note if the patches' code ran unconfined."""
	ran = any(check.name not in UNBUILT for patch in judgement.patches for check in patch.checks)
	unconfined = ["isolation: the patches' code ran with the caller's rights"] if ran and not judgement.isolation else []
	return [*unconfined, *map(line, judgement.not_checked)]


def unexplained(check: Check) -> bool:
	"""Tell whether a check fails without a finding that says why."""
	return check.outcome is Outcome.FAIL and not check.held


def line(text: str) -> str:
	"""Return text as one printable line."""
	return printable(" ".join(text.split()))


def lines(text: str) -> list[str]:
	"""Return the printable lines of a text; tabs become spaces, so that columns of kernel and compiler stay."""
	return [row.rstrip() for row in textwrap.dedent(printable(text).expandtabs()).strip("\n").split("\n")]


def title(finding: Finding) -> str:
	"""Describe a finding in a line: kind, place, and how often."""
	return " ".join(filter(None, [line(finding.kind), line(finding.where), seen(finding)]))


def seen(finding: Finding) -> str:
	"""Say in how many boots it was seen; "" if boots were not repeated."""
	if not finding.after and not finding.before:
		return ""
	return f"(in {finding.after or 'none'} boots, before the patch in {finding.before or 'none'})"


def why(finding: Finding) -> str:
	"""Say in a line what is wrong: in the words of the assertion, the compiler or the kernel, without the place."""
	rows = [row for row in lines(finding.text) if row.strip() and not CUT.match(row)]
	failed = next((index for index, row in enumerate(rows) if FAILED.search(row)), -1)
	if failed >= 0:
		# The first line may describe the circumstances of the failure.
		return line(" ".join([*(rows[:1] if failed and rows[0].endswith(":") else []), _assertion(rows[failed + 1:])]))
	told = [row for row in rows if finding.kind == "error" and ERROR.search(row)] or rows
	return line(told[0]) if told else line(finding.kind)


def _assertion(rows: list[str]) -> str:
	"""Join the lines of a failed assertion: what it expected, the actual value, its message."""
	if not rows or not rows[0].lstrip().startswith("Expected "):
		return rows[0] if rows else "an assertion failed"
	depth = _depth(rows[0])
	end = next((index for index, row in enumerate(rows[1:], 1) if _depth(row) <= depth), len(rows))
	message = [row for row in rows[end:end + 1] if not NO_MESSAGE.match(row)]
	operands = ", ".join(row.strip() for row in rows[1:end] if " == " in row)
	return ": ".join([f"{rows[0].strip()} {operands}".strip(), *message])


def _depth(row: str) -> int:
	return len(row) - len(row.lstrip())


def place(finding: Finding) -> str:
	"""Return file:line of the failed assertion; "" if there is none."""
	found = FAILED.search(finding.text)
	return line(found[1]) if found else ""


def gist(finding: Finding) -> str:
	"""Return a finding in one line that begins with its place, in the form of compilers."""
	text, where = why(finding), line(finding.where)
	if where and not text.startswith(where):
		text = f"{where}: {text}"
	return " ".join(filter(None, [text, seen(finding)]))


def _case(finding: Finding) -> str:
	"""Return suite.case of a finding, without a parameter."""
	return finding.where.partition("[")[0]


def message_id(patch: PatchJudgement) -> str:
	"""Return the Message-ID of the patch's mail, without brackets; "" if it is unknown."""
	found = re.fullmatch(r"\s*<?([^<>]+?)>?\s*", patch.message_id)
	return found[1] if found and line(found[1]) == found[1] else ""


def change(finding: Finding) -> str:
	"""Name how a finding relates to the state before."""
	return _CHANGES[finding.change]


def base(judgement: Judgement) -> str:
	"""Name the base of the patches."""
	commit = f"commit {judgement.base_commit[:12]}" if judgement.base_commit else ""
	return ", ".join(filter(None, [line(judgement.base), commit])) or "none"


def count(number: int, noun: str, plural: str = "") -> str:
	"""Return a number and its noun."""
	return f"{number} {noun if number == 1 else plural or noun + 's'}"


def named(held: Sequence[Finding]) -> str:
	"""Sum up findings in one sentence: the first with its reason, and the others."""
	groups: dict[object, list[Finding]] = {}
	for finding in held:
		groups.setdefault(likeness(finding), []).append(finding)
	told = [_short_of(group) for group in groups.values()]
	told[0] += f": {why(held[0])}" if held[0].kind in OF_CASES else ""
	return "; ".join(told[:NAMED]) + (f"; and {len(told) - NAMED} more" if len(told) > NAMED else "")


def _short_of(group: Sequence[Finding]) -> str:
	"""Name similar findings in a few """
	first = group[0]
	seen = f" ({first.after} boots with it, {first.before} without)" if first.after and first.before else ""
	if first.kind == "warning":
		return f"warning: {first.text.splitlines()[0]}"
	more = f" and {count(len(group) - 1, 'other case')}" if len(group) > 1 else ""
	return f"{first.kind}: {first.id}{more}{seen}"
