# SPDX-License-Identifier: GPL-2.0
"""Find the commit of a user's tree that a patch has become."""

import re
from collections.abc import Iterable
from email.utils import parseaddr

from ..util.proc import run
from .patches import Patch
from .usertree import PLAIN, UserTree

LOOKED_BACK = 200	# commits of HEAD
CONTEXT = 3		# lines around a change, git's default
TAGS = re.compile(r"^\s*(?:\[[^\]]*\]\s*)+")


def by_patch_id(user: UserTree, context: int = CONTEXT) -> dict[str, str]:
	"""Return the latest commits of a tree's HEAD by stable patch-id, which depends on the number of context lines."""
	# Leave out the first commit of a history, or of a shallow one: its diff is the whole tree.
	log = user.git("-c", "log.showRoot=false", "log", "-p", "--no-merges", *PLAIN, f"--unified={context}", f"-n{LOOKED_BACK}",
		       "--format=commit %H", "HEAD")
	ids = run(["git", "patch-id", "--stable"], stdin=log + "\n").splitlines()
	return {line.split()[0]: line.split()[1] for line in ids}


def same(user: UserTree, patch: Patch) -> str:
	"""Return the commit in a tree's HEAD with the same change as a patch; "" if there is none."""
	contexts = dict.fromkeys([CONTEXT, context_of(patch.mail)])
	return next((found for context in contexts if (found := by_patch_id(user, context).get(patch.patch_id))), "")


def alike(user: UserTree, patch: Patch, commits: Iterable[str] = (f"-n{LOOKED_BACK}", "HEAD")) -> list[str]:
	"""Return the commits, newest first, with a patch's subject and author that change a file of the patch.

	They find a patch whose patch-id differs, because it was applied elsewhere or its diff was made in another way.
	"""
	log = user.git("-c", "core.quotePath=false", "log", "--no-merges", "--no-renames", "--name-only", "--format=%x00%H%n%ae%n%s", *commits)
	found = []
	for entry in filter(None, log.split("\0")):
		commit, author, subject, *files = entry.splitlines()
		if _name(subject, author) == _name(patch.subject, parseaddr(patch.author)[1]) and set(files) & set(patch.files):
			found.append(commit)
	return found


def context_of(diff: str) -> int:
	"""Return the number of context lines of a diff; a hunk at the end of a file has fewer."""
	diff = diff[max(diff.find("\ndiff --git "), 0):]	# skip the diffstat, which looks like context
	found = re.findall(r"^@@ -\d[^\n]*\n((?: [^\n]*\n)+)|((?:^ [^\n]*\n)+)(?=\n|@@ -|diff --git |--|\Z)", diff, re.MULTILINE)
	return max(((before or after).count("\n") for before, after in found), default=CONTEXT)


def _name(subject: str, author: str) -> tuple[str, str]:
	return " ".join(TAGS.sub("", subject).split()), author.lower()
