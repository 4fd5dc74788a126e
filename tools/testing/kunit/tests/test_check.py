# SPDX-License-Identifier: GPL-2.0
"""`make check` itself: it counts, goes on after failures, and cannot pass on nothing."""

import contextlib

import pytest

from pinwait import check, run
from pinwait.errors import CannotJudge, UsageError


@pytest.fixture(name="steps")
def _steps(monkeypatch, tmp_path):
	"""Run check with other steps; return (exit code, last line) and leave the output to capsys."""
	monkeypatch.setattr(check.deps, "ensure", lambda packages: None)

	def start(steps, names=()):
		monkeypatch.setattr(check, "STEPS", steps)
		return check.check(run.Options(build_root=tmp_path), names)
	return start


def _good(step):
	step.note("quiet")
	step.count.passed += 3


def _bad(step):
	step.note("what was wrong")
	step.count.add(False)


def _raises(_step):
	raise CannotJudge("no kernel here")


def _nothing(_step):
	pass


def test_all_good(steps, capsys):
	assert steps({"one": _good, "two": _good}) == 0
	output = capsys.readouterr().out
	assert output.splitlines()[-1] == "6 passed, 0 failed"
	assert "quiet" not in output


@pytest.mark.parametrize("bad, said", [(_bad, "what was wrong"), (_raises, "no kernel here"),
				       (_nothing, "found nothing to test")])
def test_failure_is_shown_and_the_rest_still_runs(steps, capsys, bad, said):
	assert steps({"one": bad, "two": _good}) == 1
	output = capsys.readouterr().out
	assert output.splitlines()[-1] == "3 passed, 1 failed"
	assert said in output


def test_chosen_steps(steps, capsys):
	assert steps({"one": _bad, "two": _good}, ["two"]) == 0
	assert capsys.readouterr().out.splitlines()[-1] == "3 passed, 0 failed"


def test_unknown_step(steps):
	with pytest.raises(UsageError, match="unknown step 'three'; there are: one"):
		steps({"one": _good}, ["three"])


def test_missing_tool_is_a_failure(steps, capsys):
	assert steps({"one": lambda step: step.check(["no-such-tool-here"])}) == 1
	assert "no-such-tool-here is not installed" in capsys.readouterr().out


def test_exit_code_of_a_tool_counts(steps, capsys):
	steps({"one": lambda step: step.check(["true"]), "two": lambda step: step.check(["false"])})
	assert capsys.readouterr().out.splitlines()[-1] == "1 passed, 1 failed"


def test_pytest_results_are_counted_one_by_one(steps, capsys, monkeypatch):
	xml = ("<testsuites><testsuite><testcase name='a'/><testcase name='b'><failure/></testcase>"
	       "<testcase name='c'><skipped/></testcase><testcase name='d'><system-out/></testcase>"
	       "</testsuite></testsuites>")

	def tool(step, *_args, **_more):
		step.log.with_suffix(".xml").write_text(xml, encoding="utf-8")
		return 1, ""
	monkeypatch.setattr(check.Step, "tool", tool)
	monkeypatch.setattr(check.Step, "prepared", lambda step: contextlib.nullcontext())
	steps({"pytest": check.STEPS["pytest"]})
	assert capsys.readouterr().out.splitlines()[-1] == "2 passed, 2 failed"


@pytest.mark.parametrize("counts, outcome, passed, failed", [
	({"pass": 9, "fail": 0, "crash": 0, "missing": 0, "skip": 1}, "pass", 9, 0),
	({"pass": 7, "fail": 1, "crash": 1, "missing": 2, "skip": 0}, "fail", 7, 4),
	({"pass": 9, "fail": 0, "crash": 0, "missing": 0, "skip": 0}, "fail", 9, 1),
	({"pass": 0, "fail": 0, "crash": 0, "missing": 0, "skip": 0}, "cannot-judge", 0, 1),
])
def test_a_run_that_fails_is_never_counted_as_good(tmp_path, counts, outcome, passed, failed):
	step = check.Step(run.Options(), tmp_path / "log", check.Count())
	check._count_cases(step, {"counts": counts, "verdict": {"outcome": outcome, "reason": "because"}})
	assert (step.count.passed, step.count.failed) == (passed, failed)


@pytest.mark.parametrize("code, line, good", [
	(0, "", True),
	(0, "../mm/other.c:1:1: warning: not ours", True),
	(0, "../mm/a.c:3:1: warning: unused", False),
	(0, "../mm/a.h:1:1: warning: bad", False),
	(2, "", False),
])
def test_compile_starts_afresh_and_sees_warnings_of_its_files(tmp_path, monkeypatch, code, line, good):
	(tmp_path / "mm").mkdir()
	(tmp_path / "mm/a.o").write_text("old", encoding="utf-8")
	monkeypatch.setattr(check.Step, "tool", lambda *_args, **_more: (code, f"  CC mm/a.o\n{line}\n"))
	step = check.Step(run.Options(), tmp_path / "log", check.Count())
	step.compile(tmp_path, tmp_path, ["mm/a.c", "mm/a.h"])
	assert not (tmp_path / "mm/a.o").exists()
	assert (step.count.passed, step.count.failed) == ((1, 0) if good else (0, 1))


@pytest.mark.parametrize("output, good", [
	("  CHECK   ../mm/a.c\n  CC      mm/a.o\n", True),
	("  CHECK   /tree/mm/a.c\n", True),
	("Makefile:1: C=2 specified, but sparse is not available or not up to date\n  CC      mm/a.o\n", False),
	("  CHECK   ../mm/aa.c\n", False),
])
def test_sparse_that_did_not_run_is_a_failure(tmp_path, monkeypatch, output, good):
	monkeypatch.setattr(check.Step, "tool", lambda *_args, **_more: (0, output))
	step = check.Step(run.Options(), tmp_path / "log", check.Count())
	step.compile(tmp_path, tmp_path, ["mm/a.c"], *check.SPARSE)
	assert (step.count.failed == 0) is good


def test_tool_whose_helper_broke_is_a_failure(steps, capsys):
	script = "echo 'Traceback (most recent call last)'; exit 0"
	assert steps({"one": lambda step: step.check(["sh", "-c", script])}) == 1
	assert "Traceback" in capsys.readouterr().out
