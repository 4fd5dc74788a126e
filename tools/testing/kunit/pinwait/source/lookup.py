# SPDX-License-Identifier: GPL-2.0
"""Which commit of a user's tree a patch has become."""

import re
from collections.abc import Iterable
from email.utils import parseaddr

from ..util.proc import run
from .patches import Patch
from .usertree import PLAIN, UserTree

LOOKED_BACK = 200	# commits of HEAD
CONTEXT = 3		# lines around a change, if nobody configured another number
TAGS = re.compile(r"^\s*(?:\[[^\]]*\]\s*)+")


def by_patch_id(user: UserTree, context: int = CONTEXT) -> dict[str, str]:
	"""Return the latest commits of a tree's HEAD by their stable patch-id, which depends on the lines of context."""
	# The first commit of a history, or of a shallow one, is the whole tree.
	log = user.git("-c", "log.showRoot=false", "log", "-p", "--no-merges", *PLAIN, f"--unified={context}", f"-n{LOOKED_BACK}",
		       "--format=commit %H", "HEAD")
	ids = run(["git", "patch-id", "--stable"], stdin=log + "\n").splitlines()
	return {line.split()[0]: line.split()[1] for line in ids}


def same(user: UserTree, patch: Patch) -> str:
	"""Return the commit of a tree's HEAD that makes the same change as a patch; "" if there is none."""
	contexts = dict.fromkeys([CONTEXT, context_of(patch.mail)])
	return next((found for context in contexts if (found := by_patch_id(user, context).get(patch.patch_id))), "")


def alike(user: UserTree, patch: Patch, commits: Iterable[str] = (f"-n{LOOKED_BACK}", "HEAD")) -> list[str]:
	"""Return the commits, newest first, that have a patch's subject and author and change a file that it changes.

	A patch that was applied elsewhere, or whose diff was made in another way, has another patch-id there.
	"""
	log = user.git("-c", "core.quotePath=false", "log", "--no-merges", "--no-renames", "--name-only", "--format=%x00%H%n%ae%n%s", *commits)
	found = []
	for entry in filter(None, log.split("\0")):
		commit, author, subject, *files = entry.splitlines()
		if _name(subject, author) == _name(patch.subject, parseaddr(patch.author)[1]) and set(files) & set(patch.files):
			found.append(commit)
	return found


def context_of(diff: str) -> int:
	"""Return how many lines of context a diff was made with: at one end of a file there are fewer."""
	diff = diff[max(diff.find("\ndiff --git "), 0):]	# the diffstat looks like context
	found = re.findall(r"^@@ -\d[^\n]*\n((?: [^\n]*\n)+)|((?:^ [^\n]*\n)+)(?=\n|@@ -|diff --git |--|\Z)", diff, re.MULTILINE)
	return max(((before or after).count("\n") for before, after in found), default=CONTEXT)


def _name(subject: str, author: str) -> tuple[str, str]:
	return " ".join(TAGS.sub("", subject).split()), author.lower()
