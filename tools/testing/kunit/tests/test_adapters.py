# SPDX-License-Identifier: GPL-2.0
"""What b4, Patchwork and git bisect are told."""

import io
import json
import re
from dataclasses import replace

import pytest

import judgements
from judgements import check, found, judgement, patch
from pinwait.log.results import Outcome
from pinwait.report.adapters import DESCRIPTION, FORMS, b4_prep, b4_review, bisect_code, headline, patchwork, patchwork_checks
from pinwait.util.errors import UsageError


def _review(what, **more):
	entry, = json.loads(b4_review(replace(what, **more)))
	return entry


def _remark():
	return found("checkpatch", "mm/x.c:1", "ERROR: trailing whitespace", held=False)


def test_b4_prep_is_silent_if_all_is_good():
	assert b4_prep(judgements.good()) == ""


def test_b4_prep_has_a_line_a_failure():
	rows = b4_prep(judgements.failing_case()).splitlines()
	assert [row.startswith("ERROR: uml: ") for row in rows] == [True] * 4 + [False]
	assert judgements.WAITS in rows[0] and "Expected folio_migration_run(m) == 0, but" in rows[0] and "(in 5/5 boots" in rows[0]
	assert rows[-1] == f"reproduce: {judgements.COMMAND}"


def test_b4_prep_does_not_fail_for_what_is_not_held():
	text = b4_prep(judgement(patch(1, "mm: x", check("static", Outcome.PASS, "style", _remark()))))
	assert text == "static: mm/x.c:1: error: trailing whitespace\n"
	assert "ERROR:" not in b4_prep(judgements.cannot_judge())
	assert b4_prep(judgements.cannot_judge()).startswith("cannot judge: patch 2: apply: ")


def _unseen():
	return judgement(patch(1, "mm: x", check("coverage", Outcome.NOT_SEEN, "none of the 3 changed lines is executed")))


def test_what_is_not_seen_is_a_warning():
	assert b4_prep(_unseen()) == "not seen: coverage: none of the 3 changed lines is executed\n"
	entry = _review(_unseen())
	assert (entry["status"], entry["summary"]) == ("warn", "not seen: coverage: none of the 3 changed lines is executed")
	assert patchwork(_unseen().patches[0])["state"] == "warning"


@pytest.mark.parametrize("make, code, text", [
	(judgements.good, 0, "1 patch, no regression found by static, "),
	(_unseen, 250, "not seen: coverage: none of the 3 changed lines is executed"),
	(judgements.broken_build, 1, "patch 1: does not build: mm/migrate.c:1204:9: error: implicit declaration of function"),
	(judgements.failing_case, 1, f"patch 2: {judgements.WAITS}: Expected folio_migration_run(m) == 0, but"),
	(judgements.cannot_judge, 250, "cannot judge: patch 2: apply: does not apply: mm/migrate.c:1204"),
	(judgements.no_input, 250, "cannot judge: series.mbox: there is no patch in it"),
])
def test_nipa_is_told_what_was_found(make, code, text, capfd):
	report = io.StringIO()
	assert FORMS["nipa"].answer(make(), report) == code
	out, err = capfd.readouterr()
	assert out.startswith(text) and out.count("\n") == 1 and len(out) <= DESCRIPTION + 1 and err == ""
	assert make().reason in report.getvalue()


def test_short_line_ends_between_letters():
	what = judgement(patch(1, "mm: x", check("uml", Outcome.FAIL, "bad", *(found("case", f"a.b{number}", "ü" * 300 + str(number))
									      for number in range(2)))))
	assert headline(what) == f"a.b0: {'ü' * (DESCRIPTION - 22)}... (and 1 more)" and len(headline(what)) == DESCRIPTION


def test_b4_prep_always_fails_what_is_bad():
	bare = judgement(patch(1, "mm: x", check("uml", Outcome.FAIL, "bad without a finding")))
	assert b4_prep(bare).startswith("ERROR: uml: bad without a finding\n")
	assert [row.count("ERROR:") for row in b4_prep(judgements.hostile()).splitlines()] == [1, 1, 0]


@pytest.mark.parametrize("name, status", [
	("good", "pass"), ("failing_case", "fail"), ("cannot_judge", "warn"), ("no_input", "warn"), ("hostile", "fail")])
def test_b4_review_status(name, status):
	entry = _review(judgements.ALL[name](), report_url="https://example.org/1")
	assert (entry["tool"], entry["status"], entry["url"]) == ("pinwait", status, "https://example.org/1")
	assert entry["summary"] and "\n" not in entry["summary"]
	assert ("reproduce: " in entry["details"]) == (name != "no_input")	# a mail on standard input is gone


def test_b4_review_tells_remarks_and_details():
	entry = _review(judgement(patch(1, "mm: x", check("static", Outcome.PASS, "style", _remark()))))
	assert entry["status"] == "warn" and "trailing whitespace" in entry["details"]
	details = _review(judgements.failing_case())["details"]
	assert "patch 2, uml: case" in details and "EXPECTATION FAILED" in details and "base: linux-source" in details


def test_patchwork_check():
	first, second, _ = judgements.failing_case().patches
	assert patchwork(first) == {"state": "success", "context": "pinwait", "description": "4 checks, nothing new"}
	bad = patchwork(second, "https://example.org/2")
	assert bad["state"] == "fail" and bad["target_url"] == "https://example.org/2"
	assert bad["description"].startswith(judgements.WAITS) and bad["description"].endswith("(and 3 more)")
	assert patchwork(judgements.cannot_judge().patches[1])["state"] == "warning"


@pytest.mark.parametrize("name", judgements.ALL)
def test_patchwork_takes_it(name):
	for entry in patchwork_checks(judgements.ALL[name]()):
		body = entry["check"]
		assert body["state"] in ("success", "warning", "fail") and re.fullmatch(r"[\w-]{1,255}", body["context"])
		assert "\n" not in body["description"] and 0 < len(body["description"]) <= DESCRIPTION


def test_patchwork_finds_the_patch():
	assert [entry["message_id"] for entry in patchwork_checks(judgements.good(2))] == [
		"20261123-1@example.org", "20261123-2@example.org"]


def test_bisect_goes_on_after_a_verdict_only():
	assert [bisect_code(code) for code in (0, 1, 125, 2, UsageError.exit_code, 77)] == [0, 1, 125, 128, 128, 128]
	assert bisect_code(130) == 130	# interrupted: bisect is to stop, not to go on


def test_very_many_failures():
	what = judgement(patch(1, "mm: x", check("uml", Outcome.FAIL, "bad", *judgements.failures(200))))
	assert "ERROR: 195 more failures\n" in b4_prep(what) and len(b4_prep(what).splitlines()) == 7
	assert "and 195 more" in _review(what)["details"]
