# SPDX-License-Identifier: GPL-2.0
"""The command line, end to end on a fake kernel: wrong use, Ctrl-C, failures that leave a summary."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import fakes
import pytest

from pinwait import cli, run

PINWAIT = run.PROJECT / "tools/testing/kunit/pinwait.py"
# Builds for ever, with a child in another session, and tells its number.
ENDLESS = """
import pathlib, subprocess, sys, time
obj = pathlib.Path(next(a for a in sys.argv if a.startswith("--build_dir="))[12:])
child = subprocess.Popen(["sleep", "1000"], start_new_session=True)
(obj / "pid.part").write_text(str(child.pid))
(obj / "pid.part").rename(obj / "pid")
time.sleep(1000)
"""
BROKEN = "import sys; sys.exit('x.c:1:2: error: no semicolon')"


@pytest.fixture(autouse=True)
def _installed(tmp_path, monkeypatch):
	"""Let no test install packages."""
	fakes.programs(monkeypatch, tmp_path / "bin", {
		"dpkg-query": 'for p in "$@"; do case $p in -*) ;; *) echo "installed $p";; esac; done'})


def _run(tmp_path, *args):
	return subprocess.run([sys.executable, PINWAIT, *args, f"--build-root={tmp_path / 'build'}"],
			      capture_output=True, text=True, timeout=60)


def _start(tmp_path, kunit):
	file = fakes.tarball(tmp_path, kunit)
	return subprocess.Popen([sys.executable, PINWAIT, "run", f"--tarball={file}", "--series=none",
				 f"--patches={tmp_path}", f"--build-root={tmp_path / 'build'}"], stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_leaves_no_process(tmp_path, signum):
	process = _start(tmp_path, ENDLESS)
	while not (pids := list(tmp_path.glob("build/obj/*/uml/pid"))):
		assert process.poll() is None, process.stderr.read()
	process.send_signal(signum)
	_out, err = process.communicate(timeout=20)
	assert process.returncode == 130
	assert "interrupted; what is downloaded" in err and "Traceback" not in err
	with pytest.raises(ProcessLookupError):
		os.kill(int(pids[0].read_text()), 0)
	summary = json.loads((tmp_path / "build/results/latest/summary.json").read_text())
	assert summary["verdict"]["outcome"] == "cannot-judge" and "interrupted" in summary["verdict"]["reason"]


def test_failed_build_leaves_a_summary(tmp_path):
	file = fakes.tarball(tmp_path, BROKEN)
	done = _run(tmp_path, "run", f"--tarball={file}", f"--patches={tmp_path}", "--series=none", f"--json={tmp_path / 'copy'}")
	assert done.returncode == 2 and "x.c:1:2: error: no semicolon" in done.stderr
	summary = json.loads((tmp_path / "copy").read_text())
	assert summary["verdict"]["outcome"] == "cannot-judge"
	assert (tmp_path / "build/results/latest/command").read_text() == (
		f"tools/testing/kunit/pinwait.py run --tarball={file} --patches={tmp_path} --series=none --profile=uml\n")


@pytest.mark.parametrize("args, text", [
	(["run", "--profile=vax"], "unknown profile 'vax'; there are:\n  uml:"),
	(["run", "--series=rcf"], "unknown series 'rcf'; there are: none, rfc"),
	(["run", "--kdir=/usr"], "KDIR /usr is no kernel tree"),
	(["run", "--tarball=/none"], "there is no file /none"),
	(["run", "--kernel=soon"], "unknown kernel 'soon'"),
	(["run", "no_such_suite"], "selects no case"),
	(["run", "--jobs=many"], "invalid int value: 'many'"),
	(["fly"], "invalid choice: 'fly'"),
	([], "required: COMMAND"),
	(["soak", "-n", "0"], "at least one boot"),
])
def test_wrong_use(tmp_path, args, text):
	done = _run(tmp_path, *args) if args else subprocess.run([sys.executable, PINWAIT], capture_output=True, text=True)
	assert (done.returncode, done.stdout) == (64, "") and text in done.stderr
	assert not list(tmp_path.glob("build/results/*"))


def test_reproduces_itself():
	argv = ["run", "--kdir=/k", "--patches=/p", "--series=none", "--profile=uml-rt", "--timeout=9", "--kernel_args=a b",
		"--kconfig_add=CONFIG_X=y", "--make_options=W=1", "suite.*"]
	first = cli.options(cli.parser().parse_args(argv))
	import shlex
	again = cli.options(cli.parser().parse_args(shlex.split(first.reproduce("run", "kdir-0"))[1:]))
	assert first == again


def test_make_targets_call_the_tool(tmp_path):
	def made(*args):
		return subprocess.run(["make", "-n", "-s", *args], cwd=run.PROJECT, capture_output=True, text=True,
				      check=True).stdout.strip()
	tool = "/usr/bin/python3 tools/testing/kunit/pinwait.py"
	assert made("run").split() == [*tool.split(), "run"]
	assert " ".join(made("run", "KDIR=/a b", "SERIES=none", "PROFILE=uml-rt", "FILTER=s.*", "JOBS=2", "JSON=j",
			     "JUNIT=u").split()) == (f"{tool} run --kdir='/a b' --series='none' --profile='uml-rt' "
						     "--jobs='2' --json='j' --junit='u' 's.*'")
	assert " ".join(made("soak", "N=3", "PARALLEL=2", "STRESS=1").split()) == (
		f"{tool} soak -n 3 --parallel=2 --stress")
	assert made().startswith("echo 'make run")


def test_distclean_removes_what_is_the_tools_own(tmp_path):
	fakes.write(tmp_path, {"build/kernels/k/x": "", "build/obj/y": "", "build/mutants-7.3-uml/z": "", "build/linux/Makefile": "mine\n"})
	assert _run(tmp_path, "distclean").returncode == 0
	assert [path.name for path in (tmp_path / "build").iterdir()] == ["linux"]
	(tmp_path / "build/linux/Makefile").unlink()
	(tmp_path / "build/linux").rmdir()
	assert _run(tmp_path, "distclean").returncode == 0 and not (tmp_path / "build").exists()
	assert _run(tmp_path, "distclean").returncode == 0


def test_clean_keeps_kernels(tmp_path):
	for name in ("obj", "results", "kernels"):
		(tmp_path / "build" / name).mkdir(parents=True)
	assert _run(tmp_path, "clean").returncode == 0
	assert [path.name for path in Path(tmp_path, "build").iterdir()] == ["kernels"]
