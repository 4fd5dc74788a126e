# SPDX-License-Identifier: GPL-2.0
"""Promise, case, mutant: tools/testing/promises.toml, its check, and the tables of Documentation/coverage.md made from it.

Each promise has a mutant that breaks it and a case that catches the mutant.
"""

import re
import tomllib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..util.errors import UsageError

HEAD = "| promise | case | mutant |\n|---|---|---|\n"
# The part of the documentation that is generated.
TABLES = re.compile(r"(?<=<!-- promises -->\n\n).*(?=<!-- end of promises -->)", re.DOTALL)


@dataclass(frozen=True)
class Promise:
	"""One row."""
	text: str
	cases: tuple[str, ...]		# suite.case
	mutants: tuple[str, ...]


@dataclass(frozen=True)
class Section:
	"""Promises about one subject."""
	title: str
	promises: tuple[Promise, ...]
	note: str = ""


def load(path: Path) -> list[Section]:
	"""Return the sections of a file. Raises UsageError, naming file and fault."""
	try:
		tables: list[dict[str, Any]] = tomllib.loads(path.read_text(encoding="utf-8"))["section"]
		return [Section(table["title"], tuple(Promise(row["text"], tuple(row["cases"]), tuple(row["mutants"])) for row in table["promise"]),
				table.get("note", "")) for table in tables]
	except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError) as error:
		raise UsageError(f"{path}: {error!r}") from error


def rows(sections: Iterable[Section]) -> list[Promise]:
	"""Return all promises."""
	return [promise for section in sections for promise in section.promises]


def documented(text: str, sections: Iterable[Section]) -> str:
	"""Return a page of documentation with regenerated tables."""
	tables = "".join(f"### {section.title}\n\n" + (f"{section.note}\n\n" if section.note else "") + HEAD
			 + "".join(map(_row, section.promises)) + "\n" for section in sections)
	return TABLES.sub(lambda _: tables, text)


def _row(promise: Promise) -> str:
	cells = [promise.text, *(", ".join(f"`{name}`" for name in names) for names in (promise.cases, promise.mutants))]
	return f"| {' | '.join(cells)} |\n"


def gaps(promises: Collection[Promise], cases: Collection[str], mutants: Collection[str]) -> list[str]:
	"""Return the table's faults: names that do not exist, rows without a case or a mutant, and cases that no row mentions.

	cases are all suite.case without parameters, mutants the names of the corpus.
	"""
	faults = []
	for promise in promises:
		for kind, named, known in (("case", promise.cases, cases), ("mutant", promise.mutants, mutants)):
			faults += [f"'{promise.text}': there is no {kind} {name}" for name in named if name not in known]
			faults += [] if named else [f"'{promise.text}' has no {kind}"]
	mentioned = {name for promise in promises for name in promise.cases}
	return faults + [f"{name} stands for no promise" for name in cases if name not in mentioned]


def unkept(promises: Collection[Promise], killers: Mapping[str, Collection[str]]) -> list[str]:
	"""Return the rows of which a mutant was tried but no case failed.

	killers names, for each mutant tried, every suite.case that failed.
	"""
	return [f"'{promise.text}': none of its cases failed on {mutant}"
		for promise in promises for mutant in promise.mutants
		if mutant in killers and not set(promise.cases) & set(killers[mutant])]
