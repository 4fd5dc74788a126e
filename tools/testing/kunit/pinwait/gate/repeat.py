# SPDX-License-Identifier: GPL-2.0
"""Is it the patch, or a flake? Base and patched kernel are booted again, in turns, until that is decided.

In virtual time a boot that repeats itself needs no statistics. Everywhere else one exact test decides for a patch in a
profile: Fisher's, one-sided, on how many boots of each side show anything that the base did not show at first. The boot
that raised the suspicion does not count. The level is divided by the number of tests that a series can need, so that an
innocent series, however flaky the suites are, is blamed in less than one of 1 / FALSE_BLAME judgements.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from math import comb

from . import compare
from ..log.results import LogResult, Status
from ..report.judgement import Change, Finding, Seen
from .attempt import Result

FALSE_BLAME = 0.01	# of a series without fault
LEAST_BOOTS = 6		# of each side

Boot = Callable[[Result, str], Result]	# boots once more what was built; the name is for its logs


@dataclass(frozen=True)
class Rule:
	"""When a patch is blamed: with so many boots a side, at this level."""
	boots: int
	level: float

	@classmethod
	def of(cls, tests: int, boots: int = LEAST_BOOTS) -> "Rule":
		"""Return the rule for one of a number of tests: with so many boots, or more if a sure failure takes more."""
		level = FALSE_BLAME / max(tests, 1)
		boots = max(boots, LEAST_BOOTS)
		while chance(boots, 0, boots) > level:
			boots += 1
		return cls(boots, level)

	def decide(self, after: Sequence[bool], before: Sequence[bool]) -> bool | None:
		"""Tell from the boots so far, with the patch and without, whether it is to blame; None if more have to tell."""
		left_after, left_before = self.boots - len(after), self.boots - len(before)
		if chance(sum(after), sum(before) + left_before, self.boots) <= self.level:
			return True
		if chance(sum(after) + left_after, sum(before), self.boots) > self.level:
			return False
		return None


def chance(after: int, before: int, boots: int) -> float:
	"""Return how likely so many of after + before bad boots, or more, fall to the patch's half of 2 * boots by chance."""
	bad = after + before
	return sum(comb(boots, number) * comb(boots, bad - number)
		   for number in range(after, min(boots, bad) + 1)) / comb(2 * boots, bad)


@dataclass
class _Side:
	"""What the boots of one side showed that the base did not show at first."""
	boots: list[dict[str, Finding]] = field(default_factory=list)

	def add(self, before: Result, again: Result) -> None:
		"""Note one more boot."""
		self.boots.append({finding.id: finding for finding in compare.compare(before, again) if finding.held})

	@property
	def bad(self) -> list[bool]:
		"""Which boots showed anything."""
		return [bool(found) for found in self.boots]

	def seen(self, name: str) -> Seen:
		"""In how many boots a thing was seen."""
		return Seen(sum(name in found for found in self.boots), len(self.boots))


def repeated(before: Result, after: Result, suspects: Sequence[Finding], rule: Rule, virtual_time: bool, boot: Boot) -> list[Finding]:
	"""Return what becomes of suspects, which a boot of after showed and before did not: held, or a suspected flake.

	Of a patch that is to blame, what only later boots showed is held as well.
	"""
	if virtual_time and _repeats(after, boot, "after") and _repeats(before, boot, "before"):
		return [replace(finding, before=Seen(0, 2), after=Seen(2, 2)) for finding in suspects]
	patched, base = _Side(), _Side()
	blamed: bool | None = None
	while blamed is None:
		number = len(base.boots) + 1
		patched.add(before, boot(after, f"after-{number}"))
		base.add(before, boot(before, f"before-{number}"))
		blamed = rule.decide(patched.bad, base.bad)
	found = {finding.id: finding for finding in suspects}
	for later in patched.boots if blamed else ():
		found = later | found

	def counted(finding: Finding) -> Finding:
		now, was = patched.seen(finding.id), base.seen(finding.id)
		return replace(finding, before=was, after=now, held=bool(blamed) and now.times > was.times,
			       change=Change.PRE_EXISTING if was.times >= max(now.times, 1) else Change.NEW)
	return [counted(finding) for finding in found.values()]


def flakes(findings: Sequence[Finding]) -> list[Finding]:
	"""Return those of findings that boots were repeated for, and that are held against nobody."""
	return [finding for finding in findings if finding.after and not finding.held]


def _repeats(result: Result, boot: Boot, name: str) -> bool:
	"""Tell whether a kernel does the same once more."""
	return _trace(boot(result, f"{name}-0").log) == _trace(result.log)


def _trace(log: LogResult) -> object:
	"""Return all of a boot that repeats in virtual time; what had not ended when the kernel was stopped has no time of its own."""
	return ([(case.id, case.status, case.virtual_seconds if case.status is not Status.CRASH else None) for case in log.cases],
		[(splat.kind, splat.case) for splat in log.splats], log.errors, log.ending, log.started)
