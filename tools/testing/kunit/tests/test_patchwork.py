# SPDX-License-Identifier: GPL-2.0
"""Checks are posted to the patches that they are about, on a server that answers as Patchwork 3.2 does, or not at all."""

import http.server
import json
import os
import re
import subprocess
import sys
import threading
import urllib.parse

import pytest

import judgements
from judgements import check, judgement, patch
from pinwait.log.results import Outcome
from pinwait.report.files import FILES
from pinwait.util.project import PROJECT

POST = PROJECT / "tools/testing/ci/patchwork_post.py"
TOKEN = "0123456789abcdef"
OLDEST = "<the-oldest@example.org>"


class _Patchwork(http.server.BaseHTTPRequestHandler):
	"""What Patchwork's REST API does with the two requests that a check takes."""

	def do_GET(self):
		url = urllib.parse.urlsplit(self.path)
		query = {name: values[-1].strip() for name, values in urllib.parse.parse_qs(url.query, keep_blank_values=True).items()}
		found = list(self.server.patches)
		if url.path != "/api/1.2/patches/":
			return self._answer(404, {"detail": "Not found."})
		# A filter without a value filters nothing, and no filter does on a server that does not know it.
		if query.get("project") and "project" in found[0]:
			found = [one for one in found if one["project"]["link_name"].lower() == query["project"].lower()]
		if query.get("msgid") and self.server.knows_msgid:
			found = [one for one in found if one["msgid"] == f"<{query['msgid']}>"]
		return self._answer(200, found[:30])

	def do_POST(self):
		body = self.rfile.read(int(self.headers["Content-Length"]))
		place = re.fullmatch(r"/api/1\.2/patches/(\d+)/checks/", self.path)
		if self.server.moved_to:
			return self._answer(301, {}, Location=self.server.moved_to + self.path)
		if self.headers.get("Authorization") != f"Token {TOKEN}":
			return self._answer(403, {"detail": "Invalid token."})
		if not place or int(place[1]) not in [one["id"] for one in self.server.patches]:
			return self._answer(404, {"detail": "Not found."})
		if self.headers.get("Content-Type") != "application/json":
			return self._answer(415, {"detail": "Unsupported media type."})
		sent = json.loads(body)
		if sent.get("state") not in ("pending", "success", "warning", "fail"):
			return self._answer(400, {"state": ["A check must have a state."]})
		if not re.fullmatch(r"[-\w]{1,255}", sent.get("context", "default")):
			return self._answer(400, {"context": ["Enter a valid 'slug' consisting of letters, numbers, underscores or hyphens."]})
		if len(sent.get("target_url", "http://x")) > 200 or not re.match("https?://", sent.get("target_url", "http://x")):
			return self._answer(400, {"target_url": ["Enter a valid URL."]})
		self.server.posted.append((int(place[1]), sent))
		return self._answer(201, {"id": len(self.server.posted), "target_url": None, **sent})

	def _answer(self, code, content, **headers):
		body = json.dumps(content).encode() if self.server.speaks_json else b"<html>sign in</html>"
		self.send_response(code)
		for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
			self.send_header(name, value)
		self.end_headers()
		self.wfile.write(body)

	def log_message(self, *_arguments):
		"""Say nothing."""


@pytest.fixture
def server():
	"""A server with a patch of somebody else's, which is its oldest, and the two of the sample series."""
	with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Patchwork) as made:
		names = [OLDEST, "<20261123-1@example.org>", "<20261123-2@example.org>"]
		made.patches = [{"id": number, "msgid": name, "project": {"link_name": "linux-mm"}} for number, name in enumerate(names, 1)]
		made.posted, made.knows_msgid, made.speaks_json, made.moved_to = [], True, True, ""
		made.url = f"http://127.0.0.1:{made.server_port}"
		threading.Thread(target=made.serve_forever, args=(0.01,), daemon=True).start()
		yield made
		made.shutdown()


def _post(server, what, tmp_path, *more, token=TOKEN, project="linux-mm"):
	path = tmp_path / "patchwork.json"
	path.write_text(FILES["patchwork.json"](what) if hasattr(what, "patches") else what, encoding="utf-8")
	done = subprocess.run([sys.executable, POST, f"--server={server.url}", f"--project={project}", *more, path],
			      env={**os.environ, "PATCHWORK_TOKEN": token, "no_proxy": "*"}, capture_output=True, text=True)
	assert "Traceback" not in done.stderr and TOKEN not in done.stdout + done.stderr
	return done


def test_each_check_gets_to_its_patch(server, tmp_path):
	what = judgements.good(2)
	done = _post(server, what, tmp_path)
	assert done.returncode == 0 and done.stderr == ""
	assert done.stdout.splitlines() == [f"patch {number}: success: posted to {server.url}/api/1.2/patches/{number + 1}/" for number in (1, 2)]
	assert server.posted == [(number + 1, {"state": "success", "context": "pinwait", "description": "4 checks, nothing new"})
				 for number in (1, 2)]


# What Patchwork keeps of the header, by its find_message_id(), is what stands between the first brackets.
@pytest.mark.parametrize("name", ["no-at-sign", "two@at@signs", "with a@space.org", '"quoted part"@example.org', "a+b&c=d#e?f/%41@x", "é@x"])
def test_odd_ids_are_found(server, tmp_path, name):
	server.patches[2]["msgid"] = f"<{name}>"
	assert _post(server, judgement(patch(1, "mm: x", message_id=name)), tmp_path).returncode == 0
	assert [number for number, _ in server.posted] == [3]


@pytest.mark.parametrize("name", ["", " ", "<>", "a\nb@x", "unknown@example.org"])
def test_patch_that_the_server_does_not_have_is_named_and_nobody_gets_its_check(server, tmp_path, name):
	what = judgement(patch(1, "mm: x", message_id=name), patch(2, "mm: y"))
	done = _post(server, what, tmp_path)
	assert done.returncode == 1 and done.stderr.startswith("patch 1: success: not posted: ")
	assert [number for number, _ in server.posted] == [3]


def test_server_that_does_not_know_the_filter_gets_nothing_for_its_oldest_patch(server, tmp_path):
	server.knows_msgid = False
	assert _post(server, judgement(patch(1, "mm: x", message_id="unknown@example.org")), tmp_path).returncode == 1
	assert not server.posted
	assert _post(server, judgements.good(), tmp_path).returncode == 0
	assert [number for number, _ in server.posted] == [2]


def test_same_mail_in_another_project_is_not_meant(server, tmp_path):
	server.patches.insert(0, {"id": 7, "msgid": "<20261123-1@example.org>", "project": {"link_name": "lkml"}})
	assert _post(server, judgements.good(), tmp_path).returncode == 0
	assert _post(server, judgements.good(), tmp_path, project="LKML").returncode == 0
	assert [number for number, _ in server.posted] == [2, 7]
	done = _post(server, judgements.good(), tmp_path, project="nobodys")
	assert done.returncode == 1 and "has no patches <20261123-1@example.org> in project nobodys" in done.stderr


@pytest.mark.parametrize("spoil, said", [
	(lambda server: setattr(server, "moved_to", "https://elsewhere.example.org"), "answers 301 Moved Permanently (give --server"),
	(lambda server: setattr(server, "speaks_json", False), "does not answer with JSON"),
	(lambda server: setattr(server, "url", server.url + "/old"), 'answers 404 Not Found: {"detail": "Not found."}'),
	(lambda server: setattr(server, "url", "http://127.0.0.1:1"), "Connection refused"),
	(lambda server: [one.pop("project") for one in server.patches], "something that is no patch"),
])
def test_server_that_does_not_take_it(server, tmp_path, spoil, said):
	spoil(server)
	done = _post(server, judgements.good(), tmp_path)
	assert done.returncode == 1 and said in done.stderr and not server.posted


def test_wrong_token_is_told_in_the_servers_words(server, tmp_path):
	done = _post(server, judgements.good(), tmp_path, token="wrong")
	assert done.returncode == 1 and 'answers 403 Forbidden: {"detail": "Invalid token."}' in done.stderr
	assert _post(server, judgements.good(), tmp_path, token="").returncode == 64


def test_of_two_patches_in_one_mail_the_worse_is_told(server, tmp_path):
	bad, good = patch(1, "mm: x", check("uml", Outcome.FAIL, "bad")), patch(2, "mm: y", message_id="20261123-1@example.org")
	for order in ((bad, good), (good, bad)):
		bad.message_id = good.message_id
		assert _post(server, judgement(*order), tmp_path).returncode == 0
		assert [(number, sent["state"]) for number, sent in server.posted] == [(2, "fail")]
		server.posted.clear()


def test_dry_run_posts_nothing(server, tmp_path):
	done = _post(server, judgements.good(), tmp_path, "--dry-run", token="")
	assert done.returncode == 0 and "would be posted to" in done.stdout and not server.posted


@pytest.mark.parametrize("content", ["[]", "{}", "no JSON", '[{"number": 1}]', '[{"number": 1, "message_id": null, "check": {"state": "fail"}}]',
				     '[{"number": 1, "message_id": "a@b", "check": {"state": "good"}}]'])
def test_file_without_checks_is_wrong_use(server, tmp_path, content):
	done = _post(server, content, tmp_path)
	assert done.returncode == 64 and "is no patchwork.json with checks" in done.stderr and not server.posted


def test_judgement_without_a_patch_leaves_nothing_to_post(server, tmp_path):
	assert _post(server, judgements.no_input(), tmp_path).returncode == 64
