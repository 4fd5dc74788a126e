# SPDX-License-Identifier: GPL-2.0
"""C files are compiled with more warnings, all in one go, and a test looks at what was said of each."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pinwait.gate import lint
from pinwait.kernel import build
from pinwait.source import worktree
from pinwait.source.store import Kernel
from pinwait.util.project import PROJECT
from steps import Step

# Files of the kernel that the series changes and that have to stay as clean as our own.
CHANGED = ("mm/migrate.c", "mm/folio.c")


def ours() -> list[str]:
	"""Return our C files, as paths in the kernel tree."""
	return [source.path for source in worktree.sources(PROJECT) if source.path.endswith((".c", ".h"))]


@dataclass(frozen=True)
class Compiled:
	"""What came of some C files."""
	step: Step
	good: bool		# make says so
	output: str
	obj: Path
	sparse: bool

	def check(self, name: str) -> None:
		"""Fail for a file that was not compiled, of which something is said, or that sparse did not see."""
		said = [line for line in self.output.splitlines() if re.search(r"\b(?:warning|error):", line) and f"{name}:" in line]
		if said:
			self.step.fail("\n".join([f"in {name}:", *said]))
		if name.endswith(".c") and not (self.obj / name).with_suffix(".o").exists():
			self.step.fail(f"{name} was not compiled")
		if self.sparse and name.endswith(".c") and lint.not_seen_by_sparse(self.output, [name]):
			self.step.fail(f"sparse did not see {name}")

	def check_all(self, names: Sequence[str]) -> None:
		"""Fail for any of the files, if there is none that is compiled, or if make says that something went wrong."""
		for name in names:
			self.check(name)
		if not self.good or not any(name.endswith(".c") for name in names):
			self.step.fail(f"make failed for {' '.join(names) or 'nothing'}")


def compiled(step: Step, kernel: Kernel, request: build.Request, names: Sequence[str], sparse: bool = False) -> Compiled:
	"""Compile the C files among names anew with W=1, and sparse if asked."""
	root = step.options.build_root
	obj = build.object_folder(root, kernel, request)
	with step.shown():
		good, output = lint.compile_anew(kernel.tree, obj, [name for name in names if name.endswith(".c")], request, root, step.log, sparse)
	return Compiled(step, good, output, obj, sparse)
