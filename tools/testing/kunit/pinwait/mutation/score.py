# SPDX-License-Identifier: GPL-2.0
"""The fates of generated mutants: counts, a score with its interval, the record that later runs are compared with."""

import json
import math
import re
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..util.errors import UsageError

KILLED, DEAD, HUNG, KILLED_ELSEWHERE = "killed", "dies at boot", "hung", "killed on x86_64"
SURVIVED, NOT_REACHED, NOT_BUILT, SAME_OBJECT = "survived", "not reached", "not built", "same object"
EQUIVALENT, DUPLICATE, INVALID, NO_LINK = "equivalent", "duplicate", "invalid", "does not link"
NOTICED = (KILLED, DEAD, HUNG, KILLED_ELSEWHERE)
UNNOTICED = (SURVIVED, NOT_REACHED, NOT_BUILT, SAME_OBJECT)
LEFT_OUT = (EQUIVALENT, DUPLICATE, INVALID, NO_LINK)	# no mutants, or not additional ones
OUTCOMES = (*NOTICED, *UNNOTICED, *LEFT_OUT)
CONFIDENCE = 1.959964	# standard deviations around the mean that hold 95 %


@dataclass
class Fate:
	"""The fate of a generated mutant."""
	name: str
	file: str
	function: str
	operator: str
	kind: str		# its class, "" for none
	line: int
	outcome: str = ""
	killer: str = ""	# the first failure, or why there is none
	digest: str = ""	# of its objects
	seconds: float = 0.0
	near: bool = False	# its function is changed by the series, or used by one that is


@dataclass(frozen=True)
class Score:
	"""How many of the counted mutants are noticed."""
	noticed: int
	counted: int

	@property
	def interval(self) -> tuple[float, float]:
		"""Wilson's interval of 95 % for the share of all mutants that are noticed."""
		if not self.counted:
			return 0.0, 1.0
		share, square = self.noticed / self.counted, CONFIDENCE ** 2
		middle = share + square / (2 * self.counted)
		half = CONFIDENCE * math.sqrt(share * (1 - share) / self.counted + square / (4 * self.counted ** 2))
		scale = 1 + square / self.counted
		return (middle - half) / scale, (middle + half) / scale

	def __str__(self) -> str:
		if not self.counted:
			return "0 of 0"
		low, high = self.interval
		return f"{self.noticed} of {self.counted}, {self.noticed / self.counted:.0%} [{low:.0%}-{high:.0%}]"


@dataclass
class Record:
	"""The recorded score of a series on a kernel."""
	series: str
	kernel: str
	seed: str
	sample: int		# 0: all
	fates: dict[str, str] = field(default_factory=dict)	# outcome by name, in the order of the seed

	@property
	def score(self) -> Score:
		"""Its score."""
		return score_of(self.fates.values())


def score_of(outcomes: Iterable[str]) -> Score:
	"""Return the score of some outcomes."""
	counts = Counter(outcomes)
	return Score(sum(counts[name] for name in NOTICED), sum(counts[name] for name in (*NOTICED, *UNNOTICED)))


def settled(fates: Sequence[Fate]) -> list[Fate]:
	"""Return the fates; those with the same objects as an earlier one become duplicates."""
	seen: dict[tuple[str, str], str] = {}
	told = []
	for fate in fates:
		first = seen.setdefault((fate.file, fate.digest), fate.name) if fate.digest else fate.name
		told.append(fate if first == fate.name else replace(fate, outcome=DUPLICATE, killer=f"of {first}"))
	return told


def rows(fates: Sequence[Fate], group: Callable[[Fate], str]) -> list[str]:
	"""Return a table with a line for each group of fates, and one for the total."""
	there = [name for name in OUTCOMES if any(fate.outcome == name for fate in fates)]
	groups: dict[str, list[Fate]] = {}
	for fate in sorted(fates, key=group):
		groups.setdefault(group(fate), []).append(fate)
	groups["all"] = list(fates)
	width = max(map(len, groups))
	table = [" ".join([" " * width, *(f"{name:>{max(12, len(name))}}" for name in there), "     noticed"])]
	for name, some in groups.items():
		counts = Counter(fate.outcome for fate in some)
		table.append(" ".join([f"{name:<{width}}", *(f"{counts[outcome] or '-':>{max(12, len(outcome))}}" for outcome in there),
				       f"     {score_of(fate.outcome for fate in some)}"]))
	return table


def guards(record: Record, count: int) -> dict[str, str]:
	"""Return mutants of a record with the fates that a check expects: the first, in the seed's order, of those booted in C files."""
	booted = {name: outcome for name, outcome in record.fates.items() if name.partition(":")[0].endswith(".c")}
	noticed, alive = ([name for name, outcome in booted.items() if outcome == wanted] for wanted in (KILLED, SURVIVED))
	chosen = [*noticed[:count - count // 3], *alive[:count // 3]]
	return {name: booted[name] for name in chosen}


def place(folder: Path, series: str, kernel: str) -> Path:
	"""Return the file for the record of a series on a kernel."""
	return folder / f"{series}-{kernel}.toml"


def newest(folder: Path, series: str) -> Record | None:
	"""Return the record of a series on the newest kernel, None if there is none. Raises UsageError for a file that is no record."""
	def version(path: Path) -> list[int]:
		return [int(number) for number in re.findall(r"\d+", path.stem.removeprefix(series))]
	paths = sorted(folder.glob(f"{series}-*.toml"), key=version)
	return load(paths[-1]) if paths else None


def load(path: Path) -> Record | None:
	"""Return a record, None if the file is missing. Raises UsageError for a file that is no record."""
	try:
		tables: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
		record = Record(**tables)
	except FileNotFoundError:
		return None
	except (tomllib.TOMLDecodeError, TypeError) as error:
		raise UsageError(f"{path}: {error}") from error
	if unknown := set(record.fates.values()) - set(OUTCOMES):
		raise UsageError(f"{path}: unknown outcome '{unknown.pop()}'")
	return record


def text_of(record: Record, command: str) -> str:
	"""Return the text of a record's file."""
	lines = ["# SPDX-License-Identifier: GPL-2.0", f"# {record.score} noticed; written by:", f"#   {command}", ""]
	lines += [f"{name} = {json.dumps(getattr(record, name))}" for name in ("series", "kernel", "seed", "sample")]
	lines += ["", "[fates]", *(f"{json.dumps(name)} = {json.dumps(outcome)}" for name, outcome in record.fates.items())]
	return "".join(f"{line}\n" for line in lines)


def changed_sides(record: Record, fates: Mapping[str, str]) -> tuple[list[str], list[str]]:
	"""Return the mutants that came to life since a record, and those that are newly noticed."""
	alive = [name for name, outcome in fates.items() if record.fates.get(name) in NOTICED and outcome in UNNOTICED]
	noticed = [name for name, outcome in fates.items() if record.fates.get(name) in UNNOTICED and outcome in NOTICED]
	return alive, noticed
