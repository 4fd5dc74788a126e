# SPDX-License-Identifier: GPL-2.0
"""A judgement as KCIDB objects."""

import hashlib
import re
import subprocess

import pytest

import fakes
import judgements
from judgements import check, judgement, patch
from pinwait.source import patches
from pinwait.log.results import Outcome
from pinwait.report.kcidb import EXCERPT, kcidb, patchset_hash


def _statuses(objects):
	return [entry["status"] for entry in objects]


def test_failing_case():
	content = kcidb(judgements.failing_case())
	assert content["version"] == {"major": 5, "minor": 3}
	assert [checkout["valid"] for checkout in content["checkouts"]] == [True] * 3
	assert _statuses(content["builds"]) == ["PASS"] * 9
	bad = [(test["path"], test["status"]) for test in content["tests"] if test["status"] != "PASS"]
	assert bad == [("pinwait", "FAIL"), ("pinwait.migrate_longterm_pin.transient_reference.shmem", "FAIL"),
		       ("pinwait.migrate_longterm_users.fork", "FAIL"), ("pinwait.migrate_longterm_pin.transient_reference", "FAIL"),
		       ("pinwait.migrate_wakeup_key.balance", "FAIL"), ("pinwait.verdict", "FAIL")]
	assert next(test["duration"] for test in content["tests"] if test["path"] == "pinwait.static") == 1.5


def test_old_failures_and_counts_are_in_misc():
	tests = kcidb(judgements.failing_case())["tests"]
	misc = {test["path"]: test["misc"] for test in tests if "change" in test.get("misc", {})}
	assert misc["pinwait.migrate_wakeup_key.balance"]["change"] == "pre-existing"
	assert not misc["pinwait.migrate_wakeup_key.balance"]["held"]
	assert misc["pinwait.migrate_longterm_users.fork"]["after"] == {"times": 2, "boots": 5}


def test_kernel_that_does_not_compile_has_no_tests():
	content = kcidb(judgements.broken_build())
	assert _statuses(content["builds"]) == ["FAIL", "PASS", "FAIL", "PASS", "PASS", "PASS"]
	assert "folio_wait_refs" in content["builds"][0]["log_excerpt"]
	assert [test["build_id"] for test in content["tests"] if test["path"] == "pinwait"] == [content["builds"][5]["id"]]


def test_our_own_failure_is_a_miss():
	lost = check("uml", Outcome.CANNOT_JUDGE, "no room on the disk", counts={})
	content = kcidb(judgement(patch(1, "mm: x", lost)))
	assert _statuses(content["builds"]) == ["PASS", "PASS", "MISS"]
	assert [test["status"] for test in content["tests"] if test["path"] == "pinwait"] == ["MISS"]


def test_patch_that_does_not_apply_is_no_valid_checkout():
	content = kcidb(judgements.cannot_judge())
	last = content["checkouts"][1]
	assert not last["valid"] and last["log_excerpt"] == "does not apply: mm/migrate.c:1204"
	build, = (build for build in content["builds"] if build["checkout_id"] == last["id"])
	assert build["status"] == "MISS" and build["comment"].startswith("nothing was built: apply: does not apply")
	assert [(test["path"], test["status"]) for test in content["tests"] if test["build_id"] == build["id"]] == [
		("pinwait.apply", "MISS"), ("pinwait.verdict", "MISS")]


def test_each_verdict_has_an_object():
	def verdicts(what):
		content = kcidb(what)
		return [(test["status"], next(build["status"] for build in content["builds"] if build["id"] == test["build_id"]))
			for test in content["tests"] if test["path"] == "pinwait.verdict"]
	style = patch(1, "mm: x")
	style.checks = [check("static", Outcome.FAIL, "no sign-off")]
	assert verdicts(judgement(style, checks=["static"])) == [("FAIL", "SKIP")]
	unseen = patch(1, "mm: x", check("coverage", Outcome.NOT_SEEN, "none of it is executed"))
	assert verdicts(judgement(unseen)) == [("SKIP", "PASS")]
	nothing = patch(1, "mm: x")
	nothing.checks = []
	assert verdicts(judgement(nothing, problem="the base does not build")) == [("MISS", "MISS")]
	lost = patch(1, "mm: x")
	del lost.checks[2]
	assert verdicts(judgement(lost)) == [("MISS", "PASS")]
	broken_off = judgement(patch(1, "mm: x", check("uml", Outcome.FAIL, "bad")), patch(2, "mm: y"), problem="no room on the disk")
	broken_off.patches[1].checks = []
	assert verdicts(broken_off) == [("FAIL", "PASS"), ("MISS", "MISS")]
	assert [(build["config_name"], build["status"]) for build in kcidb(judgement(lost))["builds"]] == [
		("warnings", "PASS"), ("uml", "PASS"), ("stubs", "MISS")]


def test_each_case_has_a_path_of_its_own_and_one_object():
	cases = ["s.c[__free_pages]", "s.c[free_pages]", "s.c[_free_pages_]", "s.c[free pages]", "s.c[free+pages]", "s.c[1.5]", "s.c[1_5]", "s.c[]",
		 "s.c", "s.c.free_pages", "s_c", "free_pages", "s.c[é]", "s.c[ü]", "s.<case 1>"]
	broken = check("uml", Outcome.FAIL, "bad", *(judgements.found("case", case, "it broke") for case in cases),
		       judgements.found("splat", cases[0], "WARNING: x"), judgements.found("splat", "", "WARNING: y"))
	tests = [test for test in kcidb(judgement(patch(1, "mm: x", broken)))["tests"] if "case" in test.get("misc", {})]
	assert [test["misc"]["case"] for test in tests] == cases
	paths = [test["path"] for test in tests]
	assert paths[:2] == ["pinwait.s.c.__free_pages", "pinwait.s.c.free_pages"] and len(set(paths)) == len(paths)
	assert tests[0]["log_excerpt"] == "it broke\n\nWARNING: x"


def test_patchset_hash_is_that_of_the_files_so_far(tmp_path):
	mails = {"0001.patch": fakes.patch(10, "line 10", "x"), "0002.patch": fakes.patch(20, "line 20", "y").replace("\n", "\r\n"),
		 "0003.patch": fakes.patch(30, "line 30", "z").replace("Why.", "Why.  ")}
	for name, text in mails.items():
		(tmp_path / name).write_bytes(text.encode())
	(tmp_path / "mails").mkdir()
	given = patches.read([str(tmp_path / name) for name in mails], tmp_path / "mails").patches
	what = judgement(*(patch(number, "a", mail_sha256=one.mail_sha256) for number, one in enumerate(given, 1)))
	found = [checkout["patchset_hash"] for checkout in kcidb(what)["checkouts"]]
	for count in (1, 2, 3):
		due = subprocess.run(f"sha256sum {' '.join(list(mails)[:count])} | cut -c-64 | sha256sum | cut -c-64", shell=True, cwd=tmp_path,
				     capture_output=True, text=True, check=True).stdout.strip()
		assert found[count - 1] == due
	assert patchset_hash([]) == ""


def test_mails_of_an_mbox_are_hashed_as_the_files_that_it_was_made_of(tmp_path):
	mails = [fakes.patch(10, "line 10", "x"), fakes.patch(20, "line 20", "y")]
	(tmp_path / "series.mbox").write_text("".join(mails))
	(tmp_path / "mails").mkdir()
	given = patches.read([str(tmp_path / "series.mbox")], tmp_path / "mails").patches
	assert [one.mail_sha256 for one in given] == [hashlib.sha256(mail.encode()).hexdigest() for mail in mails]


def test_patches_of_one_mail_are_one_file():
	one, two = patch(1, "a"), patch(2, "b")
	two.mail_sha256 = one.mail_sha256
	assert patchset_hash([one, two]) == patchset_hash([one])


def test_message_id_that_is_no_address_is_left_out():
	assert "message_id" not in kcidb(judgement(patch(1, "mm: x", message_id="no-at")))["checkouts"][0]


@pytest.mark.parametrize("name", judgements.ALL)
def test_objects_are_well_formed(name):
	"""What KCIDB's schema asks of names and texts; the schema itself is not ours to copy."""
	content = kcidb(judgements.ALL[name]())
	objects = content["checkouts"] + content["builds"] + content["tests"]
	assert len({entry["id"] for entry in objects}) == len(objects)
	assert all(re.fullmatch(r"pinwait:[\w-]+", entry["id"]) and entry["origin"] == "pinwait" for entry in objects)
	assert all(re.fullmatch(r"[\w-]+(\.[\w-]+)*", test["path"]) for test in content["tests"])
	assert all(len(entry.get("log_excerpt", "")) <= EXCERPT and "\0" not in str(entry) for entry in objects)
	known = {entry["id"] for entry in content["checkouts"] + content["builds"]}
	assert all(build["checkout_id"] in known for build in content["builds"])
	assert all(test["build_id"] in known for test in content["tests"])
	places = [(test["build_id"], test["path"]) for test in content["tests"]]
	assert len(set(places)) == len(places)
	assert len([test for test in content["tests"] if test["path"] == "pinwait.verdict"]) == len(judgements.ALL[name]().tried)
