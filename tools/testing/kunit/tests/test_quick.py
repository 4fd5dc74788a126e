# SPDX-License-Identifier: GPL-2.0
"""A boot of a mutant ends at the first failure, and at a limit of processor time; nothing of it is left."""

import os
import sys
import time

import fakes
import pytest

from pinwait.kernel import quick
from pinwait.util.errors import CannotJudge
from pinwait.util.proc import become_subreaper, descendants

KERNEL = "[    0.010000]         ok 1 a\n[    0.020000]         not ok 2 b\n"


@pytest.fixture(autouse=True)
def _subreaper():
	become_subreaper()


def _script(text):
	return [sys.executable, "-u", "-c", text]


def _boot(text, processor=20, wall=60, whole=False):
	start = time.monotonic()
	booted = quick.run(_script(text), processor, wall, whole)
	assert not descendants(os.getpid())
	return booted, time.monotonic() - start


def test_first_failure_ends_it():
	booted, seconds = _boot(f"import time; print({KERNEL!r}, end=''); time.sleep(60)")
	assert booted.failed and not booted.hung and seconds < 30
	assert [line.text for line in booted.lines] == KERNEL.splitlines()


def test_whole_boot_goes_on_behind_a_failure():
	booted, _ = _boot(f"print({KERNEL!r}, end=''); print('reboot: ')", whole=True)
	assert not booted.failed and booted.lines[-1].text == "reboot: "


def test_processor_time_is_limited_whatever_the_wall_clock_says():
	booted, seconds = _boot("while True: pass", processor=1)
	assert booted.hung and quick.NEARLY <= booted.seconds < 5
	booted, _ = _boot("import time; time.sleep(2)", processor=1)
	assert not booted.hung


def test_wall_time_is_limited():
	booted, seconds = _boot("import time; time.sleep(60)", wall=1)
	assert booted.hung and seconds < 30


def test_children_are_ended():
	booted, seconds = _boot(f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'], "
				f"start_new_session=True); print({KERNEL!r}, end=''); time.sleep(60)")
	assert booted.failed and seconds < 30


def test_command_is_kunits(tmp_path):
	chatter = ["Starting KUnit Kernel (1/1)...", "$ /obj/linux 'kunit.filter_glob=a b' kunit.enable=1 mem=1G"]
	assert quick.command(chatter, tmp_path / "linux") == [str(tmp_path / "linux"), "kunit.filter_glob=a b", "kunit.enable=1", "mem=1G"]
	with pytest.raises(CannotJudge, match="does not show"):
		quick.command(chatter[:1], tmp_path / "linux")


def test_qemu_gets_another_kernel(tmp_path):
	chatter = ["$ qemu-system-x86_64-tcg -m 1024 -kernel /obj/vmlinux -append 'kunit.enable=1 console=ttyS0' -no-reboot"]
	assert quick.command(chatter, tmp_path / "vmlinux") == ["qemu-system-x86_64-tcg", "-m", "1024", "-kernel", str(tmp_path / "vmlinux"),
							     "-append", "kunit.enable=1 console=ttyS0", "-no-reboot"]


def test_program_of_a_profile_is_found_and_its_serial_line_read(tmp_path, monkeypatch):
	fakes.programs(monkeypatch, tmp_path / "bin", {"qemu-system-test": "printf '[    0.010000] ok 1 a\\r\\n[    0.02] not ok 2 b\\r\\n'; exec sleep 60"})
	monkeypatch.setenv("PATH", "/usr/bin:/bin")
	booted = quick.run(["qemu-system-test"], 20, 60, programs=(tmp_path / "bin",))
	assert booted.failed and [line.text for line in booted.lines] == ["[    0.010000] ok 1 a", "[    0.02] not ok 2 b"]


def test_processor_time_of_what_a_wrapper_starts_is_limited(tmp_path, monkeypatch):
	fakes.programs(monkeypatch, tmp_path / "bin", {"qemu-system-test": f"exec {sys.executable} -c 'while True: pass'"})
	booted = quick.run(["qemu-system-test"], 1, 60)
	assert booted.hung and quick.NEARLY <= booted.seconds < 5


def test_qemu_that_starts_no_kernel_kills_no_mutant():
	with pytest.raises(CannotJudge, match="did not start the kernel:\nqemu: could not open kernel file"):
		_boot("print('qemu: could not open kernel file: No such file or directory')")
