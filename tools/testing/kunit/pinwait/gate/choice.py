# SPDX-License-Identifier: GPL-2.0
"""Decide whether a patch needs the suites on x86_64, too, and why.

It does if a hunk changes code of which UML executes nothing, or compiles nothing, if the changed lines depend on an
option that only x86_64's configuration has, or if their function goes another way for large folios.
"""

import platform
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from .seen import CODE, COUNTED, INERT, Counts, bare, begins, changed_lines, changes_code, covered, statement
from .exports import MAKEFILES, RULE
from ..kernel import qemu
from ..util import deps
from ..util.errors import CannotJudge
from ..util.text import ranges

PROFILE = "x86_64"
NAMED = 3		# reasons to give
# Never part of a kernel.
PROGRAMS = ("tools/", "scripts/", "samples/", "usr/", "Documentation/")
ARCHITECTURES = re.compile(r"arch/(?!x86/|um/)")
HUNK = re.compile(r"^(?=@@ )", re.MULTILINE)
OPTION = re.compile(r"\bCONFIG_(\w+)")
SET = re.compile(r"^CONFIG_(\w+)=[ym]$", re.MULTILINE)
DEFINED = re.compile(r"^config (\w+)")
# What is taken for them before there is a configuration of x86_64.
DIFFERENT = {"SMP", "JUMP_LABEL", "TRANSPARENT_HUGEPAGE", "HUGETLBFS", "HUGETLB_PAGE", "CMA", "NUMA", "NUMA_MIGRATION", "HAVE_GUP_FAST",
	     "MEMORY_HOTPLUG", "MEMORY_HOTREMOVE", "X86", "X86_64"}
UNEXECUTED = "uml does not execute"	# begins the one reason that is no option's
# A line with one of these may be wrong where a long has 32 bits.
WIDTH = re.compile(r"\b(?:[us]64|long long|phys_addr_t|dma_addr_t|BITS_PER_LONG|do_div|div(?:64)?_[us]64\w*|div64_\w+|kmap\w*|kunmap\w*)\b|\dUL\s*<<|"
		   r"CONFIG_(?:64BIT|HIGHMEM|32BIT)\b")
# UML's static keys are plain counters.
KEYS = re.compile(r"\bstatic_(?:branch|key)_\w+|\b(?:DEFINE|DECLARE)_STATIC_KEY\w*|\bjump_label_\w+")
# On one CPU these are nothing, or narrower: locks that spin, what each CPU has its own of, and counters, whose increments of
# an unsigned type wrap where one CPU alone would not show it.
CPUS = re.compile(r"\b(?:(?:raw_)?(?:spin|read|write)_(?:try|un)?lock\w*|local_(?:un)?lock\w*|\w+_(?:un)?lock_irq\w*|pte_(?:offset_map|unmap_un)lock|"
		  r"(?:__)?this_cpu_\w+|per_cpu\w*|preempt_(?:dis|en)able\w*|(?:__)?(?:mod|inc|dec|add|sub)_(?:node|zone|lruvec)_\w+|"
		  r"(?:node|zone|lruvec)_stat_\w+)\(")
# UML has large folios of files alone, and maps each page of them by itself.
LARGE = re.compile(r"\b(?:folio_(?:nr_pages|order|size|test_large|mapcount|entire_mapcount|large_\w+)\(|_(?:entire_|large_)?mapcount\b|"
		   r"compound_\w+\(|\w*thp_\w+|\w*_(?:huge_)?pmd\w*\(|HPAGE_\w+)")
# A function with one of these goes another way for them, or splits them, at lines that may themselves be the same for all.
ABOUT_LARGE = re.compile(LARGE.pattern + r"|\b\w*(?:large|split|hugetlb|nr_pages)\w*")
# Indented lines of these forms may have code, where a function is compiled at all.
STATEMENT = re.compile(r"(?!\.|[A-Z_0-9]+\s*=|[A-Z_0-9]+\(.*\),$).*[=(]|(?:return|goto|break|continue|case|default)\b")
# What is compiled only without an MMU, and the sources in which a header is tried there, besides those that include it elsewhere.
MMU = "MMU"
NOMMU = re.compile(r"nommu\.[cS]$")
NOMMU_SOURCES = ("mm/nommu.c",)
# A line at the margin, up to the first parenthesis.
DECLARES = re.compile(r"(?![#/*])[A-Za-z_][^(;=]*?\b(\w+)\(")
CONDITION = re.compile(r"\s*#\s*(if|ifdef|ifndef|elif|else|endif)\b(.*)")


def missing() -> str:
	"""Say what this machine lacks to boot the profile, "" if nothing."""
	if platform.machine() != "x86_64":
		return f"this machine is {platform.machine()}, and has no compiler for x86_64"
	return "" if shutil.which(qemu.PROGRAM) else f"{qemu.PROGRAM} is not installed (Debian: qemu-system-x86)"


def lacks_cross() -> str:
	"""Install the compiler of the profile that has no MMU, if it is missing; say why that is not possible, "" if it is there."""
	try:
		deps.ensure(deps.CROSS)
	except CannotJudge as error:
		return str(error)
	return ""


def options(config: Path) -> set[str]:
	"""Return the options that a configuration turns on; none if there is no such file."""
	try:
		return set(SET.findall(config.read_text(encoding="utf-8")))
	except OSError:
		return set()


def has_object(obj: Path, name: str) -> bool:
	"""Tell whether a folder has the object of a source."""
	return (obj / Path(name).parent / f".{Path(name).stem}.o.cmd").exists()


def may_be_built(name: str) -> bool:
	"""Tell whether a kernel of x86_64 may have code of a file."""
	return name.endswith(CODE) and not name.startswith(PROGRAMS) and not ARCHITECTURES.match(name)


def reasons(name: str, diff: str, before: tuple[str, Counts | None], after: tuple[str, Counts | None], only: set[str]) -> list[str]:
	"""Say what x86_64 may show about a file that UML cannot.

	diff has no context; before and after are the file's text and its counts in UML, {} if UML compiles nothing of it, None if
	they were not measured. only has the options that x86_64 has and UML has not.
	"""
	if Path(name).name.startswith("Kconfig"):
		return [f"{option} is not an option of uml" for option in _defined(diff, before[0], after[0]) if option in only]
	if _is_kbuild(name):
		return [f"{name} builds with {option}, which uml lacks" for option in _asked(diff, before[0], after[0]) if option in only]
	if not may_be_built(name) or not changes_code(before[0], after[0]):
		return []
	if name.endswith(COUNTED) and before[1] is None and after[1] is None:
		return []
	if name.endswith(".c") and not before[1] and not after[1] or not name.endswith(COUNTED):
		return [f"uml does not compile {name}"]
	found = []
	for hunk in HUNK.split(diff)[1:]:
		found += _unexecuted(name, hunk, before, after)
		needed = [option for option in options_of(hunk, before[0], after[0]) if option in only]
		found += [f"{name} depends on {', '.join(needed)}"] if needed else []
		lines = [bare(text, number) for text, number in _changed(hunk, before[0], after[0])]
		for option, pattern, what in (("JUMP_LABEL", KEYS, "the use of a jump label"), ("SMP", CPUS, "what several CPUs share"),
						("TRANSPARENT_HUGEPAGE", LARGE, "what is done with large folios")):
			if option in only and any(pattern.search(line) for line in lines):
				found.append(f"{name} changes {what}")
		if "TRANSPARENT_HUGEPAGE" in only:
			found += _about_large(name, hunk, before[0], after[0])
	return list(dict.fromkeys(found))


def width(diff: str, before: str, after: str) -> bool:
	"""Tell whether changed lines of a source may be another thing where a long has 32 bits."""
	return any(WIDTH.search(bare(text, number)) for hunk in HUNK.split(diff)[1:] for text, number in _changed(hunk, before, after))


def declared(diff: str, before: str, after: str) -> set[str]:
	"""Return the functions that changed lines of a source declare or define."""
	return {match[1] for hunk in HUNK.split(diff)[1:] for text, number in _changed(hunk, before, after)
		if number <= len(text) and (match := DECLARES.match(text[number - 1]))}


def builds(name: str, read: Callable[[str], str], chosen: set[str]) -> bool:
	"""Tell whether Kbuild makes an object of a source with the chosen options; read returns the text of a file, or "".

	Only the makefiles of its folder and of that folder's parent are asked.
	"""
	path = Path(name)
	for folder, word, unless in ((path.parent, f"{path.stem}.o", False), (path.parent.parent, f"{path.parent.name}/", True)):
		text = "\n".join(read(str(folder / file)) for file in MAKEFILES).replace("\\\n", " ")
		kinds = [kind for _, kind, value in RULE.findall(text) if word in value.split()]
		if not any(not kind.startswith("$") or kind[len("$(CONFIG_"):-1] in chosen for kind in kinds) and (kinds or not unless):
			return False
	return True


def told(found: Sequence[str]) -> str:
	"""Return reasons in one line."""
	return "; ".join(found[:NAMED]) + (f"; and {len(found) - NAMED} more" if len(found) > NAMED else "")


def _unexecuted(name: str, hunk: str, before: tuple[str, Counts | None], after: tuple[str, Counts | None]) -> list[str]:
	"""Say what UML leaves out of a hunk, if it executes nothing of it."""
	seen = covered(name, hunk, (before[0], before[1] or {}), None if after[1] is None else (after[0], after[1]))
	if seen.executed or seen.removed:
		return []
	removed, added = changed_lines(hunk)
	counts, source = before[1] or {}, before[0].split("\n")
	missed = seen.missed or [number for number in sorted(removed) if statement(source, counts, number)]
	if missed:
		return [f"{UNEXECUTED} {name}:{ranges(missed)}"]
	for text, numbers in ((after[0], added), (before[0], removed)):
		source = text.split("\n")
		left = [number for number in sorted(numbers) if may_have_code(source, number)]
		if left:
			return [f"uml compiles no code for {name}:{ranges(left)}"]
	return []


def _about_large(name: str, hunk: str, before: str, after: str) -> list[str]:
	"""Name the functions in which a hunk changes code, and that go another way for large folios."""
	found = []
	for source, number in _changed(hunk, before, after):
		body = function_around(source, number)
		if may_have_code(source, number) and any(ABOUT_LARGE.search(bare(source, line)) for line in body):
			match = next((match for line in reversed(source[:body.start]) if (match := DECLARES.match(line))), None)
			found.append(f"{name}: {match[1] if match else 'a function'}() knows large folios")
	return list(dict.fromkeys(found))


def function_around(source: Sequence[str], number: int) -> range:
	"""Return the lines of the function whose body has a line of a source, empty if it is in none."""
	start = next((line for line in range(min(number, len(source)), 0, -1) if source[line - 1][:1] in ("{", "}")), 0)
	end = next((line for line in range(number, len(source) + 1) if source[line - 1].startswith("}")), 0)
	return range(start, end + 1) if start and end and source[start - 1].startswith("{") else range(0)


def may_have_code(source: Sequence[str], number: int) -> bool:
	"""Tell whether a line of a source looks like a part of a statement in a function."""
	first = begins(source, number)
	return bool(first) and source[first - 1][:1].isspace() and not INERT.match(bare(source, number)) \
		and bool(STATEMENT.match(bare(source, first)))


def _changed(hunk: str, before: str, after: str) -> Iterator[tuple[Sequence[str], int]]:
	"""Yield the changed lines of a hunk: a source, and the line's number in it."""
	removed, added = changed_lines(hunk)
	for text, numbers in ((before, removed), (after, added)):
		source = text.split("\n")
		for number in sorted(numbers):
			yield source, number


def options_of(diff: str, before: str, after: str) -> list[str]:
	"""Return the options on which the changed lines of a source depend: in them, and in the #if around them."""
	found: dict[str, None] = {}
	for source, number in (changed for hunk in HUNK.split(diff)[1:] for changed in _changed(hunk, before, after)):
		found |= dict.fromkeys(OPTION.findall(bare(source, number)))
		for line in conditions(source, number):
			found |= dict.fromkeys(OPTION.findall(line))
	return list(found)


def conditions(source: Sequence[str], number: int) -> list[str]:
	"""Return the conditions of the #if, #elif and #else around a line."""
	stack: list[list[str]] = []
	for line in source[:number - 1]:
		match = CONDITION.match(line)
		if not match:
			continue
		if match[1] == "endif":
			stack = stack[:-1]
		elif match[1].startswith("if"):
			stack.append([match[2]])
		elif stack:
			stack[-1].append(match[2])
	return [line for level in stack for line in level]


def _is_kbuild(name: str) -> bool:
	return Path(name).name in MAKEFILES


def _asked(diff: str, before: str, after: str) -> list[str]:
	"""Return the options that the changed lines of a Kbuild file name."""
	return list(dict.fromkeys(option for hunk in HUNK.split(diff)[1:] for source, number in _changed(hunk, before, after)
				  for option in OPTION.findall(source[number - 1])))


def _defined(diff: str, before: str, after: str) -> list[str]:
	"""Return the options whose definitions in a Kconfig file have changed lines."""
	found: dict[str, None] = {}
	for hunk in HUNK.split(diff)[1:]:
		for source, number in _changed(hunk, before, after):
			above = (DEFINED.match(line) for line in reversed(source[:number]))
			found |= dict.fromkeys(match[1] for match in [next((match for match in above if match), None)] if match)
	return list(found)
