# SPDX-License-Identifier: GPL-2.0
"""One run from kernel source to verdict, and two parts of a run: list the cases, prepare the tree."""

from collections.abc import Callable

from ..kernel import build, profile, qemu
from ..log import expected, verdict
from ..source import series
from ..util import deps
from ..kernel.boot import Boot
from ..log.results import LogResult, Verdict
from ..source.options import Options
from ..source.prepared import prepared
from ..util.errors import UsageError
from ..util.progress import Progress
from ..util.project import CONFIGS
from .session import Session


def run(options: Options, subcommand: str = "run") -> int:
	"""Build, boot and judge; return the exit code of the verdict."""
	return _judged(options, subcommand, lambda log, cases: verdict.judge(log, cases, options.profile, options.filter))


def prove(options: Options) -> int:
	"""Run without the series, but assert its promises: exactly the cases that need it must fail. Return the exit code."""
	if options.filter:
		raise UsageError("the proof needs all cases: prove takes no filter")
	options.series = series.NONE
	return _judged(options, "prove", lambda log, cases: verdict.prove(log, cases, options.profile))


def list_tests(options: Options) -> int:
	"""Build, and print the kernel's cases as KUnit itself lists them; return the exit code."""
	deps.ensure(deps.RUN)
	progress = Progress()
	chosen = qemu.provided(profile.load(CONFIGS, options.profile), options.build_root)
	request = build.Request(chosen, options.jobs, options.kconfig_add, options.make_options)
	with prepared(options, progress) as ready:
		done = build.build(ready.kernel, ready.commit, request, options.build_root,
				   options.build_root / "build.log", progress)
		listed = Boot(ready.kernel, done, chosen, options.kernel_args, options.filter, options.timeout).cases()
	print(*listed, sep="\n")
	return 0


def prepare(options: Options) -> int:
	"""Bring the worktree to the state that a run would test, and print its path."""
	deps.ensure(deps.RUN)
	progress = Progress()
	with prepared(options, progress) as ready:
		print(f"{ready.kernel.tree}: {ready.kernel.base}, series {ready.series.name}, "
		      f"commit {ready.commit[:12]}")
	return 0


def _judged(options: Options, subcommand: str,
	    judge: Callable[[LogResult, expected.Expected], tuple[LogResult, Verdict]]) -> int:
	deps.ensure(deps.RUN)
	session = Session(options, subcommand)
	with session.recorded():
		with session.built() as (kernel, done):
			log = session.boot(kernel, done, session.folder)
		code = session.finish(*judge(log, session.cases))
	session.say_where()
	return code
