# SPDX-License-Identifier: GPL-2.0
"""Our sources and the files that the series changes: neither gcc with W=1 nor sparse complains."""

from collections.abc import Callable

import pytest

from kernel.compiling import CHANGED, Compiled, compiled, ours
from steps import Step

SOURCES = [*ours(), *CHANGED]


@pytest.fixture(name="said", scope="session")
def _said(step: Callable[[str], Step]) -> Compiled:
	begun = step("warnings")
	with begun.built() as (ready, request, _):
		return compiled(begun, ready.kernel, request, SOURCES, sparse=True)


@pytest.mark.parametrize("name", SOURCES)
def test_file(said: Compiled, name: str) -> None:
	said.check(name)


def test_make(said: Compiled) -> None:
	said.check_all(SOURCES)
