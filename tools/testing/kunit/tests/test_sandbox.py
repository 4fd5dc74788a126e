# SPDX-License-Identifier: GPL-2.0
"""What runs in the sandbox sees and writes what it is given, and nothing else."""

import os
import subprocess
from pathlib import Path

import pytest

from pinwait.kernel import sandbox
from pinwait.kernel.sandbox import OPEN, Sandbox


def _run(box, words, writable=(), **env):
	argv = box.command(["sh", "-c", words], writable)
	done = subprocess.run(argv, capture_output=True, text=True, env={**os.environ, **env})
	return done.returncode, (done.stdout + done.stderr).strip()


def test_open_hides_nothing_but_the_environment(tmp_path):
	(tmp_path / "x").write_text("x")
	assert _run(OPEN, f"cat {tmp_path}/x; echo $HOME; id -u") == (0, f"x{os.environ['HOME']}\n{os.getuid()}")


@pytest.mark.parametrize("closed", [True, False])
def test_patched_makefile_sees_no_secret(tmp_path, monkeypatch, closed):
	"""What CI servers have in the environment, and whatever else may stand there."""
	names = ["CI_JOB_TOKEN", "CI_REGISTRY_PASSWORD", "CI_REPOSITORY_URL", "GITHUB_TOKEN", "ACTIONS_RUNTIME_TOKEN", "GITHUB_ENV",
		 "AWS_SECRET_ACCESS_KEY", "SSH_AUTH_SOCK", "PATCHWORK_TOKEN", "MY_PATH_SECRET", "odd.name%", "DEPLOY_KEY"]
	for name in names:
		monkeypatch.setenv(name, "secret-of-the-server")
	(tmp_path / "Makefile").write_text("all:\n\t@env\n\t@echo compiled with $(CI_JOB_TOKEN)\n")
	box = Sandbox(closed, (tmp_path,))
	done = subprocess.run(box.command(["make", "-C", str(tmp_path)], []), capture_output=True, text=True)
	assert done.returncode == 0 and "compiled with\n" in done.stdout and "PATH=" in done.stdout
	assert "secret-of-the-server" not in done.stdout


def test_missing_program_is_said(monkeypatch):
	monkeypatch.setenv("PATH", "/nowhere")
	assert "package bubblewrap" in sandbox.failure()


def test_it_works_here():
	assert sandbox.failure() == ""


def test_writes_only_where_it_may(tmp_path):
	(tmp_path / "in").mkdir()
	(tmp_path / "out").mkdir()
	box = Sandbox(True, (tmp_path / "out",))
	code, _ = _run(box, f"echo x >{tmp_path}/in/x", [tmp_path / "in"])
	assert code == 0 and (tmp_path / "in/x").read_text() == "x\n"
	for place in (tmp_path / "out", Path("/usr"), Path("/etc")):
		code, said = _run(box, f"echo x >{place}/pinwait-test", [tmp_path / "in"])
		assert code and "Read-only file system" in said
		assert not (place / "pinwait-test").exists()


def test_homes_and_temporary_folders_are_hidden(tmp_path):
	(tmp_path / "secret").write_text("x")
	assert _run(Sandbox(True), f"ls {Path.home()} /tmp {tmp_path}")[0]
	assert _run(Sandbox(True), "ls /tmp /root /home")[1] == "/home:\n\n/root:\n\n/tmp:"
	assert _run(Sandbox(True, (tmp_path,)), f"cat {tmp_path}/secret") == (0, "x")


def test_no_network_and_no_other_process():
	assert _run(Sandbox(True), "ls /sys/class/net; cat /proc/net/dev | tail -n +3 | cut -d: -f1")[1].split()[-1] == "lo"
	assert int(_run(Sandbox(True), "ls -d /proc/[0-9]* | wc -l")[1]) < 6


def test_nobody(tmp_path, monkeypatch):
	monkeypatch.setenv("TMPDIR", str(tmp_path))
	assert _run(Sandbox(True), "id -u; echo $HOME $TMPDIR") == (0, "65534\n/tmp")


def test_the_callers_environment_is_not_passed_on(monkeypatch):
	for name in ("SECRET_TOKEN", "MAKEFLAGS", "CCACHE_DIR"):
		monkeypatch.setenv(name, "/cc")
	said = _run(Sandbox(True), "env", LC_ALL="C", CCACHE_DIR="/cc")[1].splitlines()
	assert {"CCACHE_DIR=/cc", "LC_ALL=C", "HOME=/tmp"} <= set(said)
	assert not [line for line in said if line.startswith(("SECRET_TOKEN", "MAKEFLAGS"))]


def test_what_only_root_may_read_is_not_read_by_root():
	assert _run(Sandbox(True), "cat /etc/shadow /etc/gshadow; ls /etc/ssl/private")[1].count("root") == 0


def test_no_session_of_a_terminals():
	# Field 6 of stat is the session: 0 is one of outside.
	assert _run(Sandbox(True), "cut -d' ' -f6 /proc/self/stat") != (0, "0")


def test_what_is_not_there_is_not_replaced(tmp_path):
	assert _run(Sandbox(True, (tmp_path,), {tmp_path / "none": tmp_path}), "echo x") == (0, "x")


def test_instead(tmp_path):
	for name in ("patched", "trusted"):
		(tmp_path / name).mkdir()
		(tmp_path / name / "kunit.py").write_text(name)
	box = Sandbox(True, (tmp_path,), {tmp_path / "patched": tmp_path / "trusted"})
	assert _run(box, f"cat {tmp_path}/patched/kunit.py") == (0, "trusted")
