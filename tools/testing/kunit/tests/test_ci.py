# SPDX-License-Identifier: GPL-2.0
"""Workflows for CI servers, and the commands that they and the documentation tell people to type."""

import re
import shlex
from pathlib import Path

import pytest
import yaml

from pinwait import cli
from pinwait.run import PROJECT

CI = PROJECT / "tools/testing/ci"
DOCUMENT = PROJECT / "Documentation/gate-output.md"


def _texts(value):
	"""Give all strings in what YAML holds."""
	if isinstance(value, str):
		yield value
	elif isinstance(value, (dict, list)):
		for item in value.values() if isinstance(value, dict) else value:
			yield from _texts(item)


def _commands(text):
	"""Give the arguments of each call of the tool in a shell script."""
	for call in re.findall(r"pinwait\.py ((?:gate|merge|bisect|run) [^|&<>\n]*)", text.replace("\\\n", " ")):
		yield shlex.split(call.split(" :::")[0].rstrip("'") if call.count("'") % 2 else call.split(" :::")[0])


def _load(name):
	return yaml.safe_load((CI / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ["github.yml", "gitlab-ci.yml"])
def test_workflow_calls_the_tool_as_it_wants_to_be_called(name):
	found = [command for text in _texts(_load(name)) for command in _commands(text)]
	assert [command[0] for command in found] == ["gate", "merge"]
	gate = cli.parser().parse_args(found[0])
	assert gate.shard and gate.range and gate.json.endswith("judgement.json")
	assert cli.parser().parse_args(found[1]).parts == ["shards"]


def test_documented_commands_exist():
	found = list(_commands(DOCUMENT.read_text(encoding="utf-8")))
	assert len(found) >= 6
	for command in found:
		assert cli.parser().parse_args(command).subcommand == command[0]


def test_documented_files_are_those_that_are_written():
	from pinwait.tell.files import FILES
	text = DOCUMENT.read_text(encoding="utf-8")
	assert all(f"| `{name}` |" in text for name in FILES)
	paths = re.findall(r"/?(tools/testing/[\w./-]+)", text)
	assert paths and all(Path(PROJECT, path).exists() for path in paths)


def test_shards_of_a_matrix_are_all_of_them():
	matrix = _load("github.yml")["jobs"]["gate"]["strategy"]["matrix"]["shard"]
	assert matrix == list(range(1, len(matrix) + 1))
