# SPDX-License-Identifier: GPL-2.0
"""The folder that a judgement leaves."""

import json

import pytest

import judgements
from pinwait.report import files
from pinwait.report.files import FILES, REPORTER, write_all
from pinwait.report.judgement import from_json

NAMES = {"judgement.json", "junit.xml", "judgement.ktap", "kcidb.json", "reply.md", "judgement.html", "patchwork.json"}


@pytest.mark.parametrize("name", judgements.ALL)
def test_every_file_is_there(name, tmp_path):
	judgement = judgements.ALL[name]()
	write_all(judgement, tmp_path)
	assert {path.name for path in tmp_path.iterdir()} == NAMES == set(FILES)
	assert from_json(json.loads((tmp_path / "judgement.json").read_text(encoding="utf-8"))) == judgement
	assert len(json.loads((tmp_path / "patchwork.json").read_text(encoding="utf-8"))) == len(judgement.tried)
	assert all(path.stat().st_size for path in tmp_path.iterdir())


def test_mail_that_was_no_utf8(tmp_path):
	judgement = judgements.judgement(judgements.patch(1, "caf\udce9 \u00e9"))
	write_all(judgement, tmp_path)
	assert from_json(json.loads((tmp_path / "judgement.json").read_text(encoding="utf-8"))) == judgement
	assert "caf\\udce9 \u00e9" in (tmp_path / "judgement.html").read_text(encoding="utf-8")


def test_what_was_there_stays_until_the_new_is_whole(tmp_path, monkeypatch, capsys):
	write_all(judgements.good(), tmp_path)
	before = (tmp_path / "judgement.html").read_text(encoding="utf-8")

	def fails(judgement):
		raise OSError("no room")
	monkeypatch.setitem(files.FILES, "judgement.html", fails)
	write_all(judgements.failing_case(), tmp_path)
	assert "judgement.html could not be written: no room" in capsys.readouterr().err
	assert (tmp_path / "judgement.html").read_text(encoding="utf-8") == before
	assert json.loads((tmp_path / "judgement.json").read_text(encoding="utf-8"))["verdict"]["first_failed"] == 2


def test_reporter_comes_from_the_environment(tmp_path, monkeypatch):
	monkeypatch.setenv(REPORTER, "A Tester <tester@example.org>")
	write_all(judgements.failing_case(), tmp_path)
	assert "| Reported-by: A Tester <tester@example.org>\n" in (tmp_path / "reply.md").read_text(encoding="utf-8")
