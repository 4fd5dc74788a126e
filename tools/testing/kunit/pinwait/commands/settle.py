# SPDX-License-Identifier: GPL-2.0
"""From a boot to the fate of a generated mutant."""

from collections.abc import Iterable, Mapping, Sequence

from ..kernel import quick
from ..log.results import Case, Ending, LogResult, Status
from ..mutation import score
from ..mutation.generate import Variant
from ..mutation.score import Fate


def fate_of(variant: Variant) -> Fate:
	"""Return an empty fate for a mutant."""
	return Fate(variant.name, variant.file, variant.function, variant.operator, variant.kind, variant.line)


def settle(log: LogResult, booted: quick.Booted, before: Mapping[str, Status], errors: Iterable[str]) -> tuple[str, str]:
	"""Return the outcome for a mutant, and the reason; before are the results without it, errors the faults in them."""
	worse = [case for case in log.cases if case.status not in (Status.PASS, before.get(case.id))]
	failed = next((case for case in worse if case.status is Status.FAIL), None)
	if failed:
		return score.KILLED, failed.id
	if not log.started:
		return score.DEAD, "hangs" if booted.hung else next((line for line in log.last_lines if "panic" in line), log.ending.value)
	if log.splats:
		return score.KILLED, f"{log.splats[0].kind} in {log.splats[0].case}"
	if booted.failed:
		return score.KILLED, booted.lines[-1].text.strip()
	if log.ending is not Ending.FINISHED:
		return (score.HUNG if log.ending is Ending.HANG else score.KILLED), f"{log.ending.value} in {last_case(log.cases, before)}"
	if worse:
		return score.KILLED, f"{worse[0].id}: {worse[0].status.value}"
	if gone := [name for name in before if name not in {case.id for case in log.cases}]:
		return score.KILLED, f"{gone[0]} does not run"
	if new := [text for text in log.errors if text not in errors]:
		return score.KILLED, new[0]
	return score.SURVIVED, "the suite passes"


def last_case(cases: Sequence[Case], before: Mapping[str, Status]) -> str:
	"""Return the case that was running at the end; KUnit may not have printed its name yet."""
	done = {case.id for case in cases}
	crashed = next((case.id for case in cases if case.status is Status.CRASH), "")
	return crashed if crashed in before else next((name for name in before if name not in done), crashed)


def first_lines(error: Exception) -> str:
	return "; ".join(str(error).splitlines()[:2])
