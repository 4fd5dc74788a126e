# SPDX-License-Identifier: GPL-2.0
"""What Coccinelle finds in a source file: sites to mutate, and the functions that the file defines and uses.

It parses C as written, with every branch of the preprocessor, and expands no macro.
"""

import hashlib
import json
import re
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..util.errors import CannotJudge
from ..util.files import write_whole
from ..util.proc import CommandFailed, run

BAD = re.compile(r"^nb good = \d+, +nb bad = (\d+)", re.MULTILINE)
SPATCH = ("spatch", "--very-quiet", "--no-show-diff", "--no-includes")


@dataclass(frozen=True)
class Site:
	"""A place that a rule matched; text[starts[0]:ends[0]] is its first part, and so on."""
	rule: str
	function: str
	text: str
	starts: tuple[int, ...]
	ends: tuple[int, ...]

	@property
	def start(self) -> int:
		"""The start of the part that comes first."""
		return min(self.starts)

	@property
	def end(self) -> int:
		"""The end of the part that comes last, excluded."""
		return max(self.ends)


@dataclass
class Found:
	"""Matches in a file."""
	text: str
	sites: list[Site] = field(default_factory=list)
	rejected: list[str] = field(default_factory=list)	# functions of sites whose text is not where Coccinelle says
	unparsed: int = 0	# lines that Coccinelle could not parse
	defined: set[str] = field(default_factory=set)
	uses: dict[str, set[str]] = field(default_factory=dict)	# by function


def look(rules: Path, texts: dict[str, str], cache: Path) -> dict[str, Found]:
	"""Return the matches in files, given by name and text; rules is the folder of semantic patches.

	The matches of each text are kept in cache. Raises CannotJudge if Coccinelle does not work.
	"""
	with ThreadPoolExecutor() as pool:
		return dict(zip(texts, pool.map(lambda name: _look(rules, name, texts[name], cache), texts)))


def squeezed(text: str) -> str:
	"""Return C without white space: Coccinelle prints other white space than the source has."""
	return "".join(text.split())


def _look(rules: Path, name: str, text: str, cache: Path) -> Found:
	sites, graph, unparsed = _matches(rules, name, text, cache)
	found = Found(text, unparsed=unparsed)
	lines = _starts(text)
	for match in sites:
		site = _site(match, lines)
		if not site or squeezed(text[site.starts[0]:site.ends[0]]) != squeezed(site.text):
			found.rejected.append(match["function"])
		else:
			found.sites.append(site)
	for match in graph:
		if match["what"] == "defined":
			found.defined.add(match["name"])
		elif match["name"] != match["function"]:
			found.uses.setdefault(match["function"], set()).add(match["name"])
	return found


def _site(match: dict[str, Any], lines: Sequence[int]) -> Site | None:
	"""Return a site with positions in the text, None if the text has no such lines."""
	try:
		parts = [(lines[first - 1] + column, lines[last - 1] + end) for first, column, last, end in match["spans"]]
	except IndexError:
		return None
	return Site(match["rule"], match["function"], match["text"], *map(tuple, zip(*parts)))	# type: ignore[arg-type]


def _starts(text: str) -> list[int]:
	"""Return the position at which each line of a text begins."""
	return [0, *(match.end() for match in re.finditer("\n", text))]


def _matches(rules: Path, name: str, text: str, cache: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]], int]:
	"""Return the sites and the call graph from Coccinelle, and how many lines it could not parse."""
	patches = [rules / "sites.cocci", rules / "graph.cocci"]
	key = "\0".join([name, text, *(path.read_text(encoding="utf-8") for path in patches)])
	kept = cache / f"{hashlib.sha256(key.encode('utf-8', 'surrogateescape')).hexdigest()[:40]}.json"
	try:
		sites, graph, unparsed = json.loads(kept.read_text(encoding="utf-8"))
	except (OSError, ValueError):
		with tempfile.TemporaryDirectory(prefix="pinwait-") as scratch:
			source = Path(scratch, Path(name).name)
			source.write_text(text, encoding="utf-8", errors="surrogateescape")
			try:
				sites, graph = ([json.loads(line) for line in run([*SPATCH, "-sp_file", str(path), str(source)]).splitlines()]
						for path in patches)
				told = BAD.search(run(["spatch", "--no-includes", "--parse-c", str(source)]))
			except (CommandFailed, ValueError) as error:
				raise CannotJudge(f"Coccinelle does not work on {name}: {error}") from error
		if not told:
			raise CannotJudge(f"Coccinelle does not say how much of {name} it could parse")
		# Coccinelle prints them in the order of a hash table.
		sites, graph = (sorted(found, key=lambda match: json.dumps(match, sort_keys=True)) for found in (sites, graph))
		unparsed = int(told[1])
		cache.mkdir(parents=True, exist_ok=True)
		write_whole(kept, json.dumps([sites, graph, unparsed]))
	return sites, graph, unparsed
