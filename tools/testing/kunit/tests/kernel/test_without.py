# SPDX-License-Identifier: GPL-2.0
"""The suites on a kernel without the series, as most trees are, and the proof that they tell one from the other."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from kernel import cases
from pinwait.log.expected import ExpectedCase
from pinwait.log.results import Status
from pinwait.source import series
from steps import Outcome, Step


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
	cases.parametrize(metafunc, change=metafunc.function is test_case_needs_the_series)


def _without(begun: Step, subcommand: str) -> Outcome:
	return begun.tool(subcommand, replace(begun.options, series=series.NONE))


@pytest.fixture(name="ran", scope="session")
def _ran(step: Callable[[str], Step]) -> Outcome:
	return _without(step("without"), "run")


@pytest.fixture(name="proof", scope="session")
def _proof(step: Callable[[str], Step]) -> Outcome:
	return _without(step("prove"), "prove")


def test_verdict(ran: Outcome) -> None:
	cases.check_verdict(ran)


def test_case(ran: Outcome, case: ExpectedCase) -> None:
	cases.check(ran, case)


def test_proof(proof: Outcome) -> None:
	cases.check_verdict(proof)


def test_case_needs_the_series(proof: Outcome, case: ExpectedCase) -> None:
	cases.check(proof, case, Status.FAIL, promises=series.DEFAULT)
