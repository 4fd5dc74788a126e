# SPDX-License-Identifier: GPL-2.0
"""Which cases a patch to the tests touches, which mutants they are tried on, and what they catch no more."""

import difflib
from pathlib import Path

import pytest

from pinwait.gate import weakening
from pinwait.gate.attempt import Result
from pinwait.log.results import Case, LogResult, Status
from pinwait.mutation.corpus import Mutant
from pinwait.mutation.promises import Promise

SOURCE = """\
/* A suite. */
static int helper(int x)
{
	return x;
}

/* One. */
static void one(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, helper(1), 1);
}

static void two(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, 2, 2);
}

static struct kunit_case cases[] = {
	KUNIT_CASE(one),
	KUNIT_CASE_PARAM(two, gen),
	{}
};
"""


def _touched(old, new):
	after = SOURCE.replace(old, new)
	diff = "\n".join(line for line in difflib.unified_diff(SOURCE.splitlines(), after.splitlines(), n=0, lineterm=""))
	return weakening.touched_cases(SOURCE, after, diff + "\n")


@pytest.mark.parametrize("old, new, cases", [
	("helper(1), 1);", "1, 1);", {"one"}), ("2, 2);", "2, 2);\n\treturn;", {"two"}), ("/* One. */", "/* First. */", {"one"}),
	("\tKUNIT_EXPECT_EQ(test, 2, 2);\n", "", {"two"}), ("return x;", "return 1;", {"one", "two"}),
	("\t{}\n", "\t{ }\n", {"one", "two"}), ("\tKUNIT_CASE(one),\n", "", set()),
])
def test_touched_cases(old, new, cases):
	assert _touched(old, new) == cases


PROMISES = [Promise("a", ("s.one",), ("m1", "m2")), Promise("b", ("s.two", "t.x"), ("m3",)), Promise("c", ("t.y",), ("m4", "slow", "header"))]
MUTANTS = [*(Mutant(name, "f.c", "o", "n", "why") for name in ("m1", "m2", "m3", "m4")),
	   Mutant("slow", "f.c", "o", "n", "why", "uml-smp"), Mutant("header", "f.h", "o", "n", "why")]


@pytest.mark.parametrize("suites, cases, names", [
	({"s"}, {"s.one"}, ["m1", "m2"]), ({"s"}, {"s.one", "s.two"}, ["m1", "m3", "m2"]), ({"t"}, {"t.y"}, ["m4"]),
	({"s"}, set(), []), ({""}, set(), ["m1", "m3", "m4", "m2"]),
])
def test_mutants_of_the_touched(suites, cases, names):
	assert [mutant.name for mutant in weakening.select(PROMISES, MUTANTS, suites, cases)] == names


def test_not_more_than_are_worth_the_time():
	many = [Mutant(f"m{number}", "f.c", "o", "n", "why") for number in range(40)]
	rows = [Promise("a", ("s.one",), tuple(mutant.name for mutant in many))]
	chosen = weakening.select(rows, many, {"s"}, {"s.one"})
	assert len({mutant.name for mutant in chosen}) == weakening.MOST


def _result(**status):
	return Result(Path(), log=LogResult([Case("s", name, None, value, None, None, "") for name, value in status.items()]))


def test_lost():
	before = _result(one=Status.FAIL, two=Status.FAIL, three=Status.PASS, four=Status.FAIL)
	after = _result(one=Status.PASS, two=Status.FAIL, three=Status.PASS, four=Status.SKIP)
	assert weakening.lost(before, after, {"s.one", "s.two", "s.three", "s.four"}) == ["s.four", "s.one"]
	assert weakening.lost(before, after, {"s.two"}) == []
	assert weakening.lost(before, after, ()) == ["s.four", "s.one"]


@pytest.mark.parametrize("old, new, found", [
	("EXPECT_EQ(test, 2, 2)", "EXPECT_GE(test, 2, 0)", [("2", "two", "GE")]),
	("EXPECT_EQ(test, helper(1), 1)", "ASSERT_NE_MSG(test, helper(1), 0, \"x\")", [("helper(1)", "one", "NE")]),
	("EXPECT_EQ(test, 2, 2)", "EXPECT_EQ(test, 2, 3)", []), ("EXPECT_EQ(test, 2, 2)", "ASSERT_EQ(test, 2, 2)", []),
	("EXPECT_EQ(test, 2, 2);", "EXPECT_EQ(test, 2, 2);\n\tKUNIT_EXPECT_GE(test, 2, 0);", []),
	("\tKUNIT_EXPECT_EQ(test, 2, 2);\n", "", [])])
def test_relation_that_was_loosened(old, new, found):
	assert weakening.loosened(SOURCE, SOURCE.replace(old, new)) == found
	assert not weakening.loosened(SOURCE.replace(old, new), SOURCE)


TWO = "\tKUNIT_EXPECT_EQ(test, 2, 2);\n"
GONE = [("KUNIT_EXPECT_EQ(test, 2, 2);", "two")]
FUNCTION = "static void two(struct kunit *test)\n{\n" + TWO + "}\n"


@pytest.mark.parametrize("old, new, found", [
	(TWO, "", GONE), (TWO, "\tkunit_info(test, \"%d\", 2);\n", GONE), (TWO, "\tkunit_skip(test, \"later\");\n", GONE),
	(TWO, "\t/* KUNIT_EXPECT_EQ(test, 2,\n\t\t\t   2); */\n", GONE), (TWO, "\t// KUNIT_EXPECT_EQ(test, 2, 2);\n", GONE),
	(TWO, "\tKUNIT_ASSERT_EQ(test, 2, 2);\n", []), (TWO, "\tKUNIT_EXPECT_EQ(test,\n\t\t\t2, 2);\n", []),
	(TWO, "\texpect_two(test, 2);\n", []), (FUNCTION, "", []),
])
def test_assertion_that_was_dropped(old, new, found):
	assert old in SOURCE and weakening.dropped(SOURCE, SOURCE.replace(old, new)) == found
	assert not weakening.dropped(SOURCE.replace(old, new), SOURCE)


def test_assertion_that_moved():
	moved = SOURCE.replace(TWO, "").replace("helper(1), 1);\n", f"helper(1), 1);\n{TWO}")
	assert moved.count("KUNIT_EXPECT") == 2 and not weakening.dropped(SOURCE, moved)


@pytest.mark.parametrize("new, gone", [
	("", True), ("\texpect_others(test, tf);\n", False), ("\tKUNIT_EXPECT_NULL(test, tf->dst);\n", False)])
def test_call_of_what_asserts(new, gone):
	call = "\texpect_in_use(test, tf,\n\t\t      tf->dst, 1);\n"
	before = SOURCE.replace(TWO, TWO + call)
	assert weakening.dropped(before, before.replace(call, new)) == [("expect_in_use(test, tf, tf->dst, 1);", "two")] * gone


def test_call_of_what_does_not_assert():
	assert not weakening.dropped(SOURCE.replace(TWO, f"\tmake_folio(test);\n{TWO}"), SOURCE)


def test_one_of_the_same():
	double = SOURCE.replace(TWO, TWO + TWO)
	assert weakening.dropped(double, SOURCE) == GONE


def test_kunit_itself_is_what_tests_stand_on():
	assert all(map(weakening.is_test, ("lib/kunit/test.c", "include/kunit/test.h", "mm/tests/x_kunit.c")))
	assert not any(map(weakening.is_test, ("lib/kunit/Kconfig", "mm/migrate.c")))
	assert weakening.suite_of("lib/kunit/test.c") == ""
