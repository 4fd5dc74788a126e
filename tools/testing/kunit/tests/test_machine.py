# SPDX-License-Identifier: GPL-2.0
"""Generated mutants on x86_64: the suites that execute a line, and a fate from two machines."""

import pytest

from pinwait.commands import machine
from pinwait.commands.machine import Shop, Suite
from pinwait.mutation import score
from pinwait.mutation.generate import Variant
from pinwait.mutation.score import Fate

SOURCE = ["int f(int a)", "{", "	if (a &&", "	    b)", "		return 1;", "	return 0;", "}"]


def _fate(outcome, killer="", digest=""):
	return Fate("a", "mm/a.c", "f", "logical", "", 3, outcome, killer, digest)


@pytest.mark.parametrize("here, there, outcome", [
	(score.SURVIVED, score.KILLED_ELSEWHERE, score.KILLED_ELSEWHERE), (score.NOT_BUILT, score.HUNG, score.HUNG),
	(score.SURVIVED, score.SURVIVED, score.SURVIVED), (score.SURVIVED, score.NOT_REACHED, score.SURVIVED),
	(score.SURVIVED, score.SAME_OBJECT, score.SURVIVED), (score.EQUIVALENT, score.SAME_OBJECT, score.EQUIVALENT),
	(score.EQUIVALENT, score.SURVIVED, score.SURVIVED), (score.EQUIVALENT, score.NOT_REACHED, score.NOT_REACHED),
	(score.NOT_BUILT, score.INVALID, score.INVALID), (score.NOT_REACHED, score.SURVIVED, score.SURVIVED),
	(score.NOT_REACHED, score.INVALID, score.NOT_REACHED),
])
def test_a_fate_from_two_machines(here, there, outcome):
	"""What is noticed anywhere is noticed; what is another object anywhere counts."""
	told = machine.joined(_fate(here, "uml's", "u"), _fate(there, "case", "x"))
	assert told.outcome == outcome and told.digest == "u"
	assert told.killer == ("x86_64: case" if there in score.NOTICED else "x86_64, which alone builds its line: case"
			       if there == score.INVALID and outcome == there else "case" if outcome != here else told.killer)


def test_only_suites_that_execute_the_line():
	shop = Shop.__new__(Shop)
	shop.suites = [Suite(name, [], {}, [], seconds) for name, seconds in (("long", 9.0), ("short", 1.0), ("other", 0.5))]
	shop.sources, shop.lines = {"mm/a.c": SOURCE}, {"mm/a.c": {3: [0, 1], 5: [], 6: [2]}}

	def names(line):
		variant = Variant.__new__(Variant)
		object.__setattr__(variant, "file", "mm/a.c")
		object.__setattr__(variant, "line", line)
		return [suite.name for suite in shop.reaching(variant)]
	assert names(3) == ["short", "long"] and names(6) == ["other"]
	assert not names(5)
	assert names(4) == names(3), "a statement's later line"
