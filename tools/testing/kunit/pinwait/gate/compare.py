# SPDX-License-Identifier: GPL-2.0
"""Compare the results of two states of a kernel, by identity: new, fixed and pre-existing findings.

Only new ones fail the patch between the states.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..log.results import GONE, Case, Ending, LogResult, Splat, Status
from ..report.judgement import Change, Finding
from .attempt import Result

BAD = (Status.FAIL, Status.CRASH, Status.MISSING)
# Meaningless differences between boots or builds.
VARYING = re.compile(r"0x[0-9a-f]+|\b[0-9a-f]{8,}\b|\[<[0-9a-f]+>\]|\d+")
PLACE = re.compile(r"^([\w./+-]+):\d+:(?:\d+:)? ")
NAMED = 3


@dataclass(frozen=True)
class Item:
	"""A fault in one state."""
	kind: str
	text: str
	where: str = ""


def compare(before: Result, after: Result) -> list[Finding]:
	"""Return the findings between two booted states; those that fail the patch come first."""
	if after.error or before.error:
		return builds(before, after)
	cases = _cases(before.log, after.log)
	return held_first(cases + items(_others(before.log), _others(after.log)))


def unknown(before: LogResult, after: LogResult) -> list[str]:
	"""Return the failing cases that the earlier boot did not reach: they may or may not be new failures."""
	gone = {case.id for case in before.cases if case.status is Status.MISSING and case.text == GONE}
	return [case.id for case in after.cases if case.status in (Status.FAIL, Status.CRASH) and case.id in gone]


def builds(before: Result, after: Result) -> list[Finding]:
	"""Return the findings between two states about whether they build."""
	return items(_build(before), _build(after))


def items(before: Mapping[str, Item], after: Mapping[str, Item], held: bool = True) -> list[Finding]:
	"""Return the findings for two sets of faults, by identity; held says whether a new one fails the patch."""
	found = [Finding(item.kind, key, Change.PRE_EXISTING if key in before else Change.NEW,
			 held and key not in before, item.text, item.where) for key, item in after.items()]
	return found + [Finding(item.kind, key, Change.FIXED, False, item.text, item.where)
			for key, item in before.items() if key not in after]


def messages(lines: Iterable[str], kind: str = "warning", renamed: Mapping[str, str] | None = None) -> dict[str, Item]:
	"""Return compilers' messages by identities that survive moved lines: file, text, and number among equal ones.

	renamed maps old names of files to their new names.
	"""
	found: dict[str, Item] = {}
	seen: Counter[str] = Counter()
	for line in lines:
		place = PLACE.match(line)
		name = f"{(renamed or {}).get(place[1], place[1])}: {line[place.end():]}" if place else line
		seen[name] += 1
		key = name if seen[name] == 1 else f"{name} (no. {seen[name]})"
		found[key] = Item(kind, line, place[0].rstrip(": ") if place else "")
	return found


def held_first(found: Sequence[Finding]) -> list[Finding]:
	"""Return findings, the most important first."""
	order = (Change.NEW, Change.FIXED, Change.PRE_EXISTING)
	return sorted(found, key=lambda finding: (not finding.held, order.index(finding.change)))


def _build(result: Result) -> dict[str, Item]:
	if not result.error:
		return {}
	lines = result.error.splitlines()
	text = next((line for line in lines if PLACE.match(line)), lines[min(1, len(lines) - 1)])
	place = PLACE.match(text)
	key = f"{place[1]}: {text[place.end():]}" if place else text
	return {key: Item("error", result.error, place[0].rstrip(": ") if place else "")}


def _cases(before: LogResult, after: LogResult) -> list[Finding]:
	found = []
	old, new = ({case.id: case for case in log.cases} for log in (before, after))
	for name, case in new.items():
		was = old.get(name)
		change = _change(was, case)
		if change and not (case.status is Status.MISSING and case.text == GONE and change is Change.NEW):
			kind = {Status.MISSING: "missing", Status.SKIP: "skip"}.get(case.status, "case")
			shown = was if change is Change.FIXED and was else case
			# A new case that skips loses nothing, but is worth a remark.
			lost = change is Change.NEW and not (was is None and case.status is Status.SKIP)
			found.append(Finding(kind, name, change, lost, shown.text or shown.status.value, name))
	found += [Finding("missing", name, Change.NEW, True, "ran before the patch and no longer exists", name)
		  for name, case in old.items() if name not in new and case.status is not Status.MISSING]
	gone = [name for name, case in new.items() if case.status is Status.MISSING and case.text == GONE
		and _change(old.get(name), case) is Change.NEW]
	if gone:
		found.append(Finding("missing", "cases after the end", Change.NEW, True,
				     f"{len(gone)} cases did not run, because the kernel had ended before them: {', '.join(gone[:NAMED])}"
				     + (", ..." if len(gone) > NAMED else "")))
	return found


def _change(was: Case | None, case: Case) -> Change | None:
	"""Tell how a case changed; None if it is good before and after."""
	good_before = was is None or was.status in (Status.PASS, Status.SKIP)
	if case.status in BAD:
		return Change.NEW if good_before else Change.PRE_EXISTING
	if not good_before:
		return Change.FIXED
	return Change.NEW if case.status is Status.SKIP and (was is None or was.status is Status.PASS) else None


def _others(log: LogResult) -> dict[str, Item]:
	"""Return the faults besides cases, by identity: complaints, errors of the log, a bad ending."""
	found: dict[str, Item] = {}
	seen: Counter[str] = Counter()

	def add(kind: str, name: str, text: str, where: str) -> None:
		seen[name] += 1
		found[name if seen[name] == 1 else f"{name} (no. {seen[name]})"] = Item(kind, text, where)

	for splat in log.splats:
		add("splat", splat_id(splat), splat.text, splat.case or "")
	for error in log.errors:
		add("suite", VARYING.sub("N", error), error, "")
	if log.ending is not Ending.FINISHED:
		running = next((case.id for case in log.cases if case.status is Status.CRASH), "")
		where = f"while {running} ran" if running else "before the first case" if not log.started else "between cases"
		add("ending", f"{log.ending.value} {where}",
		    f"the log ends with a {log.ending.value} {where}\n" + "\n".join(log.last_lines), running)
	elif not log.started:
		add("ending", "no tests", "no test ran\n" + "\n".join(log.last_lines), "")
	return found


def splat_id(splat: Splat) -> str:
	"""Return the identity of a complaint: kind, case, and its first meaningful line."""
	lines = [line for line in splat.text.splitlines() if not line.startswith("----")]
	first = VARYING.sub("N", lines[0]) if lines else ""
	return f"{splat.kind} in {splat.case or 'no case'}: {first}"
