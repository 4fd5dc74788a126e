# SPDX-License-Identifier: GPL-2.0
"""Bring the worktree to base + series + the project's sources, touching only files that differ."""

import datetime
import hashlib
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..mutation.corpus import Mutant
from ..util.git import IDENTITY, Git
from ..util.proc import lock
from ..util.progress import Progress
from .store import Kernel

UNFINISHED = ".git/pinwait-unfinished"	# a checkout was begun and may be incomplete
REF_SECONDS = 5		# maximal age of git's locks on refs
OVERLAY = ("include", "mm", "Kconfig.kunit")
MARK = "# pinwait: its suites and their options"
HOOKS = {"mm/Kconfig": 'source "Kconfig.kunit"', "mm/Makefile": "obj-y += tests/"}


@dataclass(frozen=True)
class Source:
	"""A file of the project and its mode in git."""
	path: str
	content: bytes
	mode: str


def sources(project: Path) -> Iterator[Source]:
	"""Yield the project's files for the kernel tree, as they are on disk now."""
	for name in OVERLAY:
		top = project / name
		for path in sorted(top.rglob("*") if top.is_dir() else [top]):
			# Skip editors' backups and lock files, and leftovers of patch tools.
			if path.is_file() and not (path.name.startswith((".", "#")) and path.name != ".kunitconfig"
						   or path.name.endswith(("~", ".orig", ".rej", ".o"))):
				mode = "100755" if os.access(path, os.X_OK) else "100644"
				yield Source(str(path.relative_to(project)), path.read_bytes(), mode)


def compose(kernel: Kernel, applied: str, project: Path, broken: Sequence[Mutant] = ()) -> str:
	"""Return the commit of the project's sources on top of applied (base plus series), with the given mutants."""
	git = kernel.git
	files = list(sources(project))
	files += [_hooked(git, applied, path, line) for path, line in HOOKS.items()]
	for mutant in broken:
		files.append(_broken(git, applied, mutant, files))
	digest = hashlib.sha256(applied.encode())
	for file in files:
		digest.update(f"{file.mode} {file.path} {len(file.content)}\n".encode() + file.content)
	ref = f"refs/pinwait/composed-{digest.hexdigest()[:40]}"
	return git.commit_of(ref) or _commit(git, applied, files, ref)


def broken(kernel: Kernel, commit: str, mutant: Mutant) -> str:
	"""Return a commit with a mutant in it. Raises UsageError if the file does not have the mutant's text."""
	file = _broken(kernel.git, commit, mutant, ())
	ref = f"refs/pinwait/composed-{hashlib.sha256(commit.encode() + file.content).hexdigest()[:40]}"
	return kernel.git.commit_of(ref) or _commit(kernel.git, commit, [file], ref)


def with_files(kernel: Kernel, commit: str, other: str, names: Sequence[str]) -> str:
	"""Return a commit in which files, as far as they exist, are as in another commit."""
	git = kernel.git
	listed = [line.partition("\t") for line in git("ls-tree", other, "--", *names).splitlines()]
	files = [Source(name, (git("cat-file", "blob", head.split()[2]) + "\n").encode("utf-8", "surrogateescape"), head.split()[0])
		 for head, _, name in listed]
	digest = hashlib.sha256(commit.encode() + "".join(f"{file.path}\n" for file in files).encode()
				+ b"".join(file.content for file in files))
	ref = f"refs/pinwait/composed-{digest.hexdigest()[:40]}"
	return git.commit_of(ref) or _commit(git, commit, files, ref)


def _commit(git: Git, parent: str, files: Sequence[Source], ref: str) -> str:
	"""Make ref a commit of files on top of parent, and return it."""
	who = f"{IDENTITY['GIT_COMMITTER_NAME']} <{IDENTITY['GIT_COMMITTER_EMAIL']}> 946684800 +0000"
	message = "pinwait's sources"
	stream = f"commit {ref}\ncommitter {who}\ndata {len(message)}\n{message}\nfrom {parent}\n"
	for file in files:
		text = file.content.decode("utf-8", "surrogateescape")
		stream += f"M {file.mode} inline {file.path}\ndata {len(file.content)}\n{text}\n"
	git("fast-import", "--quiet", "--force", stdin=stream)
	return git("rev-parse", ref)


def _hooked(git: Git, commit: str, path: str, line: str) -> Source:
	"""Return a file of the kernel plus the line that includes the project's."""
	text = git("cat-file", "blob", f"{commit}:{path}") + "\n"
	if line not in text.splitlines():
		text += f"\n{MARK}\n{line}\n"
	return Source(path, text.encode("utf-8", "surrogateescape"), "100644")


def _broken(git: Git, commit: str, mutant: Mutant, files: Sequence[Source]) -> Source:
	"""Return a file, the project's or the kernel's, with a mutant in it."""
	ours = [file.content.decode("utf-8", "surrogateescape") for file in files if file.path == mutant.file]
	text = ours[-1] if ours else git("cat-file", "blob", f"{commit}:{mutant.file}") + "\n"
	return Source(mutant.file, mutant.applied(text).encode("utf-8", "surrogateescape"), "100644")


def check_out(kernel: Kernel, commit: str, strays: Path, progress: Progress) -> None:
	"""Make the worktree equal to commit; files that do not differ keep their time stamps.

	Edits in the worktree itself are saved below strays, with a warning.
	"""
	git = kernel.git
	unfinished = kernel.tree / UNFINISHED
	# The caller holds the worktree's lock, so git's lock is from a killed run.
	(kernel.tree / ".git/index.lock").unlink(missing_ok=True)
	# Objects of an old HEAD, borrowed from KDIR, may be gone: then there is nothing to compare with.
	if not unfinished.exists() and git.has_tree("HEAD"):
		edited = git("status", "--porcelain", "--untracked-files=no").splitlines()
		head = git("rev-parse", "HEAD")
		if head == commit and not edited:
			return
		_save_strays(kernel, [line[3:] for line in edited], _in_the_way(git, head, commit), strays, progress)
	unfinished.touch()
	git("reset", "-q", "--hard", commit)
	unfinished.unlink()


@contextmanager
def locked(kernels: Path, name: str) -> Iterator[None]:
	"""Hold the lock of a kernel's worktree; remove locks of a killed git from its repository first."""
	with lock(kernels / f"{name}.lock", f"the kernel worktree {name}"):
		_free_refs(kernels / name / ".git")
		yield


def _free_refs(folder: Path) -> None:
	"""Remove old locks of refs, because git itself holds none for long. The tool's own locks are no files of git's and stay."""
	for path in [*folder.glob("*.lock"), *(folder / "refs").rglob("*.lock")]:
		try:
			if not path.name.startswith("pinwait-") and time.time() - path.stat().st_mtime > REF_SECONDS:
				path.unlink()
		except FileNotFoundError:
			pass


def _in_the_way(git: Git, head: str, commit: str) -> list[str]:
	"""Return untracked files that commit contains and would overwrite."""
	added = git("diff", "--name-only", "--no-renames", "--diff-filter=A", head, commit).splitlines()
	return [name for name in added if (git.path / name).is_file()]


def _save_strays(kernel: Kernel, edited: list[str], untracked: list[str], strays: Path,
		 progress: Progress) -> None:
	names = edited + untracked
	if not names:
		return
	stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
	folder = strays / f"{kernel.name}-{stamp}"
	folder.mkdir(parents=True, exist_ok=True)
	(folder / "edits.diff").write_text(kernel.git("diff", "--binary", "HEAD") + "\n", encoding="utf-8",
					   errors="surrogateescape")
	for name in untracked:
		(folder / name).parent.mkdir(parents=True, exist_ok=True)
		shutil.copy2(kernel.tree / name, folder / name)
	progress.say(f"warning: {len(names)} files were edited in {kernel.tree}, the tool's own worktree: "
		     f"{', '.join(names[:5])}{', ...' if len(names) > 5 else ''}. pinwait restores them and "
		     f"keeps your edits in {folder}. Edit the project's sources instead, or test a tree "
		     f"of yours with KDIR.")
