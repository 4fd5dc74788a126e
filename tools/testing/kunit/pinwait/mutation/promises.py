# SPDX-License-Identifier: GPL-2.0
"""The table promise -> case -> mutant of Documentation/coverage.md, read and checked.

A row is `| promise | cases | mutants |`: cases as suite.case, mutants by name, both in backquotes.
Each promise has a mutant that breaks it and a case that catches the mutant.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

NAME = re.compile(r"`([^`]+)`")


@dataclass(frozen=True)
class Promise:
	"""One row."""
	text: str
	cases: tuple[str, ...]
	mutants: tuple[str, ...]


def load(path: Path) -> list[Promise]:
	"""Return the rows of all tables in a file whose heading is promise, case, mutant."""
	found, inside = [], False
	for line in path.read_text(encoding="utf-8").splitlines():
		cells = [cell.strip() for cell in line.strip().strip("|").split("|")] if line.startswith("|") else []
		if [cell.lower() for cell in cells] == ["promise", "case", "mutant"]:
			inside = True
		elif not cells:
			inside = False
		elif inside and not set(line) <= set("|-: "):
			found.append(Promise(cells[0], *(tuple(NAME.findall(cell)) for cell in cells[1:3])))
	return found


def gaps(promises: Collection[Promise], cases: Collection[str], mutants: Collection[str]) -> list[str]:
	"""Return what the table names that does not exist, what it lacks, and what no row mentions.

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
	"""Return the rows of which a mutant was tried and no case of the row failed.

	killers names, for each mutant tried, every suite.case that failed.
	"""
	return [f"'{promise.text}': none of its cases failed on {mutant}"
		for promise in promises for mutant in promise.mutants
		if mutant in killers and not set(promise.cases) & set(killers[mutant])]
