# SPDX-License-Identifier: GPL-2.0
"""Our C sources and patches: neither checkpatch nor kernel-doc complains."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kernel.compiling import ours
from pinwait.gate import lint
from pinwait.util.project import PROJECT
from steps import Step

PATCHES = sorted(path for path in PROJECT.glob("patches/*/*/*.patch") if not path.name.startswith("0000"))


@pytest.fixture(name="tree", scope="module")
def _tree(step: Callable[[str], Step]) -> Iterator[Path]:
	"""The worktree, locked."""
	with step("tree").prepared() as (ready, _):
		yield ready.kernel.tree


@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: str(patch.relative_to(PROJECT / "patches")))
def test_patch(tree: Path, step: Callable[[str], Step], patch: Path) -> None:
	step(f"checkpatch-{patch.stem}").check([*lint.CHECKPATCH, "--quiet", str(patch)], tree)


def test_sources(tree: Path, step: Callable[[str], Step]) -> None:
	# It looks for a parameter's documentation in the patch at hand, and a file is none.
	step("checkpatch").check([*lint.CHECKPATCH, "--quiet", "--ignore=UNDOCUMENTED_SETUP", "--file", *ours()], tree)


def test_kernel_doc(tree: Path, step: Callable[[str], Step]) -> None:
	step("kernel-doc").check([sys.executable, "scripts/kernel-doc", "-none", "-Wall", "-Werror", *ours()], tree)
