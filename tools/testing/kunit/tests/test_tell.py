# SPDX-License-Identifier: GPL-2.0
"""A judgement on the terminal, as JUnit XML and as KTAP."""

import io

import pytest
from junitparser import Error, Failure, JUnitXml

import judgements
import logs
from judgements import COMMAND, check, found, judgement, patch
from logs import PARSER
from pinwait.log import ktap as reader
from pinwait.report import words
from pinwait.log.results import Outcome
from pinwait.report.adapters import b4_prep, patchwork
from pinwait.report.html import html
from pinwait.report.judgement import Change
from pinwait.report.junit import junit
from pinwait.report.ktap import ktap
from pinwait.report.reply import reply
from pinwait.report.terminal import NAMES, TEXT_LINES, TEXTS, print_judgement


class _Terminal(io.StringIO):
	def isatty(self):
		return True


def _printed(what, stream=None):
	stream = stream or io.StringIO()
	print_judgement(what, stream)
	return stream.getvalue()


def _read(text):
	"""Read KTAP with the kernel's own parser."""
	parser = reader._load_parser(PARSER)
	output = io.StringIO()
	return parser.parse_run_tests(text.splitlines(), parser.Printer(output=output)), parser.TestStatus, output.getvalue()


def _junit(what):
	return list(JUnitXml.fromstring(junit(what)))


def test_last_line_is_the_verdict_and_names_the_first_failed_patch():
	last = _printed(judgements.failing_case()).splitlines()[-1]
	assert last.startswith("fail: patch 2 of 3 fails ([PATCH 2/3] mm/migrate: fail at once): uml: 1 case fails")
	assert _printed(judgements.good()).splitlines()[-1] == "pass: 1 patch, no regression found by static, warnings, stubs, uml (638 cases), 62.0 s"
	assert _printed(judgements.no_input()).splitlines()[-1] == "cannot judge: series.mbox: there is no patch in it"


def test_failure_has_place_times_text_and_command():
	text = _printed(judgements.failing_case())
	assert f"    uml: case {judgements.WAITS} (in 5/5 boots, before the patch in 0/5)\n" in text
	assert "\n        # transient_reference: EXPECTATION FAILED at mm/tests/" in text
	assert "\n        reproduce: tools/testing/kunit/pinwait.py gate " in text and f"reproduce all of it: {COMMAND}\n" in text
	assert "not executed: mm/migrate.c:1613-1615\n" in text


def test_series_that_repairs_itself_says_so():
	text = _printed(judgements.broken_build())
	assert "patch 2 repairs this; each patch has to pass by itself" in text
	assert "uml: error mm/migrate.c:1204, as in warnings\n" in text and text.count("1204 |") == 1


def test_base_and_gaps_are_told():
	text = _printed(judgements.good())
	assert text.startswith("base: linux-source-7.3 7.3.4-1 and the series rfc, commit abababababab\n"
			       "    the patches name no base-commit\n")
	assert "fixed: 1\n" in text and "there before (informational): 1\n" in text
	assert "not checked: sparse: not installed\n" in text and "isolation" not in text
	assert "nearest base to which it applies: v7.2-rc3" in _printed(judgements.cannot_judge())
	assert "not checked: isolation: the patches' code ran with the caller's rights\n" in _printed(judgements.hostile())


def test_isolation_is_told_only_of_what_ran():
	style, lost = patch(1, "mm: x"), patch(1, "mm: x", check("apply", Outcome.CANNOT_JUDGE, "does not apply"))
	style.checks = [check("static", Outcome.FAIL, "no sign-off")]
	for tell in (_printed, reply, html):
		for what in (judgement(style, isolation=""), judgement(lost, isolation=""), judgement(isolation="", problem="no patch")):
			assert "the patches' code ran with" not in tell(what).replace("&#39;", "'")
		assert "the patches' code ran with" in tell(judgement(patch(1, "mm: x"), isolation="")).replace("&#39;", "'")


def test_equal_failures_are_one_text_in_junit_and_ktap():
	cases = [found("case", f"a.b{number}", _assertion("mm/x.c:7", number, "", "it went away")) for number in range(81)]
	what = judgement(patch(1, "mm: x", check("uml", Outcome.FAIL, "bad", *cases)))
	for text in (junit(what), ktap(what)):
		assert text.count("it went away") == 1 and "case a.b0 and 80 other cases" in text and "the same in a.b80" in text


def test_base_is_named_once():
	what = judgements.cannot_judge()
	what.patches[1].checks[0].reason += f"; it does apply to {what.nearest}"
	for tell in (_printed, reply):
		assert " ".join(tell(what).split()).count(what.nearest) == (2 if tell is _printed else 1)


def test_check_that_was_not_made_is_seen_everywhere():
	less = patch(1, "mm: x")
	del less.checks[2]
	what = judgement(less)
	assert "stubs: was not made" in _printed(what)
	assert [case.name for case in _junit(what)[0] if case.result] == ["stubs"]
	assert "not ok 4 stubs # ERROR was not made" in ktap(what)


def test_long_text_and_long_lists_are_cut():
	text = "\n".join(f"row {number}" for number in range(100))
	old = [found("warning", f"mm/x.c:{number}", "old", Change.PRE_EXISTING) for number in range(30)]
	shown = _printed(judgement(patch(1, "mm: x", check("uml", Outcome.FAIL, "bad", found("case", "a.b", text), *old))))
	assert f"row {TEXT_LINES - 1}\n" in shown and f"row {TEXT_LINES}\n" not in shown
	assert f"... {100 - TEXT_LINES} more lines" in shown and "... 20 more in judgement.html" in shown


def test_terminal_is_not_driven_by_a_patch(monkeypatch):
	assert "\033" not in _printed(judgements.hostile()) and "\u202e" not in _printed(judgements.hostile())
	assert "\\x1b[31mred" in _printed(judgements.hostile())
	monkeypatch.delenv("NO_COLOR", raising=False)
	assert "\033[1;32mpass" in _printed(judgements.good(), _Terminal())
	monkeypatch.setenv("NO_COLOR", "1")
	assert "\033" not in _printed(judgements.good(), _Terminal())


def test_junit():
	suites = _junit(judgements.failing_case())
	assert [(suite.name.split()[0], suite.tests, suite.failures) for suite in suites] == [
		("1", 4, 0), ("2", 4, 1), ("3", 4, 0), ("pinwait", 1, 1)]
	failing = next(case for case in suites[1] if case.result)
	assert (failing.name, failing.time, type(failing.result[0])) == ("uml", 8.25, Failure)
	assert "EXPECTATION FAILED" in failing.result[0].text and "logs: patch-1/uml" in failing.result[0].text
	assert "patch 2 repairs this" in junit(judgements.broken_build())


def test_junit_of_what_cannot_be_judged():
	patches, whole = _junit(judgements.cannot_judge())[1:]
	assert isinstance(list(patches)[0].result[0], Error) and isinstance(list(whole)[0].result[0], Error)
	assert [suite.errors for suite in _junit(judgements.no_input())] == [1]


@pytest.mark.parametrize("name", judgements.ALL)
def test_junit_can_be_read(name):
	assert _junit(judgements.ALL[name]())[-1].name == "pinwait"


@pytest.mark.parametrize("name", judgements.ALL)
def test_ktap_is_what_the_kernels_parser_expects(name):
	what = judgements.ALL[name]()
	tree, status, output = _read(ktap(what))
	assert "[ERROR]" not in output and tree.counts.errors == 0
	assert len(tree.subtests) == max(1, len(what.tried))
	assert (tree.status is status.SUCCESS) == (what.outcome is Outcome.PASS)
	for one, test in zip(what.tried, tree.subtests):
		assert [leaf.status is status.SUCCESS for leaf in test.subtests] == [
			made.outcome is Outcome.PASS for made in one.checks]


def test_ktap_of_a_failure():
	tree, status, _ = _read(ktap(judgements.failing_case()))
	leaf = tree.subtests[1].subtests[3]
	assert (leaf.name, leaf.status) == ("uml", status.FAILURE)
	assert any("EXPECTATION FAILED" in row for row in leaf.log)
	assert "not ok 1 apply # ERROR does not apply: mm/migrate.c:1204\n" in ktap(judgements.cannot_judge())


def test_line_numbers_as_people_write_them():
	assert words.ranges([9, 3, 4, 5, 5]) == "3-5, 9" and words.ranges([]) == ""


def test_what_is_said_in_one_line():
	assert words.gist(found("case", "a.b", "\n  it broke\nmore")) == "a.b: it broke"
	assert words.gist(found("error", "x.c:1", "x.c:1:2: error: y")) == "x.c:1:2: error: y"
	assert words.gist(found("missing", "", "")) == "missing"


def _assertion(place, value, *message):
	return "\n".join([f"# x: EXPECTATION FAILED at {place}", "    Expected ret == 0, but", f"        ret == {value}", *message])


def test_why_is_what_the_assertion_says():
	def why(kind, text):
		return words.why(found(kind, "a.b", text))
	assert words.gist(found("case", judgements.WAITS, judgements.CASE_TEXT)) == (
		f"{judgements.WAITS}: Expected folio_migration_run(m) == 0, but folio_migration_run(m) == 1 (0x1): "
		"shmem: the reference was dropped after 40 ms, but migration failed after 0 ms")
	assert why("case", _assertion("mm/x.c:7", 3)) == "Expected ret == 0, but ret == 3"
	assert why("case", _assertion("mm/x.c:7", 3, "", "it went away", "more")) == "Expected ret == 0, but ret == 3: it went away"
	assert why("case", _assertion("mm/x.c:7", 3, "    not ok 1 x")) == "Expected ret == 0, but ret == 3"
	assert why("case", "# x: ASSERTION FAILED at mm/x.c:7\nno memory") == "no memory"
	assert why("case", "    # x: EXPECTATION FAILED at mm/x.c:7\n    Expected f(x) to be true, but is false") == (
		"Expected f(x) to be true, but is false")
	assert why("weakened", f"With the tests as they were:\n{_assertion('mm/x.c:7', 3)}") == (
		"With the tests as they were: Expected ret == 0, but ret == 3")
	assert why("splat", f"------------[ cut here ]------------\n{judgements.SPLAT_TEXT}").startswith("WARNING: CPU: 0 PID: 311 at mm/")
	assert why("error", f"the kernel does not build:\n  CC mm/migrate.o\n{judgements.ERROR_TEXT}").startswith("mm/migrate.c:1204:9: error: ")


def test_captured_failure_is_told_in_its_own_words():
	case, = logs.read(logs.lines_of("fail")).cases
	assert words.gist(found("case", case.id, case.text)) == "splat.fails: Expected 1 + 1 == 3, but 1 + 1 == 2 (0x2): kind 7"
	assert words.place(found("case", case.id, case.text)) == "lib/kunit/splat-test.c:19"


def test_equal_failures_are_told_together():
	cases = [found("case", f"a.b[{name}]", _assertion("mm/x.c:7", value, "", "it went away"))
		 for value, name in enumerate(("x", "y", "z"), 1)]
	others = [found("case", "a.c", _assertion("mm/x.c:7", 9, "", "it came back")), found("case", "a.d", _assertion("mm/x.c:8", 9, "", "it went away"))]
	what = judgement(patch(1, "mm: x", check("uml", Outcome.FAIL, "bad", *cases, *others)))
	assert [group.title for group in words.grouped(words.held(what))] == ["case a.b[x] and 2 other parameters", "case a.c", "case a.d"]
	shown = _printed(what)
	assert "uml: case a.b[x] and 2 other parameters\n" in shown and shown.count("it went away") == 2


def test_one_line_that_fails_in_81_cases_is_told_once():
	cases = [found("case", f"a.b{number}", _assertion("mm/x.c:7", number, "", f"after {number} ms")) for number in range(81)]
	what = judgement(patch(1, "mm: x", check("uml", Outcome.FAIL, "bad", *cases)))
	assert _printed(what).count("Expected ret") == reply(what).count("Expected ret") == 1
	assert "case a.b0 and 80 other cases" in _printed(what) and "a.b0 and 80 other cases" in reply(what)
	assert b4_prep(what).count("ERROR:") == 1 and html(what).count("<article>") == 1 and "and 80 other cases" in html(what)
	assert patchwork(what.patches[0])["description"] == "a.b0: Expected ret == 0, but ret == 0: after 0 ms (and 80 more)"


def test_what_a_patch_broke_was_not_there_before_the_patches():
	def uml(change):
		return check("uml", Outcome.FAIL if change is Change.NEW else Outcome.PASS, "x", found("case", "a.b", "it broke", change),
			     found("case", "a.old", "it was bad", Change.PRE_EXISTING))
	what = judgement(*(patch(number, f"mm: {number}", uml(change)) for number, change in enumerate(
		(Change.PRE_EXISTING, Change.FIXED, Change.NEW, Change.PRE_EXISTING, Change.FIXED, Change.NEW, Change.PRE_EXISTING), 1)))
	assert words.lasting(list(words.findings(what))) == ["patch 4, uml: 1 finding since patch 3", "patch 7, uml: 1 finding since patch 6"]
	del what.patches[0]
	for tell in (_printed, reply, html):
		assert "patch 4, uml: 1 finding since patch 3" in tell(what)
	assert "there before (informational): 1\n    a.old: it was bad\n" in _printed(what)
	assert "Also there before the patches:\n- a.old: it was bad\n\n" in reply(what)
	assert "There before the patches (1)" in html(what)


def test_very_many_failures_leave_the_verdict_in_sight():
	rows = _printed(judgement(patch(1, "mm: x", check("uml", Outcome.FAIL, "bad", *judgements.failures(200))))).splitlines()
	assert len(rows) < 60 and f"    ... {200 - TEXTS - NAMES} more in judgement.html" in rows
