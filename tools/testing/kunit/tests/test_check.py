# SPDX-License-Identifier: GPL-2.0
"""`make check` itself: it counts, goes on after failures, and cannot pass on nothing."""

import contextlib
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import fakes
import pytest

import asked
import steps
from kernel import cases, compiling, test_control, test_generated, test_mutants
from pinwait.commands import check
from pinwait.gate import lint
from pinwait.kernel import build, profile
from pinwait.log.results import Status
from pinwait.mutation import score
from pinwait.source.options import Options
from pinwait.util.errors import CannotJudge
from pinwait.util.project import CONFIGS

HERE = Path(__file__).parent
REQUEST = build.Request(profile.load(CONFIGS, "uml"), 1)
GOOD = "def test_one(): pass\ndef test_two(): pass\n"
HEAD = "import os, pathlib, pytest, rows, steps\nfrom contextlib import nullcontext\n"


@pytest.fixture(name="checked")
def _checked(monkeypatch, tmp_path, capfd):
	"""Run check on other tests; return its exit code, its last line, and all that it printed."""
	for name in ("pytest.ini", "tests/conftest.py", "tests/kernel/__init__.py", "tests/kernel/conftest.py"):
		(tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
		shutil.copyfile(HERE.parent / name, tmp_path / name)
	monkeypatch.setenv("PYTHONPATH", f"{HERE}:{HERE.parent}")
	monkeypatch.setattr(check, "KUNIT", tmp_path)
	monkeypatch.setattr(check.deps, "ensure", lambda packages: None)
	monkeypatch.setattr(check, "_tree", lambda *_args: {})

	def start(files, jobs=1, profile="uml", **more):
		fakes.write(tmp_path / "tests", {name: HEAD + text for name, text in files.items()})
		code = check.check(Options(build_root=tmp_path / "build", jobs=jobs, profile=profile), **more)
		output = capfd.readouterr().out
		return code, output.splitlines()[-1], output
	return start


def test_all_good(checked):
	code, last, output = checked({"test_a.py": GOOD, "test_b.py": "def test_b(): print('quiet')\n"})
	assert (code, last) == (0, "3 passed, 0 failed")
	assert "quiet" not in output and "ok    test_a.py                            2 passed    0 failed" in output


STEP = "steps.Step(None, pathlib.Path(os.environ['PINWAIT_BUILD'], 'check/x.log'), nullcontext)"


SKIPPED = "a test that is skipped proves nothing"
# By file: what is wrong there, how many tests pass and fail, and what is said of it.
RED = {
	"assertion": ("def test_x(): assert 1 == 2, 'what was wrong'", 0, 1, "what was wrong"),
	"step": (f"def test_x():\n\tstep = {STEP}\n\tstep.note('before')\n\tstep.note('the end')\n\tstep.fail('it broke')", 0, 1,
		 "it broke\n    before\n    the end\n    all of it: "),
	"skip": ("def test_x(): pytest.skip('not today')", 0, 1, f"not today\n{SKIPPED}"),
	"mark": ("@pytest.mark.skip(reason='never')\ndef test_x(): pass", 0, 1, f"never\n{SKIPPED}"),
	"import": ("pytest.importorskip('none_of_these')\ndef test_x(): pass", 0, 1, f"could not import 'none_of_these': No module named 'none_of_these'\n{SKIPPED}"),
	"empty": ("@pytest.mark.parametrize('x', [])\ndef test_x(x): pass", 0, 1, "got empty parameter set"),
	"xfail": ("@pytest.mark.xfail\ndef test_x(): assert 0", 0, 1, "FAIL  tests/test_xfail.py::test_x"),
	"collection": ("import neither_of_these", 0, 1, "No module named 'neither_of_these'"),
	"marker": ("@pytest.mark.kernal\ndef test_x(): pass", 0, 1, "'kernal' not found in `markers`"),
	"teardown": ("@pytest.fixture\ndef x():\n\tyield\n\traise OSError('too late')\ndef test_x(x): pass", 0, 1, "too late"),
	# What a fixture breaks fails the tests that need it, and only those; why is told once by each worker.
	"fixture": ("@pytest.fixture(scope='session')\ndef x(): raise OSError('no kernel here')\n"
		    "def test_x(x): pass\ndef test_y(x): pass\ndef test_z(): pass", 1, 2, "as above: no kernel here"),
}


@pytest.mark.parametrize("jobs", [1, 2])
def test_failures_are_shown_and_the_rest_still_runs(checked, jobs):
	code, last, output = checked({"test_a.py": GOOD, **{f"{'kernel/' if name == 'fixture' else ''}test_{name}.py": text
							  for name, (text, *_) in RED.items()}}, jobs=jobs)
	passed, failed = (sum(row[column] for row in RED.values()) for column in (1, 2))
	assert (code, last) == (1, f"{2 + passed} passed, {failed} failed"), output
	assert [said for *_, said in RED.values() if said not in output] == [], output
	assert f"FAIL  {'kernel/test_fixture.py':<32}     1 passed    2 failed" in output


@pytest.mark.parametrize("bad", ["def test_x(): assert 0", "def test_x(): pytest.skip('x')", "import none_of_these"])
def test_one_failure_is_enough(checked, bad):
	assert checked({"test_a.py": GOOD, "test_x.py": bad})[:2] == (1, "2 passed, 1 failed")


@pytest.mark.parametrize("jobs, said", [(1, "pytest ended with exit code 3"), (2, "crashed while running")])
def test_crash_ends_the_run(checked, jobs, said):
	code, last, output = checked({"test_a.py": "def test_x(): os._exit(3)\n" + GOOD}, jobs=jobs)
	assert code == 1 and not last.endswith(", 0 failed") and said in output, output


def test_what_is_listed_as_absent_counts_neither_way(checked):
	code, last, output = checked({"test_a.py": GOOD, "test_x.py": "def test_x(): rows.absent('x, without a series')"})
	assert (code, last) == (0, "2 passed, 0 failed") and "; 1 tests are of what the kernel is listed as not having" in output
	assert checked({"test_a.py": "", "test_x.py": "def test_x(): rows.absent('x')"})[:2] == (1, "0 passed, 1 failed")


@pytest.mark.parametrize("files, chosen, said", [
	({"test_a.py": ""}, check.Chosen(), "nothing was tested"), ({"test_a.py": GOOD}, check.Chosen("none_of_these"), "nothing was tested"),
	({"test_a.py": GOOD, "conftest.py": "raise OSError"}, check.Chosen(), "pytest ended with exit code 4"),
	({"test_a.py": GOOD + "def test_x(): pytest.exit('enough', 2)\n"}, check.Chosen(), "pytest ended with exit code 2"),
])
def test_nothing_is_no_success(checked, files, chosen, said):
	code, last, output = checked(files, chosen=chosen)
	assert code == 1 and not last.endswith(", 0 failed") and said in output, output


MARKED = {"test_a.py": GOOD + "@pytest.mark.slow\ndef test_slow(): pass\n", "kernel/test_k.py": GOOD}


def test_which_tests_need_no_kernel(checked):
	assert checked(MARKED, build_kernels=False)[:2] == (0, "2 passed, 0 failed")
	assert checked(MARKED)[:2] == (0, "5 passed, 0 failed")


def test_choice(checked):
	assert checked(MARKED, chosen=check.Chosen("two"))[:2] == (0, "2 passed, 0 failed")
	assert checked(MARKED, chosen=check.Chosen(count=3))[:2] == (0, "15 passed, 0 failed")
	files = {"test_b.py": GOOD + "def test_bad(): assert 0\n", "kernel/test_k.py": GOOD + "def test_bad(): assert 0\n"}
	assert checked(files)[:2] == (1, "7 passed, 2 failed")
	code, last, output = checked(files, chosen=check.Chosen(last_failed=True))
	assert (code, last) == (1, "0 passed, 2 failed"), output


@pytest.mark.parametrize("asked_for, kernels, profiles, needs_qemu", [
	("uml", True, ["uml", "x86_64"], True), ("uml", False, ["uml", "x86_64"], False), ("uml-rt", True, ["uml-rt"], False),
	("x86_64-smp", True, ["x86_64-smp"], True)])
def test_one_boot_is_in_qemu(checked, monkeypatch, asked_for, kernels, profiles, needs_qemu):
	installed = []
	monkeypatch.setattr(check.deps, "ensure", installed.append)
	checked({"test_a.py": GOOD}, build_kernels=kernels, profile=asked_for)
	assert check.profiles_of(asked_for) == profiles
	assert bool(installed[0].keys() & check.deps.QEMU.keys()) is needs_qemu


def test_one_worker_has_all_that_need_the_worktree(checked, tmp_path):
	tell = "@pytest.mark.parametrize('x', range(6))\ndef test_x(x):\n\twith open({!r}, 'a') as file: print(os.environ['PYTEST_XDIST_WORKER'], file=file)\n"
	assert checked({f"{name}.py": tell.format(str(tmp_path / name[-1])) for name in ("kernel/test_a", "test_b", "kernel/test_c")}, jobs=2)[0] == 0
	told = {name: (tmp_path / name).read_text().split() for name in "abc"}
	assert len(set(told["a"] + told["c"])) == 1 and [len(words) for words in told.values()] == [6, 6, 6]


def test_kernel_that_cannot_be_prepared_ends_nothing(monkeypatch, tmp_path, capsys):
	def broken(*_args):
		raise CannotJudge("no kernel here")
	monkeypatch.setattr(check, "prepared", broken)
	assert not any(Path(name).exists() for name in check._tree(Options(build_root=tmp_path), True).values())
	assert "each test that needs it fails: no kernel here" in capsys.readouterr().out


@pytest.mark.parametrize("given, words", [
	({"tarball": "/t.tar.xz"}, ["--tarball=/t.tar.xz"]), ({"kdir": "/tree", "series_dir": "/p"}, ["--kdir=/tree", "--series_dir=/p"]),
	({"profile": "uml-smp", "make_options": ["V=1"]}, ["--profile=uml-smp", "--make_options=V=1"]),
])
def test_the_kernel_that_was_asked_for_is_the_one_in_every_step(monkeypatch, tmp_path, given, words):
	"""What pytest is told makes the same options again."""
	said = []
	monkeypatch.setattr(check.subprocess, "run", lambda argv, **_more: said.append(argv) or SimpleNamespace(returncode=0))
	check._pytest(Options(build_root=tmp_path, **given), [])
	assert set(words) <= set(said[0])
	defaults = {"make_options": [], "kconfig_add": []}
	told = {word.partition("=")[0].removeprefix("--"): word.partition("=")[2] for word in said[0] if word.startswith("--")}
	told = defaults | told | {"jobs": int(told["jobs"])} | ({"make_options": [told["make_options"]]} if "make_options" in told else {})
	monkeypatch.setenv("PINWAIT_BUILD", str(tmp_path))
	config = SimpleNamespace(getoption=lambda name: told.get(name, ""))
	assert asked.options_of(config) == Options(build_root=tmp_path, **given)


# What the tests of kernels look at.

@pytest.fixture(name="step")
def _step(tmp_path):
	(tmp_path / "x.log").write_text("", encoding="utf-8")
	return steps.Step(Options(build_root=tmp_path), tmp_path / "x.log", contextlib.nullcontext)


def _failure(call, *args, **more):
	"""Return why something fails, "" if it does not."""
	try:
		call(*args, **more)
	except pytest.fail.Exception as error:
		return str(error)
	return ""


@pytest.mark.parametrize("argv, said", [
	(["true"], ""), (["false"], "false ended with exit code 1"), (["no-such-tool-here"], "no-such-tool-here is not installed"),
	(["sh", "-c", "echo 'Traceback (most recent call last)'; exit 0"], "sh ended with exit code 1"),
])
def test_exit_code_of_a_tool_counts(step, argv, said):
	why = _failure(step.check, argv)
	assert why.startswith(said) and bool(why) is bool(said) and (not why or why.endswith(f"all of it: {step.log}"))


def _tool(monkeypatch, summary, code):
	"""Let the tool leave a summary and return an exit code; return what it is called with."""
	called = []

	def call(_step, argv, **_more):
		called.append(argv)
		if summary is not None:
			place = next(word for word in argv if word.startswith("--json=")).removeprefix("--json=")
			Path(place).write_text(json.dumps(summary), encoding="utf-8")
		return code, ""
	monkeypatch.setattr(steps.Step, "call", call)
	return called


@pytest.mark.parametrize("code", [0, 2])
def test_exit_code_has_to_be_the_one_of_the_summary(step, monkeypatch, code):
	_tool(monkeypatch, {"verdict": {"exit_code": 1, "reason": "because"}}, code)
	assert f"exit code {code}, but its summary says 1: because" in _failure(step.tool, "run", step.options)


def test_missing_summary_is_a_failure(step, monkeypatch):
	step.log.with_suffix(".json").write_text("{}", encoding="utf-8")	# of the last time
	_tool(monkeypatch, None, 0)
	assert "run left no summary" in _failure(step.tool, "run", step.options)


def test_results_are_those_of_this_run(step, monkeypatch):
	called = _tool(monkeypatch, {"verdict": {"exit_code": 0, "reason": ""}}, 0)
	fakes.write(step.log.parent, {"x/mutants.json": "{}", "results/latest/mutants.json": "{}"})	# of the last time, of another run
	outcome = step.tool("mutants", Options(build_root=step.log.parent, tarball="/t.tar.xz"), "--sample=3")
	assert {"--tarball=/t.tar.xz", "--sample=3", f"--results={outcome.results}"} <= set(called[0])
	assert not any(word.startswith("--kernel=") for word in called[0])
	assert "No such file" in _failure(outcome.read, "mutants.json")


@pytest.fixture(name="ran")
def _ran(step):
	"""Make a run with its series, verdict, and the statuses of cases: one for all, others by name."""
	def ran(status="pass", verdict="pass", series="rfc", **others):
		there = cases.LISTED.select("uml")
		statuses = {case.id: "skip" if series in case.absent else others.get(case.suite, status) for case in there}
		statuses |= {name: value for name, value in others.items() if name in statuses}
		return steps.Outcome(step, {"series": {"name": series}, "profile": "uml", "verdict": {"outcome": verdict, "exit_code": 0, "reason": "because"},
					    "cases": [{"suite": case.suite, "name": case.name, "param": case.param, "status": statuses[case.id], "text": "why"}
						      for case in there if statuses[case.id] != "gone"]}, step.log.parent)
	return ran


CASE = next(case for case in cases.LISTED.cases.values() if not case.absent and not case.skips)
ABSENT = next(case for case in cases.LISTED.cases.values() if "none" in case.absent)


@pytest.mark.parametrize("status, due, said", [
	("pass", Status.PASS, ""), ("fail", Status.FAIL, ""), ("fail", Status.PASS, "fail, not pass: why"), ("pass", Status.FAIL, "pass, not fail"),
	("skip", Status.PASS, "skip, not pass"), ("crash", Status.PASS, "crash, not pass"), ("gone", Status.PASS, "missing, not pass: because"),
	("gone", Status.FAIL, "missing, not fail"),
])
def test_case(ran, status, due, said):
	why = _failure(cases.check, ran(**{CASE.id: status}), CASE, due)
	assert said in why and bool(why) is bool(said)


def test_case_that_is_absent(ran):
	with pytest.raises(pytest.skip.Exception, match="absent: "):
		cases.check(ran(series="none"), ABSENT)
	assert "pass, not skip" in _failure(cases.check, ran(series="none", **{ABSENT.id: "pass"}), ABSENT)
	assert not _failure(cases.check, ran(series="rfc"), ABSENT)
	# What the proof asserts is what the series promises, on a kernel without it.
	assert "skip, not fail" in _failure(cases.check, ran(series="none"), ABSENT, Status.FAIL, promises="rfc")


@pytest.mark.parametrize("verdict, said", [("pass", ""), ("fail", "because"), ("cannot-judge", "because")])
def test_run_that_fails_although_its_cases_pass(ran, verdict, said):
	assert _failure(cases.check_verdict, ran(verdict=verdict)).startswith(said) and bool(said) is (verdict != "pass")


@pytest.mark.parametrize("outcome, code, good", [("fail", 1, True), ("pass", 0, False), ("cannot-judge", 2, False), ("fail", 0, False)])
def test_control_that_passes_is_a_failure(ran, outcome, code, good):
	control = ran(verdict=outcome)
	control.summary["verdict"]["exit_code"] = code
	with contextlib.nullcontext() if good else pytest.raises(AssertionError, match="because"):
		test_control.test_verdict(control)


def test_control_has_something_to_break():
	assert cases.LISTED.select("uml", test_control.BROKEN) and cases.LISTED.select("uml", test_control.UNHARMED)


@pytest.mark.parametrize("outcome, series, end", [("killed", "rfc", None), ("survived", "rfc", AssertionError), ("absent", "rfc", AssertionError),
						  ("absent", "none", pytest.skip.Exception), (None, "rfc", AssertionError)])
def test_mutant(ran, outcome, series, end):
	tried = ran(series=series)
	fates = [{"name": "a", "outcome": outcome, "killer": "why"}] if outcome else []
	fakes.write(tried.results, {"mutants.json": json.dumps({"fates": fates})})
	with pytest.raises(end) if end else contextlib.nullcontext():
		test_mutants.test_mutant_is_killed(tried, "a")


@pytest.mark.parametrize("outcome, due, good", [("killed", "killed", True), ("survived", "survived", True), ("survived", "killed", False),
						("killed", "survived", False), ("hung", "killed", False), (None, "killed", False)])
def test_generated_mutants_fare_as_recorded(ran, outcome, due, good):
	tried = ran()
	fates = [{"name": "a", "outcome": outcome, "killer": "why"}] if outcome else []
	fakes.write(tried.results, {"generated.json": json.dumps({"fates": fates})})
	with contextlib.nullcontext() if good else pytest.raises(AssertionError):
		test_generated.test_fate_is_the_recorded_one(tried, {"a": due}, 0)


def test_guards_are_those_of_the_record(tmp_path, monkeypatch):
	monkeypatch.setattr(test_generated, "SCORES", tmp_path)
	assert not test_generated.recorded("rfc")
	due = {"a.c:f:o-1:x": "killed", "a.c:f:o-2:x": "survived"}
	record = score.Record("rfc", "7.3.4", "s", 3, due | {"a.h:f:o-1:x": "killed"})
	score.place(tmp_path, "rfc", "7.3.4").write_text(score.text_of(record, ""), encoding="utf-8")
	assert test_generated.recorded("rfc") == test_generated.recorded("") == due and not test_generated.recorded("none")


@pytest.mark.parametrize("line, made, sparse, said", [
	("", True, False, ""), ("../mm/other.c:1:1: warning: not ours", True, False, ""), ("../mm/a.c:3:1: warning: unused", True, False, "unused"),
	("../mm/a.c:3:1: error: no", True, False, "error: no"), ("", False, False, "mm/a.c was not compiled"),
	("  CHECK   ../mm/a.c", True, True, ""), ("  CHECK   /tree/mm/a.c", True, True, ""), ("  CHECK   ../mm/aa.c", True, True, "sparse did not see mm/a.c"),
	("Makefile:1: C=2 specified, but sparse is not available or not up to date", True, True, "sparse did not see mm/a.c"),
])
def test_compiler_and_sparse(step, tmp_path, line, made, sparse, said):
	fakes.write(tmp_path, {"mm/a.o": ""} if made else {})
	found = compiling.Compiled(step, True, f"  CC mm/a.o\n{line}\n", tmp_path, sparse)
	why = _failure(found.check, "mm/a.c")
	assert said in why and bool(why) is bool(said)


def test_warning_in_a_header(step, tmp_path):
	found = compiling.Compiled(step, True, "../mm/a.h:1:1: warning: bad\n", tmp_path, True)
	assert "warning: bad" in _failure(found.check, "mm/a.h") and not _failure(found.check, "mm/b.h")


def test_make_that_fails_and_nothing_to_compile(step, tmp_path):
	fakes.write(tmp_path, {"mm/a.o": ""})
	assert not _failure(compiling.Compiled(step, True, "", tmp_path, False).check_all, ["mm/a.c"])
	assert "make failed for mm/a.c" in _failure(compiling.Compiled(step, False, "", tmp_path, False).check_all, ["mm/a.c"])
	assert _failure(compiling.Compiled(step, True, "", tmp_path, False).check_all, ["mm/a.h"])


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


@pytest.mark.parametrize("options, prepared, series", [(Options(), None, "rfc"), (Options(series="none"), None, "none"), (Options(kdir="/tree"), "none", "none")])
def test_series_of_a_tree_is_that_which_it_has(step, monkeypatch, options, prepared, series):
	monkeypatch.setattr(steps, "prepared", lambda *_args: contextlib.nullcontext(SimpleNamespace(series=SimpleNamespace(name=prepared))))
	assert steps.Step(options, step.log, step.shown).series == series
