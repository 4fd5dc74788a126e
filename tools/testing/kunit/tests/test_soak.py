# SPDX-License-Identifier: GPL-2.0
"""Soaking: every boot counts, in virtual time each one repeats the first, the first log that is bad in each way is kept."""

import json
import os
from contextlib import nullcontext

import pytest

import fakes
from logs import changed, lines_of
from pinwait.commands import soak
from pinwait.source.options import Options
from pinwait.util.errors import CannotJudge, UsageError
from sessions import FakeSession


@pytest.fixture(name="soaked")
def _soaked(tmp_path, monkeypatch, capsys):
	"""Soak with some boots' logs replaced; return (session, exit code, last line)."""
	monkeypatch.setattr(soak.deps, "ensure", lambda packages: None)

	def start(boots, logs, virtual_time=True, parallel=1):
		session = FakeSession(tmp_path, Options(), lambda number, *_: logs.get(number, lines_of("two-suites")), virtual_time)
		monkeypatch.setattr(soak, "Session", lambda options, subcommand: session)
		code = soak.soak(session.options, boots, parallel, False)
		return session, code, capsys.readouterr().out.splitlines()[-1]
	return start


def _failing():
	return changed(lines_of("two-suites"), "    ok 2 ok_only", "    not ok 2 ok_only")


def _later():
	"""The same results, one of them a hundredth of a second later."""
	lines = lines_of("two-suites")
	where = next(index for index, line in enumerate(lines) if line.endswith("    ok 2 ok_only"))
	stamp, rest = lines[where].split("]", 1)
	return [*lines[:where], f"[{float(stamp[1:]) + 0.01:12.6f}]{rest}", *lines[where + 1:]]


@pytest.mark.parametrize("parallel", [1, 3])
def test_all_boots_pass(soaked, parallel):
	session, code, said = soaked(5, {}, parallel=parallel)
	assert (code, said) == (0, "soak: 0 failures of 5, 0 not the same as the first")
	assert (session.folder / "kernel.log").exists() and not (session.folder / "boots").exists()
	kept = json.loads((session.folder / "soak.json").read_text(encoding="utf-8"))
	assert kept["job"] == {"profile": "uml", "boots": 5, "stress": False} and kept["boots"] == 5


@pytest.mark.parametrize("parallel", [1, 4])
def test_failures_are_counted_and_the_first_of_each_kind_is_kept(soaked, parallel):
	other = changed(lines_of("two-suites"), "    ok 2 ok_last", "    not ok 2 ok_last")
	session, code, said = soaked(5, {2: _failing(), 4: _failing(), 5: other}, virtual_time=False, parallel=parallel)
	assert (code, said) == (1, "soak: 3 failures of 5")
	assert "not ok 2 ok_only" in (session.folder / "boot-2/kernel.log").read_text(encoding="utf-8")
	assert not (session.folder / "boot-4").exists()
	assert "not ok 2 ok_last" in (session.folder / "boot-5/kernel.log").read_text(encoding="utf-8")
	assert "ok_only" in session.finished.reason


def test_there_is_an_end_to_what_is_kept(soaked, monkeypatch):
	monkeypatch.setattr(soak, "KINDS", 0)
	session, code, _said = soaked(2, {2: _failing()}, virtual_time=False)
	assert code == 1 and not (session.folder / "boot-2").exists()


def test_failing_first_boot_is_a_failure(soaked):
	_session, code, said = soaked(2, {1: _failing()}, virtual_time=False)
	assert (code, said) == (1, "soak: 1 failures of 2")


def test_virtual_time_has_to_repeat(soaked):
	session, code, said = soaked(3, {3: _later()})
	assert (code, said) == (1, "soak: 0 failures of 3, 1 not the same as the first")
	assert "1 of 3 boots differ" in session.finished.reason
	assert "ok_only" in session.progress.stream.getvalue()


def test_real_time_need_not_repeat(soaked):
	assert soaked(3, {3: _later()}, virtual_time=False)[1:] == (0, "soak: 0 failures of 3")


@pytest.mark.parametrize("boots, parallel", [(0, 1), (1, 0)])
def test_wrong_numbers(boots, parallel):
	with pytest.raises(UsageError, match="at least one"):
		soak.soak(Options(), boots, parallel, False)


@pytest.mark.parametrize("script, early", [("exec sleep 60", False), ("exit 3", True)])
def test_load_that_ends_early(tmp_path, monkeypatch, script, early):
	tool = tmp_path / "stress-ng"
	tool.write_text(f"#!/bin/sh\necho $$ >{tmp_path}/called\n{script}\n", encoding="utf-8")
	tool.chmod(0o755)
	monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
	with pytest.raises(CannotJudge, match="stress-ng ended before") if early else nullcontext():
		with soak._load(True):
			pid = int(fakes.wait_for(lambda: (tmp_path / "called").exists() and (tmp_path / "called").read_text()))
			assert not early or fakes.wait_for(lambda: fakes.ended(pid))
	assert not fakes.ended(pid)
