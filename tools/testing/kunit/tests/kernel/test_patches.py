# SPDX-License-Identifier: GPL-2.0
"""After each patch of the series, the files that it touches compile without a warning."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import asked
import rows
from kernel.compiling import CHANGED, compiled
from pinwait.kernel import build
from pinwait.source import series, worktree
from pinwait.source.prepared import Prepared
from pinwait.util.project import PROJECT
from pinwait.util.progress import Progress
from steps import Step

Built = tuple[Step, Prepared, build.Request, Progress]


def _series(metafunc: pytest.Metafunc) -> list[Path | None]:
	options = asked.options_of(metafunc.config)
	name = options.named_series or series.DEFAULT
	patches = sorted(options.series_root.glob(f"{name}/*/*.patch"))
	return [path for path in patches if not path.name.startswith("0000")] or [None]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
	metafunc.parametrize("patch", _series(metafunc), ids=lambda patch: f"{patch.parent.name}/{patch.name}" if patch else "none")


@pytest.fixture(name="built", scope="module")
def _built(step: Callable[[str], Step]) -> Iterator[Built]:
	begun = step("patches")
	with begun.built() as (ready, request, progress):
		yield begun, ready, request, progress


def test_patch(built: Built, patch: Path | None) -> None:
	begun, ready, request, progress = built
	there = ready.series.patches
	if patch not in there:
		if not (there or begun.options.kdir or ready.series.name == series.NONE):
			begun.fail(f"series {ready.series.name} has no patches")
		rows.absent(f"{patch} is not of series {ready.series.name} for {ready.kernel.base}")
	assert patch
	part = replace(ready.series, patches=there[:there.index(patch) + 1])
	with begun.shown(), begun.failing():
		commit = worktree.compose(ready.kernel, series.apply(ready.kernel, part), PROJECT)
		worktree.check_out(ready.kernel, commit, begun.options.build_root / "strays", progress)
	touched = re.findall(r"^\+\+\+ b/(.*\.[ch])$", patch.read_text(encoding="utf-8"), re.MULTILINE)
	names = [*touched, *(name for name in CHANGED if name not in touched)]
	begun.note(f"patch {patch.name}: {' '.join(names)}")
	compiled(begun, ready.kernel, request, names).check_all(names)
