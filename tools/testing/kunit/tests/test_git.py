# SPDX-License-Identifier: GPL-2.0
"""Patches become commits without a work tree: the same ones that git am makes."""

import pytest

from pinwait.util.git import Git
from pinwait.util.proc import CommandFailed

HEAD = "From: A Developer <dev@localhost>\nDate: Mon, 5 Jan 2026 10:00:00 +0000\nSubject: [PATCH] "
DIFF = "diff --git a/a b/a\n--- a/a\n+++ b/a\n@@ -1,2 +1,2 @@\n one\n-two\n+2\n"
MAILS = {
	"plain": f"{HEAD}[mm] change it\n\nWhy.\n\nSigned-off-by: A Developer <dev@localhost>\n---\n a | 2 +-\n\n{DIFF}--\n2.39.5\n",
	"mbox": f"From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001\n{HEAD}change it\n\n{DIFF}",
	"encoded": "From: =?iso-8859-1?q?J=F6rg?= <j@localhost>\nDate: Mon, 5 Jan 2026 10:00:00 +0100\n"
		   "Subject: [PATCH] =?utf-8?q?=C3=A4ndern?=\nMIME-Version: 1.0\nContent-Type: text/plain; charset=iso-8859-1\n"
		   "Content-Transfer-Encoding: quoted-printable\n\nF=FCr alle.\n---\n" + DIFF.replace("+2", "+2 =3D zwei"),
	"for another": f"{HEAD}change it\n\nFrom: B Other <b@localhost>\n\nWhy.\n---\n{DIFF}",
	"long subject": f"{HEAD}{'change ' * 8}\n it\n\n{DIFF}",
	"carriage returns": f"{HEAD}change it\n\n---\ndiff --git a/dos b/dos\n--- a/dos\n+++ b/dos\n@@ -1,2 +1,2 @@\n one\r\n-two\r\n+2\r\n",
	"files": f"{HEAD}move it\n\n---\ndiff --git a/a b/d/b\nold mode 100644\nnew mode 100755\nsimilarity index 100%\n"
		 "rename from a\nrename to d/b\ndiff --git a/dos b/dos\ndeleted file mode 100644\n--- a/dos\n+++ /dev/null\n"
		 "@@ -1,2 +0,0 @@\n-one\r\n-two\r\ndiff --git a/new b/new\nnew file mode 100644\n--- /dev/null\n+++ b/new\n@@ -0,0 +1 @@\n+new\n",
}


@pytest.fixture
def repository(tmp_path):
	"""A repository with two files in its work tree."""
	git = Git(tmp_path)
	git.init()
	(tmp_path / "a").write_bytes(b"one\ntwo\n")
	(tmp_path / "dos").write_bytes(b"one\r\ntwo\r\n")
	git("add", "a", "dos")
	git("commit", "-q", "-m", "base")
	return git


@pytest.mark.parametrize("name", MAILS)
def test_commits_are_those_of_git_am(repository, name):
	base = repository("rev-parse", "HEAD")
	with repository.stack(base) as stack:
		stack.push(MAILS[name])
		assert repository("rev-parse", "HEAD") == base
		assert not repository("status", "--porcelain")
	repository("am", "-q", "--keep-non-patch", "--keep-cr", stdin=MAILS[name])
	assert repository("rev-parse", "HEAD") != base
	assert repository("log", "-1", "--format=fuller", stack.commit) == repository("log", "-1", "--format=fuller", "HEAD")


def test_goes_on_after_a_patch_that_does_not_apply(repository):
	base = repository("rev-parse", "HEAD")
	with repository.stack(base) as stack:
		stack.push(MAILS["plain"])
		first = stack.commit
		for mail, why in ((MAILS["plain"], "patch failed: a:1"), ("no mail at all", "No valid patches"),
				  (MAILS["files"].replace("from a", "from none").replace("a/a", "a/none"), "none: does not exist")):
			with pytest.raises(CommandFailed, match=why):
				stack.push(mail)
			assert stack.commit == first
		stack.push(MAILS["carriage returns"])
	assert repository("rev-list", stack.commit).split()[1:] == [first, base]
	assert repository("cat-file", "blob", f"{stack.commit}:a") == "one\n2"


def test_what_is_there_can_be_taken_back(repository):
	with repository.stack("HEAD") as stack:
		assert not stack.take_back(MAILS["plain"])
		stack.push(MAILS["plain"])
		assert stack.take_back(MAILS["plain"]) and not stack.take_back(MAILS["plain"])


def test_a_bare_diff_has_no_author(repository):
	with repository.stack("HEAD") as stack:
		stack.push(DIFF)
	assert repository("log", "-1", "--format=%an %B", stack.commit).strip() == "pinwait"
