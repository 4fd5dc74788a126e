# SPDX-License-Identifier: GPL-2.0
"""From source to a worktree with the tree to test."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..mutation import corpus, generate
from ..util import deps
from . import series, usertree, worktree
from ..util.progress import Progress
from ..util.project import GENERATED, MUTANTS, PROJECT
from .options import Options
from .store import Kernel, Store


@dataclass(frozen=True)
class Prepared:
	"""A locked worktree with the tree to test."""
	kernel: Kernel
	series: series.Series
	commit: str
	choice: tuple[str, ...]		# why that series


@contextmanager
def held(options: Options, progress: Progress, at: str = "") -> Iterator[Kernel]:
	"""Get the requested kernel and hold its worktree's lock meanwhile; of KDIR, the commit `at` or the current state."""
	kernels = options.build_root / "kernels"
	if options.kdir:
		tree = Path(options.kdir)
		with worktree.locked(kernels, usertree.name_of(tree)):
			yield usertree.prepare(tree, kernels, progress, at)
		return
	store = Store(options.build_root, progress)
	kernel = store.tarball(Path(options.tarball)) if options.tarball else store.package(options.kernel, options.update)
	with worktree.locked(kernels, kernel.name):
		yield kernel


@contextmanager
def prepared(options: Options, progress: Progress,
	     known: Callable[[Kernel], None] = lambda _kernel: None,
	     chosen: Callable[[series.Applied], None] = lambda _applied: None
	     ) -> Iterator[Prepared]:
	"""Get the kernel, apply the series, add the project's sources; hold the worktree's lock meanwhile.

	known is called with the kernel, before anything can fail to apply; chosen is called with the series that was applied.
	"""
	with held(options, progress) as kernel:
		known(kernel)
		generated = ":" in options.mutant
		deps.ensure(deps.PARSER if generated else {})
		broken = corpus.load(MUTANTS, [options.mutant]) if options.mutant and not generated else []
		with progress.stage("prepare", f"series {options.named_series or 'of the tree'}"
				    f"{f' with mutant {options.mutant}' if options.mutant else ''} on {kernel.base}"):
			applied = series.choose(options.series_root, options.series, kernel, progress)
			chosen(applied)
			if generated:
				broken = [generate.broken(GENERATED, options.mutant, lambda name: kernel.git("cat-file", "blob", f"{applied.commit}:{name}") + "\n",
							  options.build_root / "cache/coccinelle")]
			commit = worktree.compose(kernel, applied.commit, PROJECT, broken)
			worktree.check_out(kernel, commit, options.build_root / "strays", progress)
		for line in applied.choice:
			progress.say(line)
		yield Prepared(kernel, applied.series, commit, applied.choice)
