# SPDX-License-Identifier: GPL-2.0
"""Three-way merge of commits: git's own or, if git fails because changes touch each other, this module's.

git reports a conflict if one side changes a line and the other inserts one right beside it. There is only one way to
make both changes, so this module makes them. Changes of the same lines, or two insertions at one place, stay conflicts.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..util.git import Git
from ..util.proc import CommandFailed

SHOWN = 3		# lines of each side that a conflict shows
ENTRY = re.compile(r"(?P<mode>\d+) (?P<blob>[0-9a-f]+) (?P<stage>[123])\t(?P<name>.*)", re.DOTALL)


@dataclass(frozen=True)
class Edit:
	"""Lines start to end of the base became lines first to last of another side; counted from 0, ends excluded."""
	start: int
	end: int
	first: int
	last: int


class Conflict(Exception):
	"""Both sides changed the same lines; the message says which, and what they are."""


def merge(git: Git, base: str, ours: str, theirs: str) -> str:
	"""Return the tree of ours plus the change from base to its child theirs; follow renames on our side.

	Raises Conflict.
	"""
	side = git("commit-tree", f"{ours}^{{tree}}", "-p", base, "-m", "ours")
	try:
		return git("merge-tree", "--write-tree", "-z", side, theirs).partition("\0")[0]
	except CommandFailed as error:
		if error.returncode != 1:
			raise Conflict(f"git cannot merge: {error.output.strip().partition(chr(10))[0]}") from error
		tree, *entries = error.output.split("\0")
	stages: dict[str, dict[str, re.Match[str]]] = {}
	for entry in entries[:entries.index("")]:
		found = ENTRY.fullmatch(entry)
		assert found
		stages.setdefault(found["name"], {})[found["stage"]] = found
	whole = {name: _merged(git, base, theirs, name, sides) for name, sides in stages.items()}
	return git.with_blobs(tree, {name: (sides["2"]["mode"], whole[name]) for name, sides in stages.items()})


def _merged(git: Git, base: str, theirs: str, name: str, sides: dict[str, re.Match[str]]) -> str:
	"""Return the merged content of a file that git did not merge. Raises Conflict."""
	if "2" not in sides:
		raise Conflict(f"{name}: the tree has no such file, nor a renamed one")
	if len(sides) < 3:
		raise Conflict(f"{name}: the patch {'removes' if '1' in sides else 'adds'} it, and the tree has another")
	old, mine, new = (git.text(sides[stage]["blob"]).splitlines(keepends=True) for stage in "123")
	ours, others = (_edits(git, sides["1"]["blob"], sides[stage]["blob"]) for stage in "23")
	todo = []
	for edit in others:
		clashing = [other for other in ours if _clash(other, edit)]
		same = [other for other in clashing if (other.start, other.end, mine[other.first:other.last])
			== (edit.start, edit.end, new[edit.first:edit.last])]
		if clashing and not same:
			raise Conflict(_told(_hunk(git, base, theirs, sides["3"]["blob"], edit), name, old, mine, clashing[0]))
		todo += [] if same else [(edit.start, edit.end, new[edit.first:edit.last])]
	todo += [(edit.start, edit.end, mine[edit.first:edit.last]) for edit in ours]
	result, at = [], 0
	for start, end, lines in sorted(todo, key=lambda change: change[:2]):
		result += old[at:start] + lines
		at = end
	return "".join(result + old[at:])


def _edits(git: Git, old: str, new: str) -> list[Edit]:
	"""Return the edits between two blobs."""
	found = re.findall(r"^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@",
			   git("diff", "-U0", "--no-ext-diff", "--no-textconv", "--text", old, new), re.MULTILINE)
	edits = []
	for start, count, first, more in found:
		# For an empty side, git names the line before it.
		spans = [(int(at) - (size != "0"), int(at) - (size != "0") + int(size or 1)) for at, size in ((start, count), (first, more))]
		edits.append(Edit(*spans[0], *spans[1]))
	return edits


def _clash(one: Edit, other: Edit) -> bool:
	"""Tell whether there is no single way to make both changes: none, or more than one."""
	if one.start == one.end == other.start == other.end:
		return True
	return max(one.start, other.start) < min(one.end, other.end) or any(
		outer.start < inner.start == inner.end < outer.end for outer, inner in ((one, other), (other, one)))


def _hunk(git: Git, base: str, theirs: str, blob: str, edit: Edit) -> str:
	"""Name the hunk of the patch from base to theirs that an edit is in."""
	diff = git("diff", "--no-ext-diff", "--no-textconv", "--full-index", "--no-renames", base, theirs)
	part = next((part for part in re.split(r"^(?=diff --git )", diff, flags=re.MULTILINE) if f"..{blob}" in part), "")
	for number, header in enumerate(re.findall(r"^@@ .*", part, re.MULTILINE), 1):
		first, size = re.findall(r"\d+", header)[2:4]
		if int(first) - 1 <= edit.first <= int(first) - 1 + int(size):
			return f"hunk {number}: {header}"
	return "a change"


def _told(hunk: str, name: str, old: Sequence[str], mine: Sequence[str], edit: Edit) -> str:
	"""Say what the tree has where a hunk does not apply."""
	had, has = (", ".join(f"`{line.strip()}`" for line in lines[:SHOWN]) + (", ..." if len(lines) > SHOWN else "") or "nothing"
		    for lines in (old[edit.start:edit.end], mine[edit.first:edit.last]))
	return f"{name}, {hunk}: at line {edit.first + 1} the tree has {has} where the patch was made from {had}"


def lacking(git: Git, commit: str, patch: str, file: str, hunk: int) -> str:
	"""Return the first old or context line of a hunk that a commit's file lacks, "" if the file has all."""
	try:
		there = set(git.text(f"{commit}:{file}").splitlines())
	except CommandFailed:
		return ""
	part = next((part for part in re.split(r"^diff --git ", patch, flags=re.MULTILINE) if part.splitlines()[0].endswith(f" b/{file}")), "")
	hunks = re.split(r"^@@ -.*$", part, flags=re.MULTILINE)[hunk:hunk + 1]
	for line in hunks[0].splitlines() if hunks else []:
		if line[:1] in (" ", "-") and line[1:].strip() and line[1:] not in there:
			return line[1:].strip()
	return ""
