# SPDX-License-Identifier: GPL-2.0
"""Checks of a commit message's trailers beyond checkpatch's: does the commit that a Fixes: names exist?"""

import re
from pathlib import Path

from ..source import usertree
from ..util.proc import CommandFailed
from .compare import Item

FIXES = re.compile(r"^fixes:[ \t]*(.*)$", re.MULTILINE | re.IGNORECASE)
FORM = re.compile(r'([0-9a-f]{12,40}) \("(.+)"\)$')


def fixes(message: str, user_tree: str) -> dict[str, Item]:
	"""Return the faults of a message's Fixes: tags, by identity; user_tree is a tree with history, or ""."""
	found = {}
	for tag in FIXES.findall(message):
		form = FORM.match(tag.strip())
		why = _not_in(form[1], form[2], user_tree) if form and user_tree else \
			"" if form else 'is not of the form Fixes: <12 digits or more> ("subject")'
		if why:
			found[f"Fixes: {tag}"] = Item("fixes", f"Fixes: {tag}: {why}")
	return found


def _not_in(commit: str, subject: str, user_tree: str) -> str:
	"""Say what is wrong with a named commit, "" if nothing is known; a tree without full history cannot tell."""
	user = usertree.UserTree(Path(user_tree))
	try:
		there = user.git("log", "-1", "--format=%s", "--end-of-options", f"{commit}^{{commit}}")
	except CommandFailed:
		shallow = user.git_path("shallow").exists()
		return "" if shallow else f"{user_tree} has no such commit"
	return "" if there == subject else f"the subject of {commit[:12]} is '{there}'"
