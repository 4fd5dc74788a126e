# SPDX-License-Identifier: GPL-2.0
"""The score of generated mutants: what counts, how sure it is, and what changed since it was kept."""

import re
import tomllib
from pathlib import Path

import pytest

from pinwait.mutation import road, score
from pinwait.mutation.score import Fate, Record, Score
from pinwait.util.errors import UsageError
from pinwait.util.project import GENERATED


def _fate(name, outcome, digest="", file="mm/a.c", kind=""):
	return Fate(name, file, "f", "relational", kind, 1, outcome, digest=digest)


@pytest.mark.parametrize("noticed, counted, low, high", [
	(0, 10, 0.0, 0.278), (10, 10, 0.722, 1.0), (5, 10, 0.237, 0.763), (81, 263, 0.255, 0.366), (0, 0, 0.0, 1.0)])
def test_interval_is_wilsons(noticed, counted, low, high):
	assert Score(noticed, counted).interval == pytest.approx((low, high), abs=0.001)


def test_what_counts():
	got = score.score_of(["killed", "dies at boot", "hung", "survived", "not reached", "not built", "same object",
			      "equivalent", "duplicate", "invalid", "does not link"])
	assert got == Score(3, 7)
	assert str(got) == "3 of 7, 43% [16%-75%]" and str(Score(0, 0)) == "0 of 0"


def test_duplicate_is_the_later_one_of_the_same_file():
	fates = [_fate("a", "killed", "1"), _fate("b", "killed", "1"), _fate("c", "killed", "1", "mm/b.c"), _fate("d", "invalid"),
		 _fate("e", "invalid"), _fate("f", "same object"), _fate("g", "same object"), _fate("h", "not reached", "2"),
		 _fate("i", "not reached", "2")]
	told = score.settled(fates)
	assert [fate.name for fate in told if fate.outcome == score.DUPLICATE] == ["b", "i"]
	assert told[1].killer == "of a" and fates[1].outcome == "killed"


def test_table():
	rows = score.rows([_fate("a", "killed"), _fate("b", "survived"), _fate("c", "survived", file="mm/b.c")], lambda fate: fate.file)
	assert [row.split()[0] for row in rows] == ["killed", "mm/a.c", "mm/b.c", "all"]
	assert rows[1].split()[1:6] == ["1", "1", "1", "of", "2,"] and rows[2].split()[1:3] == ["-", "1"]


def test_record(tmp_path):
	record = Record("rfc", "7.3.4", "abc", 2, {"gup.c:f:relational-1:<=": "killed", "gup.c:f:drop-put-1:a[\"b\"]": "not reached"})
	path = score.place(tmp_path, "rfc", "7.3.4")
	assert score.load(path) is None
	path.write_text(score.text_of(record, "mutants --generated"), encoding="utf-8")
	assert score.load(path) == record and list(score.load(path).fates) == list(record.fates)
	assert "1 of 2" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("text, said", [("[", "record"), ("series = 'rfc'\n", "missing"),
					("series = 'rfc'\nkernel = ''\nseed = ''\nsample = 1\n[fates]\na = 'asleep'\n", "unknown outcome 'asleep'")])
def test_record_that_makes_no_sense(tmp_path, text, said):
	(tmp_path / "record.toml").write_text(text, encoding="utf-8")
	with pytest.raises(UsageError, match=said):
		score.load(tmp_path / "record.toml")


@pytest.mark.parametrize("before, now, changed", [
	("killed", "survived", ("alive",)), ("hung", "not reached", ("alive",)), ("dies at boot", "same object", ("alive",)),
	("survived", "killed", ("noticed",)), ("not built", "hung", ("noticed",)), ("killed", "hung", ()), ("survived", "not reached", ()),
	("killed", "invalid", ()), ("equivalent", "survived", ()), ("equivalent", "killed", ())])
def test_who_changed_sides(before, now, changed):
	alive, noticed = score.changed_sides(Record("rfc", "7.3.4", "s", 1, {"a": before}), {"a": now, "b": now})
	assert (alive, noticed) == (["a"] if "alive" in changed else [], ["a"] if "noticed" in changed else [])


def test_guards_are_booted_ones_of_both_sides():
	fates = {f"gup.c:f:o-{number}:x": "killed" if number % 2 else "survived" for number in range(40)}
	fates = {"mm.h:f:o-1:x": "killed", "gup.c:f:p-1:x": "not reached"} | fates
	guards = score.guards(Record("rfc", "7.3.4", "s", 42, fates), 9)
	assert list(guards.values()) == ["killed"] * 6 + ["survived"] * 3
	assert list(guards)[0] == "gup.c:f:o-1:x" and list(guards)[-1] == "gup.c:f:o-4:x"


def test_survivors_that_were_read():
	there = road.load(GENERATED / "road.toml").functions
	read = tomllib.loads((GENERATED / "survivors.toml").read_text(encoding="utf-8"))["survivor"]
	assert len({entry["name"] for entry in read}) == len(read) == 150
	for entry in read:
		file, function, operator, _ = entry["name"].split(":", 3)
		assert any(Path(name).name == file and function in functions for name, functions in there.items()), entry["name"]
		assert re.fullmatch(r"[a-z-]+-\d+", operator), entry["name"]
		assert entry.keys() == {"name", "verdict", "why", *(["see"] if entry["verdict"] == "missed" else [])}, entry["name"]
		assert entry["verdict"] in ("missed", "equivalent", "nobody's") and all(entry.values()), entry["name"]


def test_newest_record_of_a_series(tmp_path):
	for name in ("rfc-7.3.4", "rfc-7.3.10", "rfc2-7.4", "none-7.3.11"):
		(tmp_path / f"{name}.toml").write_text(f'series = "rfc"\nkernel = "{name}"\nseed = "s"\nsample = 1\n[fates]\n')
	assert score.newest(tmp_path, "rfc").kernel == "rfc-7.3.10" and score.newest(tmp_path, "other") is None
