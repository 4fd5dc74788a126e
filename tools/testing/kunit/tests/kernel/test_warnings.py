# SPDX-License-Identifier: GPL-2.0
"""Our sources and the files that the series changes: neither gcc with W=1 nor sparse complains."""

from collections.abc import Callable
from dataclasses import replace

import pytest

import asked
from kernel.compiling import CHANGED, Compiled, compiled, ours
from pinwait.gate import choice
from pinwait.kernel import build
from steps import Step

SOURCES = [*ours(), *CHANGED]


@pytest.fixture(name="said", scope="session")
def _said(request: pytest.FixtureRequest, step: Callable[[str], Step]) -> list[tuple[list[str], Compiled]]:
	"""What was said of the files: of each in the first profile whose kernel has it, or in the first of all if none has it."""
	profiles = asked.profiles_of(request.config)
	steps = [replace(begun, options=replace(begun.options, profile=profile))
		 for profile in profiles for begun in [step(f"warnings-{profile}")]]
	wanted: list[list[str]] = [[] for _ in steps]
	left = SOURCES
	for begun, names in zip(steps, wanted):
		with begun.built() as (ready, asked_for, _):
			obj = build.object_folder(begun.options.build_root, ready.kernel, asked_for)
		names.extend(name for name in left if choice.has_object(obj, name))
		left = [name for name in left if name not in names]
	wanted[0].extend(left)
	said: list[tuple[list[str], Compiled]] = []
	for begun, names in zip(steps, wanted):
		with begun.built() as (ready, asked_for, _):
			said.append((names, compiled(begun, ready.kernel, asked_for, names, sparse=True)))
	return said


@pytest.mark.parametrize("name", SOURCES)
def test_file(said: list[tuple[list[str], Compiled]], name: str) -> None:
	next(found for names, found in said if name in names).check(name)


def test_make(said: list[tuple[list[str], Compiled]]) -> None:
	for names, found in said:
		found.check_all(names)
