# SPDX-License-Identifier: GPL-2.0
"""A prepared kernel is complete, the same everywhere, and reused."""

import io
import shutil
from pathlib import Path

import fakes
import pytest

from pinwait.source import store as module
from pinwait.util.errors import CannotJudge, UsageError
from pinwait.util.progress import Progress


@pytest.fixture(name="store")
def _store(tmp_path):
	return module.Store(tmp_path / "build", Progress(io.StringIO()))


def test_tarball_is_imported_whole(store, tmp_path):
	ready = store.tarball(fakes.tarball(tmp_path))
	assert ready.version == "7.3.4"
	assert fakes.git(ready.tree, "ls-files").splitlines() == sorted(fakes.FILES)
	assert fakes.git(ready.tree, "status", "--porcelain", "-uno") == ""


def test_same_tree_same_commit(tmp_path):
	one, other = fakes.prepared(tmp_path / "one"), fakes.prepared(tmp_path / "other")
	assert one.base_commit == other.base_commit


def test_second_time_nothing_is_unpacked(store, tmp_path, monkeypatch):
	file = fakes.tarball(tmp_path)
	ready = store.tarball(file)
	monkeypatch.setattr(module, "unpack", None)
	assert store.tarball(file) == ready


def test_interrupted_import_is_done_again(store, tmp_path, monkeypatch):
	file = fakes.tarball(tmp_path)
	real = module.Git.__call__

	def interrupted(self, *args, **kwargs):
		if "add" in args:
			real(self, "add", "-f", "Makefile")
			(self.path / ".git/index.lock").touch()
			raise KeyboardInterrupt
		return real(self, *args, **kwargs)

	monkeypatch.setattr(module.Git, "__call__", interrupted)
	with pytest.raises(KeyboardInterrupt):
		store.tarball(file)
	assert store.prepared() == []
	monkeypatch.setattr(module.Git, "__call__", real)
	monkeypatch.setattr(module, "unpack", None)		# that part was complete
	assert fakes.git(store.tarball(file).tree, "ls-files").splitlines() == sorted(fakes.FILES)


def test_interrupted_unpacking_is_done_again(store, tmp_path, monkeypatch):
	file = fakes.tarball(tmp_path)

	def interrupted(archive, partial, target):
		fakes.write(partial / "tree", {"Makefile": "half"})
		raise KeyboardInterrupt

	with monkeypatch.context() as patched:
		patched.setattr(module, "unpack", interrupted)
		with pytest.raises(KeyboardInterrupt):
			store.tarball(file)
	assert store.prepared() == []
	assert store.tarball(file).version == "7.3.4"


def test_cut_tarball(store, tmp_path):
	file = fakes.tarball(tmp_path)
	file.write_bytes(file.read_bytes()[:200])
	with pytest.raises(CannotJudge, match="cannot be unpacked; is it complete"):
		store.tarball(file)
	assert store.prepared() == []


def test_tarball_without_kernel(store, tmp_path):
	fakes.write(tmp_path / "linux-7.3.4", {"mm/migrate.c": ""})
	file = shutil.make_archive(str(tmp_path / "linux"), "gztar", tmp_path, "linux-7.3.4")
	with pytest.raises(UsageError, match="holds no kernel tree: it has no Makefile"):
		store.tarball(Path(file))


def test_missing_tarball(store, tmp_path):
	with pytest.raises(UsageError, match="there is no file"):
		store.tarball(tmp_path / "none.tar")


def test_prepared_package_needs_no_archive(store, monkeypatch):
	for name in ("7.3.4-1~bpo13+1", "7.3.10-1", "7.30-1", "tar-0123"):
		fakes.prepared(store.kernels / name)
	monkeypatch.setattr(store, "_fetch", None)
	assert store.package("7.3").name == "7.3.10-1"
	assert store.package("7.3.4").name == "7.3.4-1~bpo13+1"
	assert store.package("7.3.4-1~bpo13+1").name == "7.3.4-1~bpo13+1"


def test_no_apt(store, monkeypatch, tmp_path):
	monkeypatch.setenv("PATH", str(tmp_path))
	with pytest.raises(CannotJudge, match="TARBALL="):
		store.package("7.3")
