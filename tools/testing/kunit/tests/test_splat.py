# SPDX-License-Identifier: GPL-2.0
"""Kernel complaints: each kind found, put to its case, bounded; no false alarm."""

import pytest

from logs import changed, inserted, lines_of, read
from pinwait.log import splat


@pytest.mark.parametrize("name, kind, case, text", [
	("warning", "WARNING", "splat.warns", "splat-test.c:23"),
	("vm-warning", "WARNING", "splat.vmwarn", "splat-test.c:118"),
	("kasan", "KASAN", "splat.uaf", "slab-use-after-free in uaf"),
	("lockdep", "lockdep", "splat.locks_abba", "possible circular locking dependency"),
	("held-lock-freed", "lockdep", "splat.locks_held_freed", "held lock freed"),
	("rcu", "lockdep", "splat.rcu_suspicious", "suspicious RCU usage"),
	("atomic-sleep", "atomic sleep", "splat.sleeps_atomic", "sleeping function called"),
	("atomic-schedule", "atomic sleep", "splat.schedules_atomic", "scheduling while atomic"),
	("list", "list corruption", "splat.list_bad", "list_del corruption"),
	("refcount", "refcount", "splat.refcount_bad", "refcount_t: addition on 0"),
	("ubsan", "UBSAN", "splat.ubsan_shift", "shift-out-of-bounds"),
	("bad-page", "bad page", "splat.page_bad", "Bad page state"),
	("odebug", "debug objects", "splat.odebug", "ODEBUG: free active"),
	("slab", "BUG", "splat.slab_bad", "Objects remaining"),
	("bug", "BUG", "splat.<case 1>", "BUG: failure at"),
	("panic", "panic", "splat.<case 1>", "as asked"),
	("oops", "panic", "splat.<case 1>", "Segfault with no mm"),
	("hung-task", "hung task", "splat.sleeps_forever", "blocked for more than"),
	("kmemleak", "kmemleak", "splat.warning_leaks", "231 new suspected"),
	("params-panic", "WARNING", "splat.params_warn[order 2]", "splat-test.c:156"),
])
def test_captured(name, kind, case, text):
	found = [one for one in read(lines_of(name)).splats if one.kind == kind]
	assert found and found[0].case == case
	assert text in found[0].text


@pytest.mark.parametrize("line, kind", [
	("BUG: KMSAN: uninit-value in foo+0x1/0x2", "KMSAN"),
	("BUG: KCSAN: data-race in a / b", "KCSAN"),
	("BUG: KFENCE: use-after-free read in foo", "KFENCE"),
	("WARNING: inconsistent lock state", "lockdep"),
	("WARNING: possible recursive locking detected", "lockdep"),
	("INFO: trying to register non-static key.", "lockdep"),
	("list_add corruption. prev->next should be next (0), but was 1. (prev=2).", "list corruption"),
	("rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:", "RCU stall"),
	("rcu: INFO: rcu_sched self-detected stall on CPU", "RCU stall"),
	("watchdog: BUG: soft lockup - CPU#1 stuck for 22s! [a:1]", "lockup"),
	("BUG: kernel NULL pointer dereference, address: 0000000000000008", "fault"),
	("BUG: unable to handle page fault for address: ffff", "fault"),
	("Unable to handle kernel paging request at virtual address dead", "fault"),
	("Oops: general protection fault, probably for non-canonical address 0x1: 0000 [#1] SMP", "fault"),
	("general protection fault: 0000 [#1]", "fault"),
	("Oops: 0000 [#1] PREEMPT SMP", "fault"),
	("kernel BUG at mm/page_table_check.c:120!", "BUG"),
	("BUG: non-zero pgtables_bytes on freeing mm: 4096", "bad page"),
	("workqueue: WARNING: something", "WARNING"),
])
def test_one_line(line, kind):
	lines = inserted(lines_of("two-suites"), "    ok 2 ok_last", f"[    1.000000] {line}")
	assert [(one.kind, one.case) for one in read(lines).splats] == [(kind, "splat.ok_last")]


@pytest.mark.parametrize("line", [
	"    # ok_last: EXPECTATION FAILED at mm/tests/x.c:12",
	"    Expected strstr(log, \"BUG: KASAN\") to be true",
	"    # ok_last: BUG: KASAN: made up",
	"        WARNING: == 3",
	"Warning: unable to open an initial console.",
	"page: refcount:1 mapcount:0",
	"a warning: BUG in a sentence",
])
def test_no_false_alarm(line):
	lines = inserted(lines_of("two-suites"), "    ok 2 ok_last", f"[    1.000000] {line}")
	assert not read(lines).splats


def test_case_named_after_a_warning():
	lines = changed(lines_of("two-suites"), "    ok 2 ok_last", "    ok 2 WARNING_BUG_test")
	assert not read(lines).splats


def test_suppressed_warning_is_silent():
	assert not read(lines_of("warning-suppressed")).splats


def test_before_and_after_ktap():
	lines = ["[    0.000000] Linux version 7", "[    0.000000] WARNING: early", *lines_of("two-suites"),
		 "[    1.200000] BUG: Bad page state in process a  pfn:1"]
	found = read(lines).splats
	assert [(one.kind, one.case, one.line) for one in found] == [("WARNING", None, 2), ("bad page", None, len(lines))]


def test_after_the_last_case_it_is_the_suites():
	lines = inserted(lines_of("two-suites"), "] # splat: pass:2 fail:0 skip:0 total:2", "[    1.120000] BUG: late")
	assert read(lines).splats[0].case == "splat"


def test_text_ends_with_its_trace():
	lines = lines_of("warning")
	found = read(inserted(lines, "    ok 1 warns", "[    0.010000] afterwards")).splats
	assert len(found) == 1
	assert found[0].text.startswith("------------[ cut here ]") and found[0].text.splitlines()[-1].startswith("---[ end trace")


def test_text_is_bounded():
	lines = inserted(lines_of("two-suites"), "    ok 2 ok_last", "[    1.000000] BUG: x",
			 *["[    1.000000] more"] * 1000)
	assert len(read(lines).splats[0].text.splitlines()) == splat.MAX_LINES


def test_two_complaints_of_one_case():
	lines = lines_of("atomic-sleep")
	assert [one.kind for one in read(lines).splats] == ["lockdep", "atomic sleep"]


@pytest.mark.parametrize("line, said", [
	("** 12 printk messages dropped **", "dropped"),
	("BUG: MAX_LOCKDEP_CHAINS too low!", "lockdep"),
	("ODEBUG: Out of memory. ODEBUG disabled", "debug objects"),
	("kmemleak: Memory pool empty, consider increasing CONFIG_DEBUG_KMEMLEAK_MEM_POOL_SIZE", "kmemleak"),
	("kmemleak: Kernel memory leak detector disabled", "kmemleak"),
])
def test_check_that_switched_itself_off(line, said):
	log = read(inserted(lines_of("two-suites"), "    ok 2 ok_last", f"[    1.000000] {line}"))
	assert len(log.blind) == 1 and said in log.blind[0]
	assert not log.splats


def _whole(name):
	"""A captured log as if it came from a run without a filter."""
	return [line.replace("kunit.filter_glob=", "other=") for line in lines_of(name)]


def test_kmemleak_that_had_no_time_to_scan():
	assert "needs 660 s" in read(_whole("two-suites")).blind[0]


def test_kmemleak_that_was_never_started():
	lines = [line for line in _whole("two-suites") if "scanning thread started" not in line]
	assert "never told to scan" in read(lines).blind[0]


def test_kmemleak_that_scanned_twice():
	assert not read(_whole("kmemleak")).blind


def test_kmemleak_that_a_suite_told_to_scan():
	lines = [line.replace("Subtest: calm", "Subtest: kmemleak_scan") for line in _whole("two-suites")]
	assert not read(lines).blind
