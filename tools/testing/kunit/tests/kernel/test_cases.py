# SPDX-License-Identifier: GPL-2.0
"""The suites on a kernel with the series, in UML and in QEMU: each listed case passes, and the summary is what its schema says."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from jsonschema import Draft202012Validator

import asked
from kernel import cases
from pinwait.log.expected import ExpectedCase
from pinwait.report import summary
from steps import Outcome, Step


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
	names = asked.profiles_of(metafunc.config)
	if "case" in metafunc.fixturenames:
		there = [(name, case) for name in names for case in cases.LISTED.select(name)]
		ids = [case.id if name == names[0] else f"{name}:{case.id}" for name, case in there]
		metafunc.parametrize("ran, case", there, indirect=["ran"], ids=ids)
	else:
		metafunc.parametrize("ran", names, indirect=True)


@pytest.fixture(name="runs", scope="session")
def _runs(step: Callable[[str], Step]) -> Callable[[str], Outcome]:
	"""Runs the suites in a profile, once: pytest sets up a fixture with a parameter anew for each row of a table."""
	done: dict[str, Outcome | BaseException] = {}

	def run(profile: str) -> Outcome:
		if profile not in done:
			begun = step(f"run-{profile}")
			try:
				done[profile] = begun.tool("run", replace(begun.options, profile=profile))
			except (Exception, pytest.fail.Exception) as error:
				done[profile] = error
		found = done[profile]
		if isinstance(found, BaseException):
			raise found
		return found
	return run


@pytest.fixture(name="ran")
def _ran(request: pytest.FixtureRequest, runs: Callable[[str], Outcome]) -> Outcome:
	return runs(request.param)


def test_verdict(ran: Outcome) -> None:
	cases.check_verdict(ran)


def test_case(ran: Outcome, case: ExpectedCase) -> None:
	cases.check(ran, case)


def test_schema(ran: Outcome) -> None:
	schema = ran.step.read(summary.SCHEMA)
	Draft202012Validator.check_schema(schema)
	assert not [f"{error.json_path}: {error.message}" for error in Draft202012Validator(schema).iter_errors(ran.summary)]
