# SPDX-License-Identifier: GPL-2.0
"""Many mutants are compared at once, and each is judged as if it had been alone."""

import itertools

import pytest

from pinwait.mutation import equality
from pinwait.mutation.equality import DIFFERS, EQUAL, INVALID
from pinwait.mutation.generate import Variant

TEXT = "a b c d e f g h\n"


def _variant(name, start, end, new="X"):
	return Variant(name, "mm/a.c", "f", "o", "", 1, start, end, new)


def test_no_two_of_a_layer_touch():
	variants = [_variant("a", 0, 9), _variant("b", 2, 3), _variant("c", 2, 3, "Y"), _variant("d", 9, 11), _variant("e", 3, 5)]
	layers = equality.layers(variants)
	assert sorted(one.name for layer in layers for one in layer) == list("abcde")
	for layer in layers:
		for one, other in itertools.combinations(layer, 2):
			assert one.end <= other.start or other.end <= one.start
	assert len(layers) == 3


def test_all_of_a_layer_are_applied():
	assert equality.applied([_variant("a", 0, 1), _variant("b", 4, 7, "long"), _variant("c", 14, 15, "")], TEXT) == "X b long e f g \n"


@pytest.mark.parametrize("odd", [{}, {3: DIFFERS}, {0: DIFFERS, 7: INVALID}, {number: DIFFERS for number in range(8)},
				 {2: INVALID, 3: INVALID, 4: DIFFERS}])
def test_each_is_judged_as_if_alone(odd):
	tried = []

	def attempt(group):
		tried.append(len(group))
		said = {odd.get(int(one.name), EQUAL) for one in group}
		return INVALID if INVALID in said else DIFFERS if DIFFERS in said else EQUAL

	group = [_variant(str(number), 2 * number, 2 * number + 1) for number in range(8)]
	assert equality.sort_out(group, attempt) == {str(number): odd.get(number, EQUAL) for number in range(8)}
	assert len(tried) == 1 or odd


@pytest.mark.parametrize("answers, said", [
	({"a": {"x": EQUAL}, "b": {"x": EQUAL}}, (EQUAL, "a, b")),
	({"a": {"x": EQUAL}, "b": {"x": DIFFERS}, "c": {"x": DIFFERS}}, (DIFFERS, "b, c")),
	({"a": {"x": INVALID}, "b": {"x": DIFFERS}}, (INVALID, "a")),
])
def test_equal_is_only_what_is_equal_everywhere(answers, said):
	assert equality.everywhere(answers, "x") == said
