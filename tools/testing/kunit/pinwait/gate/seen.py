# SPDX-License-Identifier: GPL-2.0
"""Tell whether the suites execute any of the code that a patch changes.

gcov counts lines before and after the patch: a removed line counts as executed before it, an added line after it. A
line without a count of its own belongs to the statement that it continues; if the statement has none either, the
configuration compiles no code for it.
"""

import re
from collections.abc import Iterable, Mapping, Sequence

from ..report.judgement import Covered
from ..util.git import Git
from ..util.proc import CommandFailed, run
from ..util.text import ranges

HUNK = re.compile(r"^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@", re.MULTILINE)
CODE = (".c", ".h", ".S", ".rs")
COUNTED = (".c", ".h")		# sources that gcov counts
COMMENT = re.compile(r"/\*.*?\*/|//.*")
INERT = re.compile(r"(?:[{}]|\*.*|/\*.*|#.*|else|do|)$")	# braces, comments, the preprocessor's lines
ENDS = (";", "{", "}", ":", "*/")	# endings of a line after which a statement begins
# So does one after these: what they decide on has a count of its own, or the compiler has left it out.
DECIDES = re.compile(r"(?:\} ?)?(?:else|(?:else )?(?:if|for|while|\w*for_each\w*) ?\(.*\)) *$")

HEAD = re.compile(r"^(?!#)[A-Za-z_][\w \t*]*?\b(\w+)\([^;]*$")
UNKNOWN = -1		# the count of a line that is compiled, and of which nobody knows whether it was executed

Counts = Mapping[int, int]


def changed_lines(diff: str) -> tuple[set[int], set[int]]:
	"""Return the numbers of the lines that a diff without context removes, and of the lines that it adds."""
	removed: set[int] = set()
	added: set[int] = set()
	for match in HUNK.finditer(diff):
		for lines, start, count in ((removed, match[1], match[2]), (added, match[3], match[4])):
			lines |= set(range(int(start), int(start) + int(count or 1)))
	return removed, added


def places_of_insertion(diff: str) -> set[int]:
	"""Return the numbers of the lines, before the diff, after which it only inserts."""
	return {int(match[1]) for match in HUNK.finditer(diff) if match[2] == "0"}


def statement(source: Sequence[str], counts: Counts, number: int) -> int:
	"""Return the line that has the count for a line, 0 if no code was compiled for it."""
	while number not in counts:
		above = _above(source, number)
		if not above or INERT.match(bare(source, number)):
			return 0
		number = above
	return number


def begins(source: Sequence[str], number: int) -> int:
	"""Return the line on which the statement of a line begins, 0 if the line is the preprocessor's."""
	while above := _above(source, number):
		number = above
	macro = number > 1 and source[number - 2].rstrip().endswith("\\")
	return 0 if macro or bare(source, number).startswith("#") else number


def _above(source: Sequence[str], number: int) -> int:
	"""Return the line above a line that belongs to the same statement, 0 if there is none."""
	above = first = _before(source, number)
	while first and (line := _before(source, first)):
		first = line
	head = " ".join(bare(source, line) for line in range(first, above + 1)) if above else ""
	return 0 if DECIDES.match(head) and head.count("(") == head.count(")") else above


def _before(source: Sequence[str], number: int) -> int:
	"""Return the line above a line if no statement ends there, 0 if one does."""
	above = number - 1
	while above and not bare(source, above):
		above -= 1
	return 0 if not above or bare(source, above).startswith("#") or bare(source, above).endswith(ENDS) else above


def changes_code(before: str, after: str) -> bool:
	"""Tell whether two states of a source differ in more than comments and white space."""
	return _without_comments(before) != _without_comments(after)


def covered(name: str, diff: str, before: tuple[str, Counts], after: tuple[str, Counts] | None) -> Covered:
	"""Return which of the lines that a diff without context changes in a file are executed.

	before and after are the file's text and its counts. Without counts after the patch, an insertion counts as executed if
	the statement before it is.
	"""
	removed, added = changed_lines(diff)
	told = Covered(name)
	if after:
		for number in sorted(added):
			owner = _owner(after, number)
			count = after[1][owner] if owner else 0
			lines = told.uncompiled if not owner else told.executed if count > 0 else told.missed if not count else told.unmeasured
			lines.append(number)
	else:
		removed |= places_of_insertion(diff)
	told.removed = [number for number in sorted(removed) if before[1].get(_owner(before, number), 0) > 0]
	return told


def joined(uml: Covered, other: Covered | None) -> Covered:
	"""Return the lines of a file that one of two kernels executed."""
	if not other:
		return uml
	executed = {*uml.executed, *other.executed}
	unmeasured = {*other.unmeasured} - executed
	missed = {*uml.missed, *other.missed} - executed - unmeasured
	uncompiled = {*uml.uncompiled, *other.uncompiled} - executed - unmeasured - missed
	return Covered(uml.file, sorted(executed), sorted(missed), sorted(uncompiled), sorted({*uml.removed, *other.removed}),
		       sorted(unmeasured), sorted({*other.executed} - {*uml.executed}))


def why_not(files: Iterable[Covered], counted: Iterable[str]) -> str:
	"""Say for each file why nothing of its change is executed; counted are the compiled files."""
	counted = set(counted)
	told = []
	for file in files:
		if file.file not in counted:
			told.append(f"{file.file} is not compiled")
		elif file.unmeasured:
			told.append(f"{file.file}:{ranges(file.unmeasured)} is compiled, its execution was not measured")
		elif file.missed:
			told.append(f"no case reaches {file.file}:{ranges(file.missed)}")
		elif file.uncompiled:
			told.append(f"no code is compiled for {file.file}:{ranges(file.uncompiled)}")
		else:
			told.append(f"no line that it removes from {file.file} was executed")
	return "; ".join(told)


def enclosing(lines: Sequence[str], index: int) -> str:
	"""Return the function that has a line, by its place from 0, "" if none has it."""
	if lines[index].startswith(("/*", " *", "//")):
		return next((head[1] for line in lines[index:] if (head := HEAD.match(line))), "")
	for place in range(index, -1, -1):
		head = HEAD.match(lines[place])
		if head:
			return head[1]
		if place < index and lines[place].startswith("}"):
			return ""
	return ""


def text_of(git: Git, commit: str, name: str) -> str:
	"""Return the text of a commit's file, "" if the commit lacks it."""
	try:
		return git("cat-file", "blob", f"{commit}:{name}")
	except CommandFailed:
		return ""


def _owner(state: tuple[str, Counts], number: int) -> int:
	return statement(state[0].split("\n"), state[1], number)


def bare(source: Sequence[str], number: int) -> str:
	"""Return a line of a source without comments, "" if there is no such line."""
	return COMMENT.sub("", source[number - 1]).strip() if number <= len(source) else ""


def _without_comments(source: str) -> str:
	"""Return a source without comments, as the preprocessor strips them, or unchanged if that fails."""
	try:
		text = run(["gcc", "-fpreprocessed", "-dD", "-E", "-P", "-w", "-x", "c", "-"], stdin=source)
	except CommandFailed:
		text = source
	return " ".join(text.split())
