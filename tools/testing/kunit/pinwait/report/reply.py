# SPDX-License-Identifier: GPL-2.0
"""Report a judgement as an answer to the mail of the patch, laid out like reports of the kernel test robot.

Plain text of less than 78 columns, headers first, ready for `git send-email`; the sender chooses the Cc: addresses.
"""

import re
import shlex
import textwrap
from collections.abc import Iterator
from email.utils import parseaddr

from . import words
from ..log.results import LABELS, Outcome
from .judgement import Change, Finding, Judgement, PatchJudgement
from .words import Told, line, lines

WIDTH = 77
TEXT_LINES = 24		# of each finding
TEXTS = 8		# findings with their text; more are only named
NAMES = 20
FEW = 10		# remarks and pre-existing findings
# Findings that a later commit can fix. Style, tags and tests need a new version of the patch.
DEFECTS = ("error", "warning", "case", "splat", "ending", "suite")
_FIELD = 16		# columns of a field's name
_WORDS = {Outcome.PASS: "PASS", Outcome.NOT_SEEN: "NOT SEEN", Outcome.FAIL: "FAIL", Outcome.CANNOT_JUDGE: "NOT JUDGED"}
_SENTENCES = {
	Outcome.PASS: "pinwait found no regression {with_it}.",
	Outcome.NOT_SEEN: "pinwait found no regression {with_it}, but no case executed any of the code that it changes:",
	Outcome.FAIL: "pinwait noticed new failures {with_it}:",
	Outcome.CANNOT_JUDGE: "pinwait could not judge {it}:",
}


def reply(judgement: Judgement, reporter: str = "") -> str:
	"""Return the mail; reporter ("Name <address>") is the person that a fix should credit, "" for none."""
	about = _about(judgement)
	return "\n".join([*(_headers(about) if about else []), *_body(judgement, about, reporter)]) + "\n"


def _about(judgement: Judgement) -> PatchJudgement | None:
	"""Return the patch to whose mail this is the answer: the deciding one."""
	return next((patch for patch in judgement.tried if patch.outcome is judgement.outcome),
		    judgement.tried[0] if judgement.tried else None)


def _headers(patch: PatchJudgement) -> Iterator[str]:
	yield from _folded(f"To: {line(patch.author)}", " ")
	yield from _folded(f"Subject: Re: {re.sub('^[Rr]e: ', '', line(patch.subject))}", " ")
	identity = words.message_id(patch)
	if identity:
		yield f"In-Reply-To: <{identity}>"
		yield f"References: <{identity}>"
	yield ""


def _body(judgement: Judgement, about: PatchJudgement | None, reporter: str) -> Iterator[str]:
	outcome, alone = judgement.outcome, len(judgement.tried) == 1
	name = parseaddr(line(about.author))[0].split() if about else []
	yield f"Hi {name[0]}," if name else "Hi,"
	yield ""
	it = "this patch" if alone or outcome is not Outcome.PASS else "this series"
	yield from _folded(_SENTENCES[outcome].format(it=it, with_it=f"with {it}"))
	yield ""
	yield from _folded(f"[gate {_WORDS[outcome]}{f' on {line(judgement.base)}' if judgement.base else ''}]")
	if outcome in (Outcome.CANNOT_JUDGE, Outcome.NOT_SEEN):
		yield from _doubt(judgement)
	yield ""
	yield from _fields(judgement, about)
	yield ""
	held = words.held(judgement)
	if reporter and any(told.finding.kind in DEFECTS for told in held):
		yield from _folded("If you fix the issue in a separate patch/commit (i.e. not just a new version of the same "
				   "patch/commit), kindly add following tag")
		yield f"| Reported-by: {line(reporter)}"
		yield ""
	yield from _failures(judgement, held)
	if outcome in (Outcome.PASS, Outcome.NOT_SEEN):
		yield from _passed(judgement)
	yield from _list("New, but informational:", [told.finding for told in words.remarks(judgement)])
	everything = list(words.findings(judgement))
	for what in words.lasting(everything):
		yield from _folded(f"Still there: {what}")
	yield from [""] if words.lasting(everything) else []
	yield from _list("Fixed:", words.distinct(everything, Change.FIXED))
	yield from _list("Also there before the patches:", words.distinct(everything, Change.PRE_EXISTING))
	if words.not_checked(judgement):
		yield "Not checked:"
		for what in words.not_checked(judgement):
			yield from _folded(f"- {what}", "  ")
		yield ""
	yield "-- "
	yield f"pinwait {judgement.tool[:12]}".rstrip()


def _doubt(judgement: Judgement) -> Iterator[str]:
	"""Why there is no verdict, and what would help."""
	yield from _folded(f"[{line(judgement.reason)}]")
	if words.nearest(judgement):
		yield from _folded(f"[it does apply to {words.nearest(judgement)}]")
	if any(check.name == "apply" for patch in judgement.patches for check in patch.checks):
		yield from _folded("[If your patch was applied to the wrong tree, kindly say which. And when submitting patches, "
				   "please use '--base' of git format-patch: it names the tree]")


def _fields(judgement: Judgement, about: PatchJudgement | None) -> Iterator[str]:
	"""What was tested, and how to reproduce it."""
	fields = [("base:", words.base(judgement)), *(("", f"({line(reason)})") for reason in judgement.choice),
		  ("patch subject:", line(about.subject) if about else ""),
		  ("config:", line(", ".join(judgement.profiles))), ("compiler:", line(judgement.compiler))]
	for name, value in fields:
		if value:
			yield from _folded(f"{name:{_FIELD}}{value}", " " * _FIELD)
	yield "reproduce:"
	yield from _command(judgement.command)


def _failures(judgement: Judgement, held: list[Told]) -> Iterator[str]:
	if not held and judgement.outcome is Outcome.FAIL:
		yield from _folded(line(judgement.reason))
		yield ""
	elif held:
		yield "All new failures (first lines prefixed by >>):"
		yield ""
	patch = check = None
	groups = words.grouped(held)
	for number, group in enumerate(groups[:TEXTS + NAMES]):
		told = group.told
		if told.patch is not patch and len(judgement.patches) > 1:
			yield from _folded(f"Patch {told.patch.number}, {line(told.patch.subject)}:")
			yield ""
		if told.check is not check and told.check.command:
			yield f"{line(told.check.name)}, reproduced by"
			yield from _command(told.check.command)
			yield ""
		patch, check = told.patch, told.check
		yield from _folded(f">> {group.title}", "   ")
		yield from _text(judgement, told) if number < TEXTS else ()
	if len(groups) > TEXTS:
		yield ""
	if len(groups) > TEXTS + NAMES:
		yield f"and {len(groups) - TEXTS - NAMES} more"
		yield ""


def _text(judgement: Judgement, told: Told) -> Iterator[str]:
	rows = lines(told.finding.text)
	for row in rows[:TEXT_LINES]:
		yield from _verbatim(row)
	if len(rows) > TEXT_LINES:
		yield f"   ... {len(rows) - TEXT_LINES} more lines"
	repairer = words.repaired_by(judgement, told)
	if repairer:
		yield from _folded(f"Patch {repairer.number} repairs this, but each patch has to pass by itself: bisection stops here.")
	yield ""


def _passed(judgement: Judgement) -> Iterator[str]:
	"""The checks that a series without a regression passed."""
	for patch in judgement.tried:
		ran = [f"{line(check.name)} {check.counts['pass']} cases" if check.counts.get("pass") else line(check.name)
		       for check in patch.checks]
		yield from _folded(f"{patch.number:3} {LABELS[patch.outcome]}  {line(patch.subject)}", " " * 10)
		yield from _folded(f"{'':10}{', '.join(ran)}", " " * 10)
		for file in patch.covered or []:
			if file.missed:
				yield from _folded(f"{'':10}not executed: {line(file.file)}:{words.ranges(file.missed)}", " " * 10)
	yield ""


def _list(heading: str, found: list[Finding]) -> Iterator[str]:
	if not found:
		return
	yield heading
	for finding in found[:FEW]:
		yield from _folded(f"- {words.gist(finding)}", "  ")
	if len(found) > FEW:
		yield f"- and {len(found) - FEW} more"
	yield ""


def _command(command: str) -> Iterator[str]:
	"""Break a command between its words so that a shell still accepts it, without the tool's local path."""
	indent, row = " " * 8, ""
	command = re.sub(r"^\S*/(?=tools/testing/kunit/pinwait\.py )", "", command)
	try:
		parts = [shlex.quote(part) for part in shlex.split(line(command))]
	except ValueError:
		parts = line(command).split()
	for part in parts:
		if row and len(indent) + len(row) + len(part) + 3 > WIDTH:
			yield f"{indent}{row} \\"
			indent, row = " " * 16, part
		else:
			row = f"{row} {part}".lstrip()
	yield indent + row


def _verbatim(row: str) -> list[str]:
	"""Break a long line of a log, and indent its continuation."""
	return textwrap.wrap(row, WIDTH, initial_indent="   ", subsequent_indent=" " * 7, break_on_hyphens=False) or [""]


def _folded(text: str, indent: str = "") -> list[str]:
	return textwrap.wrap(text, WIDTH, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False) or [""]
