# SPDX-License-Identifier: GPL-2.0
"""What a developer runs before git send-email, in a tree of their own, which is only read.

As a pre-push hook it is run for what is pushed; a foreign hook is never overwritten.
"""

import os
import shlex
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from . import gate, kdir, profile, sandbox, tell
from .errors import CannotJudge, PinwaitError, UsageError
from .gate import Asked
from .judgement import Judgement
from .proc import CommandFailed, run
from .results import EXIT_CODES, Outcome
from .run import CONFIGS, PROJECT, Options
from .workshop import COVERAGE_PROFILE, STATIC, STUBS_PROFILE, WARNINGS

QUICK_CHECKS = (STATIC, WARNINGS)
HOOK, MARK = "pre-push", "# pinwait's pre-push hook; presubmit --remove-hook removes it."
MANY = 50		# commits: more than that are no series, but somebody else's history


def presubmit(options: Options, staged: bool, commits: str, full: bool, series: str = "") -> int:
	"""Judge what is about to be sent; return the exit code.

	commits is a range A..B, or a number as in -1, or "" for what the upstream branch has not; series is what
	comes before them, "" for the default.
	"""
	user = kdir.UserTree(Path(options.kdir))
	asked, why = chosen(user, staged, commits)
	print(f"presubmit: {why}", file=sys.stderr, flush=True)
	judgement, folder = _judge(options, replace(asked, series=series), full)
	tell.write_all(judgement, folder)
	tell.print_judgement(judgement, sys.stdout)
	print(f"results: {folder}", file=sys.stderr)
	return judgement.exit_code


def pushed(options: Options, lines: Iterator[str], full: bool) -> int:
	"""Judge what git is about to push, as it says on the standard input of a pre-push hook.

	Only a bad patch stops the push: what cannot be judged is said, and is the developer's to decide.
	"""
	for line in lines:
		_, local, remote_ref, remote = line.split()
		if set(local) == {"0"}:
			continue
		try:
			commits = _range_of(kdir.UserTree(Path(options.kdir)), local, remote)
			code = presubmit(options, False, commits, full)
		except PinwaitError as error:
			print(f"presubmit: {remote_ref}: not checked: {error}", file=sys.stderr)
			continue
		if code == EXIT_CODES[Outcome.FAIL]:
			return code
		if code:
			print(f"presubmit: {remote_ref}: pushed without a judgement", file=sys.stderr)
	return 0


def chosen(user: kdir.UserTree, staged: bool, commits: str) -> tuple[Asked, str]:
	"""Return what is to be judged, and why that: what was asked for, else what upstream lacks, what is staged, the last commit."""
	if staged:
		return Asked(staged=True), "what is staged"
	if commits.isdigit():
		return Asked(range=f"HEAD~{commits}..HEAD"), f"the last {commits} commits" if commits != "1" else "the last commit"
	if commits:
		return Asked(range=commits), f"commits {commits}"
	try:
		upstream = user.git("rev-parse", "--abbrev-ref", "--symbolic-full-name", "@{upstream}")
		number = int(user.git("rev-list", "--count", f"{upstream}..HEAD"))
	except CommandFailed:
		upstream, number = "", 0
	if number:
		return Asked(range=f"{upstream}..HEAD"), f"{number} commits that {upstream} has not"
	if user.uncommitted(staged=True):
		return Asked(staged=True), "what is staged"
	why = f"nothing is ahead of {upstream}" if upstream else "the branch has no upstream"
	return Asked(range="HEAD~1..HEAD"), f"the last commit, for {why} and nothing is staged"


def install_hook(options: Options, full: bool) -> int:
	"""Have git run presubmit before a push from the tree. Raises UsageError if another hook is there."""
	path = _hook(options)
	if path.exists() and MARK not in path.read_text(encoding="utf-8", errors="replace"):
		raise UsageError(f"{path} is there and not pinwait's: it is left alone; to have both, call this from it, with its "
				 f"standard input: {_command(options, full)}")
	path.parent.mkdir(parents=True, exist_ok=True)
	partial = path.with_name(f"{path.name}.{os.getpid()}")
	partial.write_text(f"#!/bin/sh\n{MARK}\nexec {_command(options, full)}\n", encoding="utf-8")
	partial.chmod(0o755)
	partial.replace(path)
	print(f"installed {path}")
	return 0


def remove_hook(options: Options) -> int:
	"""Undo install_hook(); a foreign hook is left alone. Raises UsageError if there is none of ours."""
	path = _hook(options)
	if not path.exists() or MARK not in path.read_text(encoding="utf-8", errors="replace"):
		raise UsageError(f"{path} is not pinwait's" if path.exists() else f"there is no hook {path}")
	path.unlink()
	print(f"removed {path}")
	return 0


def _judge(options: Options, asked: Asked, full: bool) -> tuple[Judgement, Path]:
	every = tuple(name for name in profile.names(CONFIGS) if name not in (STUBS_PROFILE, COVERAGE_PROFILE))
	profiles = every if full else Asked.profiles
	# It is the developer's own code: where it cannot be kept in, it may run all the same.
	closed = not sandbox.failure()
	asked = replace(asked, profiles=profiles, isolation=closed, checks=() if full else (*QUICK_CHECKS, *profiles))
	judgement, folder = gate.judge(options, asked)
	if not full:
		judgement.not_checked.append("quick: no build without page migration, no coverage of the changed lines, not the profiles "
					     f"{', '.join(name for name in every if name not in profiles)}; FULL=1 has them all")
	return judgement, folder


def _range_of(user: kdir.UserTree, local: str, remote: str) -> str:
	"""Return the commits that a push brings. Raises PinwaitError if that is no series."""
	if set(remote) == {"0"}:
		new = user.git("rev-list", local, "--not", "--remotes").splitlines()
		commits = f"{new[-1]}~1..{local}" if new else ""
	else:
		commits = f"{remote}..{local}"
	number = int(user.git("rev-list", "--count", commits)) if commits else 0
	if not number or number > MANY:
		raise CannotJudge(f"{number} commits are no series" if number else "no commit is new")
	return commits


def _hook(options: Options) -> Path:
	user = kdir.UserTree(Path(options.kdir))
	# Asked without the options that keep hooks from running: they change the answer.
	return user.path / run(["git", "rev-parse", "--git-path", f"hooks/{HOOK}"], cwd=user.path).removesuffix("\n")


def _command(options: Options, full: bool) -> str:
	tool = str(PROJECT / "tools/testing/kunit/pinwait.py")
	return shlex.join([sys.executable, tool, "presubmit", f"--kdir={options.kdir}", "--pushed", *(["--full"] if full else [])])
