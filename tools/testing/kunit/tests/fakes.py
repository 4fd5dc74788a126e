# SPDX-License-Identifier: GPL-2.0
"""Stand-ins small enough for unit tests: a kernel tree, a prepared kernel, programs on PATH."""

import functools
import os
import shutil
import subprocess
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pinwait.source import store as kernels
from pinwait.source.store import Kernel

MIGRATE = "".join(f"line {number}\n" for number in range(1, 41))
FILES = {
	"Makefile": "VERSION = 7\nPATCHLEVEL = 3\nSUBLEVEL = 4\nEXTRAVERSION =\nNAME = Test\n"
		    "%.o:\n\t@echo make $@ >>$(O)/calls\n\t@mkdir -p $(O)/$(@D)\n\t@date >$(O)/$@\n"
		    "all:\n\t@echo make $(ARCH) >>$(O)/calls\n\t@! cat mm/fails 2>/dev/null\n\t@date >$(O)/linux\n",
	"Kbuild": "", "MAINTAINERS": "", ".gitignore": "*.o\n/*\n", "mm/migrate.c": MIGRATE,
	"mm/Kconfig": "config MMU\n", "mm/Makefile": "obj-y += migrate.o\n",
	"include/linux/mm.h": "header\n", "tools/testing/kunit/kunit.py": "raise SystemExit(0)\n",
}
ENV = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", "GIT_AUTHOR_NAME": "A",
       "GIT_AUTHOR_EMAIL": "a@localhost", "GIT_COMMITTER_NAME": "A", "GIT_COMMITTER_EMAIL": "a@localhost"}


def git(folder: Path, *args: str) -> str:
	"""Run git as a developer would, without this machine's configuration."""
	return subprocess.run(["git", *args], cwd=folder, env={**os.environ, **ENV}, check=True,
			      capture_output=True, text=True).stdout.strip()


def write(folder: Path, files: dict[str, str]) -> None:
	"""Write files below folder."""
	for name, text in files.items():
		path = folder / name
		path.parent.mkdir(parents=True, exist_ok=True)
		path.write_text(text, encoding="utf-8")


def source(folder: Path, kunit: str | None = None) -> Path:
	"""Make a kernel tree, with a kunit.py of the test's."""
	write(folder, FILES | ({"tools/testing/kunit/kunit.py": kunit} if kunit else {}))
	return folder


@functools.cache
def _template(make: Callable[[Path], None]) -> tempfile.TemporaryDirectory[str]:
	"""Make a tree once: hundreds of tests want one, and git takes longer over it than over all that they do."""
	place = tempfile.TemporaryDirectory(prefix="pinwait-fake-")
	make(source(Path(place.name)))
	return place


def _copy(make: Callable[[Path], None], folder: Path) -> Path:
	shutil.copytree(_template(make).name, folder, symlinks=True, dirs_exist_ok=True)
	return folder


def _commit_all(folder: Path) -> None:
	git(folder, "init", "-q", ".")
	git(folder, "add", "-f", ".")
	git(folder, "commit", "-q", "-m", "base")


def _import(folder: Path) -> None:
	kernels.import_tree(folder, "fake 7.3.4")


def user_tree(folder: Path) -> Path:
	"""Make a developer's kernel tree under git."""
	return _copy(_commit_all, folder)


def prepared(folder: Path, kunit: str | None = None) -> Kernel:
	"""Make a kernel as Store leaves it."""
	if kunit:
		_import(source(folder, kunit))
	else:
		_copy(_import, folder)
	ready = kernels.load(folder)
	assert ready
	return ready


def tarball(folder: Path, kunit: str | None = None) -> Path:
	"""Make linux-7.3.4.tar.gz in folder."""
	source(folder / "linux-7.3.4", kunit)
	with tarfile.open(folder / "linux-7.3.4.tar.gz", "w:gz") as archive:
		archive.add(folder / "linux-7.3.4", "linux-7.3.4")
	return folder / "linux-7.3.4.tar.gz"


def programs(monkeypatch, folder: Path, scripts: dict[str, str]) -> None:
	"""Put shell scripts first on PATH; they find $HERE, their folder."""
	folder.mkdir(exist_ok=True)
	for name, script in scripts.items():
		path = folder / name
		path.write_text(f"#!/bin/sh\nHERE={folder}\n{script}\n", encoding="utf-8")
		path.chmod(0o755)
	monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def patch(line: int, before: str, after: str, subject: str = "change it") -> str:
	"""Return a git-am patch that replaces one line of mm/migrate.c."""
	lines = [f" line {number}\n" for number in range(line - 3, line + 4)]
	lines[3:4] = [f"-{before}\n", f"+{after}\n"]
	return ("From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001\n"
		"From: A Developer <dev@localhost>\nDate: Mon, 5 Jan 2026 10:00:00 +0000\n"
		f"Subject: [PATCH] {subject}\n\nWhy.\n---\ndiff --git a/mm/migrate.c b/mm/migrate.c\n"
		f"--- a/mm/migrate.c\n+++ b/mm/migrate.c\n@@ -{line - 3},7 +{line - 3},7 @@ here\n"
		f"{''.join(lines)}--\n2.39.5\n")


def ended(pid: int = 0) -> bool:
	"""Tell whether this child, or any, ended and is not waited for yet."""
	try:
		return os.waitid(os.P_PID if pid else os.P_ALL, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
	except ChildProcessError:
		return False


def wait_for(condition: Callable[[], Any]) -> Any:
	"""Return what condition gives as soon as it is true, or what it gives after half a minute."""
	deadline = time.monotonic() + 30
	while not (met := condition()) and time.monotonic() < deadline:
		time.sleep(0.01)
	return met
