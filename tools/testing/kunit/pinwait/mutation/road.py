# SPDX-License-Identifier: GPL-2.0
"""The road of a longterm pin: the functions reachable from its entry points, each listed or left out for a reason."""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..util.errors import UsageError
from .coccinelle import Found


@dataclass(frozen=True)
class Road:
	"""The content of road.toml."""
	path: Path
	entries: tuple[str, ...]
	changed: frozenset[str]				# functions that the default series changes
	functions: Mapping[str, Sequence[str]]		# by file
	left_out: Mapping[str, Mapping[str, str]]	# by file: the reason, by function; "*": all others of the file
	rebuild: Mapping[str, Sequence[str]]		# by header: the objects in which its mutants are tried

	@property
	def files(self) -> list[str]:
		"""The files that functions of the road can be in."""
		return list(dict.fromkeys([*self.functions, *self.left_out]))

	def why_not(self, file: str, function: str) -> str:
		"""Return why a function is left out, "" if it is not."""
		reasons = self.left_out.get(file, {})
		return reasons.get(function, reasons.get("*", ""))


def load(path: Path) -> Road:
	"""Return the road of a file. Raises UsageError for a malformed one."""
	try:
		tables: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
		left_out: dict[str, dict[str, str]] = {}
		for table in tables.get("left-out", ()):
			for name in table["functions"]:
				if not table["why"] or name in left_out.setdefault(table["file"], {}):
					raise UsageError(f"{path}: {table['file']}: {name} is left out without a why, or twice")
				left_out[table["file"]][name] = str(table["why"])
		functions, rebuild = ({str(name): tuple(found) for name, found in tables[what].items()} for what in ("functions", "rebuild"))
		if bare := [name for name in functions if name.endswith(".h") and name not in rebuild]:
			raise UsageError(f"{path}: `rebuild` is missing for {bare[0]}")
		if strange := set(tables["changed"]) - {name for names in functions.values() for name in names}:
			raise UsageError(f"{path}: `changed` has {strange.pop()}, `functions` does not")
		return Road(path, tuple(tables["entries"]), frozenset(tables["changed"]), functions, left_out, rebuild)
	except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError, AttributeError) as error:
		raise UsageError(f"{path}: {error}") from error


def near(road: Road, found: Mapping[str, Found]) -> set[tuple[str, str]]:
	"""Return the functions of the road, with their files, that the default series changes or that those use directly."""
	there = [(file, name) for file in found for name in road.functions.get(file, ())]
	changed = {(file, name) for file, name in there if name in road.changed}
	used = {other for file, name in changed for other in found[file].uses.get(name, set())}
	return changed | {(file, name) for file, name in there if name in used}


def reached(road: Road, found: Mapping[str, Found]) -> Iterator[tuple[str, str]]:
	"""Yield the functions, with their files, that are reachable from the entry points by any chain of uses.

	A name means the function of the same file, or else those of that name in all other files.
	"""
	places: dict[str, list[str]] = {}
	for file, seen in found.items():
		for name in seen.defined:
			places.setdefault(name, []).append(file)
	todo = [(file, name) for name in road.entries for file in places.get(name, [])]
	known = set(todo)
	while todo:
		file, function = todo.pop()
		yield file, function
		for name in found[file].uses.get(function, set()):
			for place in [file] if name in found[file].defined else places.get(name, []):
				if (place, name) not in known:
					known.add((place, name))
					todo.append((place, name))


def problems(road: Road, found: Mapping[str, Found]) -> list[str]:
	"""Return the contradictions between the road and the sources."""
	ends = {name for seen in found.values() for name in seen.defined}
	told = [f"{name}: the files of the road have no such entry point" for name in road.entries if name not in ends]
	there = set(reached(road, found))
	for file, name in sorted(there):
		listed, named = name in road.functions.get(file, []), name in road.left_out.get(file, {})
		if listed and named:
			told.append(f"{file}: {name} is both listed and left out")
		elif not listed and not road.why_not(file, name):
			told.append(f"{file}: {name} is reachable, but neither listed nor left out")
	told += [f"{file}: {name} is {'not defined there' if name not in found[file].defined else 'not reached'}"
		 for file in road.files for name in [*road.functions.get(file, ()), *road.left_out.get(file, ())]
		 if name != "*" and (file, name) not in there]
	return told
