# SPDX-License-Identifier: GPL-2.0
"""The words in which every report speaks of a judgement."""

import re
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..log.results import Outcome
from ..util.text import printable, ranges
from .judgement import Change, Check, Finding, Judgement, PatchJudgement

__all__ = ["ranges"]
# What KUnit prints before an assertion, and what is no message after one.
FAILED = re.compile(r"(?:EXPECTATION|ASSERTION) FAILED at (\S+:\d+)$", re.MULTILINE)
NO_MESSAGE = re.compile(r"\s*(?:#|ok \d|not ok \d|KTAP version )")
# A compiler's or linker's own line in what make says; the line that only says that the kernel complains.
ERROR = re.compile(r": (?:fatal )?error: |: undefined reference to |: multiple definition of ")
CUT = re.compile(r"[-=]{4}")
VARYING = re.compile(r"0x[0-9a-f]+|\b[0-9a-f]{8,}\b|\d+")
NAMED = 3		# findings that a reason names
OF_CASES = ("case", "missing", "skip", "splat")	# kinds of findings whose place is a case
UNBUILT = ("apply", "static")	# checks that run nothing of a patch
_CHANGES = {Change.NEW: "new", Change.FIXED: "fixed", Change.PRE_EXISTING: "there before"}


@dataclass(frozen=True)
class Told:
	"""A finding and where it belongs."""
	patch: PatchJudgement
	check: Check
	finding: Finding


@dataclass(frozen=True)
class Group:
	"""A finding of a patch's check, and the same in other cases."""
	told: Told
	others: list[Finding]

	@property
	def title(self) -> str:
		"""Say in a line what was found where, and in how many other cases."""
		return " ".join(filter(None, [title(self.told.finding), self.more]))

	@property
	def gist(self) -> str:
		"""Say in a line where it was found, why it fails, and in how many other cases."""
		return " ".join(filter(None, [gist(self.told.finding), self.more]))

	@property
	def more(self) -> str:
		"""Count the others; "" if there is none."""
		if not self.others:
			return ""
		case = _case(self.told.finding)
		alike = all(_case(other) == case for other in self.others)
		return f"and {count(len(self.others), 'other parameter' if alike else 'other case')}"


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
	"""Return findings with those cases put together that fail at the same line and say the same, numbers apart."""
	groups: dict[object, Group] = {}
	for told in found:
		key = told.patch.number, told.check.name, likeness(told.finding)
		if key in groups:
			groups[key].others.append(told.finding)
		else:
			groups[key] = Group(told, [])
	return list(groups.values())


def likeness(finding: Finding) -> object:
	"""Return what those findings of a check have in common that are told as one."""
	if finding.kind not in OF_CASES:
		return id(finding)
	return finding.kind, place(finding), VARYING.sub("N", why(finding)), seen(finding)


def remarks(judgement: Judgement) -> list[Told]:
	"""Return what is new and yet not held against a patch."""
	return [told for told in findings(judgement) if told.finding.change is Change.NEW and not told.finding.held]


def distinct(found: list[Told], change: Change) -> list[Finding]:
	"""Return each finding of a change once, however many patches and checks saw it, in whatever state.

	What an earlier patch of the series brought was not there before the patches: lasting() tells that.
	"""
	brought = {id(told) for told, _ in _brought(found)}
	return list({gist(told.finding): told.finding for told in found
		     if told.finding.change is change and id(told) not in brought}.values())


def lasting(found: list[Told]) -> list[str]:
	"""Say in a sentence for each patch and check what an earlier patch of the series brought and is still there."""
	counts = Counter((told.patch.number, told.check.name, by.number) for told, by in _brought(found))
	return [f"patch {number}, {line(name)}: {count(times, 'finding')} since patch {by}"
		for (number, name, by), times in counts.items()]


def _brought(found: list[Told]) -> Iterator[tuple[Told, PatchJudgement]]:
	"""Give what was there before a patch because an earlier one of the series brought it, and that one."""
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


def nearest(judgement: Judgement) -> str:
	"""Return the base that the patches do apply to, unless the reason names it; "" if none is known."""
	reasons = [check.reason for patch in judgement.patches for check in patch.checks]
	return "" if any(judgement.nearest in reason for reason in reasons) else line(judgement.nearest)


def not_checked(judgement: Judgement) -> list[str]:
	"""Return what was left out, and whether the patches' code ran unconfined."""
	ran = any(check.name not in UNBUILT for patch in judgement.patches for check in patch.checks)
	unconfined = ["isolation: the patches' code ran with the rights of who called"] if ran and not judgement.isolation else []
	return [*unconfined, *map(line, judgement.not_checked)]


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


def why(finding: Finding) -> str:
	"""Say in a line what is wrong: in the words of the assertion, the compiler or the kernel, without the place."""
	rows = [row for row in lines(finding.text) if row.strip() and not CUT.match(row)]
	failed = next((index for index, row in enumerate(rows) if FAILED.search(row)), -1)
	if failed >= 0:
		# The first line may say under which circumstances it failed.
		return line(" ".join([*(rows[:1] if failed and rows[0].endswith(":") else []), _assertion(rows[failed + 1:])]))
	told = [row for row in rows if finding.kind == "error" and ERROR.search(row)] or rows
	return line(told[0]) if told else line(finding.kind)


def _assertion(rows: list[str]) -> str:
	"""Put the lines of an assertion that failed into one: what it expected, what was there instead, its message."""
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
	"""Return file:line of the assertion that failed; "" if none did."""
	found = FAILED.search(finding.text)
	return line(found[1]) if found else ""


def gist(finding: Finding) -> str:
	"""Return a finding in one line, which begins with its place as compilers have it."""
	text, where = why(finding), line(finding.where)
	if where and not text.startswith(where):
		text = f"{where}: {text}"
	return " ".join(filter(None, [text, seen(finding)]))


def _case(finding: Finding) -> str:
	"""Return suite.case of a finding, without a parameter."""
	return finding.where.partition("[")[0]


def message_id(patch: PatchJudgement) -> str:
	"""Return the id of the mail that the patch came in, without brackets; "" if there is none that can be told."""
	found = re.fullmatch(r"\s*<?([^<>]+?)>?\s*", patch.message_id)
	return found[1] if found and line(found[1]) == found[1] else ""


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


def named(held: Sequence[Finding]) -> str:
	"""Sum up in one sentence what is held against a patch: why the first, and what else."""
	groups: dict[object, list[Finding]] = {}
	for finding in held:
		groups.setdefault(likeness(finding), []).append(finding)
	told = [_short_of(group) for group in groups.values()]
	told[0] += f": {why(held[0])}" if held[0].kind in OF_CASES else ""
	return "; ".join(told[:NAMED]) + (f"; and {len(told) - NAMED} more" if len(told) > NAMED else "")


def _short_of(group: Sequence[Finding]) -> str:
	"""Name findings that are alike in a few """
	first = group[0]
	seen = f" ({first.after} boots with it, {first.before} without)" if first.after and first.before else ""
	if first.kind == "warning":
		return f"warning: {first.text.splitlines()[0]}"
	more = f" and {count(len(group) - 1, 'other case')}" if len(group) > 1 else ""
	return f"{first.kind}: {first.id}{more}{seen}"
