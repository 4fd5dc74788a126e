# SPDX-License-Identifier: GPL-2.0
"""The real git bisect over a small fake tree: it finds the culprit, or stops and says why, and leaves the tree clean."""

import json
import os
import shutil
import signal
import subprocess
import sys

import fakes
import pytest
from logs import PARSER

from pinwait.util.project import PROJECT


PINWAIT = PROJECT / "tools/testing/kunit/pinwait.py"
CASE = "fail_folio_hold_boot.boot_parameter"		# is there with and without the series
ABSENT = "longterm_pin.isolated_by_another"		# is about the series
BOTH = "longterm_pin.[is]*"				# one that is, one that is not
# Builds and boots what mm/migrate.c asks for; notes the series whose promises are to be kept.
KUNIT = f"""
import pathlib, sys, time
tree = pathlib.Path(__file__).resolve().parents[3]
obj = pathlib.Path(next(a for a in sys.argv if a.startswith("--build_dir="))[12:])
text = (tree / "mm/migrate.c").read_text()
if sys.argv[1] == "config":
	(obj / ".config").write_text("config")
elif sys.argv[1] == "build":
	if "no semicolon" in text:
		sys.exit("mm/migrate.c:1:2: error: no semicolon")
	if "no memory" in text:
		sys.exit("gcc: fatal error: Killed signal terminated program cc1")
	if "for ever" in text:
		(obj / "building").touch()
		time.sleep(1000)
	(obj / "linux").write_text(text)
else:
	promises = " ".join(a for a in sys.argv if a.startswith("--kernel_args=folio_fixture"))
	(obj / "promises").write_text(promises)
	if "no start" in text:
		sys.exit("no kernel")
	print("$ ./linux kunit.enable=1")
	print("Linux version 7.3.4")
	if "panics early" in text:
		print("Kernel panic - not syncing: no root")
		sys.exit()
	suite, *cases = "longterm_pin short_pin isolated_by_another".split() if "{BOTH}" in sys.argv else "{CASE}".split(".")
	print("KTAP version 1\\n1..1\\n    KTAP version 1\\n    # Subtest: " + suite + "\\n    1.." + str(len(cases)))
	for number, case in enumerate(cases, 1):
		skips = " # SKIP no key" if case == "isolated_by_another" and promises.endswith("=none") else ""
		failed = "bad" in text or case == "isolated_by_another" and "wait" not in text and not skips
		print("    " + ("not ok " if failed else "ok ") + str(number) + " " + case + skips)
	print("ok 1 " + suite + "\\nreboot: System halted")
"""
# Where only sources differ, make itself is called.
MAKE = "\t@! grep -q 'no semicolon' mm/migrate.c || { echo 'mm/migrate.c:1:2: error: no semicolon'; exit 1; }\n"
SUBCOMMAND = "bisect"
ONE, TWO = "mm: wake", "mm/migrate: wait"		# subjects of the series


@pytest.fixture(autouse=True)
def _installed(tmp_path, monkeypatch):
	"""Let no test install packages."""
	fakes.programs(monkeypatch, tmp_path / "bin", {
		"dpkg-query": 'for p in "$@"; do case $p in -*) ;; *) echo "installed $p";; esac; done'})


@pytest.fixture(name="tree")
def _tree(tmp_path):
	"""A developer's tree, and beside it a series of two patches and one of support."""
	tree = fakes.user_tree(tmp_path / "user")
	for path in PARSER.glob("*.py"):
		shutil.copyfile(path, tree / "tools/testing/kunit" / path.name)
	fakes.write(tree, {"tools/testing/kunit/kunit.py": KUNIT, "Makefile": fakes.FILES["Makefile"] + MAKE})
	fakes.git(tree, "add", "-f", "tools", "Makefile")
	fakes.git(tree, "commit", "-qm", "kunit")
	fakes.write(tmp_path / "series", {
		"support/7.3/0001-s.patch": fakes.patch(36, "line 36", "support"),
		"rfc/7.3/0001-x.patch": fakes.patch(10, "line 10", "wake", ONE), "rfc/7.3/0002-y.patch": fakes.patch(20, "line 20", "wait", TWO)})
	return tree


def _commit(tree, line, text, subject=""):
	"""Replace a line of mm/migrate.c in a commit, and return that."""
	path = tree / "mm/migrate.c"
	lines = path.read_text().splitlines()
	lines[line - 1] = text
	path.write_text("\n".join(lines) + "\n")
	fakes.git(tree, "commit", "-qam", subject or text)
	return fakes.git(tree, "rev-parse", "HEAD")


def _argv(tmp_path, *args):
	return [sys.executable, str(PINWAIT), SUBCOMMAND, "--kdir=.", f"--series-dir={tmp_path / 'series'}", f"--build-root={tmp_path / 'build'}",
		*(args or [CASE])]


def _bisect(tree, tmp_path, good, *args):
	"""Return what the real git bisect makes of good to HEAD, its exit code, and check that the tree stays clean."""
	fakes.git(tree, "bisect", "start", "HEAD", good)
	done = subprocess.run(["git", "bisect", "run", *_argv(tmp_path, *args)], cwd=tree, capture_output=True, text=True, timeout=120,
			      env={**os.environ, **fakes.ENV})
	assert fakes.git(tree, "status", "--porcelain") == ""
	return done.returncode, done.stdout + done.stderr


@pytest.mark.slow
def test_culprit_is_found_in_a_tree_without_the_series(tree, tmp_path):
	good = fakes.git(tree, "rev-parse", "HEAD")
	for line in (1, 2):
		_commit(tree, line, f"innocent {line}")
	culprit = _commit(tree, 15, "bad")
	for line in (3, 4):
		_commit(tree, line, f"innocent {line}")
	code, said = _bisect(tree, tmp_path, good)
	assert code == 0 and f"{culprit} is the first bad commit" in said
	assert "series: none, because your tree is tested as it is" in said


@pytest.mark.slow
def test_culprit_among_commits_that_change_the_lines_of_the_series(tree, tmp_path):
	"""The series is in the history; then its own lines change."""
	good = fakes.git(tree, "rev-parse", "HEAD")
	_commit(tree, 1, "innocent")
	commits = [_commit(tree, 10, "wake", ONE), _commit(tree, 20, "wait", TWO), _commit(tree, 20, "wait longer"), _commit(tree, 10, "wake all")]
	culprit = _commit(tree, 20, "bad wait")
	_commit(tree, 2, "innocent")
	code, said = _bisect(tree, tmp_path, good)
	assert code == 0 and f"{culprit} is the first bad commit" in said
	assert f"series: rfc, which the tree has\nalready in the tree: rfc/7.3/0001-x.patch (its commit {commits[0][:7]}" in said
	assert "does not apply" not in said and "skip" not in said


# Line 36 is where the patch of support goes.
@pytest.mark.slow
@pytest.mark.parametrize("line, text, why", [(5, "no semicolon", "does not build"), (36, "other", "does not apply")])
def test_what_cannot_be_tested_is_skipped(tree, tmp_path, line, text, why):
	good = fakes.git(tree, "rev-parse", "HEAD")
	_commit(tree, 1, "innocent")
	broken = _commit(tree, line, text)
	_commit(tree, line, f"line {line}")
	culprit = _commit(tree, 15, "bad")
	_commit(tree, 2, "innocent")
	code, said = _bisect(tree, tmp_path, good)
	assert code == 0 and f"{culprit} is the first bad commit" in said
	fakes.git(tree, "checkout", "-q", broken)		# which commits git tries is up to git
	done = subprocess.run(_argv(tmp_path), cwd=tree, capture_output=True, text=True)
	assert done.returncode == 125 and why in done.stderr and "this commit is skipped" in done.stderr


@pytest.mark.parametrize("text, args, why", [
	("innocent", ("fail_folio_hold_boot.boot_parametre",), "selects no case"),
	("innocent", ("--no-such-option",), "unrecognized arguments"),
	("innocent", ("--series=rcf", CASE), "unknown series 'rcf'"),
	("innocent", ("--profile=vax", CASE), "unknown profile"),
	("innocent", ("--json=/no/such/folder/x", CASE), ""),
	("innocent", (ABSENT,), "test a part that series none does not have: --series=rfc"),
	("no memory", (), "could not be built on this machine"),
	("no start", (), "did not start the kernel"),
	("panics early", (), "panicked before the first test"),
])
def test_wrong_use_and_faults_of_the_machine_stop_it(tree, tmp_path, text, args, why):
	good = fakes.git(tree, "rev-parse", "HEAD")
	for line in (1, 2, 3):
		_commit(tree, line, f"{text} {line}")
	code, said = _bisect(tree, tmp_path, good, *args)
	assert code != 0 and "first bad commit" not in said and why in said
	assert "128" in said and fakes.git(tree, "bisect", "log").count("git bisect skip") == 0


def _run(tree, tmp_path, *args):
	"""Run, and return the exit code, what was said, the summary, and JUnit's."""
	done = subprocess.run([*_argv(tmp_path, *args), f"--json={tmp_path / 's.json'}", f"--junit={tmp_path / 'j.xml'}"], cwd=tree, capture_output=True, text=True)
	return done, json.loads((tmp_path / "s.json").read_text()), (tmp_path / "j.xml").read_text()


@pytest.mark.parametrize("subcommand, args, status, text", [
	("run", (), "skip", "pass: 1 of 2 cases, 1 skipped as listed"),
	("bisect", (), "skip", "pass: 1 of 2 cases, 1 skipped as listed"),
	("bisect", ("--series=none",), "skip", "pass: 1 of 2 cases, 1 skipped as listed"),
	("run", ("--series=none",), "skip", "pass: 1 of 2 cases, 1 skipped as listed"),
	("run", ("--series=rfc",), "pass", "pass: 2 of 2 cases"),
])
def test_cases_about_the_series_are_absent_without_it(tree, tmp_path, monkeypatch, subcommand, args, status, text):
	monkeypatch.setattr(sys.modules[__name__], "SUBCOMMAND", subcommand)
	done, summary, junit = _run(tree, tmp_path, *args, BOTH)
	assert done.returncode == 0 and text in done.stdout, done.stderr
	assert {case["name"]: case["status"] for case in summary["cases"]} == {"short_pin": "pass", "isolated_by_another": status}
	choice = summary["choice"]
	assert choice[0] == ("series: none, because your tree is tested as it is (SERIES=rfc applies rfc to it)" if not args else
			     f"series: {args[0][9:]}, as given")
	assert done.stdout.startswith("\n".join(choice) + "\n") and all(line in done.stderr for line in choice[:1])
	assert f'value="{choice[0]}"' in junit and summary["series"]["name"] == (args[0][9:] if args else "none")
	again = summary["command"].split()
	assert [word for word in again if word.startswith("--series=")] == list(args)


@pytest.mark.slow
def test_promises_are_those_of_the_series_in_the_tree(tree, tmp_path):
	def promises():
		done = subprocess.run(_argv(tmp_path), cwd=tree, capture_output=True, text=True)
		assert done.returncode == 0, done.stderr
		return next(tmp_path.glob("build/obj/kdir-*/uml/promises")).read_text()
	assert promises() == "--kernel_args=folio_fixture.promises=none"
	_commit(tree, 10, "wake", ONE)
	assert promises() == "--kernel_args=folio_fixture.promises=none"		# half of it is none
	_commit(tree, 20, "wait", TWO)
	assert promises() == "--kernel_args=folio_fixture.promises=rfc"
	_commit(tree, 20, "wait longer")
	assert promises() == "--kernel_args=folio_fixture.promises=rfc"
	_commit(tree, 20, "line 20", f'Revert "{TWO}"')
	assert promises() == "--kernel_args=folio_fixture.promises=none"
	_commit(tree, 20, "wait", f'Reapply "{TWO}"')
	assert promises() == "--kernel_args=folio_fixture.promises=rfc"


def test_interrupt_stops_it_and_leaves_the_tree_clean(tree, tmp_path):
	good = fakes.git(tree, "rev-parse", "HEAD")
	for line in (1, 2, 3):
		_commit(tree, line, f"for ever {line}")
	fakes.git(tree, "bisect", "start", "HEAD", good)
	process = subprocess.Popen(["git", "bisect", "run", *_argv(tmp_path)], cwd=tree, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
				   text=True, start_new_session=True, env={**os.environ, **fakes.ENV})
	assert fakes.wait_for(lambda: list(tmp_path.glob("build/obj/*/uml/building")))
	os.killpg(process.pid, signal.SIGINT)		# as a terminal does
	process.communicate(timeout=30)
	assert process.returncode != 0 and fakes.git(tree, "status", "--porcelain") == ""
	assert [line for line in fakes.git(tree, "bisect", "log").splitlines() if line.startswith("git bisect ")] == [
		line for line in fakes.git(tree, "bisect", "log").splitlines() if line.startswith("git bisect start")]
