# SPDX-License-Identifier: GPL-2.0
"""gcov's counts from a booted kernel: how often each line was executed, and which ways its branches went."""

import json
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..util import proc
from ..util.errors import CannotJudge

PROFILE = "uml-gcov"
FOLDER = "mm"		# below the object folder: the objects that execute the change


@dataclass
class Line:
	"""The counts of one line of code, in all objects that hold a copy of it."""
	count: int = 0
	copies: list[list[bool]] = field(default_factory=list)	# of each copy's branches: was it taken?

	@property
	def branches(self) -> int:
		"""The number of branches of the copy with the fewest untaken ones."""
		return len(self._best())

	@property
	def untaken(self) -> int:
		"""How many of that copy's branches were not taken."""
		return self._best().count(False)

	def _best(self) -> list[bool]:
		return min(self.copies, key=lambda taken: (taken.count(False), -len(taken)), default=[])


def read(obj: Path, tree: Path) -> dict[str, dict[int, Line]]:
	"""Return gcov's counts, by file of the tree and line. Raises CannotJudge if there are none."""
	counters = sorted((obj / FOLDER).rglob("*.gcda"))
	if not counters:
		raise CannotJudge(f"the kernel wrote no counters below {obj / FOLDER}; did it shut down cleanly?")
	return read_counters(counters, obj, tree)


def read_counters(counters: Iterable[Path], obj: Path, tree: Path) -> dict[str, dict[int, Line]]:
	"""Return gcov's counts of some objects, by file of the tree and line."""
	argv = ["gcov", "--json-format", "--stdout", "--branch-probabilities"]
	with ThreadPoolExecutor() as pool:
		texts = pool.map(lambda path: proc.run([*argv, str(path)], cwd=obj), counters)
		found: dict[str, dict[int, Line]] = {}
		for text in texts:
			merge(found, json.loads(text), tree)
	return found


def merge(found: dict[str, dict[int, Line]], report: Mapping[str, Any], tree: Path) -> None:
	"""Add one object's gcov report to found."""
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
