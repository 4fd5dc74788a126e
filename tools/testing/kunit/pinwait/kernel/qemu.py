# SPDX-License-Identifier: GPL-2.0
"""The QEMU that a profile boots in: the installed one, or a newer one beside the kernels."""

import platform
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path

from ..source.apt import Archive
from ..util import deps
from ..util.errors import CannotJudge
from ..util.proc import CommandFailed, lock, run
from ..util.project import PROJECT
from .profile import Profile

PROGRAM = "qemu-system-x86_64"
WRAPPERS = PROJECT / "tools/testing/kunit/qemu"		# what kunit.py starts as QEMU; it starts PROGRAM
PACKAGES = ("qemu-system-x86", "qemu-system-data")	# the program, and the firmware
# The program's data are not where it was built for; it may lie anywhere.
SCRIPT = f"""#!/bin/sh
here=${{0%/*}}
exec "$here/usr/bin/{PROGRAM}" -L "$here/usr/share/qemu" "$@"
"""


def provided(profile: Profile, build_root: Path) -> Profile:
	"""Return a profile that knows where the programs are that its boots need; they are installed, or fetched below build_root.

	Raises CannotJudge if they can be neither.
	"""
	if not profile.qemu_config:
		return profile
	try:
		deps.ensure(deps.QEMU | (deps.SELFTESTS if profile.selftests else {}))
		there = version(PROGRAM)
		if there >= (profile.qemu_version,):
			return replace(profile, programs=(WRAPPERS,), emulator=_dotted(there))
		place = _newer(build_root / "cache", profile.qemu_version)
		return replace(profile, programs=(WRAPPERS, place), emulator=_dotted(version(place / PROGRAM)))
	except CannotJudge as error:
		raise CannotJudge(f"profile {profile.name} boots in QEMU: {error}") from error


def version(program: str | Path) -> tuple[int, ...]:
	"""Return the version of a QEMU. Raises CannotJudge if it does not run."""
	try:
		said = run([str(program), "--version"])
	except (CommandFailed, OSError) as error:
		raise CannotJudge(f"it does not run: {error}") from error
	found = re.search(r"version (\d+(?:\.\d+)*)", said)
	if not found:
		raise CannotJudge(f"{program} does not say its version")
	return tuple(map(int, found[1].split(".")))


def _dotted(numbers: tuple[int, ...]) -> str:
	return ".".join(map(str, numbers))


def _newer(cache: Path, least: int) -> Path:
	"""Return the folder of a QEMU from the backports for this Debian, whose libraries the installed one needs as well.

	It is not installed: other programs of this machine may need the older one.
	"""
	place = cache / "qemu"
	old = _dotted(version(PROGRAM))
	suite = f"{platform.freedesktop_os_release().get('VERSION_CODENAME', 'unknown')}-backports"
	with lock(cache / "qemu.lock", "a newer QEMU being fetched"):
		if not place.exists():
			print(f"fetching QEMU from {suite}: the installed one is {old}, and {least} is needed", file=sys.stderr, flush=True)
			try:
				_unpack(cache, place, suite)
			except (CannotJudge, CommandFailed) as error:
				raise CannotJudge(f"it needs version {least} or newer, this machine has {old}, and a newer one cannot be "
						  f"fetched from {suite}: {error}") from error
	there = version(place / PROGRAM)
	if there < (least,):
		raise CannotJudge(f"it needs version {least} or newer, and there is only {_dotted(max(there, version(PROGRAM)))}")
	return place


def _unpack(cache: Path, place: Path, suite: str) -> None:
	partial = place.with_name("qemu.partial")
	shutil.rmtree(partial, ignore_errors=True)
	partial.mkdir(parents=True)
	for package in Archive(cache).newest(PACKAGES, suite):
		run(["dpkg", "-x", str(package), str(partial)])
		package.unlink()
	(partial / PROGRAM).write_text(SCRIPT, encoding="utf-8")
	(partial / PROGRAM).chmod(0o755)
	partial.rename(place)
