# SPDX-License-Identifier: GPL-2.0
"""A judgement as KCIDB objects."""

import hashlib
import re

import pytest

import judgements
from judgements import check, judgement, patch
from pinwait.results import Outcome
from pinwait.tell.kcidb import EXCERPT, kcidb, patchset_hash


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
		       ("pinwait.migrate_wakeup_key.balance", "FAIL")]
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
	assert "patchset_hash" not in last and not [build for build in content["builds"] if build["checkout_id"] == last["id"]]


def test_patchset_hash_is_that_of_the_patches_so_far():
	first, second = (hashlib.sha256(text).hexdigest() for text in (b"one", b"two"))
	what = judgement(patch(1, "a", sha256=first), patch(2, "b", sha256=second))
	due = [hashlib.sha256(f"{first}\n".encode()).hexdigest(), hashlib.sha256(f"{first}\n{second}\n".encode()).hexdigest()]
	assert [checkout["patchset_hash"] for checkout in kcidb(what)["checkouts"]] == due
	assert patchset_hash([]) == ""


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
