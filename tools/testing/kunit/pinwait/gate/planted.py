# SPDX-License-Identifier: GPL-2.0
"""How many of the bugs that were planted in the functions that a patch changes the suites notice, by the recorded score.

A patch passes if the suites see nothing; this tells how much they would see there.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from ..mutation.score import Record, score_of
from ..report.judgement import Covered
from .seen import enclosing

FOLDERS = ("mm/", "include/linux/")	# the record has files by their last names


def functions_of(file: Covered, before: str, after: str) -> list[str]:
	"""Return the functions that have the changed lines of a file, given its texts."""
	changed = [*file.executed, *file.missed, *file.uncompiled, *file.unmeasured]
	return list(dict.fromkeys([*_of(after, changed), *_of(before, file.removed)]))


def told(record: Record, file: Covered, functions: Collection[str]) -> Covered:
	"""Return what a patch changes in a file with those of its changed functions of which the record has planted bugs."""
	if not file.file.startswith(FOLDERS):
		return file
	fates: dict[str, list[str]] = {}
	for name, outcome in record.fates.items():
		source, function, _ = name.split(":", 2)
		if source == PurePosixPath(file.file).name and function in functions:
			fates.setdefault(function, []).append(outcome)
	scores = {function: score for function, outcomes in fates.items() if (score := score_of(outcomes)).counted}
	return replace(file, functions=list(scores), planted=sum(score.counted for score in scores.values()),
		       noticed=sum(score.noticed for score in scores.values()))


def _of(text: str, numbers: Sequence[int]) -> list[str]:
	lines = text.split("\n")
	return [name for number in numbers if number <= len(lines) and (name := enclosing(lines, number - 1))]
