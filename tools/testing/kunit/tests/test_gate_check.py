# SPDX-License-Identifier: GPL-2.0
"""`make check-gate` itself: it notices each way in which a gate can be wrong, and cannot pass on nothing."""

import contextlib
import json
from dataclasses import replace
from types import SimpleNamespace

import pytest

import fakes
from pinwait.commands import gate_check, gate_corpus, merge
from pinwait.commands.gate_check import wrong
from pinwait.commands.gate_corpus import Entry, PatchSpec
from pinwait.commands.gate_inputs import Input, Known
from pinwait.log.results import Outcome
from pinwait.report.judgement import Change, Check, Finding, Judgement, PatchJudgement, to_json
from pinwait.source.options import Options
from pinwait.util.errors import UsageError
from pinwait.util.proc import become_subreaper
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
assert sys.argv[1] == "gate" and "--series=rfc" in sys.argv and not any(word.startswith("--profile=") for word in sys.argv)
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


@pytest.fixture(name="gate")
def _gate(monkeypatch, tmp_path):
	"""Check a gate in a mood; return exit code, last line and gate-corpus.json."""
	ready = fakes.prepared(tmp_path / "kernel")
	names = tmp_path / "corpus"
	fakes.write(names, {"a.toml": CORPUS % ("fine", "pass", "", "line seven") + CORPUS % ("buggy", "fail", "first_failed = 1", "BUG")
			    + CORPUS % ("piped", "fail", "first_failed = 1\ndeliver = 'stdin'", "BUG") })
	tool = tmp_path / "gate.py"
	tool.write_text(GATE, encoding="utf-8")
	monkeypatch.setattr(gate_check, "CORPUS", names)
	monkeypatch.setattr(gate_check, "TOOL", tool)
	monkeypatch.setattr(gate_check.deps, "ensure", lambda packages: None)
	# The patches have to have something between them and the kernel.
	commit = ready.git("commit-tree", "HEAD^{tree}", "-p", "HEAD", "-m", "ours")
	monkeypatch.setattr(gate_check, "prepared", lambda *_: contextlib.nullcontext(SimpleNamespace(kernel=ready, series=SimpleNamespace(name="rfc"), commit=commit)))
	root = tmp_path / "build"

	def start(mood, *args, shard="", **named):
		tool.with_suffix(".mood").write_text(mood, encoding="utf-8")
		code = gate_check.check_gate(Options(build_root=root), *args, shard=Shard.parse(shard), **named)
		return code, json.loads((root / "results/latest/gate-corpus.json").read_text(encoding="utf-8"))
	return start


def test_gate_that_is_right(gate, capsys):
	code, content = gate("honest")
	assert code == 0
	output = capsys.readouterr().out
	assert output.splitlines()[-1] == "3 of 3 verdicts right" and "WRONG" not in output
	assert (content["kind"], content["shard"]) == ("gate-corpus", "")
	assert {one["name"]: (one["expected"], one["got"], one["exit_code"]) for one in content["verdicts"] if one["right"]} == {
		"fine": ("pass", "pass", 0), "buggy": ("fail", "fail", 1), "piped": ("fail", "fail", 1)}


def test_what_gates_leave_is_cleared_away(gate):
	become_subreaper()
	assert gate("litters")[0] == 0
	assert not fakes.ended()


@pytest.mark.parametrize("mood, right, said", [
	("blind", 1, "the verdict is 'pass', not 'fail'"), ("strict", 2, "the verdict is 'fail', not 'pass'"),
	("swallows", 1, "the exit code is 0, not 1"), ("breaks", 0, "its last words: broken"),
	("garbles", 0, "no judgement to be read"),
])
def test_gate_that_is_wrong(gate, capsys, mood, right, said):
	code, content = gate(mood)
	output = capsys.readouterr().out
	assert code == 1 and sum(one["right"] for one in content["verdicts"]) == right
	assert output.splitlines()[-1] == f"{right} of 3 verdicts right"
	assert said in output and "WRONG" in output


def test_runs(gate, tmp_path):
	code, content = gate("honest", runs=3)
	assert code == 0 and [one["runs"] for one in content["verdicts"]] == [3, 3, 3]
	assert (tmp_path / "gate.turn").read_text() == "faafaafaa"


def test_flake(gate, tmp_path):
	code, content = gate("flaky", runs=4, names=["fine"])
	assert code == 1 and content["verdicts"][0]["wrong"][0].startswith("run 3 of 4: ")
	assert (tmp_path / "gate.turn").read_text() == "faa"


@pytest.fixture(name="broken_off")
def _broken_off(gate, monkeypatch, tmp_path):
	"""Break a check off before its last input; return the names of results folders, and forget who judged what."""
	monkeypatch.setattr(gate_check, "version", lambda: "1234")
	judged = gate_check._judged

	def interrupted(command, given, *more):
		if given.entry.name == "piped":
			raise KeyboardInterrupt
		return judged(command, given, *more)

	def start(mood, **named):
		with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
			patched.setattr(gate_check, "_judged", interrupted)
			gate(mood, **named)
		(tmp_path / "gate.turn").unlink()
		return sorted(tmp_path.glob("build/results/*-gate-corpus*"))
	return start


def test_resume(gate, broken_off, tmp_path, capsys):
	folders = broken_off("honest", runs=2)
	assert "say --resume" in capsys.readouterr().err
	code, content = gate("honest", runs=2, resume=True)
	assert code == 0 and capsys.readouterr().out.splitlines()[-1] == "3 of 3 verdicts right"
	assert content["inputs"] == [one["name"] for one in content["verdicts"]] and len(set(content["inputs"])) == 3
	assert (tmp_path / "gate.turn").read_text() == "fa"
	assert sorted(tmp_path.glob("build/results/*-gate-corpus*")) == folders
	# What is complete is not taken up.
	gate("honest", runs=2, resume=True)
	assert (tmp_path / "gate.turn").read_text() == "fafafafa"


def test_resume_of_the_second_in_one_second(gate, broken_off, monkeypatch, tmp_path):
	monkeypatch.setattr(gate_check.time, "strftime", lambda *_: "now")
	fakes.write(tmp_path, {"build/results/now-gate-corpus/gate-corpus.json": "{"})
	folders = broken_off("honest")
	assert [folder.name for folder in folders] == ["now-gate-corpus", "now-gate-corpus-2"]
	assert len(gate("honest", resume=True)[1]["verdicts"]) == 3
	assert (tmp_path / "gate.turn").read_text() == "f"


def test_two_at_once(gate, monkeypatch):
	judged, within = gate_check._judged, []

	def interfere(command, given, *more):
		if not within:
			within.append(given)
			assert gate("honest", names=["buggy"])[0] == 0
		return judged(command, given, *more)
	monkeypatch.setattr(gate_check, "_judged", interfere)
	assert gate("honest")[0] == 0 and within


def test_resume_waits_for_who_goes_on_with_the_same(gate, broken_off, monkeypatch, tmp_path):
	[folder] = broken_off("honest")
	lock, others = gate_check.lock, []

	def outrun(path, what):
		if not others:
			others.append(path)
			assert gate("honest", resume=True)[0] == 0
		return lock(path, what)
	monkeypatch.setattr(gate_check, "lock", outrun)
	code, content = gate("honest", resume=True)
	assert code == 0 and len(content["verdicts"]) == 3 and others == [folder / "lock"]
	assert (tmp_path / "gate.turn").read_text() == "f"


def test_resume_keeps_what_was_wrong(gate, broken_off, capsys):
	broken_off("blind")
	assert gate("honest", resume=True)[0] == 1
	assert "the verdict is 'pass', not 'fail'" in capsys.readouterr().out


@pytest.mark.parametrize("other, tool", [({"runs": 2}, "1234"), ({"names": ["fine"]}, "1234"), ({"shard": "1/2"}, "1234"), ({}, "1235"),
					 ({"resume": False}, "1234")])
def test_another_job_is_not_resumed(gate, broken_off, monkeypatch, tmp_path, other, tool):
	broken_off("honest")
	monkeypatch.setattr(gate_check, "version", lambda: tool)
	_, content = gate("honest", **{"resume": True, **other})
	turns = (tmp_path / "gate.turn").read_text()
	assert len(turns) == len(content["inputs"]) * other.get("runs", 1) and turns.startswith("f")


@pytest.mark.parametrize("version", ["", "1234-dirty"])
def test_resume_needs_to_know_the_tool(gate, monkeypatch, version):
	monkeypatch.setattr(gate_check, "version", lambda: version)
	with pytest.raises(UsageError, match="commit it first"):
		gate("honest", resume=True)


def test_inputs_that_a_shard_left_are_named(broken_off, tmp_path, capsys):
	folders = broken_off("honest")
	assert merge.merge(Options(build_root=tmp_path / "build"), list(map(str, folders))) == 2
	assert "2 of 3 verdicts right; none yet on piped" in capsys.readouterr().out


@pytest.mark.parametrize("choice, names", [
	({"names": ["buggy"]}, ["buggy"]), ({"sample": 2}, ["fine", "buggy"]), ({"shard": "2/2"}, ["buggy"]),
	({"shard": "1/2"}, ["fine", "piped"]),
])
def test_choice(gate, choice, names):
	assert [one["name"] for one in gate("honest", **choice)[1]["verdicts"]] == names


@pytest.mark.parametrize("choice, said", [
	({"names": ["none"]}, "unknown input 'none'"), ({"sample": 1, "names": ["fine"]}, "takes no names"), ({"sample": -1}, "number of inputs"),
	({"runs": 0}, "one at least"),
	({"shard": "3/2"}, "is no shard"), ({"shard": "9/9"}, "shard 9/9 has no input"),
])
def test_choice_that_makes_no_sense(gate, choice, said):
	with pytest.raises(UsageError, match=said):
		gate("honest", **choice)


def test_shards_can_be_merged(gate, tmp_path, capsys):
	parts = []
	for index in (1, 2):
		gate("blind", shard=f"{index}/2")
		parts.append(str((tmp_path / "build/results/latest").resolve()))
	options = Options(build_root=tmp_path / "build")
	assert merge.merge(options, parts) == 1
	assert "1 of 3 verdicts right; not piped, buggy" in capsys.readouterr().out
	assert merge.merge(options, parts[:1]) == 1
	assert "shard 2/2 is missing" in capsys.readouterr().out


def test_sample_holds_every_verdict():
	chosen = gate_corpus.sample(gate_corpus.load(gate_check.CORPUS), 12)
	assert {entry.expect for entry in chosen} == set(gate_corpus.OUTCOMES)
