# SPDX-License-Identifier: GPL-2.0
"""The kernel's own selftests: what they say becomes results, and their initramfs belongs to one commit."""

import shlex
import subprocess

import fakes
import pytest
from logs import read

from pinwait.kernel import selftests
from pinwait.kernel.boot import Boot
from pinwait.kernel.build import Built
from pinwait.kernel.profile import expected_cases, load
from pinwait.log import verdict
from pinwait.log.results import Outcome, Status
from pinwait.util.project import CONFIGS, PROJECT

TRANSLATE = PROJECT / "tools/testing/kunit/selftests/translate.sh"
GOOD = """TAP version 13
1..5
# [RUN] pin
ok 1 pin ... with memfd (2048 kB hugetlb)
not ok 2 pin ... with tmpfile
ok 3 # SKIP pin ... with hugetlb
ok 4 # XFAIL known
ok 5 migration.private_anon # SKIP Not enough threads
# Totals: pass:1 fail:1 xfail:1 xpass:0 skip:2 error:0
"""


def said(text, status, number=1):
	"""Return what a program's words become, and the log that the kernel's console would have."""
	script = f'. {shlex.quote(str(TRANSLATE))}\nsay() {{ printf "%s\\n" "$1"; }}\ntranslate cow {number}\n'
	done = subprocess.run(["sh", "-c", script], input=f"{text}exit status {status}\n", capture_output=True, text=True, check=True)
	console = ["Linux version 7.3.4", "KTAP version 1", "1..1", "    KTAP version 1", "    # Subtest: cow", *done.stdout.splitlines(),
		   "reboot: Restarting system"]
	return read(console)


def test_results_keep_their_names():
	log = said(GOOD, 1)
	assert [(case.id, case.status) for case in log.cases] == [
		("cow.pin ... with memfd (2048 kB hugetlb)", Status.PASS), ("cow.pin ... with tmpfile", Status.FAIL),
		("cow.pin ... with hugetlb", Status.SKIP), ("cow.known", Status.PASS), ("cow.migration.private_anon", Status.SKIP)]
	assert [case.text for case in log.cases if case.status is Status.SKIP] == ["pin ... with hugetlb", "Not enough threads"]
	assert not log.errors


def test_equal_names_get_numbers():
	assert [case.name for case in said("1..4\nok 1 a\nok 2 a\nok 3 b\nnot ok 4 # SKIP a\n", 0).cases] == ["a", "a (no. 2)", "b", "a (no. 3)"]


@pytest.mark.parametrize("text, status, expected", [
	("", 0, Status.PASS), ("some words\n", 1, Status.FAIL), ("", 139, Status.FAIL), ("TAP version 13\n1..0 # SKIP no hugetlb\n", 4, Status.SKIP)])
def test_a_program_without_results_is_one(text, status, expected):
	log = said(text, status)
	assert [(case.id, case.status) for case in log.cases] == [("cow.exit", expected)] and not log.errors


def test_the_reason_of_a_skip_is_kept():
	assert said("1..0 # SKIP no hugetlb\n", 4).cases[0].text == "no hugetlb"


@pytest.mark.parametrize("text, status", [("1..2\nok 1 a\n", 139), ("1..1\nok 1 a\n", 1), ("1..3\n", 1)])
def test_a_program_that_dies_is_no_pass(text, status):
	log = said(text, status)
	assert log.errors or any(case.status is Status.FAIL for case in log.cases)
	answer = verdict.judge(log, expected_cases(CONFIGS, load(CONFIGS, "selftests")), "selftests")[1]
	assert answer.outcome is Outcome.FAIL


def test_whatever_runs_is_expected():
	profile = load(CONFIGS, "selftests")
	log, answer = verdict.judge(said("1..2\nok 1 a\nok 2 # SKIP b\n", 0), expected_cases(CONFIGS, profile), "selftests")
	assert answer.outcome is Outcome.PASS and answer.reason == "1 of 2 cases, 1 skipped as listed" and len(log.cases) == 2


def test_no_selftest_is_no_verdict():
	console = ["Linux version 7.3.4", "KTAP version 1", "1..0", "reboot: Restarting system"]
	log = read(console)
	assert verdict.judge(log, expected_cases(CONFIGS, load(CONFIGS, "selftests")), "selftests")[1].outcome is Outcome.CANNOT_JUDGE


def test_the_initramfs_is_beside_the_kernel(tmp_path):
	kernel = fakes.prepared(tmp_path / "7.3.4-1", "")
	command = Boot(kernel, Built(tmp_path / "obj", ""), load(CONFIGS, "selftests")).command()
	emulator = next(word for word in command if word.startswith("--qemu_args="))
	assert shlex.split(emulator)[-2:] == ["-initrd", str(tmp_path / "obj" / selftests.INITRAMFS)]
	assert "-initrd" not in " ".join(Boot(kernel, Built(tmp_path / "obj", ""), load(CONFIGS, "x86_64")).command())
