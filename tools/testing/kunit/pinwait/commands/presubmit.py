# SPDX-License-Identifier: GPL-2.0
"""Judge a developer's own commits before git send-email; the tree is only read.

As a pre-push hook it judges the pushed commits; it never overwrites a foreign hook.
"""

import os
import re
import shlex
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ..gate import engine
from ..kernel import gcov, profile, sandbox
from ..source import usertree
from ..util import outputs
from ..gate.engine import Asked
from ..gate.states import BUILT_ONLY, STATIC, WARNINGS
from ..log.results import EXIT_CODES, Outcome
from ..report.judgement import Judgement
from ..report.terminal import print_judgement
from ..source.options import Options
from ..util.errors import CannotJudge, PinwaitError, UsageError
from ..util.proc import INTERRUPTED, CommandFailed, run
from ..util.project import CONFIGS, PROJECT

QUICK_CHECKS = (STATIC, WARNINGS)
QUICK_PROFILES = ("uml",)
HOOK = "pre-push"
# Stop the push only for `fail` or an interruption. A missing tool or any other result lets it continue.
SCRIPT = """#!/bin/sh
# pinwait's pre-push hook; presubmit --remove-hook removes it.
[ -e {tool} ] || {{ echo "pinwait is not at "{tool}" any more: nothing is checked" >&2; exit 0; }}
{command}
case $? in 1|130) exit 1;; esac
"""
OURS = re.compile(re.escape(SCRIPT.format(tool="ANY", command="ANY")).replace("ANY", ".+"))
TOOL = PROJECT / "tools/testing/kunit/pinwait.py"
MANY = 50		# commits: more are no series but a merged history


def presubmit(options: Options, staged: bool, commits: str, full: bool) -> int:
	"""Judge the commits that are about to be sent; return the exit code.

	commits is a range A..B, or a number as in -1, or "" for the commits that the upstream branch lacks.
	"""
	user = usertree.UserTree(Path(options.kdir))
	asked, why = chosen(user, staged, commits)
	print(f"presubmit: {why}", file=sys.stderr, flush=True)
	judgement, folder = _judge(options, asked, full)
	outputs.to_stdout(lambda: print_judgement(judgement, sys.stdout))
	print(f"results: {folder}", file=sys.stderr)
	return judgement.exit_code


def pushed(options: Options, lines: Iterator[str], full: bool) -> int:
	"""Judge the commits that git is about to push, named on the standard input of a pre-push hook.

	Only a patch that fails stops the push. If the gate cannot judge, it says so and the developer decides.
	"""
	for line in lines:
		try:
			_, local, remote_ref, remote = line.rstrip("\n").rsplit(" ", 3)	# the first field may be any expression
			if set(local) == {"0"}:
				continue
			commits = _range_of(usertree.UserTree(Path(options.kdir)), local, remote)
			code = presubmit(options, False, commits, full)
		except (PinwaitError, OSError, ValueError) as error:
			print(f"presubmit: {line.strip()}: not checked: {error}", file=sys.stderr)
			continue
		if code in (EXIT_CODES[Outcome.FAIL], INTERRUPTED):
			return code
		if code:
			print(f"presubmit: {remote_ref}: pushed without a judgement", file=sys.stderr)
	return 0


def chosen(user: usertree.UserTree, staged: bool, commits: str) -> tuple[Asked, str]:
	"""Return what to judge, and why: the request, else commits that upstream lacks, else staged changes, else the last commit."""
	if staged:
		return Asked(staged=True), "the staged changes"
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
		return Asked(range=f"{upstream}..HEAD"), f"{number} commits that {upstream} lacks"
	if user.uncommitted(staged=True):
		return Asked(staged=True), "the staged changes"
	why = f"nothing is ahead of {upstream}" if upstream else "the branch has no upstream"
	return Asked(range="HEAD~1..HEAD"), f"the last commit, because {why} and nothing is staged"


def install_hook(options: Options, full: bool) -> int:
	"""Make git run presubmit before a push from the tree, with the same options.

	Raises UsageError if another hook exists, or the hooks folder does not belong to the tree alone.
	"""
	path, command = _hook(options), _command(options, full)
	if os.path.lexists(path) and not _is_ours(path):
		raise UsageError(f"{path} exists and is not pinwait's, so it stays unchanged; to have both, call this from it, with its "
				 f"standard input: {command}")
	path.parent.mkdir(parents=True, exist_ok=True)
	partial = path.with_name(f"{path.name}.{os.getpid()}")
	partial.write_text(SCRIPT.format(tool=shlex.quote(str(TOOL)), command=command), encoding="utf-8")
	partial.chmod(0o755)
	partial.replace(path)
	print(f"installed {path}")
	return 0


def remove_hook(options: Options) -> int:
	"""Undo install_hook(); a foreign hook stays. Raises UsageError if pinwait's hook is not installed."""
	path = _hook(options)
	if not os.path.lexists(path):
		raise UsageError(f"there is no hook {path}")
	if not _is_ours(path):
		raise UsageError(f"{path} is not pinwait's, or was edited since: remove it by hand")
	path.unlink()
	print(f"removed {path}")
	return 0


def _judge(options: Options, asked: Asked, full: bool) -> tuple[Judgement, Path]:
	# A profile that boots another one's kernel adds little to it, and may need a newer QEMU.
	every = tuple(name for name in profile.names(CONFIGS)
		      if name not in (*BUILT_ONLY, gcov.PROFILE) and profile.load(CONFIGS, name).kernel == name)
	profiles = every if full else QUICK_PROFILES
	# It is the developer's own code: it may run even if this machine cannot confine it.
	closed = not sandbox.failure()
	asked = replace(asked, profiles=profiles, isolation=closed, checks=() if full else (*QUICK_CHECKS, *profiles))
	left_out = "" if full else ("quick: no build without page migration, no coverage of the changed lines, not the profiles "
				    f"{', '.join(name for name in every if name not in profiles)}; FULL=1 has them all")
	return engine.judge(options, replace(asked, left_out=left_out))


def _range_of(user: usertree.UserTree, local: str, remote: str) -> str:
	"""Return the commits that a push adds. Raises PinwaitError if they are no series."""
	if set(remote) == {"0"}:
		new = ["rev-list", local, "--not", "--remotes"]
		if user.git(*new, "--max-parents=0"):
			raise CannotJudge("it contains a root commit that no remote is known to have")
		last = user.git(*new).splitlines()[-1:]
		commits = f"{last[0]}~1..{local}" if last else ""
	else:
		commits = f"{remote}..{local}"
	number = int(user.git("rev-list", "--count", commits)) if commits else 0
	if not number or number > MANY:
		raise CannotJudge(f"{number} commits are too many for a series" if number else "no commit is new")
	return commits


def _hook(options: Options) -> Path:
	"""Return the hook's path. Raises UsageError if it is outside of the tree's repository."""
	user = usertree.UserTree(Path(options.kdir))
	# Without the tool's options that disable hooks: they would change the answer.
	common, path = (user.path / name for name in run(
		["git", "rev-parse", "--git-common-dir", "--git-path", f"hooks/{HOOK}"], cwd=user.path).splitlines())
	if not path.parent.resolve().is_relative_to(common.resolve()):
		raise UsageError(f"git takes hooks from {path.parent} (core.hooksPath), which other trees may use, too: pinwait changes nothing there")
	return path


def _is_ours(path: Path) -> bool:
	"""Tell whether a hook is exactly as install_hook() wrote it, so that no edit is lost."""
	return path.is_file() and not path.is_symlink() and bool(OURS.fullmatch(path.read_text(encoding="utf-8", errors="replace")))


def _command(options: Options, full: bool) -> str:
	words = [sys.executable, str(TOOL), "presubmit", f"--kdir={options.kdir}", f"--build-root={options.build_root}", f"--jobs={options.jobs}"]
	return shlex.join([*words, "--pushed", *([f"--series={options.series}"] if options.series else []), *(["--full"] if full else [])])
