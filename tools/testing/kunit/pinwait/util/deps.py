# SPDX-License-Identifier: GPL-2.0
"""Debian packages the tool needs: find the missing ones and install them.

Imports the standard library only: it runs before anything else is there.
"""

import importlib
import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import time

from .errors import CannotJudge

# Debian package -> how to test for it, wherever it came from: a program, a command that has to succeed, a <header>, or a
# module to import; "": only dpkg can tell.
RUN = {
	"gcc": "gcc", "make": "make", "flex": "flex", "bison": "bison", "bc": "bc", "git": "git",
	"libelf-dev": "<libelf.h>", "libssl-dev": "<openssl/bio.h>", "cpio": "cpio", "xz-utils": "xz", "ccache": "ccache",
	"python3-junitparser": "import junitparser",
}
PARSER = {"coccinelle": "spatch"}
REPORT = {"python3-jinja2": "import jinja2"}
# For the kernel's checkpatch, and sparse.
LINT = {"perl": "perl -MTerm::ANSIColor -MEncode -e 1", "sparse": "sparse", "python3-ply": "python3 -c 'import ply'",
	"python3-git": "python3 -c 'import git'"}
GATE = LINT | REPORT | {"bubblewrap": "bwrap"}
CHECK = GATE | PARSER | {
	"mypy": "import mypy", "shellcheck": "shellcheck", "codespell": "codespell",
	"python3-pytest": "import pytest", "python3-pytest-xdist": "import xdist", "python3-pytest-repeat": "import pytest_repeat",
	"python3-jsonschema": "import jsonschema", "python3-yaml": "import yaml",
}
QEMU = {"qemu-system-x86": "qemu-system-x86_64"}	# only for profiles that boot in it
# Only for the profile that runs the kernel's own selftests, which are linked statically.
SELFTESTS = {"busybox-static": "", "libc6-dev": "<stdio.h>", "libnuma-dev": "<numa.h>", "libcap-dev": "<sys/capability.h>",
	     "liburing-dev": "<liburing.h>"}
CROSS = {"gcc-riscv64-linux-gnu": "riscv64-linux-gnu-gcc"}	# only for the profile that has no MMU
COVERAGE = {"gcovr": "gcovr"}
STRESS = {"stress-ng": "stress-ng"}
# dpkg's states of an installed package, also while another apt runs. A package that is only unpacked does not count.
THERE = ("installed", "triggers-awaited", "triggers-pending")
LOCK_SECONDS = 300	# to wait for another apt
LOCKED = "Could not get lock"
IMPORT = "import "


def missing(packages: dict[str, str]) -> list[str]:
	"""Return the packages that are missing; without dpkg those whose test fails."""
	importlib.invalidate_caches()
	found = {name for name, what in packages.items() if what and _is_there(what)}
	# Another interpreter does not see the modules of the system's packages.
	found |= {name for name in _installed(packages) if not packages[name].startswith(IMPORT)}
	return [name for name in packages if name not in found]


def _installed(packages: dict[str, str]) -> set[str]:
	"""Return the packages that dpkg has; without dpkg those that have no other test."""
	if not shutil.which("dpkg-query"):
		return {name for name, what in packages.items() if not what}
	listed = subprocess.run(["dpkg-query", "-W", "-f=${db:Status-Status} ${Package}\n", *packages],
				capture_output=True, text=True).stdout.splitlines()
	return {name for status, name in (line.split() for line in listed) if status in THERE and name in packages}


def _is_there(what: str) -> bool:
	"""Tell whether a program, a command, a header or a module can be used."""
	if what.startswith(IMPORT):
		return importlib.util.find_spec(what.removeprefix(IMPORT)) is not None
	if what.startswith("<"):
		return bool(shutil.which("gcc")) and _quiet(["gcc", "-E", "-x", "c", "-include", what.strip("<>"), "/dev/null"])[0]
	words = shlex.split(what)
	return bool(shutil.which(words[0])) and (len(words) == 1 or _quiet(words)[0])


def ensure(packages: dict[str, str]) -> None:
	"""Install missing packages. Raises CannotJudge with the command to run if that is not possible."""
	names = missing(packages)
	_check_interpreter(packages, names)
	if not names:
		return
	install = ["apt-get", "install", "-y", "--no-install-recommends", *names]
	if not shutil.which("apt-get"):
		raise CannotJudge(f"these are missing, and this system has no apt-get to install them: {_told(packages, names)}; "
				  "install the packages that have them on this system")
	privilege = _privilege()
	if privilege is None:
		raise CannotJudge(f"packages are missing; run: sudo {shlex.join(install)}")
	print(f"installing {' '.join(names)}", file=sys.stderr, flush=True)
	command = [*privilege, "env", "DEBIAN_FRONTEND=noninteractive"]
	locked = ["-o", f"DPkg::Lock::Timeout={LOCK_SECONDS}"]
	# The package lists may be old or empty. Refreshing them takes time, so try without first.
	if not _waiting([*command, *install, *locked])[0]:
		_waiting([*command, "apt-get", "update", *locked])
		done, output = _waiting([*command, *install, *locked])
		if not done:
			errors = [line for line in output.splitlines() if line.startswith("E:")]
			raise CannotJudge(f"apt-get could not install packages ({' '.join(errors) or 'apt-get failed'}); "
					  f"run: sudo {shlex.join(install)}")
	_check_interpreter(packages, missing(packages))
	print(f"installed {' '.join(names)}", file=sys.stderr, flush=True)


def _check_interpreter(packages: dict[str, str], names: list[str]) -> None:
	"""Raise CannotJudge if modules are missing although their packages are installed: this Python is not the system's."""
	found = _installed(packages) if names else set()
	hidden = [name for name in names if packages[name].startswith(IMPORT) and name in found]
	if hidden:
		raise CannotJudge(f"installed, but not for this Python: {_told(packages, hidden)}; call the tool with /usr/bin/python3, or "
				  "install the modules for this one, too")


def _privilege() -> list[str] | None:
	"""Return the words before a command that make it run as root, None if the caller may not."""
	if os.geteuid() == 0:
		return []
	if shutil.which("sudo") and _quiet(["sudo", "-n", "true"])[0]:
		return ["sudo", "-n"]
	return None


def _told(packages: dict[str, str], names: list[str]) -> str:
	"""Name missing packages: the program, header or module, and Debian's package."""
	def told(what: str) -> str:
		if what.startswith(IMPORT):
			return f"Python module {what.removeprefix(IMPORT)} for {sys.executable}"
		return f"header {what}" if what.startswith("<") else f"program {what.split()[0]}" if what else ""
	return ", ".join(" ".join(filter(None, [told(packages[name]), f"(Debian: {name})"])) for name in names)


def _waiting(argv: list[str]) -> tuple[bool, str]:
	"""Call apt-get. Repeat while another apt holds the lock of the lists or downloads, for which apt-get itself does not wait."""
	deadline = time.monotonic() + LOCK_SECONDS
	while True:
		done, output = _quiet(argv)
		if done or LOCKED not in output or time.monotonic() > deadline:
			return done, output
		time.sleep(1)


def _quiet(argv: list[str]) -> tuple[bool, str]:
	done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
			      stderr=subprocess.STDOUT, text=True, errors="replace")
	return done.returncode == 0, done.stdout
