# SPDX-License-Identifier: GPL-2.0
"""Where the parts of the project are, and which version of it this is."""

from pathlib import Path

from .git import Git
from .proc import CommandFailed

PROJECT = Path(__file__).resolve().parents[5]
CONFIGS = PROJECT / "lib/kunit-configs"
MUTANTS = PROJECT / "tools/testing/mutants"
GENERATED = MUTANTS / "generated"
SCORES = GENERATED / "scores"
ROAD = GENERATED / "road.toml"	# what a longterm pin passes through
PROMISES = PROJECT / "tools/testing/promises.toml"
BLIND = PROJECT / "tools/testing/blind.toml"
SKIPS = PROJECT / "tools/testing/skips.toml"
PROGRAM = str(PROJECT / "tools/testing/kunit/pinwait.py")


def version() -> str:
	"""Return the tool's commit, with -dirty if the tool differs from it, "" if it is not in git."""
	try:
		return Git(PROJECT)("describe", "--always", "--dirty", "--abbrev=12", "--exclude=*")
	except CommandFailed:
		return ""
