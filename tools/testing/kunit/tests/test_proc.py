# SPDX-License-Identifier: GPL-2.0
"""No process is left behind, and two runs do not use one worktree at once."""

import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import fakes
from pinwait.util.project import PROJECT
from pinwait.kernel.build import DoesNotBuild
from pinwait.util import proc
from pinwait.util.errors import CannotJudge

# Starts a grandchild in a session of its own, which ignores SIGTERM, then ends or sleeps.
STARTER = """
import subprocess, sys, time
code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
child = subprocess.Popen([sys.executable, "-c", code], start_new_session=True, stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
time.sleep(float(sys.argv[1]))
"""


def _start(seconds):
	starter = subprocess.Popen([sys.executable, "-c", STARTER, str(seconds)], stdout=subprocess.PIPE, text=True)
	return starter, int(starter.stdout.readline())


@pytest.fixture(autouse=True)
def _subreaper(monkeypatch):
	proc.become_subreaper()
	monkeypatch.setattr(proc, "TERM_GRACE", 0.3)
	yield
	proc.kill_descendants()


@pytest.mark.parametrize("orphan", [False, True])
def test_kills_other_sessions_and_orphans(orphan):
	starter, grandchild = _start(0 if orphan else 60)
	if orphan:
		starter.wait()
	proc.kill_descendants()
	with pytest.raises(ProcessLookupError):
		os.kill(grandchild, 0)
	assert proc.descendants(os.getpid()) == []


def test_term_comes_before_kill(tmp_path):
	code = ("import signal, sys, time\n"
		"def end(*_):\n open(sys.argv[1], 'w').write('cleaned up'); sys.exit()\n"
		"signal.signal(signal.SIGTERM, end); print('up', flush=True); time.sleep(60)")
	child = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "mark")], stdout=subprocess.PIPE)
	child.stdout.readline()
	proc.TERM_GRACE = 5.0
	proc.kill_descendants()
	assert (tmp_path / "mark").read_text() == "cleaned up"


def test_failed_command_tells_its_output():
	with pytest.raises(proc.CommandFailed, match="(?s)exit code 3.*the reason"):
		proc.run(["sh", "-c", "echo the reason >&2; exit 3"])


def test_lock_waits_and_says_for_what(tmp_path, capfd):
	code = ("import sys, time\nfrom pathlib import Path\nfrom pinwait.util import proc\n"
		"with proc.lock(Path(sys.argv[1]), 'x'):\n print('held', flush=True); time.sleep(0.5)")
	package = str(PROJECT / 'tools/testing/kunit')
	holder = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "l")], stdout=subprocess.PIPE,
				  env={**os.environ, "PYTHONPATH": package})
	holder.stdout.readline()
	start = time.monotonic()
	with proc.lock(tmp_path / "l", "the kernel worktree k"):
		assert time.monotonic() - start > 0.3
	error = capfd.readouterr().err
	assert f"waiting for the kernel worktree k, in use by process {holder.pid}" in error


def test_lock_is_kept_by_the_build_of_a_tool_that_was_killed(tmp_path, capfd):
	code = ("import subprocess, sys\nfrom pathlib import Path\nfrom pinwait.util import proc\n"
		"with proc.lock(Path(sys.argv[1]), 'x'):\n"
		" child = subprocess.Popen(['sleep', '1'], stdout=subprocess.DEVNULL, pass_fds=proc.HELD)\n print('held', flush=True)\n child.wait()")
	package = str(PROJECT / 'tools/testing/kunit')
	holder = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "l")], stdout=subprocess.PIPE,
				  env={**os.environ, "PYTHONPATH": package})
	holder.stdout.readline()
	holder.kill()
	holder.wait()
	with proc.lock(tmp_path / "l", "the kernel worktree k"):
		# A process that ends closes its files, and with them gives up the lock, before it is over.
		deadline = time.monotonic() + 10
		while proc.descendants(os.getpid()) and time.monotonic() < deadline:
			time.sleep(0.01)
		assert not proc.descendants(os.getpid())	# sleep, adopted, is over
	assert "waiting for the kernel worktree k" in capfd.readouterr().err
	assert not proc.HELD


def _ready():
	pass


def _double(number):
	if number == 13:
		os.kill(os.getpid(), signal.SIGKILL)
	if number == 14:
		raise ValueError("fourteen")
	return 2 * number


def test_workers():
	with proc.workers(2, _ready) as pool:
		assert list(pool.map(_double, range(5))) == [0, 2, 4, 6, 8]


def _orphan(_number):
	# The worker adopts what the shell leaves, and the tool that has the worker adopts it next.
	subprocess.run(["sh", "-c", "true &"], check=True)
	return fakes.wait_for(fakes.ended)


def test_workers_leave_no_ended_process():
	with proc.workers(1, _ready) as pool:
		assert list(pool.map(_orphan, range(1))) == [True]
	assert not fakes.ended()


def test_killed_worker_is_said():
	with pytest.raises(CannotJudge, match="was killed during its work"):
		with proc.workers(2, _ready) as pool:
			list(pool.map(_double, [1, 13, 2]))


def test_what_a_worker_raises():
	with pytest.raises(ValueError, match="fourteen"):
		with proc.workers(2, _ready) as pool:
			list(pool.map(_double, [1, 14, 2]))


def test_interrupt_ends_workers():
	start = time.monotonic()
	with pytest.raises(KeyboardInterrupt):
		with proc.workers(2, _ready) as pool:
			pool.submit(time.sleep, 60)
			time.sleep(0.2)
			raise KeyboardInterrupt
	assert time.monotonic() - start < 30 and not proc.descendants(os.getpid())


def test_interrupt_with_calls_that_wait_is_silent():
	code = ("import time\nfrom pinwait.util import proc\n"
		"with proc.workers(1, lambda: None) as pool:\n"
		" for _ in pool.map(time.sleep, [0.1, 60, 60, 60]):\n  raise SystemExit(5)")
	done = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(PROJECT / "tools/testing/kunit")},
			      capture_output=True, text=True)
	assert (done.returncode, done.stderr) == (5, "")


def test_workers_end_with_the_tool(tmp_path):
	code = ("import sys, time\nfrom pinwait.util import proc\n"
		"with proc.workers(2, lambda: None) as pool:\n"
		" pool.submit(time.sleep, 60)\n time.sleep(0.2)\n print(*proc.descendants(proc.os.getpid()), flush=True)\n time.sleep(60)")
	package = str(PROJECT / 'tools/testing/kunit')
	tool = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": package}, text=True)
	pids = tool.stdout.readline().split()
	assert len(pids) == 2
	tool.kill()
	tool.wait()
	assert fakes.wait_for(lambda: not proc.descendants(os.getpid()))


def test_free_lock_is_silent(tmp_path, capfd):
	for _ in range(2):
		with proc.lock(tmp_path / "l", "x"):
			pass
	assert capfd.readouterr().err == ""


def test_full_disk_is_foreseen(tmp_path):
	with pytest.raises(CannotJudge, match=r"disk full: a test needs 1000000\.0 GiB .* GiB are free"):
		proc.need_space(tmp_path, 1e6, "a test")


def test_full_disk_is_recognised():
	assert proc.is_disk_full(OSError(28, "x"))
	assert proc.is_disk_full(proc.CommandFailed(["tar"], 2, "tar: write error: No space left on device"))
	assert not proc.is_disk_full(OSError(2, "x"))


@pytest.mark.parametrize("error", [
	proc.CommandFailed(["make", "x"], 2, "no rule\n"), DoesNotBuild("mm/migrate.c:1:1: error", Path("build.log")), CannotJudge("why")])
def test_an_error_of_a_worker_arrives_as_it_was_raised(error):
	again = pickle.loads(pickle.dumps(error))
	assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))
