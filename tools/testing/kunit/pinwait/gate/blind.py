# SPDX-License-Identifier: GPL-2.0
"""What no case is about, in functions that cases execute: tools/testing/blind.toml."""

import tomllib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..util.errors import UsageError

OURS = ("mm/tests/", "lib/", "tools/")	# what is not the kernel's own code


@dataclass(frozen=True)
class Blind:
	"""One entry."""
	file: str
	functions: tuple[str, ...]
	what: str
	why: str


def load(path: Path) -> list[Blind]:
	"""Return the entries of a file. Raises UsageError for a malformed one."""
	try:
		rows = tomllib.loads(path.read_text(encoding="utf-8"))["blind"]
		entries = [Blind(row.pop("file"), tuple(row.pop("functions")), row.pop("what"), row.pop("why")) for row in rows]
		if left := [key for row in rows for key in row]:
			raise UsageError(f"{path}: unknown key {left[0]}")
		if bare := [entry.file for entry in entries if not (entry.functions and entry.what and entry.why)]:
			raise UsageError(f"{path}: {bare[0]}: an entry says nothing of functions, what or why")
		return entries
	except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError, AttributeError) as error:
		raise UsageError(f"{path}: {error}") from error


def off_road(road: Mapping[str, Collection[str]], file: str, functions: Collection[str]) -> list[str]:
	"""Say of which functions of a file the cases see just what pins and migration do with them.

	road has the functions that a longterm pin passes through, by file.
	"""
	names = [f"{name}()" for name in functions if name not in road.get(file, ())]
	if not names or not road or file.startswith(OURS):
		return []
	return [f"what {', '.join(names)} does off the road of a longterm pin, which is not seen"]


def told(entries: Iterable[Blind], file: str, functions: Collection[str]) -> list[str]:
	"""Return what no case is about in functions of a file."""
	return [entry.what for entry in entries if entry.file == file and set(entry.functions) & set(functions)]
