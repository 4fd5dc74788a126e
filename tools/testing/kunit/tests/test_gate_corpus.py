# SPDX-License-Identifier: GPL-2.0
"""The gate's corpus: it makes sense, fits the prepared kernel, and git agrees with what it says of mails."""

import os
import re
import subprocess
from pathlib import Path

import pytest

import fakes
from logs import TREE
from gate_corpus import entries as gate_entries, inputs as gate_inputs
from pinwait.mutation import corpus
from pinwait.source import series, store, worktree
from gate_corpus.entries import CANNOT_JUDGE, FAIL, PASS
from gate_corpus.mails import FORMS, NOT_MAILS, Mail
from pinwait.util.errors import UsageError
from pinwait.util.git import ISOLATION
from pinwait.util.progress import Progress
from pinwait.util.project import CONFIGS, MUTANTS, PROJECT

PATCH = "[[input.patch]]\nsubject = 's'\nbody = 'b'\n"
EDIT = PATCH + "[[input.patch.edit]]\nfile = 'mm/migrate.c'\nold = 'line 7\\n'\nnew = 'line seven\\n'\n".replace("'", '"')
ENTRY = "[[input]]\nname = 'a'\nwhy = 'w'\nexpect = 'pass'\n" + EDIT
TOUCHED = re.compile(rb"^(?:--- a/|\+\+\+ b/|rename from |diff --git a/)(\S+)", re.MULTILINE)


def _corpus(folder, text):
	(folder / "corpus.toml").write_text(text, encoding="utf-8")
	return gate_entries.load(folder)


def test_entry(tmp_path):
	(one,) = _corpus(tmp_path, ENTRY)
	assert (one.name, one.expect, one.given) == ("a", PASS, (1,))
	assert one.patches[0].edit[0].new == "line seven\n"


@pytest.mark.parametrize("old, new, said", [
	("'pass'", "'perfect'", "a verdict is one of"), ("'pass'", "'fail'", "first_failed"),
	("'pass'", "'pass'\nfirst_failed = 1", "first_failed"), ("'pass'", "'fail'\nfirst_failed = 2", "first_failed"),
	("'pass'", "'cannot judge'", "because is one of"), ("'pass'", "'pass'\nbecause = 'refused'", "because is one of"),
	("'pass'", "'pass'\nkind = 'case'", "only a patch that fails"), ("'pass'", "'pass'\nsays = 'x'", "only a patch that fails"),
	("'pass'", "'pass'\noutcomes = ['pass', 'pass']", "outcomes are those of all patches"),
	("'pass'", "'fail'\nfirst_failed = 1\noutcomes = ['pass']", "outcomes are those of all patches"),
	("'pass'", "'pass'\norder = [2]", "there are only 1 patches"), ("'pass'", "'pass'\ndeliver = 'pigeon'", "deliver is one of"),
	("'pass'", "'pass'\nbase = 'rock'", "base is one of"), ("'w'", "1", "why is a str"), ("'pass'", "'pass'\norder = 1", "order is a list"),
	("name = 'a'", "name = 'A b'", "small letters"), ("name = 'a'\n", "", "needs name"), ("'pass'", "'pass'\nodd = 1", "has no odd"),
	("line seven", "line 7", "changes nothing"), (EDIT, PATCH, "changes nothing"), (EDIT, "", "nothing that could be judged"),
	(ENTRY, ENTRY + ENTRY, "another one of that name"), ("[[input]]", "x = 1\n[[input]]", "and nothing else"),
	("'pass'", "'good", "corpus.toml"), ("[[input.patch]]", "[[input.raw]]\nfile = 'f'\n[[input.patch]]", "lie beside patches in a directory"),
])
def test_entry_that_makes_no_sense(tmp_path, old, new, said):
	text = ENTRY.replace(old, new)
	assert text != ENTRY
	with pytest.raises(UsageError, match=said):
		_corpus(tmp_path, text)


def test_unknown_name_and_empty_corpus(tmp_path):
	with pytest.raises(UsageError, match="holds no inputs"):
		gate_entries.load(tmp_path)
	_corpus(tmp_path, ENTRY)
	with pytest.raises(UsageError, match="unknown input 'b'; there are: a"):
		gate_entries.load(tmp_path, ["b"])


def test_repeated_patch(tmp_path):
	text = ENTRY.replace("subject = 's'", "subject = 's {n}'\nrepeat = 3").replace("seven", "seven {n}")
	assert [(spec.subject, spec.edit[0].new) for spec in _corpus(tmp_path, text)[0].patches] == \
		[(f"s {number}", f"line seven {number}\n") for number in (1, 2, 3)]


def test_sample_is_spread_and_leaves_out_what_is_slow(tmp_path):
	entries = _corpus(tmp_path, "".join(ENTRY.replace("'a'", f"'a{number}'{chr(10) + 'slow = true' if number == 3 else ''}")
					    for number in range(6)))
	assert [entry.name for entry in gate_entries.sample(entries, 3)] == ["a0", "a1", "a4"]
	assert [entry.name for entry in gate_entries.sample(entries, 9)] == ["a0", "a1", "a2", "a4", "a5"]


@pytest.fixture(name="maker")
def _maker(tmp_path):
	"""Make inputs for a kernel that is small."""
	ready = fakes.prepared(tmp_path / "kernel")
	text = ready.git("cat-file", "blob", "HEAD:mm/migrate.c").replace("line 3\n", "line three\n") + "\n"
	parent = ready.base_commit
	for name in ("series", "sources"):
		stream = f"commit refs/heads/x\ncommitter a <a@localhost> 0 +0000\ndata 1\nx\nfrom {parent}\n" \
			 f"M 100644 inline mm/migrate.c\ndata {len(text)}\n{text}\nM 100644 inline {name}\ndata 1\nx\n"
		ready.git("fast-import", "--quiet", "--force", stdin=stream)
		parent = ready.git("rev-parse", "refs/heads/x")
	return lambda name="inputs": gate_inputs.Maker(ready.git, parent, ready.base_commit, [], tmp_path / name)


def test_inputs_are_real_mails_and_always_the_same(tmp_path, maker):
	entries = _corpus(tmp_path, ENTRY.replace("'pass'", "'pass'\nbase = 'prerequisites'"))
	(made,), (again,) = (maker(name).make(entries) for name in ("one", "two"))
	assert made.sent == again.sent
	text = made.sent[0].decode()
	assert re.match(r"From [0-9a-f]{40} Mon Sep 17 00:00:00 2001\nFrom: Casey Doe <casey@example.org>\nDate: .*\n"
			r"Subject: \[PATCH\] s\nMessage-ID: <\S+>\n", text)
	assert re.search(r"\nSigned-off-by: Casey Doe <casey@example.org>\n---\n", text)
	assert re.search(r"^index [0-9a-f]{12}\.\.[0-9a-f]{12} 100644$", text, re.MULTILINE)
	shop = maker("three")
	assert re.search(rf"\nbase-commit: {shop.base}\nprerequisite-patch-id: {shop.prerequisites()[0]}\n-- \n", text)
	assert len(shop.prerequisites()) == 1
	assert Path(made.arguments[0]).read_bytes() == made.sent[0]


@pytest.mark.parametrize("change, said", [
	(("line 7", "line 77"), "input a: its `old` stands 0 times in mm/migrate.c"),
	(("line 7", "line 3"), "stands 10 times"), (("mm/migrate.c", "mm/none.c"), "there is no file mm/none.c"),
	(("'pass'", "'pass'\nform = ['sung']"), "there is no form sung"), ((EDIT, PATCH + "mutant = 'm'\n"), "there is no mutant m"),
])
def test_input_that_does_not_fit(tmp_path, maker, change, said):
	text = ENTRY.replace("'line 7\\n'", "'line 7'").replace(*change) if change[0] == "line 7" else ENTRY.replace(*change)
	text = text.replace('"line 3\\n"', '"line 3"')
	with pytest.raises(UsageError, match=re.escape(said)):
		maker().make(_corpus(tmp_path, text))


@pytest.mark.parametrize("deliver, files, arguments", [
	("mbox", ["series.mbox"], ["series.mbox"]), ("stdin", ["series.mbox"], ["-"]),
	("files", ["0001-t.patch", "0002-s.patch"], ["0001-t.patch", "0002-s.patch"]),
	("directory", ["0001-t.patch", "0002-s.patch"], ["a"]), ("maildir", ["cur", "new", "tmp"], ["a"]),
])
def test_delivery(tmp_path, maker, deliver, files, arguments):
	second = EDIT.replace("'s'", "'t'").replace("line 7", "line 20").replace("line seven", "line twenty")
	(made,) = maker().make(_corpus(tmp_path, ENTRY.replace("'pass'", f"'pass'\ndeliver = '{deliver}'\norder = [2, 1]") + second))
	assert [known.subject for known in made.patches] == ["s", "t"] and all(known.patch_id for known in made.patches)
	assert [Path(argument).name for argument in made.arguments] == arguments
	assert sorted(path.name for path in (tmp_path / "inputs/inputs/a").iterdir()) == files
	assert (made.stdin is not None) is (deliver == "stdin")
	assert b"[PATCH 2/2] t" in made.sent[0] and b"\nIn-Reply-To: <" in made.sent[0]


MAIL = Mail(b"From 0 Mon\n", b"Subject: [PATCH] a\n b\nFrom: A <a@b>\nDate: today\nContent-Type: text/plain\n", b"Why.\tSo.\nFrom here.\n---\n\ndiff --git a/f b/f\n--- a/f\n+++ b/f\n"
	    b"@@ -1,3 +1,3 @@\n a\n-b\n+c = " + b"a long line " * 8 + b"\n d\n-- \n2.47.3\n")


def test_mail():
	assert Mail.parse(bytes(MAIL)) == MAIL
	assert MAIL.subject == b"[PATCH] a\n b"


def test_every_form_changes_something_and_is_used():
	for name, form in FORMS.items():
		assert name == "no-data" or bytes(form(MAIL)) != bytes(MAIL), name
	used = {name for entry in gate_entries.load(gate_entries.CORPUS)
		for forms in (entry.form, entry.again, *(reply.form for reply in entry.reply)) for name in forms}
	assert used == set(FORMS)


# The corpus itself, on the prepared kernel.

ENTRIES = gate_entries.load(gate_entries.CORPUS)


@pytest.fixture(name="made", scope="module")
def _made(tmp_path_factory):
	"""All inputs by name, and what made them."""
	ready = store.load(TREE)
	assert ready
	applied = series.apply(ready, series.find(PROJECT / "patches", series.DEFAULT, ready, Progress()))
	# Composed already by what prepared the kernel, so the worktree's lock is not needed.
	commit = worktree.compose(ready, applied, PROJECT)
	maker = gate_inputs.Maker(ready.git, commit, ready.base_commit, corpus.load(MUTANTS), tmp_path_factory.mktemp("corpus"))
	# Nothing is to be learnt from its size here.
	return maker, {given.entry.name: given for given in maker.make([entry for entry in ENTRIES if entry.name != "huge"])}


@pytest.fixture(name="tree", scope="module")
def _tree(made, tmp_path_factory):
	"""A work tree with the files of the kernel that any input touches."""
	maker, inputs = made
	folder = tmp_path_factory.mktemp("tree")
	names = {name.decode() for given in inputs.values() for mail in (*given.mails, *_as_sent(given)) for name in TOUCHED.findall(mail)}
	for name in names:
		file = None if ".." in name or name.startswith("/") else maker.file(name)
		if file:
			fakes.write(folder, {name: file.content.decode("utf-8", "surrogateescape")})
			(folder / name).chmod(int(file.mode[-3:], 8))
	fakes.git(folder, "init", "-q", ".")
	fakes.git(folder, "add", "-f", ".")
	fakes.git(folder, "commit", "-q", "-m", "base")
	return folder


def _as_sent(given):
	return given.sent or tuple(Path(name).read_bytes() for name in given.arguments if Path(name).is_file())


def _git(folder, stdin, *args):
	return subprocess.run(["git", *args], cwd=folder, input=stdin, env={**os.environ, **fakes.ENV, **ISOLATION}, capture_output=True)


def _with(*verdicts):
	return [pytest.param(entry, id=entry.name) for entry in ENTRIES if entry.expect in verdicts and entry.name != "huge"]


def test_corpus_is_large_and_mixed():
	assert len(ENTRIES) >= 60
	for verdict, least in ((PASS, 20), (FAIL, 30), (CANNOT_JUDGE, 20)):
		assert sum(entry.expect == verdict for entry in ENTRIES) >= least
	assert all(len(entry.why) > 10 for entry in ENTRIES)
	assert sum(bool(spec.mutant) for entry in ENTRIES for spec in entry.patches) >= 15
	assert max(len(entry.patches) for entry in ENTRIES) >= 200


def test_every_pattern_is_one():
	for entry in ENTRIES:
		re.compile(entry.says)


def test_cases_that_are_to_fail_exist():
	"""What a finding is to say of a case is found in the list of cases, or in the kernel."""
	listed = (CONFIGS / "expected-cases.txt").read_text(encoding="utf-8")
	for entry in ENTRIES:
		if entry.kind in ("missing", "skip") or entry.name.startswith("mutant-") and entry.check == "uml":
			assert re.search(entry.says, listed), entry.name


@pytest.mark.parametrize("entry", _with(PASS, FAIL))
def test_applies(made, tree, entry):
	given = made[1][entry.name]
	outcomes = entry.outcomes or [PASS] * len(given.mails)
	mails = [mail for mail, outcome in zip(given.mails, outcomes) if outcome != CANNOT_JUDGE]
	done = _git(tree, b"".join(mails), "apply", "--index", "--check", "-")
	assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("entry", [one for one in _with(CANNOT_JUDGE) if one.values[0].because == "does not apply"])
def test_does_not_apply(made, tree, entry):
	assert _git(tree, b"".join(_as_sent(made[1][entry.name])), "apply", "--index", "--check", "-").returncode


@pytest.mark.parametrize("entry", [one for one in _with(CANNOT_JUDGE) if one.values[0].because == "no patch"])
def test_holds_no_patch(made, tree, entry, tmp_path):
	for mail in _as_sent(made[1][entry.name]):
		diff = tmp_path / "diff"
		told = _git(tree, mail, "mailinfo", "-b", str(tmp_path / "message"), str(diff))
		assert told.returncode or _git(tree, diff.read_bytes(), "apply", "--numstat", "-").returncode


@pytest.mark.parametrize("entry", [one for one in _with(PASS, FAIL)
				   if one.values[0].form and not set(one.values[0].form) & set(NOT_MAILS)])
def test_form_is_one_that_git_reads(made, tree, entry, tmp_path):
	given = made[1][entry.name]
	for number, mail in zip(entry.given, given.sent):
		known = given.patches[number - 1]
		diff = tmp_path / "diff"
		told = _git(tree, mail.replace(b"\r\n", b"\n"), "mailinfo", "-b", "--quoted-cr=strip", "--encoding=UTF-8",
			    str(tmp_path / "message"), str(diff)).stdout.decode()
		assert f"Subject: {known.subject}\n" in told
		assert f"Author: {known.author.partition(' <')[0]}\n" in told
		assert _git(tree, diff.read_bytes(), "patch-id", "--stable").stdout.decode().split()[:1] == [known.patch_id]


@pytest.mark.parametrize("name", ["comment", "mail-quoted-printable-bad", "mail-crlf", "mail-no-final-newline", "mail-flowed"])
def test_git_am_agrees(made, tree, name):
	done = _git(tree, made[1][name].sent[0], "am", "-q")
	assert done.returncode == 0, done.stderr
	fakes.git(tree, "reset", "-q", "--hard", "HEAD^")


def test_series_apply_one_patch_after_the_other(made, tree):
	for name in ("series-bad-in-the-middle", "series-second-repairs-first", "mail-out-of-order"):
		given = made[1][name]
		assert _git(tree, b"".join(given.mails), "am", "-q").returncode == 0
		fakes.git(tree, "reset", "-q", "--hard", f"HEAD~{len(given.mails)}")


def test_patches_of_a_series_differ(made):
	for given in made[1].values():
		if given.entry.expect != CANNOT_JUDGE:
			ids = [known.patch_id for known in given.patches]
			assert all(ids) and len(ids) == len(set(ids)), given.entry.name
