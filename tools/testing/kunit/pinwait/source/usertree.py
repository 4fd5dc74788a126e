# SPDX-License-Identifier: GPL-2.0
"""A user's kernel tree: read, never written. Its state becomes a worktree of the tool that borrows
the tree's objects."""

import fcntl
import hashlib
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ..util.errors import CannotJudge, UsageError
from ..util.files import write_whole
from ..util.git import IDENTITY, Git
from ..util.proc import CommandFailed, need_space, run
from ..util.progress import Progress
from .store import BASE_REF, USERS, Kernel, makefile_version, missing_kernel_files
from .worktree import UNFINISHED

WORKTREE_GIB = 3.0
NOTE = ".git/pinwait-kdir"	# in a copy: the path of the original tree
# Reading the tree must neither run nor write anything, whatever the user configured.
READ_ONLY = ("-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "core.splitIndex=false")

# And diffs must have the form that git am expects.
PLAIN = ("--no-ext-diff", "--no-textconv", "--src-prefix=a/", "--dst-prefix=b/", "--no-color", "--unified=3")


class UserTree:
	"""The git tree that KDIR names. Raises UsageError if it is no kernel tree under git."""

	def __init__(self, path: Path):
		self.path = path.resolve()
		lacking = missing_kernel_files(self.path)
		if lacking:
			raise UsageError(f"KDIR {path} is no kernel tree: it has no {', '.join(lacking)}")
		try:
			top = self.git("rev-parse", "--show-toplevel")
			self.head = self.git("rev-parse", "--verify", "HEAD^{commit}")
		except CommandFailed as error:
			raise UsageError(f"KDIR {path} is no git tree with a commit: {error.output.strip()}") from error
		if Path(top).resolve() != self.path:
			raise UsageError(f"KDIR {path} is no git tree of its own, but a folder of {top}")
		if partial := self._promisor():
			raise UsageError(f"KDIR {path} is a partial clone: reading it would make git fetch missing objects into it. Make "
			f"it complete with `git config --unset {partial}` and `git fetch --refetch`, or give another")

	def git(self, *args: str, env: Mapping[str, str] | None = None) -> str:
		"""Run git in the user's tree, with everything disabled that would write to it."""
		return run(["git", *READ_ONLY, *args], cwd=self.path,
			   env={"GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C", **(env or {})}).removesuffix("\n")

	def _promisor(self) -> str:
		"""Return the setting that makes the tree a partial clone, "" if it is not one."""
		try:
			return self.git("config", "--type=bool", "--name-only", "--get-regexp", r"^remote\..*\.promisor$", "true").partition("\n")[0]
		except CommandFailed:
			return ""

	def commit(self, name: str) -> str:
		"""Return the commit of a name. Raises UsageError if there is none."""
		try:
			return self.git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
		except CommandFailed as error:
			raise UsageError(f"KDIR {self.path} has no commit {name}") from error

	def uncommitted(self, staged: bool) -> str:
		"""Return the diff from HEAD to the index if staged, else to the tracked files."""
		with self._index() as env:
			diff = self.git("diff", "--binary", "--full-index", *PLAIN, *(["--cached"] if staged else []), "HEAD", "--", env=env)
		return f"{diff}\n" if diff else ""

	def git_path(self, name: str) -> Path:
		"""Return the path of one of git's own files, also in a linked worktree."""
		return self.path / self.git("rev-parse", "--git-path", name)

	@contextmanager
	def _index(self, parent: Path | None = None) -> Iterator[dict[str, str]]:
		"""Yield the environment in which git uses a copy of the index, because even a diff refreshes the index."""
		with tempfile.TemporaryDirectory(prefix="pinwait-", dir=parent) as scratch:
			index = Path(scratch, "index")
			if (theirs := self.git_path("index")).exists():
				shutil.copyfile(theirs, index)
			yield {"GIT_INDEX_FILE": str(index)}

	def snapshot(self, ours: Git) -> tuple[str, int]:
		"""Return a commit of HEAD plus uncommitted changes, made in the tool's repository, and how
		many files differ from HEAD; HEAD itself if none.

		Raises CannotJudge if an unfinished merge leaves files unmerged.
		"""
		with self._index(ours.path / ".git") as found:
			env = {**found, **IDENTITY,
			       "GIT_OBJECT_DIRECTORY": str(ours.path / ".git/objects"),
			       "GIT_ALTERNATE_OBJECT_DIRECTORIES": str(self.git_path("objects"))}
			unmerged = self.git("ls-files", "-u", "-z", env=env)
			if unmerged:
				names = sorted({entry.partition("\t")[2] for entry in unmerged.split("\0") if entry})
				raise CannotJudge(f"KDIR {self.path} has unmerged files: {', '.join(names[:5])}; "
						  f"finish or abort the merge first")
			self.git("add", "-u", env=env)
			tree = self.git("write-tree", env=env)
			changed = self.git("diff-tree", "-r", "--name-only", self.head, tree, env=env).splitlines()
			if not changed:
				return self.head, 0
			return self.git("commit-tree", tree, "-p", self.head, "-m",
					"uncommitted changes", env=env), len(changed)


def prepare(path: Path, kernels: Path, progress: Progress, at: str = "") -> Kernel:
	"""Return the kernel for the current state of KDIR, or for its commit `at`; check_out() fills its worktree.

	The caller holds the lock of its name.
	"""
	user = UserTree(path)
	tree = kernels / name_of(path)
	git = Git(tree)
	alternates = tree / ".git/objects/info/alternates"
	if not alternates.exists():
		shutil.rmtree(tree, ignore_errors=True)
		tree.mkdir(parents=True)
		git.init()
	# Every time: a linked worktree's repository may have been moved.
	write_whole(alternates, f"{user.git_path('objects').resolve()}\n")
	write_whole(tree / NOTE, f"{user.path}\n")
	remove_orphans(kernels, progress)
	# Treat a shallow clone as shallow here, too; else its oldest commits would seem broken.
	shallow = user.git_path("shallow")
	(tree / ".git/shallow").unlink(missing_ok=True)
	if shallow.exists():
		shutil.copyfile(shallow, tree / ".git/shallow")
	commit, changed = (user.commit(at), 0) if at else user.snapshot(git)
	if changed:
		progress.say(f"KDIR is dirty: testing HEAD plus uncommitted changes to {changed} files "
			     f"(untracked files are not included)")
	git("update-ref", BASE_REF, commit)
	if git.commit_of("HEAD") is None:
		need_space(kernels, WORKTREE_GIB, "a worktree for KDIR")
		(tree / UNFINISHED).touch()
		git("update-ref", "--no-deref", "HEAD", commit)
	version = makefile_version(git("cat-file", "blob", f"{commit}:Makefile"))
	base = f"KDIR at {commit[:12]}" if at else f"KDIR at {user.head[:12]}" + (" plus uncommitted changes" if changed else "")
	return Kernel(tree.name, tree, version, commit, base, dirty=bool(changed))


def remove_orphans(kernels: Path, progress: Progress) -> None:
	"""Remove copies of trees that no longer exist, and their objects; a copy in use stays."""
	for copy in sorted(kernels.glob(f"{USERS}*/")):
		theirs = _stands_for(copy)
		if _exists(theirs):
			continue
		with open(kernels / f"{copy.name}.lock", "a", encoding="utf-8") as file:
			try:
				fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
			except BlockingIOError:
				continue
			# The repository last: while it exists, the next run repeats an interrupted removal.
			made = [path for pattern in ("obj", "gate/obj") for path in kernels.parent.glob(f"{pattern}/{copy.name}")]
			for folder in (*made, *kernels.parent.glob(f"mutants-{copy.name}-*"), copy):
				shutil.rmtree(folder, ignore_errors=True)
		progress.say(f"removed the copy of {theirs}, which no longer exists")


def _stands_for(copy: Path) -> Path:
	"""Return the original tree of a copy; without a note, the folder whose objects it borrows."""
	try:
		return Path((copy / NOTE).read_text(encoding="utf-8").rstrip("\n"))
	except OSError:
		pass
	try:
		return Path((copy / ".git/objects/info/alternates").read_text(encoding="utf-8").partition("\n")[0])
	except OSError:
		return copy / "nothing"		# it was never finished


def _exists(path: Path) -> bool:
	"""Tell whether a path exists or may exist: some folders cannot be read."""
	try:
		path.stat()
	except (FileNotFoundError, NotADirectoryError):
		return False
	except OSError:
		pass
	return True


def name_of(path: Path) -> str:
	"""Return the name of the worktree for a user's tree."""
	return f"{USERS}{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]}"
