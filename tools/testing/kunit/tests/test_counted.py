# SPDX-License-Identifier: GPL-2.0
"""Counters in some objects of a built kernel, with a make, a kernel and a gcov that are not the real ones."""

from pathlib import Path

import pytest

from pinwait.gate import counted, lint
from pinwait.kernel import boot, gcov
from pinwait.kernel.boot import Boot, Console
from pinwait.kernel.build import Built, Request
from pinwait.kernel.profile import Profile
from pinwait.log.results import Ending, LogResult
from pinwait.source.store import Kernel
from pinwait.util.errors import CannotJudge
from pinwait.util.progress import Progress


class Bench:
	"""A folder of objects; what the kernel there does when it is booted is up to the test."""

	def __init__(self, path: Path):
		self.tree, self.obj, self.folder = path / "tree", path / "obj", path / "results"
		for folder in (self.tree, self.obj / "mm", self.folder):
			folder.mkdir(parents=True)
		(self.obj / "linux").write_text("kernel", encoding="utf-8")
		self.counters = self.obj / "mm/gup.gcda"
		self.counters.write_text("of an earlier boot", encoding="utf-8")
		self.profile = Profile("uml", "", (), "um", (), 60, True, 1)
		self.made: list[list[str]] = []
		self.good, self.writes, self.ending = True, True, Ending.FINISHED
		self.writable: list[Path] = []

	def compile(self, _tree, _obj, sources, words, *_):
		"""Stand in for lint.compile_with()."""
		self.made.append([*words, *sources])
		return self.good, "" if self.good else "mm/gup.c:7:1: error: no\n"

	def make(self, _tree, obj, words, *_):
		"""Stand in for lint.make()."""
		self.made.append(words)
		(obj / counted.KERNEL).write_text("counting kernel", encoding="utf-8")
		return True, ""

	def run(self, how, folder, _progress):
		"""Stand in for Boot.run()."""
		assert folder == self.folder and (how.built.obj / "linux").read_text(encoding="utf-8") == "counting kernel"
		assert not self.counters.exists(), "the boot would add to earlier counts"
		self.writable = [how.built.obj, *how.writable]
		if self.writes:
			self.counters.write_text("counts", encoding="utf-8")
		return Console()

	def count(self):
		"""Return the counts, and check that the kernel that was built is still there, and the other one gone."""
		how = Boot(Kernel("7.3", self.tree, "7.3", "", ""), Built(self.obj, ""), self.profile)
		try:
			return counted.count(how, ["mm/gup.c"], Request(self.profile, 1), self.obj, self.folder, Progress())
		finally:
			assert (self.obj / "linux").read_text(encoding="utf-8") == "kernel"
			assert not (self.folder / counted.KERNEL).exists()


@pytest.fixture
def bench(tmp_path, monkeypatch):
	made = Bench(tmp_path)
	monkeypatch.setattr(lint, "compile_with", made.compile)
	monkeypatch.setattr(lint, "make", made.make)
	monkeypatch.setattr(boot.Boot, "run", lambda how, folder, progress: made.run(how, folder, progress))
	monkeypatch.setattr(boot.Boot, "read", lambda _how, _console: LogResult(ending=made.ending))
	monkeypatch.setattr(gcov, "read_counters", lambda paths, _obj, _tree: {"mm/gup.c": {len(list(paths)): gcov.Line(1)}})
	return made


def test_counts(bench):
	assert list(bench.count()["mm/gup.c"]) == [1]
	compiled, linked = bench.made
	assert compiled[-1] == "mm/gup.c" and "-ftest-coverage" in compiled[0] and linked[-1] == counted.KERNEL
	assert bench.obj in bench.writable


def test_does_not_compile_with_counters(bench):
	bench.good = False
	with pytest.raises(CannotJudge, match="no kernel with counters: .*\n.*mm/gup.c:7:1: error: no"):
		bench.count()


@pytest.mark.parametrize("ending", [Ending.HANG, Ending.PANIC, Ending.FINISHED])
def test_no_counts(bench, ending):
	"""A kernel that ended has told all there is: an object without functions has no counters."""
	bench.writes, bench.ending = False, ending
	if ending is Ending.FINISHED:
		assert list(bench.count()["mm/gup.c"]) == [0]
	else:
		with pytest.raises(CannotJudge, match=ending.value):
			bench.count()


@pytest.mark.parametrize("text, branches, answer", [
	("\tif (sizeof(pte_t) > sizeof(long)) {", [], True), ("\t} else if (IS_ENABLED(CONFIG_X)) {", [], True),
	("\tif (IS_ENABLED(CONFIG_X) &&\n\t    order) {", [], True), ("\tif (order &&\n\t    IS_ENABLED(CONFIG_X)) {", [], True),
	("\tif (IS_ENABLED(CONFIG_X) && order) {", [True, False], False), ("\tif (order)\n\t\tsize = sizeof(page);", [], False),
	("\tsize = sizeof(page);", [], False)])
def test_an_if_that_the_compiler_decides_is_no_code(text, branches, answer):
	line = gcov.Line(6, [branches] if branches else [])
	assert counted.decided(text.split("\n"), 1, line) is answer
