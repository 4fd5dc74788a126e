# SPDX-License-Identifier: GPL-2.0
"""b4's tracking data of a series under review: the commits that its mails have become.

`b4 review` passes a check one mail of the series and, in a file, all its data about the series.
"""

import json
import os
from pathlib import Path

from . import lookup
from ..util.errors import PinwaitError
from .patches import Patch
from .usertree import UserTree

TRACKING = "B4_TRACKING_FILE"	# environment variable: the path of that file
PATCH, SERIES = "patch", "series"	# what b4 wants checked: one patch, or the series
BRANCHES = "refs/heads/b4/review/"	# of reviewed series; the last commit on each is b4's own


def under_review(user: UserTree, patch: Patch | None = None) -> str:
	"""Return the range A..B of the commit that a mail's patch has become; without a mail, of the whole series.

	"" if b4 has no data about it, or its data do not fit the tree.
	"""
	try:
		tracking = json.loads(Path(os.environ[TRACKING]).read_text(encoding="utf-8"))
		series = tracking["series"]
		mails = [str(entry["header-info"]["msgid"]).strip("<> ") for entry in tracking["patches"]]
		first = user.commit(series["first-patch-commit"])
		# Not all branches are named after the change-id.
		branches = user.git("for-each-ref", f"--contains={first}", "--format=%(refname)", BRANCHES).splitlines()
		last = user.commit(f"{max(branches, key=lambda name: name.endswith('/' + series['change-id']))}~1")
		commits = user.git("rev-list", "--reverse", f"{first}~1..{last}").splitlines()
		if not patch:
			return f"{user.commit(f'{first}~1')}..{last}"
		index = mails.index(patch.message_id)
		# The reviewer may have dropped, moved or reworded commits.
		named = lookup.alike(user, patch, [f"{first}~1..{last}"])
		there = commits[index:index + 1] if len(commits) == len(mails) else []
		commit = next(iter([*(set(there) & set(named)), *named, *there]), "")
		return f"{user.commit(f'{commit}~1')}..{commit}" if commit else ""
	except (KeyError, TypeError, ValueError, OSError, PinwaitError):
		return ""
