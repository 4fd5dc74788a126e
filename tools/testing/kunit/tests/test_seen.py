# SPDX-License-Identifier: GPL-2.0
"""What counts as executed of a change, and what of it is code."""

import pytest

from pinwait.gate import seen
from pinwait.report.judgement import Covered

SOURCE = """\
#include "x.h"

static int pick(struct folio *folio,
		int flags)
{
	int ret;

	/* A remark; with an end. */
	if (flags &&
	    /* and another */
	    folio_test_x(folio))
		ret = first(folio,
			    flags);
#ifdef CONFIG_NOT_HERE
	ret = second(folio,
		     flags);
#endif
	if (folio_test_hugetlb(folio)) {
		ret = third(folio,
			    flags);
	} else
		ret = 0;
	return ret;
}
"""
# As gcov has it where first() is never called and hugetlb is not configured.
COUNTS = {3: 5, 9: 5, 12: 0, 22: 5, 23: 5}


@pytest.mark.parametrize("line, owner", [
	(9, 9), (11, 9), (13, 12),	# of one statement, past a comment
	(4, 3),				# of the head of a function
	(15, 0), (16, 0), (14, 0),	# not configured
	(19, 0), (20, 0),		# a statement, or the rest of one, of which no code is made
	(5, 0), (6, 0), (7, 0), (8, 0), (1, 0), (24, 0), (99, 0),
])
def test_statement(line, owner):
	assert seen.statement(SOURCE.split("\n"), COUNTS, line) == owner


@pytest.mark.parametrize("line", [12, 13, 22])
def test_what_a_condition_decides_on_is_a_statement(line):
	"""Of what is decided when it is compiled, as whether there is hugetlb, only the condition has a count."""
	assert seen.statement(SOURCE.split("\n"), {3: 5, 9: 5, 18: 5, 21: 5}, line) == 0


def _diff(*hunks):
	return "".join(f"@@ -{old} +{new} @@\n" for old, new in hunks)


def test_added_lines_are_counted_after_the_patch_and_removed_ones_before():
	told = seen.covered("mm/a.c", _diff(("9,3", "9,3"), ("13", "13"), ("23", "20,0")), (SOURCE, COUNTS), (SOURCE, COUNTS))
	assert told == Covered("mm/a.c", executed=[9, 11], missed=[13], uncompiled=[10], removed=[9, 11, 23])


def test_without_counts_after_it_an_insertion_is_where_it_stands():
	assert seen.covered("mm/a.h", _diff(("9,0", "10,2")), (SOURCE, COUNTS), None) == Covered("mm/a.h", removed=[9])
	assert seen.covered("mm/a.h", _diff(("12,0", "13,2")), (SOURCE, COUNTS), None) == Covered("mm/a.h")


@pytest.mark.parametrize("after, changes", [
	(SOURCE.replace("A remark", "Another"), False), (SOURCE.replace("\tret = 0", "  ret  = 0"), False),
	(SOURCE.replace("ret = 0", "ret = 1"), True), (SOURCE.replace('"x.h"', '"y.h"'), True), (SOURCE.replace("NOT_HERE", "HERE"), True),
])
def test_comments_and_space_are_no_code(after, changes):
	assert seen.changes_code(SOURCE, after) is changes


def test_why_nothing_is_executed():
	told = seen.why_not([Covered("mm/a.c", missed=[3, 4]), Covered("mm/b.c", uncompiled=[7]), Covered("mm/c.c"), Covered("mm/d.S")],
			    ["mm/a.c", "mm/b.c", "mm/c.c"])
	assert told == ("no case reaches mm/a.c:3-4; no code is compiled for mm/b.c:7; no line that it removes from mm/c.c was executed; "
			"mm/d.S is not compiled")
