# SPDX-License-Identifier: GPL-2.0
"""Verdicts: what kunit.py lets pass has to fail here, and the reason has to say why."""

from dataclasses import replace

import pytest

from logs import changed, inserted, judge, lines_of, listed, read
from pinwait.log import verdict
from pinwait.log.results import Ending, Outcome, Status
from pinwait.util.errors import UsageError

TWO = ("calm.ok_first", "calm.ok_only", "splat.ok_first", "splat.ok_last")
PARAMS = tuple(f"splat.params[order {order}]" for order in (0, 2, 4))


def test_pass(tmp_path):
	answer, _ = judge(tmp_path, lines_of("two-suites"), *TWO)
	assert (answer.outcome, answer.exit_code, answer.reason) == (Outcome.PASS, 0, "4 of 4 cases")


def test_failing_case(tmp_path):
	answer, _ = judge(tmp_path, lines_of("params-fail"), *PARAMS)
	assert (answer.exit_code, answer.reason) == (1, "1 case of 3 failed (splat.params[order 2])")


class TestTraps:
	"""The logs that kunit.py calls good."""

	@pytest.mark.parametrize("name, case, said", [
		("warning", "splat.warns", "1 kernel complaint (WARNING in splat.warns)"),
		("lockdep", "splat.locks_abba", "1 kernel complaint (lockdep in splat.locks_abba)"),
	])
	def test_complaint_in_a_passing_case(self, tmp_path, name, case, said):
		answer, log = judge(tmp_path, lines_of(name), case)
		assert log.cases[0].status is Status.PASS
		assert (answer.exit_code, answer.reason) == (1, said)

	def test_kasan_report_in_a_passing_case(self, tmp_path):
		lines = [line.replace("not ok", "ok") for line in lines_of("kasan")]
		answer, log = judge(tmp_path, lines, "splat.uaf")
		assert log.cases[0].status is Status.PASS
		assert (answer.exit_code, answer.reason) == (1, "1 kernel complaint (KASAN in splat.uaf)")

	def test_wrong_test_number(self, tmp_path):
		answer, _ = judge(tmp_path, changed(lines_of("two-suites"), "    ok 2 ok_last", "    ok 3 ok_last"), *TWO)
		assert answer.exit_code == 1
		assert "Expected test number 2 but found 3" in answer.reason

	def test_every_case_skipped(self, tmp_path):
		lines = [f"{line} # SKIP no memory" if "    ok " in line else line for line in lines_of("two-suites")]
		answer, log = judge(tmp_path, lines, *TWO)
		assert {case.status for case in log.cases} == {Status.SKIP}
		assert answer.exit_code == 1
		assert "calm.ok_first was skipped (no memory) but has to run with profile uml" in answer.reason

	def test_one_row_and_no_plan(self, tmp_path):
		lines = changed(lines_of("params-fail"), "        1..3", None)
		lines = changed(lines, "        ok 3 order 4", None)
		lines = [line for line in lines if "order 2" not in line and "params: EXPECTATION" not in line]
		lines = [line.replace("not ok", "ok") for line in lines]
		answer, log = judge(tmp_path, lines, *PARAMS)
		assert [case.status for case in log.cases] == [Status.PASS, Status.MISSING, Status.MISSING]
		assert answer.exit_code == 1
		assert "2 listed cases did not run (splat.params[order 2], splat.params[order 4])" in answer.reason

	@pytest.mark.parametrize("name, case", [("panic", "splat.panics"), ("oops", "splat.oopses"), ("bug", "splat.bugs")])
	def test_crash(self, tmp_path, name, case):
		answer, log = judge(tmp_path, lines_of(name), case)
		assert answer.exit_code == 1
		assert f"kernel panic in {case}" in answer.reason
		assert [(one.id, one.status) for one in log.cases] == [(case, Status.CRASH)]
		assert log.cases[0].text and log.cases[0].virtual_seconds is not None
		assert {one.case for one in log.splats} == {case}

	def test_result_without_cases(self, tmp_path):
		lines = [line for line in lines_of("two-suites") if "calm" not in line or line.endswith("ok 1 calm")]
		lines = [line for line in lines if not line.endswith(("    ok 2 ok_only", "    # module: splat_test"))]
		answer, _ = judge(tmp_path, lines, *TWO)
		assert answer.exit_code == 1


def test_panic_is_put_to_the_function_in_the_trace(tmp_path):
	answer, _ = judge(tmp_path, lines_of("oops"), "splat.aaa", "splat.oopses", "splat.zzz")
	assert "kernel panic in splat.oopses; 2 listed cases did not run (splat.aaa, splat.zzz)" in answer.reason


def test_panic_without_a_trace_is_put_to_the_next_case(tmp_path):
	lines = lines_of("two-suites")
	end = next(index for index, line in enumerate(lines) if line.endswith("    ok 2 ok_only"))
	answer, log = judge(tmp_path, [*lines[:end], "[    0.040000] Kernel panic - not syncing: x"], *TWO)
	assert answer.reason.startswith("kernel panic in calm.ok_only; 2 listed cases did not run")
	assert log.splats[0].case == "calm.ok_only"


def test_panic_in_a_parameter(tmp_path):
	entries = [f"splat.{name}[order {order}]" for name in ("params", "params_ok", "params_warn", "params_panic")
		   for order in (0, 2, 4)]
	answer, log = judge(tmp_path, lines_of("params-panic"), *entries)
	assert answer.exit_code == 1
	assert "kernel panic in splat.params_panic[order 2]" in answer.reason
	assert [case.id for case in log.cases if case.status is Status.MISSING] == ["splat.params_panic[order 4]"]


def test_panic_before_the_tests(tmp_path):
	lines = lines_of("panic")
	start = next(index for index, line in enumerate(lines) if "KTAP" in line)
	panic = next(index for index, line in enumerate(lines) if "Kernel panic" in line)
	answer, _ = judge(tmp_path, lines[:start] + lines[panic:], *TWO)
	assert answer.exit_code == 2
	assert "panicked before the first test: Kernel panic - not syncing: as asked" in answer.reason


def test_hang_in_a_case(tmp_path):
	answer, log = judge(tmp_path, lines_of("hang"), "splat.hangs", timed_out=True)
	assert (answer.exit_code, answer.reason) == (1, "kernel hung in splat.hangs until the time limit")
	assert "did not return" in log.cases[0].text


def test_hang_before_the_tests(tmp_path):
	lines = [line for line in lines_of("hang")]
	start = next(index for index, line in enumerate(lines) if "KTAP" in line)
	answer, _ = judge(tmp_path, lines[:start], "splat.hangs", timed_out=True)
	assert answer.exit_code == 2
	assert "hung before the first test" in answer.reason and "scanning thread started" in answer.reason


def test_hang_after_the_tests(tmp_path):
	lines = [line for line in lines_of("two-suites") if "reboot:" not in line]
	answer, _ = judge(tmp_path, lines, *TWO, timed_out=True)
	assert (answer.exit_code, answer.reason) == (1, "kernel hung outside of any case until the time limit")


def test_truncated(tmp_path):
	lines = [line for line in lines_of("two-suites") if "reboot:" not in line]
	for length in (len(lines), len(lines) - 4, len(lines) - 8, len(lines) - 12):
		answer, _ = judge(tmp_path, lines[:length], *TWO)
		assert answer.exit_code == 2
		assert "log ends" in answer.reason


def test_truncated_after_a_failure(tmp_path):
	lines = [line for line in lines_of("params-fail") if "reboot:" not in line and "ok 3" not in line]
	answer, _ = judge(tmp_path, lines, *PARAMS)
	assert answer.exit_code == 1


def test_shutdown_in_a_case(tmp_path):
	answer, _ = judge(tmp_path, lines_of("halt-in-case"), "splat.reboots")
	assert (answer.exit_code, answer.reason) == (1, "the kernel shut down in splat.reboots")


def test_missing_suite(tmp_path):
	answer, log = judge(tmp_path, lines_of("two-suites"), *TWO, "third.one", "third.two")
	assert (answer.exit_code, answer.reason) == (1, "2 listed cases did not run (third.one, third.two)")
	assert [case.id for case in log.cases if case.status is Status.MISSING] == ["third.one", "third.two"]


def test_unlisted_case(tmp_path):
	answer, _ = judge(tmp_path, lines_of("two-suites"), *TWO[:3])
	assert answer.exit_code == 1
	assert "splat.ok_last ran but is not in" in answer.reason and "add it there" in answer.reason


def test_duplicate_case(tmp_path):
	lines = changed(lines_of("two-suites"), "    ok 2 ok_only", "    ok 2 ok_first")
	answer, _ = judge(tmp_path, lines, *(TWO[0], *TWO[2:]))
	assert answer.exit_code == 1
	assert "calm.ok_first ran 2 times" in answer.reason


def test_expected_skip(tmp_path):
	answer, _ = judge(tmp_path, lines_of("skip"), "splat.skips skip:uml")
	assert (answer.exit_code, answer.reason) == (0, "0 of 1 cases, 1 skipped as listed")
	answer, _ = judge(tmp_path, lines_of("skip"), "splat.skips skip:uml-rt")
	assert answer.exit_code == 1


def test_expected_skip_that_ran(tmp_path):
	answer, _ = judge(tmp_path, lines_of("two-suites"), *TWO[:3], "splat.ok_last skip:uml")
	assert answer.exit_code == 1
	assert "splat.ok_last ran but is listed as skip:uml; remove the word" in answer.reason


def test_case_of_another_profile(tmp_path):
	answer, log = judge(tmp_path, lines_of("two-suites"), *TWO, "leaks.none only:uml-debug")
	assert answer.outcome is Outcome.PASS and len(log.cases) == len(TWO)
	answer, _ = judge(tmp_path, lines_of("two-suites"), *TWO[:3], "splat.ok_last only:uml-debug")
	assert "splat.ok_last ran but is not in" in answer.reason and "for profile uml;" in answer.reason
	answer, _ = judge(tmp_path, lines_of("two-suites"), *TWO, "leaks.none only:uml-debug", profile="uml-debug")
	assert answer.outcome is Outcome.FAIL and "leaks.none" in answer.reason


def test_filter_expects_only_what_it_selects(tmp_path):
	answer, _ = judge(tmp_path, lines_of("two-suites"), *TWO, "third.one", filter_glob="[cs]*")
	assert answer.exit_code == 0
	with pytest.raises(UsageError):
		judge(tmp_path, lines_of("two-suites"), *TWO, filter_glob="zzz")


def test_failed_suite_init(tmp_path):
	answer, _ = judge(tmp_path, lines_of("suite-init-fails"), "badinit.ok_first", "badinit.ok_only")
	assert answer.exit_code == 1
	assert "failed to initialize (-12)" in answer.reason


def test_kernel_without_tests(tmp_path):
	answer, _ = judge(tmp_path, lines_of("no-tests"), *TWO)
	assert answer.exit_code == 1
	assert "4 listed cases did not run" in answer.reason


@pytest.mark.parametrize("lines, said", [
	([], "the log is empty"),
	(["[    0.000000] Linux version 7.3.4", "[    1.000000] reboot: System halted"], "ran no test"),
	(lines_of("bad-filter"), "error filtering suites: -22"),
	(lines_of("bad-action"), "unknown action 'fly'"),
])
def test_no_test_at_all(tmp_path, lines, said):
	answer, _ = judge(tmp_path, lines, *TWO)
	assert answer.exit_code == 2
	assert said in answer.reason


def test_blind_check_is_no_pass(tmp_path):
	lines = inserted(lines_of("two-suites"), "    ok 2 ok_last", "** 3 printk messages dropped **")
	answer, _ = judge(tmp_path, lines, *TWO)
	assert answer.exit_code == 2 and "dropped" in answer.reason
	answer, _ = judge(tmp_path, lines_of("two-suites")[1:], *TWO)
	assert answer.exit_code == 2 and "beginning is missing" in answer.reason


def test_complaint_outside_of_the_tests(tmp_path):
	lines = inserted(lines_of("two-suites"), "] reboot: System halted", "[    2.000000] BUG: late")
	answer, _ = judge(tmp_path, [*lines, "[    3.000000] WARNING: later"], *TWO)
	assert answer.exit_code == 1
	assert "outside of any case" in answer.reason


class TestProof:
	"""Without the change exactly the marked cases fail."""

	def prove(self, tmp_path, lines, *entries, profile="uml"):
		log = read(lines)
		return verdict.prove(log, listed(tmp_path, *entries), profile)[1]

	def test_exact(self, tmp_path):
		answer = self.prove(tmp_path, lines_of("params-fail"), PARAMS[0], f"{PARAMS[1]} change", PARAMS[2])
		assert answer.exit_code == 0
		assert answer.reason == "exactly the 1 cases that need the change fail without it, the other 2 do not"

	def test_marked_case_that_passes(self, tmp_path):
		answer = self.prove(tmp_path, lines_of("params-fail"), PARAMS[0], f"{PARAMS[1]} change", f"{PARAMS[2]} change")
		assert answer.exit_code == 1
		assert "1 case marked `change` did not fail without the change (splat.params[order 4])" in answer.reason

	def test_unmarked_case_that_fails(self, tmp_path):
		answer = self.prove(tmp_path, lines_of("params-fail"), *PARAMS)
		assert answer.exit_code == 1
		assert "1 case not marked `change` failed" in answer.reason

	def test_nothing_marked(self, tmp_path):
		assert "no case of" in self.prove(tmp_path, lines_of("two-suites"), *TWO).reason

	def test_missing_case(self, tmp_path):
		answer = self.prove(tmp_path, lines_of("params-fail"), PARAMS[0], f"{PARAMS[1]} change", PARAMS[2], "a.b")
		assert answer.exit_code == 1 and "did not run (a.b)" in answer.reason

	def test_complaint(self, tmp_path):
		lines = inserted(lines_of("params-fail"), "        ok 3 order 4", "[    0.100000] BUG: x")
		answer = self.prove(tmp_path, lines, PARAMS[0], f"{PARAMS[1]} change", PARAMS[2])
		assert answer.exit_code == 1 and "kernel complaint" in answer.reason

	def test_marked_case_that_is_skipped_here(self, tmp_path):
		answer = self.prove(tmp_path, lines_of("skip"), "splat.skips change skip:uml")
		assert answer.exit_code == 1 and "no case of" in answer.reason

	def test_marked_case_that_is_absent_without_the_series(self, tmp_path):
		"""The promises are those of a series that has it."""
		answer = self.prove(tmp_path, lines_of("params-fail"), PARAMS[0], f"{PARAMS[1]} change absent:none", PARAMS[2])
		assert answer.exit_code == 0

	def test_panic(self, tmp_path):
		answer = self.prove(tmp_path, lines_of("panic"), "splat.panics change")
		assert answer.exit_code == 1 and "kernel panic in splat.panics" in answer.reason

	def test_cut_off(self, tmp_path):
		lines = [line for line in lines_of("params-fail") if "reboot:" not in line]
		answer = self.prove(tmp_path, lines, PARAMS[0], f"{PARAMS[1]} change", PARAMS[2])
		assert answer.exit_code == 1 and "cut off" in answer.reason

	def test_no_boot(self, tmp_path):
		assert self.prove(tmp_path, [], *TWO).exit_code == 2


@pytest.mark.parametrize("promises, code, said", [
	("none", 0, "1 skipped as listed"), ("rfc", 1, "was skipped (no ZONE_MOVABLE) but has to run")])
def test_case_about_what_the_series_does_not_have(tmp_path, promises, code, said):
	cases = replace(listed(tmp_path, "splat.skips change absent:none"), promises=promises)
	log, answer = verdict.judge(read(lines_of("skip")), cases, "uml")
	assert answer.exit_code == code and said in answer.reason, log.errors


def test_case_that_runs_though_there_is_nothing_for_it(tmp_path):
	first, *others = TWO
	cases = replace(listed(tmp_path, f"{first} absent:none", *others), promises="none")
	_, answer = verdict.judge(read(lines_of("two-suites")), cases, "uml")
	assert answer.exit_code == 1 and f"{first} ran but is listed as absent:none" in answer.reason


@pytest.mark.parametrize("reason, code", [("no ZONE_MOVABLE", 0), ("", 1)])
def test_case_that_a_patch_adds_may_skip_if_it_says_why(tmp_path, reason, code):
	log = read(changed(lines_of("two-suites"), "    ok 2 ok_last", f"    ok 2 ok_last # SKIP {reason}"))
	expected = listed(tmp_path, *TWO[:3]).with_others(log.cases, "uml")
	assert verdict.judge(log, expected, "uml")[1].exit_code == code
	assert verdict.judge(log, expected, "uml-rt")[1].exit_code == 1


def test_listed_case_may_not_skip_whatever_it_says(tmp_path):
	log = read(changed(lines_of("two-suites"), "    ok 2 ok_last", "    ok 2 ok_last # SKIP no ZONE_MOVABLE"))
	assert verdict.judge(log, listed(tmp_path, *TWO).with_others(log.cases, "uml"), "uml")[1].exit_code == 1


def test_failure_that_kunit_forgets_fails(tmp_path):
	lines = [line.replace("not ok", "ok") for line in lines_of("params-fail") if "p->v" not in line and "EXPECTATION" not in line]
	lines = inserted(lines, "    ok 1 params", "[    0.120000]     # params: EXPECTATION FAILED at lib/kunit/splat-test.c:170")
	answer, _ = judge(tmp_path, lines, *PARAMS)
	assert (answer.outcome, "splat.params failed as a whole" in answer.reason) == (Outcome.FAIL, True)


def test_the_log_is_left_as_it_was_read(tmp_path):
	log, again = read(lines_of("oops")), read(lines_of("oops"))
	seen, _ = verdict.judge(log, listed(tmp_path, "splat.aaa", "splat.oopses", "splat.zzz"), "uml")
	assert log == again != seen


class TestQemu:
	"""Boots in QEMU, which tells on the same console why it starts and ends."""

	def test_pass(self, tmp_path):
		answer, log = judge(tmp_path, lines_of("x86-ok"), "splat.ok_first")
		assert (answer.reason, log.ending, log.splats, log.errors) == ("1 of 1 cases", Ending.FINISHED, [], [])

	def test_oops(self, tmp_path):
		answer, log = judge(tmp_path, lines_of("x86-oops"), "splat.oopses")
		assert answer.exit_code == 1 and log.cases[0].status is Status.FAIL and log.ending is Ending.FINISHED
		assert {(splat.kind, splat.case) for splat in log.splats} == {("fault", "splat.oopses")}

	def test_panic_that_reboots(self, tmp_path):
		answer, log = judge(tmp_path, lines_of("x86-panic"), "splat.panics")
		assert answer.exit_code == 1 and "kernel panic in splat.panics" in answer.reason and log.ending is Ending.PANIC

	def test_triple_fault_before_the_first_case(self, tmp_path):
		"""The kernel prints later than it runs, so its last lines are lost."""
		answer, log = judge(tmp_path, lines_of("x86-reset"), "splat.triple_faults")
		assert log.ending is Ending.RESET
		assert (answer.exit_code, answer.reason) == (2, "the machine was reset before the first test, as by a triple fault")

	def _reset(self):
		lines = lines_of("x86-ok")
		lines[-5:-1] = []
		return lines

	def test_triple_fault_in_a_case(self, tmp_path):
		answer, log = judge(tmp_path, self._reset(), "splat.triple_faults")
		assert (answer.exit_code, log.ending) == (1, Ending.RESET)
		assert answer.reason.startswith("the machine was reset in splat.triple_faults, as by a triple fault")
		assert log.cases[0].status is Status.CRASH and log.cases[0].text.startswith("the machine was reset while this case ran")

	def test_triple_fault_in_the_middle_of_a_line(self, tmp_path):
		lines = self._reset()
		lines[-2:] = [lines[-2] + lines[-1]]
		assert read(lines).ending is Ending.RESET

	def test_hang(self, tmp_path):
		answer, log = judge(tmp_path, lines_of("x86-hang"), "splat.spins", timed_out=True)
		assert (answer.exit_code, log.ending) == (1, Ending.HANG) and "kernel hung in splat.spins until the time limit" in answer.reason

	@pytest.mark.parametrize("end", [-1, -2])
	def test_qemu_that_is_killed(self, tmp_path, end):
		"""By SIGTERM, which it tells, or by SIGKILL, of which it cannot."""
		lines = lines_of("x86-hang")
		answer, log = judge(tmp_path, lines if end == -1 else lines[:end], "splat.spins")
		assert (answer.exit_code, log.ending) == (2, Ending.TRUNCATED) and "was the kernel killed?" in answer.reason


@pytest.mark.parametrize("promises, name, word, code", [
	("rfc", "lockdep", "lockdep:rfc", 0), ("none", "lockdep", "lockdep:rfc", 1), ("rfc", "lockdep", "", 1), ("rfc", "ubsan", "lockdep:rfc", 1)])
def test_complaint_of_locks_that_a_case_is_there_to_show(tmp_path, promises, name, word, code):
	lines = lines_of(name)
	case = read(lines).cases[0].id
	_, answer = verdict.judge(read(lines), replace(listed(tmp_path, f"{case} {word}"), promises=promises), "uml")
	assert answer.exit_code == code and code == ("kernel complaint" in answer.reason)
