# SPDX-License-Identifier: GPL-2.0
"""What comes of a state is kept only if it is the state's, and whole."""

import io
import json
from dataclasses import replace

import fakes
import pytest

from pinwait.gate import attempt
from pinwait.kernel import build
from pinwait.kernel.profile import Profile
from pinwait.log.results import Case, Ending, LogResult, Outcome, Status, Verdict
from pinwait.util.errors import CannotJudge
from pinwait.util.progress import Progress

# Compiles what is not compiled, with a warning as a compiler has it; stops short, or breaks, if it is told to.
KUNIT = """
import os, pathlib, signal, sys
obj = pathlib.Path(next(a for a in sys.argv if a.startswith("--build_dir="))[12:])
(obj / ".config").write_text("config")
if sys.argv[1] == "build":
	for name in ("a", "b"):
		if not (obj / f"{name}.o").exists():
			(obj / f"{name}.o").write_text("")
			print(f"mm/{name}.c:1:2: warning: odd", flush=True)
		if (obj / "stop").exists():
			os.kill(os.getppid(), signal.SIGINT)
			signal.pause()
	if (obj / "fault").exists():
		sys.exit((obj / "fault").read_text())
	(obj / "linux").write_text("binary")
"""
WARNINGS = ["mm/a.c:1:2: warning: odd", "mm/b.c:1:2: warning: odd"]


@pytest.fixture(name="trials")
def _trials(tmp_path, monkeypatch):
	kernel = fakes.prepared(tmp_path / "7.3.4-1", KUNIT)
	fakes.write(tmp_path, {"uml.config": "CONFIG_KUNIT=y\n", "cases": ""})
	request = build.Request(Profile("uml", "", (tmp_path / "uml.config",), "um", (), 60, True, 10), jobs=1)
	expected = type("Expected", (), {"path": tmp_path / "cases"})()
	made = attempt.Trials(kernel, request, expected, tmp_path / "gate", tmp_path, lambda _commit: "none")
	made.ending = Ending.FINISHED
	made.obj.mkdir(parents=True)
	log = LogResult([Case("s", "c", None, Status.PASS, 1.0, 0.1, "")], [], [], [], True, Ending.FINISHED)
	made.booted = 0

	def boot(self, _result, folder, *_args):
		self.booted += 1
		(folder / attempt.LOG).write_text(f"boot {self.booted}")
		return replace(log, ending=self.ending), Verdict(Outcome.PASS, "")
	monkeypatch.setattr(attempt.Trials, "boot", boot)
	return made


def _attempt(trials, **more):
	return trials.attempt(trials.kernel.base_commit, Progress(io.StringIO()), **more)


def test_kept(trials):
	assert not _attempt(trials).cached
	again = _attempt(trials)
	assert again.cached and again.warnings == WARNINGS


def test_booted_anew(trials):
	built = _attempt(trials)
	trials.anew = True
	(trials.obj / "fault").write_text("it is not built again")
	again = _attempt(trials)
	assert not again.cached and again.warnings == WARNINGS and again.folder == built.folder
	assert trials.booted == 2 and (again.folder / attempt.LOG).read_text() == "boot 2"
	trials.ending = Ending.TRUNCATED
	_attempt(trials)
	assert not trials.known(trials.kernel.base_commit)


def test_what_does_not_build_is_not_booted_anew(trials):
	(trials.obj / "fault").write_text("mm/a.c:1:1: error: broken")
	assert _attempt(trials).error
	trials.anew = True
	assert _attempt(trials).cached and not trials.booted


def test_without_its_objects_a_result_is_of_no_use_to_who_needs_them(trials):
	_attempt(trials)
	trials.obj.rename(trials.obj.with_name("away"))
	assert _attempt(trials).cached
	assert not _attempt(trials, objects=True).cached


def test_log_that_just_ends_is_not_kept(trials):
	trials.ending = Ending.TRUNCATED
	assert not _attempt(trials).cached and not _attempt(trials).cached


def test_warnings_of_a_build_that_was_interrupted(trials):
	(trials.obj / "stop").touch()
	with pytest.raises(KeyboardInterrupt):
		_attempt(trials)
	assert (trials.obj / "a.o").exists()
	(trials.obj / "stop").unlink()
	assert _attempt(trials).warnings == WARNINGS


def test_warnings_of_a_build_whose_boot_was_interrupted(trials, monkeypatch):
	def boot(*_args):
		raise KeyboardInterrupt
	with monkeypatch.context() as patched:
		patched.setattr(attempt.Trials, "boot", boot)
		with pytest.raises(KeyboardInterrupt):
			_attempt(trials)
	assert _attempt(trials).warnings == WARNINGS


def test_fault_of_the_machine_is_not_kept(trials):
	(trials.obj / "fault").write_text("make[2]: *** [mm/a.o] Killed")
	with pytest.raises(CannotJudge, match="on this machine"):
		_attempt(trials)
	(trials.obj / "fault").unlink()
	found = _attempt(trials)
	assert not found.error and found.warnings == WARNINGS


def test_result_that_was_removed_in_part_is_none(trials, monkeypatch):
	def stop(*_args, **_more):
		raise KeyboardInterrupt
	_attempt(trials)
	monkeypatch.setattr(attempt, "KEPT", 0)
	monkeypatch.setattr(attempt.shutil, "rmtree", stop)
	with pytest.raises(KeyboardInterrupt):
		trials._keep(_attempt(trials))
	assert trials.known(trials.kernel.base_commit) is None


def test_what_is_booted_lies_apart_from_what_is_kept(trials):
	folder = _attempt(trials).folder
	assert sorted(path.name for path in (folder / attempt.BOOT).iterdir()) == ["linux"]
	assert json.loads((folder / attempt.RESULT).read_text())["binary"]


def test_result_that_another_lane_removes_meanwhile(trials, monkeypatch):
	"""A folder that is listed and gone when it is looked at ends no judgement."""
	result = _attempt(trials)
	iterdir = type(result.folder).iterdir
	monkeypatch.setattr(type(result.folder), "iterdir", lambda folder: [folder / "gone", *iterdir(folder)])
	trials._keep(result)
	assert attempt._newest_first(result.folder.parent) == [result.folder]


@pytest.mark.parametrize("other", [{"name": "x"}, {"qemu_args": "-smp 2"}, {"kernel_args": ("numa=fake=2",)}, {"emulator": "10.0.2"}])
def test_result_of_another_machine_with_the_same_kernel(trials, other):
	_attempt(trials)
	trials.request = replace(trials.request, profile=replace(trials.request.profile, kernel="uml", **other))
	assert not _attempt(trials).cached and trials.booted == 2
	assert _attempt(trials).cached
