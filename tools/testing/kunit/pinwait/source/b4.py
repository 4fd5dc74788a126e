# SPDX-License-Identifier: GPL-2.0
"""What b4 knows of a series under review: which commits its mails have become.

`b4 review` hands a check one mail of the series and, in a file, all that it keeps about the series.
"""

import json
import os
from pathlib import Path

from . import lookup
from ..util.errors import PinwaitError
from .patches import Patch
from .usertree import UserTree

TRACKING = "B4_TRACKING_FILE"	# environment: where that file is
PATCH, SERIES = "patch", "series"	# what b4 asks about: one, or all
BRANCHES = "refs/heads/b4/review/"	# where they are; the last commit on each is b4's own


def under_review(user: UserTree, patch: Patch | None = None) -> str:
	"""Return the range A..B of the commit that a mail's patch has become, or of the whole series without one.

	"" where b4 says nothing about it, or what it says does not fit the tree.
	"""
	try:
		tracking = json.loads(Path(os.environ[TRACKING]).read_text(encoding="utf-8"))
		series = tracking["series"]
		mails = [str(entry["header-info"]["msgid"]).strip("<> ") for entry in tracking["patches"]]
		first = user.commit(series["first-patch-commit"])
		# Not all of them are named after the change-id.
		branches = user.git("for-each-ref", f"--contains={first}", "--format=%(refname)", BRANCHES).splitlines()
		last = user.commit(f"{max(branches, key=lambda name: name.endswith('/' + series['change-id']))}~1")
		commits = user.git("rev-list", "--reverse", f"{first}~1..{last}").splitlines()
		if not patch:
			return f"{user.commit(f'{first}~1')}..{last}"
		index = mails.index(patch.message_id)
		# Whoever reviews may have dropped, moved or reworded commits.
		named = lookup.alike(user, patch, [f"{first}~1..{last}"])
		there = commits[index:index + 1] if len(commits) == len(mails) else []
		commit = next(iter([*(set(there) & set(named)), *named, *there]), "")
		return f"{user.commit(f'{commit}~1')}..{commit}" if commit else ""
	except (KeyError, TypeError, ValueError, OSError, PinwaitError):
		return ""
