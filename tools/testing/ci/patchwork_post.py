#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Post the checks of the gate's patchwork.json to the patches of a Patchwork server.

    PATCHWORK_TOKEN=... patchwork_post.py --server=https://patchwork.kernel.org --project=linux-mm patchwork.json

A check is posted only to the one patch with exactly its Message-ID: a server without that filter, or asked for an
empty id, answers with all of its patches. The script names each check that it did not post, and then exits with 1;
wrong use is 64. It needs only Python.
"""

import argparse
import json
import os
import sys
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

API = "api/1.2"		# the first version that finds patches by Message-ID
TOKEN = "PATCHWORK_TOKEN"
TIMEOUT = 60		# seconds for an answer
USAGE = 64
SHOWN = 300		# characters of a server's message
STATES = ("success", "warning", "fail")		# from good to bad


class NotPosted(Exception):
	"""A check cannot be posted; the text says why."""


class _NoRedirects(urllib.request.HTTPRedirectHandler):
	"""Treat a redirection as a failure: following it would turn a POST into a GET, which succeeds and posts nothing."""

	def redirect_request(self, *_arguments: Any) -> None:
		"""Follow no redirection."""


class Server:
	"""A project on a Patchwork server."""

	def __init__(self, url: str, project: str, token: str):
		self.url, self.project, self.token = f"{url.rstrip('/')}/{API}", project, token
		self.opener = urllib.request.build_opener(_NoRedirects)

	def patch(self, message_id: str) -> int:
		"""Return the number of the patch with a Message-ID. Raises NotPosted unless there is exactly one."""
		query = urllib.parse.urlencode({"project": self.project, "msgid": message_id})
		found = self._ask(f"patches/?{query}")
		if not isinstance(found, list):
			raise NotPosted(f"{self.url}/patches/ answers with no list of patches")
		try:
			numbers = [int(patch["id"]) for patch in found if patch["msgid"] == f"<{message_id}>"
				   and patch["project"]["link_name"].lower() == self.project.lower()]
		except (KeyError, TypeError, ValueError, AttributeError) as error:
			raise NotPosted(f"{self.url}/patches/ answers with something that is no patch: {error!r}") from error
		if len(numbers) != 1:
			raise NotPosted(f"{self.url} has {len(numbers) or 'no'} patches <{message_id}> in project {self.project}")
		return numbers[0]

	def post(self, patch: int, check: dict[str, str]) -> None:
		"""Post a check. Raises NotPosted with the server's message."""
		made = self._ask(f"patches/{patch}/checks/", check)
		if not isinstance(made, dict) or made.get("state") != check["state"]:
			raise NotPosted(f"{self.url}/patches/{patch}/checks/ does not answer with the check that was posted")

	def _ask(self, path: str, content: dict[str, str] | None = None) -> Any:
		"""Send a request and return the JSON answer."""
		request = urllib.request.Request(f"{self.url}/{path}", headers={"Accept": "application/json"})
		if content is not None:
			request.data = json.dumps(content).encode()
			request.add_header("Content-Type", "application/json")
			request.add_header("Authorization", f"Token {self.token}")
		try:
			with self.opener.open(request, timeout=TIMEOUT) as answer:
				return json.loads(answer.read())
		except urllib.error.HTTPError as error:
			said = " ".join(error.read().decode("utf-8", "replace").split())[:SHOWN]
			place = error.headers.get("Location")
			raise NotPosted(f"{error.url} answers {error.code} {error.reason}"
					+ (f" (give --server its new address: {place})" if place else f": {said}")) from error
		except ValueError as error:
			raise NotPosted(f"{request.full_url} does not answer with JSON") from error
		except OSError as error:
			raise NotPosted(f"{request.full_url}: {getattr(error, 'reason', error)}") from error


def main() -> int:
	"""Post the checks of a file; return the exit code."""
	parser = argparse.ArgumentParser(description="Post the checks of a patchwork.json to a Patchwork server.",
					 epilog=f"The API token is taken from {TOKEN} in the environment.")
	parser.add_argument("--server", required=True, metavar="URL", help="as https://patchwork.kernel.org")
	parser.add_argument("--project", required=True, metavar="NAME", help="its name in the server's URLs, as linux-mm")
	parser.add_argument("--dry-run", action="store_true", help="look the patches up and post nothing")
	parser.add_argument("file", help="patchwork.json of a results folder")
	try:
		arguments = parser.parse_args()
		if not arguments.dry_run and not os.environ.get(TOKEN):
			parser.error(f"{TOKEN} is not set")
		entries = _by_mail(_read(arguments.file))
	except SystemExit as end:
		return USAGE if end.code else 0
	except (OSError, ValueError, KeyError, TypeError) as error:
		print(f"{arguments.file} is no patchwork.json with checks: {error}", file=sys.stderr)
		return USAGE
	server = Server(arguments.server, arguments.project, os.environ.get(TOKEN, ""))
	failures = 0
	for entry in entries:
		name = f"patch {entry['number']}: {entry['check']['state']}"
		try:
			if not entry["message_id"]:
				raise NotPosted("its mail has no Message-ID, without which the server cannot find it")
			patch = server.patch(entry["message_id"])
			if not arguments.dry_run:
				server.post(patch, entry["check"])
			print(f"{name}: {'would be posted' if arguments.dry_run else 'posted'} to {server.url}/patches/{patch}/")
		except NotPosted as error:
			failures += 1
			print(f"{name}: not posted: {error}", file=sys.stderr)
	return 1 if failures else 0


def _read(path: str) -> list[dict[str, Any]]:
	"""Return the entries of a file. Raises OSError, ValueError, KeyError or TypeError if they are none."""
	with open(path, encoding="utf-8") as file:
		entries: list[dict[str, Any]] = json.load(file)
	if not entries:
		raise ValueError("it has no checks")
	for entry in entries:
		STATES.index(entry["check"]["state"])
		if not isinstance(entry["message_id"], str) or not isinstance(entry["number"], int):
			raise TypeError("an entry has no number or no message_id")
	return entries


def _by_mail(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
	"""Return one entry for each mail, the worst: of several checks in one context, Patchwork shows the last."""
	kept: dict[object, dict[str, Any]] = {}
	for entry in entries:
		key = entry["message_id"] or entry["number"]
		other = kept.setdefault(key, entry)
		if STATES.index(entry["check"]["state"]) > STATES.index(other["check"]["state"]):
			kept[key] = entry
	return list(kept.values())


if __name__ == "__main__":
	sys.exit(main())
