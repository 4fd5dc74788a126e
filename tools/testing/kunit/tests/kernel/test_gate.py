# SPDX-License-Identifier: GPL-2.0
"""Inputs whose verdict is known: the gate says of each what is to be said of it."""

import shlex
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest

import asked
from gate_corpus import inputs, verdicts
from gate_corpus.entries import Entry
from gate_corpus.verdicts import Verdicts
from pinwait.gate import engine
from pinwait.mutation import corpus
from pinwait.util.files import new_folder, point_latest
from pinwait.util.proc import lock
from pinwait.util.progress import Progress
from pinwait.util.project import MUTANTS, version
from pinwait.util.shard import Shard
from steps import Step


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
	metafunc.parametrize("entry", [pytest.param(entry, id=entry.name) for entry in asked.inputs_of(metafunc.config)])


@pytest.fixture(name="said", scope="session")
def _said(step: Callable[[str], Step], request: pytest.FixtureRequest) -> Iterator[Verdicts]:
	"""The verdicts: of this job so far, or of one like it that was broken off."""
	config, begun = request.config, step("gate")
	entries, options = asked.inputs_of(config), begun.options
	with begun.prepared() as (ready, _):
		pass	# each gate waits for the worktree itself
	job = {"tool": version(), "commit": ready.commit, "series": ready.series.name, "runs": config.getoption("count", 1),
	       "names": config.getoption("inputs"), "sample": config.getoption("sample")}
	part = {"kind": "gate-corpus", "shard": str(Shard.parse(config.getoption("shard"))), "job": job, "inputs": [entry.name for entry in entries]}
	results = options.build_root / "results"
	folder = (verdicts.unfinished(results, part) if config.getoption("resume") else None) \
		or new_folder(results, f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-gate-corpus")
	words = shlex.split(engine.Asked().reproduce(replace(options, series=ready.series.name), ready.kernel.name))[1:]
	command = [sys.executable, config.getoption("gate"), *words, f"--build-root={options.build_root}", f"--jobs={options.jobs}"]
	with ExitStack() as stack:
		with begun.shown(), begun.failing():
			stack.enter_context(lock(folder / "lock", f"the results in {folder}"))
			# Each run has inputs of its own: another one at the same time is not to be in the way.
			maker = inputs.Maker(ready.kernel.git, ready.commit, ready.kernel.base_commit, corpus.load(MUTANTS), folder / "corpus")
			found = Verdicts(folder, part, command, maker.make(entries))
		begun.say("\n".join([f"verdicts: {folder}", *map(str, found.answers.values())]))
		config.stash[asked.SAID] = found
		yield found
		point_latest(folder)


def test_input(said: Verdicts, step: Callable[[str], Step], entry: Entry) -> None:
	begun, known = step("gate-input"), entry.name in said.answers
	with begun.shown(), Progress().stage("judge", entry.name):
		answer = said.judge(entry.name)
	if not known:
		begun.say(str(answer))
	if not answer.right:
		pytest.fail("\n".join([*answer.wrong, answer.command, f"all of it: {said.folder / entry.name}.log"]), pytrace=False)
