# SPDX-License-Identifier: GPL-2.0
"""Options of the tests: the kernel that they are about, as of the tool, and which inputs the gate judges."""

import os
from pathlib import Path

import pytest

from gate_corpus import entries
from gate_corpus.entries import Entry
from gate_corpus.verdicts import Verdicts
from pinwait.commands import check
from pinwait.source.options import Options
from pinwait.util import buildroot
from pinwait.util.errors import UsageError
from pinwait.util.project import PROGRAM, version
from pinwait.util.shard import Shard

INPUTS = pytest.StashKey[list[Entry]]()		# that the gate is to judge
SAID = pytest.StashKey[Verdicts]()		# what it said
TEXTS = ("kernel", "tarball", "kdir", "series_dir", "series", "profile")
LISTS = ("kconfig_add", "make_options")


def add_options(parser: pytest.Parser) -> None:
	"""Make pytest know the options."""
	group = parser.getgroup("pinwait")
	for name in TEXTS:
		group.addoption(f"--{name}", default="", help="as of pinwait.py")
	for name in LISTS:
		group.addoption(f"--{name}", action="append", default=[], help="as of pinwait.py")
	group.addoption("--jobs", type=int, default=0, help="as of pinwait.py")
	group.addoption("--inputs", action="append", default=[], help="the gate judges this input of its corpus, and others that are named")
	group.addoption("--sample", type=int, default=0, help="the gate judges N of the inputs, always the same")
	group.addoption("--shard", default="", help="the gate judges the I-th of N shares of them; `pinwait.py merge` joins what was said")
	group.addoption("--resume", action="store_true", help="the gate goes on where the same job was broken off")
	group.addoption("--verdicts", action="store_true", help="say at the end how many of the gate's verdicts are right")
	group.addoption("--corpus", type=Path, default=entries.CORPUS, help="folder of inputs")
	group.addoption("--gate", default=PROGRAM, help="the tool that judges them")


def options_of(config: pytest.Config) -> Options:
	"""Return what the tool is to be asked for."""
	given = {name: value for name in (*TEXTS, *LISTS, "jobs") if (value := config.getoption(name))}
	return Options(**given, build_root=Path(os.environ.get(buildroot.VARIABLE) or buildroot.DEFAULT).resolve())


def profiles_of(config: pytest.Config) -> list[str]:
	"""Return the profiles that the suites are to be booted in: the one that was asked for, or the default and one in QEMU."""
	return check.profiles_of(options_of(config).profile)


def inputs_of(config: pytest.Config) -> list[Entry]:
	"""Return the inputs that the gate is to judge."""
	return config.stash[INPUTS]


def choose_inputs(config: pytest.Config) -> None:
	"""Keep the inputs that the gate is to judge. Raises pytest.UsageError for a choice that makes no sense."""
	try:
		config.stash[INPUTS] = _inputs(config)
	except UsageError as error:
		raise pytest.UsageError(str(error)) from error


def _inputs(config: pytest.Config) -> list[Entry]:
	names, sample, shard = config.getoption("inputs"), config.getoption("sample"), Shard.parse(config.getoption("shard"))
	if sample < 0 or sample and names:
		raise UsageError("a sample is a number of inputs, and takes no names")
	if config.getoption("count", 1) < 1:
		raise UsageError("--count is a number of runs, one at least")
	tool = version() if config.getoption("resume") else "committed"
	if not tool or tool.endswith("-dirty"):
		raise UsageError("--resume joins verdicts of one tool, and this one is not as it was committed: commit it first")
	there = entries.load(config.getoption("corpus"), names)
	chosen = list(shard.spread(entries.sample(there, sample) if sample else there))
	if not chosen:
		raise UsageError(f"shard {shard} has no input: there are too few for so many")
	return chosen
