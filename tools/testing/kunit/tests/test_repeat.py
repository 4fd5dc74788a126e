# SPDX-License-Identifier: GPL-2.0
"""A flake blames nobody, and what always fails is found, however long the series is."""

import random
from dataclasses import replace
from math import isclose
from pathlib import Path

import pytest

from pinwait.gate import compare
from pinwait.gate.attempt import Result
from pinwait.gate.repeat import FALSE_BLAME, Rule, chance, repeated
from pinwait.log.results import Case, Ending, LogResult, Status

SERIES = 4000		# that are simulated


def test_chance_is_fishers():
	assert isclose(chance(6, 0, 6), 1 / 924) and isclose(chance(5, 0, 6), 6 / 792) and chance(0, 3, 6) == 1.0
	assert isclose(chance(3, 0, 3), 1 / 20)


@pytest.mark.parametrize("tests, boots", [(1, 6), (9, 6), (10, 7), (34, 7), (35, 8), (1000, 10)])
def test_a_sure_failure_is_found_in_any_series(tests, boots):
	rule = Rule.of(tests)
	assert rule.boots == boots and rule.decide([True] * boots, [False] * boots)
	assert rule.decide([True] * (boots - 1), [False] * (boots - 1)) is None


def test_more_boots_can_be_asked_for():
	assert Rule.of(1, 20).boots == 20 and Rule.of(1, 20).decide([True] * 7 + [False] * 13, [False] * 20)
	assert Rule.of(1, 3).boots == 6


def test_what_the_rest_cannot_change_is_decided():
	rule = Rule.of(9)
	assert rule.decide([False], [False]) is False and rule.decide([True], [True]) is False and rule.decide([True], [False]) is None


def _blamed(chances, rule, flake, failure):
	"""Judge one patch as the gate does: a first boot of each, and more if that of the patch alone fails."""
	def bad(rate):
		return chances.random() < rate
	if bad(flake) or not bad(failure):
		return False
	after, before = [], []
	while (answer := rule.decide(after, before)) is None:
		after.append(bad(failure))
		before.append(bad(flake))
	return answer


@pytest.mark.parametrize("flake", [0.02, 0.1, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("patches", [1, 5, 20])
def test_false_blame(flake, patches):
	"""An innocent patch fails as often as the base does."""
	chances, rule = random.Random(7), Rule.of(patches)
	blamed = sum(any(_blamed(chances, rule, flake, flake) for _ in range(patches)) for _ in range(SERIES))
	assert blamed / SERIES < FALSE_BLAME


@pytest.mark.parametrize("failure, found", [(1.0, 1.0), (0.95, 0.5)])
def test_true_blame(failure, found):
	chances, rule = random.Random(7), Rule.of(6)
	blamed = sum(_blamed(chances, rule, 0.0, failure) for _ in range(SERIES))
	assert blamed / SERIES >= found


def test_one_of_three_boots_would_not_do():
	"""What the rule is for: a flake of one in ten, and whatever fails with the patch alone held against it."""
	chances = random.Random(7)
	blamed = sum(chances.random() < 0.1 and all(chances.random() > 0.1 for _ in range(3)) for _ in range(SERIES))
	assert blamed / SERIES > 5 * FALSE_BLAME


class Machine:
	"""Boots a base and a patched kernel of two suites; bad are the cases that fail with the patch, together or in a boot of one suite."""

	def __init__(self, together, alone, jitter=False):
		self.together, self.alone, self.jitter = together, alone, jitter
		self.booted = []
		self.base, self.patched = Result(Path("base"), log=self._log(set())), Result(Path("patched"), log=self._log(self.together))

	def _log(self, bad, suite=""):
		time = len(self.booted) if self.jitter else 1
		return LogResult(started=True, ending=Ending.FINISHED, cases=[
			Case(name, "case", None, Status.FAIL if name in bad else Status.PASS, time, None, "") for name in ("one", "two") if suite in ("", name)])

	def boot(self, result, label, _seed, suite):
		self.booted.append((label, suite))
		bad = set() if result.folder == self.base.folder else self.alone if suite else self.together
		return replace(result, log=self._log(bad, suite))

	def judged(self, narrow=True, repeats=True):
		suspects = [finding for finding in compare.compare(self.base, self.patched) if finding.held]
		return repeated(self.base, self.patched, suspects, Rule.of(4), repeats, self.boot, narrow)


def test_boots_of_the_suspect_suite_are_enough():
	machine = Machine({"one"}, {"one"})
	assert [(found.id, found.held, found.after.times) for found in machine.judged()] == [("one.case", True, 2)]
	assert {suite for _, suite in machine.booted} == {"one"} and len(machine.booted) == 4


def test_boots_that_differ_are_counted():
	machine = Machine({"one", "two"}, {"one", "two"}, jitter=True)
	first, second = machine.judged()
	assert first.held and (first.after.times, first.before.times) == (6, 0)
	assert second.held and not second.after	# of another suite, which needs no proof of its own
	assert {suite for _, suite in machine.booted} == {"one"}


@pytest.mark.parametrize("jitter", [False, True])
def test_what_one_suite_does_not_show_all_decide(jitter):
	machine = Machine({"one"}, set(), jitter)
	assert [found.held for found in machine.judged()] == [True]
	assert {suite for _, suite in machine.booted} == {"one", ""}


def test_a_suite_of_the_patch_has_no_boot_of_its_own():
	machine = Machine({"one"}, {"one"})
	machine.base = replace(machine.base, log=replace(machine.base.log, cases=machine.base.log.cases[1:]))
	assert [found.held for found in machine.judged()] == [True] and {suite for _, suite in machine.booted} == {""}


def test_short_boots_have_all_suites():
	machine = Machine({"one"}, {"one"})
	assert machine.judged(narrow=False)[0].held and {suite for _, suite in machine.booted} == {""}
