# SPDX-License-Identifier: GPL-2.0
"""What b4 makes of its check commands, written anew from what it does, and a kernel tree small enough to be judged."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import fakes
from pinwait.util.project import PROJECT

PINWAIT = PROJECT / "tools/testing/kunit/pinwait.py"
# Complains of each line that is added and holds "bad".
CHECKPATCH = """#!/bin/sh
for patch; do :; done
grep -q '^+.*bad' "$patch" && printf 'ERROR:BAD: a bad line\\n#9: FILE: mm/migrate.c:9:\\n\\n'
exit 0
"""
DPKG = 'for p in "$@"; do case $p in -*) ;; *) echo "installed $p";; esac; done'


def kernel_tree(folder: Path) -> Path:
	"""Make a developer's tree, in which `gate --checks=static` judges in a second."""
	fakes.user_tree(folder)
	fakes.write(folder, {"scripts/checkpatch.pl": CHECKPATCH, "Documentation/dev-tools/checkpatch.rst": ""})
	(folder / "scripts/checkpatch.pl").chmod(0o755)
	fakes.git(folder, "add", "-f", ".")
	fakes.git(folder, "commit", "-q", "--amend", "-m", "base")
	return folder


def commit(tree: Path, subject: str, line: int, text: str) -> str:
	"""Commit another text of a line of mm/migrate.c; return the commit."""
	path = tree / "mm/migrate.c"
	lines = path.read_text().splitlines()
	lines[line - 1] = text
	path.write_text("\n".join(lines) + "\n")
	fakes.git(tree, "commit", "-q", "-a", "-s", "-m", subject, "-m", "Why.")
	return fakes.git(tree, "rev-parse", "HEAD")


def mail(tree: Path, name: str, prefix: str = "PATCH", *how: str, message_id: str = "") -> str:
	"""Return the mail that b4 makes of a commit."""
	text = fakes.git(tree, *how, "show", "--format=email", "--patch-with-stat", name)
	header = f"Message-Id: <{message_id}>\nSubject: [{prefix}]" if message_id else f"Subject: [{prefix}]"
	return text.replace("Subject: [PATCH]", header, 1) + "\n\n-- \n2.39.5\n"


def command(build: Path, form: str, *more: str) -> str:
	"""Return what stands in .git/config."""
	return shlex.join([sys.executable, str(PINWAIT), "gate", "--kdir=.", f"--print={form}", "--checks=static", "--no-isolation",
			   "--series=none", f"--series-dir={build}", f"--build-root={build}", *more])


def call(config: str, text: str, tree: Path, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[bytes]:
	"""Call a check command in the top folder, with a mail on its standard input."""
	return subprocess.run(shlex.split(config), input=text.encode(), cwd=tree, env={**os.environ, **(env or {})}, capture_output=True)


def prep(done: subprocess.CompletedProcess[bytes]) -> list[tuple[str, str]]:
	"""Return what `b4 prep --check` shows: every line by itself, standard error as failures, the exit code if there is none."""
	rows = [("fail" if "ERROR:" in row else "warning", row) for row in done.stdout.decode(errors="replace").strip().split("\n") if row]
	rows += [("fail", row) for row in done.stderr.decode(errors="replace").strip().split("\n") if row]
	return rows or [("fail" if done.returncode else "success", "")]


def review(done: subprocess.CompletedProcess[bytes]) -> dict[str, str]:
	"""Return the one result that `b4 review` keeps and shows."""
	if not done.stdout.strip():
		assert done.returncode, "b4 would show nothing at all"
		return {"tool": "pinwait.py", "status": "fail", "summary": "", "details": done.stderr.decode()}
	entry, = json.loads(done.stdout)
	return dict(entry)


def tracking(tree: Path, commits: list[str], message_ids: list[str]) -> dict[str, object]:
	"""Put commits on a branch for review, as `b4 review` does, and return what its file says of them."""
	fakes.git(tree, "checkout", "-q", "-b", "b4/review/20261129-wait", commits[-1])
	fakes.git(tree, "commit", "-q", "--allow-empty", "-m", "cover\n\n--- b4-review-tracking ---\n{}")
	fakes.git(tree, "checkout", "-q", "master")
	return {"series": {"change-id": "20261129-wait-067e7b645052", "first-patch-commit": commits[0], "revision": 1},
		"followups": [], "patches": [{"title": "", "header-info": {"msgid": name}} for name in message_ids]}
