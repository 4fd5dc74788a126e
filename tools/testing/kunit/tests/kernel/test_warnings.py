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
	"""What was said of the files that each profile compiles; of none twice, and in the first profile of all that are left."""
	said: list[tuple[list[str], Compiled]] = []
	left = SOURCES
	for profile in asked.profiles_of(request.config):
		begun = step(f"warnings-{profile}")
		begun = replace(begun, options=replace(begun.options, profile=profile))
		with begun.built() as (ready, wanted, _):
			obj = build.object_folder(begun.options.build_root, ready.kernel, wanted)
			names = [name for name in left if name.endswith(".h") and not said or choice.has_object(obj, name)]
			left = [name for name in left if name not in names]
			said.append((names, compiled(begun, ready.kernel, wanted, names, sparse=True)))
	said[0][0].extend(left)		# they were not compiled, which fails there
	return said


@pytest.mark.parametrize("name", SOURCES)
def test_file(said: list[tuple[list[str], Compiled]], name: str) -> None:
	next(found for names, found in said if name in names).check(name)


def test_make(said: list[tuple[list[str], Compiled]]) -> None:
	for names, found in said:
		found.check_all(names)
