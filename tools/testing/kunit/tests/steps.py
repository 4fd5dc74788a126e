# SPDX-License-Identifier: GPL-2.0
"""A tool or the tool itself, called once for all tests that read what it did; its log is shown where one of them fails."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import pytest

from pinwait.commands.check import environment
from pinwait.kernel import build, profile
from pinwait.source.options import Options
from pinwait.source.prepared import Prepared, prepared
from pinwait.util.errors import PinwaitError
from pinwait.util.progress import Progress
from pinwait.util.project import CONFIGS, PROGRAM, PROJECT

SHOWN = 100		# last lines of a log that are shown


@dataclass(frozen=True)
class Outcome:
	"""What a subcommand of the tool left."""
	step: "Step"
	summary: dict[str, Any]
	results: Path		# copy of its folder

	def read(self, name: str) -> Any:
		"""Return what a file of the results holds."""
		return self.step.read(self.results / name)


@dataclass(frozen=True)
class Step:
	"""Something that is called: what it was asked for, its log, and a context in which the terminal shows what it prints."""
	options: Options
	log: Path
	shown: Callable[[], AbstractContextManager[None]]

	def note(self, text: str) -> None:
		"""Add to the log."""
		with open(self.log, "a", encoding="utf-8", errors="replace") as stream:
			stream.write(text.rstrip("\n") + "\n")

	def say(self, text: str) -> None:
		"""Print on the terminal, and in a worker of xdist, which has no standard output, on its standard error."""
		with self.shown():
			print(text, file=sys.stderr if "PYTEST_XDIST_WORKER" in os.environ else sys.stdout, flush=True)

	def fail(self, why: str) -> NoReturn:
		"""Fail the test, or all that need this step; show the end of the log, and say where all of it is."""
		lines = self.log.read_text(encoding="utf-8").splitlines()
		pytest.fail("\n".join([why, *(f"    {line}" for line in lines[-SHOWN:]), f"    all of it: {self.log}"]), pytrace=False)

	def call(self, argv: Sequence[str], cwd: Path = PROJECT, progress: bool = False) -> tuple[int, str]:
		"""Run a tool and log it; return its exit code and output (without stderr if progress, which leaves that to the terminal)."""
		self.note("$ " + shlex.join(argv))
		if progress:
			self.say(f"{self.log.stem}: {shlex.join(argv[1:])}"[:160])
		try:
			with self.shown():
				done = subprocess.run(argv, cwd=cwd, env=environment(self.options.build_root), stdin=subprocess.DEVNULL,
						      stdout=subprocess.PIPE, stderr=None if progress else subprocess.STDOUT, text=True,
						      errors="replace")
		except FileNotFoundError:
			self.fail(f"{argv[0]} is not installed")
		self.note(done.stdout or "")
		# Some tools call others, go on without those that break, and still report success.
		return done.returncode or int("Traceback (most recent call last)" in done.stdout), done.stdout

	def check(self, argv: Sequence[str], cwd: Path = PROJECT) -> None:
		"""Run a tool; fail unless its exit code is 0."""
		code, _ = self.call(argv, cwd)
		if code:
			self.fail(f"{Path(argv[0]).name} ended with exit code {code}")

	def tool(self, subcommand: str, options: Options, *more: str) -> Outcome:
		"""Run a subcommand of the tool; fail unless the exit code is the one that its summary states."""
		results, summary = self.log.with_suffix(""), self.log.with_suffix(".json")
		shutil.rmtree(results, ignore_errors=True)
		summary.unlink(missing_ok=True)
		argv = [sys.executable, PROGRAM, *shlex.split(options.reproduce(subcommand, options.kernel))[1:],
			f"--build-root={options.build_root}", f"--jobs={options.jobs}", f"--json={summary}", f"--results={results}", *more]
		code, _ = self.call(argv, progress=True)
		if not summary.exists():
			self.fail(f"{subcommand} left no summary")
		content: dict[str, Any] = self.read(summary)
		verdict = content["verdict"]
		self.note(verdict["reason"])
		if code != verdict["exit_code"]:
			self.fail(f"{subcommand} ended with exit code {code}, but its summary says {verdict['exit_code']}: {verdict['reason']}")
		return Outcome(self, content, results)

	def read(self, path: Path) -> Any:
		"""Return what a JSON file holds; fail if it is none."""
		try:
			return json.loads(path.read_text(encoding="utf-8"))
		except (OSError, ValueError) as error:
			self.fail(f"{path}: {error}")

	@property
	def series(self) -> str:
		"""The series of the kernel under test; a tree of KDIR has to be looked at."""
		if self.options.named_series:
			return self.options.named_series
		with self.prepared() as (ready, _):
			return ready.series.name

	@contextmanager
	def prepared(self) -> Iterator[tuple[Prepared, Progress]]:
		"""Give the kernel worktree with series and sources, locked."""
		progress = Progress()
		with ExitStack() as stack:
			with self.shown(), self.failing():
				ready = stack.enter_context(prepared(self.options, progress))
			yield ready, progress

	@contextmanager
	def built(self) -> Iterator[tuple[Prepared, build.Request, Progress]]:
		"""Give the worktree, with the profile's objects built, and what they were built for."""
		with self.prepared() as (ready, progress):
			request = build.Request(profile.load(CONFIGS, self.options.profile), self.options.jobs, self.options.kconfig_add,
						self.options.make_options)
			with self.shown(), self.failing():
				build.build(ready.kernel, ready.commit, request, self.options.build_root,
					    self.log.with_suffix(".build.log"), progress)
			yield ready, request, progress

	@contextmanager
	def failing(self) -> Iterator[None]:
		"""Fail for what the tool raises."""
		try:
			yield
		except PinwaitError as error:
			self.note(f"error: {error}")
			self.fail(str(error).partition("\n")[0])
