# SPDX-License-Identifier: GPL-2.0
"""A flake blames nobody, and what always fails is found, however long the series is."""

import random
from math import isclose

import pytest

from pinwait.gate.repeat import FALSE_BLAME, Rule, chance

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
