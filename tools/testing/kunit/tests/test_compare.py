# SPDX-License-Identifier: GPL-2.0
"""Only what is new between two states is held against the patch between them."""

from pathlib import Path

import pytest

from pinwait.gate import compare
from pinwait.gate.attempt import Result
from pinwait.log.results import GONE, Case, Ending, LogResult, Splat, Status
from pinwait.report.judgement import Change

PASS, FAIL, SKIP, CRASH, MISSING = Status.PASS, Status.FAIL, Status.SKIP, Status.CRASH, Status.MISSING


def _result(*cases, error="", ending=Ending.FINISHED, splats=(), errors=(), started=True):
	made = [Case("s", name, None, status, None, None, text) for name, status, text in cases]
	return Result(Path(), error, LogResult(made, list(splats), list(errors), [], started, ending))


def _cases(before, after, text=""):
	"""Compare one case's status before and after; None for a case that is not there."""
	sides = [_result(*([("c", status, text)] if status else []), ("other", PASS, "")) for status in (before, after)]
	return [(found.kind, found.change, found.held) for found in compare.compare(*sides)]


@pytest.mark.parametrize("before, after, kind, change", [
	(PASS, FAIL, "case", Change.NEW), (PASS, CRASH, "case", Change.NEW), (PASS, MISSING, "missing", Change.NEW),
	(PASS, None, "missing", Change.NEW), (PASS, SKIP, "skip", Change.NEW), (SKIP, FAIL, "case", Change.NEW),
	(None, FAIL, "case", Change.NEW), (FAIL, FAIL, "case", Change.PRE_EXISTING), (FAIL, CRASH, "case", Change.PRE_EXISTING),
	(FAIL, PASS, "case", Change.FIXED), (MISSING, PASS, "case", Change.FIXED), (FAIL, SKIP, "skip", Change.FIXED),
	(FAIL, None, "missing", Change.NEW),
])
def test_a_case_changes(before, after, kind, change):
	assert _cases(before, after) == [(kind, change, change is Change.NEW)]


@pytest.mark.parametrize("before, after", [(PASS, PASS), (SKIP, SKIP), (SKIP, PASS), (None, PASS), (MISSING, None)])
def test_a_case_is_as_it_should_be(before, after):
	assert _cases(before, after) == []


def test_new_case_that_skips_is_a_remark():
	assert _cases(None, SKIP, "no THP here") == [("skip", Change.NEW, False)]


def test_cases_after_a_panic_are_one_finding():
	before = _result(*((str(number), PASS, "") for number in range(9)))
	after = _result(("0", CRASH, "boom"), *((str(number), MISSING, GONE) for number in range(1, 9)), ending=Ending.PANIC)
	found = compare.compare(before, after)
	assert [(one.kind, one.held) for one in found] == [("case", True), ("missing", True), ("ending", True)]
	assert found[1].text.startswith("8 cases did not run")
	assert "while s.0 ran" in found[2].id


def test_splats_are_known_by_their_first_line():
	warn = "------------[ cut here ]------------\nWARNING: mm/x.c:{} at f+0x{}/0x20\nmore"
	before = _result(splats=[Splat("WARNING", "s.c", 1, warn.format(10, "4a"))])
	after = _result(splats=[Splat("WARNING", "s.c", 7, warn.format(12, "5b")), Splat("KASAN", None, 9, "BUG: KASAN: x")])
	assert {(one.id.partition(":")[0], one.change) for one in compare.compare(before, after)} == {
		("WARNING in s.c", Change.PRE_EXISTING), ("KASAN in no case", Change.NEW)}


def test_a_second_splat_of_the_same_kind_is_new():
	one = Splat("WARNING", "s.c", 1, "WARNING: mm/x.c:1")
	assert [found.change for found in compare.compare(_result(splats=[one]), _result(splats=[one, one]))] == [
		Change.NEW, Change.PRE_EXISTING]


def test_messages_of_a_file_that_was_renamed():
	before = compare.messages(["mm/a.c:1:2: warning: odd"], renamed={"mm/a.c": "mm/b.c"})
	after = compare.messages(["mm/b.c:7:2: warning: odd"], renamed={"mm/a.c": "mm/b.c"})
	assert [finding.change for finding in compare.items(before, after)] == [Change.PRE_EXISTING]


@pytest.mark.parametrize("ending", [Ending.PANIC, Ending.HANG, Ending.TRUNCATED])
def test_another_ending(ending):
	found = compare.compare(_result(), _result(ending=ending, started=False))
	assert [(one.kind, one.held) for one in found] == [("ending", True)]
	assert "before the first case" in found[0].id


def test_a_build_that_breaks_and_one_that_is_mended():
	error = "the kernel does not build:\nmm/migrate.c:12:3: error: expected ';'\n  12 | x"
	good, bad = _result(), _result(error=error)
	broke, mended, still = (compare.builds(*pair)[0] for pair in ((good, bad), (bad, good), (
		bad, _result(error=error.replace(":12:3", ":99:3")))))
	assert (broke.change, broke.held, broke.where) == (Change.NEW, True, "mm/migrate.c:12:3")
	assert (mended.change, mended.held) == (Change.FIXED, False)
	assert (still.change, still.held) == (Change.PRE_EXISTING, False)


def test_messages_stay_the_same_when_lines_move():
	before = compare.messages(["a.c:1:2: warning: x", "a.c:5:2: warning: y"])
	after = compare.messages(["a.c:3:2: warning: x", "a.c:4:2: warning: x", "b.c:5:2: warning: y"])
	assert {(one.text, one.change) for one in compare.items(before, after)} == {
		("a.c:3:2: warning: x", Change.PRE_EXISTING), ("a.c:4:2: warning: x", Change.NEW),
		("b.c:5:2: warning: y", Change.NEW), ("a.c:5:2: warning: y", Change.FIXED)}
