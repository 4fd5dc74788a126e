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
from pinwait.commands import cli
from pinwait.util import deps
from pinwait.util.project import PROJECT

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
	assert [command[0] for command in found] == ["gate", "gate", "merge"]
	warm, gate, merge = (cli.parser().parse_args(command) for command in found)
	assert gate.shard and gate.range and gate.json.endswith("judgement.json")
	assert warm.sources[0].endswith("/tools/testing/ci/warm.diff") and (warm.base, warm.shard) == ("HEAD", "")
	assert merge.parts == [parts]


def test_documented_commands_exist():
	found = list(_commands(DOCUMENT.read_text(encoding="utf-8")))
	assert len(found) >= 6
	for command in found:
		assert cli.parser().parse_args(command).subcommand == command[0]


def test_documented_files_are_those_that_are_written():
	from pinwait.report.files import FILES
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


def test_actions_run_on_a_node_that_is_there():
	used = {step["uses"] for job in _load("github.yml")["jobs"].values() for step in job["steps"] if "uses" in step}
	first = {"checkout": 5, "cache": 5, "upload-artifact": 6, "download-artifact": 7}	# on Node 24
	for action in used:
		name, version = re.fullmatch(r"actions/([\w-]+)(?:/[\w-]+)?@v(\d+)", action).groups()
		assert int(version) >= first[name], action


def test_only_the_base_fills_caches():
	jobs = _load("github.yml")["jobs"]
	caches = {name: [step["uses"].split("@")[0] for step in job["steps"] if "actions/cache" in step.get("uses", "")]
		  for name, job in jobs.items()}
	assert caches == {"warm": ["actions/cache/restore", "actions/cache/save"], "gate": ["actions/cache/restore"], "verdict": []}
	assert [jobs[name]["if"] for name in ("warm", "gate")] == ["github.event_name != 'pull_request'", "github.event_name == 'pull_request'"]
	gitlab = _load("gitlab-ci.yml")
	assert (gitlab["warm"]["cache"]["policy"], gitlab["gate"]["cache"]["policy"]) == ("pull-push", "pull")
	paths = {tuple(gitlab[name]["cache"]["paths"]) for name in ("warm", "gate")}
	paths |= {tuple(step["with"]["path"].split()) for name in ("warm", "gate") for step in jobs[name]["steps"]
		  if "actions/cache" in step.get("uses", "")}
	assert paths == {("build/.pinwait-build", "build/gate/ccache", "build/gate/results")}


@pytest.mark.parametrize("code, told", [(0, "pass: 2 patches"), (1, "fail: patch 2 of 2"), (2, "cannot judge: shard 2/4 is missing"),
					(2, "pinwait: no result of a shard in shards")])
def test_github_tells_each_verdict_in_its_summary(tmp_path, code, told):
	tool = tmp_path / "pinwait/tools/testing/kunit/pinwait.py"
	fakes.write(tmp_path, {str(tool): f"import sys\nprint({told!r}, file=sys.{'stderr' if told.startswith('pinwait') else 'stdout'})\n"
					  f"sys.exit({code})\n", "summary": ""})
	step, = (step for step in _load("github.yml")["jobs"]["verdict"]["steps"] if step["name"] == "Report the verdict")
	# As the runner calls it where `shell: bash` is said.
	assert step["shell"] == "bash"
	done = subprocess.run(["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]], cwd=tmp_path, capture_output=True,
			      text=True, env={**os.environ, "GITHUB_STEP_SUMMARY": str(tmp_path / "summary")})
	assert done.returncode == code and told in done.stdout
	assert (tmp_path / "summary").read_text(encoding="utf-8") == f"    {told}\n"


def test_packages_that_root_installs_are_those_that_the_gate_needs():
	script = (CI / "unprivileged.sh").read_text(encoding="utf-8").replace("\\\n", " ")
	listed, = re.findall(r"apt-get install -y --no-install-recommends (.*)", script)
	assert sorted(listed.split()) == sorted(deps.RUN | deps.GATE)


# What GitLab sets: in a pipeline of a merge request, and in one of what would be merged.
@pytest.mark.parametrize("merged", [False, True])
def test_gitlab_judges_the_commits_of_the_request_and_shows_them_no_token(tmp_path, monkeypatch, merged):
	tree = fakes.user_tree(tmp_path / "tree")
	base = fakes.git(tree, "rev-parse", "HEAD")
	default = fakes.git(tree, "branch", "--show-current")
	fakes.git(tree, "checkout", "-q", "-b", "topic")
	for number in ("1", "2"):
		fakes.write(tree, {"mm/topic": number})
		fakes.git(tree, "add", "-f", ".")
		fakes.git(tree, "commit", "-q", "-m", f"topic {number}")
	source = fakes.git(tree, "rev-parse", "HEAD")
	fakes.git(tree, "checkout", "-q", default)
	fakes.write(tree, {"mm/else": "x"})
	fakes.git(tree, "add", "-f", ".")
	fakes.git(tree, "commit", "-q", "-m", "meanwhile")
	if merged:
		fakes.git(tree, "merge", "-q", "--no-ff", "-m", "merge", "topic")
	else:
		fakes.git(tree, "checkout", "-q", "--detach", "topic")
	token = "glcbt-secret"
	fakes.git(tree, "remote", "add", "origin", f"https://gitlab-ci-token:{token}@gitlab.example.org/g/linux.git")
	fakes.write(tree, {".pinwait/tools/testing/kunit/pinwait.py": "#!/bin/sh\nfor word; do case $word in --json=*) echo {} >\"${word#--json=}\";; esac; done\n"
					    'printf "%s\\n" "$@" >../asked\nenv >../environment\n'})
	(tree / ".pinwait/tools/testing/kunit/pinwait.py").chmod(0o755)
	(tree / ".pinwait/tools/testing/ci").mkdir()
	(tree / ".pinwait/tools/testing/ci/unprivileged.sh").symlink_to(CI / "unprivileged.sh")
	(tmp_path / "tree.tmp").mkdir(mode=0o777)
	# What only root of a container can do is told, and left out.
	tell = 'echo "${0##*/} $*" >>"$HERE/told"'
	fakes.programs(monkeypatch, tmp_path / "bin", {"apt-get": tell, "useradd": tell, "chown": tell, "id": "exit 1",
							"runuser": f'{tell}\nshift 3\nexec "$@"'})
	given = {"CI_JOB_TOKEN": token, "CI_REGISTRY_PASSWORD": token, "CI_REPOSITORY_URL": f"https://gitlab-ci-token:{token}@x/", "CI_PIPELINE_ID": "7",
		 "CI_PROJECT_URL": "https://gitlab.example.org/g/linux", "CI_NODE_INDEX": "2", "CI_NODE_TOTAL": "4", "PROFILES": "uml",
		 "PINWAIT_BUILD": str(tree / "build"), "TMPDIR": "/tmp", "CI_MERGE_REQUEST_DIFF_BASE_SHA": base,
		 "CI_COMMIT_SHA": fakes.git(tree, "rev-parse", "HEAD"), "CI_MERGE_REQUEST_SOURCE_BRANCH_SHA": source if merged else ""}
	subprocess.run(["bash", "-eo", "pipefail", "-c", "\n".join(_load("gitlab-ci.yml")["gate"]["script"])], cwd=tree, check=True,
		       env={**os.environ, **given})
	asked = cli.parser().parse_args((tmp_path / "asked").read_text().splitlines())
	assert fakes.git(tree, "log", "--format=%s", asked.range).splitlines() == ["topic 2", "topic 1"]
	assert asked.shard == "2/4" and not asked.isolation
	seen = (tmp_path / "environment").read_text() + (tree / ".git/config").read_text()
	assert token not in seen and f"PINWAIT_BUILD={tree}/build\n" in seen and "url = https://gitlab.example.org/g/linux.git\n" in seen
	assert (tmp_path / "tree.tmp").stat().st_mode & 0o777 == 0o700
	told = (tmp_path / "bin/told").read_text()
	assert "chown -R judge: .\n" in told and told.splitlines()[-1].startswith("runuser -u judge -- env -i ")


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
