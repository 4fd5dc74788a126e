# SPDX-License-Identifier: GPL-2.0
"""The tool's own git repositories: the same commit ids everywhere, whatever the user configured."""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from .proc import CommandFailed, run

IDENTITY = {
	"GIT_AUTHOR_NAME": "pinwait", "GIT_AUTHOR_EMAIL": "pinwait@localhost",
	"GIT_COMMITTER_NAME": "pinwait", "GIT_COMMITTER_EMAIL": "pinwait@localhost",
	"GIT_AUTHOR_DATE": "2000-01-01T00:00:00Z", "GIT_COMMITTER_DATE": "2000-01-01T00:00:00Z",
}
AUTHOR = {"GIT_AUTHOR_NAME": "Author", "GIT_AUTHOR_EMAIL": "Email", "GIT_AUTHOR_DATE": "Date"}	# as mailinfo prints them
ISOLATION = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C"}


def forget_callers_repository() -> None:
	"""Unset GIT_DIR and similar variables, which a hook or `git bisect run` may have set."""
	for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY",
		     "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_PREFIX", "GIT_COMMON_DIR"):
		os.environ.pop(name, None)


@dataclass(frozen=True)
class Git:
	"""One of the tool's repositories, with its work tree at path; it may read the objects of other repositories."""
	path: Path
	borrowed: tuple[Path, ...] = ()		# folders of objects

	def __call__(self, *args: str, stdin: str | None = None,
		     env: Mapping[str, str] | None = None) -> str:
		"""Run git in the work tree; return its output without the last newline."""
		return run(["git", *args], cwd=self.path, stdin=stdin,
			   env={**ISOLATION, **IDENTITY, **self._lenders(), **(env or {})}).removesuffix("\n")

	def _lenders(self) -> dict[str, str]:
		return {"GIT_ALTERNATE_OBJECT_DIRECTORIES": ":".join(f'"{folder}"' for folder in self.borrowed)} if self.borrowed else {}

	def borrowing(self, other: "Git") -> "Git":
		"""Return this repository with access to the other's objects, too."""
		return replace(self, borrowed=(*self.borrowed, other.path / ".git/objects"))

	def init(self) -> None:
		"""Make the repository. gc is off: it takes minutes and saves nothing here."""
		self("init", "-q", ".")
		self("config", "gc.auto", "0")
		self("config", "core.compression", "0")
		self("config", "core.autocrlf", "false")

	def commit_of(self, ref: str) -> str | None:
		"""Return the commit that a ref names, None if it names none."""
		try:
			return self("rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}")
		except CommandFailed:
			return None

	def text(self, blob: str) -> str:
		"""Return the content of a file, given as blob or commit:path."""
		return run(["git", "cat-file", "blob", blob], cwd=self.path, env={**ISOLATION, **self._lenders()})

	def with_blobs(self, tree: str, files: Mapping[str, tuple[str, str]]) -> str:
		"""Return a copy of a tree in which files, by name, have another mode and content."""
		with self.stack(tree) as stack:
			for name, (mode, content) in files.items():
				blob = self("hash-object", "-w", "--stdin", stdin=content)
				self("update-index", "--cacheinfo", f"{mode},{blob},{name}", env=stack.env)
			return self("write-tree", env=stack.env)

	def names(self, before: str, after: str) -> set[str]:
		"""Return the files that differ between two trees."""
		return set(self("diff", "--name-only", "--no-renames", "--no-ext-diff", before, after).splitlines())

	def between(self, before: str, after: str) -> str:
		"""Return the patch from one tree to another."""
		return self("diff", "--binary", "--full-index", "--no-renames", "--no-ext-diff", "--no-textconv", before, after) + "\n"

	def changed(self, before: str, after: str, name: str) -> str:
		"""Return the diff of a file between two commits, without context."""
		return self("diff", "-U0", "--no-ext-diff", before, after, "--", name)

	@contextmanager
	def stack(self, commit: str) -> Iterator["Stack"]:
		"""Yield a stack that applies patches on top of a commit."""
		with tempfile.TemporaryDirectory(prefix="pinwait-") as scratch:
			yield Stack(self, commit, Path(scratch))

	def has_tree(self, ref: str) -> bool:
		"""Tell whether all folders of a commit are readable."""
		try:
			self("ls-tree", "-r", "-d", "--name-only", ref)
		except CommandFailed:
			return False
		return True


class Stack:
	"""Commits patches as git am does, but in an index of its own: it neither reads nor writes a work tree."""

	def __init__(self, git: Git, commit: str, scratch: Path):
		self.git, self.commit, self.scratch = git, commit, scratch
		self.env = {"GIT_INDEX_FILE": str(scratch / "index")}
		git("read-tree", commit, env=self.env)

	def push(self, mail: str, instead: str | None = None, note: str = "") -> None:
		"""Commit a mail's patch, or a diff instead of it; a note ends the message.

		Raises CommandFailed if it does not apply, and then changes nothing.
		"""
		message, diff = self.scratch / "message", self.scratch / "diff"
		fields = mailinfo(mail, message, diff)
		if instead is not None:
			diff.write_text(instead, encoding="utf-8", errors="surrogateescape")
		self.git("apply", "--cached", str(diff), env=self.env)
		author = {name: value for name, field in AUTHOR.items() if (value := fields.get(field))}
		text = f"{fields.get('Subject', '')}\n\n{message.read_text(encoding='utf-8', errors='surrogateescape')}".strip()
		text += f"\n\n{note}" if note else ""
		self.commit = self.git("commit-tree", self.git("write-tree", env=self.env), "-p", self.commit, stdin=f"{text}\n",
				       env=author)

	def take_back(self, mail: str) -> bool:
		"""Revert a mail's patch in the index, without a commit; tell whether the patch was applied there."""
		try:
			self.git("apply", "--cached", "--reverse", stdin=mail, env=self.env)
		except CommandFailed:
			return False
		return True


def mailinfo(mail: str, message: Path, diff: Path, subject: str = "-b") -> dict[str, str]:
	"""Write a mail's message and its diff to files; return Author, Email, Subject and Date as far as the mail has them.

	subject is git mailinfo's option for the subject: -b removes [PATCH], -k keeps it. Raises CommandFailed.
	"""
	told = run(["git", "mailinfo", subject, "--quoted-cr=nowarn", "--encoding=UTF-8", str(message), str(diff)], stdin=mail, env=ISOLATION)
	fields: dict[str, str] = {}
	for name, _, value in (line.partition(": ") for line in told.splitlines() if ": " in line):
		fields[name] = f"{fields.get(name, '')} {value}".strip()	# a subject may have several lines
	return fields
