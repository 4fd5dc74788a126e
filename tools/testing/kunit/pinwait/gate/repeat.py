# SPDX-License-Identifier: GPL-2.0
"""Distinguish a patch's fault from a flake: boot base and patched kernel again, in turns, until a test decides.

In virtual time a boot that repeats exactly needs no statistics; where a seed draws the order of events, each pair of boots has
another one, because boots that repeat would be one boot. Otherwise one exact test decides for a patch in a
profile: Fisher's, one-sided, on the number of boots of each side that show anything that the base did not show at first.
The boot that raised the suspicion does not count. The level is divided by the number of tests that a series can need, so
that an innocent series, however flaky the suites are, is blamed in less than one of 1 / FALSE_BLAME judgements.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from math import comb

from . import compare
from ..log.results import LogResult, Status
from ..report.judgement import Change, Finding, Seen
from .attempt import Result

FALSE_BLAME = 0.01	# probability, for a series without fault
LEAST_BOOTS = 6		# of each side

# Boots a built kernel again, with one suite ("": all); the name is for its logs, the seed draws the order of events.
Boot = Callable[[Result, str, int, str], Result]


@dataclass(frozen=True)
class Rule:
	"""When to blame a patch: boots of each side, and the test's level."""
	boots: int
	level: float

	@classmethod
	def of(cls, tests: int, boots: int = LEAST_BOOTS) -> "Rule":
		"""Return the rule for one of tests tests: with boots boots, or more if the level needs more to blame a failure in every boot."""
		level = FALSE_BLAME / max(tests, 1)
		boots = max(boots, LEAST_BOOTS)
		while chance(boots, 0, boots) > level:
			boots += 1
		return cls(boots, level)

	def decide(self, after: Sequence[bool], before: Sequence[bool]) -> bool | None:
		"""Tell from the boots so far, with the patch and without, whether to blame it; None if more boots are needed."""
		left_after, left_before = self.boots - len(after), self.boots - len(before)
		if chance(sum(after), sum(before) + left_before, self.boots) <= self.level:
			return True
		if chance(sum(after) + left_after, sum(before), self.boots) > self.level:
			return False
		return None


def chance(after: int, before: int, boots: int) -> float:
	"""Return the probability that, by chance, at least after of the after + before bad boots are in the patch's half of 2 * boots."""
	bad = after + before
	return sum(comb(boots, number) * comb(boots, bad - number)
		   for number in range(after, min(boots, bad) + 1)) / comb(2 * boots, bad)


@dataclass
class _Side:
	"""The findings in one side's boots that the base did not show at first."""
	boots: list[dict[str, Finding]] = field(default_factory=list)

	def add(self, before: Result, again: Result) -> None:
		"""Record one more boot."""
		self.boots.append({finding.id: finding for finding in compare.compare(before, again) if finding.held})

	@property
	def bad(self) -> list[bool]:
		"""For each boot, whether it had findings."""
		return [bool(found) for found in self.boots]

	def seen(self, name: str) -> Seen:
		"""In how many boots a finding was seen."""
		return Seen(sum(name in found for found in self.boots), len(self.boots))


def repeated(before: Result, after: Result, suspects: Sequence[Finding], rule: Rule, repeats: bool, boot: Boot,
	     narrow: bool = False) -> list[Finding]:
	"""Return the suspects, which a boot of after showed and before did not, as held or as suspected flakes.

	repeats tells whether two boots of a kernel may be the same, so that these decide. If the patch is to blame, findings
	that only later boots showed are held as well. With narrow, boots of the one suite with most suspects come first; if
	they blame the patch, suspects elsewhere are held as they were seen.
	"""
	if suite := _most_suspect(before, suspects) if narrow else "":
		here = [finding for finding in suspects if _suite_of(finding) == suite]
		blamed, told = _decided(_only(before, suite), after, here, rule, repeats, boot, suite)
		if blamed:
			return told + [finding for finding in suspects if finding not in here]
	return _decided(before, after, suspects, rule, repeats, boot, "")[1]


def _decided(before: Result, after: Result, suspects: Sequence[Finding], rule: Rule, repeats: bool, boot: Boot,
	     suite: str) -> tuple[bool, list[Finding]]:
	"""Boot both sides with one suite, or with all (""); tell whether to blame the patch, and return the suspects as repeated() does."""
	label = f"{suite}-" if suite else ""
	if repeats and (first := _repeated_log(after, boot, f"{label}after", suite)) and _repeated_log(before, boot, f"{label}before", suite):
		found = {finding.id for finding in compare.compare(before, replace(after, log=first)) if finding.held}
		shown = [finding for finding in suspects if finding.id in found]
		return bool(shown), [replace(finding, before=Seen(0, 2), after=Seen(2, 2)) for finding in shown]
	patched, base = _Side(), _Side()
	blamed: bool | None = None
	while blamed is None:
		number = len(base.boots) + 1
		patched.add(before, boot(after, f"{label}after-{number}", number, suite))
		base.add(before, boot(before, f"{label}before-{number}", number, suite))
		blamed = rule.decide(patched.bad, base.bad)
	found_first = {finding.id: finding for finding in suspects}
	for later in patched.boots if blamed else ():
		found_first = later | found_first

	def counted(finding: Finding) -> Finding:
		now, was = patched.seen(finding.id), base.seen(finding.id)
		return replace(finding, before=was, after=now, held=bool(blamed) and now.times > was.times,
			       change=Change.PRE_EXISTING if was.times >= max(now.times, 1) else Change.NEW)
	return blamed, [counted(finding) for finding in found_first.values()]


def _suite_of(finding: Finding) -> str:
	"""Return the suite that a finding is in, "" if in none."""
	suite, dot, _ = finding.where.partition(".")
	return suite if dot and "/" not in suite else ""


def _most_suspect(before: Result, suspects: Sequence[Finding]) -> str:
	"""Return the suite, of those that ran before the patch, that has the most suspects; "" for none."""
	there = {case.suite for case in before.log.cases if case.status is not Status.MISSING}
	counts = Counter(suite for suite in map(_suite_of, suspects) if suite in there)
	return counts.most_common(1)[0][0] if counts else ""


def _only(result: Result, suite: str) -> Result:
	"""Return a result without what belongs to other suites."""
	log = replace(result.log, cases=[case for case in result.log.cases if case.suite == suite],
		      splats=[splat for splat in result.log.splats if not splat.case or splat.case.partition(".")[0] == suite])
	return replace(result, log=log)


def flakes(findings: Sequence[Finding]) -> list[Finding]:
	"""Return the findings for which boots were repeated and that are informational."""
	return [finding for finding in findings if finding.after and not finding.held]


def _repeated_log(result: Result, boot: Boot, name: str, suite: str) -> LogResult | None:
	"""Return the log of a kernel whose second boot gives the same results as its first, None if it does not."""
	first = boot(result, f"{name}-first", 0, suite).log if suite else result.log
	return first if _trace(boot(result, f"{name}-0", 0, suite).log) == _trace(first) else None


def _trace(log: LogResult) -> object:
	"""Return everything of a boot that repeats in virtual time; a case that was running when the kernel was stopped has no time."""
	return ([(case.id, case.status, case.virtual_seconds if case.status is not Status.CRASH else None) for case in log.cases],
		[(splat.kind, splat.case) for splat in log.splats], log.errors, log.ending, log.started)
