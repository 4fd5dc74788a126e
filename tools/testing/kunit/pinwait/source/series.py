# SPDX-License-Identifier: GPL-2.0
"""A patch series: find it, apply it as git am does, report exactly which hunk does not apply."""

import hashlib
import re
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import threeway
from ..log.results import PatchId
from ..util.errors import CannotJudge, Untestable, UsageError
from ..util.git import Git, Stack, mailinfo
from ..util.proc import CommandFailed, run
from ..util.progress import Progress
from .store import Kernel, prepared

NONE = "none"
DEFAULT = "rfc"
SUPPORT = "support"	# patches that the suites need on any kernel, with or without a series
LOOKED_BACK = 20000	# commits to search for a series by subject: one and a half releases
MERGED = "merged:"	# prefix of a line of a commit's message
HUNK_FAILED = re.compile(r"^patch failed: |: patch does not apply$")
FAILED = "patch does not apply|does not exist in index|does not match index|already exists in index"


class DoesNotApply(Untestable):
	"""A patch of the project does not apply to a tree."""


@dataclass(frozen=True)
class Series:
	"""A series for one base kernel; patches in order, without the cover letter."""
	name: str
	base: str | None	# x.y of its folder
	patches: tuple[Path, ...]
	support: tuple[Path, ...] = ()	# applied before them

	def ids(self) -> list[PatchId]:
		"""Return each patch's stable patch-id."""
		return [PatchId(patch.name, patch_id(patch)) for patch in self.patches]


@dataclass(frozen=True)
class Applied:
	"""A series on top of a kernel, and how it got there, for people, line by line."""
	series: Series
	commit: str
	choice: tuple[str, ...]


def promises(name: str) -> list[str]:
	"""Return the kernel's arguments that make the suites assert the promises of a series."""
	return [f"folio_fixture.promises={name}"]


def patch_id(patch: Path) -> str:
	"""Return `git patch-id --stable` of a patch file. Raises CannotJudge if it holds no diff."""
	line = run(["git", "patch-id", "--stable"],
		   stdin=patch.read_text(encoding="utf-8", errors="surrogateescape"))
	if not line:
		raise CannotJudge(f"{patch} holds no diff")
	return line.split()[0]


def names(patches: Path) -> list[str]:
	"""Return the names of all series in a folder, NONE first."""
	return [NONE, *sorted(folder.name for folder in patches.glob("*") if folder.is_dir() and folder.name != SUPPORT)]


def check_name(patches: Path, name: str) -> None:
	"""Raise UsageError for a series that does not exist."""
	if name not in (there := names(patches)):
		raise UsageError(f"unknown series '{name}'; there are: {', '.join(there)}")


def find(patches: Path, name: str, kernel: Kernel, progress: Progress) -> Series:
	"""Return the series of that name for the kernel: the one for its x.y, else for the
	newest base. Raises UsageError for an unknown name."""
	check_name(patches, name)
	support = _said(SUPPORT, kernel, *_find(patches, SUPPORT, kernel), progress)[1] if (patches / SUPPORT).is_dir() else ()
	if name == NONE:
		return Series(NONE, None, (), support)
	return Series(name, *_said(name, kernel, *_find(patches, name, kernel), progress), support)


def _find(patches: Path, name: str, kernel: Kernel) -> tuple[str, tuple[Path, ...]]:
	"""Return the base and the patches of a folder of patches/."""
	bases = sorted((folder.name for folder in (patches / name).glob("*.*") if folder.is_dir()),
		       key=_base_key)
	if not bases:
		raise UsageError(f"series '{name}' has no folder for a base kernel in {patches / name}")
	wanted = _base_of(kernel)
	base = wanted if wanted in bases else bases[-1]
	found = sorted(path for path in (patches / name / base).glob("[0-9]*.patch")
		       if not path.name.startswith("0000"))
	if not found:
		raise UsageError(f"series '{name}' has no patches in {patches / name / base}")
	return base, tuple(found)


def _said(name: str, kernel: Kernel, base: str, found: tuple[Path, ...], progress: Progress) -> tuple[str, tuple[Path, ...]]:
	if base != _base_of(kernel):
		progress.say(f"series {name} has no patches for {_base_of(kernel)}: taking those for {base}")
	return base, found


def choose(patches: Path, asked: str, kernel: Kernel, progress: Progress) -> Applied:
	"""Apply the requested series to the kernel; without a request, the default to a prepared kernel, and nothing to a
	developer's tree that it does not have already.

	Raises UsageError for an unknown name, CannotJudge if a patch does not apply.
	"""
	if asked or not kernel.is_users:
		found = find(patches, asked or DEFAULT, kernel, progress)
		why = "as given" if asked else "the default"
	elif has_series(patches, DEFAULT, kernel):
		found, why = find(patches, DEFAULT, kernel, progress), "which the tree has"
	else:
		found, why = find(patches, NONE, kernel, progress), f"because your tree is tested as it is (SERIES={DEFAULT} applies {DEFAULT} to it)"
	commit = apply(kernel, found)
	return Applied(found, commit, (f"series: {found.name}, {why}", *_notes(kernel, found, commit)))


def has_series(patches: Path, name: str, kernel: Kernel) -> bool:
	"""Tell whether a developer's tree has all patches of a series, by its content or by its history."""
	if not (patches / name).is_dir():
		return False
	found = _find(patches, name, kernel)[1]
	return len(_there(kernel, found)) == len(found)


def _there(kernel: Kernel, patches: Sequence[Path]) -> set[Path]:
	"""Return the patches that a tree has already: its history has them, or they can be reverted, the last one first."""
	known = _history(kernel)
	with kernel.git.stack(kernel.base_commit) as stack:
		return {patch for patch in reversed(patches) if _subject(_mail(patch)) in known or stack.take_back(_mail(patch))}


def apply(kernel: Kernel, series: Series) -> str:
	"""Return the commit of base plus support plus series, made without touching the worktree.

	A developer's tree may have some of the patches already. A patch that does not apply is merged, if a kernel to which it
	applies is prepared. Raises DoesNotApply, which names patch, file and hunk.
	"""
	patches = series.support + series.patches
	if not patches:
		return kernel.base_commit
	git = kernel.git
	ref = f"refs/pinwait/series-{_key(kernel.base_commit, patches)}"
	known = git.commit_of(ref)
	if known:
		return known
	there = _there(kernel, patches)
	with git.stack(kernel.base_commit) as stack:
		for index, patch in enumerate(patches):
			if patch in there:
				continue	# though later commits may have changed its lines
			try:
				stack.push(_mail(patch))
			except CommandFailed as error:
				_merge(kernel, patches, index, stack, error.output)
	git("update-ref", ref, stack.commit)
	return stack.commit


def _merge(kernel: Kernel, patches: Sequence[Path], index: int, stack: Stack, output: str) -> None:
	"""Commit a patch that does not apply, by a three-way merge with a kernel to which it applies.

	output is git's error message. Raises DoesNotApply.
	"""
	patch = patches[index]
	failed = re.findall(rf"^error: (.*?): (?:{FAILED})", output, re.MULTILINE)
	homes = _homes(kernel, patch.parent.name)
	for home in homes:
		git = kernel.git.borrowing(home.git)
		try:
			with git.stack(home.base_commit) as origin:
				for before in patches[:index]:
					origin.push(_mail(before))
				base = origin.commit
				origin.push(_mail(patch))
		except CommandFailed:
			continue
		try:
			tree = threeway.merge(git, base, stack.commit, origin.commit)
		except threeway.Conflict as conflict:
			raise DoesNotApply(f"{_name(patch)} does not apply to {kernel.base}, and conflicts with its changes since "
					   f"{home.base}: {conflict}") from None
		if not git.names(stack.commit, tree):
			return		# the tree has the whole change in another form
		there, here = git.names(base, origin.commit), git.names(stack.commit, tree)
		as_here = ", ".join(here - there)
		merged = ", ".join(name if name in here or not as_here else f"{name} (here {as_here})" for name in dict.fromkeys(failed))
		stack.push(_mail(patch), git.between(stack.commit, tree), f"{MERGED} {_name(patch)} in {merged}, by the difference of {home.base}")
		return
	why = f"{_name(patch)} does not apply to {kernel.base}: {stumbled(kernel.git, stack.commit, patch, output)}"
	if not any(_base_of(home) == patch.parent.name for home in homes):
		why += f" (to get it merged, prepare the kernel it was made for: `pinwait.py prepare --kernel={patch.parent.name}`)"
	raise DoesNotApply(why)


def _homes(kernel: Kernel, base: str) -> list[Kernel]:
	"""Return the prepared kernels to which patches for a base may apply, the likeliest first."""
	others = [other for other in prepared(kernel.tree.parent) if other.name != kernel.name]
	return sorted(others, key=lambda other: _base_of(other) != base)


def _history(kernel: Kernel) -> dict[str, str]:
	"""Return the recent commits of a developer's tree, by subject, without reverted ones."""
	if not kernel.is_users:
		return {}
	found: dict[str, str] = {}
	reverted: set[str] = set()
	for line in kernel.git("log", f"-n{LOOKED_BACK}", "--format=%h %s", kernel.base_commit).splitlines():
		commit, _, subject = line.partition(" ")
		if again := re.fullmatch(r'(Revert|Reapply) "(.*)"', subject):
			commit, subject = ("", again[2]) if again[1] == "Revert" else (commit, again[2])
		if commit and subject not in reverted:
			found.setdefault(subject, commit)
		elif not commit and subject not in found:
			reverted.add(subject)
	return found


def _notes(kernel: Kernel, series: Series, commit: str) -> tuple[str, ...]:
	"""Say which patches the tree has already, and which were merged."""
	log = kernel.git("log", "--format=%s%n%b", f"{kernel.base_commit}..{commit}").splitlines()
	known = _history(kernel)
	there = []
	for patch in series.support + series.patches:
		subject = _subject(_mail(patch))
		if subject not in log:
			by = f"its commit {known[subject]}" if subject in known else "its lines are there"
			there.append(f"already in the tree: {_name(patch)} ({by})")
	return (*there, *reversed([line for line in log if line.startswith(MERGED)]))


def _mail(patch: Path) -> str:
	# A mail program may have turned line ends into those of mails.
	return patch.read_bytes().decode("utf-8", "surrogateescape").replace("\r\n", "\n")


def _subject(mail: str) -> str:
	"""Return the subject of the commit that git makes from a mail, "" if it is no mail."""
	with tempfile.TemporaryDirectory(prefix="pinwait-") as scratch:
		try:
			return mailinfo(mail, Path(scratch, "message"), Path(scratch, "diff")).get("Subject", "")
		except CommandFailed:
			return ""


def _name(patch: Path) -> str:
	return f"{patch.parent.parent.name}/{patch.parent.name}/{patch.name}"


def stumbled(git: Git, commit: str, patch: Path, output: str) -> str:
	"""Say at which hunk of which file git failed to apply a patch to a commit, and which line the file lacks there."""
	where = re.findall(r"^error: patch failed: (.*):(\d+)$", output, re.MULTILINE)
	details = []
	for file, line in where:
		hunk = hunk_at(patch, file, int(line))
		number = re.match(r"hunk (\d+)", hunk)
		lacks = threeway.lacking(git, commit, patch.read_text(encoding="utf-8", errors="replace"), file, int(number[1])) if number else ""
		details.append(f"{file}, {hunk}" + (f", where the tree has no line `{lacks}`" if lacks else ""))
	said = [line.removeprefix("error: ") for line in output.splitlines() if line.startswith(("error:", "fatal:"))]
	return "; ".join([*details, *(line for line in said if not HUNK_FAILED.search(line))] or [output.strip()])


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


def _base_of(kernel: Kernel) -> str:
	return ".".join(re.split(r"[.-]", kernel.version)[:2])


def _base_key(base: str) -> list[int]:
	return [int(number) for number in re.findall(r"\d+", base)]
