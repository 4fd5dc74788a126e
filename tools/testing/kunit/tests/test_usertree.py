# SPDX-License-Identifier: GPL-2.0
"""A developer's tree is tested as it is, and never written."""

import io
import os
import shutil
import subprocess

import fakes
import pytest

from pinwait.source import usertree, worktree
from pinwait.util.errors import CannotJudge, UsageError
from pinwait.util.git import Git
from pinwait.util.progress import Progress


def _prepare(user, tmp_path):
	"""Return the kernel, its checked out worktree and what was said."""
	said = io.StringIO()
	kernels = tmp_path / "kernels"
	kernels.mkdir(exist_ok=True)
	ready = usertree.prepare(user, kernels, Progress(said))
	worktree.check_out(ready, ready.base_commit, tmp_path / "strays", Progress(said))
	return ready, said.getvalue()


def _state(folder):
	"""Return names, times and contents of all files below folder.

	Not the times of objects: git may renew them, so that no gc takes what is in use.
	"""
	return {path: (0 if "objects" in path.parts else path.lstat().st_mtime_ns,
		       path.read_bytes() if path.is_file() else None)
		for path in folder.rglob("*")}


@pytest.fixture(name="user")
def _user(tmp_path):
	return fakes.user_tree(tmp_path / "user")


def test_clean_tree_is_head(user, tmp_path):
	ready, said = _prepare(user, tmp_path)
	assert ready.base_commit == fakes.git(user, "rev-parse", "HEAD")
	assert (ready.version, ready.dirty) == ("7.3.4", False)
	assert (ready.tree / "mm/migrate.c").read_text() == fakes.MIGRATE
	assert said == ""


def test_uncommitted_changes_are_tested(user, tmp_path):
	fakes.write(user, {"mm/migrate.c": "edited\n", "mm/Kconfig": "staged\n", "untracked.c": "x"})
	fakes.git(user, "add", "-u", "mm/Kconfig")
	(user / "include/linux/mm.h").unlink()
	ready, said = _prepare(user, tmp_path)
	assert ready.dirty and "plus uncommitted changes" in ready.base
	assert "KDIR is dirty: testing HEAD plus uncommitted changes to 3 files" in said
	assert (ready.tree / "mm/migrate.c").read_text() == "edited\n"
	assert (ready.tree / "mm/Kconfig").read_text() == "staged\n"
	assert not (ready.tree / "include/linux/mm.h").exists()
	assert not (ready.tree / "untracked.c").exists()
	assert _prepare(user, tmp_path)[0].base_commit == ready.base_commit


@pytest.mark.parametrize("config", ["core.splitIndex", "core.untrackedCache", "core.fsmonitor"])
def test_tree_is_not_written(user, tmp_path, config):
	fakes.git(user, "config", config, "true" if config != "core.fsmonitor" else "touch fsmonitor-ran")
	hook = user / ".git/hooks/post-index-change"
	hook.parent.mkdir(exist_ok=True)
	hook.write_text("#!/bin/sh\ntouch hook-ran\n")
	hook.chmod(0o755)
	fakes.write(user, {"mm/migrate.c": "edited\n"})
	os.utime(user / "MAINTAINERS")		# the index is stale: refreshing it would write it
	before = _state(user)
	_prepare(user, tmp_path)
	assert "edited" in usertree.UserTree(user).uncommitted(False) and not usertree.UserTree(user).uncommitted(True)
	assert _state(user) == before


def test_partial_clone_is_refused(user, tmp_path):
	fakes.git(user, "config", "uploadpack.allowFilter", "true")
	fakes.git(tmp_path, "clone", "-q", "--filter=blob:none", f"file://{user}", "partial")
	with pytest.raises(UsageError, match="is a partial clone: .* --unset remote.origin.promisor"):
		usertree.UserTree(tmp_path / "partial")


def test_alternates_are_mended(user, tmp_path):
	ready, _ = _prepare(user, tmp_path)
	alternates = ready.tree / ".git/objects/info/alternates"
	right = alternates.read_text()
	alternates.write_text("")
	_prepare(user, tmp_path)
	assert alternates.read_text() == right


def test_lock_of_a_ref_that_a_killed_git_left(user, tmp_path):
	ready, _ = _prepare(user, tmp_path)
	lock = ready.tree / ".git/refs/pinwait/base.lock"
	lock.touch()
	os.utime(lock, (0, 0))
	fakes.write(user, {"mm/migrate.c": "next\n"})
	with worktree.locked(tmp_path / "kernels", ready.name):
		_prepare(user, tmp_path)
	assert not lock.exists()


def test_folder_becomes_a_file(user, tmp_path):
	fakes.write(user, {"mm/odd/x.c": "x\n"})
	fakes.git(user, "add", "-f", "mm/odd/x.c")
	fakes.git(user, "commit", "-q", "-m", "folder")
	_prepare(user, tmp_path)
	fakes.git(user, "rm", "-q", "mm/odd/x.c")
	fakes.write(user, {"mm/odd": "file\n"})
	fakes.git(user, "add", "-f", "mm/odd")
	fakes.git(user, "commit", "-q", "-m", "file")
	ready, said = _prepare(user, tmp_path)
	assert (ready.tree / "mm/odd").read_text() == "file\n" and said == ""


def test_next_state_follows(user, tmp_path):
	_prepare(user, tmp_path)
	fakes.write(user, {"mm/migrate.c": "next\n"})
	fakes.git(user, "commit", "-q", "-a", "-m", "next")
	ready, said = _prepare(user, tmp_path)
	assert (ready.tree / "mm/migrate.c").read_text() == "next\n" and said == ""


def test_history_that_was_rewritten_and_pruned(user, tmp_path):
	fakes.write(user, {"mm/migrate.c": "old\n", "include/linux/mm.h": "old\n"})
	fakes.git(user, "commit", "-q", "-a", "-m", "old")
	old = fakes.git(user, "rev-parse", "HEAD^{tree}")
	ready, _said = _prepare(user, tmp_path)
	# A commit of ours on top: it stays, but the folders it shares with the user's go.
	fakes.write(tmp_path / "project", {"mm/tests/x.c": "x\n"})
	composed = worktree.compose(ready, ready.base_commit, tmp_path / "project")
	worktree.check_out(ready, composed, tmp_path / "strays", Progress(io.StringIO()))
	fakes.git(user, "reset", "-q", "--hard", "HEAD~1")
	fakes.git(user, "reflog", "expire", "--expire=now", "--all")
	fakes.git(user, "update-ref", "-d", "ORIG_HEAD")
	fakes.git(user, "gc", "-q", "--prune=now")
	with pytest.raises(subprocess.CalledProcessError):
		fakes.git(user, "cat-file", "-e", old)
	ready, _said = _prepare(user, tmp_path)
	assert (ready.tree / "mm/migrate.c").read_text() == fakes.MIGRATE


def test_linked_worktree(user, tmp_path):
	fakes.git(user, "worktree", "add", "-q", str(tmp_path / "linked"))
	fakes.write(tmp_path / "linked", {"mm/migrate.c": "edited\n"})
	ready, said = _prepare(tmp_path / "linked", tmp_path)
	assert "to 1 files" in said
	assert (ready.tree / "mm/migrate.c").read_text() == "edited\n"


def test_shallow_clone(user, tmp_path):
	fakes.git(user, "commit", "-q", "--allow-empty", "-m", "second")
	fakes.git(tmp_path, "clone", "-q", "--depth=1", f"file://{user}", "shallow")
	ready, _said = _prepare(tmp_path / "shallow", tmp_path)
	assert Git(ready.tree)("log", "--format=%s", ready.base_commit) == "second"


def test_unmerged_files(user, tmp_path):
	fakes.git(user, "checkout", "-q", "-b", "other")
	fakes.write(user, {"mm/migrate.c": "theirs\n"})
	fakes.git(user, "commit", "-q", "-a", "-m", "theirs")
	fakes.git(user, "checkout", "-q", "-b", "ours", "HEAD~1")
	fakes.write(user, {"mm/migrate.c": "ours\n"})
	fakes.git(user, "commit", "-q", "-a", "-m", "ours")
	with pytest.raises(subprocess.CalledProcessError):
		fakes.git(user, "merge", "-q", "other")
	with pytest.raises(CannotJudge, match="unmerged files: mm/migrate.c"):
		_prepare(user, tmp_path)


def test_copies_of_trees_that_are_gone_are_removed(user, tmp_path):
	other = fakes.user_tree(tmp_path / "other")
	old, _ = _prepare(other, tmp_path)
	fakes.write(tmp_path, {f"{place}/{old.name}/x": "" for place in ("obj", "gate/obj", "obj/keep")})
	_, said = _prepare(user, tmp_path)
	assert said == "" and old.tree.exists()
	shutil.rmtree(other)
	with worktree.locked(tmp_path / "kernels", old.name):
		assert _prepare(user, tmp_path)[1] == "" and old.tree.exists()		# somebody may still look at it
	ready, said = _prepare(user, tmp_path)
	assert said == f"removed the copy of {other}, which no longer exists\n"
	assert not old.tree.exists() and ready.tree.exists()
	assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("x")] == [f"obj/keep/{old.name}/x"]


def test_copy_without_a_note_is_removed_when_its_objects_are_gone(user, tmp_path):
	other = fakes.user_tree(tmp_path / "other")
	old, _ = _prepare(other, tmp_path)
	(old.tree / usertree.NOTE).unlink()
	_prepare(user, tmp_path)
	assert old.tree.exists()
	shutil.rmtree(other)
	_prepare(user, tmp_path)
	assert not old.tree.exists()


def test_no_git_tree(tmp_path):
	with pytest.raises(UsageError, match="is no git tree with a commit"):
		_prepare(fakes.source(tmp_path / "plain"), tmp_path)


def test_folder_of_another_tree(tmp_path):
	fakes.source(tmp_path / "top/kernel")
	fakes.git(tmp_path / "top", "init", "-q", ".")
	fakes.git(tmp_path / "top", "add", "-f", ".")
	fakes.git(tmp_path / "top", "commit", "-q", "-m", "all")
	with pytest.raises(UsageError, match="but a folder of"):
		_prepare(tmp_path / "top/kernel", tmp_path)


def test_no_kernel_tree(user, tmp_path):
	(user / "mm/migrate.c").unlink()
	with pytest.raises(UsageError, match="is no kernel tree: it has no mm/migrate.c"):
		_prepare(user, tmp_path)
