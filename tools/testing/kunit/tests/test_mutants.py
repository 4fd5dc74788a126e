# SPDX-License-Identifier: GPL-2.0
"""Mutants: a corpus that makes sense, an outcome that is honest, and a tree that is restored."""

import os
from types import SimpleNamespace

import pytest

import fakes
from logs import changed, judge, lines_of
from pinwait import mutants
from pinwait.errors import UsageError

CASES = ("calm.ok_first", "calm.ok_only", "splat.ok_first", "splat.ok_last")
GOOD = "[[mutant]]\nname = 'a'\nold = 'x'\nnew = 'y'\nwhy = 'z'\n"


def _corpus(folder, text):
	(folder / "corpus.toml").write_text(text, encoding="utf-8")
	return mutants.load(folder)


def test_corpus(tmp_path):
	(one,) = _corpus(tmp_path, "file = 'mm/a.h'\nrebuild = ['mm/a.o']\n" + GOOD)
	assert (one.name, one.file, one.rebuild) == ("a", "mm/a.h", ("mm/a.o",))
	assert one.applied("1x2") == "1y2"


@pytest.mark.parametrize("text", ["1", "xx"])
def test_text_has_to_stand_there_once(tmp_path, text):
	(one,) = _corpus(tmp_path, "file = 'f'\n" + GOOD)
	with pytest.raises(UsageError, match="mutant a: its `old` stands [02] times in f"):
		one.applied(text)


@pytest.mark.parametrize("text, said", [
	(GOOD, "mutant a needs"), ("file = 'f'\n" + GOOD + "extra = 'e'\n", "and nothing else"),
	("file = 'f'\n" + GOOD + GOOD, "another mutant a"), ("file = 'f'\n", "holds no mutants"),
	("file = 'f'\n" + GOOD.replace("'y'", "'x'"), "changes nothing"), ("file = ", "corpus.toml"),
])
def test_corpus_that_makes_no_sense(tmp_path, text, said):
	with pytest.raises(UsageError, match=said):
		_corpus(tmp_path, text)


def test_unknown_name(tmp_path):
	_corpus(tmp_path, "file = 'f'\n" + GOOD)
	assert [one.name for one in mutants.load(tmp_path, ["a"])] == ["a"]
	with pytest.raises(UsageError, match="unknown mutant 'b'; there are: a"):
		mutants.load(tmp_path, ["b"])


def test_projects_own_corpus():
	corpus = mutants.load(mutants.CORPUS)
	assert len(corpus) > 80
	assert all(one.rebuild for one in corpus if one.file.endswith(".h"))


@pytest.mark.parametrize("lines, timed_out, outcome, killer", [
	(lines_of("two-suites"), False, "survived", ""),
	(changed(lines_of("two-suites"), "    ok 2 ok_only", "    not ok 2 ok_only"), False, "killed", "calm.ok_only and 0 more"),
	(changed(lines_of("two-suites"), "    ok 2 ok_only", None), False, "killed", "1 listed case"),
	(lines_of("two-suites")[:-12], True, "hung", "hung"),
	(lines_of("bad-filter"), False, "invalid", "error filtering"),
])
def test_outcome(tmp_path, lines, timed_out, outcome, killer):
	answer, log = judge(tmp_path, lines, *CASES, timed_out=timed_out)
	found = mutants._outcome(log, answer)
	assert found[0] == outcome and killer in found[1]


@pytest.mark.parametrize("rebuild", [(), ("mm/a.o",)])
def test_tree_is_restored(tmp_path, rebuild):
	tree, obj = tmp_path / "tree", tmp_path / "obj"
	fakes.write(tree, {"mm/a.h": "1 x\n"})
	header, compiled = tree / "mm/a.h", obj / "mm/a.o"
	os.utime(header, (1000, 1000))
	mutant = mutants.Mutant("a", "mm/a.h", "x", "y", "", rebuild)
	fakes.write(obj, {"mm/a.o": "old"})
	with mutants._mutated(SimpleNamespace(tree=tree), obj, mutant):
		assert header.read_text() == "1 y\n"
		assert compiled.exists() is not bool(rebuild)
		assert (header.stat().st_mtime == 1000) is bool(rebuild)
		fakes.write(obj, {"mm/a.o": "mutated"})
	assert header.read_text() == "1 x\n"
	assert compiled.exists() is not bool(rebuild)
	assert (header.stat().st_mtime == 1000) is bool(rebuild)


def test_tree_is_restored_after_an_error(tmp_path):
	fakes.write(tmp_path, {"mm/a.c": "x\n"})
	with pytest.raises(RuntimeError), mutants._mutated(SimpleNamespace(tree=tmp_path), tmp_path,
							   mutants.Mutant("a", "mm/a.c", "x", "y", "", ())):
		raise RuntimeError
	assert (tmp_path / "mm/a.c").read_text() == "x\n"
