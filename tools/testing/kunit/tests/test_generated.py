# SPDX-License-Identifier: GPL-2.0
"""Trying generated mutants: outcomes that are honest, lines that are reached, runs that go on."""

import json
import re
from dataclasses import asdict, replace

import pytest

from logs import changed, inserted, lines_of, read
from pinwait.commands import generated
from pinwait.kernel import quick
from pinwait.mutation import generate, score
from pinwait.commands.generated import Asked, Reach
from pinwait.log.results import LogLine, Outcome
from pinwait.mutation.score import Fate, Record
from pinwait.util.errors import UsageError

GOOD = lines_of("two-suites")
BEFORE = {case.id: case.status for case in read(GOOD).cases}


def _settle(lines, hung=False, failed=False, before=None):
	booted = quick.Booted([LogLine(text, None) for text in lines], failed, hung)
	return generated.settle(read(lines, hung), booted, BEFORE if before is None else before, set())


@pytest.mark.parametrize("lines, hung, failed, outcome, killer", [
	(GOOD, False, False, "survived", "the suite passes"),
	(GOOD, True, False, "survived", "the suite passes"),	# it came to its end just before the limit
	(changed(GOOD, "    ok 2 ok_only", "    not ok 2 ok_only"), False, False, "killed", "calm.ok_only"),
	(changed(GOOD, "    ok 2 ok_only", "    not ok 2 ok_only")[:GOOD.index("[    0.040000]     ok 2 ok_only") + 1], False, True, "killed", "calm.ok_only"),
	(changed(GOOD, "    ok 2 ok_only", "    ok 2 ok_only # SKIP no"), False, False, "killed", "calm.ok_only: skip"),
	(changed(GOOD, "    ok 2 ok_only", None), False, False, "killed", "calm.ok_only does not run"),
	(inserted(GOOD, "    ok 2 ok_only", "WARNING: mm/gup.c:1 at f+0x1/0x2, CPU#0: a/1"), False, False, "killed", "WARNING in calm"),
	(GOOD[:-6], True, False, "hung", "hang in splat.ok_last"),
	(GOOD[:-6], False, False, "killed", "truncated in splat.ok_last"),
	([*GOOD[:-6], "Kernel panic - not syncing: Oops"], False, False, "killed", "panic"),
	([*GOOD[:10], "Kernel panic - not syncing: VFS"], False, False, "dies at boot", "Kernel panic"),
	(GOOD[:10], True, False, "dies at boot", "hangs"),
])
def test_outcome(lines, hung, failed, outcome, killer):
	got = _settle(lines, hung, failed)
	assert got[0] == outcome and killer in got[1]


def test_what_fails_without_a_mutant_kills_none():
	lines = changed(GOOD, "    ok 2 ok_only", "    not ok 2 ok_only")
	before = {case.id: case.status for case in read(lines).cases}
	assert _settle(lines, before=before)[0] == "survived"
	assert _settle(GOOD, before=before)[0] == "survived"
	worse = changed(lines, "    ok 2 ok_last", "    not ok 2 ok_last")
	assert _settle(worse, before=before) == ("killed", "splat.ok_last")


SOURCE = ["int f(void)", "{", "	if (a &&", "	    b)", "		return 1;", "#ifdef X", "	c();", "#endif", "	return 0;", "}"]


@pytest.mark.parametrize("line, owner, never", [(3, 3, False), (4, 3, False), (5, 5, True), (7, 0, False), (9, 9, False)])
def test_reach(line, owner, never):
	reach = Reach({"mm/a.c": SOURCE}, {"mm/a.c": {1: 1, 3: 2, 5: 0, 9: 2}})
	variant = generate.Variant("a.c:f:o-1:x", "mm/a.c", "f", "o", "", line, 0, 1, "x")
	assert (reach.owner(variant), reach.never(variant)) == (owner, never)


def test_file_that_gcov_does_not_know_has_to_be_tried():
	variant = generate.Variant("b.c:f:o-1:x", "mm/a.c", "f", "o", "", 3, 0, 1, "x")
	assert not Reach({"mm/a.c": SOURCE}, {}).never(variant)


@pytest.mark.parametrize("asked", [
	Asked(sample=-1), Asked(names=("a:b",), sample=3), Asked(names=("a:b",), seed="x"), Asked(names=("a:b",), functions=("f",)),
	Asked(names=("a:b",), record=True), Asked(functions=("f",), record=True)])
def test_choice_that_makes_no_sense(asked):
	with pytest.raises(UsageError):
		generated._check(asked, "uml")


def _fate(name, outcome, digest=""):
	return Fate(name, "mm/a.c", "f", "relational", "", 1, outcome, digest=digest)


def _left(folder, name, header, fates, more=""):
	place = folder / name
	place.mkdir()
	(place / generated.LINES).write_text("".join(json.dumps(line) + "\n" for line in [header, *map(asdict, fates)]) + more, encoding="utf-8")
	return place


def test_resumed_is_what_was_found_of_the_same_job(tmp_path):
	fates = [_fate("a", "killed"), _fate("b", "survived")]
	_left(tmp_path, "1", {"job": 1}, fates, more='{"name": "c", "fi')
	_left(tmp_path, "2", {"job": 2}, fates[:1])
	assert generated.resumed(tmp_path, {"job": 1}) == {"a": fates[0], "b": fates[1]}
	assert generated.resumed(tmp_path, {"job": 2}) == {"a": fates[0]}
	assert generated.resumed(tmp_path, {"job": 3}) == {}


def test_a_job_that_came_to_its_end_is_done_anew(tmp_path):
	(_left(tmp_path, "1", {"job": 1}, [_fate("a", "killed")]) / generated.RESULT).touch()
	assert generated.resumed(tmp_path, {"job": 1}) == {}


@pytest.mark.parametrize("outcome, verdict, said", [
	("killed", Outcome.PASS, "1 of 1"), ("survived", Outcome.FAIL, "came to life: a"), ("invalid", Outcome.PASS, "0 of 0")])
def test_verdict_is_about_the_record(outcome, verdict, said):
	got = generated.judged([_fate("a", outcome)], Record("rfc", "7.3.4", "s", 1, {"a": "killed"}))
	assert got.outcome is verdict and said in got.reason
	assert generated.judged([_fate("a", outcome)], None).outcome is Outcome.PASS


def test_record_is_of_the_default_profile():
	with pytest.raises(UsageError, match="a record is of profile uml"):
		generated._check(generated.Asked(record=True), "x86_64")


def test_record_is_of_the_same_seed_unless_mutants_are_named(tmp_path, monkeypatch):
	monkeypatch.setattr(generated, "SCORES", tmp_path)
	record = Record("rfc", "7.3.4", "s", 1, {"a": "killed"})
	score.place(tmp_path, "rfc", "7.3.4").write_text(score.text_of(record, ""), encoding="utf-8")
	job = {"series": "rfc", "kernel": "7.3.4", "seed": "s", "names": [], "profile": "uml"}
	assert generated.recorded(job | {"profile": "x86_64"}) is None
	assert generated.recorded(job) == record and generated.recorded(job | {"seed": "t", "names": ["a"]}) == record
	assert generated.recorded(job | {"seed": "t"}) is None and generated.recorded(job | {"kernel": "7.3.5"}) is None


def test_report_has_each_mutant():
	text = generated.report([_fate("a", "killed"), _fate("b", "survived"), _fate("c", "equivalent")], ["head"])
	assert re.search(r"^further away .* 1 of 2, 50%", text, re.MULTILINE) and not re.search("^near ", text, re.MULTILINE)
	near = generated.report([replace(_fate("a", "killed"), near=True), _fate("b", "survived")], ["head"])
	assert re.search(r"^near .* 1 of 1, 100%", near, re.MULTILINE)
	for part in ("head", "by function:", "mm/a.c f", "survived:\n  mm/a.c:1: b: ", "equivalent:\n  mm/a.c:1: c: "):
		assert part in text
