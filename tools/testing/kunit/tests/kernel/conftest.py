# SPDX-License-Identifier: GPL-2.0
"""All of these tests go to one worker, one after the other, in the order of their files: there is one worktree.

Between two states of it most of the kernel is compiled, so the files with the series come first, then those without.
"""

from pathlib import Path

import pytest

from rows import KERNEL

HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)		# before xdist looks for groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
	for item in items:
		if HERE in item.path.parents:
			item.add_marker(pytest.mark.kernel)
			item.add_marker(pytest.mark.xdist_group(KERNEL))
	# They take longest, so they begin first.
	items.sort(key=lambda item: HERE not in item.path.parents)
