# SPDX-License-Identifier: GPL-2.0
"""`make check`, `make test`, `make check-gate`: install what the tests need, start pytest, say in one line how it ended."""

import os
import subprocess
import sys
import xml.etree.ElementTree
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..kernel import build, profile
from ..util import buildroot, deps
from ..gate.lint import export_tools
from ..source.options import Options
from ..source.prepared import prepared
from ..source.store import Kernel, Store
from ..util.errors import PinwaitError, UsageError
from ..util.progress import Progress
from ..util.project import CONFIGS, PROJECT

PARSED = "tools/testing/kunit"	# of a kernel: where its parser is
KUNIT = PROJECT / "tools/testing/kunit"
# Variables that name to the tests the worktree, and a copy of its kunit_parser.py, which patches under test may change.
TREE, PARSER = "PINWAIT_TREE", "PINWAIT_PARSER"
CACHE = "PYTHONPYCACHEPREFIX"
QEMU_PROFILE = "x86_64"	# booted beside the default profile
INPUTS = 8		# of the gate's corpus that are judged by `make check`
ABSENT = "absent: "	# begins why a test of what the kernel is listed as not having does not count
FAILED, NOTHING, WRONG_USE = 1, 5, 4	# exit codes of pytest


@dataclass(frozen=True)
class Chosen:
	"""Which of the tests, and how often."""
	expression: str = ""	# as of pytest's -k
	last_failed: bool = False
	count: int = 1

	@property
	def words(self) -> list[str]:
		"""The options of pytest for it."""
		words = ["-k", self.expression] if self.expression else []
		return [*words, *(["--lf"] if self.last_failed else []), *([f"--count={self.count}"] if self.count != 1 else [])]


def check(options: Options, chosen: Chosen = Chosen(), build_kernels: bool = True) -> int:
	"""Run the tests, or those that need no kernel to be built; return 0 only if there are any and all pass.

	The last line is `N passed, N failed`.
	"""
	in_qemu = build_kernels and any(profile.load(CONFIGS, name).qemu_config for name in profiles_of(options.profile))
	deps.ensure(deps.RUN | deps.CHECK | (deps.QEMU if in_qemu else {}))
	folder = options.build_root / "check"
	folder.mkdir(parents=True, exist_ok=True)
	outcome = folder / "junit.xml"
	outcome.unlink(missing_ok=True)
	which = "" if build_kernels else "not kernel and not slow"
	# A worker that takes the place of one that crashed waits for ever for work of a group. The few that failed need no others.
	workers = [] if chosen.last_failed or options.jobs < 2 else [f"--numprocesses={options.jobs}", "--dist=loadgroup", "--max-worker-restart=0"]
	code = _pytest(options, [*workers, f"--junitxml={outcome}", "-m", which,
				 f"--sample={INPUTS}", *chosen.words, "tests"], _tree(options, build_kernels))
	passed, failed, absent = _count(outcome)
	if code not in (0, FAILED) or bool(code) > bool(failed) or not passed + failed:
		print("nothing was tested" if code in (0, NOTHING) else f"pytest ended with exit code {code}")
		failed += 1
	print(f"all of it: {outcome}" + (f"; {absent} tests are of what the kernel is listed as not having" if absent else ""))
	print(f"{passed} passed, {failed} failed")
	return 1 if failed else 0


def profiles_of(asked: str) -> list[str]:
	"""Return the profiles that the suites are booted in: the default one and one in QEMU, or only another that was asked for."""
	return [asked, QEMU_PROFILE] if asked == Options.profile else [asked]


def check_gate(options: Options, names: Sequence[str], sample: int, shard: str, resume: bool, chosen: Chosen = Chosen()) -> int:
	"""Have the gate judge the inputs of its corpus, those named, or a sample; return 0 if all verdicts are right.

	The last line is `N of M verdicts right`. Raises UsageError for a choice that makes no sense.
	"""
	deps.ensure(deps.RUN | deps.CHECK)
	words = [*(f"--inputs={name}" for name in names), f"--sample={sample}", f"--shard={shard}", *(["--resume"] if resume else [])]
	try:
		code = _pytest(options, ["-m", "", "--verdicts", *words, *chosen.words, "tests/kernel/test_gate.py"])
	except KeyboardInterrupt:
		print("to keep the verdicts that there are, say --resume (RESUME=1)", file=sys.stderr)
		raise
	if code == WRONG_USE:
		raise UsageError("the tests cannot be chosen so: see above")
	return 1 if code else 0


def _tree(options: Options, build_kernels: bool) -> dict[str, str]:
	"""Return variables that name a kernel's tree and the parser that reads the logs that tests have, or lead nowhere.

	Tests that build no kernel take one that is prepared as it is: a build in its worktree may take hours.
	"""
	none = options.build_root / "kernels/none"
	tree, parser = none, none / PARSED
	try:
		known = [] if build_kernels or options.tarball or options.kdir else Store(options.build_root, Progress()).prepared()
		kernel = next((kernel for kernel in known if kernel.fits(options.kernel)), None) or _prepared(options)
		tree = kernel.tree
		parser = export_tools(kernel.git, kernel.base_commit, options.build_root / "check/tools") / PARSED
	except (PinwaitError, OSError) as error:
		print(f"the kernel cannot be prepared, so each test that needs it fails: {error}")
	return {TREE: str(tree), PARSER: str(parser)}


def _prepared(options: Options) -> Kernel:
	with prepared(options, Progress()) as ready:
		return ready.kernel


def _pytest(options: Options, words: Sequence[str], variables: Mapping[str, str] | None = None) -> int:
	"""Run pytest on a kernel, with more variables in its environment; return its exit code."""
	given = {name: getattr(options, name) for name in ("kernel", "tarball", "kdir", "series_dir", "series", "profile", "jobs")}
	argv = [sys.executable, "-m", "pytest", "-q", "--tb=short", "--continue-on-collection-errors", "-o", "console_output_style=classic", "-o",
		f"cache_dir={options.build_root / 'check/pytest'}", *(f"--{name}={value}" for name, value in given.items() if value),
		*(word for word in options.passed_on() if not word.startswith("--kernel_args=")), *words]
	return subprocess.run(argv, cwd=KUNIT, env={**environment(options.build_root), **(variables or {})}, stdin=subprocess.DEVNULL).returncode


def environment(build_root: Path) -> dict[str, str]:
	"""Return the environment of tests; tools that say `python3` find the one whose packages were installed: ours."""
	# Hundreds of tests start the tool: it is compiled once, and not into a kernel's tree.
	cache = {} if os.environ.get("PYTHONDONTWRITEBYTECODE") else {CACHE: os.environ.get(CACHE) or str(build_root / "check/pycache")}
	return {**build.environment(build_root, build_root), **cache, buildroot.VARIABLE: str(build_root),
		"PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])}


def _count(outcome: Path) -> tuple[int, int, int]:
	"""Return how many tests passed, how many failed, and how many are about what is not there."""
	passed = failed = absent = 0
	cases = xml.etree.ElementTree.parse(outcome).iter("testcase") if outcome.exists() else ()
	for case in cases:
		skipped = case.find("skipped")
		if any(child.tag in ("failure", "error") for child in case) or skipped is not None and not skipped.get("message", "").startswith(ABSENT):
			failed += 1
		elif skipped is None:
			passed += 1
		else:
			absent += 1
	return passed, failed, absent
