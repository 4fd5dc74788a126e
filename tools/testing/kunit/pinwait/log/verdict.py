# SPDX-License-Identifier: GPL-2.0
"""Judge a log against the list of expected cases.

A missing, unexpected or doubtful result fails the run: nothing passes silently.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from .expected import Expected, ExpectedCase
from .results import GONE, UNNAMED, Case, Ending, LogResult, Outcome, Splat, Status, Verdict

NAMED = 3		# items that a reason names; the report has them all


def judge(log: LogResult, expected: Expected, profile: str, filter_glob: str = "") -> tuple[LogResult, Verdict]:
	"""Return the annotated log of a boot of the suites, and the verdict on it.

	In the returned log, cases that did not run are MISSING, and errors has the other faults.
	Raises UsageError if filter_glob selects no expected case.
	"""
	expected = expected.with_others(log.cases, profile) if expected.every else expected
	wanted = expected.select(profile, filter_glob)
	if not log.started or expected.every and not log.cases:
		return log, _no_tests(log)
	log = _compared(log, wanted, expected, profile)
	return log, _judged(log, len(wanted))


def _judged(log: LogResult, wanted: int) -> Verdict:
	failed = [case.id for case in log.cases if case.status is Status.FAIL]
	crashed = [case.id for case in log.cases if case.status is Status.CRASH]
	cut = log.ending is Ending.TRUNCATED
	faults = _ending_fault(log, crashed)
	if failed:
		faults.append(f"{_count(failed, 'case')} of {wanted} failed ({_some(failed)})")
	if not cut:
		faults += _missing(log)
	faults += _other_faults(log)
	if faults:
		return Verdict(Outcome.FAIL, "; ".join(faults))
	if cut:
		where = f" while {crashed[0]} ran" if crashed else ""
		return Verdict(Outcome.CANNOT_JUDGE,
			       f"the kernel log ends{where} with neither a panic nor a shutdown: was the kernel killed?")
	if log.blind:
		return Verdict(Outcome.CANNOT_JUDGE, "; ".join(log.blind))
	skipped = sum(case.status is Status.SKIP for case in log.cases)
	return Verdict(Outcome.PASS, f"{wanted - skipped} of {wanted} cases"
		       + (f", {skipped} skipped as listed" if skipped else ""))


def prove(log: LogResult, expected: Expected, profile: str) -> tuple[LogResult, Verdict]:
	"""Return the log as judge() does, and whether a kernel without the change fails exactly the cases marked `change`.

	The suites must have asserted the change's promises.

	PASS is the proof; FAIL means that the suite does not test what the list claims.
	"""
	if not log.started:
		return log, _no_tests(log)
	log = _compared(log, expected.select(profile), expected, profile)
	return log, _proven(log, expected, profile)


def _proven(log: LogResult, expected: Expected, profile: str) -> Verdict:
	wanted = expected.select(profile)
	failed = {case.id for case in log.cases if case.status is Status.FAIL}
	due = {case.id for case in wanted if case.change and not expected.skips(case, profile)}
	faults = _ending_fault(log, [case.id for case in log.cases if case.status is Status.CRASH])
	if lame := sorted(due - failed):
		faults.append(f"{_count(lame, 'case')} marked `change` did not fail without the change ({_some(lame)})")
	if broken := sorted(failed - due):
		faults.append(f"{_count(broken, 'case')} not marked `change` failed without the change ({_some(broken)})")
	if log.ending is Ending.TRUNCATED:
		faults.append("the kernel log is cut off")
	faults += _missing(log) + _other_faults(log)
	if faults:
		return Verdict(Outcome.FAIL, "no proof: " + "; ".join(faults))
	if log.blind:
		return Verdict(Outcome.CANNOT_JUDGE, "; ".join(log.blind))
	if not due:
		return Verdict(Outcome.FAIL, f"no proof: no case of {expected.path} is marked `change`")
	return Verdict(Outcome.PASS, f"exactly the {len(due)} cases that need the change fail without it, "
		       f"the other {len(wanted) - len(due)} do not")


def _no_tests(log: LogResult) -> Verdict:
	"""A kernel that never reached the tests cannot be judged."""
	panic = next((line for line in log.last_lines if line.startswith("Kernel panic")), None)
	panic = panic or next((splat.text.split("\n")[0] for splat in log.splats if splat.kind == "panic"), None)
	why = {
		Ending.PANIC: f"the kernel panicked before the first test: {panic}",
		Ending.HANG: "the kernel hung before the first test, until the time limit",
		Ending.RESET: "the machine was reset before the first test, as by a triple fault",
	}.get(log.ending) or "; ".join(log.errors) or "the kernel ran no test: there is no KTAP in its log"
	last = next((line for line in reversed(log.last_lines) if line.strip()), "")
	return Verdict(Outcome.CANNOT_JUDGE, why + (f"; last line: {last}" if log.ending is Ending.HANG else ""))


def _compared(log: LogResult, wanted: Sequence[ExpectedCase], expected: Expected, profile: str) -> LogResult:
	"""Return the log with every difference from the list in its cases and errors."""
	log = replace(log, cases=[replace(case) for case in log.cases], splats=[replace(splat) for splat in log.splats],
		      errors=list(log.errors))
	_name_unfinished(log, wanted)
	ran = {case.id: case for case in log.cases}
	for leaf, times in Counter(case.id for case in log.cases).items():
		if times > 1:
			log.errors.append(f"{leaf} ran {times} times; give each case a unique name")
	for case in log.cases:
		listed = expected.cases.get(case.id)
		if case.status is Status.CRASH:
			continue	# its name may be a guess
		if not listed or not listed.belongs_to(profile):
			log.errors.append(f"{case.id} ran but is not in {expected.path}"
					  + (f" for profile {profile}" if listed else "") + "; add it there")
		elif case.status is Status.SKIP and not expected.skips(listed, profile):
			log.errors.append(f"{case.id} was skipped ({case.text}) but has to run with profile {profile}; "
					  f"if it cannot, add skip:{profile} to its line in {expected.path}")
		elif case.status is not Status.SKIP and expected.skips(listed, profile):
			word = f"skip:{profile}" if profile in listed.skips else f"absent:{expected.promises}"
			log.errors.append(f"{case.id} ran but is listed as {word}; "
					  f"remove the word from its line in {expected.path}")
	log.splats = [splat for splat in log.splats if not _is_listed(splat, expected)]
	why = (f"did not run; if it was removed or renamed, update {expected.path}" if log.ending is Ending.FINISHED
	       else GONE)
	log.cases += [
		Case(want.suite, want.name, want.param, Status.MISSING, None, None, why)
		for want in wanted if want.id not in ran
	]
	return log


def _is_listed(splat: Splat, expected: Expected) -> bool:
	"""Tell whether a complaint is what a case is there to show; the case itself fails if there is none."""
	listed = expected.cases.get(splat.case or "")
	return splat.kind == "lockdep" and listed is not None and expected.promises in listed.lockdep


def _name_unfinished(log: LogResult, wanted: Sequence[ExpectedCase]) -> None:
	"""Name the case that was running at the end: KUnit prints a case's name only after it.

	Usually the back trace has its function. Otherwise it is the first case of the list that
	has not reported, because the list is in the order of the run.
	"""
	ran = {case.id for case in log.cases}
	for case in log.cases:
		if case.status is not Status.CRASH:
			continue
		left = [want for want in wanted if want.suite == case.suite and want.id not in ran
			and (want.name == case.name or case.name.startswith(UNNAMED))]
		traced = [want for want in left if re.search(rf"\b{re.escape(want.name)}(\.\w+)*\+0x", case.text)]
		if left:
			before, found = case.id, (traced or left)[0]
			case.name, case.param = found.name, found.param
			for splat in log.splats:
				splat.case = case.id if splat.case == before else splat.case


def _ending_fault(log: LogResult, crashed: list[str]) -> list[str]:
	where = f" in {crashed[0]}" if crashed else " outside of any case"
	if log.ending is Ending.PANIC:
		return [f"kernel panic{where}"]
	if log.ending is Ending.HANG:
		return [f"kernel hung{where} until the time limit"]
	if log.ending is Ending.RESET:
		return [f"the machine was reset{where}, as by a triple fault"]
	if log.ending is Ending.FINISHED and crashed:
		return [f"the kernel shut down{where}"]
	return []


def _missing(log: LogResult) -> list[str]:
	missing = [case.id for case in log.cases if case.status is Status.MISSING]
	return [f"{_count(missing, 'listed case')} did not run ({_some(missing)})"] if missing else []


def _other_faults(log: LogResult) -> list[str]:
	faults = []
	if log.splats:
		kinds = [f"{splat.kind} in {splat.case}" if splat.case else f"{splat.kind} outside of any case"
			 for splat in log.splats]
		faults.append(f"{_count(kinds, 'kernel complaint')} ({_some(kinds)})")
	return faults + log.errors[:NAMED] + ([f"{len(log.errors) - NAMED} more errors"] if len(log.errors) > NAMED else [])


def _count(items: Sequence[str], noun: str) -> str:
	return f"{len(items)} {noun}" + ("" if len(items) == 1 else "s")


def _some(items: Sequence[str]) -> str:
	more = f" and {len(items) - NAMED} more" if len(items) > NAMED else ""
	return ", ".join(items[:NAMED]) + more
