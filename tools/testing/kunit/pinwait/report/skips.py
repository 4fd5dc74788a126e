# SPDX-License-Identifier: GPL-2.0
"""Where each case runs, and why it does not elsewhere: tools/testing/skips.toml, its check, and the tables made from it.

Which cases skip in a profile is in the list of expected cases. Why, a case says itself when it skips: the file has what they
said in a run of each profile, with numbers as N.
"""

import json
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..log.expected import Expected, ExpectedCase
from ..log.results import Status, leaf_id
from ..util.errors import UsageError

Reasons = dict[str, dict[str, str]]	# by profile and case
HEAD = "# Why cases skip, in their own words. tools/testing/kunit/skips.py RESULTS writes this.\n"
TABLES = re.compile(r"(?<=<!-- skips -->\n\n).*(?=<!-- end of skips -->)", re.DOTALL)
NOT_BUILT = "not built"
NUMBER = re.compile(r"\d+")


def load(path: Path) -> Reasons:
	"""Return the reasons in a file. Raises UsageError, naming file and fault."""
	found: Reasons = {}
	try:
		for table in tomllib.loads(path.read_text(encoding="utf-8")).get("skip", []):
			for profile in table["profiles"]:
				found.setdefault(profile, {}).update(dict.fromkeys(table["cases"], table["reason"]))
	except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError, AttributeError) as error:
		raise UsageError(f"{path}: {error!r}") from error
	return found


def text_of(reasons: Reasons, cases: Sequence[ExpectedCase]) -> str:
	"""Return the content of the file: cases of one reason and the same profiles together, in the order of the list."""
	parts = [HEAD]
	for (reason, profiles), some in _grouped(reasons, cases).items():
		parts.append("\n[[skip]]\n" + "".join(f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in (
			("reason", reason), ("profiles", list(profiles)))))
		parts.append("cases = [\n" + "".join(f"\t{json.dumps(case.id)},\n" for case in some) + "]\n")
	return "".join(parts)


def said(summary: Mapping[str, Any], series: str) -> tuple[str, dict[str, str]]:
	"""Return the profile of a run, and why each case skipped in it. Raises UsageError if it is no whole run of series."""
	profile, ran = summary["profile"], summary["series"]["name"]
	if summary["filter"] or ran != series or not summary["cases"]:
		raise UsageError(f"profile {profile}: not a run of all cases with series {series}")
	return profile, {leaf_id(case["suite"], case["name"], case["param"]): NUMBER.sub("N", case["text"])
			 for case in summary["cases"] if case["status"] == Status.SKIP.value}


def gaps(reasons: Reasons, expected: Expected, profiles: Sequence[str]) -> list[str]:
	"""Return in what the reasons differ from the list, and the cases that run in none of the profiles."""
	faults = []
	for profile in profiles:
		due = {case.id for case in expected.select(profile) if profile in case.skips}
		has = reasons.get(profile, {}).keys()
		faults += [f"{profile}: it is not known why {name} skips" for name in sorted(due - has)]
		faults += [f"{profile}: {name} does not skip there, as the list says" for name in sorted(has - due)]
	faults += [f"{name} is no profile that runs the suites" for name in sorted(reasons.keys() - set(profiles))]
	return faults + [f"{case.id} runs nowhere" for case in expected.cases.values()
			 if not any(case.belongs_to(profile) and profile not in case.skips for profile in profiles)]


def documented(page: str, reasons: Reasons, expected: Expected, profiles: Sequence[str]) -> str:
	"""Return a page of documentation with regenerated tables."""
	tables = f"{_counts(expected, profiles)}\n{_why(reasons, expected, profiles)}\n"
	return TABLES.sub(lambda _: tables, page)


def _counts(expected: Expected, profiles: Sequence[str]) -> str:
	"""Return the table of how many cases of each suite run in each profile."""
	rows = [["suite", *profiles], ["---"] * (len(profiles) + 1)]
	for suite in dict.fromkeys(case.suite for case in expected.cases.values()):
		cases = [case for case in expected.cases.values() if case.suite == suite]
		there = [sum(case.belongs_to(profile) and profile not in case.skips for case in cases) for profile in profiles]
		rows.append([f"`{suite}`", *(f"{count}" if count == len(cases) else f"{count} of {len(cases)}" for count in there)])
	return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _why(reasons: Reasons, expected: Expected, profiles: Sequence[str]) -> str:
	"""Return the table of the cases that do not run somewhere, by profiles, reason and suite."""
	cases = list(expected.cases.values())
	absent = {profile: {case.id: NOT_BUILT for case in cases if not case.belongs_to(profile)} for profile in profiles}
	every = {profile: absent[profile] | reasons.get(profile, {}) for profile in profiles}
	rows = ["| suite | do not run | in | why |\n", "|---|---|---|---|\n"]
	for (reason, names), some in _grouped(every, cases).items():
		for suite in dict.fromkeys(case.suite for case in some):
			told = ", ".join(_names([case for case in some if case.suite == suite], cases))
			rows.append(f"| `{suite}` | {told} | {_profiles(names, profiles)} | {reason} |\n")
	return "".join(rows)


def _names(some: Sequence[ExpectedCase], cases: Iterable[ExpectedCase]) -> list[str]:
	"""Name cases of one suite: parameters only where others of the case run, and the fewer of both."""
	whole = [case for case in cases if case.suite == some[0].suite]
	if len(whole) == len(some):
		return ["all"]
	told = []
	for name in dict.fromkeys(case.name for case in some):
		family, chosen = ([f"`{case.param}`" for case in group if case.name == name] for group in (whole, some))
		others = [param for param in family if param not in chosen]
		which = f" ({', '.join(chosen)})" if len(chosen) <= len(others) else f" (all but {', '.join(others)})" if others else ""
		told.append(f"`{name}`{which}")
	return told


def _profiles(names: Sequence[str], profiles: Sequence[str]) -> str:
	"""Name profiles; if they are most of all, by those that are left."""
	others = [profile for profile in profiles if profile not in names]
	return f"all but {', '.join(others)}" if len(others) < len(names) else ", ".join(names)


def _grouped(reasons: Reasons, cases: Sequence[ExpectedCase]) -> dict[tuple[str, tuple[str, ...]], list[ExpectedCase]]:
	"""Return the cases by reason and the profiles in which they have it, in the order of the list."""
	found: dict[tuple[str, tuple[str, ...]], list[ExpectedCase]] = {}
	for case in cases:
		for reason in dict.fromkeys(why[case.id] for why in reasons.values() if case.id in why):
			names = tuple(profile for profile, why in reasons.items() if why.get(case.id) == reason)
			found.setdefault((reason, names), []).append(case)
	return found
