# SPDX-License-Identifier: GPL-2.0
"""Our own git repositories: same commit ids everywhere, whatever the user configured."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .proc import CommandFailed, run

IDENTITY = {
	"GIT_AUTHOR_NAME": "pinwait", "GIT_AUTHOR_EMAIL": "pinwait@localhost",
	"GIT_COMMITTER_NAME": "pinwait", "GIT_COMMITTER_EMAIL": "pinwait@localhost",
	"GIT_AUTHOR_DATE": "2000-01-01T00:00:00Z", "GIT_COMMITTER_DATE": "2000-01-01T00:00:00Z",
}
ISOLATION = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C"}


def forget_callers_repository() -> None:
	"""Drop GIT_DIR and its kin, which a hook or `git bisect run` may have set."""
	for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY",
		     "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_PREFIX", "GIT_COMMON_DIR"):
		os.environ.pop(name, None)


@dataclass(frozen=True)
class Git:
	"""One of our repositories, with its work tree at path."""
	path: Path

	def __call__(self, *args: str, stdin: str | None = None,
		     env: Mapping[str, str] | None = None) -> str:
		"""Run git in the work tree; return its output without the last newline."""
		return run(["git", *args], cwd=self.path, stdin=stdin,
			   env={**ISOLATION, **IDENTITY, **(env or {})}).removesuffix("\n")

	def init(self) -> None:
		"""Make the repository; no gc, ever: it costs minutes and saves nothing here."""
		self("init", "-q", ".")
		self("config", "gc.auto", "0")
		self("config", "core.compression", "0")
		self("config", "core.autocrlf", "false")

	def commit_of(self, ref: str) -> str | None:
		"""Return the commit a ref names, None where there is none."""
		try:
			return self("rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}")
		except CommandFailed:
			return None

	def changed(self, before: str, after: str, name: str) -> str:
		"""Return the diff of a file between two commits, without context."""
		return self("diff", "-U0", "--no-ext-diff", before, after, "--", name)

	def has_tree(self, ref: str) -> bool:
		"""Tell whether all folders of a commit can be read."""
		try:
			self("ls-tree", "-r", "-d", "--name-only", ref)
		except CommandFailed:
			return False
		return True
