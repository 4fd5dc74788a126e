# SPDX-License-Identifier: GPL-2.0
"""The worktree changes where content changes, and nowhere else; stray edits are kept."""

import io
import os

import fakes
import pytest

from pinwait.source import series, worktree
from pinwait.mutation.corpus import Mutant
from pinwait.util.progress import Progress

OLD = 1_000_000_000


@pytest.fixture(name="kernel")
def _kernel(tmp_path):
	return fakes.prepared(tmp_path / "7.3.4-1")


@pytest.fixture(name="project")
def _project(tmp_path):
	fakes.write(tmp_path / "project", {"mm/tests/x.c": "one\n", "mm/tests/.x.c.swp": "", "mm/tests/x.c~": "",
					   "mm/tests/.kunitconfig": "CONFIG_X=y\n", "include/linux/x.h": "x\n", "Kconfig.kunit": "config X\n", "README": ""})
	return tmp_path / "project"


def _check_out(kernel, project, tmp_path, applied=None):
	said = io.StringIO()
	commit = worktree.compose(kernel, applied or kernel.base_commit, project)
	worktree.check_out(kernel, commit, tmp_path / "strays", Progress(said))
	return said.getvalue()


def _age(kernel):
	"""Give every file an old time, which git is made to know, and return nothing."""
	for path in kernel.tree.rglob("*"):
		if path.is_file() and ".git" not in path.parts:
			os.utime(path, (OLD, OLD))
	kernel.git("update-index", "--refresh")


def _younger(kernel):
	return sorted(str(path.relative_to(kernel.tree)) for path in kernel.tree.rglob("*")
		      if path.is_file() and ".git" not in path.parts and path.stat().st_mtime != OLD)


def test_brings_sources_and_hooks(kernel, project, tmp_path):
	assert _check_out(kernel, project, tmp_path) == ""
	new = fakes.git(kernel.tree, "diff", "--name-only", kernel.base_commit).splitlines()
	assert new == ["Kconfig.kunit", "include/linux/x.h", "mm/Kconfig", "mm/Makefile", "mm/tests/.kunitconfig", "mm/tests/x.c"]
	assert (kernel.tree / "mm/Makefile").read_text() == f"obj-y += migrate.o\n\n{worktree.MARK}\nobj-y += tests/\n"
	assert (kernel.tree / "mm/Kconfig").read_text().endswith('source "Kconfig.kunit"\n')


def test_hook_that_is_there_is_not_doubled(kernel, project, tmp_path):
	_check_out(kernel, project, tmp_path)
	again = worktree.compose(kernel, kernel.git("rev-parse", "HEAD"), project)
	assert kernel.git("cat-file", "blob", f"{again}:mm/Makefile").count("tests/") == 1


@pytest.mark.parametrize("file, old", [("mm/migrate.c", "line 7\n"), ("mm/tests/x.c", "one\n")])
def test_mutant_is_a_commit_of_its_own(kernel, project, file, old):
	plain = worktree.compose(kernel, kernel.base_commit, project)
	broken = worktree.compose(kernel, kernel.base_commit, project, [Mutant("a", file, old, "", "")])
	assert kernel.git("diff", "--name-only", plain, broken) == file
	assert old not in kernel.git("cat-file", "blob", f"{broken}:{file}") + "\n"


def test_only_files_that_differ_are_touched(kernel, project, tmp_path):
	folder = tmp_path / "p"
	fakes.write(folder, {"1.patch": fakes.patch(10, "line 10", "ten"), "2.patch": fakes.patch(30, "line 30", "thirty")})
	two = series.Series("rfc", "7.3", (folder / "1.patch", folder / "2.patch"))
	_check_out(kernel, project, tmp_path, series.apply(kernel, two))
	_age(kernel)
	fakes.write(folder, {"2.patch": fakes.patch(30, "line 30", "dreissig")})
	_check_out(kernel, project, tmp_path, series.apply(kernel, two))
	assert _younger(kernel) == ["mm/migrate.c"]
	_age(kernel)
	fakes.write(project, {"mm/tests/x.c": "two\n"})
	_check_out(kernel, project, tmp_path, series.apply(kernel, two))
	assert _younger(kernel) == ["mm/tests/x.c"]


def test_nothing_changed_nothing_done(kernel, project, tmp_path, monkeypatch):
	_check_out(kernel, project, tmp_path)
	monkeypatch.setattr(worktree, "_save_strays", None)
	_check_out(kernel, project, tmp_path)


def test_removed_source_goes(kernel, project, tmp_path):
	_check_out(kernel, project, tmp_path)
	(project / "mm/tests/x.c").unlink()
	_check_out(kernel, project, tmp_path)
	assert not (kernel.tree / "mm/tests/x.c").exists()


def test_files_as_another_commit_has_them(kernel, project, tmp_path):
	first = worktree.compose(kernel, kernel.base_commit, project)
	fakes.write(project, {"mm/tests/x.c": "two\n", "mm/tests/new.c": "new\n"})
	second = worktree.compose(kernel, kernel.base_commit, project)
	mixed = worktree.with_files(kernel, second, first, ["mm/tests/x.c", "mm/tests/new.c"])
	assert kernel.git("cat-file", "blob", f"{mixed}:mm/tests/x.c") == "one"
	assert kernel.git("diff", "--name-only", second, mixed) == "mm/tests/x.c"
	assert worktree.with_files(kernel, second, first, ["mm/tests/x.c"]) == mixed


def test_stray_edits_are_saved_and_restored(kernel, project, tmp_path):
	_check_out(kernel, project, tmp_path)
	fakes.write(kernel.tree, {"mm/migrate.c": fakes.MIGRATE + "mine\n"})
	said = _check_out(kernel, project, tmp_path)
	assert "warning: 1 files were edited" in said and "mm/migrate.c" in said
	assert (kernel.tree / "mm/migrate.c").read_text() == fakes.MIGRATE
	(diff,) = (tmp_path / "strays").rglob("*.diff")
	fakes.git(kernel.tree, "apply", str(diff))
	assert (kernel.tree / "mm/migrate.c").read_text() == fakes.MIGRATE + "mine\n"


def test_untracked_file_in_the_way_is_saved(kernel, project, tmp_path):
	_check_out(kernel, project, tmp_path)
	fakes.write(kernel.tree, {"mm/tests/y.c": "mine\n"})
	fakes.write(project, {"mm/tests/y.c": "ours\n"})
	assert "mm/tests/y.c" in _check_out(kernel, project, tmp_path)
	(saved,) = (tmp_path / "strays").rglob("y.c")
	assert saved.read_text() == "mine\n"
	assert (kernel.tree / "mm/tests/y.c").read_text() == "ours\n"


def test_unfinished_checkout_is_no_stray_edit(kernel, project, tmp_path, monkeypatch):
	real = worktree.Git.__call__

	def interrupted(self, *args, **kwargs):
		if args[0] == "reset":
			fakes.write(kernel.tree, {"mm/tests/x.c": "half", "mm/Kconfig": ""})
			(kernel.tree / ".git/index.lock").touch()
			raise KeyboardInterrupt
		return real(self, *args, **kwargs)

	with monkeypatch.context() as patched:
		patched.setattr(worktree.Git, "__call__", interrupted)
		with pytest.raises(KeyboardInterrupt):
			_check_out(kernel, project, tmp_path)
	assert _check_out(kernel, project, tmp_path) == ""
	assert (kernel.tree / "mm/tests/x.c").read_text() == "one\n"
	assert fakes.git(kernel.tree, "status", "--porcelain", "-uno") == ""
