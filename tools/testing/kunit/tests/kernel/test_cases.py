# SPDX-License-Identifier: GPL-2.0
"""The suites on a kernel with the series: each listed case passes, and the summary is what its schema says."""

from collections.abc import Callable

import pytest
from jsonschema import Draft202012Validator

from kernel import cases
from pinwait.log.expected import ExpectedCase
from pinwait.report import summary
from steps import Outcome, Step


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
	cases.parametrize(metafunc)


@pytest.fixture(name="ran", scope="session")
def _ran(step: Callable[[str], Step]) -> Outcome:
	begun = step("run")
	return begun.tool("run", begun.options)


def test_verdict(ran: Outcome) -> None:
	cases.check_verdict(ran)


def test_case(ran: Outcome, case: ExpectedCase) -> None:
	cases.check(ran, case)


def test_schema(ran: Outcome) -> None:
	schema = ran.step.read(summary.SCHEMA)
	Draft202012Validator.check_schema(schema)
	assert not [f"{error.json_path}: {error.message}" for error in Draft202012Validator(schema).iter_errors(ran.summary)]
