# SPDX-License-Identifier: GPL-2.0
"""Each room of the tool says what it is for, and imports only from rooms below it."""

import ast

import pytest

from pinwait.util.project import PROJECT

PACKAGE = PROJECT / "tools/testing/kunit/pinwait"
# From the ground up.
ROOMS = ("util", "log", "mutation", "source", "kernel", "report", "gate", "commands")
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE)


def _imported(path):
	"""Return the rooms that a module imports from, its own left out."""
	for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
		if isinstance(node, ast.ImportFrom) and node.level == 2:
			yield from [node.module.partition(".")[0]] if node.module else [alias.name for alias in node.names]


def test_every_module_is_in_a_room():
	assert {path.parent.name for path in MODULES} == set(ROOMS)
	assert [path.name for path in PACKAGE.glob("*.py")] == ["__init__.py"]


@pytest.mark.parametrize("room", ROOMS)
def test_room_says_what_it_is_for(room):
	text = ast.get_docstring(ast.parse((PACKAGE / room / "__init__.py").read_text(encoding="utf-8")))
	assert text and text.endswith(".")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_imports_point_down(path):
	below = ROOMS[:ROOMS.index(path.parent.name)]
	assert set(_imported(path)) <= set(below)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_imports_are_relative(path):
	"""What test_imports_point_down sees is all that there is."""
	nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
	assert not [node for node in nodes if isinstance(node, ast.ImportFrom) and (node.level > 2 or (node.module or "").startswith("pinwait"))]
	assert not [name for node in nodes if isinstance(node, ast.Import) for name in node.names if name.name.startswith("pinwait")]
