# SPDX-License-Identifier: GPL-2.0
"""The table of promises: nothing in it is made up, and nothing is missing."""

import re

import pytest

from pinwait.log import expected
from pinwait.mutation import corpus, promises
from pinwait.mutation.promises import Promise
from pinwait.util.errors import UsageError
from pinwait.util.project import CONFIGS, MUTANTS, PROJECT, PROMISES

PAGE = """\
# A page

<!-- promises -->

old

<!-- end of promises -->

the end
"""


def test_tables_are_made_anew():
	sections = [promises.Section("One", (Promise("waits", ("s.waits", "s.waits_long"), ("no-wait",)),), "As said."),
		    promises.Section("Two", (Promise("wakes", ("t.wakes",), ("no-wake",)),))]
	assert promises.documented(PAGE, sections) == """\
# A page

<!-- promises -->

### One

As said.

| promise | case | mutant |
|---|---|---|
| waits | `s.waits`, `s.waits_long` | `no-wait` |

### Two

| promise | case | mutant |
|---|---|---|
| wakes | `t.wakes` | `no-wake` |

<!-- end of promises -->

the end
"""


def test_documentation_is_up_to_date():
	text = (PROJECT / "Documentation/coverage.md").read_text()
	assert promises.documented(text, promises.load(PROMISES)) == text, "run tools/testing/kunit/promises.py"
	assert promises.documented(text, []) != text


@pytest.mark.parametrize("text", ["", "[[section]]\ntitle = 'x'\n", "[[section]]\ntitle = 'x'\n[[section.promise]]\ntext = 'y'\ncases = []\n", "["])
def test_faulty_file_is_named(tmp_path, text):
	(tmp_path / "p.toml").write_text(text)
	with pytest.raises(UsageError, match="p.toml: "):
		promises.load(tmp_path / "p.toml")


def test_gaps():
	rows = [Promise("waits", ("s.waits", "s.gone"), ("no-wait", "gone")), Promise("wakes", (), ())]
	assert promises.gaps(rows, ["s.waits", "s.more"], ["no-wait"]) == [
		"'waits': there is no case s.gone", "'waits': there is no mutant gone",
		"'wakes' has no case", "'wakes' has no mutant", "s.more stands for no promise"]


def test_each_mutant_of_a_row_is_caught_by_a_case_of_it():
	rows = [Promise("waits", ("s.waits",), ("no-wait", "untried")), Promise("wakes", ("t.wakes",), ("no-wait",))]
	assert promises.unkept(rows, {"no-wait": ["s.waits", "s.other"]}) == ["'wakes': none of its cases failed on no-wait"]


def test_the_table_is_complete_and_true():
	listed = expected.load(CONFIGS / "expected-cases.txt").cases.values()
	rows = promises.rows(promises.load(PROMISES))
	names = [mutant.name for mutant in corpus.load(MUTANTS)]
	assert rows and not promises.gaps(rows, list(dict.fromkeys(f"{case.suite}.{case.name}" for case in listed)), names)


def test_what_each_series_promises_is_documented():
	"""Each row of the table in C is a column in the documentation, each of its fields a row."""
	rows = re.findall(r"^\t\{\n(.*?)^\t\}", (PROJECT / "mm/tests/wait_promises.c").read_text(), re.MULTILINE | re.DOTALL)
	series = [re.findall(r'\.series = "(\w+)"', row) for row in rows]
	fields = {field for row in rows for field in re.findall(r"\.(\w+) = ", row)} - {"series"}
	text = (PROJECT / "Documentation/suites.md").read_text()
	table = text[text.index("| promise |"):].partition("\n\n")[0].splitlines()
	assert rows and re.findall(r"`(\w+)`", table[0]) == [name for names in series for name in names]
	assert fields == {name for line in table[2:] for name in re.findall(r"`(\w+)`", line.split(":")[0])}


def test_cases_are_absent_from_series_that_there_are():
	known = set(re.findall(r'\.series = "(\w+)"', (PROJECT / "mm/tests/wait_promises.c").read_text()))
	listed = expected.load(CONFIGS / "expected-cases.txt").cases.values()
	assert {name for case in listed for name in case.absent} <= known
