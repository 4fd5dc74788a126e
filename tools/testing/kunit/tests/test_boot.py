# SPDX-License-Identifier: GPL-2.0
"""Booting: the console and nothing else, and an end to every boot."""

import os
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from fakes import write
from pinwait.kernel import boot
from pinwait.kernel.build import Built
from pinwait.kernel.profile import Profile
from pinwait.kernel.sandbox import Sandbox
from pinwait.source.store import Kernel
from pinwait.util import proc
from pinwait.util.errors import CannotJudge
from pinwait.util.progress import Progress

CHATTER = """
print("[10:00:00] Starting KUnit Kernel (1/1)...")
print("Running tests with:")
print("$ /obj/linux kunit.enable=1 mem=1G")
"""
LINES = ["Linux version 7.3.4", "[10:00:00] odd, but the kernel's", "$ not a command", "nul \0 byte", ""]


def _boot(tmp_path, code, timeout=20):
	return boot.boot([sys.executable, "-c", code], timeout, tmp_path)


def test_keeps_the_console_alone(tmp_path):
	code = CHATTER + f"for line in {LINES!r}: print(line)\nprint('[10:00:01] Elapsed time: 0.1s')\n"
	console = _boot(tmp_path, code)
	assert [line.text for line in console.lines] == LINES and not console.timed_out
	assert (tmp_path / "kernel.log").read_text() == "".join(f"{line}\n" for line in LINES)
	times = [float(time) for time in (tmp_path / "kernel.times").read_text().split()]
	assert len(times) == len(LINES) and times == sorted(times)


def test_undecodable_bytes(tmp_path):
	console = _boot(tmp_path, CHATTER + "import sys; sys.stdout.flush(); sys.stdout.buffer.write(b'a\\xffb\\n')")
	assert [line.text for line in console.lines] == ["a\\xffb"]
	assert (tmp_path / "kernel.log").read_bytes() == b"a\xffb\n"


def test_timeout_that_kunit_reports(tmp_path):
	code = CHATTER + "print('Linux')\nprint(\"Command '['/obj/linux', 'x']' timed out after 5 seconds\")"
	console = _boot(tmp_path, code)
	assert console.timed_out and [line.text for line in console.lines] == ["Linux"]


def test_kunit_that_hangs_is_ended(tmp_path, monkeypatch):
	monkeypatch.setattr(boot, "GRACE", 0.3)
	console = _boot(tmp_path, CHATTER + "import time; print('Linux', flush=True); time.sleep(60)", timeout=0)
	assert console.timed_out and [line.text for line in console.lines] == ["Linux"]


def test_leaves_no_process(tmp_path):
	proc.become_subreaper()
	code = CHATTER + ("import subprocess; p = subprocess.Popen(['sleep', '60'], start_new_session=True, stdout=-3)\n"
			  "print(p.pid)")
	(line,) = _boot(tmp_path, code).lines
	with pytest.raises(ProcessLookupError):
		os.kill(int(line.text), 0)


def test_kernel_that_does_not_start(tmp_path):
	with pytest.raises(CannotJudge, match="(?s)did not start the kernel:.*no such binary"):
		_boot(tmp_path, "print('no such binary'); raise SystemExit(1)")


def test_home_is_private_and_goes(tmp_path):
	console = _boot(tmp_path, CHATTER + "import os; print(os.environ['HOME'])")
	assert console.lines[0].text != os.environ.get("HOME")
	assert not os.path.exists(console.lines[0].text)


@pytest.mark.parametrize("said", ["qemu: could not open kernel file '/obj/vmlinux': No such file or directory",
				  "qemu-system-x86_64: cannot set up guest memory 'pc.ram': Cannot allocate memory",
				  "/pinwait/qemu/qemu-system-x86_64-tcg: 13: exec: qemu-system-x86_64: not found"])
def test_qemu_that_starts_no_kernel(tmp_path, said):
	with pytest.raises(CannotJudge, match=f"did not start the kernel:\n{re.escape(said)}"):
		_boot(tmp_path, CHATTER + f"print({said!r})")


def test_warning_of_qemus_is_no_reason_not_to_read_on(tmp_path):
	lines = ["qemu-system-x86_64: warning: some feature is missing", "Linux version 7.3.4"]
	assert [line.text for line in _boot(tmp_path, CHATTER + f"for line in {lines!r}: print(line)").lines] == lines


def test_serial_line_ends_as_any_other(tmp_path):
	console = _boot(tmp_path, CHATTER + "import sys; sys.stdout.flush(); sys.stdout.buffer.write(b'Linux version 7\\r\\n\\r\\nx\\r\\n')")
	assert [line.text for line in console.lines] == ["Linux version 7", "", "x"]
	assert (tmp_path / "kernel.log").read_bytes() == b"Linux version 7\n\nx\n"


def _how(tmp_path, qemu_config=None, closed=False):
	write(tmp_path, {"tree/tools/testing/kunit/kunit.py": CHATTER + "print('Linux')"})
	found = Profile("p", "", (), "um", (), 20, True, 1, qemu_config=qemu_config)
	(tmp_path / "obj").mkdir()
	box = Sandbox(True, (tmp_path / "tree",)) if closed else None
	return boot.Boot(Kernel("x", tmp_path / "tree", "7.3", "", ""), Built(tmp_path / "obj", ""), found, box=box)


def test_noexec(tmp_path, monkeypatch):
	monkeypatch.setattr(os, "statvfs", lambda _folder: SimpleNamespace(f_flag=os.ST_NOEXEC))
	with pytest.raises(CannotJudge, match="mounted noexec.*set TMPDIR"):
		_how(tmp_path).run(tmp_path, Progress())


@pytest.mark.parametrize("given, kept", [
	({"TMPDIR": "{}", "TMP": "/none", "TEMP": "C:\\\\TEMP"}, "{}"), ({"TMP": "/none"}, ""), ({"TEMP": "{}"}, ""), ({"TMPDIR": "/none"}, ""),
	({"TMPDIR": ""}, ""), ({}, ""),
])
def test_callers_temporary_folders_do_not_lead_uml_astray(tmp_path, monkeypatch, given, kept):
	for name in ("TMPDIR", "TMP", "TEMP"):
		monkeypatch.delenv(name, raising=False)
	for name, value in given.items():
		monkeypatch.setenv(name, value.format(tmp_path))
	console = _boot(tmp_path, CHATTER + "import os\nfor name in ('TMPDIR', 'TMP', 'TEMP'): print(name, os.environ.get(name))")
	assert [line.text for line in console.lines] == [f"TMPDIR {kept.format(tmp_path)}", "TMP ", "TEMP "]


@pytest.mark.parametrize("qemu_config, closed", [(None, True), (Path("/machine.py"), False)])
def test_where_noexec_does_not_matter(tmp_path, monkeypatch, qemu_config, closed):
	"""A sandbox has a place of its own, and QEMU maps no file that it runs from."""
	monkeypatch.setattr(os, "statvfs", lambda _folder: SimpleNamespace(f_flag=os.ST_NOEXEC))
	assert _how(tmp_path, qemu_config, closed).run(tmp_path, Progress()).lines


@pytest.mark.parametrize("seconds, limit", [(0.0, 20), (0.4, 20), (1.0, 40), (38.0, 212), (100.0, 460)])
def test_patience(seconds, limit):
	"""A boot that takes a second may take forty; one that takes long need not hang for a quarter of an hour."""
	assert boot.patience(seconds, 20) == limit
