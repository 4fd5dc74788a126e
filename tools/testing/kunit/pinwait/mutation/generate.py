# SPDX-License-Identifier: GPL-2.0
"""Generated mutants: every operator at every site of the functions of the road, each with a name that reproduces it."""

import hashlib
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from . import coccinelle, road
from ..util.errors import UsageError
from .coccinelle import Found, Site, squeezed
from .corpus import Mutant

PLAIN = ""	# the class of mutants without a class of their own
ENCLOSES = "call"	# the rule whose sites' texts decide the class


@dataclass(frozen=True)
class Operator:
	"""How to change the sites of a rule."""
	name: str
	rule: str
	texts: tuple[str, ...] = ()
	swaps: Mapping[str, Sequence[str]] = field(default_factory=dict)
	becomes: Mapping[str, str] = field(default_factory=dict)
	kind: str = PLAIN

	def answers(self, site: Site, source: str) -> dict[str, str]:
		"""Return the replacements of a site, by the word for each; none if the operator does not apply to the site."""
		text = squeezed(site.text)
		if site.rule != self.rule or self.texts and not any(fnmatchcase(text, glob) for glob in self.texts):
			return {}
		if self.swaps:
			return {new: new for new in self.swaps.get(text, ())}
		parts = [source[start:end] for start, end in zip(site.starts, site.ends)]
		second = parts[1] if len(parts) > 1 else ""
		between = source[site.ends[0]:site.starts[1]] if len(parts) > 1 else ""
		return {word.format(text): new.format(parts[0], first=parts[0], second=second, between=between)
			for word, new in self.becomes.items()}


@dataclass(frozen=True)
class Operators:
	"""All operators, and the classes that are counted separately."""
	operators: tuple[Operator, ...]
	classes: Mapping[str, Sequence[str]]

	def answer(self, site: Site, source: str) -> tuple[int, Operator | None, dict[str, str]]:
		"""Return the first operator that applies to a site: its number, the operator, and the replacements."""
		for number, operator in enumerate(self.operators):
			if answers := operator.answers(site, source):
				return number, operator, answers
		return 0, None, {}

	def class_of(self, name: str) -> str:
		"""Return the class of sites inside a call of name."""
		return next((kind for kind, globs in self.classes.items() if any(fnmatchcase(name, glob) for glob in globs)), PLAIN)


@dataclass(frozen=True)
class Variant:
	"""One generated mutant: text[start:end] of a file becomes new."""
	name: str
	file: str
	function: str
	operator: str
	kind: str		# its class, "" for none
	line: int
	start: int
	end: int
	new: str
	rebuild: Sequence[str] = ()	# for a header: the objects to compile; else the file's own

	def applied(self, text: str) -> str:
		"""Return text with the mutation and the same number of lines, because objects may contain line numbers."""
		lost = text.count("\n", self.start, self.end) - self.new.count("\n")
		return text[:self.start] + self.new + "\n" * lost + text[self.end:]

	def mutant(self, text: str) -> Mutant:
		"""Return it as a mutant of the corpus. Its `old` is all text up to the site's end, which occurs once in a file."""
		changed = self.applied(text)
		rest = len(text) - self.end
		return Mutant(self.name, self.file, text[:self.end], changed[:len(changed) - rest], self.operator,
			      rebuild=tuple(self.rebuild))


def load(path: Path) -> Operators:
	"""Return the operators of a file. Raises UsageError for a malformed one."""
	try:
		tables: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
		found = []
		for table in tables["operator"]:
			if bool(table.get("becomes")) is bool(table.get("swaps")):
				raise UsageError(f"{path}: operator {table.get('name', '?')} needs `swaps` or `becomes`, and not both")
			kind, texts = table.pop("class", PLAIN), tuple(table.pop("texts", ()))
			found.append(Operator(**table, texts=texts, kind=kind))
		return Operators(tuple(found), tables["classes"])
	except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError, AttributeError) as error:
		raise UsageError(f"{path}: {error}") from error


def variants(file: str, found: Found, functions: Iterable[str], operators: Operators) -> list[Variant]:
	"""Return the mutants of some functions of a file."""
	wanted, text = set(functions), found.text
	sites = sorted({site for site in found.sites if site.function in wanted}, key=lambda site: (site.start, site.end, site.rule))
	apart = [(site.start, site.end, kind) for site in sites
		 if site.rule == ENCLOSES and (kind := operators.class_of(squeezed(site.text)))]
	numbers: Counter[tuple[str, str]] = Counter()
	ranked: list[tuple[int, Variant]] = []
	for site in sites:
		rank, operator, answers = operators.answer(site, text)
		if not operator:
			continue
		numbers[site.function, operator.name] += 1
		enclosing = next((kind for start, end, kind in apart if start <= site.start and site.end <= end), PLAIN)
		for word, new in answers.items():
			name = f"{Path(file).name}:{site.function}:{operator.name}-{numbers[site.function, operator.name]}:{word}"
			ranked.append((rank, Variant(name, file, site.function, operator.name, operator.kind or enclosing,
						     text.count("\n", 0, site.start) + 1, site.start, site.end, new)))
	made: dict[tuple[int, int, str], Variant] = {}
	for _, variant in sorted(ranked, key=lambda pair: pair[0]):
		if squeezed(variant.new) != squeezed(text[variant.start:variant.end]):
			made.setdefault((variant.start, variant.end, squeezed(variant.new)), variant)
	return list(made.values())


def broken(folder: Path, name: str, text_of: Callable[[str], str], cache: Path) -> Mutant:
	"""Return a mutant by its name; folder has operators and road, text_of returns a file's text.

	Raises UsageError for an unknown name.
	"""
	there = road.load(folder / "road.toml")
	files = [file for file in there.functions if Path(file).name == name.partition(":")[0]]
	found = coccinelle.look(folder, {file: text_of(file) for file in files}, cache)
	operators = load(folder / "operators.toml")
	made = [variant for file in files for variant in variants(file, found[file], there.functions[file], operators)]
	(variant,) = named(made, [name])
	return variant.mutant(found[variant.file].text)


def seed_of(version: str) -> str:
	"""Return the seed of a kernel: a hash of its version, so nobody can tune it, and everybody gets the same."""
	return hashlib.sha256(version.encode()).hexdigest()[:8]


def drawn(made: Sequence[Variant], seed: str, count: int = 0) -> list[Variant]:
	"""Return count mutants, or all, in an order that depends on seed alone: a smaller sample is a prefix of a larger one."""
	def key(variant: Variant) -> str:
		return hashlib.sha256(f"{seed} {variant.name}".encode()).hexdigest()
	ordered = sorted(made, key=key)
	return ordered[:count] if count else ordered


def named(made: Sequence[Variant], names: Sequence[str]) -> list[Variant]:
	"""Return the named mutants. Raises UsageError for an unknown name, and lists those of its function."""
	known = {variant.name: variant for variant in made}
	for name in names:
		if name not in known:
			near = [other for other in known if other.split(":")[:2] == name.split(":")[:2]]
			hint = f"there are: {' '.join(near)}" if near else "a name is file:function:operator-number:what"
			raise UsageError(f"unknown mutant '{name}'; {hint}")
	return [known[name] for name in names]
