# SPDX-License-Identifier: GPL-2.0
"""summary.json, junit.xml and the report on the terminal."""

import io
import json
import sys

import pytest
from jsonschema import Draft202012Validator, ValidationError
from junitparser import JUnitXml

from logs import inserted, judge, lines_of
from pinwait.report import summary
from pinwait.util import files
from pinwait.log.results import PatchId, RunInfo
from pinwait.util.errors import CannotJudge

SCHEMA = summary.SCHEMA
TWO = ("calm.ok_first", "calm.ok_only", "splat.ok_first", "splat.ok_last")
PARAMS = tuple(f"splat.params[order {order}]" for order in (0, 2, 4))


@pytest.fixture(name="info")
def _info():
	return RunInfo(kernel_version="7.3.4", base_commit="ab" * 20, base="linux-source-7.3 7.3.4-1", dirty=False,
		       series="rfc", patches=[PatchId("0001-x.patch", "12" * 20)], profile="uml", filter="",
		       command="pinwait.py run", started="2026-11-23T19:00:00+00:00", compiler="gcc 12.2.0",
		       seconds={"fetch": 1.0, "prepare": 2.5, "configure": 3.0, "build": 100.0, "boot": 0.4})


def _validate(content):
	schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
	Draft202012Validator.check_schema(schema)
	Draft202012Validator(schema).validate(content)


@pytest.mark.parametrize("name, entries, timed_out", [
	("two-suites", TWO, False), ("params-fail", PARAMS, False), ("panic", ("splat.panics",), False),
	("hang", ("splat.hangs",), True), ("kasan", ("splat.uaf",), False), ("bad-filter", TWO, False),
	("no-tests", TWO, False), ("skip", ("splat.skips skip:uml",), False),
])
def test_summary_fits_the_schema(tmp_path, info, name, entries, timed_out):
	answer, log = judge(tmp_path, lines_of(name), *entries, timed_out=timed_out)
	files.write_whole(tmp_path / "summary.json", summary.summary_text(summary.summary(info, log, answer)))
	content = json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))
	_validate(content)
	assert content["verdict"]["exit_code"] == answer.exit_code
	assert content["counts"]["total"] == len(content["cases"]) == sum(
		count for status, count in content["counts"].items() if status != "total")


def test_summary_carries_text_and_times(tmp_path, info):
	answer, log = judge(tmp_path, lines_of("params-fail"), *PARAMS)
	content = summary.summary(info, log, answer)
	case = content["cases"][1]
	assert (case["suite"], case["name"], case["param"], case["status"]) == ("splat", "params", "order 2", "fail")
	assert case["virtual_seconds"] == 0.04 and "EXPECTATION FAILED" in case["text"]
	assert content["counts"] == {"pass": 2, "fail": 1, "skip": 0, "crash": 0, "missing": 0, "total": 3}
	assert content["series"]["patches"] == [{"file": "0001-x.patch", "patch_id": "12" * 20}]


def test_summary_puts_complaints_to_their_case(tmp_path, info):
	answer, log = judge(tmp_path, lines_of("kasan"), "splat.uaf")
	assert [(one["kind"], one["case"]) for one in summary.summary(info, log, answer)["splats"]] == [("KASAN", "splat.uaf")]


def test_summary_of_a_run_that_never_booted(info):
	content = summary.cannot_judge_summary(info, "the kernel does not build: x.c:1: error", 2)
	_validate(content)
	assert content["verdict"] == {"outcome": "cannot-judge", "reason": "the kernel does not build: x.c:1: error",
				      "exit_code": 2}
	assert content["ending"] is None
	empty = RunInfo("", "", "", False, "rfc", [], "uml", "", "cmd", "2026-11-23T19:00:00+00:00", "")
	_validate(summary.cannot_judge_summary(empty, "no network", 130))


@pytest.mark.parametrize("spoil", [
	lambda content: content.update(more=1), lambda content: content.pop("cases"),
	lambda content: content["cases"][0].update(status="good"), lambda content: content.update(schema_version=1),
	lambda content: content["kernel"].update(base_commit="main"), lambda content: content["seconds"].update(lunch=1),
])
def test_schema_refuses_what_is_wrong(tmp_path, info, spoil):
	answer, log = judge(tmp_path, lines_of("two-suites"), *TWO)
	content = json.loads(json.dumps(summary.summary(info, log, answer)))
	_validate(content)
	spoil(content)
	with pytest.raises(ValidationError):
		_validate(content)


def test_junit(tmp_path, info):
	answer, log = judge(tmp_path, lines_of("params-fail"), *PARAMS)
	files.write_whole(tmp_path / "junit.xml", summary.junit(info, log, answer))
	suites = list(JUnitXml.fromfile(str(tmp_path / "junit.xml")))
	assert [(suite.name, suite.tests, suite.failures) for suite in suites] == [("splat", 3, 1), ("pinwait", 1, 1)]
	failing = [case for case in suites[0] if case.result]
	assert [case.name for case in failing] == ["params[order 2]"]
	assert "EXPECTATION FAILED" in failing[0].result[0].text
	assert all(case.time > 0 for case in suites[0])


def test_junit_names_a_crash(tmp_path, info):
	answer, log = judge(tmp_path, lines_of("panic"), "splat.panics")
	files.write_whole(tmp_path / "junit.xml", summary.junit(info, log, answer))
	suite = next(iter(JUnitXml.fromfile(str(tmp_path / "junit.xml"))))
	case = next(iter(suite))
	assert (suite.errors, case.name, case.classname) == (1, "panics", "splat")
	assert "as asked" in case.result[0].text and case.time > 0


def test_junit_shows_a_complaint_in_a_passing_case(tmp_path, info):
	answer, log = judge(tmp_path, lines_of("lockdep"), "splat.locks_abba")
	files.write_whole(tmp_path / "junit.xml", summary.junit(info, log, answer))
	xml = JUnitXml.fromfile(str(tmp_path / "junit.xml"))
	assert xml.failures == 1
	assert "possible circular" in (tmp_path / "junit.xml").read_text(encoding="utf-8")


def test_junit_of_a_log_with_control_characters(tmp_path, info):
	lines = inserted(lines_of("fail"), "not ok 1 fails", "[    0.000000] \x00 \x1b[31m \udcff <&]]>")
	answer, log = judge(tmp_path, lines, "splat.fails")
	files.write_whole(tmp_path / "junit.xml", summary.junit(info, log, answer))
	assert JUnitXml.fromfile(str(tmp_path / "junit.xml")).failures == 2


def test_junit_without_its_package(tmp_path, info, monkeypatch):
	monkeypatch.setitem(sys.modules, "junitparser", None)
	answer, log = judge(tmp_path, lines_of("two-suites"), *TWO)
	with pytest.raises(CannotJudge, match="python3-junitparser"):
		files.write_whole(tmp_path / "junit.xml", summary.junit(info, log, answer))


class _Terminal(io.StringIO):
	def isatty(self):
		return True


def _printed(info, answer, log, stream=None, **more):
	stream = stream or io.StringIO()
	summary.print_report(info, log, answer, stream, **more)
	return stream.getvalue()


def test_last_line_is_the_verdict(tmp_path, info):
	answer, log = judge(tmp_path, lines_of("two-suites"), *TWO)
	lines = _printed(info, answer, log).splitlines()
	assert lines[-1].startswith("pass: 4 of 4 cases, 1.12 s virtual in 0.0")
	assert lines[-1].endswith(" s (uml, series rfc, linux 7.3.4)")
	assert lines[0] == "calm" and "ok_first" in lines[1] and "0.04 s virtual" in lines[1]


def test_failure_text_is_indented_below_its_case(tmp_path, info):
	answer, log = judge(tmp_path, lines_of("params-fail"), *PARAMS)
	lines = _printed(info, answer, log).splitlines()
	where = next(index for index, line in enumerate(lines) if line.lstrip().startswith("fail"))
	assert "params[order 2]" in lines[where] and "EXPECTATION FAILED" in lines[where + 1]
	assert lines[where + 1].startswith("     ")
	assert lines[-1].startswith("fail: 1 case of 3 failed (splat.params[order 2]), 0.12 s virtual")


def test_passing_parameters_are_summed_up(tmp_path, info):
	lines = [line.replace("not ok", "ok") for line in lines_of("params-fail") if "EXPECTATION" not in line]
	answer, log = judge(tmp_path, lines, *PARAMS)
	assert "params [3 parameters]" in _printed(info, answer, log)
	assert "params[order 2]" in _printed(info, answer, log, verbose=True)


def test_what_a_panic_left_undone_is_one_line_a_case(tmp_path, info):
	later = [f"splat.later[order {order}]" for order in range(9)]
	answer, log = judge(tmp_path, lines_of("panic"), "splat.panics", *later)
	text = _printed(info, answer, log)
	assert [row.split() for row in text.splitlines() if row.startswith("  missing")] == [
		["missing", "later", "[9", "parameters]"]]
	assert "did not run\n" not in text
	assert all(case.text == "did not run" for case in log.cases[1:])
	# A kernel that ended well has lost the case: that is to be said.
	answer, log = judge(tmp_path, lines_of("two-suites"), *TWO, "third.one")
	assert "did not run; if it was removed or renamed, update" in _printed(info, answer, log)


def test_complaint_is_shown_with_its_place(tmp_path, info):
	answer, log = judge(tmp_path, lines_of("lockdep"), "splat.locks_abba")
	text = _printed(info, answer, log)
	assert f"lockdep in splat.locks_abba, kernel.log:{log.splats[0].line}" in text
	assert "possible circular locking dependency" in text


def test_last_lines_of_a_boot_without_tests(tmp_path, info):
	answer, log = judge(tmp_path, lines_of("bad-filter"), *TWO)
	text = _printed(info, answer, log)
	assert "last lines of kernel.log:" in text and "reboot: System halted" in text
	assert text.splitlines()[-1].startswith("cannot judge: ")


def test_colours_only_where_wanted(tmp_path, info, monkeypatch):
	answer, log = judge(tmp_path, lines_of("two-suites"), *TWO)
	monkeypatch.delenv("NO_COLOR", raising=False)
	assert "\033" not in _printed(info, answer, log)
	assert "\033[32m" in _printed(info, answer, log, _Terminal())
	monkeypatch.setenv("NO_COLOR", "1")
	assert "\033" not in _printed(info, answer, log, _Terminal())
