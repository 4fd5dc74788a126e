# SPDX-License-Identifier: GPL-2.0
"""Programs that read our own scripts and texts have nothing to complain of."""

import sys
from collections.abc import Callable

import pytest

from pinwait.util.project import PROJECT
from steps import Step

KUNIT = PROJECT / "tools/testing/kunit"
SCRIPTS = [".ci/run", *sorted(str(path.relative_to(PROJECT)) for path in PROJECT.rglob("*.sh")
			      if not {"build", ".git"} & set(path.relative_to(PROJECT).parts))]
TEXTS = ("README.md", "Documentation", "patches", "mm", "include", "Kconfig.kunit", "lib")


def test_mypy(step: Callable[[str], Step]) -> None:
	begun = step("mypy")
	begun.check([sys.executable, "-m", "mypy", "--config-file", "mypy.ini", "--cache-dir", str(begun.log.with_name("mypy-cache"))], KUNIT)


@pytest.mark.parametrize("name", SCRIPTS)
def test_shellcheck(step: Callable[[str], Step], name: str) -> None:
	step(f"shellcheck-{name.replace('/', '-')}").check(["shellcheck", name])


@pytest.mark.parametrize("name", TEXTS)
def test_codespell(step: Callable[[str], Step], name: str) -> None:
	# DAMON is a subsystem.
	step(f"codespell-{name.replace('/', '-')}").check(["codespell", "--ignore-words-list=damon", name])
