# SPDX-License-Identifier: GPL-2.0
"""The listed cases, a test for each: what became of it in a run."""

from dataclasses import replace

import pytest

import asked
import rows
from pinwait.kernel.profile import expected_cases
from pinwait.log.expected import ExpectedCase
from pinwait.log.results import Outcome as Verdict, Status, leaf_id
from pinwait.util.project import CONFIGS
from steps import Outcome

LISTED = expected_cases(CONFIGS)


def parametrize(metafunc: pytest.Metafunc, glob: str = "", change: bool = False) -> None:
	"""Make a test of each case that a glob selects, or of those only that need the change."""
	if "case" in metafunc.fixturenames:
		there = LISTED.select(asked.options_of(metafunc.config).profile, glob)
		metafunc.parametrize("case", [pytest.param(case, id=case.id) for case in there if case.change or not change])


def check_verdict(outcome: Outcome) -> None:
	"""Fail unless a run passes as a whole."""
	verdict = outcome.summary["verdict"]
	if verdict["outcome"] != Verdict.PASS.value:
		outcome.step.fail(verdict["reason"])


def check(outcome: Outcome, case: ExpectedCase, due: Status = Status.PASS, promises: str = "") -> None:
	"""Fail unless a case did what is due; one that is listed as absent has to skip.

	promises is the series whose promises are asserted: that of the kernel, unless it is named.
	"""
	found = [there for there in outcome.summary["cases"] if leaf_id(there["suite"], there["name"], there["param"]) == case.id]
	there = found[0] if found else {"status": Status.MISSING.value, "text": outcome.summary["verdict"]["reason"]}
	listed, profile = replace(LISTED, promises=promises or outcome.summary["series"]["name"]), outcome.summary["profile"]
	due = Status.SKIP if listed.skips(case, profile) else due
	if there["status"] != due.value:
		pytest.fail(f"{case.id}: {there['status']}, not {due.value}: {there['text']}\nresults: {outcome.results}", pytrace=False)
	if due is Status.SKIP:
		rows.absent(f"{case.id} asserts nothing in profile {profile} with series {listed.promises}")
