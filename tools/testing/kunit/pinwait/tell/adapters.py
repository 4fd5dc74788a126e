# SPDX-License-Identifier: GPL-2.0
"""Tell a judgement in the words of other tools: b4, Patchwork, git bisect."""

import json
from typing import Any

from ..errors import UsageError
from ..judgement import Judgement, PatchJudgement
from ..results import EXIT_CODES, LABELS, Outcome
from . import words
from .words import Told, line, lines

TOOL = "pinwait"
BISECT_SKIP = 125	# "this source code cannot be tested"
DESCRIPTION = 240	# characters of a Patchwork check's description
SUMMARY = 100		# characters of a line in b4's table
DETAILS = 40		# lines of each finding there
FAILURES = 20		# that b4 is told one by one
_B4 = {Outcome.PASS: "pass", Outcome.NOT_SEEN: "warn", Outcome.FAIL: "fail", Outcome.CANNOT_JUDGE: "warn"}
_PATCHWORK = {Outcome.PASS: "success", Outcome.NOT_SEEN: "warning", Outcome.FAIL: "fail", Outcome.CANNOT_JUDGE: "warning"}


def b4_prep(judgement: Judgement) -> str:
	"""Return what b4's prep-perpatch-check-cmd is to print: "" if all pass.

	A line with `ERROR:` fails, any other warns; b4 takes each line for itself, so a finding has one.
	It takes every line on stderr for a failure: nothing else may be printed, progress included.
	"""
	failures = words.grouped(words.held(judgement))
	rows = [f"ERROR: {_calm(f'{group.told.check.name}: {group.gist}')}" for group in failures[:FAILURES]]
	rows += [f"ERROR: {len(failures) - FAILURES} more failures"] if len(failures) > FAILURES else []
	rows += [_calm(f"{told.check.name}: {words.gist(told.finding)}") for told in words.remarks(judgement)]
	if judgement.outcome is Outcome.FAIL:
		rows = rows if failures else [f"ERROR: {_calm(line(judgement.reason))}", *rows]
		rows.append(_calm(f"again: {line(judgement.command)}"))
	elif judgement.outcome is not Outcome.PASS:
		rows.append(_calm(f"{LABELS[judgement.outcome]}: {line(judgement.reason)}"))
	return "".join(f"{row}\n" for row in rows)


def b4_review(judgement: Judgement, url: str = "") -> str:
	"""Return what b4's review-perpatch-check-cmd and review-series-check-cmd are to print: JSON.

	url is where judgement.html can be read, "" if nowhere.
	"""
	status = _B4[judgement.outcome]
	if status == "pass" and words.remarks(judgement):
		status = "warn"
	details = [f"base: {words.base(judgement)}", *(line(reason) for reason in judgement.choice)]
	groups = words.grouped([*words.held(judgement), *words.remarks(judgement)])
	for group in groups[:FAILURES]:
		details += ["", f"patch {group.told.patch.number}, {group.told.check.name}: {group.title}"]
		details += lines(group.told.finding.text)[:DETAILS]
	details += ["", f"and {len(groups) - FAILURES} more"] if len(groups) > FAILURES else []
	details += ["", *(f"not checked: {line(what)}" for what in judgement.not_checked), f"again: {line(judgement.command)}"]
	return json.dumps([{"tool": TOOL, "status": status, "summary": _short(line(judgement.reason), SUMMARY),
			    "url": url, "details": "\n".join(details)}], indent=1) + "\n"


def patchwork(patch: PatchJudgement, url: str = "") -> dict[str, str]:
	"""Return the body of a POST to Patchwork's /api/patches/ID/checks/."""
	state = _PATCHWORK[patch.outcome]
	new = words.grouped([Told(patch, check, finding) for check in patch.checks for finding in check.findings if finding.held])
	if patch.outcome is Outcome.PASS:
		text = f"{words.count(len(patch.checks), 'check')}, nothing new"
	else:
		text = words.gist(new[0].told.finding) if new else patch.reason
	others = sum(1 + len(group.others) for group in new) - 1
	more = f" (and {others} more)" if others > 0 else ""
	check = {"state": state, "context": TOOL, "description": _short(line(text), DESCRIPTION - len(more)) + more}
	return check | ({"target_url": url} if url else {})


def patchwork_checks(judgement: Judgement, url: str = "") -> list[dict[str, Any]]:
	"""Return the checks of all patches, each with the Message-ID by which Patchwork finds the patch."""
	return [{"number": patch.number, "message_id": words.message_id(patch), "check": patchwork(patch, url and f"{url}#patch-{patch.number}")}
		for patch in judgement.tried]


def bisect_code(exit_code: int) -> int:
	"""Return the exit code for `git bisect run`: what says nothing about the commit makes it skip."""
	if exit_code in (EXIT_CODES[Outcome.CANNOT_JUDGE], UsageError.exit_code):
		return BISECT_SKIP
	return exit_code


def _calm(text: str) -> str:
	"""Take b4's word for a failure out of a text that quotes it."""
	return text.replace("ERROR:", "error:")


def _short(text: str, limit: int) -> str:
	return text if len(text) <= limit else text[:limit - 3].rstrip() + "..."
