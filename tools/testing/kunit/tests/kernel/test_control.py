# SPDX-License-Identifier: GPL-2.0
"""A control that is broken on purpose must fail, in the way everything else is run, and where it is broken.

Without it, a gate that passes everything looks like one that works.
"""

from collections.abc import Callable
from dataclasses import replace

import pytest

import rows
from kernel import cases
from pinwait.log.expected import ExpectedCase
from pinwait.log.results import Outcome as Verdict, Status
from pinwait.source import series
from steps import Outcome, Step

# In it migration for a longterm pin never waits: what has to fail, and what still has to pass.
MUTANT = "reason-never"
BROKEN, UNHARMED = "migrate_longterm_pin.transient_reference", "migrate_fail_fast"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
	cases.parametrize(metafunc, BROKEN if metafunc.function is test_case_fails else UNHARMED)


@pytest.fixture(name="control", scope="session")
def _control(step: Callable[[str], Step]) -> Outcome:
	begun = step("control")
	if begun.series == series.NONE:
		rows.absent(f"what {MUTANT} breaks, without a series")
	return begun.tool("run", replace(begun.options, mutant=MUTANT))


def test_verdict(control: Outcome) -> None:
	verdict = control.summary["verdict"]
	assert (verdict["outcome"], verdict["exit_code"]) == (Verdict.FAIL.value, 1), verdict["reason"]


def test_case_fails(control: Outcome, case: ExpectedCase) -> None:
	cases.check(control, case, Status.FAIL)


def test_case_still_passes(control: Outcome, case: ExpectedCase) -> None:
	cases.check(control, case)
