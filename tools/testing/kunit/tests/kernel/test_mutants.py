# SPDX-License-Identifier: GPL-2.0
"""A sample of the known-bad variants: the suite notices each."""

from collections.abc import Callable

import pytest

import rows
from kernel import cases
from pinwait.commands.mutants import ABSENT
from pinwait.mutation import corpus
from pinwait.source import series
from pinwait.util.project import MUTANTS
from steps import Outcome, Step

COUNT = 20
SAMPLE = [mutant.name for mutant in corpus.sample(corpus.load(MUTANTS), COUNT)]


@pytest.fixture(name="tried", scope="session")
def _tried(step: Callable[[str], Step]) -> Outcome:
	begun = step("mutants")
	return begun.tool("mutants", begun.options, f"--sample={COUNT}")


@pytest.mark.parametrize("name", SAMPLE)
def test_mutant_is_killed(tried: Outcome, name: str) -> None:
	fates = {fate["name"]: fate for fate in tried.read("mutants.json")["fates"]}
	assert name in fates, f"{name} was not tried: {tried.summary['verdict']['reason']}"
	fate = fates[name]
	if fate["outcome"] == ABSENT and tried.summary["series"]["name"] == series.NONE:
		rows.absent(f"what {name} breaks, without a series")
	assert fate["outcome"] == "killed", f"{fate['killer']}\n{tried.results}"


def test_verdict(tried: Outcome) -> None:
	cases.check_verdict(tried)
