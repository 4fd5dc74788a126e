# SPDX-License-Identifier: GPL-2.0
"""Diffs as texts: find where one begins, compare two, and convert any to git's own form."""

import re
from collections.abc import Iterator

from ..util.errors import CannotJudge

START = re.compile(r"^(?:diff --git \"?\S+ \"?\S|--- \S.*\n\+\+\+ \S)", re.MULTILINE)
HUNK = re.compile(r"@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@")
GIT = re.compile(r'diff --git ("?)(\S+?)\1 ("?)(\S+?)\3$')
NULL = "/dev/null"
# Top folders of the kernel: a name that begins with one has no prefix.
TOP = frozenset("arch block certs crypto Documentation drivers fs include init io_uring ipc kernel lib LICENSES mm net rust samples "
		"scripts security sound tools usr virt".split())
TELLING = ("old mode ", "new mode ", "new file mode ", "deleted file mode ", "rename ", "copy ", "--- ", "+++ ", "Binary files ",
	   "GIT binary patch")


def holds_one(text: str) -> bool:
	"""Tell whether a text contains a diff."""
	return START.search(text) is not None


def cut(text: str) -> tuple[str, str]:
	"""Return the text before the diff, and the diff with everything after it."""
	found = START.search(text)
	at = found.start() if found else len(text)
	return text[:at], text[at:]


def essence(diff: str) -> str:
	"""Return the changes of a diff in git's form, without the text around them: the same for all copies of a patch."""
	kept, binary = [], False
	for inside, line in _lines(diff):
		if inside:
			hunk = HUNK.match(line)
			kept.append(hunk[0] if hunk else line or " ")
			binary = False
		elif line.startswith("diff --git ") or line == "-- ":
			binary = False
		elif line.startswith(TELLING) or binary:
			kept.append(line)
			binary = binary or line == "GIT binary patch"
	return "\n".join(kept)


def in_git_form(diff: str) -> str:
	"""Return a diff with a/ and b/ before its names if they are missing, and with git's headers if quilt made it.

	Raises CannotJudge if only some of its files have prefixes: then the names are ambiguous.
	"""
	sections = _sections(diff)
	bare = [_bare(section) for section in sections]
	if any(bare) and not all(name or not _names(section) for name, section in zip(bare, sections)):
		raise CannotJudge(f"some of its files have no prefix a/ and b/ ({next(filter(None, bare))}): recreate it with "
				  "git -c diff.noprefix=false format-patch")
	return "\n".join(line for section, name in zip(sections, bare) for line in _rewritten(section, bool(name)))


def _lines(diff: str) -> Iterator[tuple[bool, str]]:
	"""Yield each line of a diff, and whether it belongs to a hunk."""
	old = new = 0
	for line in diff.split("\n"):
		hunk = HUNK.match(line) if old <= 0 and new <= 0 else None
		if hunk:
			old, new = (int(count or 1) for count in hunk.groups())
			yield True, line
		elif old > 0 or new > 0:
			old -= not line.startswith(("+", "\\"))
			new -= not line.startswith(("-", "\\"))
			yield True, line
		else:
			yield line.startswith("\\ "), line


def _sections(diff: str) -> list[list[tuple[bool, str]]]:
	"""Return the lines of each file of a diff."""
	sections: list[list[tuple[bool, str]]] = [[]]
	named = False	# the names of this file were found
	for inside, line in _lines(diff):
		begins = not inside and (line.startswith("diff --git ") or named and line.startswith("--- "))
		if begins and sections[-1]:
			sections.append([])
		named = not begins and (named or inside) or begins and line.startswith("--- ")
		sections[-1].append((inside, line))
	return sections


def _names(section: list[tuple[bool, str]]) -> list[str]:
	"""Return a file's names in its headers, unchanged, without /dev/null."""
	names = []
	for inside, line in section:
		git = None if inside else GIT.match(line)
		if git:
			names += [git[2], git[4]]
		elif not inside and line.startswith(("--- ", "+++ ")):
			names.append(line[4:].partition("\t")[0].strip().strip('"'))
	return [name for name in names if name != NULL]


def _bare(section: list[tuple[bool, str]]) -> str:
	"""Return a file's name if it has no prefix; "" if it has one."""
	names = _names(section)
	without = [name for name in names if "/" in name and name.partition("/")[0] in TOP]
	top = len(names) > 1 and len(set(names)) == 1 and "/" not in names[0]	# such as Makefile
	return names[0] if names and (top or len(without) == len(names)) else ""


def _rewritten(section: list[tuple[bool, str]], bare: bool) -> Iterator[str]:
	"""Yield the lines of a file with both prefixes, and with git's header if quilt left it out."""
	old, new = ([line[4:] for inside, line in section if not inside and line.startswith(mark)][:1] for mark in ("--- ", "+++ "))
	git = any(not inside and line.startswith("diff --git ") for inside, line in section)
	quilt = bool(old and new and not git and not any("\t" in name for name in old + new)
		     and all(bare or name == NULL or name.startswith(("a/", "b/")) for name in old + new))
	if not bare and not quilt:
		yield from (line for _, line in section)
		return

	def name_of(given: str) -> str:
		quote = '"' if given.startswith('"') else ""
		plain = given.strip('"').partition("~")[0].removesuffix(".orig")
		return f"{quote}{{}}/{plain if bare else plain.partition('/')[2]}{quote}"

	for inside, line in section:
		found = GIT.match(line)
		if inside:
			yield line
		elif found:
			yield f"diff --git {found[1]}a/{found[2]}{found[1]} {found[3]}b/{found[4]}{found[3]}"
		elif line.startswith("--- ") and old:
			if not git:
				file = name_of(new[0] if new[0] != NULL else old[0])
				yield f"diff --git {file.format('a')} {file.format('b')}"
				yield from ["new file mode 100644"] if old[0] == NULL else ["deleted file mode 100644"] if new[0] == NULL else []
			yield line if old[0] == NULL else f"--- {name_of(old[0].partition(chr(9))[0]).format('a')}"
		elif line.startswith("+++ ") and new:
			yield line if new[0] == NULL else f"+++ {name_of(new[0].partition(chr(9))[0]).format('b')}"
		else:
			yield line
