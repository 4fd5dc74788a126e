# SPDX-License-Identifier: GPL-2.0
"""Mutants: a corpus that makes sense and leaves no line out, and an outcome that is honest."""

import difflib
import io
import re
import shutil
from types import SimpleNamespace

import pytest

from logs import TREE, changed, judge, lines_of
from pinwait.commands import mutants
from pinwait.log.results import Case, Ending, LogResult, Outcome, Splat, Status, Verdict
from pinwait.mutation import corpus
from pinwait.mutation.promises import Promise, Section
from pinwait.source import series, store
from pinwait.source.options import Options
from pinwait.util.errors import CannotJudge, UsageError
from pinwait.util.progress import Progress
from pinwait.util.project import MUTANTS, PROJECT

CASES = ("calm.ok_first", "calm.ok_only", "splat.ok_first", "splat.ok_last")
GOOD = "[[mutant]]\nname = 'a'\nold = 'x'\nnew = 'y'\nwhy = 'z'\n"
# Lines that no mutant can make wrong and still compile: they say nothing that is done at run time.
EXEMPT = re.compile(r"""
	\s* (?: [{}] | /?\*.* | \*/ | \#include\s.* )?				# blank, brace, comment, include
	| (?:DECLARE_|EXPORT_SYMBOL)\w*\(.*\);						# declarations by macro
	| (?:static\s|inline\s|struct\s|void\s|int\s|bool\s|enum\s|unsigned\s|long\s|const\s)+[\w\s*]*\w\(.*[,;)]	# heads
	| \s+ (?:struct\s|enum\s|int\s|bool\s|unsigned\s|long\s)[\w\s*,]*[;,)]			# variables, more parameters
	""", re.VERBOSE)


def _corpus(folder, text):
	(folder / "corpus.toml").write_text(text, encoding="utf-8")
	return corpus.load(folder)


def _mutant(old, new):
	return corpus.Mutant("a", "f", old, new, "")


def test_corpus(tmp_path):
	(one,) = _corpus(tmp_path, "file = 'mm/a.h'\nrebuild = ['mm/a.o']\n" + GOOD + "profile = 'p'\n")
	assert (one.name, one.file, one.rebuild, one.profile) == ("a", "mm/a.h", ("mm/a.o",), "p")
	assert one.applied("1x2") == "1y2"


@pytest.mark.parametrize("text", ["1", "xx"])
def test_text_has_to_stand_there_once(text):
	with pytest.raises(UsageError, match="mutant a: its `old` stands [02] times in f"):
		_mutant("x", "y").applied(text)


@pytest.mark.parametrize("old, new, result", [
	("b\n", "", "a\n#line 3\nc d\ne\n"),
	("b\n", "x\ny\n", "a\nx\ny\n#line 3\nc d\ne\n"),
	("b\n", "x\n", "a\nx\nc d\ne\n"),
	("b\nc", "x", "a\nx d\n#line 4\ne\n"),
	("c", "x\ny", "a\nb\nx\ny d\n#line 4\ne\n"),
])
def test_lines_after_a_mutation_keep_their_numbers(old, new, result):
	assert _mutant(old, new).applied("a\nb\nc d\ne\n") == result


@pytest.mark.parametrize("text, said", [
	(GOOD, "mutant a needs"), ("file = 'f'\n" + GOOD + "extra = 'e'\n", "and nothing else"),
	("file = 'f'\n" + GOOD + GOOD, "two mutants have the name a"), ("file = 'f'\n", "holds no mutants"),
	("file = 'f'\n" + GOOD.replace("'y'", "'x'"), "changes nothing"), ("file = ", "corpus.toml"),
])
def test_corpus_that_makes_no_sense(tmp_path, text, said):
	with pytest.raises(UsageError, match=said):
		_corpus(tmp_path, text)


def test_unknown_name(tmp_path):
	_corpus(tmp_path, "file = 'f'\n" + GOOD)
	assert [one.name for one in corpus.load(tmp_path, ["a"])] == ["a"]
	with pytest.raises(UsageError, match="unknown mutant 'b'; there are: a"):
		corpus.load(tmp_path, ["b"])


def test_sample_is_spread_and_always_the_same():
	there = [corpus.Mutant(str(number), "f", "x", "y", "") for number in range(10)]
	odd = [corpus.Mutant("p", "f", "x", "y", "", profile="uml-debug"), corpus.Mutant("e", "f", "x", "y", "", equivalent="so")]
	assert [one.name for one in corpus.sample(odd + there, 4)] == ["0", "2", "5", "7"]
	assert corpus.sample(odd + there, 99) == there


@pytest.mark.parametrize("names, sample", [((), -1), (("a",), 3)])
def test_wrong_use_of_a_sample(names, sample):
	with pytest.raises(UsageError, match="a sample"):
		mutants.mutants(Options(), names, sample)


@pytest.mark.parametrize("lines, timed_out, outcome, killer", [
	(lines_of("two-suites"), False, "survived", "the suite passes"),
	(changed(lines_of("two-suites"), "    ok 2 ok_only", "    not ok 2 ok_only"), False, "killed", "calm.ok_only and 0 more"),
	(changed(lines_of("two-suites"), "    ok 2 ok_only", None), False, "killed", "1 listed case"),
	(lines_of("two-suites")[:-12], True, "hung", "hung"),
	(lines_of("bad-filter"), False, "invalid", "error filtering"),
])
def test_outcome(tmp_path, lines, timed_out, outcome, killer):
	answer, log = judge(tmp_path, lines, *CASES, timed_out=timed_out)
	fate = mutants.Fate("a", "f", "", "uml")
	mutants._settle(fate, log, answer)
	assert fate.outcome == outcome and killer in fate.killer


@pytest.mark.parametrize("equivalent, outcome, said", [
	("", "killed", "killed"), ("", "survived", "survived"), ("", "hung", "hung"), ("", "equivalent", "not-as-listed"),
	("object", "equivalent", "equivalent"), ("object", "survived", "not-as-listed"), ("object", "killed", "not-as-listed"),
	("a proof", "survived", "equivalent"), ("a proof", "killed", "not-as-listed"), ("a proof", "equivalent", "not-as-listed"),
	("a proof", "hung", "hung"), ("object", "invalid", "invalid"),
])
def test_equivalence_is_neither_assumed_nor_found_by_chance(equivalent, outcome, said):
	fate = mutants.Fate("a", "f", "", "uml", outcome, "killer")
	mutants._compare(fate, equivalent)
	assert fate.outcome == said
	assert fate.good is (said in ("killed", "equivalent"))


def test_score():
	fates = [mutants.Fate(str(number), "f", "", "uml", outcome)
		 for number, outcome in enumerate(["killed", "equivalent", "survived", "killed"])]
	assert mutants.score(fates).exit_code == 1
	assert mutants.score(fates).reason == "2 of 3 mutants killed, 1 equivalent as listed; not 2"
	assert mutants.score(fates[:2]).exit_code == 0
	absent = mutants.Fate("x", "f", "", "uml", mutants.ABSENT)
	assert mutants.score([*fates[:2], absent]).reason == "1 of 1 mutants killed, 1 equivalent as listed, 1 not of this kernel"
	assert mutants.score([*fates[:2], absent]).exit_code == 0


@pytest.fixture(name="applied", scope="module")
def _applied():
	"""The repository of the prepared kernel, its base, and the commit of the series on it."""
	tree = TREE
	ready = store.load(tree)
	assert ready
	# Composed already by what prepared the kernel, so the worktree's lock is not needed.
	return ready.git, *(series.apply(ready, series.find(PROJECT / "patches", name, ready, Progress()))
			    for name in (series.NONE, series.DEFAULT))


def _touched(before, after):
	"""Give the lines of a text that differ in another. All before and behind them would take a matcher seconds."""
	most = min(len(before), len(after))
	head = next((index for index in range(most) if before[index] != after[index]), most)
	tail = next((index for index in range(most - head) if before[-1 - index] != after[-1 - index]), most - head)
	matcher = difflib.SequenceMatcher(None, before[head:len(before) - tail], after[head:len(after) - tail], autojunk=False)
	return [head + index for kind, start, end, *_ in matcher.get_opcodes() if kind != "equal" for index in range(start, end)]


def test_every_line_of_the_series_has_a_mutant(applied):
	git, base, commit = applied
	there = corpus.load(MUTANTS)
	left = []
	for file in git("diff", "--name-only", base, commit).splitlines():
		text = git("cat-file", "blob", f"{commit}:{file}") + "\n"
		lines = text.splitlines()
		touched = set()
		for mutant in (one for one in there if one.file == file):
			touched.update(_touched(lines, mutant.applied(text).splitlines()))
		for hunk in re.finditer(r"^@@ -\S+ \+(\d+)(?:,(\d+))? @@", git("diff", "-U0", base, commit, "--", file), re.MULTILINE):
			first = int(hunk[1]) - 1
			left += [f"{file}:{number + 1}: {lines[number]}" for number in range(first, first + int(hunk[2] or 1))
				 if number not in touched and not EXEMPT.fullmatch(lines[number])]
	assert not left


def test_corpus_is_large_enough_and_fits():
	there = corpus.load(MUTANTS)
	assert len(there) >= 120
	assert all(one.rebuild for one in there if one.file.endswith(".h"))
	assert all(len(one.equivalent) > 20 or one.equivalent in ("", corpus.SAME_OBJECT) for one in there)


class _Bench:
	"""A bench that breaks down where it is told to."""

	def __init__(self, where):
		self.where = where

	def _step(self, name):
		if self.where == name:
			raise CannotJudge(f"{name} does not work")
		return True

	def replace(self, file, text):
		pass

	def restore(self, file, compiled):
		pass

	def compile(self, compiled, log):
		return self._step("compile")

	def relink(self, log):
		self._step("relink")


@pytest.mark.parametrize("complete, where, outcome", [
	(True, "compile", "invalid"), (True, "relink", "invalid"), (False, "compile", "absent"), (False, "relink", "invalid")])
def test_only_what_does_not_compile_is_not_of_the_kernel(tmp_path, complete, where, outcome):
	shop = object.__new__(mutants.Shop)
	shop.session, shop.objects, shop.complete = SimpleNamespace(profile=SimpleNamespace(name="uml"), folder=tmp_path), {"a": ["f.o"]}, complete
	shop.source = lambda file: "x"
	fate = shop.attempt(_Bench(where), _mutant("x", "y"))
	assert (fate.outcome, fate.killer) == (outcome, f"{where} does not work")


def test_a_panic_does_not_hide_the_cases_of_a_mutants_promises(tmp_path, monkeypatch):
	"""They may come after the one that panics: their suites are booted alone."""
	shop = object.__new__(mutants.Shop)
	shop.session, shop.objects = SimpleNamespace(profile=SimpleNamespace(name="uml"), folder=tmp_path), {"a": ["f.o"]}
	shop.source, shop.narrow = lambda file: "x", False
	panic, own = (LogResult(started=True, ending=ending, cases=[Case("s", name, None, Status.FAIL, 1.0, 1.0, "")])
		      for ending, name in ((Ending.PANIC, "first"), (Ending.FINISHED, "promised")))
	monkeypatch.setattr(mutants.Shop, "seen", lambda self, bench, folder, output, suite="": (panic, Verdict(Outcome.FAIL, "panic")))
	found = (own, Verdict(Outcome.FAIL, "s.promised"))
	for case, alone, killers in (("s.promised", found, ["s.promised"]), ("s.promised", None, ["s.first"]), ("s.first", found, ["s.first"])):
		monkeypatch.setattr(mutants.promises, "load", lambda _path, case=case: [Section("all", (Promise("it", (case,), ("a",)),))])
		monkeypatch.setattr(mutants.Shop, "promised", lambda self, bench, name, folder, output, alone=alone: alone)
		fate = shop.attempt(_Bench(""), _mutant("x", "y"))
		shutil.rmtree(tmp_path / "mutants")
		assert (fate.outcome, fate.killers) == ("killed", killers)


def test_time_limit_of_a_profile_is_not_that_of_the_next(tmp_path, monkeypatch):
	"""The suite of another one may take far longer."""
	session = SimpleNamespace(options=Options(), timeout=900, folder=tmp_path, progress=Progress(io.StringIO()))
	shop = object.__new__(mutants.Shop)
	shop.session, shop.objects = session, {}
	monkeypatch.setattr(mutants.Shop, "bench", lambda self, number: None)
	monkeypatch.setattr(mutants.Shop, "judged", lambda self, bench, folder, suite="": (SimpleNamespace(wall_seconds=1.0), Verdict(Outcome.PASS, "")))
	shop.prove()
	assert (shop.session.options.timeout, session.options.timeout) == (40, 0)


def _promised(monkeypatch, fails, splats=()):
	"""Try mutant m of two promises, of suites one and two; return which suites were booted, and what that decided."""
	rows = [Promise("first", ("one.a", "two.a"), ("m",)), Promise("second", ("two.b",), ("m",)), Promise("third", ("three.a",), ("other",))]
	monkeypatch.setattr(mutants.promises, "load", lambda _path: [Section("all", tuple(rows))])
	shop, booted = object.__new__(mutants.Shop), []
	shop.session = SimpleNamespace(cases=SimpleNamespace(select=lambda _profile: [SimpleNamespace(suite=name) for name in ("one", "two", "three")]),
				       profile=SimpleNamespace(name="x86_64"))

	def judged(_bench, _folder, suite):
		booted.append(suite)
		cases = [Case(suite, name, None, Status.FAIL if f"{suite}.{name}" in fails else Status.PASS, 1.0, 1.0, "") for name in ("a", "b")]
		log = LogResult(cases=cases, started=True, ending=Ending.FINISHED, splats=list(splats))
		return log, Verdict(Outcome.FAIL if any(case.status is Status.FAIL for case in cases) else Outcome.PASS, "")
	shop.judged = judged
	bench = SimpleNamespace(link=lambda _output: booted.append("link"))
	decided = shop.promised(bench, "m", None, None)
	return booted, decided and (decided[1].outcome, sorted(case.id for case in decided[0].cases if case.status is Status.FAIL))


@pytest.mark.parametrize("fails, suites, found", [
	({"one.a", "two.b"}, ["one", "two"], (Outcome.FAIL, ["one.a", "two.b"])), ({"two.b"}, ["one", "two"], None),
	({"two.a", "two.b"}, ["one", "two"], (Outcome.FAIL, ["two.a", "two.b"])), (set(), ["one", "two"], None)])
def test_the_suites_of_its_promises_decide_about_a_mutant(monkeypatch, fails, suites, found):
	assert _promised(monkeypatch, fails) == (suites, found)


def test_a_complaint_is_seen_with_the_right_symbols(monkeypatch):
	booted, decided = _promised(monkeypatch, {"one.a", "two.b"}, [Splat("WARNING", None, 1, "")])
	assert booted == ["one", "link", "one", "two", "link", "two"] and decided == (Outcome.FAIL, ["one.a", "two.b"])


def test_a_mutant_of_no_promise_needs_all_suites(monkeypatch):
	monkeypatch.setattr(mutants.promises, "load", lambda _path: [])
	shop = object.__new__(mutants.Shop)
	shop.session = SimpleNamespace(cases=SimpleNamespace(select=lambda _profile: []), profile=SimpleNamespace(name="x86_64"))
	assert shop.promised(None, "m", None, None) is None
