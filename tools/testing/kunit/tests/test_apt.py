# SPDX-License-Identifier: GPL-2.0
"""The package archive: vanished versions, no network, unknown kernels."""

import fakes
import pytest

from pinwait.source import store
from pinwait.source.apt import Archive
from pinwait.util.errors import CannotJudge, UsageError
from pinwait.util.proc import CommandFailed
from pinwait.util.progress import Progress

# A machine whose own lists know 7.2.1, which is gone from the archive; fresh lists know 7.2.3.
# Only suite trixie-backports has 7.3.
CACHE = """
case "$*" in
*madison*linux-source-7.2*) case "$*" in *State::lists*) v=7.2.3-1;; *) v=7.2.1-1;; esac
	echo " linux-source-7.2 | $v | archive Packages";;
*trixie-backports*madison*linux-source-7.3*) echo " linux-source-7.3 | 7.3.4-1 | archive Packages";;
*search*) echo "linux-source-7.2 - source"; echo "linux-source-7.3 - source";;
esac
"""
GET = """
echo "$*" >> $HERE/calls
case "$*" in
*indextargets*) echo "Debian-Security|archive:/security/"; echo "Debian|archive:/debian/";;
*download*7.2.1*) echo "E: Failed to fetch linux-source-7.2_7.2.1-1_all.deb  404  Not Found" >&2; exit 100;;
*download*) touch linux-source-fetched_all.deb;;
esac
"""
OFFLINE = """
case "$*" in
*update*) echo "Err:1 the list" >&2; echo "  Could not resolve 'archive'" >&2; echo x >> $HERE/updates; exit 100;;
*indextargets*) echo "Debian|archive:/debian/";;
esac
"""


def _get(tmp_path, wanted):
	archive = Archive(tmp_path / "cache")
	archive.cache.mkdir()
	for candidate in archive.candidates(wanted, update=False):
		try:
			return candidate, archive.download(candidate)
		except CommandFailed as error:
			archive.note(error)
	raise archive.failure(wanted)


def test_vanished_version_gives_way_to_newest(tmp_path, monkeypatch):
	fakes.programs(monkeypatch, tmp_path / "bin", {"apt-get": GET, "apt-cache": CACHE})
	candidate, deb = _get(tmp_path, "7.2")
	assert candidate.version == "7.2.3-1" and deb.exists()
	assert f"Dir::State::lists={tmp_path / 'cache/apt/machine/lists'}" in candidate.view.options
	assert not list((tmp_path / "cache/partial").iterdir())


def test_newer_kernel_comes_from_a_private_suite(tmp_path, monkeypatch):
	fakes.programs(monkeypatch, tmp_path / "bin", {"apt-get": GET, "apt-cache": CACHE})
	candidate, _deb = _get(tmp_path, "7.3")
	assert candidate.version == "7.3.4-1"
	sources = (tmp_path / "cache/apt/trixie-backports-0.list").read_text()
	assert sources.endswith("archive:/debian/ trixie-backports main\n")
	assert [path.name for path in (tmp_path / "cache/apt").glob("*.list")] == ["trixie-backports-0.list"]
	calls = (tmp_path / "bin/calls").read_text().splitlines()
	updates = [call for call in calls if "update" in call]
	assert updates and all(f"Dir::State::lists={tmp_path}" in call for call in updates)


@pytest.mark.parametrize("wanted", ["7.2.0-1", "7.2.2"])
def test_another_version_is_not_taken_instead(tmp_path, monkeypatch, wanted):
	fakes.programs(monkeypatch, tmp_path / "bin", {"apt-get": GET, "apt-cache": CACHE})
	with pytest.raises(UsageError, match=rf"unknown kernel '{wanted}'; of 7\.2 the archive has: 7\.2\.1-1, 7\.2\.3-1 \(--kernel=7\.2 "):
		_get(tmp_path, wanted)


def test_version_is_that_of_any_package(tmp_path, monkeypatch):
	fakes.programs(monkeypatch, tmp_path / "bin", {"apt-get": GET, "apt-cache": CACHE})
	assert _get(tmp_path, "7.2.3")[0].version == "7.2.3-1"


def test_no_network(tmp_path, monkeypatch):
	fakes.programs(monkeypatch, tmp_path / "bin", {"apt-get": OFFLINE, "apt-cache": ""})
	with pytest.raises(CannotJudge, match="is there a network.*apt says: Could not resolve.*TARBALL"):
		_get(tmp_path, "7.3")
	assert (tmp_path / "bin/updates").read_text() == "x\n"		# one host, asked once


@pytest.mark.parametrize("wanted, text", [("9.9", "the archive has: 7.2, 7.3"), ("next", "give x.y")])
def test_unknown_kernel(tmp_path, monkeypatch, wanted, text):
	fakes.programs(monkeypatch, tmp_path / "bin", {"apt-get": GET, "apt-cache": CACHE})
	with pytest.raises(UsageError, match=text):
		_get(tmp_path, wanted)


def test_store_prepares_what_apt_fetched(tmp_path, monkeypatch):
	tar = fakes.tarball(tmp_path)
	(tmp_path / "linux-source-7.3.tar.gz").symlink_to(tar)
	fakes.programs(monkeypatch, tmp_path / "bin", {
		"apt-get": GET, "apt-cache": CACHE,
		"dpkg": f'mkdir -p "$3/usr/src" && cp {tar} "$3/usr/src/linux-source-7.3.tar.gz"'})
	made = store.Store(tmp_path / "build", Progress())
	ready = made.package("7.3")
	assert (ready.name, ready.base) == ("7.3.4-1", "linux-source-7.3 7.3.4-1")
	(tmp_path / "bin/calls").unlink()
	assert made.package("7.3") == ready
	assert not (tmp_path / "bin/calls").exists()
