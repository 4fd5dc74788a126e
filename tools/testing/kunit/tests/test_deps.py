# SPDX-License-Identifier: GPL-2.0
"""Missing packages are installed, or named with the one command that does."""

import sys

import fakes
import pytest

from pinwait.util import deps
from pinwait.util.errors import CannotJudge

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
	assert (here / "calls").read_text() == "install -y --no-install-recommends libelf-dev -o DPkg::Lock::Timeout=300\n"
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


def test_no_dpkg_looks_for_what_is_needed(system):
	needed = NEEDED | {"python3-none": "import none_of_these", "libnone-dev": "<none.h>", "libx-dev": ""}
	system({})
	with pytest.raises(CannotJudge) as error:
		deps.ensure(needed)
	assert str(error.value) == ("these are missing, and this system has no apt-get to install them: program flex (Debian: flex), Python module "
				    f"none_of_these for {sys.executable} (Debian: python3-none), header <none.h> (Debian: libnone-dev); "
				    "install the packages that have them on this system")


def test_without_dpkg_what_is_there_is_found(system, monkeypatch):
	system({"flex": "exit 1", "perl": "exit 0", "gcc": "exit 0"})
	assert not deps.missing({"flex": "flex", "perl": "perl -MX -e 1", "python3-pytest": "import pytest", "libelf-dev": "<libelf.h>"})


@pytest.mark.parametrize("state, found", [("installed", True), ("triggers-awaited", True), ("triggers-pending", True), ("unpacked", False),
					  ("half-configured", False), ("config-files", False), ("not-installed", False)])
def test_state_while_another_apt_runs(system, state, found):
	system({"dpkg-query": f"echo {state} flex; echo {state} libx-dev"})
	assert deps.missing({"flex": "flex", "libx-dev": ""}) == ([] if found else ["flex", "libx-dev"])


def test_program_on_path_counts_whatever_dpkg_says(system):
	system({"dpkg-query": "echo unpacked perl; exit 1", "perl": "exit 0"})
	assert not deps.missing({"perl": "perl -MEncode -e 1"})


def test_perl_without_its_modules_does_not_count(system):
	system({"dpkg-query": "exit 1", "perl": "exit 2"})
	assert deps.missing({"perl": "perl -MEncode -e 1"}) == ["perl"]


@pytest.mark.parametrize("lock", ["/var/lib/dpkg/lock-frontend", "/var/lib/apt/lists/lock", "/var/cache/apt/archives/lock"])
def test_waits_for_another_apt(system, monkeypatch, lock):
	here = system({"dpkg-query": QUERY, "apt-get": f"[ -e $HERE/free ] || {{ touch $HERE/free; echo 'E: Could not get lock {lock}'; exit 100; }}\n"
							"case $1 in install) touch $HERE/done;; esac"})
	monkeypatch.setattr(deps.time, "sleep", lambda _seconds: None)
	deps.ensure(NEEDED)
	assert (here / "done").exists()


def test_modules_of_another_interpreter(system):
	"""apt-get cannot help: what it installs is there already."""
	here = system({"dpkg-query": "echo installed python3-none", "apt-get": "touch $HERE/called"})
	with pytest.raises(CannotJudge, match=f"not for this Python: Python module none_of_these for {sys.executable}.*/usr/bin/python3"):
		deps.ensure({"python3-none": "import none_of_these"})
	assert not (here / "called").exists()


def test_all_that_is_needed_is_found_here_without_asking_dpkg(monkeypatch):
	"""What each package is known by is right: it is found where the package is installed, by the system's python3."""
	monkeypatch.setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
	monkeypatch.setattr(deps, "_installed", lambda _packages: set())
	assert not deps.missing(deps.RUN | deps.CHECK)
