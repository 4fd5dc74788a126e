# SPDX-License-Identifier: GPL-2.0
"""The committed list of cases that have to run.

One leaf a line, `suite.case` or `suite.case[param]`, in the order in which KUnit runs
them, then any of the words `change`, `absent:SERIES[,SERIES]`, `skip:PROFILE[,PROFILE]`,
`only:PROFILE[,PROFILE]` and `lockdep:SERIES[,SERIES]`. `#` starts a comment.

PROFILE means all profiles that boot the kernel of that one, or name it as `words` in profiles.toml, too.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from types import MappingProxyType

from ..util.errors import UsageError
from .results import Case, Status

_ENTRY = re.compile(r"(?P<suite>[^.\s]+)\.(?P<name>[^\[\s]+)(?:\[(?P<param>.*)\])?(?P<words>(?:\s+\S+)*)\s*")


@dataclass(frozen=True)
class ExpectedCase:
	"""One leaf that has to run."""
	id: str
	suite: str
	name: str
	param: str | None
	change: bool = False			# fails if its promises are asserted on a kernel without the change
	absent: frozenset[str] = frozenset()	# series on which it has nothing to assert
	skips: frozenset[str] = frozenset()	# profiles whose configuration it cannot run on
	only: frozenset[str] = frozenset()	# the profiles that build it; empty: all
	lockdep: frozenset[str] = frozenset()	# series whose order of locks lockdep complains of there

	def belongs_to(self, profile: str) -> bool:
		"""Tell whether this profile's kernel has the case at all."""
		return not self.only or profile in self.only


@dataclass(frozen=True)
class Expected:
	"""The whole list; path is for messages; promises is the series whose promises are asserted, "" for one with all of them.

	With every, it lists nothing, and all cases that run are expected.
	"""
	path: Path
	cases: dict[str, ExpectedCase]
	promises: str = ""
	every: bool = False

	def select(self, profile: str, filter_glob: str = "") -> list[ExpectedCase]:
		"""Return the cases that KUnit runs in a profile for a filter ("" for all), in their order.

		Raises UsageError if there is none.
		"""
		there = [case for case in self.cases.values() if case.belongs_to(profile)]
		chosen = [case for case in there if selects(filter_glob, case.suite, case.name)]
		if not chosen and not self.every:
			suites = ", ".join(dict.fromkeys(case.suite for case in there)) or "none"
			raise UsageError(f"filter '{filter_glob}' selects no case that {self.path} lists for profile "
					 f"{profile}; give suite or suite.case, globs allowed; suites: {suites}")
		return chosen

	def skips(self, case: ExpectedCase, profile: str) -> bool:
		"""Tell whether a case has to skip in a profile."""
		return profile in case.skips or self.promises in case.absent

	def with_others(self, cases: Iterable[Case], profile: str) -> "Expected":
		"""Return the list plus cases that it lacks; an added case may skip in a profile if it says why."""
		others = {case.id: ExpectedCase(case.id, case.suite, case.name, case.param,
						skips=frozenset({profile} if case.status is Status.SKIP and case.text else ()))
			  for case in cases if case.id not in self.cases and case.status is not Status.CRASH}
		return replace(self, cases=self.cases | others)


def selects(filter_glob: str, suite: str, name: str) -> bool:
	"""Tell whether KUnit's filter_glob runs this case, whatever its parameter."""
	suite_glob, dot, name_glob = filter_glob.partition(".")
	if not filter_glob:
		return True
	return fnmatchcase(suite, suite_glob) and (not dot or fnmatchcase(name, name_glob))


def load(path: Path, others: Mapping[str, str] = MappingProxyType({})) -> Expected:
	"""Read the list; others has by profile another one whose words it has, too.

	Raises UsageError if the file is missing or empty, or a line of it is malformed.
	"""
	try:
		lines = path.read_text(encoding="utf-8").splitlines()
	except OSError as error:
		raise UsageError(f"list of expected cases {path}: {error.strerror}") from error
	cases: dict[str, ExpectedCase] = {}
	for number, line in enumerate(lines, 1):
		entry = line.split("#")[0].strip()
		if not entry:
			continue
		case = _parse(entry, f"{path}:{number}", others)
		if case.id in cases:
			raise UsageError(f"{path}:{number}: {case.id} is listed twice; remove one line")
		cases[case.id] = case
	if not cases:
		raise UsageError(f"{path} lists no case; without it nothing can be judged")
	return Expected(path, cases)


def _parse(entry: str, where: str, others: Mapping[str, str]) -> ExpectedCase:
	match = _ENTRY.fullmatch(entry)
	if not match:
		raise UsageError(f"{where}: '{entry}' is not suite.case or suite.case[param]")
	change = False
	lists: dict[str, set[str]] = {"absent": set(), "skip": set(), "only": set(), "lockdep": set()}
	for word in match["words"].split():
		key, colon, names = word.partition(":")
		if word == "change":
			change = True
		elif colon and key in lists and all(names.split(",")):
			lists[key].update(names.split(","))
		else:
			raise UsageError(f"{where}: unknown word '{word}'; known: change, absent:SERIES[,SERIES], "
					 "skip:PROFILE[,PROFILE], only:PROFILE[,PROFILE], lockdep:SERIES[,SERIES]")
	for key in ("skip", "only"):
		lists[key].update([profile for profile, other in others.items() if other in lists[key]])
	return ExpectedCase(entry[:match.start("words")].rstrip(), match["suite"], match["name"], match["param"],
			    change, *(frozenset(names) for names in lists.values()))
