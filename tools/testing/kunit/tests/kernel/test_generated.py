# SPDX-License-Identifier: GPL-2.0
"""A sample of generated mutants fares as it is recorded: none comes to life, and the tool says the same of each."""

import re
from collections.abc import Callable, Mapping

import pytest

from pinwait.commands import coverage, generated
from pinwait.gate import blind, seen
from pinwait.mutation import coccinelle, road, score
from pinwait.source import series
from pinwait.util.project import BLIND, GENERATED, SCORES
from rows import absent
from steps import Outcome, Step

COUNT = 24


def recorded(name: str) -> Mapping[str, str]:
	"""Return mutants with the fates that the newest record of a series says they have; none without a record."""
	record = score.newest(SCORES, name or series.DEFAULT)
	return score.guards(record, COUNT) if record else {}


@pytest.fixture(name="due", scope="session")
def _due(step: Callable[[str], Step]) -> Mapping[str, str]:
	begun = step("generated")
	due = recorded(begun.series)
	if not due:
		begun.fail(f"{SCORES} has no record of series {begun.series}")
	return due


@pytest.fixture(name="tried", scope="session")
def _tried(step: Callable[[str], Step], due: Mapping[str, str]) -> Outcome:
	begun = step("generated")
	return begun.tool("mutants", begun.options, "--alone", *due)


# By number: which series a tree has, and so which record holds, is known only when it is prepared.
@pytest.mark.parametrize("number", range(COUNT))
def test_fate_is_the_recorded_one(tried: Outcome, due: Mapping[str, str], number: int) -> None:
	name, fate = list(due.items())[number]
	fates = {one["name"]: one for one in tried.read(generated.RESULT)["fates"]}
	assert name in fates, f"{name} was not tried: {tried.summary['verdict']['reason']}"
	# A record has the last word, which may be that of x86_64; UML alone may not even compile the line.
	allowed = (fate,) if fate in score.NOTICED else score.UNNOTICED
	assert fates[name]["outcome"] in allowed, f"{name}: {fates[name]['killer']}\n{tried.results}"


def test_there_is_a_record(tried: Outcome) -> None:
	assert tried.read(generated.RESULT)["fates"]


def test_road_is_complete(step: Callable[[str], Step]) -> None:
	"""Each function that is reached from the entry points of the road is listed, or left out for a reason."""
	there = road.load(GENERATED / "road.toml")
	begun = step("road")
	with begun.prepared() as (ready, _):
		texts = {name: (ready.kernel.tree / name).read_text(encoding="utf-8") for name in there.files}
		found = coccinelle.look(GENERATED, texts, begun.options.build_root / "cache/coccinelle")
	assert texts and not road.problems(there, found)


def test_what_the_series_changes_is_near(step: Callable[[str], Step]) -> None:
	"""The functions that have a score of their own are those in which the series adds lines."""
	there = road.load(GENERATED / "road.toml")
	begun = step("near")
	if begun.series != series.DEFAULT:
		absent(f"series {series.DEFAULT}")
	with begun.prepared() as (ready, _):
		added = coverage.added_lines(ready.kernel, ready)
		texts = {name: (ready.kernel.tree / name).read_text(encoding="utf-8").splitlines() for name in added}
	assert there.changed == {function for name, numbers in added.items() for number in numbers
				 if (function := seen.enclosing(texts[name], number - 1))}


def test_what_no_case_is_about_is_there(step: Callable[[str], Step]) -> None:
	"""A function that was renamed would be told of no more."""
	with step("blind").prepared() as (ready, _):
		texts = {entry.file: (ready.kernel.tree / entry.file).read_text(encoding="utf-8") for entry in blind.load(BLIND)}
	gone = [f"{entry.file}: {name}" for entry in blind.load(BLIND) for name in entry.functions
		if not re.search(rf"^[A-Za-z][\w \t*]*\b{name}\(", texts[entry.file], re.MULTILINE)]
	assert not gone
