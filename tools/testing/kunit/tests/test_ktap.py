# SPDX-License-Identifier: GPL-2.0
"""Reading logs: cases, times, endings, and damage of every kind."""

import sys

import pytest

from logs import PARSER, TICK, changed, inserted, lines_of, read
from pinwait.log import ktap
from pinwait.log.results import Ending, Status
from pinwait.util.errors import CannotJudge


def test_cases_with_times():
	log = read(lines_of("two-suites"))
	assert [(case.id, case.status, case.virtual_seconds) for case in log.cases] == [
		("calm.ok_first", Status.PASS, 0.04), ("calm.ok_only", Status.PASS, 0.0),
		("splat.ok_first", Status.PASS, 0.04), ("splat.ok_last", Status.PASS, 1.04)]
	assert log.cases[1].wall_seconds == pytest.approx(TICK)
	assert log.cases[3].wall_seconds == pytest.approx(2 * TICK)	# a line about its speed lies between
	assert (log.ending, log.started, log.errors, log.splats, log.blind) == (Ending.FINISHED, True, [], [], [])
	assert log.virtual_seconds == pytest.approx(1.12)


def test_parameters():
	log = read(lines_of("params-fail"))
	assert [(case.id, case.status) for case in log.cases] == [
		("splat.params[order 0]", Status.PASS), ("splat.params[order 2]", Status.FAIL),
		("splat.params[order 4]", Status.PASS)]
	assert [case.virtual_seconds for case in log.cases] == [0.02, 0.04, 0.06]
	assert not log.errors


def test_failure_text_has_place_and_message():
	text = read(lines_of("fail")).cases[0].text
	assert "EXPECTATION FAILED at lib/kunit/splat-test.c:19" in text
	assert "1 + 1 == 2 (0x2)" in text and "kind 7" in text
	assert "0.000000" not in text


def test_kernels_own_example_suites():
	log = read(lines_of("example"))
	assert len(log.cases) == 23
	skipped = {case.id: case.text for case in log.cases if case.status is Status.SKIP}
	assert skipped["example.example_skip_test"] == "this test should be skipped"
	assert not log.splats


def test_panic_before_the_console_was_up():
	"""Lines that are printed late carry their level."""
	log = read(["<5>[    0.000000] Linux version 7.3.4", "<0>[    0.250000] Kernel panic - not syncing: early"])
	assert log.ending is Ending.PANIC and log.virtual_seconds == 0.25 and not log.blind
	assert log.last_lines[-1] == "Kernel panic - not syncing: early"


def test_skip_reason():
	assert [(case.status, case.text) for case in read(lines_of("skip")).cases] == [(Status.SKIP, "no ZONE_MOVABLE")]


@pytest.mark.parametrize("name, ending, case, why", [
	("panic", Ending.PANIC, "splat.<case 1>", "panicked while"),
	("oops", Ending.PANIC, "splat.<case 1>", "panicked while"),
	("bug", Ending.PANIC, "splat.<case 1>", "panicked while"),
	("params-panic", Ending.PANIC, "splat.params_panic", "panicked while"),
	("hang", Ending.HANG, "splat.<case 1>", "time limit"),
	("halt-in-case", Ending.FINISHED, "splat.<case 1>", "shut down while"),
])
def test_case_that_did_not_end(name, ending, case, why):
	log = read(lines_of(name), timed_out=ending is Ending.HANG)
	assert log.ending is ending
	assert log.cases[-1].id == case
	assert log.cases[-1].status is Status.CRASH
	assert why in log.cases[-1].text


def test_parameters_before_a_panic_keep_their_results():
	cases = read(lines_of("params-panic")).cases
	assert [case.id for case in cases if case.name == "params_panic"] == [
		"splat.params_panic[order 0]", "splat.params_panic"]


def test_noise_between_ktap_lines_is_no_error():
	log = read(lines_of("noise"))
	assert [case.id for case in log.cases] == ["splat.noise"]
	assert not log.errors and not log.splats


def test_noise_that_looks_like_a_result_is_an_error():
	log = read(inserted(lines_of("two-suites"), "    ok 2 ok_only", "[    0.040000] ok 7 - from a driver"))
	assert log.errors


def test_result_that_noise_has_torn_is_an_error():
	log = read(changed(lines_of("two-suites"), "    ok 2 ok_only", "random: crng    ok 2 ok_only"))
	assert log.errors


def test_nul_and_invalid_utf8_do_not_reach_the_results():
	lines = changed(lines_of("fail"), "kind 7", "kind \0 \udcff \x1b[31m")
	text = read(lines).cases[0].text
	assert "kind \\x00 \\udcff \\x1b[31m" in text


def test_lines_without_stamps():
	log = read([line.split("] ", 1)[-1] for line in lines_of("two-suites")])
	assert [case.status for case in log.cases] == [Status.PASS] * 4
	assert all(case.virtual_seconds is None and case.wall_seconds is not None for case in log.cases)
	assert log.virtual_seconds is None and not log.errors


def test_lines_with_caller_and_carriage_return():
	lines = [line.replace("] ", "][    T1] ", 1) + "\r" for line in lines_of("two-suites")]
	log = read(lines)
	assert len(log.cases) == 4 and log.cases[3].virtual_seconds == 1.04 and not log.errors


def test_empty_log():
	log = read([])
	assert "empty" in log.errors[0]
	assert not log.started


def test_log_without_its_beginning():
	lines = [line for line in lines_of("two-suites") if "Linux version" not in line]
	assert "beginning is missing" in read(lines).blind[0]


@pytest.mark.parametrize("name, said", [("bad-filter", "error filtering suites: -22"),
					("bad-action", "unknown action 'fly'")])
def test_executor_errors(name, said):
	log = read(lines_of(name))
	assert not log.started and said in log.errors[-1]


def test_failed_suite_init_gives_its_reason():
	assert "failed to initialize (-12)" in read(lines_of("suite-init-fails")).errors[0]


def test_case_that_fails_although_its_parameters_pass():
	lines = changed(lines_of("params-fail"), "        not ok 2 order 2", "        ok 2 order 2")
	assert any("splat.params failed as a whole" in error for error in read(lines).errors)


def test_parser_and_scan_have_to_agree(monkeypatch):
	scan = ktap._scan

	def blind(texts, parser):
		found = scan(texts, parser)
		found.marks.pop(0)
		return found
	monkeypatch.setattr(ktap, "_scan", blind)
	log = read(lines_of("two-suites"))
	assert log.errors == ["KTAP: parser and log disagree about calm.ok_first"]


@pytest.mark.parametrize("name", ["two-suites", "params-panic", "fail", "lockdep"])
@pytest.mark.parametrize("timed_out", [True, False])
def test_no_cut_is_mistaken_for_a_whole_log(name, timed_out):
	lines = lines_of(name)
	end = next((index for index, line in enumerate(lines) if "] reboot:" in line or "Kernel panic" in line))
	for length in range(end):
		log = read(lines[:length], timed_out)
		assert log.ending is (Ending.HANG if timed_out else Ending.TRUNCATED)


def test_long_text_keeps_both_ends():
	noise = [f"[    0.000000] line {number}" for number in range(500)]
	text = read(inserted(lines_of("fail"), "not ok 1 fails", *noise)).cases[0].text
	assert "EXPECTATION FAILED" in text and "line 499" in text and "more lines" in text
	assert len(text.splitlines()) == ktap.MAX_TEXT + 1


def test_parser_import_leaves_no_trace():
	ktap._load_parser.cache_clear()
	path = list(sys.path)
	read(lines_of("two-suites"))
	assert sys.path == path and "kunit_parser" not in sys.modules and "kunit_printer" not in sys.modules
	assert not (PARSER / "__pycache__").exists()


def test_folder_without_parser(tmp_path):
	with pytest.raises(CannotJudge, match="kunit_parser.py"):
		ktap.read_log([], tmp_path, False)


PARAM_EXIT = ("[    0.120000]     # params: EXPECTATION FAILED at lib/kunit/splat-test.c:170", "[    0.120000]     Expected left == 0, but",
	      "[    0.120000]         left == 3 (0x3)")


def _forgetful(before, *new):
	"""A log in which all parameters pass, and so the case, with lines put in."""
	lines = [line.replace("not ok", "ok") for line in lines_of("params-fail") if "p->v" not in line and "EXPECTATION" not in line]
	return inserted(lines, before, *new)


def test_expectation_that_fails_after_the_last_parameter():
	log = read(_forgetful("    ok 1 params", *PARAM_EXIT))
	assert [case.status for case in log.cases] == [Status.PASS] * 3
	assert [error.splitlines() for error in log.errors] == [[
		"splat.params failed as a whole: # params: EXPECTATION FAILED at lib/kunit/splat-test.c:170", "Expected left == 0, but", "    left == 3 (0x3)"]]


def test_expectation_that_fails_in_a_parameter_that_passes():
	log = read(_forgetful("    ok 2 order 2", *PARAM_EXIT))
	assert [case.status for case in log.cases] == [Status.PASS, Status.FAIL, Status.PASS] and not log.errors
	assert "left == 3" in log.cases[1].text and log.cases[1].text.endswith(ktap.FORGOTTEN)


def test_expectation_that_fails_before_the_case_skips():
	failed = [line.replace("params", "skips") for line in PARAM_EXIT]
	case, = read(inserted(lines_of("skip"), "    ok 1 skips # SKIP no ZONE_MOVABLE", *failed)).cases
	assert case.status is Status.FAIL and "left == 3" in case.text and "then it was skipped: no ZONE_MOVABLE" in case.text


@pytest.mark.parametrize("what", ["ASSERTION", "EXPECTATION"])
def test_assertion_of_a_case_that_is_over(what):
	late = f"[    0.050000]     # ok_first: {what} FAILED at lib/kunit/splat-test.c:9"
	log = read(inserted(lines_of("two-suites"), "    ok 2 ok_only", late))
	assert {case.id: case.status for case in log.cases}["calm.ok_only"] is Status.PASS
	assert [error.partition(":")[0] for error in log.errors] == ["calm.ok_first failed as a whole"]


def test_assertion_after_the_last_case_of_a_suite():
	log = read(inserted(lines_of("two-suites"), "] ok 1 calm", PARAM_EXIT[0].replace("params", "calm")))
	assert [error.partition(":")[0] for error in log.errors] == ["calm failed as a whole"]


def test_failure_that_kunit_counts_is_told_once():
	log = read(lines_of("fail"))
	assert [case.status for case in log.cases] == [Status.FAIL] and not log.errors and ktap.FORGOTTEN not in log.cases[0].text


def test_words_about_assertions_are_no_assertion():
	noise = "[    0.050000] usb: an EXPECTATION FAILED at boot"
	log = read(inserted(lines_of("two-suites"), "    ok 2 ok_only", noise))
	assert not log.errors and all(case.status is Status.PASS for case in log.cases)


def test_real_log_of_what_kunit_forgets():
	"""A case that skips after an expectation failed, and one whose param_exit fails: KUnit says ok to both."""
	log = read(lines_of("forgotten"))
	assert {case.id: case.status for case in log.cases if case.status is not Status.PASS} == {"longterm_pin.short_pin": Status.FAIL}
	assert "not halted" in log.cases[0].text and "then it was skipped: nothing is short today" in log.cases[0].text
	assert [error.splitlines()[0] for error in log.errors] == [
		"longterm_pin.fatal_signal failed as a whole: # fatal_signal: EXPECTATION FAILED at mm/tests/longterm_pin_kunit.c:500"]
	assert "all ways went" in log.errors[0]
