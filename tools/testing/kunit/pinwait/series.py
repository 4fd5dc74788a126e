# SPDX-License-Identifier: GPL-2.0
"""A patch series: find it, apply it as git am does, say precisely what does not apply."""

import hashlib
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .errors import CannotJudge, UsageError
from .kernel import Kernel
from .proc import CommandFailed, run
from .progress import Progress
from .results import PatchId

NONE = "none"
SUPPORT = "support"	# what the suites need of any kernel, with or without a series under test


@dataclass(frozen=True)
class Series:
	"""A series for one base kernel; patches in order, without the cover letter."""
	name: str
	base: str | None	# x.y of the folder it was taken from
	patches: tuple[Path, ...]
	support: tuple[Path, ...] = ()	# applied before them

	def ids(self) -> list[PatchId]:
		"""Return each patch's stable patch-id."""
		return [PatchId(patch.name, patch_id(patch)) for patch in self.patches]


def patch_id(patch: Path) -> str:
	"""Return `git patch-id --stable` of a patch file. Raises CannotJudge if it holds no diff."""
	line = run(["git", "patch-id", "--stable"],
		   stdin=patch.read_text(encoding="utf-8", errors="surrogateescape"))
	if not line:
		raise CannotJudge(f"{patch} holds no diff")
	return line.split()[0]


def check_name(patches: Path, name: str) -> None:
	"""Raise UsageError for a series that does not exist."""
	names = sorted(folder.name for folder in patches.glob("*") if folder.is_dir() and folder.name != SUPPORT)
	if name != NONE and name not in names:
		raise UsageError(f"unknown series '{name}'; there are: {', '.join([NONE, *names])}")


def find(patches: Path, name: str, kernel: Kernel, progress: Progress) -> Series:
	"""Return the series of that name that suits the kernel: the one for its x.y, else for the
	newest base there is. Raises UsageError for an unknown name."""
	check_name(patches, name)
	support = _find(patches, SUPPORT, kernel, progress)[1] if (patches / SUPPORT).is_dir() else ()
	if name == NONE:
		return Series(NONE, None, (), support)
	return Series(name, *_find(patches, name, kernel, progress), support)


def _find(patches: Path, name: str, kernel: Kernel, progress: Progress) -> tuple[str, tuple[Path, ...]]:
	"""Return the base and the patches of a folder of patches/."""
	bases = sorted((folder.name for folder in (patches / name).glob("*.*") if folder.is_dir()),
		       key=_base_key)
	if not bases:
		raise UsageError(f"series '{name}' has no folder for a base kernel in {patches / name}")
	wanted = ".".join(re.split(r"[.-]", kernel.version)[:2])
	base = wanted if wanted in bases else bases[-1]
	if base != wanted:
		progress.say(f"series {name} has no patches for {wanted}: taking those for {base}")
	found = sorted(path for path in (patches / name / base).glob("[0-9]*.patch")
		       if not path.name.startswith("0000"))
	if not found:
		raise UsageError(f"series '{name}' has no patches in {patches / name / base}")
	return base, tuple(found)


def apply(kernel: Kernel, series: Series) -> str:
	"""Return the commit of base plus support plus series, made away from the worktree.

	A tree of a developer may have some of the patches already. Raises CannotJudge, naming patch, file and hunk, if
	one does not apply.
	"""
	patches = series.support + series.patches
	if not patches:
		return kernel.base_commit
	git = kernel.git
	ref = f"refs/pinwait/series-{_key(kernel.base_commit, patches)}"
	known = git.commit_of(ref)
	if known:
		return known
	with git.stack(kernel.base_commit) as stack:
		for patch in patches:
			# A mail program may have made the ends of lines those of mails.
			mail = patch.read_bytes().decode("utf-8", "surrogateescape").replace("\r\n", "\n")
			try:
				stack.push(mail)
			except CommandFailed as error:
				if not stack.has(mail):
					raise CannotJudge(_explain(patch, error.output, kernel)) from error
	git("update-ref", ref, stack.commit)
	return stack.commit


def _explain(patch: Path, output: str, kernel: Kernel) -> str:
	"""Say which hunk of which file of which patch git stumbled over."""
	return (f"{patch.parent.parent.name}/{patch.parent.name}/{patch.name} does not apply to "
		f"{kernel.base}: {stumbled(patch, output)}")


def stumbled(patch: Path, output: str) -> str:
	"""Say which hunk of which file git stumbled over."""
	where = re.findall(r"^error: patch failed: (.*):(\d+)$", output, re.MULTILINE)
	details = [f"{file}, {hunk_at(patch, file, int(line))}" for file, line in where]
	if not details:
		details = [line.removeprefix("error: ") for line in output.splitlines()
			   if line.startswith(("error:", "fatal:"))] or [output.strip()]
	return "; ".join(details)


def hunk_at(patch: Path, file: str, line: int) -> str:
	"""Name the hunk of file in a patch whose old side begins at line: number and header."""
	number, current = 0, ""
	for text in patch.read_text(encoding="utf-8", errors="replace").splitlines():
		if text.startswith("diff --git "):
			number, current = 0, text.rpartition(" b/")[2]
		elif current == file and (match := re.match(r"@@ -(\d+)", text)):
			number += 1
			if int(match[1]) == line:
				return f"hunk {number}: {text}"
	return f"the hunk at line {line}"


def _key(base: str, files: Iterable[Path]) -> str:
	digest = hashlib.sha256(base.encode())
	for file in files:
		digest.update(hashlib.sha256(file.read_bytes()).digest())
	return digest.hexdigest()[:40]


def _base_key(base: str) -> list[int]:
	return [int(number) for number in re.findall(r"\d+", base)]
