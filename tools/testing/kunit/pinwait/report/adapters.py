# SPDX-License-Identifier: GPL-2.0
"""Report a judgement to other tools: b4, NIPA, Patchwork, git bisect."""

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TextIO

from ..util import outputs
from . import words
from ..log.results import EXIT_CODES, LABELS, Outcome
from ..util.proc import INTERRUPTED
from .judgement import Judgement, PatchJudgement
from .terminal import print_judgement
from .words import Group, Told, line, lines

TOOL = "pinwait"
BISECT_SKIP = 125	# "this source code cannot be tested"
BISECT_STOP = 128	# the first code that ends a bisect
NIPA_WARNING = 250
DESCRIPTION = 240	# characters of a Patchwork check's description, and of what NIPA and b4 show in its place
DETAILS = 40		# lines of each finding for b4
MOST = 5		# findings for b4
REASON = 12		# lines of the reason for `cannot judge`
_BISECT_GOES_ON = (EXIT_CODES[Outcome.PASS], EXIT_CODES[Outcome.FAIL], BISECT_SKIP)
_B4 = {Outcome.PASS: "pass", Outcome.NOT_SEEN: "warn", Outcome.FAIL: "fail", Outcome.CANNOT_JUDGE: "warn"}
_PATCHWORK = {Outcome.PASS: "success", Outcome.NOT_SEEN: "warning", Outcome.FAIL: "fail", Outcome.CANNOT_JUDGE: "warning"}
_NIPA = {Outcome.PASS: 0, Outcome.NOT_SEEN: NIPA_WARNING, Outcome.FAIL: 1, Outcome.CANNOT_JUDGE: NIPA_WARNING}


@dataclass(frozen=True)
class Form:
	"""The answer to a program that calls the gate: standard output, and the exit code."""
	tell: Callable[[Judgement], str]
	codes: Mapping[Outcome, int] = field(default_factory=lambda: EXIT_CODES)
	reports: bool = False	# the program shows people standard error, so the report goes there

	def answer(self, judgement: Judgement, report: TextIO) -> int:
		"""Print the answer, and the report to the original standard error; return the exit code."""
		text = self.tell(judgement).encode("utf-8", "backslashreplace")	# UTF-8, whatever the locale is
		outputs.to_stdout(lambda: sys.stdout.buffer.write(text))
		if self.reports:
			outputs.attempt("the report could not be printed", lambda: print_judgement(judgement, report))
		return self.codes[judgement.outcome]


def b4_prep(judgement: Judgement) -> str:
	"""Return the output of b4's prep-perpatch-check-cmd: "" if all pass.

	A line with `ERROR:` fails, any other warns. b4 reads each line by itself, so each finding is one line. b4 takes every line on
	standard error for a failure, and uses the exit code if there is no line at all.
	"""
	failures, remarks = words.grouped(words.held(judgement)), words.grouped(words.remarks(judgement))
	rows = [f"ERROR: {_calm(_told(group))}" for group in failures[:MOST]]
	rows += [f"ERROR: {len(failures) - MOST} more failures"] if len(failures) > MOST else []
	if judgement.outcome is Outcome.FAIL:
		rows = rows or [f"ERROR: {_calm(headline(judgement))}"]
	else:
		rows += map(_calm, _doubt(judgement))
	rows += [_calm(_told(group)) for group in remarks[:MOST]]
	rows += [f"{len(remarks) - MOST} more remarks"] if len(remarks) > MOST else []
	if judgement.outcome in (Outcome.FAIL, Outcome.CANNOT_JUDGE) and judgement.patches:
		rows.append(_calm(f"reproduce: {line(judgement.command)}"))
	return "".join(f"{row}\n" for row in rows)


def b4_review(judgement: Judgement) -> str:
	"""Return the output of b4's review-perpatch-check-cmd and review-series-check-cmd, in JSON."""
	status = _B4[judgement.outcome]
	if status == "pass" and words.remarks(judgement):
		status = "warn"
	details = _doubt(judgement)
	several = len(judgement.patches) > 1
	details += [f"patch {patch.number}: {LABELS[patch.outcome]}: {line(patch.subject)}" for patch in judgement.tried if several]
	groups = words.grouped([*words.held(judgement), *words.remarks(judgement)])
	for group in groups[:MOST]:
		where = f"patch {group.told.patch.number}, " if several else ""
		details += ["", f"{where}{group.told.check.name}: {group.title}"]
		details += lines(group.told.finding.text)[:DETAILS]
	details += ["", f"and {len(groups) - MOST} more"] if len(groups) > MOST else []
	details += ["", f"base: {words.base(judgement)}", *(line(reason) for reason in judgement.choice)] if judgement.base else []
	details += [f"not checked: {what}" for what in words.not_checked(judgement)]
	details += [f"reproduce: {line(judgement.command)}"] if judgement.patches else []
	return json.dumps([{"tool": TOOL, "status": status, "summary": headline(judgement), "url": judgement.report_url,
			    "details": "\n".join(details).strip("\n")}], indent=1) + "\n"


def headline(judgement: Judgement) -> str:
	"""Return the deciding reason as a short line; it names the patch only if there are several."""
	patch = _deciding(judgement)
	if judgement.outcome is Outcome.PASS or not patch:
		return _short(next(iter(_doubt(judgement)), line(judgement.reason)))
	where = f"patch {patch.number}: " if len(judgement.patches) > 1 else ""
	return f"{where}{_reason(patch, DESCRIPTION - len(where))}" if judgement.outcome is Outcome.FAIL else _short(_doubt(judgement)[0])


def patchwork(patch: PatchJudgement, url: str = "") -> dict[str, str]:
	"""Return the body of a POST to Patchwork's /api/patches/ID/checks/."""
	passed = f"{words.count(len(patch.checks), 'check')}, nothing new"
	check = {"state": _PATCHWORK[patch.outcome], "context": TOOL,
		 "description": passed if patch.outcome is Outcome.PASS else _reason(patch)}
	return check | ({"target_url": url} if url else {})


def patchwork_checks(judgement: Judgement, url: str = "") -> list[dict[str, Any]]:
	"""Return the checks of all patches, each with the Message-ID by which Patchwork finds the patch."""
	return [{"number": patch.number, "message_id": words.message_id(patch), "check": patchwork(patch, url and f"{url}#patch-{patch.number}")}
		for patch in judgement.tried]


def bisect_code(exit_code: int) -> int:
	"""Return the exit code for `git bisect run`: it continues after a verdict or a skip, and stops for anything else."""
	return exit_code if exit_code in (*_BISECT_GOES_ON, INTERRUPTED) else BISECT_STOP


# The answers to other programs.
FORMS = {"b4-prep": Form(b4_prep), "b4-review": Form(b4_review), "b4-series": Form(b4_review),
	 "nipa": Form(lambda judgement: headline(judgement) + "\n", _NIPA, reports=True)}


def _deciding(judgement: Judgement) -> PatchJudgement | None:
	"""Return the patch that decides the outcome; None if no patch does."""
	if judgement.problem and judgement.outcome is not Outcome.FAIL:
		return None
	return next((patch for patch in judgement.tried
		     if patch.outcome is judgement.outcome or judgement.outcome is Outcome.CANNOT_JUDGE and judgement.not_made(patch)), None)


def _doubt(judgement: Judgement) -> list[str]:
	"""Return the lines that say why the patches cannot be judged or are not seen; [] for pass and fail."""
	if judgement.outcome in (Outcome.PASS, Outcome.FAIL):
		return []
	patch = _deciding(judgement)
	why = judgement.reason
	if patch:
		why = patch.reason if patch.outcome is judgement.outcome else f"{judgement.not_made(patch)[0]}: was not made"
		why = f"patch {patch.number}: {why}" if len(judgement.patches) > 1 else why
	first, *more = lines(why)[:REASON]
	return [f"{LABELS[judgement.outcome]}: {first}", *more]


def _reason(patch: PatchJudgement, limit: int = DESCRIPTION) -> str:
	"""Say in a short line why a patch has not passed: its first finding, or its checks' reason."""
	groups = words.grouped([Told(patch, check, finding) for check in patch.checks for finding in check.held])
	if not groups:
		return _short(line(patch.reason), limit)
	others = sum(1 + len(group.others) for group in groups) - 1
	more = f" (and {others} more)" if others else ""
	return _short(_what(groups[0]), limit - len(more)) + more


def _told(group: Group) -> str:
	"""Name the check, its finding, and the other cases with the same finding."""
	return " ".join(filter(None, [f"{group.told.check.name}: {_what(group)}", group.more]))


def _what(group: Group) -> str:
	"""Describe a finding in the words of the compiler, the assertion or the kernel."""
	return ("does not build: " if group.told.finding.kind == "error" else "") + words.gist(group.told.finding)


def _calm(text: str) -> str:
	"""Remove b4's mark of a failure from a text that quotes it."""
	return text.replace("ERROR:", "error:")


def _short(text: str, limit: int = DESCRIPTION) -> str:
	return text if len(text) <= limit else text[:limit - 3].rstrip() + "..."
