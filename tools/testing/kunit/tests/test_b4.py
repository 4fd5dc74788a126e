# SPDX-License-Identifier: GPL-2.0
"""b4 calls the gate as it does and takes the answer as it does: for what it is, whatever happens."""

import fcntl
import json
import shlex
import signal
import subprocess
import time
from pathlib import Path

import clients
import fakes
import pytest

from pinwait.source import lookup, usertree
from pinwait.util import buildroot

IDS = [f"20261129-wait-v1-{number}-bc4e@example.org" for number in (1, 2, 3)]
# Lets the gate break where it is called.
BREAKS = "import sys; sys.path.insert(0, {!r}); from pinwait.commands import cli; from pinwait.gate import engine; engine.judge = lambda *_: {{}}['x']; sys.exit(cli.main(sys.argv[1:]))"


@pytest.fixture(name="tree")
def _tree(tmp_path, monkeypatch):
	"""A kernel tree; no test installs packages."""
	fakes.programs(monkeypatch, tmp_path / "bin", {"dpkg-query": clients.DPKG})
	fakes.write(tmp_path / "build", {buildroot.MARK: ""})
	return clients.kernel_tree(tmp_path / "tree")


def _command(tree, form, *more):
	return clients.command(tree.parent / "build", form, "-", *more)


def _prep(tree, text, *more):
	return clients.prep(clients.call(_command(tree, "b4-prep", *more), text, tree))


def _review(tree, text, form="b4-review", **env):
	return clients.review(clients.call(_command(tree, form), text, tree, env))


def _series(tree):
	"""Commit three patches, of which the second is bad."""
	return [clients.commit(tree, f"mm: {number}", 10 * number, text) for number, text in ((1, "one"), (2, "bad"), (3, "three"))]


def _under_review(tree, commits):
	"""Have commits under review, and return the environment in which b4 says so."""
	path = tree.parent / "tracking.json"
	path.write_text(json.dumps(clients.tracking(tree, commits, IDS)))
	return {"B4_TRACKING_FILE": str(path)}


def _is_warned(name, tree, done, text):
	"""Check that b4 warns with a text, and does not hold anything against the patch."""
	if name == "b4-prep":
		shown = clients.prep(done)
		assert {flag for flag, _ in shown} == {"warning"} and shown[0][1].startswith("cannot judge: ")
		assert text in shown[0][1]
	else:
		entry = clients.review(done)
		assert (entry["tool"], entry["status"]) == ("pinwait", "warn"), entry
		assert entry["summary"].startswith("cannot judge: ") and text in entry["summary"]


forms = pytest.mark.parametrize("form", ["b4-prep", "b4-review"])


def test_prep(tree):
	fine, wrong, _ = _series(tree)
	assert _prep(tree, clients.mail(tree, fine, "PATCH 1/3")) == [("success", "")]
	first, again = _prep(tree, clients.mail(tree, wrong, "PATCH 2/3"))
	assert first[0] == "fail" and first[1].startswith("ERROR: static: mm/migrate.c:9: ") and "a bad line" in first[1]
	assert again[0] == "warning" and again[1].startswith("reproduce: ")


@pytest.mark.slow
def test_review_without_a_branch_finds_what_is_checked_out(tree):
	mails = [clients.mail(tree, commit, f"PATCH {number}/3") for number, commit in enumerate(_series(tree), 1)]
	assert [_review(tree, mail)["status"] for mail in mails] == ["pass", "fail", "pass"]
	assert _review(tree, mails[1])["summary"].startswith("mm/migrate.c:9: ")


@forms
@pytest.mark.parametrize("options, text", [
	(["--jobs=many"], "invalid int value: 'many'"),
	(["--colour"], "unrecognized arguments: --colour"),
	(["--checks=magic"], "unknown check 'magic'"),
	(["--kdir=/usr"], "KDIR /usr is no kernel tree"),
	(["--base=v9.9"], "has no commit v9.9"),
])
def test_wrong_use_is_told_in_the_form(tree, form, options, text):
	mail = clients.mail(tree, _series(tree)[0])
	_is_warned(form, tree, clients.call(_command(tree, form, *options), mail, tree), text)


@forms
def test_locale_without_the_letter(tree, form):
	mail = clients.mail(tree, _series(tree)[0])
	done = clients.call(_command(tree, form, "--checks=mägic"), mail, tree, {"PYTHONIOENCODING": "ascii"})
	_is_warned(form, tree, done, "unknown check 'mägic'")


def test_locale_without_the_letter_and_people(tree):
	clients.commit(tree, "mm: schön", 10, "one")
	words = [word for word in shlex.split(_command(tree, "terminal", "--range=HEAD~..HEAD")) if word != "-"]
	done = clients.call(shlex.join(words), "", tree, {"PYTHONIOENCODING": "ascii"})
	assert done.returncode == 0 and b"pass  [PATCH] mm: sch\\xf6n" in done.stdout


@forms
def test_partial_clone(tree, form):
	mail = clients.mail(tree, _series(tree)[0])
	fakes.git(tree, "config", "remote.origin.promisor", "true")
	_is_warned(form, tree, clients.call(_command(tree, form), mail, tree), "is a partial clone")


@forms
def test_no_patch_in_the_mail(tree, form):
	cover = clients.mail(tree, _series(tree)[0], "PATCH 0/3").partition("---\n")[0]
	_is_warned(form, tree, clients.call(_command(tree, form), cover, tree), "there is no patch in it")


@forms
def test_packages_are_installed_in_silence(tree, form, monkeypatch):
	mail = clients.mail(tree, _series(tree)[0])
	fakes.programs(monkeypatch, tree.parent / "more", {"dpkg-query": f"test -e $HERE/done && {{ {clients.DPKG}; }}",
							   "perl": 'test -e $HERE/done && exec /usr/bin/perl "$@"', "apt-get": "touch $HERE/done"})
	done = clients.call(_command(tree, form), mail, tree)
	assert (tree.parent / "more/done").exists() and done.stderr == b""
	assert clients.prep(done) == [("success", "")] if form == "b4-prep" else clients.review(done)["status"] == "pass"


@forms
def test_packages_that_cannot_be_installed(tree, form, monkeypatch):
	mail = clients.mail(tree, _series(tree)[0])
	fakes.programs(monkeypatch, tree.parent / "more", {"dpkg-query": "", "perl": "exit 1", "apt-get": "echo 'E: no network'; exit 100"})
	_is_warned(form, tree, clients.call(_command(tree, form), mail, tree), "apt-get could not install packages (E: no network)")


@forms
def test_full_disk(tree, form, monkeypatch):
	mail = clients.mail(tree, _series(tree)[0])
	fakes.programs(monkeypatch, tree.parent / "more", {"git": 'case "$*" in mailinfo*) echo "fatal: No space left on device" >&2; exit 128;; '
							   'esac; exec /usr/bin/git "$@"'})
	_is_warned(form, tree, clients.call(_command(tree, form), mail, tree), "No space left on device")


@forms
def test_mistake_of_the_tools(tree, form):
	words = shlex.split(_command(tree, form))
	words[1:2] = ["-c", BREAKS.format(str(clients.PINWAIT.parent))]
	done = clients.call(shlex.join(words), "", tree)
	_is_warned(form, tree, done, "KeyError: 'x'")
	assert b"in <lambda>" in done.stdout and b"bug in the tool" in done.stdout


@forms
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, None])
def test_waiting_for_another_gate(tree, form, how):
	mail = clients.mail(tree, _series(tree)[0])
	place = tree.parent / "build/kernels" / f"{usertree.name_of(tree)}.lock"
	place.parent.mkdir()
	with open(place, "w", encoding="utf-8") as held:
		fcntl.flock(held, fcntl.LOCK_EX)
		process = subprocess.Popen(shlex.split(_command(tree, form)), cwd=tree, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
					   stderr=subprocess.PIPE)
		process.stdin.write(mail.encode())
		process.stdin.close()
		process.stdin = None
		while not _blocked(process.pid):
			assert process.poll() is None
			time.sleep(0.05)
		if how:
			process.send_signal(how)
		else:
			fcntl.flock(held, fcntl.LOCK_UN)
		out, err = process.communicate(timeout=300)
	done = subprocess.CompletedProcess([], process.returncode, out, err)
	if how:
		_is_warned(form, tree, done, "interrupted")
	else:
		assert err == b"" and (clients.prep(done) == [("success", "")] if form == "b4-prep" else clients.review(done)["status"] == "pass")


def _blocked(pid):
	"""Tell whether a process waits for a lock."""
	return any(f" {pid} " in row and "->" in row for row in Path("/proc/locks").read_text().splitlines())


@pytest.mark.parametrize("options", [[], ["-c", "diff.context=10"], ["-c", "diff.context=1"]])
def test_branch_that_has_the_patch_beats_base_commit(tree, options):
	"""`b4 prep --edit-deps` names where the dependencies go; the branch has them already, whatever they are called."""
	base = fakes.git(tree, "rev-parse", "HEAD")
	clients.commit(tree, "mm: dependency", 11, "eleven")
	mail = clients.mail(tree, clients.commit(tree, "mm: one", 10, "one"), "PATCH", *options)
	clients.commit(tree, "mm: after", 10, "after one")
	named = next(name for name, commit in lookup.by_patch_id(usertree.UserTree(tree)).items() if commit == fakes.git(tree, "rev-parse", "HEAD"))
	trailers = f"base-commit: {base}\nchange-id: 20261129-wait-bc4e\nprerequisite-patch-id: {named}\n"
	assert _prep(tree, mail.replace("\n\n-- \n", f"\n\n---\n{trailers}\n-- \n")) == [("success", "")]


def test_patch_is_found_however_its_diff_was_made(tree):
	"""Two hunks became one; the tip has other lines where the patch was made from, so that it only applies before its own commit."""
	lines = (tree / "mm/migrate.c").read_text()
	(tree / "mm/migrate.c").write_text(lines.replace("line 10\n", "one\n").replace("line 20\n", "two\n"))
	fakes.git(tree, "commit", "-q", "-a", "-s", "-m", "mm: one", "-m", "Why.")
	mail = clients.mail(tree, "HEAD", "PATCH 2/3", "-c", "diff.interHunkContext=30")
	clients.commit(tree, "mm: after", 11, "eleven")
	assert _prep(tree, mail) == [("success", "")]


@pytest.mark.slow
def test_review_finds_the_branch(tree):
	"""HEAD is elsewhere, and the series was applied to another base than it was made from."""
	mails = [clients.mail(tree, commit, f"PATCH {number}/3", message_id=IDS[number - 1])
		 for number, commit in enumerate(_series(tree), 1)]
	fakes.git(tree, "branch", "made")
	fakes.git(tree, "reset", "-q", "--hard", "HEAD~3")
	clients.commit(tree, "mm: moved", 9, "nine")
	fakes.git(tree, "checkout", "-q", "--detach")
	for name in ("made~2", "made~1", "made"):
		fakes.git(tree, "cherry-pick", "--strategy-option=theirs", name)
	commits = fakes.git(tree, "rev-list", "--reverse", "master..HEAD").splitlines()
	env = _under_review(tree, commits)
	assert [_review(tree, mail, **env)["status"] for mail in mails] == ["pass", "fail", "pass"]
	assert f"--range={commits[0][:12]}..{commits[1][:12]} " in _review(tree, mails[1], **env)["details"]
	whole = _review(tree, "From: a\nSubject: [PATCH 0/3] cover\n\nnothing\n", "b4-series", **env)
	assert whole["status"] == "fail" and whole["summary"].startswith("patch 2: mm/migrate.c:9: ")
	assert _review(tree, mails[0], "b4-series", **env)["summary"] == whole["summary"]	# without a cover letter


@pytest.mark.slow
def test_review_of_a_branch_that_was_changed(tree):
	"""Who reviews may reorder and drop commits: the name tells which is which, the place only where there is no other sign."""
	mails = [clients.mail(tree, commit, f"PATCH {number}/3", message_id=IDS[number - 1])
		 for number, commit in enumerate(_series(tree), 1)]
	fakes.git(tree, "branch", "made")
	fakes.git(tree, "reset", "-q", "--hard", "HEAD~3")
	fakes.git(tree, "checkout", "-q", "--detach")
	for name in ("made~1", "made~2"):
		fakes.git(tree, "cherry-pick", name)
	env = _under_review(tree, fakes.git(tree, "rev-list", "--reverse", "master..HEAD").splitlines())
	assert [_review(tree, mail, **env)["status"] for mail in mails[:2]] == ["pass", "fail"]


@pytest.mark.parametrize("content", ["", "[]", "{", '{"series": {}, "patches": []}', '{"series": {"first-patch-commit": "--all", '
				     '"change-id": "x"}, "patches": [{"header-info": {"msgid": "x@y"}}]}'])
def test_tracking_that_does_not_help(tree, content):
	mail = clients.mail(tree, _series(tree)[1], "PATCH 2/3", message_id=IDS[1])
	(tree.parent / "tracking.json").write_text(content)
	env = {"B4_TRACKING_FILE": str(tree.parent / "tracking.json")}
	assert _review(tree, mail, **env)["status"] == "fail"
	entry = _review(tree, mail, "b4-series", **env)
	assert entry["status"] == "warn" and "check it out in `b4 review`" in entry["summary"]
