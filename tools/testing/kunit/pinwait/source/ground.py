# SPDX-License-Identifier: GPL-2.0
"""The base that patches are applied to, why it was chosen, and the states of the tree after each patch.

The choice is always reported: base-commit: and prerequisite-patch-id: come first, then the options, then the
prepared kernel with the chosen series.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from . import lookup, series, threeway, usertree, worktree
from ..util.errors import CannotJudge, UsageError
from ..util.git import Stack
from ..util.proc import CommandFailed
from ..util.progress import Progress
from .options import Options
from .patches import Patch, Submission
from .prepared import held
from .series import NONE, Series
from .store import Kernel, Store

ID = 12			# digits of a commit id that are unique in a tree of the kernel's size


@dataclass(frozen=True)
class Start:
	"""The commit of KDIR on which patches begin."""
	commit: str = ""	# as given, "" if it has to be found
	trusted: bool = False	# the patches were made from it: ignore their trailers


@dataclass(frozen=True)
class Ground:
	"""A base: a kernel and the patches on top of it, without the project's sources."""
	kernel: Kernel
	series: Series
	applied: str		# commit
	choice: tuple[str, ...]
	precedes: bool = True	# it is known to have the predecessors of the first patch

	@property
	def base(self) -> str:
		"""Its name, for people."""
		return f"{self.kernel.base}, series {self.series.name}"


@dataclass
class States:
	"""The commits to try: the base, then the tree after each patch, as far as they apply."""
	commits: list[str] = field(default_factory=list)
	merged: list[str] = field(default_factory=list)		# patches that did not apply beside the project's, one sentence each
	failure: str = ""	# why the next patch does not apply
	nearest: str = ""	# a base to which all of them apply


@contextmanager
def chosen(options: Options, start: Start, submission: Submission, progress: Progress) -> Iterator[Ground]:
	"""Choose and prepare a base; hold the lock of its worktree meanwhile.

	Raises UsageError for names that do not exist, CannotJudge if the chosen base cannot be prepared.
	"""
	choice: list[str] = []
	at, follows = "", False
	if options.kdir:
		at, whole, follows = _of_user(options, start, submission, choice)
		start = replace(start, trusted=start.trusted or whole)
	elif submission.base_commit:
		choice.append(f"base-commit: {submission.base_commit} cannot be looked up without a tree: give KDIR=/a/tree/that/has/it")
	with held(options, progress, at) as kernel:
		choice += [] if options.kdir else [f"base: {kernel.base}, the prepared kernel"]
		found, applied = _with_series(options, kernel, progress, choice)
		needs = submission.missing or submission.prerequisites or submission.unnamed
		precedes = bool(not needs or start.trusted or start.commit or follows)
		if not start.trusted:
			applied = _with_prerequisites(options, submission, kernel, found, applied, choice, precedes)
		yield Ground(kernel, found, applied, tuple(choice), precedes)


def states(ground: Ground, patches: Sequence[Patch], project: Path) -> States:
	"""Apply patches one after the other; every state contains the project's sources."""
	result = States()
	# Patches to the project's sources are applied on top of these. Others are applied below, where they cannot conflict.
	ours = {source.path for source in worktree.sources(project)}
	inside = any(name in ours for patch in patches for name in patch.files)
	kernel = ground.kernel
	composed = worktree.compose(kernel, ground.applied, project)
	result.commits.append(composed)
	with kernel.git.stack(composed if inside else ground.applied) as stack, kernel.git.stack(kernel.base_commit) as alone:
		behind = 0
		for number, patch in enumerate(patches):
			if patch.problem:
				result.failure = f"cannot be applied: {patch.place}: {patch.problem}"
				break
			try:
				stack.push(patch.mail)
			except CommandFailed as error:
				try:
					_merge(kernel, stack, alone, patches[behind:number + 1])
					behind = number + 1
				except threeway.Conflict as conflict:
					where = series.stumbled(kernel.git, stack.commit, patch.path, error.output)
					result.failure = f"does not apply to {ground.base}: {where}" + (f"; {conflict}" if str(conflict) else "")
					break
				result.merged.append(f"merged: patch {number + 1} with the project's patches on {kernel.base}, in {', '.join(patch.files)}")
			result.commits.append(stack.commit if inside else worktree.compose(kernel, stack.commit, project))
	return result


def _merge(kernel: Kernel, stack: Stack, alone: Stack, patches: Sequence[Patch]) -> None:
	"""Merge the last patch's change of the kernel alone into the stack: maybe only the project's patches keep it from applying.

	alone has the patches before these on the bare kernel. Raises threeway.Conflict, with an empty message if the last patch
	does not apply to the kernel alone either.
	"""
	git = kernel.git
	try:
		for patch in patches:
			before = alone.commit
			alone.push(patch.mail)
	except CommandFailed:
		raise threeway.Conflict from None
	try:
		tree = threeway.merge(git, before, stack.commit, alone.commit)
	except threeway.Conflict as conflict:
		raise threeway.Conflict(f"it applies to {kernel.base} alone, but conflicts with the project's patches: {conflict}") from None
	if not git.names(stack.commit, tree):
		raise threeway.Conflict(f"it applies to {kernel.base} alone, but the project's patches already make the same change")
	stack.push(patches[-1].mail, git.between(stack.commit, tree))


def nearest(ground: Ground, options: Options, patches: Sequence[Patch], progress: Progress) -> str:
	"""Name a base to which all patches apply, and the options for it; "" if none is known."""
	if options.kdir:
		commit, words = _commit_of_blobs(options, patches)
		kernel = replace(ground.kernel, base_commit=commit)
		if commit and _apply(kernel, ground.series, patches):
			return words
	return next((words for words, kernel, found in _candidates(ground, options, progress) if _apply(kernel, found, patches)), "")


def _of_user(options: Options, start: Start, submission: Submission, choice: list[str]) -> tuple[str, bool, bool]:
	"""Return the base commit of KDIR, from trailers or options, or HEAD; whether the first patch was committed on it; and
	whether at least a patch like it was, so that the commit has the patch's predecessors."""
	user = usertree.UserTree(Path(options.kdir))
	first, named, at = submission.patches[0], "" if start.trusted else submission.base_commit, start.commit or "HEAD"
	# A branch with the patch has everything that the patch needs; trailers may name less, or an older commit.
	there = "" if start.commit else lookup.same(user, first)
	if named and not there:
		try:
			at = user.commit(named)
			choice.append(f"base: {at[:12]}, named by base-commit:")
			return at, False, False
		except UsageError:
			choice.append(f"base-commit: {named} is not in {options.kdir}")
	alike = "" if start.commit or there else next(iter(lookup.alike(user, first)), "")
	if there or alike:
		at = user.commit(f"{there or alike}~1")
		how = "the first patch" if there else "which has the first patch's subject and author"
		choice.append(f"base: {at[:12]} of {options.kdir}, before commit {(there or alike)[:12]}, {how}")
	else:
		choice.append(f"base: {user.commit(at)[:12]} of {options.kdir}, "
			      + (f"as given ({start.commit})" if start.commit else "its HEAD"))
	return at, bool(there), bool(there or alike)


def _with_series(options: Options, kernel: Kernel, progress: Progress, choice: list[str]) -> tuple[Series, str]:
	"""Return the series to put below the patches, and the commit of base and series."""
	try:
		applied = series.choose(options.series_root, options.series, kernel, progress)
	except series.DoesNotApply as error:
		if options.series or kernel.is_users:
			raise
		applied = series.choose(options.series_root, NONE, kernel, progress)
		choice.append(f"series: {series.DEFAULT}, the default, is left out: {error}")
	choice += applied.choice
	return applied.series, applied.commit


def _with_prerequisites(options: Options, submission: Submission, kernel: Kernel, found: Series, applied: str,
			choice: list[str], precedes: bool) -> str:
	"""Apply the patches that prerequisite-patch-id: trailers name and the base lacks.

	Raises CannotJudge for a patch that is not found, unless the base is known to have all predecessors of the first patch.
	"""
	if not submission.prerequisites and not submission.unnamed:
		return applied
	there = {series.patch_id(path) for path in found.support + found.patches}
	lying: dict[str, str] = {}
	if options.kdir:
		user = usertree.UserTree(Path(options.kdir))
		lying = lookup.by_patch_id(user)
		contained = user.git("rev-list", f"-n{lookup.LOOKED_BACK}", kernel.base_commit).splitlines()
		there |= {name for name, commit in lying.items() if commit in contained}
	todo = [name for name in submission.prerequisites if name not in there]
	missing = [f"prerequisite-patch-id: {name}" for name in todo if name not in lying] + submission.unnamed
	if missing and not precedes:
		raise CannotJudge(f"a prerequisite of these patches is missing ({missing[0]}"
				  + (f", and {len(missing) - 1} more" if len(missing) > 1 else "")
				  + "): give KDIR=/a/tree/whose/branch/has/it, or the base commit with BASE=")
	choice += [f"{name} is assumed to be in the given base" for name in missing]
	todo = [name for name in todo if name in lying]
	if todo:
		with kernel.git.stack(applied) as stack:
			for name in todo:
				mail = user.git("format-patch", "-1", "--stdout", "--no-signature", "--no-base", "--no-notes", *usertree.PLAIN, lying[name])
				try:
					stack.push(mail + "\n")
				except CommandFailed as error:
					raise CannotJudge(f"prerequisite {name} ({lying[name][:12]}) does not apply: "
							  f"{error.output.strip().splitlines()[0]}") from error
			applied = stack.commit
		choice.append(f"prerequisites: {len(todo)} commits of {options.kdir} applied first")
	return applied


def _candidates(ground: Ground, options: Options, progress: Progress) -> Iterator[tuple[str, Kernel, Series]]:
	"""Yield other available bases: without the series, with it, other kernels."""
	others = Store(options.build_root, progress).prepared()
	for kernel in [ground.kernel, *(other for other in others if other.name != ground.kernel.name)]:
		there = series.names(options.series_root)
		for name in dict.fromkeys(name for name in (NONE, ground.series.name, series.DEFAULT) if name in there):
			found = series.find(options.series_root, name, kernel, progress)
			where = "" if kernel.name == ground.kernel.name else f" --kernel={kernel.name}"
			where += " instead of --kdir" if where and options.kdir else ""
			yield f"{kernel.base}, series {name} (--series={name}{where})", kernel, found


def _apply(kernel: Kernel, found: Series, patches: Sequence[Patch]) -> bool:
	"""Tell whether patches apply to a base with the project's patches."""
	try:
		with kernel.git.stack(series.apply(kernel, found)) as stack:
			for patch in patches:
				stack.push(patch.mail)
	except (CannotJudge, CommandFailed):
		return False
	return True


def _commit_of_blobs(options: Options, patches: Sequence[Patch]) -> tuple[str, str]:
	"""Return the newest commit of KDIR's history with the files from which the first patch was made, and its option."""
	text = patches[0].path.read_text(encoding="utf-8", errors="replace")
	blobs = re.findall(r"^diff --git a/(\S+) b/.*\n(?:[a-z].*\n)*?index ([0-9a-f]{7,})\.\.", text, re.MULTILINE)
	blobs = [(name, blob) for name, blob in blobs if set(blob) != {"0"}]
	if not blobs:
		return "", ""
	user = usertree.UserTree(Path(options.kdir))
	touching = user.git("rev-list", f"-n{lookup.LOOKED_BACK}", "HEAD", "--", *(name for name, _ in blobs)).splitlines()
	for commit in touching:
		lines = user.git("ls-tree", "-r", commit, "--", *(name for name, _ in blobs)).splitlines()
		there = {line.partition("\t")[2]: line.split()[2] for line in lines}
		if all(there.get(name, "").startswith(blob) for name, blob in blobs):
			return commit, f"{commit[:12]} of {options.kdir}, which has the files from which it was made (--base={commit[:12]})"
	return "", ""


def with_range(options: Options, commits: str, scratch: Path) -> tuple[Start, str, str]:
	"""Return the start of a range of KDIR's commits, a file with the commits as mails, and the range by ids.

	Raises UsageError for a malformed or empty range, CannotJudge for one with merges.
	"""
	if not options.kdir:
		raise UsageError("a range needs a tree: give --kdir, too")
	user = usertree.UserTree(Path(options.kdir))
	first, dots, last = commits.partition("..")
	if not dots or not first:
		raise UsageError(f"'{commits}' is no range: give A..B")
	start, end = user.commit(first), user.commit(last.lstrip(".") or "HEAD")
	try:
		start = user.git("merge-base", start, end)
	except CommandFailed as error:
		raise UsageError(f"{first} and {last} have no commit in common") from error
	if merges := user.git("rev-list", "--merges", f"{start}..{end}").splitlines():
		raise CannotJudge(f"{commits} holds {len(merges)} merges ({merges[0][:12]}): give a range A..B without merges")
	# mboxrd puts a > before lines of a message that look like the beginning of a mail.
	mails = user.git("format-patch", "--stdout", "--pretty=mboxrd", "--no-signature", "--no-attach", "--no-thread", "--no-cover-letter",
			 "--no-base", "--no-notes", "--binary", "--full-index", *usertree.PLAIN, f"{start}..{end}")
	if not mails:
		raise UsageError(f"{commits} contains no commit")
	path = scratch / "range.mbox"
	path.write_text(mails + "\n", encoding="utf-8", errors="surrogateescape")
	return Start(start, trusted=True), str(path), f"{start[:ID]}..{end[:ID]}"
