# SPDX-License-Identifier: GPL-2.0
"""The test directory for NIPA: what it asks of the gate, and what NIPA gets for an answer."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import clients
import fakes

NIPA = Path(__file__).parents[2] / "nipa"
SCRIPT = NIPA / "patch/pinwait/pinwait.sh"
STUB = """\
import pathlib, sys
here = pathlib.Path(__file__).parent
(here / "called").write_text(" ".join(sys.argv[1:]))
sys.stdout.write((here / "text").read_text())
sys.exit(int((here / "code").read_text()))
"""


def _call(tree, results, **env):
	"""Run the script as NIPA runs a test; return exit code, description and standard error, all decoded as there."""
	results.mkdir(exist_ok=True)
	reader, writer = os.pipe()
	done = subprocess.run([SCRIPT], cwd=tree, pass_fds=[writer], capture_output=True, check=False,
			      env={**os.environ, "DESC_FD": str(writer), "RESULTS_DIR": str(results), "PYTHON": sys.executable, **env})
	os.close(writer)
	with os.fdopen(reader, encoding="utf-8") as stream:
		return done.returncode, stream.read(), done.stderr.decode("utf-8", "ignore")


@pytest.fixture(name="nipa")
def _nipa(tmp_path):
	"""Have the script ask a stub in place of the gate; return exit code, description and what was asked."""
	tree = fakes.user_tree(tmp_path / "tree")
	fakes.git(tree, "branch", "base")
	for number in (1, 2, 3):
		fakes.git(tree, "commit", "-q", "--allow-empty", "-m", f"patch {number}")
	fakes.write(tmp_path, {"stub.py": STUB})

	def run(code=0, text="fine\n", **env):
		fakes.write(tmp_path, {"code": str(code), "text": text})
		code, description, _ = _call(tree, tmp_path / "results", **{"BRANCH_BASE": "base", "PINWAIT": str(tmp_path / "stub.py"), **env})
		return code, description, (tmp_path / "called").read_text()
	run.commit = lambda name: fakes.git(tree, "rev-parse", name)
	run.git = lambda *words: fakes.git(tree, *words)
	run.results = tmp_path / "results"
	return run


@pytest.mark.parametrize("code", [0, 1, 250])
def test_answer_of_the_gate_is_handed_on(nipa, code):
	text = "mm/migrate.c:1204: über die Zeile\n"
	assert nipa(code, text, LC_ALL="C")[:2] == (code, text)


@pytest.mark.parametrize("code, text", [(0, ""), (1, ""), (1, "\n"), (64, ""), (130, "interrupted\n"), (137, "killed\n")])
def test_end_without_a_verdict_is_not_held_against_the_patch(nipa, code, text):
	assert nipa(code, text)[:2] == (250, f"cannot judge: the gate ended with exit code {code} and no verdict\n")


@pytest.mark.parametrize("first, base", [("1", "base"), ("0", "HEAD~"), (None, "base")])
def test_patch_series_and_pull(nipa, first, base):
	"""The first patch is alone on the branch, where a pull request may have more; a later one is the last commit."""
	env = {"FIRST_IN_SERIES": first} if first else {}
	_, _, called = nipa(PINWAIT_ARGS="--profiles=uml,uml-debug --repeat=3", **env)
	assert called == (f"gate --kdir=. --range={nipa.commit(base)}..{nipa.commit('HEAD')} --results={nipa.results} --format=nipa "
			  "--profiles=uml,uml-debug --repeat=3")


def test_pull_that_is_merged(nipa):
	pulled = nipa.commit("HEAD")
	nipa.git("checkout", "-q", "base")
	nipa.git("commit", "-q", "--allow-empty", "-m", "meanwhile")
	nipa.git("checkout", "-q", "--detach")
	nipa.git("merge", "-q", "--no-edit", pulled)
	assert f"--range={nipa.commit('base')}..{pulled} " in nipa(FIRST_IN_SERIES="1")[2]


@pytest.mark.parametrize("what", ["patch", "series"])
def test_nipa_finds_the_script(what):
	folder = NIPA / what / "pinwait"
	info = json.loads((folder / "info.json").read_text(encoding="utf-8"))
	assert (folder / info["run"][0]).resolve() == SCRIPT.resolve() and os.access(SCRIPT, os.X_OK)
	assert bool(info.get("pull-requests")) == (what == "patch")	# the only kind of test that NIPA makes of pulls


@pytest.fixture(name="judged")
def _judged(tmp_path, monkeypatch):
	"""Have the script ask the gate itself."""
	fakes.programs(monkeypatch, tmp_path / "bin", {"dpkg-query": clients.DPKG})
	(tmp_path / "build").mkdir()
	tree = clients.kernel_tree(tmp_path / "tree")
	fakes.git(tree, "branch", "base")

	def run(arguments="--checks=static", **env):
		build = tmp_path / "build"
		more = f"{arguments} --no-isolation --series=none --series-dir={build} --build-root={build}"
		return _call(tree, tmp_path / "results", **{"BRANCH_BASE": "base", "PINWAIT_ARGS": more, **env})
	run.tree, run.results = tree, tmp_path / "results"
	return run


def test_pull_of_three_is_judged_as_three(judged):
	for number, text in ((1, "one"), (2, "bad ü" + "ü" * 300), (3, "three")):
		clients.commit(judged.tree, f"mm: {number}", 10 * number, text)
	code, description, report = judged(FIRST_IN_SERIES="1", LC_ALL="C")
	assert code == 1 and description.startswith("patch 2: mm/migrate.c:9: ") and description.count("\n") == 1 and len(description) <= 241
	assert "2/3 fail" in report and "a bad line" in report and "3/3 pass" in report
	assert {"judgement.json", "judgement.html", "junit.xml", "command", "patches"} <= set(os.listdir(judged.results))
	assert judged(FIRST_IN_SERIES="0")[:2] == (0, "1 patch, no regression found by static\n")


@pytest.mark.parametrize("arguments, base, text", [
	("--checks=magic", "base", "unknown check 'magic'"),
	("--jobs=many", "base", "invalid int value: 'many'"),
	("--checks=static", "nowhere", "has no commit nowhere"),
	("--checks=static", "HEAD", "contains no commit"),
])
def test_what_cannot_be_judged_is_a_warning_that_says_why(judged, arguments, base, text):
	clients.commit(judged.tree, "mm: 1", 10, "one")
	code, description, report = judged(arguments, BRANCH_BASE=base)
	assert code == 250 and description.startswith("cannot judge: ") and text in description and text in report
