# SPDX-License-Identifier: GPL-2.0
"""The answer to the mail of a patch."""

import email
import shlex

import pytest

import judgements
from judgements import check, found, judgement, patch
from pinwait.log.results import Outcome
from pinwait.report.reply import reply

REPORTER = "A Tester <tester@example.org>"


def _parts(text):
	mail = email.message_from_string(text)
	return mail, mail.get_payload()


def _unfolded(text):
	return " ".join(text.split())


def test_answers_the_first_failed_patch():
	mail, body = _parts(reply(judgements.failing_case(), REPORTER))
	assert mail["Subject"] == "Re: [PATCH 2/3] mm/migrate: fail at once"
	assert mail["In-Reply-To"] == mail["References"] == "<20261123-2@example.org>"
	assert mail["To"] == "A Developer <dev@example.org>"
	assert body.startswith("Hi A,\n\npinwait noticed new failures with this patch:\n\n[gate FAIL on linux-source-7.3 ")
	assert f"| Reported-by: {REPORTER}\n" in body
	assert ">> case migrate_longterm_pin.transient_reference[shmem] (in 5/5 boots, before\n   the patch in 0/5)\n" in body
	assert "   Expected folio_migration_run(m) == 0, but\n" in body


def test_states_base_configuration_and_commands():
	_, body = _parts(reply(judgements.failing_case()))
	for row in ("base:           linux-source-7.3 7.3.4-1 and the series rfc", "config:         uml\n",
		    "compiler:       gcc 12.2.0\n", "patch subject:  [PATCH 2/3] mm/migrate: fail at once\n"):
		assert f"\n{row}" in body
	again = body.split("reproduce:\n")[1].split("\n\n")[0]
	assert shlex.split(again.replace("\\\n", "")) == shlex.split(judgements.COMMAND)


def test_tag_only_where_a_commit_can_mend_it():
	style = found("sign-off", "", "no Signed-off-by")
	only_style = judgement(patch(1, "mm: x", check("static", Outcome.FAIL, "no sign-off", style)))
	assert "Reported-by" not in reply(only_style, REPORTER) and "no Signed-off-by" in reply(only_style, REPORTER)
	assert "Reported-by" not in reply(judgements.failing_case())
	for make in (judgements.good, judgements.cannot_judge, judgements.no_input):
		assert "Reported-by" not in reply(make(), REPORTER)


def test_good_series():
	mail, body = _parts(reply(judgements.good(3)))
	assert mail["Subject"].startswith("Re: [PATCH 1/3]")
	assert "pinwait found no regression with this series.\n\n[gate PASS on " in body
	assert "  3 pass  [PATCH 3/3] mm/migrate: say how long to wait\n          static, warnings, stubs, uml 638 cases\n" in body
	assert "not executed: mm/migrate.c:1204" in body and "Not checked:\n- sparse: not installed\n" in body


def test_what_does_not_apply_is_told_with_the_nearest_base():
	mail, body = _parts(reply(judgements.cannot_judge()))
	assert mail["In-Reply-To"] == "<20261123-2@example.org>"
	assert "[gate NOT JUDGED on " in body and "[it does apply to v7.2-rc3 (3 commits away)]" in body
	assert "does not apply: mm/migrate.c:1204" in _unfolded(body) and "--base" in body


def test_series_that_repairs_itself():
	_, body = _parts(reply(judgements.broken_build(), REPORTER))
	assert "Patch 2 repairs this, but each patch has to pass by itself" in body
	assert body.count(">> error mm/migrate.c:1204\n") == 1
	assert "New, but informational:\n- mm/migrate.c:1204: WARNING: line length" in body


def test_without_a_patch_there_is_nobody_to_answer():
	text = reply(judgements.no_input())
	assert text.startswith("Hi,\n\npinwait could not judge") and "[series.mbox: there is no patch in it]" in text


@pytest.mark.parametrize("name", judgements.ALL)
def test_is_narrow_and_plain(name):
	text = reply(judgements.ALL[name](), REPORTER)
	assert max(map(len, text.splitlines())) < 78
	assert "\033" not in text and "\0" not in text and "\u202e" not in text


def test_patch_cannot_forge_headers_or_the_end():
	mail, body = _parts(reply(judgements.hostile()))
	assert set(mail.keys()) == {"To", "Subject"}
	assert body.count("\n-- \n") == 1 and body.endswith(f"\n-- \npinwait {'cd' * 6}\n")


def test_long_words_are_kept_or_broken_as_they_have_to_be():
	what = judgement(patch(1, "mm: x", check("uml", Outcome.FAIL, "bad", found("case", "a.b", "x" * 200 + "\n" + "row\n" * 60))),
			 command="pinwait.py gate " + "y" * 100)
	text = reply(what)
	assert "x" * 78 not in text and "y" * 100 in text and "... 37 more lines" in text


def test_very_many_failures():
	text = reply(judgement(patch(1, "mm: x", check("uml", Outcome.FAIL, "bad", *judgements.failures(200)))))
	assert len(text.splitlines()) < 90 and "\nand 172 more\n" in text


def test_command_does_not_tell_where_we_have_the_tool():
	text = reply(judgement(patch(1, "mm: x"), command="/home/me/pinwait/tools/testing/kunit/pinwait.py gate x.mbox"))
	assert "\n        tools/testing/kunit/pinwait.py gate x.mbox\n" in text and "/home/me" not in text
