# SPDX-License-Identifier: GPL-2.0
"""`make check-gate` itself: it notices each way in which a gate can be wrong, and cannot pass on nothing."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest

import asked
import fakes
from gate_corpus import entries, verdicts
from gate_corpus.entries import Entry, PatchSpec
from gate_corpus.inputs import Input, Known, Maker
from gate_corpus.verdicts import Verdicts, wrong
from pinwait.commands import merge
from pinwait.log.results import Outcome
from pinwait.report.judgement import Change, Check, Finding, Judgement, PatchJudgement, to_json
from pinwait.source.options import Options
from pinwait.util.errors import UsageError
from pinwait.util.proc import become_subreaper
from pinwait.util.project import PROGRAM
from pinwait.util.shard import Shard

KNOWN = (Known("one", "A <a@localhost>", "1" * 40), Known("two", "B <b@localhost>", "2" * 40))
CASE = Finding("case", "suite.case", Change.NEW, True, "expected 1, was 2", "suite.case")


def _entry(expect, **fields):
	return Entry("a", "why", expect, patch=(PatchSpec("one", "b"), PatchSpec("two", "b")), **fields)


def _input(entry):
	return Input(entry, ("x",), None, KNOWN if entry.patch else (), (), ())


def _judgement(*checks_of_patches, **fields):
	"""Return a judgement on the two patches, with these checks."""
	patches = [PatchJudgement(number, known.subject, known.author, "f", "", "", known.patch_id, checks=list(checks))
		   for number, (known, checks) in enumerate(zip(KNOWN, checks_of_patches), 1)]
	return Judgement("7.3", "b", "c", [], "rfc", [], ["uml"], ["static", "uml"], "gate x", "", "", "", patches, **fields)


def _check(name="uml", outcome=Outcome.PASS, *findings):
	return Check(name, outcome, "reason", list(findings))


FINE = (_check("static"), _check("uml"))
FAILS = (_check("static"), _check("uml", Outcome.FAIL, CASE))


def _wrong(entry, judgement, code=None):
	return wrong(_input(entry), to_json(judgement), judgement.exit_code if code is None else code)


@pytest.mark.parametrize("entry, judgement", [
	(_entry("pass"), _judgement(FINE, FINE)),
	(_entry("pass", outcomes=("pass", "pass")), _judgement(FINE, FINE)),
	(_entry("fail", first_failed=2, check="uml", kind="case", says=r"suite\.case", outcomes=("pass", "fail")), _judgement(FINE, FAILS)),
	(_entry("fail", first_failed=1, says="was 2"), _judgement(FAILS, FINE)),
	(_entry("pass", told="because .* code", profiles=("uml",)), _judgement(FINE, FINE, not_checked=["because of the code"])),
	(_entry("pass", told="was 2"), _judgement(FINE, (_check("static"), _check("uml", Outcome.PASS, replace(CASE, held=False))))),
	(_entry("cannot judge", because="refused", says="b.cause"), _judgement(problem="because of that")),
	(_entry("cannot judge", because="refused", says="reason"), _judgement((_check("apply", Outcome.CANNOT_JUDGE),), FINE)),
])
def test_right_verdicts(entry, judgement):
	assert not _wrong(entry, judgement)


@pytest.mark.parametrize("entry, judgement, code, said", [
	(_entry("pass"), _judgement(FINE, FAILS), None, "the verdict is 'fail', not 'pass'"),
	(_entry("pass"), _judgement(FINE, FINE), 1, "the exit code is 1, not 0"),
	(_entry("pass"), _judgement(FINE, FINE), 64, "the exit code is 64, not 0"),
	(_entry("pass"), _judgement(FINE), None, "the number of patches is 1, not 2"),
	(_entry("pass"), _judgement(FINE, (_check("uml", Outcome.PASS, CASE),)), None, "held against patch 2: case suite.case"),
	(_entry("pass"), _judgement(problem="does not apply"), None, "the verdict is 'cannot judge', not 'pass'"),
	(_entry("fail", first_failed=1), _judgement(FINE, FINE), None, "the verdict is 'pass', not 'fail'"),
	(_entry("fail", first_failed=1), _judgement(FINE, FAILS), None, "the first patch that fails is 2, not 1"),
	(_entry("fail", first_failed=1, outcomes=("fail", "pass")), _judgement(FAILS, FAILS), None, "what is said of each patch"),
	(_entry("fail", first_failed=1, check="static"), _judgement(FAILS, FINE), None, "no check static failed, but uml"),
	(_entry("fail", first_failed=1, kind="splat"), _judgement(FAILS, FINE), None, "there is no splat among"),
	(_entry("fail", first_failed=1, says="other"), _judgement(FAILS, FINE), None, "does not say 'other'"),
	(_entry("fail", first_failed=1), _judgement((_check("uml", Outcome.FAIL),), FINE), None, "there is no finding"),
	(_entry("fail", first_failed=1), _judgement((_check("uml", Outcome.FAIL, replace(CASE, held=False)),), FINE), None, "no finding"),
	(_entry("pass", told="of it"), _judgement(FINE, FINE), None, "it does not tell 'of it'"),
	(_entry("pass", profiles=("uml", "x86_64")), _judgement(FINE, FINE), None, "the profiles is ['uml'], not ['uml', 'x86_64']"),
	(_entry("cannot judge", because="refused"), _judgement(FINE, FINE), None, "the verdict is 'pass', not 'cannot judge'"),
	(_entry("cannot judge", because="refused", says="mm/x"), _judgement(problem="so"), None, "does not say 'mm/x', but: "),
])
def test_wrong_verdicts(entry, judgement, code, said):
	assert any(said in text for text in _wrong(entry, judgement, code))


@pytest.mark.parametrize("field, value", [("subject", "three"), ("author", "C <c@localhost>"), ("patch_id", "3" * 40)])
def test_another_patch_than_the_one_that_was_sent(field, value):
	judgement = _judgement(FINE, FINE)
	setattr(judgement.patches[1], field, value)
	assert any(f"the {field} of patch 2 is '{value}'" in text for text in _wrong(_entry("pass"), judgement))


def test_bare_diff_has_neither_subject_nor_author():
	judgement = _judgement(FINE, FINE)
	judgement.patches[0].subject = judgement.patches[0].author = "whatever"
	assert not _wrong(_entry("pass", form=("bare-diff",)), judgement)


CORPUS = """
[[input]]
name = "%s"
why = "for this test"
expect = "%s"
%s
[[input.patch]]
subject = "mm/migrate: change a line"
body = "It was old."
[[input.patch.edit]]
file = "mm/migrate.c"
old = "line 7\\n"
new = "%s\\n"
"""
# A gate that looks for a word in the patch, and can be told to be wrong in one way or another.
GATE = r"""
import json, os, re, subprocess, sys
from pathlib import Path
kind = Path(__file__).with_suffix(".mood").read_text()
said = Path(next(word for word in sys.argv if word.startswith("--json=")).partition("=")[2])
source = sys.argv[-1]
text = sys.stdin.read() if source == "-" else Path(source).read_text()
assert sys.argv[1] == "gate" and any(word.startswith("--series=") for word in sys.argv) and not any(word.startswith("--profile=") for word in sys.argv)
turn = Path(__file__).with_suffix(".turn")
turn.write_text((turn.read_text() if turn.exists() else "") + ("a" if "--no-cache" in sys.argv else "f"))
flaky = kind == "flaky" and turn.read_text().endswith("faa")
bad = ("BUG" in text and kind != "blind" or kind == "strict") != flaky
if kind == "litters":
	os.waitid(os.P_PID, os.posix_spawn("/bin/true", ["true"], {}), os.WEXITED | os.WNOWAIT)
if kind == "breaks":
	sys.exit("broken")
patch_id = subprocess.run(["git", "patch-id", "--stable"], input=text, capture_output=True, text=True).stdout.split()[0]
finding = {"kind": "case", "id": "s.c", "held": True, "where": "", "text": ""}
outcome = "fail" if bad else "pass"
code = int(bad)
content = {"problem": "", "verdict": {"outcome": outcome, "exit_code": code, "first_failed": 1 if bad else None, "reason": ""},
	   "patches": [{"number": 1, "subject": re.search(r"Subject: \[PATCH\] (.*)", text)[1], "author": "Casey Doe <casey@example.org>",
			"patch_id": patch_id, "outcome": outcome,
			"checks": [{"name": "uml", "outcome": outcome, "reason": "", "findings": [finding] if bad else []}]}]}
said.write_text("{" if kind == "garbles" else json.dumps(content))
sys.exit(0 if kind == "swallows" else code)
"""


@pytest.fixture(name="corpus")
def _corpus(tmp_path):
	"""Write a corpus of three inputs and a gate that judges them; return the options of the tests for both."""
	fakes.write(tmp_path, {"gate.py": GATE, "gate.mood": "honest", "corpus/a.toml": CORPUS % ("fine", "pass", "", "line seven") + CORPUS % (
		"buggy", "fail", "first_failed = 1", "BUG") + CORPUS % ("piped", "fail", "first_failed = 1\ndeliver = 'stdin'", "BUG")})
	return [f"--corpus={tmp_path / 'corpus'}", f"--gate={tmp_path / 'gate.py'}"]


@pytest.fixture(name="gate")
def _gate(tmp_path, corpus):
	"""Return a function that gives the verdicts of a gate in a mood, in a folder: none yet, or those that are kept there."""
	ready = fakes.prepared(tmp_path / "kernel")
	# The patches have to have something between them and the kernel.
	commit = ready.git("commit-tree", "HEAD^{tree}", "-p", "HEAD", "-m", "ours")

	def begin(mood="honest", runs=1, names=(), shard="", folder="results/now-gate-corpus"):
		(tmp_path / "gate.mood").write_text(mood, encoding="utf-8")
		(tmp_path / "gate.turn").unlink(missing_ok=True)
		there = tmp_path / folder
		there.mkdir(parents=True, exist_ok=True)
		chosen = Shard.parse(shard).spread(entries.load(tmp_path / "corpus", names))
		made = Maker(ready.git, commit, ready.base_commit, [], there / "corpus").make(chosen)
		part = {"kind": "gate-corpus", "shard": shard, "job": {"tool": "1234", "runs": runs, "names": list(names)},
			"inputs": [entry.name for entry in chosen]}
		return Verdicts(there, part, [sys.executable, str(tmp_path / "gate.py"), "gate", "--series=rfc"], made)
	return begin


def _judge_all(said):
	for name in said.inputs:
		for _ in range(said.part["job"]["runs"]):
			said.judge(name)
	return json.loads((said.folder / verdicts.RESULTS).read_text(encoding="utf-8"))


def test_gate_that_is_right(gate):
	said = gate()
	content = _judge_all(said)
	assert said.right == 3
	assert (content["kind"], content["shard"], content["inputs"]) == ("gate-corpus", "", ["fine", "buggy", "piped"])
	assert {one["name"]: (one["expected"], one["got"], one["exit_code"]) for one in content["verdicts"] if one["right"]} == {
		"fine": ("pass", "pass", 0), "buggy": ("fail", "fail", 1), "piped": ("fail", "fail", 1)}


def test_what_gates_leave_is_cleared_away(gate):
	become_subreaper()
	assert gate("litters").judge("fine").right
	assert not fakes.ended()


@pytest.mark.parametrize("mood, right, told", [
	("blind", 1, "the verdict is 'pass', not 'fail'"), ("strict", 2, "the verdict is 'fail', not 'pass'"),
	("swallows", 1, "the exit code is 0, not 1"), ("breaks", 0, "its last words: broken"),
	("garbles", 0, "no judgement to be read"),
])
def test_gate_that_is_wrong(gate, mood, right, told):
	said = gate(mood)
	content = _judge_all(said)
	assert said.right == right == sum(one["right"] for one in content["verdicts"])
	rows = [str(answer) for answer in said.answers.values() if not answer.right]
	assert all(row.startswith("WRONG") for row in rows) and any(told in row for row in rows)


def test_runs(gate, tmp_path):
	content = _judge_all(gate(runs=3))
	assert [(one["runs"], one["right"]) for one in content["verdicts"]] == [(3, True)] * 3
	assert (tmp_path / "gate.turn").read_text() == "faafaafaa"


def test_verdict_is_kept_once_all_runs_are_done(gate):
	said = gate(runs=2)
	said.judge("fine")
	assert not said.answers and said.judge("fine").runs == 2 and list(said.answers) == ["fine"]


def test_flake(gate, tmp_path):
	said = gate("flaky", runs=4)
	answers = [said.judge("fine") for _ in range(4)]
	assert [answer.right for answer in answers] == [True, True, False, False] and answers[3].wrong[0].startswith("run 3 of 4: ")
	assert (tmp_path / "gate.turn").read_text() == "faa"


def test_resume(gate, tmp_path):
	before = gate("blind")
	before.judge("fine"), before.judge("buggy")
	again = gate("honest")
	# What was wrong stays wrong, and is not tried once more.
	assert [(name, answer.right) for name, answer in again.answers.items()] == [("fine", True), ("buggy", False)]
	content = _judge_all(again)
	assert (tmp_path / "gate.turn").read_text() == "f" and again.right == 2
	assert content["inputs"] == [one["name"] for one in content["verdicts"]]


def test_which_results_are_gone_on_with(gate, tmp_path):
	results = tmp_path / "results"
	fakes.write(results, {"now-gate-corpus/gate-corpus.json": "{"})
	said = gate(folder="results/now-gate-corpus-2")
	assert verdicts.unfinished(results, said.part) == said.folder
	for other in ({"shard": "1/2"}, {"job": said.part["job"] | {"runs": 2}}, {"job": said.part["job"] | {"tool": "1235"}}):
		assert verdicts.unfinished(results, said.part | other) is None
	_judge_all(said)
	assert verdicts.unfinished(results, said.part) is None


def test_inputs_that_a_shard_left_are_named(gate, tmp_path, capsys):
	said = gate()
	said.judge("fine"), said.judge("buggy")
	assert merge.merge(Options(build_root=tmp_path / "build"), [str(said.folder)]) == 2
	assert "2 of 3 verdicts right; none yet on piped" in capsys.readouterr().out


def test_shards_can_be_merged(gate, tmp_path, capsys):
	parts = []
	for index in (1, 2):
		said = gate("blind", shard=f"{index}/2", folder=str(index))
		_judge_all(said)
		parts.append(str(said.folder))
	options = Options(build_root=tmp_path / "build")
	assert merge.merge(options, parts) == 1
	assert "1 of 3 verdicts right; not piped, buggy" in capsys.readouterr().out
	assert merge.merge(options, parts[:1]) == 1
	assert "shard 2/2 is missing" in capsys.readouterr().out


class _Config:
	"""Options of the tests, as pytest has them."""

	def __init__(self, **given):
		self.given = {"inputs": [], "sample": 0, "shard": "", "count": 1, "resume": False, **given}

	def getoption(self, name, default=None):
		"""Return what was given."""
		return self.given.get(name, default)


@pytest.mark.parametrize("choice, names", [
	({}, ["fine", "buggy", "piped"]), ({"inputs": ["buggy"]}, ["buggy"]), ({"sample": 2}, ["fine", "buggy"]), ({"shard": "2/2"}, ["buggy"]),
	({"shard": "1/2"}, ["fine", "piped"]),
])
def test_choice(corpus, tmp_path, choice, names):
	assert [entry.name for entry in asked._inputs(_Config(corpus=tmp_path / "corpus", **choice))] == names


@pytest.mark.parametrize("choice, told", [
	({"inputs": ["none"]}, "unknown input 'none'"), ({"sample": 1, "inputs": ["fine"]}, "takes no names"), ({"sample": -1}, "number of inputs"),
	({"count": 0}, "one at least"), ({"shard": "3/2"}, "is no shard"), ({"shard": "9/9"}, "shard 9/9 has no input"),
])
def test_choice_that_makes_no_sense(corpus, tmp_path, choice, told):
	with pytest.raises(UsageError, match=told):
		asked._inputs(_Config(corpus=tmp_path / "corpus", **choice))


@pytest.mark.parametrize("version", ["", "1234-dirty"])
def test_resume_needs_to_know_the_tool(corpus, tmp_path, monkeypatch, version):
	monkeypatch.setattr(asked, "version", lambda: version)
	with pytest.raises(UsageError, match="commit it first"):
		asked._inputs(_Config(corpus=tmp_path / "corpus", resume=True))


def test_sample_holds_every_verdict():
	chosen = entries.sample(entries.load(entries.CORPUS), 12)
	assert {entry.expect for entry in chosen} == set(entries.OUTCOMES)


def _called(tmp_path, corpus, *words):
	"""Call check-gate on a kernel that is small; return its exit code, standard output and standard error."""
	done = subprocess.run([sys.executable, PROGRAM, "check-gate", f"--tarball={tmp_path}/linux-7.3.4.tar.gz", f"--series-dir={tmp_path}", "--series=none",
			       f"--build-root={tmp_path / 'build'}", *words], capture_output=True, text=True, timeout=120,
			      env={**os.environ, "PYTEST_ADDOPTS": " ".join(corpus)})
	return done.returncode, done.stdout, done.stderr


@pytest.fixture(name="kernel")
def _kernel(tmp_path):
	fakes.tarball(tmp_path)


@pytest.mark.slow
def test_from_the_command_line(kernel, corpus, tmp_path):
	code, out, _ = _called(tmp_path, corpus, "--runs=2", "fine", "buggy")
	assert (code, out.splitlines()[-1]) == (0, "2 of 2 verdicts right"), out
	assert (tmp_path / "gate.turn").read_text() == "fafa"
	content = json.loads((tmp_path / "build/results/latest/gate-corpus.json").read_text(encoding="utf-8"))
	assert [(one["name"], one["runs"], one["right"]) for one in content["verdicts"]] == [("fine", 2, True), ("buggy", 2, True)]


@pytest.mark.slow
def test_wrong_entry_and_dead_gate_from_the_command_line(kernel, corpus, tmp_path):
	text = (tmp_path / "corpus/a.toml").read_text(encoding="utf-8")
	(tmp_path / "corpus/a.toml").write_text(text.replace("BUG", "good"), encoding="utf-8")
	code, out, _ = _called(tmp_path, corpus)
	assert (code, out.splitlines()[-1]) == (1, "1 of 3 verdicts right") and "the verdict is 'pass', not 'fail'" in out
	(tmp_path / "gate.mood").write_text("breaks", encoding="utf-8")
	code, out, _ = _called(tmp_path, corpus, "--sample=2")
	assert (code, out.splitlines()[-1]) == (1, "0 of 2 verdicts right") and "its last words: broken" in out


@pytest.mark.slow
def test_wrong_use_and_no_kernel_from_the_command_line(corpus, tmp_path):
	code, _, err = _called(tmp_path, corpus, "none")
	assert code == 64 and "unknown input 'none'" in err
	code, out, _ = _called(tmp_path, corpus, "fine")
	assert (code, out.splitlines()[-1]) == (1, "0 of 1 verdicts right") and "linux-7.3.4.tar.gz" in out
