# SPDX-License-Identifier: GPL-2.0
"""Report a judgement as KTAP version 1: a test for each patch, a subtest for each check.

`cannot judge` is `not ok` with the directive ERROR: a reader that does not know the directive takes
it for a failure, never for a success. `not seen` is a skip.
"""

import re
from collections.abc import Iterator

from . import words
from ..log.results import Outcome
from .judgement import Check, Judgement, PatchJudgement
from .words import Told, line, lines

_INDENT = "    "
_DIRECTIVES = {Outcome.NOT_SEEN: "SKIP", Outcome.CANNOT_JUDGE: "ERROR"}
# A parser of kernel logs stops at these texts of a kernel's end, anywhere in a line.
_ENDS = re.compile("List of all partitions:|Kernel panic - not syncing: VFS:|reboot: System halted")


def ktap(judgement: Judgement) -> str:
	"""Return the KTAP."""
	rows = ["KTAP version 1"]
	if not judgement.tried:
		rows += ["1..1", f"not ok 1 pinwait # ERROR {_plain(judgement.reason)}"]
		return _text(rows)
	rows.append(f"1..{len(judgement.tried)}")
	for number, patch in enumerate(judgement.tried, 1):
		rows += [_INDENT + row for row in _patch(judgement, patch)]
		rows.append(_result(number, patch.subject, patch.outcome, patch.reason))
	rows.append(_comment(line(judgement.reason)))
	return _text(rows)


def _patch(judgement: Judgement, patch: PatchJudgement) -> Iterator[str]:
	missing = judgement.not_made(patch)
	yield "KTAP version 1"
	yield f"# Subtest: {_plain(patch.subject)}"
	yield f"1..{max(1, len(patch.checks) + len(missing))}"
	for number, check in enumerate(patch.checks, 1):
		yield from map(_comment, _notes(patch, check))
		yield _result(number, check.name, check.outcome, check.reason)
	for number, name in enumerate(missing, len(patch.checks) + 1):
		yield _result(number, name, Outcome.CANNOT_JUDGE, "was not made")
	if not patch.checks and not missing:
		yield _result(1, "checks", Outcome.CANNOT_JUDGE, patch.reason)


def _notes(patch: PatchJudgement, check: Check) -> Iterator[str]:
	for group in words.grouped([Told(patch, check, finding) for finding in check.held]):
		yield group.title
		yield from (f"the same in {line(other.where)}" for other in group.others)
		yield from lines(group.told.finding.text)
	if check.outcome is not Outcome.PASS:
		yield f"reproduce: {line(check.command)}"


def _result(number: int, name: str, outcome: Outcome, reason: str) -> str:
	directive = f" # {_DIRECTIVES[outcome]} {_plain(reason)}" if outcome in _DIRECTIVES else ""
	return f"{'ok' if outcome in (Outcome.PASS, Outcome.NOT_SEEN) else 'not ok'} {number} {_plain(name)}{directive}"


def _text(rows: list[str]) -> str:
	return _ENDS.sub(lambda match: match[0].replace(":", ";"), "\n".join(rows)) + "\n"


def _comment(text: str) -> str:
	"""Return a diagnostic line; the second space keeps a parser from reading the text as a directive."""
	return f"#  {text}".rstrip()


def _plain(text: str) -> str:
	"""Return text without the character that begins a directive."""
	return line(text).replace("#", "/")
