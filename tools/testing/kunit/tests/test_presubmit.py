# SPDX-License-Identifier: GPL-2.0
"""Presubmit looks at what is about to be sent, leaves the tree as it was, and other people's hooks alone."""

import dataclasses
import io
import os
import subprocess

import fakes
import pytest

from pinwait.commands import presubmit
from pinwait.gate import engine
from pinwait.source import usertree
from pinwait.source.options import Options
from pinwait.util.errors import CannotJudge, UsageError
from pinwait.util.proc import INTERRUPTED


@pytest.fixture(name="tree")
def _tree(tmp_path):
	"""A clone of an upstream tree, with a branch that follows it."""
	upstream = fakes.user_tree(tmp_path / "upstream")
	fakes.git(tmp_path, "clone", "-q", str(upstream), "tree")
	return tmp_path / "tree"


def _commit(tree, text):
	fakes.write(tree, {"mm/migrate.c": text})
	fakes.git(tree, "commit", "-qam", text)


def _chosen(tree, staged=False, commits=""):
	asked, why = presubmit.chosen(usertree.UserTree(tree), staged, commits)
	return asked.range or ("staged" if asked.staged else ""), why


def test_commits_that_upstream_has_not(tree):
	_commit(tree, "a")
	_commit(tree, "b")
	assert _chosen(tree) == ("origin/master..HEAD", "2 commits that origin/master lacks")


def test_staged_change_where_no_commit_is_new(tree):
	fakes.write(tree, {"mm/migrate.c": "a"})
	assert _chosen(tree)[0] == "HEAD~1..HEAD"
	fakes.git(tree, "add", "-u")
	assert _chosen(tree) == ("staged", "the staged changes")


def test_last_commit_where_there_is_no_upstream(tree):
	fakes.git(tree, "checkout", "-qb", "other", "--no-track")
	assert _chosen(tree) == ("HEAD~1..HEAD", "the last commit, because the branch has no upstream and nothing is staged")


@pytest.mark.parametrize("more, range_", [({"commits": "1"}, "HEAD~1..HEAD"), ({"commits": "a..b"}, "a..b"), ({"staged": True}, "staged")])
def test_what_was_asked_for(tree, more, range_):
	_commit(tree, "a")
	assert _chosen(tree, **more)[0] == range_


@pytest.fixture(name="asked")
def _asked(monkeypatch, tmp_path):
	"""Return what the gate is asked, and let it answer with an exit code."""
	import judgements
	asked, answers = [], []

	def judge(_options, wanted):
		asked.append(wanted)
		return answers.pop(0) if answers else judgements.good(), tmp_path
	monkeypatch.setattr(engine, "judge", judge)
	asked_and_answers = (asked, answers)
	return asked_and_answers


def test_quick_says_what_it_does_not_check(tree, asked, capsys):
	_commit(tree, "a")
	assert presubmit.presubmit(Options(kdir=str(tree)), False, "", False) == 0
	assert asked[0][0].checks == ("static", "warnings", "uml") and asked[0][0].profiles == ("uml",)
	assert "FULL=1 has them all" in asked[0][0].left_out
	presubmit.presubmit(Options(kdir=str(tree)), False, "", True)
	assert asked[0][1].checks == () and set(asked[0][1].profiles) == {"uml", "uml-debug", "uml-kasan", "uml-smp", "uml-rt", "x86_64",
								  "x86_64-lockdep", "selftests"}


def _push(tree, *lines):
	return presubmit.pushed(Options(kdir=str(tree)), io.StringIO("".join(f"{line}\n" for line in lines)), False)


def test_what_is_pushed(tree, asked):
	base = fakes.git(tree, "rev-parse", "HEAD")
	_commit(tree, "a")
	head = fakes.git(tree, "rev-parse", "HEAD")
	assert _push(tree, f"refs/heads/x {head} refs/heads/x {base}") == 0
	assert _push(tree, f"refs/heads/x {head} refs/heads/new {'0' * 40}") == 0
	assert _push(tree, f"(delete) {'0' * 40} refs/heads/old {base}") == 0
	assert _push(tree) == 0
	assert [one.range for one in asked[0]] == [f"{base}..{head}", f"{head}~1..{head}"]


def test_only_a_bad_patch_stops_a_push(tree, asked, capsys):
	import judgements
	base = fakes.git(tree, "rev-parse", "HEAD")
	_commit(tree, "a")
	line = f"refs/heads/x {fakes.git(tree, 'rev-parse', 'HEAD')} refs/heads/x {base}"
	asked[1][:] = [judgements.failing_case(), judgements.cannot_judge()]
	assert _push(tree, line) == 1
	assert _push(tree, line) == 0 and "pushed without a judgement" in capsys.readouterr().err
	asked[1][:] = [dataclasses.replace(judgements.cannot_judge(), ended=INTERRUPTED)]
	assert _push(tree, line) == INTERRUPTED


@pytest.mark.parametrize("error", [CannotJudge("disk full"), UsageError("holds 1 merges")])
def test_what_cannot_be_judged_does_not_stop_a_push(tree, monkeypatch, capsys, error):
	def judge(*_args):
		raise error
	monkeypatch.setattr(engine, "judge", judge)
	base = fakes.git(tree, "rev-parse", "HEAD")
	_commit(tree, "a")
	assert _push(tree, f"refs/heads/x {fakes.git(tree, 'rev-parse', 'HEAD')} refs/heads/x {base}") == 0
	assert f"not checked: {error}" in capsys.readouterr().err
	assert _push(tree, f"refs/heads/x {'ab' * 20} refs/heads/x {base}") == 0


def test_histories_are_not_judged(tree, asked, capsys, monkeypatch):
	monkeypatch.setattr(presubmit, "MANY", 1)
	base = fakes.git(tree, "rev-parse", "HEAD")
	_commit(tree, "a")
	_commit(tree, "b")
	assert _push(tree, f"refs/heads/x {fakes.git(tree, 'rev-parse', 'HEAD')} refs/heads/x {base}") == 0
	assert not asked[0] and "not checked: 2 commits are too many for a series" in capsys.readouterr().err


def test_first_push_of_all(tree, asked, capsys):
	for name in fakes.git(tree, "for-each-ref", "--format=%(refname)", "refs/remotes").splitlines():
		fakes.git(tree, "update-ref", "-d", name)
	head = fakes.git(tree, "rev-parse", "HEAD")
	assert _push(tree, f"refs/heads/x {head} refs/heads/new {'0' * 40}") == 0
	assert not asked[0] and "not checked: it contains a root commit" in capsys.readouterr().err


def test_hook_comes_and_goes(tree):
	options = Options(kdir=str(tree))
	hook = tree / ".git/hooks/pre-push"
	assert presubmit.install_hook(options, True) == 0
	assert os.access(hook, os.X_OK) and "--pushed --full" in hook.read_text()
	assert presubmit.install_hook(options, False) == 0 and "--full" not in hook.read_text()
	assert presubmit.remove_hook(options) == 0 and not hook.exists()
	with pytest.raises(UsageError, match="there is no hook"):
		presubmit.remove_hook(options)


def test_foreign_hook_is_left_alone(tree):
	hook = tree / ".git/hooks/pre-push"
	hook.write_text("#!/bin/sh\nexit 0\n")
	for change in (lambda: presubmit.install_hook(Options(kdir=str(tree)), False), lambda: presubmit.remove_hook(Options(kdir=str(tree)))):
		with pytest.raises(UsageError, match="not pinwait's"):
			change()
	assert hook.read_text() == "#!/bin/sh\nexit 0\n"


def test_hook_that_is_a_link_is_left_alone(tree, tmp_path):
	hook = tree / ".git/hooks/pre-push"
	hook.symlink_to(tmp_path / "not there just now")
	with pytest.raises(UsageError, match="not pinwait's"):
		presubmit.install_hook(Options(kdir=str(tree)), False)
	assert hook.is_symlink()


def test_hook_that_somebody_added_to_is_left_alone(tree):
	hook = tree / ".git/hooks/pre-push"
	presubmit.install_hook(Options(kdir=str(tree)), False)
	text = hook.read_text() + "git lfs pre-push\n"
	hook.write_text(text)
	for change in (lambda: presubmit.install_hook(Options(kdir=str(tree)), True), lambda: presubmit.remove_hook(Options(kdir=str(tree)))):
		with pytest.raises(UsageError, match="not pinwait's"):
			change()
	assert hook.read_text() == text


def test_hooks_of_more_than_this_tree(tree, tmp_path):
	fakes.git(tree, "config", "core.hooksPath", str(tmp_path / "hooks"))
	with pytest.raises(UsageError, match="core.hooksPath"):
		presubmit.install_hook(Options(kdir=str(tree)), False)
	assert not (tmp_path / "hooks").exists()


def test_hook_of_a_linked_worktree(tree, tmp_path):
	fakes.git(tree, "worktree", "add", "-q", str(tmp_path / "linked"))
	assert presubmit.install_hook(Options(kdir=str(tmp_path / "linked")), False) == 0
	assert (tree / ".git/hooks/pre-push").exists()


@pytest.mark.parametrize("code, pushed", [(0, True), (1, False), (2, True), (64, True), (127, True), (130, False), (None, True)])
def test_only_bad_stops_git(tree, tmp_path, monkeypatch, code, pushed):
	tool = tmp_path / "pinwait.py"
	if code is not None:
		tool.write_text(f"raise SystemExit({code})")
	monkeypatch.setattr(presubmit, "TOOL", tool)
	presubmit.install_hook(Options(kdir=str(tree)), False)
	_commit(tree, "a")
	done = subprocess.run(["git", "push", "-q", "origin", "HEAD:refs/heads/new"], cwd=tree, capture_output=True, text=True)
	assert (done.returncode == 0) is pushed
	assert ("nothing is checked" in done.stderr) is (code is None)


def test_what_is_pushed_may_be_any_expression(tree, asked):
	base = fakes.git(tree, "rev-parse", "HEAD")
	_commit(tree, "a")
	assert _push(tree, f"HEAD@{{1 day ago}} {fakes.git(tree, 'rev-parse', 'HEAD')} refs/heads/x {base}") == 0
	assert len(asked[0]) == 1


def test_a_full_disk_does_not_stop_a_push(tree, monkeypatch, capsys):
	def judge(*_args):
		raise OSError(28, "No space left on device")
	monkeypatch.setattr(engine, "judge", judge)
	base = fakes.git(tree, "rev-parse", "HEAD")
	_commit(tree, "a")
	assert _push(tree, f"refs/heads/x {fakes.git(tree, 'rev-parse', 'HEAD')} refs/heads/x {base}") == 0
	assert "not checked: [Errno 28]" in capsys.readouterr().err


def test_hook_runs_presubmit(tree, tmp_path, monkeypatch):
	"""The command in the hook is one that the tool understands, whatever folder the tree is in."""
	spaced = tmp_path / "my tree"
	tree.rename(spaced)
	presubmit.install_hook(Options(kdir=str(spaced), build_root=tmp_path / "b", jobs=3, series="none"), False)
	from pinwait.commands import cli
	import shlex
	words = shlex.split((spaced / ".git/hooks/pre-push").read_text().splitlines()[-2])
	args = cli.parser().parse_args(words[2:])
	assert args.pushed and args.kdir == str(spaced) and not args.full
	assert (args.build_root, args.jobs, args.series) == (str(tmp_path / "b"), 3, "none")
