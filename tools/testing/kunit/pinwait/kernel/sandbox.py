# SPDX-License-Identifier: GPL-2.0
"""Confine a patch's code: builds and boots see no network and no home, and can write only to
the given folders.

A build runs the patch's makefiles and scripts, and a UML kernel is a process like any other.
bubblewrap gives them separate namespaces; it needs no privilege if user namespaces are allowed.
"""

import os
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..util.proc import CommandFailed, run

# Hidden in the sandbox; folders in them that the command needs are bound again one by one.
HIDDEN = ("/home", "/root", "/tmp", "/var", "/run", "/mnt", "/media", "/srv", "/boot", "/etc/ssh", "/etc/ssl/private")
# Unreadable in the sandbox: if root is the caller, root's files appear there as owned by its user nobody.
SECRET = ("/etc/shadow", "/etc/shadow-", "/etc/gshadow", "/etc/gshadow-", "/etc/sudoers", "/etc/krb5.keytab")
# Variables to pass on. The rest of the caller's environment may hold passwords and a CI server's tokens.
PASSED = re.compile(r"(?:PATH|LANG|LC_\w+|TZ|GIT_DIR|CCACHE_\w+|KBUILD_\w+|PYTHON\w+)$")
# Also passed on without isolation: the user, and where a locally installed compiler finds its files.
PASSED_OPEN = re.compile(r"(?:HOME|USER|LOGNAME|TMPDIR|TMP|TEMP|LD_LIBRARY_PATH|LIBRARY_PATH|COMPILER_PATH|CPATH|"
			 r"C_INCLUDE_PATH|PKG_CONFIG\w*|NIX_\w+)$")
NOBODY = "65534"
DESCRIPTION = ("bubblewrap: user nobody, no network, own process, mount and IPC namespaces; the system read-only, "
	       "homes, temporary folders and the caller's environment hidden, only objects and compiler cache writable")


@dataclass(frozen=True)
class Sandbox:
	"""A way to run commands; without `closed` it hides only the caller's environment."""
	closed: bool = False
	readable: tuple[Path, ...] = ()		# visible although they may lie in a hidden folder
	instead: Mapping[Path, Path] = field(default_factory=dict)	# path in the sandbox -> what is bound there, if the path exists

	def command(self, argv: Sequence[str], writable: Sequence[Path]) -> list[str]:
		"""Return the command line that runs argv; writable folders exist."""
		if not self.closed:
			kept = [name for name in os.environ if not PASSED.match(name) and not PASSED_OPEN.match(name)]
			return ["env", *(f"--unset={name}" for name in kept), *argv]
		# --new-session: in the session of a terminal, the command could type there.
		words = ["bwrap", "--unshare-all", "--unshare-user", "--uid", NOBODY, "--gid", NOBODY, "--new-session",
			 "--die-with-parent", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/dev/shm"]
		for name in dict.fromkeys([*HIDDEN, os.path.realpath(Path.home())]):
			if os.path.isdir(name) and not os.path.islink(name) and name != "/":
				words += ["--tmpfs", name]
		for name in SECRET:
			if os.path.exists(name):
				words += ["--ro-bind", "/dev/null", name]
		for path in (Path(sys.prefix), Path(sys.base_prefix), *self.readable):
			words += ["--ro-bind", str(path), str(path)]
		for place, shown in self.instead.items():
			words += ["--ro-bind", str(shown), str(place)] if place.exists() else []
		for path in writable:
			words += ["--bind", str(path), str(path)]
		for name in os.environ:
			words += [] if PASSED.match(name) else ["--unsetenv", name]
		return [*words, "--setenv", "HOME", "/tmp", "--chdir", "/", "--", *argv]


OPEN = Sandbox()


def failure() -> str:
	"""Say why this machine cannot confine commands, "" if it can."""
	if not shutil.which("bwrap"):
		return "bwrap is not installed (package bubblewrap)"
	try:
		run(Sandbox(closed=True).command(["true"], []))
	except CommandFailed as error:
		return f"bwrap does not work here: {error.output.strip() or error}"
	return ""
