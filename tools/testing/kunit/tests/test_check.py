# SPDX-License-Identifier: GPL-2.0
"""`make check` itself: it counts, goes on after failures, and cannot pass on nothing."""

import contextlib
import json
from pathlib import Path
from types import SimpleNamespace

import fakes
import pytest

from pinwait.commands import check
from pinwait.gate import lint
from pinwait.kernel import build, profile
from pinwait.mutation import score
from pinwait.source.options import Options
from pinwait.util.errors import CannotJudge, PinwaitError, UsageError
from pinwait.util.project import CONFIGS

REQUEST = build.Request(profile.load(CONFIGS, "uml"), 1)


@pytest.fixture(name="steps")
def _steps(monkeypatch, tmp_path):
	"""Run check with other steps; return (exit code, last line) and leave the output to capsys."""
	monkeypatch.setattr(check.deps, "ensure", lambda packages: None)

	def start(steps, names=()):
		monkeypatch.setattr(check, "STEPS", steps)
		return check.check(Options(build_root=tmp_path), names)
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
	xml = "<testsuites><testsuite><testcase name='a'/></testsuite></testsuites>"	# it broke off, but no test is to blame
	steps({"pytest": check.STEPS["pytest"]})
	assert capsys.readouterr().out.splitlines()[-1] == "1 passed, 1 failed"


@pytest.mark.parametrize("counts, outcome, passed, failed", [
	({"pass": 9, "fail": 0, "crash": 0, "missing": 0, "skip": 1}, "pass", 9, 0),
	({"pass": 7, "fail": 1, "crash": 1, "missing": 2, "skip": 0}, "fail", 7, 4),
	({"pass": 9, "fail": 0, "crash": 0, "missing": 0, "skip": 0}, "fail", 9, 1),
	({"pass": 0, "fail": 0, "crash": 0, "missing": 0, "skip": 0}, "cannot-judge", 0, 1),
])
def test_a_run_that_fails_is_never_counted_as_good(tmp_path, counts, outcome, passed, failed):
	step = check.Step(Options(), tmp_path / "log", check.Count())
	check._count_cases(step, {"counts": counts, "verdict": {"outcome": outcome, "reason": "because"}})
	assert (step.count.passed, step.count.failed) == (passed, failed)


@pytest.fixture(name="compiling")
def _compiling(tmp_path, monkeypatch):
	"""A step, and what the compiler says in it."""
	def step(good, output):
		monkeypatch.setattr(lint, "compile_anew", lambda *_args: (good, output))
		return check.Step(Options(), tmp_path / "log", check.Count())
	return step


@pytest.mark.parametrize("code, line, good", [
	(0, "", True),
	(0, "../mm/other.c:1:1: warning: not ours", True),
	(0, "../mm/a.c:3:1: warning: unused", False),
	(0, "../mm/a.h:1:1: warning: bad", False),
	(2, "", False),
])
def test_compile_sees_warnings_of_its_files(compiling, code, line, good):
	step = compiling(code == 0, f"  CC mm/a.o\n{line}\n")
	step.compile(SimpleNamespace(tree=Path("/tree"), name="k"), REQUEST, ["mm/a.c", "mm/a.h"])
	assert (step.count.passed, step.count.failed) == ((1, 0) if good else (0, 1))


def test_what_is_compiled_anew_has_no_old_object(tmp_path, monkeypatch):
	fakes.write(tmp_path, {"mm/a.o": "old", "mm/b.o": "old"})
	said = "mm/a.c:1:1: warning: unused\n"

	def make(argv, stdout, **_more):
		assert argv[-1] == "mm/a.o" and "W=1" in argv and not (tmp_path / "mm/a.o").exists()
		stdout.write(said.encode())
		stdout.flush()
		return SimpleNamespace(returncode=2)
	monkeypatch.setattr(lint.subprocess, "run", make)
	log = tmp_path / "log"
	log.write_text("before\n", encoding="utf-8")
	assert lint.compile_anew(tmp_path, tmp_path, ["mm/a.c"], REQUEST, tmp_path, log, sparse=False) == (False, said)
	assert (tmp_path / "mm/b.o").exists()


def test_nothing_to_compile_is_a_failure(compiling):
	step = compiling(True, "")
	step.compile(SimpleNamespace(tree=Path("/tree"), name="k"), REQUEST, ["mm/a.h"])
	assert step.count.failed == 1


@pytest.mark.parametrize("output, good", [
	("  CHECK   ../mm/a.c\n  CC      mm/a.o\n", True),
	("  CHECK   /tree/mm/a.c\n", True),
	("Makefile:1: C=2 specified, but sparse is not available or not up to date\n  CC      mm/a.o\n", False),
	("  CHECK   ../mm/aa.c\n", False),
])
def test_sparse_that_did_not_run_is_a_failure(compiling, output, good):
	step = compiling(True, output)
	step.compile(SimpleNamespace(tree=Path("/tree"), name="k"), REQUEST, ["mm/a.c"], sparse=True)
	assert (step.count.failed == 0) is good


def test_tool_whose_helper_broke_is_a_failure(steps, capsys):
	script = "echo 'Traceback (most recent call last)'; exit 0"
	assert steps({"one": lambda step: step.check(["sh", "-c", script])}) == 1
	assert "Traceback" in capsys.readouterr().out


def _ran(step, status, skip=()):
	"""Return summary.json's cases of a run, all with one status but those of the suite that has to pass."""
	there = check.expected.load(CONFIGS / "expected-cases.txt").select(step.options.profile)
	return [{"suite": case.suite, "name": case.name, "param": case.param,
		 "status": "pass" if case.suite == check.UNHARMED_CASES else status}
		for case in there if case.id not in skip]


@pytest.mark.parametrize("outcome, code, status, lost, failed", [
	("fail", 1, "fail", (), 0),
	("pass", 0, "pass", (), 2),			# the gate lets everything pass
	("fail", 1, "pass", (), 1),			# it fails, but not for what was broken
	("cannot-judge", 2, "missing", (), 2),
	("fail", 1, "fail", ("migrate_fail_fast.fails_at_once[compaction-async]",), 1),
])
def test_busted_control(tmp_path, monkeypatch, outcome, code, status, lost, failed):
	step = check.Step(Options(build_root=tmp_path), tmp_path / "log", check.Count())
	asked = []

	def judged(_step, subcommand, options, *_more):
		asked.append((subcommand, options.mutant))
		return {"verdict": {"outcome": outcome, "exit_code": code, "reason": ""}, "cases": _ran(step, status, lost)}
	monkeypatch.setattr(check.Step, "judged", judged)
	check._busted(step)
	assert asked == [("run", check.BUSTED)]
	assert (step.count.passed, step.count.failed) == (3 - failed, failed)


@pytest.mark.parametrize("outcomes, verdict, counts", [
	(["killed", "killed"], "pass", (2, 0)), (["killed", "survived"], "fail", (1, 1)), (["killed"], "cannot-judge", (1, 1)),
])
def test_sample_of_mutants(tmp_path, monkeypatch, outcomes, verdict, counts):
	folder = tmp_path / "results/latest"
	folder.mkdir(parents=True)
	(folder / "mutants.json").write_text(json.dumps({"fates":
		[{"name": "a", "outcome": outcome, "killer": ""} for outcome in outcomes]}), encoding="utf-8")
	monkeypatch.setattr(check.Step, "judged", lambda *_args: {"verdict": {"outcome": verdict, "reason": ""}})
	step = check.Step(Options(build_root=tmp_path), tmp_path / "log", check.Count())
	check._mutants(step)
	assert (step.count.passed, step.count.failed) == counts


@pytest.mark.parametrize("outcomes, counts", [
	(("killed", "survived"), (2, 0)), (("survived", "survived"), (1, 1)), (("killed", "killed"), (1, 1)), (("hung", "survived"), (1, 1)), ((), (0, 0))])
def test_generated_mutants_fare_as_recorded(tmp_path, monkeypatch, outcomes, counts):
	monkeypatch.setattr(check.generated, "SCORES", tmp_path)
	due = {"a.c:f:o-1:x": "killed", "a.c:f:o-2:x": "survived"}
	record = score.Record("rfc", "7.3.4", "s", 3, due | {"a.h:f:o-1:x": "killed"})
	score.place(tmp_path, "rfc", "7.3.4").write_text(score.text_of(record, ""), encoding="utf-8")
	fakes.write(tmp_path, {"results/latest/generated.json": json.dumps(
		{"fates": [{"name": name, "outcome": outcome, "killer": ""} for name, outcome in zip(due, outcomes)]})})
	asked = []
	monkeypatch.setattr(check.Step, "judged", lambda _step, *words: asked.append(words) or {"verdict": {"reason": ""}})
	step = check.Step(Options(build_root=tmp_path), tmp_path / "log", check.Count())
	check._generated(step)
	assert asked[0][2:] == tuple(due) and (step.count.passed, step.count.failed) == counts


def test_no_record_is_a_failure(tmp_path, monkeypatch):
	monkeypatch.setattr(check.generated, "SCORES", tmp_path)
	with pytest.raises(PinwaitError, match="has no record of series rfc"):
		check._generated(check.Step(Options(build_root=tmp_path), tmp_path / "log", check.Count()))


@pytest.mark.parametrize("code", [0, 2])
def test_exit_code_has_to_be_the_one_of_the_summary(tmp_path, monkeypatch, code):
	step = check.Step(Options(build_root=tmp_path), tmp_path / "log", check.Count())

	def tool(_step, argv, **_more):
		summary = next(word for word in argv if word.startswith("--json=")).removeprefix("--json=")
		Path(summary).write_text('{"verdict": {"exit_code": 1}}', encoding="utf-8")
		return code, ""
	monkeypatch.setattr(check.Step, "tool", tool)
	with pytest.raises(PinwaitError, match=f"exit code {code}, but its summary says 1"):
		step.judged("run", step.options)


@pytest.mark.parametrize("right, code, counts", [([True, True], 0, (2, 0)), ([True, False], 1, (1, 1))])
def test_sample_of_the_gates_corpus(tmp_path, monkeypatch, right, code, counts):
	def tool(_step, argv, **_more):
		assert "check-gate" in argv
		fakes.write(tmp_path, {"results/latest/gate-corpus.json": json.dumps({"verdicts": [
			{"name": "a", "wrong": [] if one else ["it is"], "got": "good", "right": one} for one in right]})})
		return code, ""
	monkeypatch.setattr(check.Step, "tool", tool)
	step = check.Step(Options(build_root=tmp_path), tmp_path / "log", check.Count())
	check._gate(step)
	assert (step.count.passed, step.count.failed) == counts
