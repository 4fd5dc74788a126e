# SPDX-License-Identifier: GPL-2.0
"""Missing packages are installed, or named with the one command that does."""

import fakes
import pytest

from pinwait import deps
from pinwait.errors import CannotJudge

QUERY = 'for p in "$@"; do case $p in -*) ;; *) if [ -e $HERE/has-$p ]; then echo "installed $p"; fi;; esac; done; true'
NEEDED = {"flex": "flex", "libelf-dev": ""}


@pytest.fixture(name="system")
def _system(tmp_path, monkeypatch):
	"""Put programs on PATH and nothing else."""
	def system(scripts, uid=0):
		fakes.programs(monkeypatch, tmp_path / "bin", scripts)
		(tmp_path / "bin/sh").symlink_to("/bin/sh")
		for name in ("env", "touch"):
			(tmp_path / "bin" / name).symlink_to(f"/usr/bin/{name}")
		monkeypatch.setenv("PATH", str(tmp_path / "bin"))
		monkeypatch.setattr(deps.os, "geteuid", lambda: uid)
		return tmp_path / "bin"
	return system


def test_installs_as_root_and_says_so(system, capsys):
	here = system({"dpkg-query": QUERY, "apt-get": 'echo "$*" >> $HERE/calls'})
	(here / "has-flex").touch()
	deps.ensure(NEEDED)
	assert (here / "calls").read_text() == "install -y --no-install-recommends libelf-dev\n"
	assert "installed libelf-dev" in capsys.readouterr().err


def test_complete_system_is_left_alone(system, capsys):
	here = system({"dpkg-query": QUERY, "apt-get": 'echo "$*" >> $HERE/calls'})
	for name in NEEDED:
		(here / f"has-{name}").touch()
	deps.ensure(NEEDED)
	assert not (here / "calls").exists() and capsys.readouterr().err == ""


def test_stale_lists_are_refreshed(system):
	here = system({"dpkg-query": QUERY, "apt-get":
		       'echo $1 >> $HERE/calls; case $1 in update) touch $HERE/fresh;; *) [ -e $HERE/fresh ];; esac'})
	deps.ensure(NEEDED)
	assert (here / "calls").read_text().split() == ["install", "update", "install"]


def test_without_rights_names_the_command(system):
	system({"dpkg-query": QUERY, "apt-get": "exit 1", "sudo": "exit 1"}, uid=1000)
	with pytest.raises(CannotJudge, match="run: sudo apt-get install -y --no-install-recommends flex libelf-dev$"):
		deps.ensure(NEEDED)


def test_sudo_without_password(system):
	here = system({"dpkg-query": QUERY, "apt-get": "exit 0", "sudo": 'echo "$*" >> $HERE/calls'}, uid=1000)
	deps.ensure(NEEDED)
	assert "-n env DEBIAN_FRONTEND=noninteractive apt-get install" in (here / "calls").read_text()


def test_failed_installation_tells_why(system):
	system({"dpkg-query": QUERY, "apt-get": 'echo "E: Unable to locate package"; exit 100'})
	with pytest.raises(CannotJudge, match="E: Unable to locate package.*run: sudo apt-get install"):
		deps.ensure(NEEDED)


def test_no_dpkg_looks_for_programs(system):
	system({})
	with pytest.raises(CannotJudge, match="no apt-get.*: flex$"):
		deps.ensure(NEEDED)
