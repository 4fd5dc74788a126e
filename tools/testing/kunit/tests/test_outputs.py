# SPDX-License-Identifier: GPL-2.0
"""--json and --junit: looked at before anything is built, left at every end, and never a reason for another verdict."""

import json
import os
import shutil
import signal
import subprocess
import sys

import fakes
import pytest
from jsonschema import Draft202012Validator
from junitparser import JUnitXml

from logs import PARSER
from pinwait.report import judgement, summary
from pinwait.util.project import PROJECT

PINWAIT = PROJECT / "tools/testing/kunit/pinwait.py"
CASE = "fail_folio_hold_boot.boot_parameter"
# Builds at once, and boots a kernel with one case, which does what CASE_RESULT says.
KUNIT = f"""
import pathlib, os, sys
obj = pathlib.Path(next(word for word in sys.argv if word.startswith("--build_dir="))[12:])
if sys.argv[1] == "exec":
	print("$ linux kunit.enable=1")
	for line in ["Linux version 7.3.4", "KTAP version 1", "1..1", "    KTAP version 1", "    # Subtest: fail_folio_hold_boot", "    1..1",
		     "    " + os.environ.get("CASE_RESULT", "ok") + " 1 boot_parameter",
		     os.environ.get("CASE_RESULT", "ok") + " 1 fail_folio_hold_boot", "reboot: System halted"]:
		print("[    0.100000] " + line)
	print("[12:00:00] Elapsed time: 1s")
	for folder in (obj.parents[2] / "results").iterdir() if os.environ.get("NO_ROOM") else ():
		for name in ("summary.json.part", "junit.xml.part", "command"):
			(folder / name).mkdir()
else:
	(obj / ".config").write_text("")
	(obj / "linux").write_text("")
	(obj / "was-built").touch()
"""
SCHEMAS = {"gate": judgement.SCHEMA}


@pytest.fixture(name="tool")
def _tool(tmp_path, monkeypatch):
	"""Return a function that calls the tool on a fake kernel."""
	fakes.programs(monkeypatch, tmp_path / "bin", {
		"dpkg-query": 'for p in "$@"; do case $p in -*) ;; *) echo "installed $p";; esac; done'})
	source = fakes.source(tmp_path / "linux-7.3.4", KUNIT)
	for name in ("kunit_parser.py", "kunit_printer.py"):
		shutil.copy(PARSER / name, source / "tools/testing/kunit" / name)
	archive = tmp_path / "linux-7.3.4.tar.gz"
	subprocess.run(["tar", "czf", archive, source.name], cwd=tmp_path, check=True)

	def call(subcommand, *more, code=None, **env):
		argv = [sys.executable, PINWAIT, subcommand, f"--build-root={tmp_path / 'build'}", *map(str, more)]
		if subcommand == "run":
			argv += [f"--tarball={archive}", f"--series-dir={tmp_path}", "--series=none", CASE]
		done = subprocess.run(argv, capture_output=True, text=True, timeout=60, env={**os.environ, **env}, cwd=tmp_path)
		assert code is None or done.returncode == code, done.stderr
		return done
	call.here = tmp_path
	return call


def _verdict(path, subcommand="run"):
	"""Return the verdict of a file that fits the schema."""
	content = json.loads(path.read_text(encoding="utf-8"))
	Draft202012Validator(json.loads(SCHEMAS.get(subcommand, summary.SCHEMA).read_text(encoding="utf-8"))).validate(content)
	return content["verdict"]


@pytest.mark.parametrize("result, outcome, code", [("ok", "pass", 0), ("not ok", "fail", 1)])
def test_copies(tool, result, outcome, code):
	tool("run", "--json=out.json", "--junit=out.xml", "--results=all", CASE_RESULT=result, code=code)
	assert _verdict(tool.here / "out.json")["outcome"] == outcome
	assert len(JUnitXml.fromfile(str(tool.here / "out.xml"))) == 2
	latest = tool.here / "build/results/latest"
	assert [(latest / name).read_bytes() for name in ("summary.json", "junit.xml")] == [
		(tool.here / name).read_bytes() for name in ("out.json", "out.xml")]
	assert {path.name for path in (tool.here / "all").iterdir()} == {path.name for path in latest.iterdir()}


@pytest.mark.parametrize("subcommand", ["run", "gate"])
@pytest.mark.parametrize("option", ["--json", "--junit"])
@pytest.mark.parametrize("place, why", [
	("none/out", "there is no folder"), (".", "is a folder"), ("bin/true/out", "there is no folder"), ("", "is empty"),
])
def test_what_cannot_be_written_is_said_before_anything_is_done(tool, subcommand, option, place, why):
	done = tool(subcommand, f"{option}={place}", code=64)
	assert why in done.stderr and "Traceback" not in done.stderr and "mistake" not in done.stderr
	assert not (tool.here / "build").exists()


@pytest.mark.parametrize("result, code", [("ok", 0), ("not ok", 1)])
def test_full_disk_of_a_copy_changes_no_verdict(tool, result, code):
	done = tool("run", "--json=/dev/full", "--junit=/dev/full", CASE_RESULT=result, code=code)
	assert done.stderr.count("to /dev/full: [Errno 28] No space left") == 2
	assert _verdict(tool.here / "build/results/latest/summary.json")["exit_code"] == code


@pytest.mark.parametrize("result, code", [("ok", 0), ("not ok", 1)])
def test_results_that_cannot_be_written_change_no_verdict(tool, result, code):
	done = tool("run", "--json=out.json", "--junit=out.xml", CASE_RESULT=result, NO_ROOM="1", code=code)
	assert _verdict(tool.here / "out.json")["exit_code"] == code and (tool.here / "out.xml").exists()
	assert "summary.json could not be written" in done.stderr and "is not complete" in done.stderr


@pytest.mark.parametrize("result, code", [("ok", 0), ("not ok", 1)])
def test_full_standard_output_changes_no_verdict(tool, result, code):
	tool("run", CASE_RESULT=result, code=code)
	with open("/dev/full", "w", encoding="utf-8") as full:
		done = subprocess.run([sys.executable, PINWAIT, "run", f"--build-root={tool.here / 'build'}", f"--tarball={tool.here}/linux-7.3.4.tar.gz",
				       f"--series-dir={tool.here}", "--series=none", CASE], stdout=full, stderr=subprocess.PIPE, text=True,
				      env={**os.environ, "CASE_RESULT": result})
	assert (done.returncode, "No space left" in done.stderr) == (code, True)


def test_standard_output_can_be_the_copy(tool):
	content = tool("run", "--json=/dev/stdout", code=0).stdout
	assert json.loads(content[:content.rindex("\n}") + 2])["verdict"]["outcome"] == "pass"


def test_copy_goes_where_a_link_leads(tool):
	(tool.here / "link.json").symlink_to("real.json")
	tool("run", "--json=link.json", code=0)
	assert (tool.here / "link.json").is_symlink() and _verdict(tool.here / "real.json")["exit_code"] == 0


@pytest.mark.parametrize("subcommand, more", [
	("run", ["--profile=vax"]), ("run", ["--jobs=many"]), ("run", ["--fly"]), ("run", ["--kdir=/none"]), ("prove", ["--profile=vax"]),
	("gate", []), ("gate", ["--profiles=vax", "x.patch"]), ("gate", ["none.patch"]), ("gate", ["--only=x"]), ("gate", ["--shard=9/2", "x"]),
	("soak", ["-n", "0"]), ("mutants", ["--sample=-1"]),
])
def test_wrong_use_is_in_the_copies(tool, subcommand, more):
	out, junit = tool.here / "out.json", tool.here / "out.xml"
	for path in (out, junit):
		path.write_text("left by an earlier job")
	done = tool(subcommand, f"--json={out}", "--junit", junit, *more)
	said = _verdict(out, subcommand)
	assert (done.returncode, said["exit_code"], said["outcome"]) == (64, 64, "cannot-judge")
	assert said["reason"] in done.stderr and sum(suite.errors for suite in JUnitXml.fromfile(str(junit))) == 1


@pytest.mark.parametrize("subcommand", ["run", "gate"])
def test_missing_packages_are_in_the_copies(tool, monkeypatch, subcommand):
	fakes.programs(monkeypatch, tool.here / "few", {"dpkg-query": "exit 1", "apt-get": "exit 1", "sudo": "exit 1"})
	for name in ("git", "env"):
		(tool.here / "few" / name).symlink_to(shutil.which(name))
	monkeypatch.setenv("PATH", str(tool.here / "few"))
	(tool.here / "x.patch").write_text(fakes.patch(10, "line 10", "x"))
	tool(subcommand, "--json=out.json", *(["x.patch"] if subcommand == "gate" else []), code=2)
	assert "packages" in _verdict(tool.here / "out.json", subcommand)["reason"]


@pytest.mark.parametrize("subcommand", ["run", "gate"])
@pytest.mark.parametrize("what", ["interrupted", "a bug in the tool", "disk full", "this machine"])
def test_every_end_is_in_the_copies(tool, subcommand, what):
	"""The end comes from within: a module of the tool's is made to raise it."""
	errors = {"interrupted": "KeyboardInterrupt", "disk full": "OSError(28, 'No space left on device')",
		  "this machine": "PermissionError(13, 'Permission denied')"}
	code = f"""
import sys
from pinwait.commands import cli
from pinwait.util import deps
def broken(_packages):
	raise {errors.get(what, "KeyError('x')")}
deps.ensure = broken
sys.exit(cli.main(sys.argv[1:]))
"""
	done = subprocess.run([sys.executable, "-c", code, subcommand, "--json=out.json", f"--build-root={tool.here / 'build'}"], cwd=tool.here,
			      env={**os.environ, "PYTHONPATH": str(PINWAIT.parent)}, capture_output=True, text=True)
	said = _verdict(tool.here / "out.json", subcommand)
	assert (done.returncode, said["exit_code"], said["outcome"]) == ((130, 130) if what == "interrupted" else (2, 2)) + ("cannot-judge",)
	assert said["reason"].startswith(what) and ("Traceback" in done.stderr) == ("bug" in what)


def test_killed_tool_leaves_no_verdict_of_an_earlier_job(tool):
	tool("run", "--json=out.json", code=0)
	code = "import os, sys\nfrom pinwait.commands import cli\nfrom pinwait.util import deps\ndeps.ensure = lambda _: os.kill(os.getpid(), 9)\ncli.main(sys.argv[1:])"
	done = subprocess.run([sys.executable, "-c", code, "run", "--json=out.json"], cwd=tool.here,
			      env={**os.environ, "PYTHONPATH": str(PINWAIT.parent)})
	assert done.returncode == -signal.SIGKILL
	assert _verdict(tool.here / "out.json")["outcome"] == "cannot-judge"


def test_shard_that_did_nothing_is_known_as_one(tool):
	tool("gate", "--shard=2/4", "--profiles=vax", "--json=out.json", "x.patch", code=64)
	assert json.loads((tool.here / "out.json").read_text(encoding="utf-8"))["shard"] == "2/4"
