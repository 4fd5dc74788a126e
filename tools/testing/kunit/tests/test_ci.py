# SPDX-License-Identifier: GPL-2.0
"""Workflows for CI servers, and the commands that they and the documentation tell people to type."""

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest
import yaml

import fakes
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


@pytest.mark.parametrize(("name", "parts"), [("github.yml", "shards"), ("gitlab-ci.yml", "shards/$CI_PIPELINE_ID")])
def test_workflow_calls_the_tool_as_it_wants_to_be_called(name, parts):
	found = [command for text in _texts(_load(name)) for command in _commands(text)]
	assert [command[0] for command in found] == ["gate", "merge"]
	gate = cli.parser().parse_args(found[0])
	assert gate.shard and gate.range and gate.json.endswith("judgement.json")
	assert cli.parser().parse_args(found[1]).parts == [parts]


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


def test_all_jobs_of_a_workflow_use_one_commit_of_the_tool():
	jobs = _load("github.yml")["jobs"].values()
	checkouts = [step["with"] for job in jobs for step in job["steps"] if step["name"] == "Get pinwait"]
	assert len(checkouts) == len(jobs)
	assert {checkout["ref"] for checkout in checkouts} == {"${{ env.PINWAIT_COMMIT }}"}


def test_verdict_on_a_runner_that_is_kept_is_of_this_pipeline_and_of_the_named_tool(tmp_path):
	origin, runner = tmp_path / "origin", tmp_path / "runner"
	name = "tools/testing/kunit/pinwait.py"

	def tell(words):
		return f'mkdir -p build/results/merged\necho "{words} $*" > build/results/merged/told\n'

	fakes.git(tmp_path, "init", "-q", str(origin))
	for words in ("named", "moved on"):
		fakes.write(origin, {name: f"#!/bin/sh\n{tell(words)}"})
		(origin / name).chmod(0o755)
		fakes.git(origin, "add", ".")
		fakes.git(origin, "commit", "-q", "-m", words)
	workflow = _load("gitlab-ci.yml")
	script = [line for line in workflow[".pinwait"]["before_script"] + workflow["verdict"]["script"]
		if not line.startswith("apt-get ")]
	env = {**os.environ, **fakes.ENV, "PINWAIT_URL": origin.as_uri(), "PINWAIT_COMMIT": fakes.git(origin, "rev-parse", "HEAD^")}
	fakes.write(runner, {"build/results/merged-of-another/told": ""})
	for pipeline in ("7", "8"):
		subprocess.run(["bash", "-e", "-c", "\n".join(script)], cwd=runner, check=True, env={**env, "CI_PIPELINE_ID": pipeline})
		assert [path.name for path in (runner / "build/results").iterdir()] == ["merged"]
		assert (runner / "build/results/merged/told").read_text(encoding="utf-8") == f"named merge shards/{pipeline}\n"
		with open(runner / ".pinwait" / name, "a", encoding="utf-8") as tool:
			tool.write(tell("spoilt"))
