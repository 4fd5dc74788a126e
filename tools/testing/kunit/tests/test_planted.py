# SPDX-License-Identifier: GPL-2.0
"""A verdict says how many bugs that were planted in the changed functions the suites notice."""

import pytest

from pinwait.gate import blind, planted
from pinwait.mutation.score import Record
from pinwait.report.judgement import Covered, known_of
from pinwait.util.errors import UsageError
from pinwait.util.project import BLIND

TEXT = """\
static int pin(int nr)
{
	nr++;
	return nr;
}

int unpin(int nr)
{
	return nr - 1;
}
"""
RECORD = Record("rfc", "7.3.4", "1", 0, {
	"gup.c:pin:constant-1:2": "killed", "gup.c:pin:constant-1:0": "survived", "gup.c:pin:constant-2:0": "hung", "gup.c:pin:negation-1:gone": "not built",
	"gup.c:pin:negation-2:gone": "invalid", "gup.c:pin:negation-3:gone": "duplicate", "gup.c:unpin:constant-1:2": "invalid", "lru.c:unpin:constant-1:2": "killed"})


@pytest.mark.parametrize("file, functions, noticed, counted", [
	(Covered("mm/gup.c", executed=[3]), ["pin"], 2, 4),
	(Covered("mm/gup.c", removed=[4]), ["pin"], 2, 4),
	(Covered("mm/gup.c", missed=[3, 9]), ["pin"], 2, 4),	# nothing that counts is planted in the other
	(Covered("mm/gup.c", executed=[9]), [], 0, 0),
	(Covered("mm/gup.c", executed=[6]), [], 0, 0),
	(Covered("mm/lru.c", executed=[9]), ["unpin"], 1, 1),
	(Covered("drivers/x/gup.c", executed=[3]), [], 0, 0),
])
def test_bugs_of_the_changed_functions_count(file, functions, noticed, counted):
	told = planted.told(RECORD, file, planted.functions_of(file, TEXT, TEXT))
	assert (told.functions, told.noticed, told.planted) == (functions, noticed, counted)


def test_in_words():
	one, other = Covered("mm/gup.c", functions=["pin"], planted=4, noticed=2), Covered("mm/lru.c", functions=["unpin"], planted=1, noticed=1)
	assert known_of([one]) == ["2 of 4 bugs planted in pin are noticed"]
	assert known_of([one, other]) == ["3 of 5 bugs planted in 2 changed functions are noticed"]
	assert known_of([Covered("mm/gup.c")]) == []
	assert known_of([Covered("mm/ksm.c", blind=["this", "that"]), Covered("mm/gup.c", blind=["this"])]) == ["no case is about this", "no case is about that"]


@pytest.mark.parametrize("file, functions, what", [
	("mm/a.c", ["f", "x"], ["one"]), ("mm/a.c", ["x"], []), ("mm/b.c", ["f"], []), ("mm/c.c", ["h"], ["two"]), ("mm/a.c", [], [])])
def test_what_no_case_is_about(tmp_path, file, functions, what):
	path = tmp_path / "blind.toml"
	path.write_text('[[blind]]\nfile = "mm/a.c"\nfunctions = ["f", "g"]\nwhat = "one"\nwhy = "x"\n'
			'[[blind]]\nfile = "mm/c.c"\nfunctions = ["h"]\nwhat = "two"\nwhy = "x"\n', encoding="utf-8")
	assert blind.told(blind.load(path), file, functions) == what


def test_off_the_road():
	road = {"mm/gup.c": ("pin",), "mm/b.c": ("move",)}
	assert blind.off_road(road, "mm/gup.c", ["pin"]) == [] and blind.off_road({}, "mm/gup.c", ["f"]) == []
	assert blind.off_road(road, "mm/gup.c", ["pin", "f", "move"]) == ["what f(), move() does off the road of a longterm pin, which is not seen"]
	assert blind.off_road(road, "mm/tests/probe.c", ["f"]) == []


@pytest.mark.parametrize("text, said", [
	('[[blind]]\nfile = "a"\nfunctions = ["f"]\nwhat = "x"\nwhy = ""\n', "says nothing"), ('[[blind]]\nfile = "a"\n', "functions"),
	('[[blind]]\nfile = "a"\nfunctions = ["f"]\nwhat = "x"\nwhy = "y"\nhow = "z"\n', "unknown key how")])
def test_malformed_entry(tmp_path, text, said):
	(tmp_path / "blind.toml").write_text(text, encoding="utf-8")
	with pytest.raises(UsageError, match=said):
		blind.load(tmp_path / "blind.toml")


def test_entries_of_the_project():
	assert blind.load(BLIND)
