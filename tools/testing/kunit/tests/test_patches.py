# SPDX-License-Identifier: GPL-2.0
"""Patches are read whatever mail they come in, and what must not be applied is refused."""

import base64
import gzip
import io
import quopri
import re
import subprocess
import sys

import fakes
import pytest

from pinwait.source import mails, patches, thread
from pinwait.util.errors import CannotJudge, UsageError

GOOD = fakes.patch(20, "line 20", "line twenty")
DIFF = GOOD[GOOD.index("diff --git"):GOOD.index("--\n2.39.5")]


def _read(tmp_path, text, name="in.patch"):
	"""Read one input, bytes or text."""
	file = tmp_path / name
	file.write_bytes(text if isinstance(text, bytes) else text.encode())
	scratch = tmp_path / "scratch"
	scratch.mkdir()
	return patches.read([str(file)], scratch)


def _numbered(numbers, total, version=""):
	return "".join(GOOD.replace("[PATCH] change it", f"[PATCH{version} {number}/{total}] change {number}")
		       .replace("twenty", f"twenty {number}") for number in numbers)


def _series(count, total=None, version=""):
	return _numbered(range(1, count + 1), total or count, version)


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
	("<a@b@c>", "a@b@c"), ("<a b@c>", "a b@c"), ('<"quoted part"@c>', '"quoted part"@c'), ("<>", ""), ("", "")])
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
	assert not found.notes


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
	assert _read(tmp_path, _series(1, 3)).notes == ["patches 2 and 3 of 3, which were not given"]


@pytest.mark.parametrize("there, missing, problems, notes", [
	((1, 2, 3, 4, 5, 6), "", [""] * 6, []),
	((2, 3, 4, 5, 6), "patch 1 of 6 is missing", [""] * 5, []),
	((4, 5, 6), "patches 1 to 3 of 6 are missing", [""] * 3, []),
	((1, 2, 4, 5, 6), "", ["", "", *["patch 3 of 6 is missing before it"] * 3], []),
	((1, 3, 5, 6), "", ["", *["patches 2 and 4 of 6 are missing before it"] * 3], []),
	((3, 6), "patches 1 and 2 of 6 are missing", ["", "patches 4 and 5 of 6 are missing before it"], []),
	((1, 2, 3, 4, 5), "", [""] * 5, ["patch 6 of 6, which was not given"]),
	((1, 2), "", [""] * 2, ["patches 3 to 6 of 6, which were not given"]),
])
def test_gaps_in_a_series(tmp_path, there, missing, problems, notes):
	found = _read(tmp_path, _numbered(there, 6))
	assert (found.missing, [patch.problem for patch in found.patches], found.notes) == (missing, problems, notes)


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
	(GOOD[:GOOD.index("+line twenty")], "git cannot parse it as a patch"),
	(_series(2) + _series(2, version=" v2"), "versions 1, 2"),
	(_series(2) + _series(3), "several series"),
	(GOOD.replace("mm/migrate.c", "../../etc/passwd"), "outside of the tree"),
	(GOOD.replace("b/mm/migrate.c", "b//etc/passwd"), "outside of the tree|git cannot parse"),
	(GOOD.replace("mm/migrate.c", ".git/hooks/post-checkout"), "git's own"),
	(GOOD.replace("mm/migrate.c", "mm/.GIT/config"), "git's own"),
	("From: a <a@b>\nSubject: link\n\nx\n---\ndiff --git a/mm/x b/mm/x\nnew file mode 120000\n--- /dev/null\n+++ b/mm/x\n"
	 "@@ -0,0 +1 @@\n+/etc/passwd\n\\ No newline at end of file\n", "a symbolic link"),
	("From: a <a@b>\nSubject: sub\n\nx\n---\ndiff --git a/mm/x b/mm/x\nnew file mode 160000\n--- /dev/null\n+++ b/mm/x\n"
	 f"@@ -0,0 +1 @@\n+Subproject commit {'ab' * 20}\n", "a submodule"),
], ids=range(14))
def test_what_cannot_be_judged(tmp_path, text, why):
	with pytest.raises(CannotJudge, match=why):
		_read(tmp_path, text)


def test_the_same_patch_twice_is_one(tmp_path):
	found = _read(tmp_path, _series(2) + _series(1, 2))
	assert ([patch.number for patch in found.patches], found.notes) == ([1, 2], ["a second copy of '[PATCH 1/2] change 1'"])


def test_the_same_patch_twice_without_numbers(tmp_path):
	assert len(_read(tmp_path, GOOD + GOOD).patches) == 1


def test_an_answer_is_no_patch_even_with_a_diff(tmp_path):
	found = _read(tmp_path, GOOD + GOOD.replace("[PATCH]", "Re: [PATCH]").replace("twenty", "thirty"))
	assert (len(found.patches), found.notes) == (1, ["left out, an answer: 'Re: [PATCH] change it'"])


def test_attached_file_of_format_patch(tmp_path):
	text = ('From x Mon Sep 17 00:00:00 2001\nFrom: Other <o@b>\nSubject: my patch\nMIME-Version: 1.0\n'
		'Content-Type: multipart/mixed; boundary="xx"\n\n--xx\nContent-Type: text/plain\n\nHello.\n\n--xx\n'
		f'Content-Type: text/x-patch; name="0001.patch"\nContent-Disposition: attachment\n\n{GOOD}\n--xx--\n')
	patch = _read(tmp_path, text).patches[0]
	assert (patch.subject, patch.author, patch.message) == ("change it", "A Developer <dev@localhost>", "Why.\n")


def test_different_patches_of_one_number(tmp_path):
	with pytest.raises(CannotJudge, match="different mails are patch 1 of 2"):
		_read(tmp_path, _series(2) + _series(1, 2).replace("twenty", "other"))


def test_too_large(tmp_path, monkeypatch):
	monkeypatch.setattr(mails, "LIMIT", 1 << 20)
	with pytest.raises(CannotJudge, match="larger than 1 MiB"):
		_read(tmp_path, GOOD + "x" * (1 << 20))


def test_what_is_not_there(tmp_path):
	with pytest.raises(UsageError, match="is no file, folder or Message-ID"):
		patches.read([str(tmp_path / "none")], tmp_path)


def test_all_attached_files_of_format_patch(tmp_path):
	parts = "".join(f'--xx\nContent-Type: text/x-patch; name="000{number}.patch"\n\n{text}\n' for number, text in
			enumerate((_series(1, 2), GOOD.replace("[PATCH] change it", "[PATCH 2/2] change 2")), 1))
	text = ('From x Mon Sep 17 00:00:00 2001\nFrom: Other <o@b>\nSubject: my patches\nMIME-Version: 1.0\n'
		f'Content-Type: multipart/mixed; boundary="xx"\n\n--xx\nContent-Type: text/plain\n\nHello.\n\n{parts}--xx--\n')
	assert [patch.subject for patch in _read(tmp_path, text).patches] == ["change 1", "change 2"]


@pytest.mark.parametrize("text, why", [
	(GOOD + GOOD.replace("[PATCH]", "[PATCH v2]").replace("twenty", "thirty"), "belong to versions 1, 2"),
	(_series(2) + GOOD, "belongs to a series, 'change it' does not|belongs to a series, '.PATCH. change it' does not")])
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


NAMED = GOOD.replace("Subject:", "Message-ID: <a@b>\nSubject:")


def _with(name, value, text=NAMED):
	"""Return a mail with another value of a header, None for none."""
	bare = re.sub(rf"^{name}: .*\n", "", text, flags=re.MULTILINE)
	return bare if value is None else bare.replace("\n", f"\n{name}: {value}\n", 1)


@pytest.mark.parametrize("header, number, total, version, subject", [
	("[PATCH2/2] x", 2, 2, 1, "x"), ("[PATCH 2/2 v3] x", 2, 2, 3, "x"), ("[PATCH v2,1/3] x", 1, 3, 2, "x"), ("[list] [PATCH 2/2] x", 2, 2, 1, "x"),
	("[RFC][PATCH 1/2] x", 1, 2, 1, "x"), ("[PATCH] [RFC] [1/2] x", 1, 2, 1, "x"), ("[PATCH [RFC] v2 1/2] x", 1, 2, 2, "x"),
	("[PATCHv2 1/2] x", 1, 2, 2, "x"), ("[PATCH V4 01/10] x", 1, 10, 4, "x"), ("[PATCH 1 of 2] x", 1, 2, 1, "x"), ("[Patch 2/2]: x", 2, 2, 1, "x"),
	("[v2PATCH12/15] x", 12, 15, 2, "x"), ("[net,v2,1/2] x", 1, 2, 2, "x"), ("[PATCH v6.12 1/2] x", 1, 2, 1, "x"), ("[PATCH] [doc] x", 0, 0, 1, "[doc] x"),
	("[PATCH 1/2] [doc 3] x", 1, 2, 1, "[doc 3] x"), ("[doc] x", 0, 0, 1, "[doc] x"), ("[PATCH 2026/01/05] x", 0, 0, 1, "x"), ("x", 0, 0, 1, "x"),
	("[PATCH mm-unstable v3 1/2] mm: [bug] x", 1, 2, 3, "mm: [bug] x"), ("[PATCH RESEND v2] x", 0, 0, 2, "x"), ("[PATCH 6.6.y 1/2] x", 1, 2, 1, "x"),
	("[PATCH", 0, 0, 1, "[PATCH"),
])
def test_subject(tmp_path, header, number, total, version, subject):
	found = thread.title(header)
	assert (found.number, found.total, found.version, found.subject) == (number, total, version, subject)
	assert _read(tmp_path, _with("Subject", header)).patches[0].subject == subject


@pytest.mark.parametrize("header, subject", [
	("[PATCH] ch\xe4nge".encode(), "chänge"), ("[PATCH] ch\xe4nge".encode("latin-1"), "chänge"), (b"[PATCH] =?utf-8?q?ch=C3=A4?= =?utf-8?q?nge?=", "chänge"),
	(b"[PATCH] =?utf-8?q?ch=C3?= =?utf-8?q?=A4nge?=", "chänge"), (b"[PATCH] =?y?q?ch=C3=A4nge?=", "chänge"), (b"[PATCH] =?utf-8\0?q?ch=C3=A4nge?=", "chänge"),
	(b"[PATCH] a =?utf-8?B?w?=", "a =?utf-8?B?w?="), (b"[PATCH] =?undefined?q?ch=C3=A4nge?=", "chänge"), (b"[PATCH] a\n  b", "a b"),
	(b"[PATCH] " + b"x" * 5000, "x" * 5000),
])
def test_subject_in_any_charset(tmp_path, header, subject):
	head, _, rest = NAMED.encode().partition(b"[PATCH] change it")
	assert _read(tmp_path, head + header + rest).patches[0].subject == subject


VIA = "Casey Doe via Linux-MM <linux-mm@kvack.org>"
CASEY = "Casey Doe <casey@example.org>"


@pytest.mark.parametrize("sender, more, author", [
	(CASEY, {}, CASEY), ("casey@example.org (Casey Doe)", {}, CASEY), ("Doe, Casey <casey@example.org>", {}, "Doe, Casey <casey@example.org>"),
	(f"{CASEY}, A <a@b>", {}, CASEY), (VIA, {"Reply-To": CASEY}, CASEY), (VIA, {"Reply-To": "casey@example.org"}, CASEY),
	(VIA, {"Reply-To": f"Linux-MM <linux-mm@kvack.org>, {CASEY}"}, CASEY), (VIA, {"X-Original-From": CASEY}, CASEY), (VIA, {"Cc": f"A <a@b>, {CASEY}"}, CASEY),
	("'Casey Doe' via linux-mm <linux-mm@kvack.org>", {"Reply-To": CASEY}, CASEY), (f'"{VIA[:21]} lists" <linux-mm@kvack.org>', {"Reply-To": CASEY}, CASEY),
	("Casey Doe <linux-mm@kvack.org>", {"List-Post": "<mailto:linux-mm@kvack.org>", "Reply-To": CASEY}, CASEY),
	("Casey Doe via groups.io <casey=example.org@groups.io>", {}, CASEY), (CASEY, {"Reply-To": "Else <else@example.org>"}, CASEY),
])
def test_who_wrote_it(tmp_path, sender, more, author):
	text = _with("From", sender)
	for name, value in more.items():
		text = _with(name, value, text)
	patch = _read(tmp_path, text).patches[0]
	assert (patch.author, patch.no_author) == (author, "")


@pytest.mark.parametrize("sender", [None, "", "...", "... <a@b>", "Casey Doe", VIA, "=?utf-8?B?w?="])
def test_nobody_knows_who_wrote_it(tmp_path, sender):
	patch = _read(tmp_path, _with("From", sender)).patches[0]
	assert patch.no_author and not patch.problem and patch.files


def test_the_sign_off_tells_the_address_that_a_list_took_away(tmp_path):
	patch = _read(tmp_path, _with("From", VIA).replace("Why.\n", f"Why.\n\nSigned-off-by: {CASEY}\n")).patches[0]
	assert (patch.author, patch.no_author) == (CASEY, "")


@pytest.mark.parametrize("date", ["", "Wed, 4 Jun 207777777777777714 17:50:46 0", "Sun, 11 Sep 22222 23:22:04 +0100", "tomorrow",
				  "Sun, 11 Sep 2016 23:22:04 +9999999999", "Sun, 11 Sep 1901 23:22:04 -1200", "Sun, 11 Sep 2016 23:20407080403080105:04 +0100"])
def test_a_date_that_is_none_does_no_harm(tmp_path, date):
	tree = fakes.user_tree(tmp_path / "tree")
	found = _read(tmp_path, _with("Date", date))
	fakes.git(tree, "am", "-q", str(found.patches[0].path))
	assert [date in note for note in found.notes] == ([True] if date else [])


@pytest.mark.parametrize("charset", ["y", "", "hex", "undefined", "utf-8\0", "us-ascii", "iso-2022-jp", "iso-8859-1", "utf-16", "utf-7", "unicode_escape"])
def test_any_charset_of_the_text(tmp_path, charset):
	head, _, body = NAMED.partition("\n\n")
	body = body.replace("Why.", "Wäre.").replace("line twenty", '"\\n"')
	found = _read(tmp_path, f"{head}\nMIME-Version: 1.0\nContent-Type: text/plain; charset={charset}\n\n{body}").patches[0]
	assert (found.message, found.files) == ("Wäre.\n", ("mm/migrate.c",)) and '+"\\n"\n' in found.mail


@pytest.mark.parametrize("kind", ["multipart/mixed", "text", "a/b/c", "application/octet-stream", "multipart/alternative; boundary=x"])
def test_a_text_that_calls_itself_something_else(tmp_path, kind):
	assert _read(tmp_path, _with("Content-Type", kind)).patches[0].files == ("mm/migrate.c",)


def test_of_several_forms_of_a_text_the_plain_one_counts(tmp_path):
	head, _, body = GOOD.partition("\n\n")
	parts = "".join(f"--xx\nContent-Type: text/{kind}\n\n{text}\n" for kind, text in
			(("html", f"<pre>\n{DIFF}</pre>"), ("plain", body), ("enriched", body.replace("twenty", "20"))))
	found = _read(tmp_path, f'{head}\nMIME-Version: 1.0\nContent-Type: multipart/alternative; boundary="xx"\n\n{parts}--xx--\n').patches[0]
	assert (found.problem, found.message) == ("", "Why.\n") and "twenty" in found.mail and "pre>" not in found.mail


@pytest.mark.parametrize("attached", [DIFF, GOOD, GOOD.replace("twenty", "other")])
def test_a_patch_that_is_attached_to_its_own_mail(tmp_path, attached):
	head, _, body = GOOD.partition("\n\n")
	text = (f'{head}\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="xx"\n\n--xx\nContent-Type: text/plain\n\n{body}\n--xx\n'
		f'Content-Type: text/x-patch\nContent-Disposition: attachment; filename="x.patch"\n'
		f"Content-Transfer-Encoding: base64\n\n{base64.encodebytes(attached.encode()).decode()}\n--xx--\n")
	found = _read(tmp_path, text).patches
	assert [bool(patch.problem) for patch in found] == ([False] if "other" not in attached else [False, True])
	assert (found[0].subject, found[0].message) == ("change it", "Why.\n")


LINE = "From somebody Mon Sep 17 10:00:00 2001"


@pytest.mark.parametrize("line", [LINE, f"{LINE}\nNB: nothing", f">{LINE}", "From here on it is\nDate: unknown"])
def test_a_line_that_begins_no_mail(tmp_path, line):
	found = _read(tmp_path, _series(2).replace("Why.\n", f"Why.\n\n{line}\n\nThat.\n"))
	assert [patch.message for patch in found.patches] == [f"Why.\n\n{line.removeprefix('>')}\n\nThat.\n"] * 2


def test_a_mail_in_a_message_is_named(tmp_path):
	with pytest.raises(CannotJudge, match="put a > before") as raised:
		found = _read(tmp_path, GOOD.replace("Why.\n", f"Why.\n\n{LINE}\nFrom: a <a@b>\nSubject: b\n\nc\n"))
		raise CannotJudge(found.patches[0].problem)
	assert LINE in str(raised.value)


def test_wrapper(tmp_path):
	quilt = DIFF[DIFF.index("--- a/"):].replace("--- a/mm/migrate.c", "--- a/mm/migrate.c~change-it").replace("+++ b/", "+++ a/")
	text = _with("From", "Andrew Morton <akpm@localhost>", _with("Subject", "+ change-it.patch added to mm-new branch"))
	text = text.replace("Why.\n", f"\nThe patch titled\n     Subject: change it\nhas been added\n\n{'-' * 54}\nFrom: {CASEY}\nSubject: change it\n"
			    "Date: Mon, 5 Jan 2026 10:00:00 +0000\n\nWhy.\n\nSigned-off-by: a <a@b>\n").replace(DIFF, f"{quilt}_\n\nPatches currently in -mm\n")
	(plain := tmp_path / "plain").mkdir()
	want, got = _read(plain, GOOD).patches[0], _read(tmp_path, text).patches[0]
	assert (got.title, got.subject, got.author, got.files) == ("change it", "change it", CASEY, want.files)
	assert got.message == "Why.\n\nSigned-off-by: a <a@b>\n"
	assert (got.patch_id, got.sha256) == (want.patch_id, want.sha256)


def _new(name, prefix):
	old = f"{prefix}/{name}" if prefix else name
	return (f"{GOOD[:GOOD.index('diff --git')]}diff --git {old} {old.replace('a/', 'b/', 1)}\nnew file mode 100644\n--- /dev/null\n"
		f"+++ {old.replace('a/', 'b/', 1)}\n@@ -0,0 +1 @@\n+x\n")


@pytest.mark.parametrize("text, files", [
	(_new("mm/new.c", ""), ("mm/new.c",)), (_new("mm/new.c", "a"), ("mm/new.c",)), (_new("Makefile", ""), ("Makefile",)),
	(GOOD.replace("a/mm/", "mm/").replace("b/mm/", "mm/"), ("mm/migrate.c",)),
	(GOOD.replace("diff --git a/mm/migrate.c b/mm/migrate.c\n", "").replace("a/mm/migrate.c", "mm/migrate.c.orig").replace("b/mm/", "mm/"), ("mm/migrate.c",)),
	(GOOD.replace("diff --git a/mm/migrate.c b/mm/migrate.c\n", "").replace("a/mm/", "linux.orig/mm/").replace("b/mm/", "linux/mm/"), ("mm/migrate.c",)),
	(GOOD.replace("a/mm/", "i/mm/").replace("b/mm/", "w/mm/"), ("mm/migrate.c",)),
	(GOOD[:GOOD.index("diff --git")] + "diff --git mm/a.c mm/b.c\nsimilarity index 100%\nrename from mm/a.c\nrename to mm/b.c\n", ("mm/b.c", "mm/a.c")),
])
def test_prefixes_of_names(tmp_path, text, files):
	assert _read(tmp_path, text).patches[0].files == files


def test_prefixes_of_some_names(tmp_path):
	with pytest.raises(CannotJudge, match="some of its files have no prefix a/ and b/ .mm/new.c"):
		_read(tmp_path, GOOD.replace("--\n2.39.5", _new("mm/new.c", "")[GOOD.index("diff --git"):] + "--\n2.39.5"))


@pytest.mark.parametrize("text, why", [
	(_series(2).replace("1/2]", "3/2]"), "no patch 3/2"), (_series(2) + GOOD.replace("[PATCH]", "[PATCH 5/2]"), "no patch 5/2"),
	(_series(2, version="v2").replace("v2 2/2", "v3 2/2"), "versions 2, 3.*mail 1.*mail 2"),
	((_series(2) + GOOD.replace("[PATCH]", "[PATCH 0/2]")).replace("Why.\n", "Why.\n\nSigned-off-by: a <a@b>\n"), "no patch 0/2"),
	(_series(2).replace("+line twenty 2", "+line\0"), ""),
], ids=range(5))
def test_numbers_that_no_series_has(tmp_path, text, why):
	if why:
		with pytest.raises(CannotJudge, match=why):
			_read(tmp_path, text)
	else:
		found = _read(tmp_path, text)
		assert [bool(patch.problem) for patch in found.patches] == [False, True] and "zero bytes" in found.patches[1].problem


def test_sign_off_that_is_cut_off(tmp_path):
	for index, (text, cut) in enumerate((("Why.\n---\nSigned-off-by: a <a@b>\n", True), ("Why.\n\nSigned-off-by: a <a@b>\n---\nSigned-off-by: c <c@d>\n", False))):
		(place := tmp_path / str(index)).mkdir()
		patch = _read(place, GOOD.replace("Why.\n", text)).patches[0]
		assert patch.cut is cut and "c@d" not in patch.mail and ("a@b" in patch.mail) is not cut


def _answer(text, to="a@b", name="c@d"):
	return _with("Message-ID", f"<{name}>", _with("In-Reply-To", f"<{to}>", text))


def test_new_version_of_one_patch_takes_its_place(tmp_path):
	first, second = (f"From 0000{part}" for part in _series(2).split("From 0000")[1:])
	second = _with("Message-ID", "<b@b>", second)
	newer = _answer(second.replace("2/2", "v2 2/2").replace("twenty 2", "newer"), "b@b")
	found = _read(tmp_path, newer + first + second)
	assert [(patch.number, patch.version) for patch in found.patches] == [(1, 1), (2, 2)]
	assert ", which " in found.notes[0]


@pytest.mark.parametrize("title, sender, left_out", [
	("Antwort: [PATCH] change it", "b <b@b>", True), ("回复：[PATCH] change it", "b <b@b>", True), ("[PATCH] change it", "b <b@b>", True),
	("how about this", "b <b@b>", True), ("R: [PATCH] change it", "b <b@b>", True), ("[PATCH 2/2] change it, too", "A Developer <dev@localhost>", False),
])
def test_answers(tmp_path, title, sender, left_out):
	first = NAMED if left_out else NAMED.replace("[PATCH]", "[PATCH 1/2]")
	text = _with("From", sender, _answer(_with("Subject", title, GOOD.replace("twenty", "thirty"))))
	found = _read(tmp_path, first + text)
	assert len(found.patches) == (1 if left_out else 2)
	assert ["left out, an answer" in note for note in found.notes] == ([True] if left_out else [])


def test_mail_that_cannot_be_read_costs_no_other(tmp_path):
	for index, broken in enumerate((("Subject", "Re: =?utf-8?B?w?="), ("Message-ID", "=?utf-8?B?w?="), ("Date", "?"), ("From", "\0"))):
		(place := tmp_path / str(index)).mkdir()
		found = _read(place, GOOD + _with(*broken, _answer(_with("Subject", "Re: [PATCH] change it"))).replace("+line twenty", "+line\0"))
		assert len(found.patches) == 1 and "mail 2" in found.notes[0]


def test_cover_letter_with_any_text(tmp_path):
	cover = f"From x Mon Sep 17 00:00:00 2001\nFrom: a <a@b>\nSubject: [PATCH 0/2] x\n\nAbout\n---\n\n{DIFF}\nabc\n"
	found = _read(tmp_path, cover + _series(2))
	assert len(found.patches) == 2 and found.notes == ["the cover letter '[PATCH 0/2] x': a diff in it"]


def test_cover_letter_beside_an_mbox_of_b4(tmp_path):
	(tmp_path / "in.cover").write_text(f"From: a <a@b>\nSubject: [PATCH 0/1] x\n\nHello.\n\n---\nbase-commit: {'ab' * 20}\n")
	assert _read(tmp_path, _series(1), "in.mbx").base_commit == "ab" * 20


THREAD = "20260105.a@example.org"


@pytest.mark.parametrize("source", [THREAD, f"<{THREAD}>", f"https://lore.kernel.org/all/{THREAD}/", f"https://lore.kernel.org/r/{THREAD}",
				     f"https://patch.msgid.link/{THREAD}", f"https://lore.kernel.org/linux-mm/{THREAD.replace('@', '%40')}/T/#u"])
def test_thread_is_fetched_by_b4(tmp_path, monkeypatch, source):
	newer = _with("Message-ID", "<v2@b>", NAMED.replace("[PATCH]", "[PATCH v2]").replace("twenty", "newer"))
	(tmp_path / "thread").write_text(f"{newer}\nbase-commit: {'cd' * 20}\n" + _with("Message-ID", f"<{THREAD}>") + f"\nbase-commit: {'ab' * 20}\n")
	fakes.programs(monkeypatch, tmp_path / "bin", {"b4": f'[ "$*" = "-q mbox -o - {THREAD}" ] && cat {tmp_path}/thread'})
	(tmp_path / "scratch").mkdir()
	found = patches.read([source], tmp_path / "scratch")
	assert ([patch.message_id for patch in found.patches], found.base_commit) == ([THREAD], "ab" * 20)
	assert found.notes == ["'[PATCH v2] change it', because version 1 was requested"]


@pytest.mark.parametrize("script, why", [("echo 'That message-id is not known' >&2; exit 1", "is not known"), ("exit 0", "found no mail")])
def test_thread_that_b4_does_not_get(tmp_path, monkeypatch, script, why):
	fakes.programs(monkeypatch, tmp_path / "bin", {"b4": script})
	with pytest.raises(CannotJudge, match=f"b4 -q mbox -o - {THREAD} >thread.mbox.*{why}|{why}.*b4 -q mbox"):
		patches.read([THREAD], tmp_path)


@pytest.mark.parametrize("source, name", [("https://lore.kernel.org/r/a%2Fb@c", "a/b@c"), ("https://lore.kernel.org/r/-o@c", ""), ("-o@c", ""),
					  ("https://lore.kernel.org/linux-mm/", ""), ("id:a@b", "a@b"), ("folder/a@b", ""), ("x.mbox", "")])
def test_what_names_a_mail(source, name):
	assert mails.wanted_id(source) == name


def test_thread_without_b4(tmp_path, monkeypatch):
	monkeypatch.setattr(mails.shutil, "which", lambda _name: None)
	with pytest.raises(CannotJudge, match=f"b4, which is not installed.*`b4 -q mbox -o - {THREAD} >thread.mbox`"):
		patches.read([THREAD], tmp_path)
