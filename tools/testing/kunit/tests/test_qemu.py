# SPDX-License-Identifier: GPL-2.0
"""QEMU: never with KVM where time is virtual, new enough, and named where it is missing."""

import os
import platform
import re
import subprocess
from dataclasses import replace

import fakes
import pytest

from pinwait.kernel import boot, profile, qemu
from pinwait.kernel.build import Built
from pinwait.kernel.sandbox import Sandbox
from pinwait.source.store import Kernel
from pinwait.util import deps
from pinwait.util.errors import CannotJudge
from pinwait.util.progress import Progress
from pinwait.util.project import CONFIGS, PROJECT

SAYS_WORDS = "for word; do printf '%s\\n' \"$word\"; done"
PROFILES = [profile.load(CONFIGS, name) for name in profile.names(CONFIGS)]
IN_QEMU = [found for found in PROFILES if found.qemu_config and found.name in profile.booted(CONFIGS)]
KUNIT = PROJECT / "tools/testing/kunit"
MACHINE = "from types import SimpleNamespace as QemuArchParams\n"	# stands for kunit.py's qemu_config.py


def _version(number):
	return f"echo 'QEMU emulator version {number} (Debian 1:{number}+dfsg-7)'"


@pytest.fixture(name="machine")
def _machine(tmp_path, monkeypatch):
	"""A machine of Debian 12 with QEMU 7.2, where no package is missing."""
	def machine(scripts):
		fakes.programs(monkeypatch, tmp_path / "bin", {qemu.PROGRAM: _version("7.2.22")} | scripts)
		monkeypatch.setattr(deps, "ensure", lambda packages: None)
		monkeypatch.setattr(platform, "freedesktop_os_release", lambda: {"VERSION_CODENAME": "bookworm"})
		return tmp_path / "bin"
	return machine


def _program(found):
	"""Return the name of the program that kunit.py starts for a profile, and more of its words."""
	text = found.qemu_config.read_text(encoding="utf-8")
	scope = {}
	exec(MACHINE + text.replace("from ..qemu_config import QemuArchParams", ""), scope)	# pylint: disable=exec-used
	return f"qemu-system-{scope['QEMU_ARCH'].qemu_arch}", scope["QEMU_ARCH"].extra_qemu_params


def _words(tmp_path, monkeypatch, found, *words):
	"""Return the words with which QEMU is started for a profile."""
	fakes.programs(monkeypatch, tmp_path / "bin", {qemu.PROGRAM: SAYS_WORDS})
	env = {**os.environ, **boot.environment(str(tmp_path), (qemu.WRAPPERS,))}
	return subprocess.run([_program(found)[0], *words], env=env, check=True, capture_output=True, text=True).stdout.splitlines()


@pytest.mark.parametrize("found", IN_QEMU, ids=lambda found: found.name)
def test_kvm_is_never_offered(tmp_path, monkeypatch, found):
	"""Whether /dev/kvm works or not: the words do not depend on it."""
	given = ["-m", "1024", "-accel", "kvm", "-accel", "hvf", "-accel", "tcg", "-append", "a b=\"c d\" 'e' $HOME * \\", "", "-smp", "2"]
	words = _words(tmp_path, monkeypatch, found, *given)
	assert [word for word in words if word not in ("kvm", "hvf")] == words
	assert [word for word in words if word != "tcg"] == [word for word in given if word not in ("kvm", "hvf", "tcg")]
	assert [after for word, after in zip(words, words[1:]) if word == "-accel"] == ["tcg"] * 3


def test_no_word_but_an_accelerator_changes(tmp_path, monkeypatch):
	given = ["kvm", "-append", "-accel kvm", "--accel=x", "-accel", "kvm"]
	assert _words(tmp_path, monkeypatch, IN_QEMU[0], *given) == [*given[:-1], "tcg"]


def test_virtual_time_is_quite_virtual():
	"""In QEMU it takes icount; without sleep=off waits take real time, without clock=vm the date is the host's.

	With one CPU record/replay has QEMU's threads take turns, or time depends on what else the machine does.
	"""
	assert IN_QEMU
	for found in IN_QEMU:
		words = found.qemu_args.split()
		assert found.virtual_time == ("-icount" in words)
		if found.virtual_time:
			icount = "shift=0,sleep=off" + ("" if "-smp" in words else ",rr=record,rrfile=/dev/null")
			assert icount in words and "clock=vm" in words[words.index("-rtc") + 1] and "-seed" in words
		else:	# and the suites are not told that it is
			assert not [word for word in found.kernel_args if "virtual_time" in word]


def test_several_cpus_with_virtual_time_need_a_newer_qemu():
	for found in IN_QEMU:
		assert found.qemu_version >= (10 if found.virtual_time and "-smp" in found.qemu_args else 0)


def test_uml_needs_none(monkeypatch, tmp_path):
	monkeypatch.setattr(deps, "ensure", None)
	for found in PROFILES:
		if not found.qemu_config:
			assert qemu.provided(found, tmp_path) is found


def test_it_is_installed_only_for_a_profile_that_boots_in_it(machine, monkeypatch, tmp_path):
	machine({})
	asked = []
	monkeypatch.setattr(deps, "ensure", asked.append)
	assert qemu.provided(IN_QEMU[0], tmp_path).programs == (qemu.WRAPPERS,)
	assert asked == [deps.QEMU] and not deps.QEMU.keys() & (deps.RUN | deps.GATE).keys()


def test_it_is_said_that_it_cannot_be_installed(machine, monkeypatch, tmp_path):
	def ensure(_packages):
		raise CannotJudge("packages are missing; run: sudo apt-get install qemu-system-x86")
	machine({})
	monkeypatch.setattr(deps, "ensure", ensure)
	with pytest.raises(CannotJudge, match=f"^profile {IN_QEMU[0].name} boots in QEMU: packages are missing; run: sudo .* qemu-system-x86$"):
		qemu.provided(IN_QEMU[0], tmp_path)


def test_broken_qemu_is_no_broken_kernel(machine, tmp_path):
	machine({qemu.PROGRAM: "echo 'error while loading shared libraries: libx.so'; exit 127"})
	with pytest.raises(CannotJudge, match="(?s)boots in QEMU: it does not run: .*libx.so"):
		qemu.provided(IN_QEMU[0], tmp_path)


GET = """
case "$*" in
*indextargets*) echo "Debian|archive:/debian/";;
*download*) for word; do name=${word%=*}; done; touch "$name.deb";;
esac
"""
CACHE = """case "$*" in *bookworm-backports*madison*) for name; do :; done; echo " $name | 1:10.0.2 | archive Packages";; esac"""
# Unpacks a program that only says its version, and its words.
DPKG = f"""echo $2 >> $HERE/unpacked; mkdir -p $3/usr/bin; cd $3/usr/bin
case $2 in *x86.deb) (echo '#!/bin/sh'; echo 'echo QEMU emulator version 10.0.2 "$@"') >{qemu.PROGRAM}; chmod +x {qemu.PROGRAM};; esac"""
NEEDS = replace(IN_QEMU[0], qemu_version=10)


def test_newer_one_is_fetched_once(machine, tmp_path, capfd):
	here = machine({"apt-get": GET, "apt-cache": CACHE, "dpkg": DPKG})
	programs = qemu.provided(NEEDS, tmp_path / "build").programs
	assert "fetching QEMU from bookworm-backports: the installed one is 7.2.22, and 10 is needed" in capfd.readouterr().err
	assert programs == (qemu.WRAPPERS, tmp_path / "build/cache/qemu")
	assert qemu.provided(NEEDS, tmp_path / "build").emulator == "10.0.2"
	assert [name.rsplit("/", 1)[1] for name in (here / "unpacked").read_text().split()] == [f"{name}.deb" for name in qemu.PACKAGES]
	env = {**os.environ, **boot.environment(str(tmp_path), programs)}
	said = subprocess.run([_program(NEEDS)[0], "-m", "a b"], env=env, check=True, capture_output=True, text=True).stdout
	assert re.fullmatch(r"QEMU emulator version 10.0.2 -L \S+/usr/share/qemu -m a b\n", said)
	assert qemu.provided(NEEDS, tmp_path / "build").programs == programs and "fetching" not in capfd.readouterr().err
	assert not list((tmp_path / "build/cache").glob("*.deb"))


def test_new_enough_one_is_taken(machine, tmp_path):
	machine({qemu.PROGRAM: _version("10.0.2"), "apt-get": "exit 1", "apt-cache": "exit 1"})
	found = qemu.provided(NEEDS, tmp_path)
	assert (found.programs, found.emulator) == ((qemu.WRAPPERS,), "10.0.2")


@pytest.mark.parametrize("scripts, why", [
	({"apt-get": "echo 'E: Could not resolve archive'; exit 100", "apt-cache": ""}, "Could not resolve archive"),
	({"apt-get": "", "apt-cache": ""}, "name no archive of Debian"),
	({"apt-get": GET.replace("touch", "false"), "apt-cache": ""}, "apt-get .*download.* failed"),
	({"apt-get": GET, "apt-cache": CACHE, "dpkg": "echo 'dpkg: error'; exit 2"}, "dpkg: error"),
])
def test_newer_one_that_cannot_be_fetched(machine, tmp_path, scripts, why):
	machine(scripts)
	with pytest.raises(CannotJudge, match=f"(?s)^profile {NEEDS.name} boots in QEMU: it needs version 10 or newer, this machine has 7.2.22, and a "
		f"newer one cannot be fetched from bookworm-backports: .*{why}"):
		qemu.provided(NEEDS, tmp_path / "build")
	assert not (tmp_path / "build/cache/qemu").exists()


def test_backport_that_is_too_old(machine, tmp_path):
	machine({"apt-get": GET, "apt-cache": CACHE, "dpkg": DPKG.replace("10.0.2", "8.2.0")})
	with pytest.raises(CannotJudge, match="it needs version 10 or newer, and there is only 8.2.0"):
		qemu.provided(NEEDS, tmp_path / "build")


def test_sandbox_shows_the_programs(machine, tmp_path):
	"""The wrapper, and a QEMU below a build root in a folder that the sandbox hides."""
	machine({"apt-get": GET, "apt-cache": CACHE, "dpkg": DPKG})
	found = qemu.provided(NEEDS, tmp_path / "build")
	(tmp_path / "obj").mkdir()
	(tmp_path / "tree/tools/testing/kunit").mkdir(parents=True)
	(tmp_path / "tree/tools/testing/kunit/kunit.py").write_text(
		f"import subprocess, sys\nprint('$ qemu kunit.enable=1', flush=True)\nsubprocess.run(['{_program(found)[0]}', '-accel', 'kvm'])\n")
	how = boot.Boot(Kernel("x", tmp_path / "tree", "7.3", "", ""), Built(tmp_path / "obj", ""), found,
			box=Sandbox(True, (tmp_path / "tree", KUNIT)))
	(line,) = how.run(tmp_path, Progress()).lines
	assert "10.0.2" in line.text and line.text.endswith("-accel tcg")
