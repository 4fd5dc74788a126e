# SPDX-License-Identifier: GPL-2.0
"""Debian packages the tool needs: find the missing ones and install them.

Imports the standard library only: it runs before anything else is there.
"""

import os
import shlex
import shutil
import subprocess
import sys

from .errors import CannotJudge

# Package -> a program by which to know it on a system without dpkg; "" where there is none.
RUN = {
	"gcc": "gcc", "make": "make", "flex": "flex", "bison": "bison", "bc": "bc", "git": "git",
	"libelf-dev": "", "libssl-dev": "", "cpio": "cpio", "xz-utils": "xz", "ccache": "ccache",
	"python3-junitparser": "",
}
REPORT = {"python3-jinja2": ""}
# What the kernel's checkpatch needs, and sparse.
LINT = {"perl": "perl", "sparse": "sparse", "python3-ply": "", "python3-git": ""}
GATE = LINT | REPORT | {"bubblewrap": "bwrap"}
CHECK = GATE | {
	"mypy": "mypy", "shellcheck": "shellcheck", "codespell": "codespell",
	"python3-pytest": "", "python3-jsonschema": "", "python3-yaml": "",
}
COVERAGE = {"gcovr": "gcovr"}
STRESS = {"stress-ng": "stress-ng"}


def missing(packages: dict[str, str]) -> list[str]:
	"""Return the packages that are not installed."""
	if not shutil.which("dpkg-query"):
		return [name for name, program in packages.items()
			if program and not shutil.which(program)]
	listed = subprocess.run(["dpkg-query", "-W", "-f=${db:Status-Status} ${Package}\n", *packages],
				capture_output=True, text=True).stdout.splitlines()
	present = {line.split()[1] for line in listed if line.startswith("installed ")}
	return [name for name in packages if name not in present]


def ensure(packages: dict[str, str]) -> None:
	"""Install what is missing. Raises CannotJudge with the command to run where that is not possible."""
	names = missing(packages)
	if not names:
		return
	install = ["apt-get", "install", "-y", "--no-install-recommends", *names]
	if not shutil.which("apt-get"):
		raise CannotJudge(f"these programs or packages are missing, and there is no apt-get to "
				  f"install them: {' '.join(names)}")
	privilege = _privilege()
	if privilege is None:
		raise CannotJudge(f"packages are missing; run: sudo {shlex.join(install)}")
	print(f"installing {' '.join(names)}", file=sys.stderr, flush=True)
	command = [*privilege, "env", "DEBIAN_FRONTEND=noninteractive"]
	# The lists may be old or empty; refreshing them is only worth its time if they are.
	if not _quiet([*command, *install])[0]:
		_quiet([*command, "apt-get", "update"])
		done, output = _quiet([*command, *install])
		if not done:
			errors = [line for line in output.splitlines() if line.startswith("E:")]
			raise CannotJudge(f"packages could not be installed ({' '.join(errors) or 'apt-get failed'}); "
					  f"run: sudo {shlex.join(install)}")
	print(f"installed {' '.join(names)}", file=sys.stderr, flush=True)


def _privilege() -> list[str] | None:
	"""Return the words before a command that make it run as root, None without such rights."""
	if os.geteuid() == 0:
		return []
	if shutil.which("sudo") and _quiet(["sudo", "-n", "true"])[0]:
		return ["sudo", "-n"]
	return None


def _quiet(argv: list[str]) -> tuple[bool, str]:
	done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
			      stderr=subprocess.STDOUT, text=True, errors="replace")
	return done.returncode == 0, done.stdout
