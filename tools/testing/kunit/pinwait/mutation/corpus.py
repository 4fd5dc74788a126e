# SPDX-License-Identifier: GPL-2.0
"""Known-bad variants of the kernel, as data (tools/testing/mutants/*.toml).

A mutant is a file, a text that occurs in it once, the text that replaces it, and why that is wrong.
"""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from ..util.errors import UsageError

NEEDED = {"name", "file", "old", "new", "why"}
OPTIONAL = {"profile", "equivalent"}
SAME_OBJECT = "object"	# the value of `equivalent` that needs no proof in words

Item = TypeVar("Item")


class Change(Protocol):
	"""A change of one file to try; some objects are compiled from the changed file."""

	@property
	def name(self) -> str:
		"""Its name."""

	@property
	def file(self) -> str:
		"""The changed file."""

	@property
	def rebuild(self) -> Sequence[str]:
		"""The objects to compile; (): the file's own object."""

	def applied(self, text: str) -> str:
		"""Return the changed text of the file."""


@dataclass(frozen=True)
class Mutant:
	"""One way to break a file of the kernel."""
	name: str
	file: str
	old: str
	new: str
	why: str
	profile: str = ""	# the only one that can kill it; empty: any
	equivalent: str = ""	# SAME_OBJECT, or a proof that it does no harm; empty: it is harmful
	rebuild: tuple[str, ...] = ()	# for a header: the objects through which the suite reaches it

	def applied(self, text: str) -> str:
		"""Return text with the mutation; all later lines keep their numbers, because objects may contain line numbers.

		Raises UsageError unless `old` occurs in it exactly once.
		"""
		found = text.count(self.old)
		if found != 1:
			raise UsageError(f"mutant {self.name}: its `old` stands {found} times in {self.file}, not once")
		before, after = text.split(self.old)
		if self.old.count("\n") == self.new.count("\n"):
			return before + self.new + after
		rest, newline, below = after.partition("\n") if not self.old.endswith("\n") else ("", "", after)
		number = 1 + sum(part.count("\n") for part in (before, self.old, rest, newline))
		return f"{before}{self.new}{rest}{newline}#line {number}\n{below}"


def load(folder: Path, names: Sequence[str] = ()) -> list[Mutant]:
	"""Return the mutants of a corpus, or those named.

	Raises UsageError for a malformed mutant, a name used twice, an unknown name.
	"""
	found: dict[str, Mutant] = {}
	for file, tables in read(folder):
		rebuild = tuple(tables.get("rebuild", ()))
		for table in tables.get("mutant", ()):
			table = {"file": tables.get("file"), **table}
			name = str(table.get("name", "?"))
			if not NEEDED <= set(table) <= NEEDED | OPTIONAL or not all(isinstance(value, str) for value in table.values()):
				raise UsageError(f"{file}: mutant {name} needs {', '.join(sorted(NEEDED))}, "
						 f"may have {', '.join(sorted(OPTIONAL))}, and nothing else")
			if name in found:
				raise UsageError(f"{file}: two mutants have the name {name}")
			if table["old"] == table["new"]:
				raise UsageError(f"{file}: mutant {name} changes nothing")
			found[name] = Mutant(**table, rebuild=rebuild)
	return select(found, names, "mutant", folder)


def sample(mutants: Sequence[Mutant], count: int) -> list[Mutant]:
	"""Return count mutants, spread evenly and always the same, of those that must be killed and need no particular profile."""
	there = [mutant for mutant in mutants if not mutant.profile and not mutant.equivalent]
	return spread(there, count)


def read(folder: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
	"""Yield each file of a corpus with its tables. Raises UsageError for one that is not TOML."""
	for file in sorted(folder.glob("*.toml")):
		try:
			yield file, tomllib.loads(file.read_text(encoding="utf-8"))
		except tomllib.TOMLDecodeError as error:
			raise UsageError(f"{file}: {error}") from error


def select(found: Mapping[str, Item], names: Sequence[str], what: str, folder: Path) -> list[Item]:
	"""Return the named items, or all without names. Raises UsageError for an unknown name, and if there are no items."""
	if unknown := [name for name in names if name not in found]:
		raise UsageError(f"unknown {what} '{unknown[0]}'; there are: {', '.join(found)}")
	if not found:
		raise UsageError(f"{folder} holds no {what}s")
	return [item for name, item in found.items() if not names or name in names]


def spread(items: Sequence[Item], count: int) -> list[Item]:
	"""Return count items, or all if there are fewer, spread evenly and always the same."""
	count = min(count, len(items))
	return [items[index * len(items) // count] for index in range(count)]
