# SPDX-License-Identifier: GPL-2.0
"""The command line, end to end on a fake kernel: wrong use, Ctrl-C, failures that leave a summary."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys

import fakes
import pytest

from pinwait.commands import cli
from pinwait.util.project import PROJECT

PINWAIT = PROJECT / "tools/testing/kunit/pinwait.py"
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
				 f"--series-dir={tmp_path}", f"--build-root={tmp_path / 'build'}"], stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_leaves_no_process(tmp_path, signum):
	process = _start(tmp_path, ENDLESS)
	while not (pids := list(tmp_path.glob("build/obj/*/uml/pid"))):
		assert process.poll() is None, process.stderr.read()
	process.send_signal(signum)
	_out, err = process.communicate(timeout=20)
	assert process.returncode == 130
	assert "interrupted; downloads" in err and "Traceback" not in err
	with pytest.raises(ProcessLookupError):
		os.kill(int(pids[0].read_text()), 0)
	summary = json.loads((tmp_path / "build/results/latest/summary.json").read_text())
	assert summary["verdict"]["outcome"] == "cannot-judge" and "interrupted" in summary["verdict"]["reason"]


def test_failed_build_leaves_a_summary(tmp_path):
	file = fakes.tarball(tmp_path, BROKEN)
	done = _run(tmp_path, "run", f"--tarball={file}", f"--series-dir={tmp_path}", "--series=none", f"--json={tmp_path / 'copy'}")
	assert done.returncode == 2 and "x.c:1:2: error: no semicolon" in done.stderr
	summary = json.loads((tmp_path / "copy").read_text())
	assert summary["verdict"]["outcome"] == "cannot-judge"
	assert (tmp_path / "build/results/latest/command").read_text() == (
		f"{PINWAIT} run --tarball={file} --series-dir={tmp_path} --series=none --profile=uml\n")


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
	argv = ["run", "--kdir=/k", "--series-dir=/p", "--series=none", "--profile=uml-rt", "--timeout=9", "--kernel_args=a b",
		"--kconfig_add=CONFIG_X=y", "--make_options=W=1", "suite.*"]
	first = cli.options(cli.parser().parse_args(argv))
	import shlex
	again = cli.options(cli.parser().parse_args(shlex.split(first.reproduce("run", "kdir-0"))[1:]))
	assert first == again


# The tests run under make, which hands on the variables that it was given.
_BARE = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}


def _made(*args, **env):
	"""Return the words that a make target hands to the tool, through make and the shell."""
	script = "import os, sys; print(*sys.argv[2:], sep='\\n')"
	done = subprocess.run(["make", "-s", f"PYTHON={sys.executable} -c \"{script}\"", *args], cwd=PROJECT, capture_output=True, text=True,
			      env={**_BARE, **env})
	assert done.returncode == 0, done.stderr
	return done.stdout.splitlines()


def test_make_targets_call_the_tool():
	done = subprocess.run(["make", "-n", "-s", "run"], cwd=PROJECT, capture_output=True, text=True, check=True,
			      env=_BARE)
	assert done.stdout.split() == ["/usr/bin/python3", "tools/testing/kunit/pinwait.py", "run"]
	assert _made("run", "KDIR=/a b", "SERIES=none", "PROFILE=uml-rt", "FILTER=s.*", "JOBS=2", "JSON=j", "JUNIT=u") == [
		"run", "--kdir=/a b", "--series=none", "--profile=uml-rt", "--jobs=2", "--json=j", "--junit=u", "s.*"]
	assert _made("soak", "N=3", "PARALLEL=2", "STRESS=1") == ["soak", "-n", "3", "--parallel=2", "--stress"]
	assert _made("mutants", "MUTANTS=one two", "SAMPLE=") == ["mutants", "one", "two"]
	assert _made("mutants", "GENERATED=1", "SEED=s", "FUNCTIONS=f,a.c:*", "RESUME=1", "RECORD=1") == [
		"mutants", "--generated", "--seed=s", "--functions=f,a.c:*", "--resume", "--record"]
	assert _made("mutants", "MUTANTS=a.c:f:logical-1:|| a.c:f:arithmetic-1:* a.c:f:drop-put-1:a->b") == [
		"mutants", "a.c:f:logical-1:||", "a.c:f:arithmetic-1:*", "a.c:f:drop-put-1:a->b"]
	assert subprocess.run(["make", "-n", "-s"], cwd=PROJECT, capture_output=True, text=True, check=True).stdout.startswith("echo 'make run")


def test_a_name_says_which_mutants_are_meant(monkeypatch):
	asked = []
	monkeypatch.setattr(cli.generated, "generated", lambda _options, wanted: asked.append(wanted) or 0)
	monkeypatch.setattr(cli.mutants, "mutants", lambda _options, names, *_: asked.append(names) or 0)
	assert [cli.main(["mutants", *words]) for words in (["a.c:f:logical-1:||"], ["key-no-dec"], ["--generated", "--sample=3"])] == [0] * 3
	assert asked[0].names == ("a.c:f:logical-1:||",) and asked[1] == ["key-no-dec"] and asked[2].sample == 3
	assert cli.main(["mutants", "--seed=x"]) == 64


NASTY = "it's \"a\" $(touch x) `touch x`; touch x #$HOME\\ *"


@pytest.mark.parametrize("target, variable, words", [
	("gate", "PATCH", ["{}"]), ("gate", "RANGE", ["--range={}"]), ("gate", "BASE", ["--base={}"]), ("gate", "PROFILES", ["--profiles={}"]),
	("gate", "CHECKS", ["--checks={}"]), ("gate", "SHARD", ["--shard={}"]), ("run", "FILTER", ["{}"]), ("run", "KERNEL", ["--kernel={}"]),
	("run", "TARBALL", ["--tarball={}"]), ("run", "SERIES_DIR", ["--series-dir={}"]), ("run", "MUTANT", ["--mutant={}"]), ("soak", "N", ["-n", "{}"]),
	("soak", "PARALLEL", ["--parallel={}"]), ("presubmit", "KDIR", ["--kdir={}"]), ("check-gate", "RUNS", ["--runs={}"]),
	("coverage", "JSON", ["--json={}"]), ("check", "PROFILE", ["--profile={}"]), ("test", "K", ["-k", "{}"]), ("check", "COUNT", ["--count={}"]),
])
def test_make_variables_reach_the_tool_as_they_are(target, variable, words):
	expected = [target, *(word.format(NASTY) for word in words)]
	assert _made(target, f"{variable}={NASTY}") == expected
	assert _made(target, **{variable: NASTY}) == expected
	assert not (PROJECT / "x").exists()


@pytest.mark.parametrize("target, variable", [("merge", "RESULTS"), ("mutants", "MUTANTS"), ("check-gate", "INPUTS")])
def test_make_variables_that_are_lists(target, variable, tmp_path):
	(tmp_path / "shard-1").touch()
	(tmp_path / "shard-2").touch()
	assert _made(target, f"{variable}=it's $(x);y {tmp_path}/shard-*") == [target, "it's", "$(x);y", f"{tmp_path}/shard-1", f"{tmp_path}/shard-2"]


MARK = ".pinwait-build"


def _left(folder):
	return sorted(path.name for path in folder.iterdir())


def test_distclean_removes_what_is_the_tools_own(tmp_path):
	fakes.write(tmp_path, {f"build/{MARK}": "", "build/kernels/k/x": "", "build/obj/y": "", "build/mutants-7.3-uml/z": "",
			       "build/linux/Makefile": "mine\n"})
	assert _run(tmp_path, "distclean").returncode == 0
	assert _left(tmp_path / "build") == [MARK, "linux"]
	(tmp_path / "build/linux/Makefile").unlink()
	(tmp_path / "build/linux").rmdir()
	assert _run(tmp_path, "distclean").returncode == 0 and not (tmp_path / "build").exists()
	assert _run(tmp_path, "distclean").returncode == 0


def test_clean_keeps_what_was_not_built(tmp_path):
	for name in ("obj", "selftests", "results", "gate", "mutants-7.3-uml", "check", "kernels", "cache", "ccache", "strays"):
		(tmp_path / "build" / name).mkdir(parents=True)
	(tmp_path / "build" / MARK).touch()
	assert _run(tmp_path, "clean").returncode == 0
	assert _left(tmp_path / "build") == [MARK, "cache", "ccache", "kernels", "strays"]


@pytest.mark.parametrize("subcommand", ["clean", "distclean", "run", "gate", "soak", "prepare", "merge", "check-gate"])
def test_folder_of_somebody_else_is_no_build_root(tmp_path, subcommand):
	fakes.write(tmp_path, {"build/cache/a": "", "build/results/b": "", "build/obj/c": ""})
	done = _run(tmp_path, subcommand, *(["x"] if subcommand == "merge" else []))
	assert done.returncode == 64 and "pinwait did not make" in done.stderr
	assert _left(tmp_path / "build") == ["cache", "obj", "results"]


@pytest.mark.parametrize("ours", ["kernels/prepare.lock", "kernels/7.3.4-1/.git/pinwait.json", "gate/ccache/x", "results/x/judgement.json"])
@pytest.mark.parametrize("more, code", [("obj/x", 0), ("cache/x", 0), ("src/x.c", 64)])
def test_build_root_of_an_earlier_version(tmp_path, ours, more, code):
	fakes.write(tmp_path, {f"build/{ours}": "", f"build/{more}": ""})
	done = _run(tmp_path, "distclean")
	assert done.returncode == code and (tmp_path / "build").exists() == bool(code)
	if code:
		assert f"touch {tmp_path / 'build' / MARK}" in done.stderr


def test_used_build_root_is_marked(tmp_path):
	assert _run(tmp_path, "run", "--profile=vax").returncode == 64
	assert _left(tmp_path / "build") == [MARK]
	(tmp_path / "file").touch()
	done = subprocess.run([sys.executable, PINWAIT, "run", f"--build-root={tmp_path / 'file'}"], capture_output=True, text=True)
	assert done.returncode == 64 and "is no folder" in done.stderr


def test_empty_variable_is_none(tmp_path):
	fakes.write(tmp_path, {"cache/a": "", "results/b": "", "obj/c": ""})
	code = f"""
import pathlib, sys
sys.path.insert(0, {str(PINWAIT.parent)!r})
from pinwait.commands import cli
print(cli.parser().parse_args(["distclean"]).build_root)
"""
	done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env={**os.environ, "PINWAIT_BUILD": ""}, capture_output=True, text=True)
	assert done.stdout.strip() == str(PROJECT / "build"), done.stderr


@pytest.mark.parametrize("option", ["--build-root=", "--kdir=", "--tarball=", "--series-dir="])
def test_empty_option_is_wrong_use(tmp_path, option):
	done = subprocess.run([sys.executable, PINWAIT, "run", option], cwd=tmp_path, capture_output=True, text=True)
	assert done.returncode == 64 and f"{option[:-1]} is empty" in done.stderr


@pytest.mark.parametrize("name, words", [(name, words) for name, examples in cli.EXAMPLES.items() for words in examples])
def test_examples_of_the_help_are_right(name, words):
	assert cli.parser().parse_args([name, *shlex.split(words)]).subcommand == name


def test_every_subcommand_has_two_examples():
	assert {name: len(examples) for name, examples in cli.EXAMPLES.items()} == dict.fromkeys(cli.COMMANDS, 2)


@pytest.mark.parametrize("name, profiles", [("run", True), ("gate", True), ("merge", False)])
def test_help_lists_the_profiles(tmp_path, name, profiles):
	said = _run(tmp_path, name, "--help").stdout
	assert f"examples:\n  pinwait.py {name}" in said and ("\nprofiles:\n  uml " in said) == profiles


@pytest.mark.parametrize("old, new", [("--build_dir=/b", "--build-root=/b"), ("--patches=/p", "--series-dir=/p"), ("--kernel-args=x", "--kernel_args=x")])
def test_other_spellings(old, new):
	assert cli.parser().parse_args(["run", old]) == cli.parser().parse_args(["run", new])


@pytest.mark.parametrize("words, stages", [
	(["run", "--series=none"], ["kernel", "apply", "configure", "build", "boot", "report"]),
	(["soak", "-n", "3", "--profile=uml-smp"], ["kernel", "apply", "configure", "build", "boot", "report"]),
	(["gate", "one.patch"], ["kernel", "apply", *["configure", "build", "boot"] * 2, *["configure", "build"], *["configure"] * 3,
				 *["configure", "build", "boot"], "report", "judge"])])
def test_dry_run_says_what_would_be_done_and_does_nothing(tmp_path, words, stages):
	(tmp_path / "one.patch").write_text(fakes.patch(10, "line 10", "x"))
	words = [str(tmp_path / word) if word == "one.patch" else word for word in words]
	before = set(tmp_path.iterdir())
	done = _run(tmp_path, *words, "--dry-run", f"--json={tmp_path / 'x.json'}")
	assert done.returncode == 0, done.stderr
	assert [line.split()[0] for line in done.stdout.splitlines()] == stages
	assert set(tmp_path.iterdir()) == before
	assert ("promises=none" in done.stdout) == (words[0] == "run")


def test_dry_run_says_which_qemu_boots(tmp_path):
	boot = _run(tmp_path, "run", "--profile=x86_64-smp", "--dry-run").stdout.splitlines()[4]
	assert boot.split()[0] == "boot" and "in QEMU 10 or newer, with " in boot and "tools/testing/kunit/qemu first in PATH: " in boot
	assert "--qemu_config=" in boot and re.search("'--qemu_args=-m 2050 -smp 2,sockets=2 [^']*-icount ", boot)
	assert "QEMU" not in _run(tmp_path, "run", "--dry-run").stdout


def test_dry_run_of_a_gate_needs_files(tmp_path):
	assert _run(tmp_path, "gate", "--kdir=/", "--dry-run").returncode == 64
