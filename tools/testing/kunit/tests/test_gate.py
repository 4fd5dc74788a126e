# SPDX-License-Identifier: GPL-2.0
"""The gate blames the patch that is to blame, for what is new, and says so when it cannot tell."""

import io
import json
import shlex
from types import SimpleNamespace

import fakes
import jsonschema
import pytest

from pinwait.commands import cli
from pinwait.gate import choice, engine, lint, states
from pinwait.kernel import sandbox
from pinwait.log import results
from pinwait.gate.attempt import Result, Trials
from pinwait.gate.engine import Asked
from pinwait.gate.states import Answer
from pinwait.log.results import Case, Ending, LogResult, Outcome, Splat, Status, Verdict
from pinwait.report.files import write_all
from pinwait.report.judgement import SCHEMA, Change, Covered
from pinwait.source.options import Options
from pinwait.util.errors import CannotJudge, UsageError
from pinwait.util.project import PROJECT
from pinwait.util.shard import Shard

# What a state does is written in the lines that patches change.
BROKEN, FAILS, WARNS, SPLATS, FLAKY, GONE, STUBBED = "broken", "fails", "warns", "splats", "flaky", "gone", "stubbed"
PANICS, DIES, CUT, SLOW = "panics", "dies", "cut", "slow"	# at boot, in the first case, after it; the second case fails



def _log(text, boot):
	"""What boot number `boot` gives; base and patch are booted in turns, so every other boot of a patch is a multiple of 4."""
	if PANICS in text:
		return LogResult([], [], [], [], False, Ending.PANIC)
	if DIES in text or CUT in text:
		first = Case("s", "waits", None, Status.CRASH if DIES in text else Status.PASS, 1.0, 0.1, "why")
		gone = Case("s", "fast", None, Status.MISSING, None, None, results.GONE)
		return LogResult([first, gone], [], [], [], True, Ending.PANIC if DIES in text else Ending.TRUNCATED)
	fails = FAILS in text or FLAKY in text and boot % 4 == 0
	cases = [Case("s", "waits", None, Status.FAIL if fails else Status.PASS, 1.0, 0.1, "why")]
	cases += [] if GONE in text else [Case("s", "fast", None, Status.FAIL if SLOW in text else Status.PASS, 1.0, 0.1, "")]
	splats = [Splat("WARNING", "s.fast", 3, "WARNING: here")] if SPLATS in text else []
	return LogResult(cases, splats, [], [], True, Ending.FINISHED)


@pytest.fixture(name="judged")
def _judged(tmp_path, monkeypatch):
	"""Return a function that judges patches, and the looks that were taken."""
	project = tmp_path / "project"
	fakes.write(project, {"Kconfig.kunit": "config X\n", "mm/tests/a_kunit.c": "int a;\n", "lib/x": ""})
	fakes.write(tmp_path / "series", {"rfc/7.3/0001-x.patch": fakes.patch(35, "line 35", "series 35")})
	ready = fakes.prepared(tmp_path / "build/kernels/7.3.4-1")
	looks = []

	def text_of(shop, index):
		return shop.kernel.git("show", f"{shop.states[index]}:mm/migrate.c")

	def look(shop, index, wanted):
		looks.append((index, tuple(wanted)))
		start.promised[index] = shop.trials[shop.main].promised(shop.states[index])
		text = text_of(shop, index)
		for what in wanted:
			known = shop.answers.get((index, what))
			if known:
				continue
			folder = tmp_path / f"state-{index}-{what}"
			folder.mkdir(exist_ok=True)
			(folder / "kernel.log").write_text("log")
			error = "the kernel does not build:\nmm/migrate.c:9:1: error: broken" if BROKEN in text else \
				"the kernel does not build:\nmm/migrate.c:9:1: error: no stub" if STUBBED in text and what == "uml-stubs" else ""
			result = Result(folder, error, LogResult() if error else _log(text, 0), Verdict(Outcome.PASS, "2 of 2 cases"), binary=text)
			lines = {"mm/migrate.c": ["mm/migrate.c:5:1: warning: odd"] if WARNS in text else []}
			shop.answers[index, what] = Answer(what, result, lines, {"mm/migrate.c": ["mm/migrate.c"]},
							   {"mm/migrate.c": {10: 3, 20: 0, 30: 2}})

	def boot(trial, result, _folder, _progress, _timeout=0, _seed=0, _suite=""):
		counter[0] += 1
		return _log(result.binary, counter[0]), Verdict(Outcome.PASS, "")
	counter = [0]
	monkeypatch.setattr(states.Workshop, "look", look)
	monkeypatch.setattr(states.Workshop, "compiled", lambda _shop, files, profile="": [name for name in files if name.endswith(".c")])
	monkeypatch.setattr(engine.Trials, "boot", boot)
	monkeypatch.setattr(engine.deps, "ensure", lambda _packages: None)
	monkeypatch.setattr(engine, "PROJECT", project)
	monkeypatch.setattr(lint, "export_tools", lambda _git, _commit, folder: folder)
	monkeypatch.setattr(lint, "checkpatch", lambda _box, _tools, _tree, patch, _message: [
		("ERROR", "MISSING_SIGN_OFF", "Missing Signed-off-by: line(s)")] if "unsigned" in patch.read_text() else [])
	monkeypatch.setattr(lint, "kernel_doc", lambda *_args: [])
	monkeypatch.setattr(sandbox, "failure", lambda: "")

	def start(*texts, asked=None, kdir="", series="", **more):
		box = tmp_path / "in.mbox"
		box.write_text("".join(texts))
		options = Options(build_root=tmp_path / "build", series_dir=str(tmp_path / "series"), kdir=str(kdir), series=series)
		wanted = asked or Asked((str(box),), **more)
		judgement, folder = engine.judge(options, wanted)
		write_all(judgement, folder)
		jsonschema.validate(json.loads((folder / "judgement.json").read_text()), json.loads(SCHEMA.read_text()))
		return judgement
	start.looks, start.kernel, start.promised = looks, ready, {}
	return start


def _patch(line, after, number=0, total=0, subject="change"):
	text = fakes.patch(line, f"line {line}", after, subject)
	return text.replace("[PATCH]", f"[PATCH {number}/{total}]") if total else text


def _outcomes(judgement):
	return [patch.outcome.value for patch in judgement.patches]


def _held(judgement, number=1):
	return [(check.name, finding.kind) for check in judgement.patches[number - 1].checks for finding in check.held]


def test_good(judged):
	judgement = judged(_patch(10, "better 10"))
	assert (judgement.exit_code, _outcomes(judgement)) == (0, ["pass"])
	assert [check.name for check in judgement.patches[0].checks] == ["static", "warnings", "stubs", "coverage", "uml"]
	assert judgement.patches[0].covered == [Covered("mm/migrate.c", executed=[10], removed=[10])]
	assert judgement.isolation and judgement.series == "rfc" and len(judgement.before) == 1


@pytest.mark.parametrize("word, found", [
	(FAILS, ("uml", "case")), (SPLATS, ("uml", "splat")), (GONE, ("uml", "missing")), (WARNS, ("warnings", "warning")),
	(STUBBED, ("stubs", "error")),
])
def test_bad(judged, word, found):
	judgement = judged(_patch(10, word))
	assert (judgement.exit_code, _held(judgement)) == (1, [found])
	assert judgement.first_failed is judgement.patches[0]


KCONFIG = "diff --git a/mm/Kconfig b/mm/Kconfig\n--- a/mm/Kconfig\n+++ b/mm/Kconfig\n@@ -1 +1,2 @@\n config MMU\n+\tbool\n"


def test_kconfig_is_compared_with_the_last_state_that_can_be_configured(judged, monkeypatch):
	looks = []
	monkeypatch.setattr(states.Workshop, "kconfig", lambda _shop, index, name, _log: looks.append((index, name)) or [])
	repair = fakes.patch(10, BROKEN, "well").replace("[PATCH]", "[PATCH 2/2]").replace("--\n2.39.5", f"{KCONFIG}--\n2.39.5")
	assert _outcomes(judged(_patch(10, BROKEN, 1, 2), repair)) == ["fail", "pass"]
	assert looks == [(0, "uml-stubs"), (2, "uml-stubs"), (0, "uml"), (2, "uml")]


def test_warning_of_kconfig(judged, monkeypatch):
	said = [["mm/Kconfig:1: warning: old"], ["mm/Kconfig:2: warning: old", "mm/Kconfig:1: warning: odd"]]
	looks = []

	def kconfig(_shop, index, name, _log):
		looks.append((index, name))
		return said[index]
	monkeypatch.setattr(states.Workshop, "kconfig", kconfig)
	assert not judged(_patch(10, "better 10")).exit_code and not looks
	text, looks_before = _patch(10, "x").partition("diff --git")[0], len(judged.looks)
	judgement = judged(f"{text}{KCONFIG}--\n2.39.5\n")
	assert _held(judgement) == [("stubs", "warning"), ("uml", "warning")]
	assert {finding.id: finding.change for finding in judgement.patches[0].checks[-1].findings} == {
		"mm/Kconfig: warning: odd": Change.NEW, "mm/Kconfig: warning: old": Change.PRE_EXISTING}
	assert looks == [(0, "uml-stubs"), (1, "uml-stubs"), (0, "uml"), (1, "uml")]
	assert not any("warnings" in wanted for _, wanted in judged.looks[looks_before:])


def test_unsigned(judged):
	assert _held(judged(_patch(10, "unsigned"))) == [("static", "sign-off")]


def test_one_in_the_middle(judged):
	judgement = judged(_patch(10, "a", 1, 3), _patch(20, FAILS, 2, 3), _patch(30, "c", 3, 3))
	assert _outcomes(judgement) == ["pass", "fail", "pass"]
	assert judgement.reason.startswith("patch 2 of 3 fails")
	old = [finding.change for check in judgement.patches[2].checks for finding in check.findings if finding.kind == "case"]
	assert old == [Change.PRE_EXISTING]


def test_the_second_mends_the_first(judged):
	repair = fakes.patch(10, FAILS, "well").replace("[PATCH]", "[PATCH 2/2]")
	judgement = judged(_patch(10, FAILS, 1, 2), repair)
	assert (_outcomes(judgement), judgement.first_failed.number) == (["fail", "pass"], 1)
	assert [finding.change for finding in judgement.patches[1].checks[4].findings] == [Change.FIXED]


def test_broken_build_that_a_later_patch_mends(judged):
	repair = fakes.patch(10, BROKEN, "well").replace("[PATCH]", "[PATCH 3/3]")
	judgement = judged(_patch(10, BROKEN, 1, 3), _patch(20, "b", 2, 3), repair)
	assert _outcomes(judgement) == ["fail", "cannot-judge", "pass"]
	assert _held(judgement) == [("stubs", "error"), ("uml", "error")]
	assert "has not built since an earlier patch" in judgement.patches[1].reason


@pytest.mark.parametrize("only, outcome", [(2, "cannot-judge"), (3, "pass")])
def test_one_patch_alone_after_a_broken_build(judged, only, outcome):
	"""The state before it does not build, and nobody has looked at the ones before that."""
	repair = fakes.patch(10, BROKEN, "well").replace("[PATCH]", "[PATCH 3/3]")
	judgement = judged(_patch(10, BROKEN, 1, 3), _patch(20, "b", 2, 3), repair, checks=("uml",), only=only)
	assert judgement.patches[only - 1].outcome.value == outcome
	if outcome == "pass":
		assert "compared with the state after patch 0" in judgement.patches[2].reason


def test_fails_after_a_broken_build_is_new(judged):
	repair = fakes.patch(10, BROKEN, FAILS).replace("[PATCH]", "[PATCH 2/2]")
	judgement = judged(_patch(10, BROKEN, 1, 2), repair)
	assert _held(judgement, 2) == [("uml", "case")]


def test_boots_that_repeat_themselves_are_one(judged):
	finding = judged(_patch(10, FAILS)).patches[0].checks[-1].held[0]
	assert (str(finding.before), str(finding.after)) == ("0/2", "2/2")


@pytest.mark.parametrize("patched, base, outcome, seen", [
	([True] * 6, [False] * 6, "fail", ("6/6", "0/6")),
	([False], [False], "pass", ("0/1", "0/1")),
	([True, True, False], [False] * 3, "pass", ("2/3", "0/3")),
	([True], [True], "pass", ("1/1", "1/1")),
])
def test_real_time(judged, monkeypatch, patched, base, outcome, seen):
	boots = {FAILS: iter(patched), "": iter(base)}
	folders = []

	def boot(_trial, result, folder, _progress, limit, _seed, _suite):
		folders.append(folder.name)
		fails = next(boots[FAILS if FAILS in result.binary else ""])
		assert limit > 0
		return _log(FAILS if fails else "", 1), Verdict(Outcome.PASS, "")
	monkeypatch.setattr(engine.Trials, "boot", boot)
	judgement = judged(_patch(10, FAILS), profiles=("uml-rt",), checks=("uml-rt",))
	check = judgement.patches[0].checks[0]
	finding = check.findings[0]
	assert (check.outcome.value, str(finding.after), str(finding.before)) == (outcome, *seen)
	assert finding.held == (outcome == "fail")
	assert ("suspected flake" in check.reason) == (outcome == "pass") and f"{seen[0]} boots with it, {seen[1]} without" in check.reason
	assert folders[:2] == ["after-1", "before-1"] and not any(boots[FAILS])


def test_virtual_time_that_does_not_repeat_is_judged_as_real_time(judged):
	"""FLAKY fails in every other boot: 1, 3, ... are those of the patch once the first has shown that it differs."""
	judgement = judged(_patch(10, FLAKY))
	check = judgement.patches[0].checks[-1]
	assert check.outcome is Outcome.PASS and "suspected flake" in check.reason


@pytest.mark.parametrize("bad, outcome", [(range(0, 99), "fail"), ([0], "pass")])
def test_other_orders_of_events(judged, monkeypatch, bad, outcome):
	"""Where a seed draws the order of events, boots that repeat would be one boot: each pair has a seed of its own."""
	seeds = []

	def boot(_trial, result, folder, _progress, _limit, seed, _suite):
		seeds.append((folder.name, seed))
		return _log(FAILS if FAILS in result.binary and seed in bad else "", 0), Verdict(Outcome.PASS, "")
	monkeypatch.setattr(engine.Trials, "boot", boot)
	monkeypatch.setattr(engine.qemu, "provided", lambda found, _root: found)
	check = judged(_patch(10, FAILS), profiles=("x86_64-smp",), checks=("x86_64-smp",)).patches[0].checks[0]
	assert check.outcome.value == outcome and len(seeds) == (12 if outcome == "fail" else 2)
	assert seeds == [(f"{side}-{number}", number) for number in range(1, len(seeds) // 2 + 1) for side in ("after", "before")]


def test_later_boots_that_fail_otherwise_count(judged, monkeypatch):
	"""What breaks something else each time is no flake."""
	boots = [0]

	def boot(_trial, result, _folder, _progress, _limit, _seed, _suite):
		boots[0] += FAILS in result.binary
		cases = [Case("s", name, None, Status.FAIL if FAILS in result.binary and boots[0] % 2 == number else Status.PASS, 1.0, 0.1, "why")
			 for number, name in enumerate(("waits", "fast"))]
		return LogResult(cases, [], [], [], True, Ending.FINISHED), Verdict(Outcome.PASS, "")
	monkeypatch.setattr(engine.Trials, "boot", boot)
	check = judged(_patch(10, FAILS), profiles=("uml-rt",), checks=("uml-rt",)).patches[0].checks[0]
	assert {finding.id: str(finding.after) for finding in check.held} == {"s.waits": "3/6", "s.fast": "3/6"}


def test_too_few_boots(judged):
	with pytest.raises(UsageError, match="--repeat=5 boots are too few"):
		judged(_patch(10, FAILS), repeat=5)


def test_what_is_not_built_is_not_built(judged):
	text = _patch(10, "x").replace("mm/migrate.c", "Documentation/mm/a.rst")
	head = text[:text.index("diff --git")]
	judgement = judged(f"{head}diff --git a/Documentation/mm/a.rst b/Documentation/mm/a.rst\nnew file mode 100644\n--- /dev/null\n"
			   "+++ b/Documentation/mm/a.rst\n@@ -0,0 +1 @@\n+x\n--\n2.39.5\n")
	assert judgement.exit_code == 0
	assert judgement.patches[0].checks[3].reason == "it changes no code"


def test_does_not_apply(judged):
	judgement = judged(_patch(10, "a", 1, 2), fakes.patch(20, "nowhere", "x").replace("[PATCH]", "[PATCH 2/2]"))
	assert (judgement.exit_code, _outcomes(judgement)) == (2, ["pass", "cannot-judge"])
	assert "hunk 1" in judgement.patches[1].reason
	assert {index for index, _ in judged.looks} == {0, 1}


def test_what_comes_after_a_patch_that_does_not_apply_is_not_tried(judged):
	judgement = judged(_patch(10, FAILS, 1, 3), fakes.patch(20, "nowhere", "x").replace("[PATCH]", "[PATCH 2/3]"), _patch(30, "c", 3, 3))
	assert (judgement.exit_code, _outcomes(judgement)) == (1, ["fail", "cannot-judge", "cannot-judge"])
	assert "not tried: patch 2 does not apply" in judgement.patches[2].reason


def test_lone_patch_is_not_blamed_for_what_is_missing_before_it(judged):
	judgement = judged(_patch(10, BROKEN, 2, 2))
	assert judgement.exit_code == 2 and "patch 1 of 2 is missing" in judgement.reason
	assert judged(_patch(10, "fine", 2, 2)).exit_code == 0
	assert _held(judged(_patch(10, "unsigned", 2, 2))) == [("static", "sign-off")]
	assert "patch 1 of 2 is missing" in judged(fakes.patch(20, "nowhere", "x").replace("[PATCH]", "[PATCH 2/2]")).reason


def test_patch_without_an_author(judged):
	judgement = judged(_patch(20, "a", 1, 2).replace("From: A Developer <dev@localhost>\n", ""), _patch(10, "b", 2, 2))
	assert (judgement.exit_code, _outcomes(judgement)) == (2, ["cannot-judge", "pass"])
	assert "its mail has no From:" in judgement.reason and judgement.patches[0].checks[-1].outcome is Outcome.PASS


def test_nearest_base(judged):
	judgement = judged(fakes.patch(35, "line 35", "x"))
	assert judgement.exit_code == 2 and "series none" in judgement.nearest


@pytest.mark.parametrize("error, code", [
	(OSError(28, "No space left on device"), 1), (CannotJudge("the machine is broken"), 1), (KeyError("mistake"), 1), (KeyboardInterrupt(), 130),
])
def test_what_was_found_stays_whatever_breaks_afterwards(judged, monkeypatch, error, code):
	look = states.Workshop.look

	def breaks(shop, index, wanted):
		if index == 2:
			raise error
		look(shop, index, wanted)
	monkeypatch.setattr(states.Workshop, "look", breaks)
	assert judged(_patch(10, FAILS, 1, 2), _patch(20, "b", 2, 2)).exit_code == code
	folders = judged.kernel.tree.parents[1] / "results"
	content = json.loads((folders / "latest/judgement.json").read_text())
	jsonschema.validate(content, json.loads(SCHEMA.read_text()))
	assert (content["verdict"]["outcome"], content["verdict"]["exit_code"], content["patches"][0]["outcome"]) == ("fail", code, "fail")
	assert content["problem"] and (folders / "latest/junit.xml").exists()


def test_logs_that_cannot_be_kept_change_no_verdict(judged, monkeypatch):
	def full(*_args):
		raise OSError(28, "No space left on device")
	monkeypatch.setattr(engine.shutil, "copyfile", lambda source, target: full() if "kernel.log" in str(source) else None)
	judgement = judged(_patch(10, FAILS))
	assert judgement.exit_code == 1 and judgement.patches[0].checks[-1].log == ""


def test_base_that_is_broken(judged, monkeypatch):
	(judged.kernel.tree.parents[2] / "series/rfc/7.3/0001-x.patch").write_text(fakes.patch(35, "line 35", BROKEN))
	judgement = judged(_patch(10, "a"))
	assert judgement.exit_code == 2 and "in profile uml, because the base does not build" in judgement.problem


def _base(judged, text):
	"""Have a text in the base."""
	(judged.kernel.tree.parents[2] / "series/rfc/7.3/0001-x.patch").write_text(fakes.patch(35, "line 35", text))


def test_case_that_the_base_did_not_come_to(judged):
	_base(judged, DIES)
	judgement = judged(fakes.patch(35, DIES, SLOW))
	assert judgement.exit_code == 2 and "s.fast: failed, but before the patch the kernel ended before reaching them" in judgement.reason
	assert judged(fakes.patch(35, DIES, "well")).exit_code == 0


@pytest.mark.parametrize("how", [PANICS, CUT])
def test_base_that_does_not_come_to_the_end_of_the_tests(judged, how):
	_base(judged, how)
	judgement = judged(_patch(10, "a", 1, 2), _patch(20, "b", 2, 2))
	assert judgement.exit_code == 2 and "the base does not reach the tests" in judgement.problem
	judgement = judged(_patch(10, "a", 1, 2), _patch(20, "b", 2, 2), only=2)
	assert judgement.exit_code == 2


def test_panic_at_boot_since_an_earlier_patch(judged):
	repair = fakes.patch(10, PANICS, SLOW).replace("[PATCH]", "[PATCH 3/3]")
	judgement = judged(_patch(10, PANICS, 1, 3), _patch(20, "b", 2, 3), repair)
	assert _outcomes(judgement) == ["fail", "cannot-judge", "fail"]
	assert "since an earlier patch the kernel does not reach the tests" in judgement.patches[1].reason
	assert ("uml", "case") in _held(judgement, 3)


def test_no_isolation_has_to_be_asked_for(judged, monkeypatch):
	monkeypatch.setattr(sandbox, "failure", lambda: "bwrap is not installed")
	judgement = judged(_patch(10, "a"))
	assert judgement.exit_code == 2 and "--no-isolation" in judgement.problem
	judgement = judged(_patch(10, "a"), isolation=False)
	assert judgement.exit_code == 0 and judgement.isolation == ""


def test_shards_do_their_share(judged):
	texts = (_patch(10, "a", 1, 2), _patch(20, FAILS, 2, 2))
	whole = judged(*texts)
	made = [{(check.name, patch.number) for patch in judged(*texts, shard=Shard(index, 3)).patches for check in patch.checks}
		for index in (1, 2, 3)]
	assert sorted(unit for part in made for unit in part) == sorted(
		(check.name, patch.number) for patch in whole.patches for check in patch.checks)


def test_only_some_checks_of_one_patch(judged):
	judgement = judged(_patch(10, "a", 1, 2), _patch(20, FAILS, 2, 2), checks=("uml",), only=2)
	assert [[check.name for check in patch.checks] for patch in judgement.patches] == [[], ["uml"]]
	assert "--checks=uml --only=2" in judgement.patches[1].checks[0].command


@pytest.mark.parametrize("more, why", [
	({"checks": ("magic",)}, "unknown check 'magic'"), ({"only": 2}, "there is no patch 2"), ({"range": "a..b"}, "give patches, or a range"),
	({"profiles": ("magic",)}, "unknown profile"),
])
def test_wrong_use(judged, more, why):
	with pytest.raises(UsageError, match=why):
		judged(_patch(10, "a"), **more)


def test_nothing_to_judge(judged):
	with pytest.raises(UsageError, match="there is nothing to judge"):
		judged(asked=Asked())


def test_no_patch_in_the_input(judged):
	judgement = judged("Subject: hello\n\nno diff\n")
	assert judgement.exit_code == 2 and "there is no patch in it" in judgement.reason


def test_machine_at_fault(judged, monkeypatch):
	def look(*_args):
		raise CannotJudge("disk full")
	monkeypatch.setattr(states.Workshop, "look", look)
	judgement = judged(_patch(10, "a"))
	assert (judgement.exit_code, judgement.problem) == (2, "disk full")


def test_what_failed_stays_so_whatever_breaks_afterwards(judged, monkeypatch):
	look = states.Workshop.look

	def breaks(shop, index, wanted):
		if index == 2:
			raise CannotJudge("disk full")
		look(shop, index, wanted)
	monkeypatch.setattr(states.Workshop, "look", breaks)
	judgement = judged(_patch(10, FAILS, 1, 2), _patch(20, "b", 2, 2))
	assert (judgement.exit_code, _outcomes(judgement), judgement.problem) == (1, ["fail", "pass"], "disk full")
	assert judgement.reason.startswith("patch 1 of 2 fails") and judgement.reason.endswith("then the gate ended early: disk full")
	judgement = judged(_patch(10, "a", 1, 2), _patch(20, "unsigned", 2, 2))
	assert (judgement.exit_code, _held(judgement, 2)) == (1, [("static", "sign-off")])


@pytest.mark.parametrize("line, word, outcome", [(10, "a", "pass"), (20, "a", "not-seen"), (25, "a", "not-seen"), (20, FAILS, "fail")])
def test_what_is_not_executed_is_not_seen(judged, line, word, outcome):
	judgement = judged(_patch(line, word))
	assert (judgement.outcome.value, judgement.exit_code) == (outcome, int(outcome == "fail"))
	if outcome == "not-seen":
		assert judgement.reason.startswith("the patch is not seen (") and "mm/migrate.c:" in judgement.reason


def test_the_worst_patch_decides(judged):
	unseen = _patch(20, "b", 2, 2)
	assert judged(_patch(10, "a", 1, 2), unseen).outcome is Outcome.NOT_SEEN
	assert judged(_patch(10, FAILS, 1, 2), unseen).outcome is Outcome.FAIL


built = []


class _Trial(Trials):
	"""One of which nothing is built."""
	obj = None

	def __init__(self, place):
		self.place = self.obj = place
		self.request = self.root = None

	def folder(self, _state):
		return self.place / "state"


@pytest.fixture(name="shop")
def _shop(tmp_path, monkeypatch):
	"""A workshop of one state whose compiler says what it is told to, and what was compiled."""
	said, compiled = {}, []
	built.clear()

	def compile_anew(_tree, _obj, sources, _request, _root, _log, sparse):
		compiled.append(sorted(sources))
		return sparse, "".join(f"  CHECK   {name}\n" * (name not in said.get("unseen", ())) + said.get(name, "") for name in sources)
	for name in ("mm/a.c", "mm/b.c"):
		fakes.write(tmp_path / "tree", {name: ""})
	monkeypatch.setattr(lint, "compile_anew", compile_anew)
	monkeypatch.setattr(states.build, "build", lambda _kernel, state, *_args: built.append(state))
	trial = _Trial(tmp_path)
	shop = states.Workshop(SimpleNamespace(tree=tmp_path / "tree"), ["x"], [()], {"uml": trial}, "uml", tmp_path, None)
	monkeypatch.setattr(states.Workshop, "compiled", lambda _shop, files: list(files))
	return shop, said, compiled


def test_messages_that_were_noted_stay_when_more_files_are_looked_at(shop):
	shop, said, compiled = shop
	said["mm/a.c"] = "mm/a.c:1:1: warning: old\ninclude/x.h:1:1: warning: h\n"
	said["mm/b.c"] = "mm/b.c:1:1: warning: other\ninclude/x.h:1:1: warning: h\n"
	shop.touched = [("mm/a.c",), ()]
	shop.attempt(0, states.WARNINGS, None)
	shop.touched = [("mm/a.c", "mm/b.c"), ()]
	assert not shop._known(0, states.WARNINGS)
	lines = shop.attempt(0, states.WARNINGS, None).lines
	assert compiled == [["mm/a.c"], ["mm/b.c"]] and shop._known(0, states.WARNINGS)
	assert lines == {"mm/a.c": ["mm/a.c:1:1: warning: old"], "mm/b.c": ["mm/b.c:1:1: warning: other"],
			 "include/x.h": ["include/x.h:1:1: warning: h"]}


def test_what_sparse_did_not_see_is_said_and_tried_again(shop):
	shop, said, _ = shop
	said["unseen"] = ("mm/a.c",)
	shop.touched = [("mm/a.c",), ()]
	assert shop.attempt(0, states.WARNINGS, None).problem == "sparse did not check mm/a.c"
	assert not shop._known(0, states.WARNINGS)


def test_file_that_comes_to_be_compiled_is_looked_at(shop, monkeypatch):
	"""What was built before says nothing of it: what it is, the build of the state itself shows."""
	shop, said, compiled = shop
	said["mm/a.c"] = "mm/a.c:1:1: warning: new\n"
	shop.touched = [("mm/a.c", "mm/Makefile"), ()]
	monkeypatch.setattr(states.Workshop, "compiled", lambda _shop, files: [name for name in files if built and name.endswith(".c")])
	assert not shop._known(0, states.WARNINGS)
	answer = shop.attempt(0, states.WARNINGS, None)
	assert answer.sources == {"mm/a.c": ["mm/a.c"], "mm/Makefile": []} and answer.lines == {"mm/a.c": ["mm/a.c:1:1: warning: new"]}
	assert compiled == [["mm/a.c"]] and shop._known(0, states.WARNINGS)


def test_machine_that_fails_with_warnings(shop, monkeypatch):
	shop, _, _ = shop
	monkeypatch.setattr(lint, "compile_anew", lambda *_args, sparse: (False, "gcc: fatal error: Killed signal terminated program cc1\n"))
	shop.touched = [("mm/a.c",), ()]
	with pytest.raises(CannotJudge, match="could not be tried on this machine: gcc: fatal error"):
		shop.attempt(0, states.WARNINGS, None)
	assert not shop._known(0, states.WARNINGS)


@pytest.mark.parametrize("anew, kept, objects, wanted, needed", [
	(True, True, True, ["uml"], False), (True, True, True, ["uml", "warnings"], True), (True, True, False, ["uml"], True),
	(True, False, True, ["uml"], True), (False, False, True, ["uml"], True),
])
def test_only_what_is_built_needs_the_worktree(shop, monkeypatch, anew, kept, objects, wanted, needed):
	shop, _, _ = shop
	shop.touched = [("mm/a.c",), ()]
	trial, checked_out = shop.trials["uml"], []
	trial.anew, trial.known = anew, lambda _state: "a result" if kept else None
	trial.obj = trial.obj if objects else trial.obj / "away"
	monkeypatch.setattr(states.Workshop, "check_out", lambda _shop, index: checked_out.append(index))
	monkeypatch.setattr(states.Workshop, "attempt", lambda _shop, _index, what, _progress: states.Answer(what))
	shop.look(0, wanted)
	assert bool(checked_out) == needed


def test_lanes():
	shop = states.Workshop.__new__(states.Workshop)
	shop.main = "uml"
	assert shop._lanes(["coverage", "uml-stubs", "warnings", "uml"]) == [["uml", "coverage", "warnings"], ["uml-stubs"]]
	assert shop._lanes(["uml"]) == [["uml"]]
	lanes = shop._lanes(["uml", "uml-debug", "uml-smp", "uml-kasan", "uml-stubs"])
	assert sorted(sum(lanes, [])) == ["uml", "uml-debug", "uml-kasan", "uml-smp", "uml-stubs"] and len(lanes[0]) >= 2
	shop.main = "x86_64"	# the counters are in objects of uml
	assert shop._lanes(["coverage", "x86_64", "uml", "warnings"]) == [["x86_64", "warnings"], ["uml", "coverage"]]


def _again(judged, judgement):
	"""Judge what the command of a judgement names; return that judgement and the options."""
	program, *words = shlex.split(judgement.command)
	assert program == str(PROJECT / "tools/testing/kunit/pinwait.py")
	given = cli.parser().parse_args(words)
	again = judged(asked=Asked(tuple(given.sources), given.range, given.base), kdir=given.kdir or "")
	assert [patch.sha256 for patch in again.patches] == [patch.sha256 for patch in judgement.patches]
	assert _outcomes(again) == _outcomes(judgement) and again.command == judgement.command
	return given


def test_command_reads_what_passes_from_the_copy(judged, monkeypatch):
	mails = _patch(10, "a", 1, 2) + _patch(20, FAILS, 2, 2)
	monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(mails.encode())))
	for judgement in (judged(asked=Asked(("-",))), judged(mails)):	# the second is a file below /tmp
		kept, = _again(judged, judgement).sources
		assert kept.endswith("-gate/patches") or "-gate-" in kept
		assert all(shlex.split(check.command)[-1] == kept for check in judgement.patches[0].checks)


def test_command_names_a_file_that_stays_by_where_it_is(judged, tmp_path, monkeypatch):
	monkeypatch.setattr(engine, "TEMPORARY", ())
	monkeypatch.setattr(engine.tempfile, "tempdir", "/var/tmp")
	(tmp_path / "x.patch").write_text(_patch(10, "a"))
	monkeypatch.chdir(tmp_path)
	assert _again(judged, judged(asked=Asked(("x.patch",)))).sources == [str(tmp_path / "x.patch")]


def test_command_names_commits_whatever_branches_move_to(judged, tmp_path):
	tree = fakes.user_tree(tmp_path / "tree")
	base = fakes.git(tree, "rev-parse", "HEAD")
	(tree / "mm/migrate.c").write_text(fakes.MIGRATE.replace("line 10\n", "a\n"))
	uncommitted = judged(asked=Asked(), kdir=tree)
	fakes.git(tree, "commit", "-q", "-a", "-s", "-m", "one")
	commits = judged(asked=Asked(range="HEAD~1..HEAD"), kdir=tree)
	mail = judged(_patch(20, "b"), kdir=tree)
	fakes.git(tree, "commit", "-q", "--allow-empty", "-m", "more")
	(tree / "mm/migrate.c").write_text(fakes.MIGRATE.replace("line 20\n", "other\n"))
	fakes.git(tree, "commit", "-q", "-a", "-m", "later")
	assert _again(judged, commits).range == f"{base[:12]}..{fakes.git(tree, 'rev-parse', 'HEAD~2')[:12]}"
	given = _again(judged, uncommitted)
	assert given.base == base[:12] and given.sources[0].endswith("/patches") and not given.staged
	assert _again(judged, mail).base == fakes.git(tree, "rev-parse", "HEAD~2")[:12]


def test_nobody_is_sent_to_the_base_that_it_does_not_apply_to(judged, monkeypatch):
	monkeypatch.setattr(engine.ground, "nearest", lambda base, *_more: f"{base.base} (--series=rfc)")
	judgement = judged(_patch(35, "c"))
	assert judgement.nearest == "" and "no base to which it applies is known" in judgement.reason


def test_reason_is_what_the_assertion_says(judged):
	judgement = judged(_patch(10, FAILS))
	assert "uml: case: s.waits" in judgement.reason and judgement.reason.endswith(": why")


@pytest.mark.parametrize("series, promised", [("", ["rfc", "rfc", "rfc"]), ("none", ["none", "none", "rfc"])])
def test_promises_are_those_of_the_series_that_base_or_patches_bring(judged, series, promised):
	second = _patch(35, "series 35", 2, 2) if series else _patch(20, "good", 2, 2)
	judged(_patch(10, "good", 1, 2), second, series=series)
	assert [judged.promised[index] for index in range(3)] == promised


@pytest.fixture(name="traced")
def _traced(judged, monkeypatch):
	"""Return a function that makes x86_64 answer as given: what it executes, why nothing can be told, why it does not build."""
	monkeypatch.setattr(choice, "missing", lambda: "")
	monkeypatch.setattr(choice, "has_object", lambda _obj, _name: True)
	usual = states.Workshop.look
	answers = {"counts": {"mm/migrate.c": {10: 1, 20: 1, 30: 1}}, "problem": "", "error": ""}

	def look(shop, index, wanted):
		usual(shop, index, wanted)
		for what in wanted:
			answer = shop.answers[index, what]
			if what == "traced":
				answer.counts, answer.problem = (None, answers["problem"]) if answers["problem"] else (answers["counts"], "")
			elif what == "x86_64" and index == 0:
				answer.result.error = answers["error"]
	monkeypatch.setattr(states.Workshop, "look", look)
	return lambda **more: answers.update(more)


def _checks(judgement, number=1):
	return [check.name for check in judgement.patches[number - 1].checks]


def test_what_uml_executes_is_not_booted_elsewhere(judged, traced):
	traced()
	judgement = judged(_patch(10, "better 10"))
	assert "x86_64" not in _checks(judgement) and "x86_64" in judgement.checks and judgement.profiles == ["uml"]
	assert judgement.patches[0].omitted["x86_64"].startswith("it executes code of every hunk")
	assert judgement.choice[-1].startswith("patch 1: uml alone: ") and not any("x86_64" in wanted for _, wanted in judged.looks)


def test_what_uml_does_not_execute_is_booted_elsewhere(judged, traced):
	traced()
	judgement = judged(_patch(10, "a", 1, 2), _patch(20, "b", 2, 2))
	assert _outcomes(judgement) == ["pass", "pass"] and judgement.profiles == ["uml", "x86_64"]
	assert ("x86_64" in _checks(judgement, 1), "x86_64" in _checks(judgement, 2)) == (False, True)
	assert judgement.choice[-1] == "patch 2: also x86_64: uml does not execute mm/migrate.c:20"
	assert judgement.patches[1].covered == [Covered("mm/migrate.c", executed=[20], removed=[20], elsewhere=[20])]
	reason = next(check.reason for check in judgement.patches[1].checks if check.name == "coverage")
	assert "are executed, 1 of them only in x86_64, 1 of those that it removes were, 1 of them only in x86_64" in reason
	assert all("--profiles" not in check.command for check in judgement.patches[1].checks)


def test_fails_only_elsewhere(judged, traced, monkeypatch):
	traced()
	usual = states.Workshop.look

	def look(shop, index, wanted):
		usual(shop, index, wanted)
		if "x86_64" in wanted and index:
			shop.answers[index, "x86_64"].result.log = _log(FAILS, 0)
	monkeypatch.setattr(states.Workshop, "look", look)
	monkeypatch.setattr(engine.Trials, "boot", lambda trial, _result, folder, *_more: (
		_log(FAILS if "x86_64" in str(folder) and "after" in folder.name else "", 0), Verdict(Outcome.PASS, "")))
	judgement = judged(_patch(20, "b"))
	assert _held(judgement) == [("x86_64", "case")] and judgement.exit_code == 1


def test_what_fails_in_uml_is_not_booted_elsewhere(judged, traced):
	traced()
	judgement = judged(_patch(20, FAILS))
	assert _held(judgement) == [("uml", "case")] and judgement.profiles == ["uml"]
	assert judgement.patches[0].omitted["x86_64"] == "uml shows already that the patch fails"


def test_executed_nowhere(judged, traced):
	traced(counts={"mm/migrate.c": {20: 0}})
	judgement = judged(_patch(20, "b"))
	assert _outcomes(judgement) == ["not-seen"]
	assert judgement.patches[0].reason == ("coverage: none of the code that it changes is executed in uml or x86_64: "
					       "no case reaches mm/migrate.c:20")


def test_execution_that_cannot_be_told_is_not_seen(judged, traced):
	traced(problem="QEMU is silent")
	judgement = judged(_patch(20, "b"))
	assert _outcomes(judgement) == ["not-seen"] and judgement.patches[0].covered == [Covered("mm/migrate.c", unmeasured=[20])]
	assert "mm/migrate.c:20 is compiled, its execution was not measured; what x86_64 executes is not known: QEMU is silent" in judgement.reason


@pytest.mark.parametrize("lacks, error, said", [
	("there is no QEMU", "", "there is no QEMU"), ("", "no compiler", "the base does not build: no compiler"),
])
def test_machine_that_cannot_boot_elsewhere_blames_nobody(judged, traced, monkeypatch, lacks, error, said):
	traced(error=error)
	monkeypatch.setattr(choice, "missing", lambda: lacks)
	judgement = judged(_patch(10, "a", 1, 2), _patch(20, "b", 2, 2))
	assert _outcomes(judgement) == ["pass", "not-seen"] and judgement.profiles == ["uml"]
	assert f"x86_64, which may execute it, was not booted: {said}" in judgement.reason
	assert f"patch 2: x86_64: {said}; it is wanted because uml does not execute mm/migrate.c:20" in judgement.not_checked
	assert f"patch 2: uml alone, without x86_64: {said}" in judgement.choice


def test_given_profiles_are_taken_exactly(judged, traced):
	traced()
	alone = judged(_patch(20, "b"), profiles=("uml",))
	assert _outcomes(alone) == ["not-seen"] and "x86_64" not in alone.checks and not any("profile" in line for line in alone.choice)
	both = judged(_patch(10, "b"), profiles=("uml", "x86_64"))
	assert "x86_64" in _checks(both) and "x86_64" not in both.patches[0].omitted and "--profiles=uml,x86_64" in both.command


def test_checks_that_need_no_choice_make_none(judged, traced):
	traced()
	judgement = judged(_patch(20, "b"), checks=("static", "warnings"))
	assert _checks(judgement) == ["static", "warnings"] and not any("x86_64" in line for line in judgement.choice)


def test_one_check_of_a_patch_is_picked_as_in_the_whole(judged, traced):
	traced()
	judgement = judged(_patch(20, "b"), checks=("x86_64",))
	assert _checks(judgement) == ["x86_64"] and _outcomes(judgement) == ["pass"]
	judgement = judged(_patch(10, "b"), checks=("x86_64",))
	assert not _checks(judgement) and _outcomes(judgement) == ["pass"] and "none was needed" in judgement.reason


@pytest.fixture(name="wide")
def _wide(judged, monkeypatch):
	"""Let what is changed depend on the width of a long and on the MMU; return a function that says what other configurations print."""
	said = {}
	usual = states.Workshop.look

	def look(shop, index, wanted):
		usual(shop, index, wanted)
		if "configs" in wanted:
			answer = shop.answers[index, "configs"]
			answer.objects = {"i386-objects": ["mm/migrate.c"], "x86_64-objects": []}
			answer.lines = {"i386-objects": said.get(index, []), "x86_64-objects": []}
	monkeypatch.setattr(states.Workshop, "look", look)
	monkeypatch.setattr(states.Workshop, "depends_on", lambda _shop, _index: ({"MMU"}, True))
	return said.update


def test_other_configurations(judged, wide):
	wide({0: ["mm/migrate.c:5:1: warning: old"], 1: ["mm/migrate.c:6:1: warning: old"]})
	judgement = judged(_patch(10, "a"))
	assert _outcomes(judgement) == ["pass"] and _checks(judgement)[3] == "configs"
	assert judgement.patches[0].checks[3].reason == "no new message about mm/migrate.c in i386-objects"
	wide({1: ["mm/migrate.c:6:1: error: a long is too short"]})
	judgement = judged(_patch(10, "a"))
	assert _held(judgement) == [("configs", "warning")] and judgement.exit_code == 1
	assert "i386-objects: mm/migrate.c: error: a long is too short" in [finding.id for finding in judgement.patches[0].checks[3].held]


@pytest.mark.parametrize("lacks", ["", "program riscv64-linux-gnu-gcc is not there"])
def test_without_an_mmu(judged, wide, monkeypatch, lacks):
	"""What depends on the MMU is compiled without one, too, or the report says why not."""
	wide({})
	made, usual = [], states.Workshop.look
	monkeypatch.setattr(choice, "lacks_cross", lambda: lacks)
	monkeypatch.setattr(states.Workshop, "look", lambda shop, *args: made.append("nommu-objects" in shop.configs) or usual(shop, *args))
	judgement = judged(_patch(10, "a"))
	assert made and all(there == (not lacks) for there in made)
	assert any(f"nommu-objects: {lacks}; it is wanted because" in line for line in judgement.not_checked) == bool(lacks)


def test_other_configurations_are_not_built_for_nothing(judged):
	judgement = judged(_patch(10, "a"))
	assert "configs" not in _checks(judgement) and judgement.patches[0].omitted["configs"].startswith("nothing that it changes depends")
