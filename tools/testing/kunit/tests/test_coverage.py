# SPDX-License-Identifier: GPL-2.0
"""What counts as executed, what a gap, and what a reason explains."""

from pathlib import Path

import pytest

from pinwait.commands import coverage
from pinwait.gate import seen
from pinwait.commands.coverage import Gap, Reason
from pinwait.kernel import gcov
from pinwait.kernel.gcov import Line
from pinwait.log.results import Outcome
from pinwait.util.errors import UsageError

SOURCE = """\
#include "x.h"
static int wait_for(int a);
static int wait_for(int a)
{
	if (a)
		return 1;
	return 0;
}

int other(int a)
{
	return wait_for(a);
}
""".splitlines()


def _lines(**counts):
	return {"mm/a.c": {int(number[1:]): line for number, line in counts.items()}}


def _gaps(lines, added=(), reasons=()):
	return coverage.find_gaps({"mm/a.c": SOURCE}, lines, {"mm/a.c": set(added)}, {"mm/a.c": ["wait_for"]}, reasons)


def test_hunks_without_context():
	diff = "@@ -1,0 +2,3 @@ f\n+a\n+b\n+c\n@@ -9 +12 @@\n-x\n+y\n@@ -20,2 +22,0 @@\n"
	assert seen.changed_lines(diff) == ({9, 20, 21}, {2, 3, 4, 12})
	assert seen.places_of_insertion(diff) == {1}


def test_function_is_found_behind_its_declaration():
	assert coverage.function_lines(SOURCE, "wait_for") == range(3, 9)
	assert coverage.function_lines(SOURCE, "other") == range(10, 14)


def test_unknown_function():
	with pytest.raises(UsageError, match="no function nothing"):
		coverage.function_lines(SOURCE, "nothing")


def test_reports_of_several_objects_are_merged():
	def report(count, *taken):
		return {"current_working_directory": "/k/obj", "files": [
			{"file": "../tree/mm/a.c", "lines": [{"line_number": 5, "count": count, "branches": [
				{"count": number} for number in taken]}]},
			{"file": "/usr/include/stdio.h", "lines": [{"line_number": 1, "count": 1, "branches": []}]}]}
	found = {}
	gcov.merge(found, report(0, 0, 0), Path("/k/tree"))
	gcov.merge(found, report(3, 3, 0), Path("/k/tree"))
	assert found == {"mm/a.c": {5: Line(3, [[False, False], [True, False]])}}
	assert (found["mm/a.c"][5].branches, found["mm/a.c"][5].untaken) == (2, 1)


def test_a_branch_counts_where_one_copy_goes_both_ways():
	assert Line(9, [[True, False], [False, True]]).untaken == 1
	assert Line(9, [[True, False], [True, True]]).untaken == 0


def test_line_not_reached_in_a_function():
	gaps = _gaps(_lines(l5=Line(1), l6=Line(0), l7=Line(1)))
	assert gaps == [Gap("mm/a.c", 6, "wait_for", "if (a)", "return 1;", "line", False, "")]


def test_line_outside_of_functions_and_series_does_not_matter():
	assert _gaps(_lines(l12=Line(0))) == []


def test_branch_matters_on_added_lines_only():
	lines = _lines(l5=Line(1, [[True, False]]), l12=Line(1, [[True, False, False]]))
	assert _gaps(lines) == []
	assert [(gap.line, gap.what) for gap in _gaps(lines, added=[5, 12])] == [(5, "1 of 2 branches"), (12, "2 of 3 branches")]


def test_reason_explains_its_line_and_no_other():
	reason = Reason("mm/a.c", "wait_for", "return 1;", "because", False)
	lines = _lines(l6=Line(0), l7=Line(0))
	assert [gap.why for gap in _gaps(lines, reasons=[reason])] == ["because", ""]


@pytest.mark.parametrize("before, why", [("if (a)", "because"), ("else", "")])
def test_reason_may_name_the_line_before(before, why):
	reason = Reason("mm/a.c", "wait_for", f"{before}\nreturn 1;", "because")
	assert [gap.why for gap in _gaps(_lines(l6=Line(0)), reasons=[reason])] == [why]


def test_line_reason_does_not_explain_a_branch():
	reason = Reason("mm/a.c", "wait_for", "if (a)", "because", False)
	assert [gap.why for gap in _gaps(_lines(l5=Line(1, [[True, False]])), [5], [reason])] == [""]


@pytest.mark.parametrize("lines, gaps, stale, reason", [
	(_lines(l5=Line(1)), [Gap("mm/a.c", 5, "", "", "", "line", True, "")], [], "1 lines or branches of the series are not executed"),
	(_lines(l5=Line(1)), [Gap("mm/a.c", 6, "", "", "", "line", False, "")], [], "1 lines around it"),
	(_lines(l5=Line(1)), [], [Reason("mm/a.c", "f", "", "w", False)], "1 reasons match no unreached line"),
	({}, [], [], "no line for which gcov has code"),
])
def test_what_fails(lines, gaps, stale, reason):
	answer = coverage._judge(lines, {"mm/a.c": {5}}, gaps, stale)
	assert answer.outcome is Outcome.FAIL and reason in answer.reason


def test_all_executed_passes():
	answer = coverage._judge(_lines(l5=Line(1, [[True, True]])), {"mm/a.c": {4, 5}}, [], [])
	assert (answer.outcome, answer.reason) == (Outcome.PASS, "1 lines and 2 branches of the series executed")


def test_reasons_file_is_sound():
	functions, reasons = coverage.load(coverage.REASONS)
	assert functions and all(reason.why for reason in reasons)


@pytest.mark.parametrize("text", [
	"", "[functions]\n'a.c' = ['f']\n[[unreached]]\nfile = 'a.c'\n", "[functions",
	"[functions]\n'a.c' = ['f']\n[[unreached]]\nfile = 'a.c'\nfunction = 'g'\ncode = 'x'\nwhy = 'y'\n",
	"[functions]\n'a.c' = ['f']\n[[unreached]]\nfile = 'a.c'\nfunction = 'f'\ncode = 'x'\nwhy = ''\n",
])
def test_bad_reasons_file(tmp_path, text):
	(tmp_path / "c.toml").write_text(text)
	with pytest.raises(UsageError):
		coverage.load(tmp_path / "c.toml")
