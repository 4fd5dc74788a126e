# SPDX-License-Identifier: GPL-2.0
"""The test directory for NIPA: what it asks of the gate, and what it makes of the answer."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import fakes
import judgements
from pinwait.judgement import to_json

NIPA = Path(__file__).parents[2] / "nipa"
SCRIPT = NIPA / "patch/pinwait/pinwait.sh"
STUB = """\
import os, pathlib, shutil, sys
options = dict(word[2:].split("=", 1) for word in sys.argv[2:])
here = pathlib.Path(__file__).parent
(here / "called").write_text(" ".join(sys.argv[1:]))
if os.path.exists(here / "judgement.json"):
	shutil.copy(here / "judgement.json", options["json"])
sys.exit(int((here / "code").read_text()))
"""


@pytest.fixture(name="nipa")
def _nipa(tmp_path):
	"""Run the script as NIPA does; return exit code, description and what the gate was asked."""
	tree = fakes.user_tree(tmp_path / "tree")
	fakes.git(tree, "branch", "base")
	for number in (1, 2):
		fakes.git(tree, "commit", "-q", "--allow-empty", "-m", f"patch {number}")
	fakes.write(tmp_path, {"stub.py": STUB})
	results = tmp_path / "results"
	results.mkdir()

	def run(code, judgement=None, **env):
		(tmp_path / "code").write_text(str(code))
		if judgement:
			(tmp_path / "judgement.json").write_text(json.dumps(to_json(judgement)))
		reader, writer = os.pipe()
		done = subprocess.run([SCRIPT], cwd=tree, pass_fds=[writer], capture_output=True, check=False,
				      env={**os.environ, "DESC_FD": str(writer), "RESULTS_DIR": str(results), "BRANCH_BASE": "base",
					   "PINWAIT": str(tmp_path / "stub.py"), "PYTHON": sys.executable, **env})
		os.close(writer)
		with os.fdopen(reader) as stream:
			return done.returncode, stream.read(), (tmp_path / "called").read_text()
	run.commit = lambda name: fakes.git(tree, "rev-parse", name)
	run.results = results
	return run


@pytest.mark.parametrize("make, code, result, text", [
	(judgements.good, 0, 0, "1 patch, no regression found by "),
	(judgements.failing_case, 1, 1, "patch 2 of 3 fails ([PATCH 2/3] mm/migrate: fail at once): uml: 1 case fails"),
	(judgements.cannot_judge, 2, 250, "cannot judge: patch 2 of 2 cannot be judged"),
])
def test_verdict_in_the_words_of_nipa(nipa, make, code, result, text):
	returned, description, _ = nipa(code, make(), FIRST_IN_SERIES="1")
	assert returned == result and description.startswith(text) and description.count("\n") == 1
	assert (nipa.results / "judgement.json").exists()


@pytest.mark.parametrize("code", [0, 1, 64, 130])
def test_end_without_a_verdict_is_not_held_against_the_patch(nipa, code):
	(nipa.results / "judgement.json").write_text(json.dumps(to_json(judgements.good())))	# of another run
	assert nipa(code)[:2] == (250, f"cannot judge: the gate ended with exit code {code} and no verdict\n")


def test_verdict_and_exit_code_have_to_agree(nipa):
	assert nipa(0, judgements.failing_case())[0] == 250


@pytest.mark.parametrize("env, base", [({"FIRST_IN_SERIES": "1"}, "HEAD~"), ({"FIRST_IN_SERIES": "0"}, "HEAD~"), ({}, "base")])
def test_patch_or_series(nipa, env, base):
	_, _, called = nipa(0, judgements.good(), PINWAIT_ARGS="--profiles=uml,uml-debug --repeat=3", **env)
	assert f"--range={nipa.commit(base)}..{nipa.commit('HEAD')} " in called
	assert called.startswith("gate --kdir=. ") and called.endswith(" --profiles=uml,uml-debug --repeat=3")


@pytest.mark.parametrize("what", ["patch", "series"])
def test_nipa_finds_the_script(what):
	folder = NIPA / what / "pinwait"
	run = json.loads((folder / "info.json").read_text(encoding="utf-8"))["run"]
	assert (folder / run[0]).resolve() == SCRIPT.resolve() and os.access(SCRIPT, os.X_OK)
