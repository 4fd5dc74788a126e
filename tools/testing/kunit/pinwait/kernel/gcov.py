# SPDX-License-Identifier: GPL-2.0
"""What gcov counted in a kernel that was booted: how often each line was executed, and which ways its branches went."""

import json
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..util import proc
from ..util.errors import CannotJudge

PROFILE = "uml-gcov"
FOLDER = "mm"		# below the object folder: what executes the change lies there


@dataclass
class Line:
	"""What was seen of one line of code, in all objects that hold a copy of it."""
	count: int = 0
	copies: list[list[bool]] = field(default_factory=list)	# of each copy's branches: was it taken?

	@property
	def branches(self) -> int:
		"""How many ways the copy with most of them taken can go."""
		return len(self._best())

	@property
	def untaken(self) -> int:
		"""How many of them were not taken in that copy."""
		return self._best().count(False)

	def _best(self) -> list[bool]:
		return min(self.copies, key=lambda taken: (taken.count(False), -len(taken)), default=[])


def read(obj: Path, tree: Path) -> dict[str, dict[int, Line]]:
	"""Return what gcov counted, by file of the tree and line. Raises CannotJudge if it counted nothing."""
	counters = sorted((obj / FOLDER).rglob("*.gcda"))
	if not counters:
		raise CannotJudge(f"the kernel left no counters below {obj / FOLDER}; does it exit in an orderly way?")
	return read_counters(counters, obj, tree)


def read_counters(counters: Iterable[Path], obj: Path, tree: Path) -> dict[str, dict[int, Line]]:
	"""Return what gcov counted in some objects, by file of the tree and line."""
	argv = ["gcov", "--json-format", "--stdout", "--branch-probabilities"]
	with ThreadPoolExecutor() as pool:
		texts = pool.map(lambda path: proc.run([*argv, str(path)], cwd=obj), counters)
		found: dict[str, dict[int, Line]] = {}
		for text in texts:
			merge(found, json.loads(text), tree)
	return found


def merge(found: dict[str, dict[int, Line]], report: Mapping[str, Any], tree: Path) -> None:
	"""Add one object's gcov report to what was found."""
	base = Path(report["current_working_directory"])
	for file in report["files"]:
		path = (base / file["file"]).resolve()
		if not path.is_relative_to(tree):
			continue
		lines = found.setdefault(str(path.relative_to(tree)), {})
		for seen in file["lines"]:
			line = lines.setdefault(seen["line_number"], Line())
			line.count += seen["count"]
			if seen["branches"]:
				line.copies.append([branch["count"] > 0 for branch in seen["branches"]])
