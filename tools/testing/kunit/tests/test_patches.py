# SPDX-License-Identifier: GPL-2.0
"""Patches are read whatever mail they come in, and what must not be applied is refused."""

import base64
import gzip
import io
import quopri
import subprocess
import sys

import fakes
import pytest

from pinwait import patches
from pinwait.errors import CannotJudge, UsageError

GOOD = fakes.patch(20, "line 20", "line twenty")
DIFF = GOOD[GOOD.index("diff --git"):GOOD.index("--\n2.39.5")]


def _read(tmp_path, text, name="in.patch"):
	"""Read one input, bytes or text."""
	file = tmp_path / name
	file.write_bytes(text if isinstance(text, bytes) else text.encode())
	scratch = tmp_path / "scratch"
	scratch.mkdir()
	return patches.read([str(file)], scratch)


def _series(count, total=None, version=""):
	return "".join(GOOD.replace("[PATCH] change it", f"[PATCH{version} {number}/{total or count}] change {number}")
		       .replace("twenty", f"twenty {number}") for number in range(1, count + 1))


def _mail(encoding, payload):
	head, _, body = GOOD.partition("\n\n")
	return (head + f"\nMIME-Version: 1.0\nContent-Type: text/plain; charset=UTF-8\nContent-Transfer-Encoding: {encoding}\n\n"
		).encode() + payload(body.encode())


def test_a_patch(tmp_path):
	patch = _read(tmp_path, GOOD.replace("Subject:", "Message-ID: <a@b>\nSubject:")).patches[0]
	assert (patch.subject, patch.author, patch.message_id) == ("change it", "A Developer <dev@localhost>", "a@b")
	assert (patch.files, patch.message, patch.bare) == (("mm/migrate.c",), "Why.\n", False)
	assert patch.patch_id == subprocess.run(["git", "patch-id", "--stable"], input=GOOD, text=True,
						capture_output=True, check=True).stdout.split()[0]


@pytest.mark.parametrize("header, identity", [
	("<a@b> (comment behind)", "a@b"), ("(comment before) <a@b>", "a@b"), ("\n <a@b>", "a@b"), ("a@b", "a@b"), ("<no-at>", "no-at"),
	("<a@b@c>", "a@b@c"), ("<a b@c>", "a b@c"), ('<"quoted part"@c>', '"quoted part"@c'), ("<>", "<>"), ("", "")])
def test_message_id_is_what_stands_in_the_first_brackets(tmp_path, header, identity):
	mail = GOOD.replace("Subject:", f"Message-ID: {header}\nSubject:")
	assert _read(tmp_path, mail).patches[0].message_id == identity


@pytest.mark.parametrize("make", [
	lambda: GOOD.replace("\n", "\r\n"), lambda: _mail("quoted-printable", quopri.encodestring),
	lambda: _mail("base64", base64.encodebytes), lambda: gzip.compress(GOOD.encode()),
	lambda: _mail("base64", lambda body: base64.encodebytes(body.replace(b"\n", b"\r\n"))),
], ids=["crlf", "quoted-printable", "base64", "gzip", "base64-crlf"])
def test_the_same_patch_in_any_mail(tmp_path, make):
	tree = fakes.user_tree(tmp_path / "tree")
	(plain := tmp_path / "plain").mkdir()
	want = _read(plain, GOOD).patches[0]
	got = _read(tmp_path, make()).patches[0]
	assert (got.sha256, got.subject, got.message) == (want.sha256, want.subject, want.message)
	fakes.git(tree, "am", "-q", str(got.path))
	assert "line twenty\n" in (tree / "mm/migrate.c").read_text()


def test_attachment(tmp_path):
	text = (GOOD[:GOOD.index("\n\n")] + '\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="xx"\n\n--xx\n'
		f"Content-Type: text/plain\n\nWhy.\n\n--xx\nContent-Type: text/x-patch\n\n---\n{DIFF}\n--xx--\n")
	assert _read(tmp_path, text).patches[0].files == ("mm/migrate.c",)


def test_bare_diff_has_no_message(tmp_path):
	patch = _read(tmp_path, DIFF).patches[0]
	assert patch.bare and patch.message == "" and patch.files == ("mm/migrate.c",)


def test_trailers_name_the_base(tmp_path):
	found = _read(tmp_path, GOOD + f"\nbase-commit: {'ab' * 20}\nprerequisite-patch-id: {'cd' * 20}\n")
	assert (found.base_commit, found.prerequisites) == ("ab" * 20, ["cd" * 20])


def test_trailers_of_a_cover_letter(tmp_path):
	cover = f"From nobody Mon Sep 17 00:00:00 2001\nFrom: a <a@b>\nSubject: [PATCH 0/1] x\n\nHello.\n-- \n2.39\n\nbase-commit: {'ab' * 20}\n\n"
	found = _read(tmp_path, cover + _series(1))
	assert (found.base_commit, len(found.patches)) == ("ab" * 20, 1)
	assert found.notes == ["no diff in '[PATCH 0/1] x'"]


def test_series_is_put_in_order(tmp_path):
	first, second = (_series(2).split("From 0000")[number] for number in (1, 2))
	found = _read(tmp_path, f"From 0000{second}From 0000{first}")
	assert [patch.subject for patch in found.patches] == ["change 1", "change 2"]


def test_folder_and_maildir(tmp_path):
	for name, inside in (("folder", ""), ("maildir", "cur")):
		place = tmp_path / name / inside
		place.mkdir(parents=True)
		if inside:
			(tmp_path / name / "new").mkdir()
		for number, part in enumerate(_series(2).split("From 0000")[1:]):
			(place / f"{number}.patch").write_text(f"From 0000{part}")
		(tmp_path / f"scratch-{name}").mkdir()
		found = patches.read([str(tmp_path / name)], tmp_path / f"scratch-{name}")
		assert len(found.patches) == 2


def test_standard_input(tmp_path, monkeypatch):
	monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(GOOD.encode())))
	assert patches.read(["-"], tmp_path).patches[0].source == "standard input"


def test_one_patch_of_a_series_alone(tmp_path):
	assert _read(tmp_path, _series(1, 3)).notes == ["patch 1 of 3 alone: the others were not given"]


def _mode(mode):
	return (f"From: a <a@b>\nSubject: mode\n\nx\n---\ndiff --git a/mm/x b/mm/x\nnew file mode {mode}\n--- /dev/null\n+++ b/mm/x\n"
		"@@ -0,0 +1 @@\n+/etc/passwd\n\\ No newline at end of file\n")


@pytest.mark.parametrize("mode", ["120000", "0120000", "+120000", "120000 ", "00120777"])
def test_modes_are_read_as_git_reads_them(tmp_path, mode):
	with pytest.raises(CannotJudge, match="a symbolic link"):
		_read(tmp_path, _mode(mode))


@pytest.mark.parametrize("mode", ["100644", "100755", "0100644"])
def test_files_may_come(tmp_path, mode):
	assert _read(tmp_path, _mode(mode)).patches[0].files == ("mm/x",)


@pytest.mark.parametrize("text, why", [
	("", "there is no patch in it"), (" \n\n", "there is no patch"), ("Subject: hello\n\nno diff\n", "no diff in 'hello'"),
	(b"\x7fELF\0\0\0", "is no text"), (b"\x1f\x8bbroken", "cannot be unpacked"),
	(GOOD[:GOOD.index("+line twenty")], "git does not read it as a patch"),
	(_series(2, 3), "patch 3 of 3 is missing"),
	(_series(2) + _series(2, version=" v2"), "versions 1, 2"),
	(_series(2) + _series(3), "several series"),
	(GOOD.replace("mm/migrate.c", "../../etc/passwd"), "outside of the tree"),
	(GOOD.replace("b/mm/migrate.c", "b//etc/passwd"), "outside of the tree|git does not read"),
	(GOOD.replace("mm/migrate.c", ".git/hooks/post-checkout"), "git's own"),
	(GOOD.replace("mm/migrate.c", "mm/.GIT/config"), "git's own"),
	("From: a <a@b>\nSubject: link\n\nx\n---\ndiff --git a/mm/x b/mm/x\nnew file mode 120000\n--- /dev/null\n+++ b/mm/x\n"
	 "@@ -0,0 +1 @@\n+/etc/passwd\n\\ No newline at end of file\n", "a symbolic link"),
	("From: a <a@b>\nSubject: sub\n\nx\n---\ndiff --git a/mm/x b/mm/x\nnew file mode 160000\n--- /dev/null\n+++ b/mm/x\n"
	 f"@@ -0,0 +1 @@\n+Subproject commit {'ab' * 20}\n", "a submodule"),
], ids=range(15))
def test_what_cannot_be_judged(tmp_path, text, why):
	with pytest.raises(CannotJudge, match=why):
		_read(tmp_path, text)


def test_the_same_patch_twice_is_one(tmp_path):
	found = _read(tmp_path, _series(2) + _series(1, 2))
	assert ([patch.number for patch in found.patches], found.notes) == ([1, 2], ["'[PATCH 1/2] change 1' is there more than once, the same"])


def test_the_same_patch_twice_without_numbers(tmp_path):
	assert len(_read(tmp_path, GOOD + GOOD).patches) == 1


def test_an_answer_is_no_patch_even_with_a_diff(tmp_path):
	found = _read(tmp_path, GOOD + GOOD.replace("[PATCH]", "Re: [PATCH]").replace("twenty", "thirty"))
	assert (len(found.patches), found.notes) == (1, ["left out, for it is an answer: 'Re: [PATCH] change it'"])


def test_attached_file_of_format_patch(tmp_path):
	text = ('From x Mon Sep 17 00:00:00 2001\nFrom: Other <o@b>\nSubject: my patch\nMIME-Version: 1.0\n'
		'Content-Type: multipart/mixed; boundary="xx"\n\n--xx\nContent-Type: text/plain\n\nHello.\n\n--xx\n'
		f'Content-Type: text/x-patch; name="0001.patch"\nContent-Disposition: attachment\n\n{GOOD}\n--xx--\n')
	patch = _read(tmp_path, text).patches[0]
	assert (patch.subject, patch.author, patch.message) == ("change it", "A Developer <dev@localhost>", "Why.\n")


def test_different_patches_of_one_number(tmp_path):
	with pytest.raises(CannotJudge, match="different patches 1 of 2"):
		_read(tmp_path, _series(2) + _series(1, 2).replace("twenty", "other"))


def test_too_large(tmp_path, monkeypatch):
	monkeypatch.setattr(patches, "LIMIT", 1 << 20)
	with pytest.raises(CannotJudge, match="larger than 1 MiB"):
		_read(tmp_path, GOOD + "x" * (1 << 20))


def test_what_is_not_there(tmp_path):
	with pytest.raises(UsageError, match="no file or folder"):
		patches.read([str(tmp_path / "none")], tmp_path)


def test_all_attached_files_of_format_patch(tmp_path):
	parts = "".join(f'--xx\nContent-Type: text/x-patch; name="000{number}.patch"\n\n{text}\n' for number, text in
			enumerate((_series(1, 2), GOOD.replace("[PATCH] change it", "[PATCH 2/2] change 2")), 1))
	text = ('From x Mon Sep 17 00:00:00 2001\nFrom: Other <o@b>\nSubject: my patches\nMIME-Version: 1.0\n'
		f'Content-Type: multipart/mixed; boundary="xx"\n\n--xx\nContent-Type: text/plain\n\nHello.\n\n{parts}--xx--\n')
	assert [patch.subject for patch in _read(tmp_path, text).patches] == ["change 1", "change 2"]


@pytest.mark.parametrize("text, why", [
	(GOOD + GOOD.replace("[PATCH]", "[PATCH v2]").replace("twenty", "thirty"), "of versions 1, 2"),
	(_series(2) + GOOD, "is of a series, 'change it' of none|is of a series, '.PATCH. change it' of none")])
def test_what_is_not_one_series(tmp_path, text, why):
	with pytest.raises(CannotJudge, match=why):
		_read(tmp_path, text)


def test_trailers_of_an_answer_name_nothing(tmp_path):
	text = GOOD + GOOD.replace("[PATCH]", "Re: [PATCH]").replace("--\n2.39.5", f"--\n2.39.5\n\nbase-commit: {'ab' * 20}")
	assert _read(tmp_path, text).base_commit == ""


def test_renames_and_copies(tmp_path):
	for how, renamed in (("rename", (("mm/a.c", "mm/b.c"),)), ("copy", ())):
		(tmp_path / how).mkdir()
		text = GOOD[:GOOD.index("diff --git")] + (f"diff --git a/mm/a.c b/mm/b.c\nsimilarity index 100%\n{how} from mm/a.c\n"
							   f"{how} to mm/b.c\n--\n2.39.5\n")
		patch = _read(tmp_path / how, text).patches[0]
		assert (set(patch.files), patch.renamed) == ({"mm/a.c", "mm/b.c"}, renamed)


def test_carriage_returns_are_kept_of_a_tree(tmp_path):
	"""In a mail they are the mail's; in a commit they are what is wrong with it."""
	tree = fakes.user_tree(tmp_path / "tree")
	(tree / "mm/dos.c").write_bytes(b"int a;\r\nint b;\n")
	fakes.git(tree, "add", "-f", "mm/dos.c")
	fakes.git(tree, "commit", "-qm", "dos")
	box = tmp_path / "box"
	box.write_bytes(subprocess.run(["git", "format-patch", "--stdout", "-1"], cwd=tree, check=True, capture_output=True).stdout)
	for keep in (True, False):
		(scratch := tmp_path / f"scratch-{keep}").mkdir()
		patch = patches.read([str(box)], scratch, keep).patches[0]
		assert (b"+int a;\r\n" in patch.path.read_bytes()) is keep
	diff = "diff --git a/mm/x.c b/mm/x.c\nnew file mode 100644\n--- /dev/null\n+++ b/mm/x.c\n@@ -0,0 +1 @@\n+int a;\r\n"
	assert b"+int a;\r\n" in patches.read_diff(diff, "x", scratch).patches[0].path.read_bytes()
