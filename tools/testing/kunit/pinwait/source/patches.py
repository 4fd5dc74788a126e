# SPDX-License-Identifier: GPL-2.0
"""Untrusted patches: from mails, commits or a working tree.

git's own mailinfo and apply read them. Their content is not trusted: a patch that would write outside of the tree, or is
malformed, is refused before anything else is done with it.
"""

import hashlib
import re
import stat
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from . import diffs, mails, thread
from ..util.errors import CannotJudge
from ..util.git import ISOLATION, mailinfo
from ..util.proc import CommandFailed, run
from .mails import VIA, Mail
from .thread import Title

BASE = re.compile(r"^base-commit: ([0-9a-f]{7,64})\b", re.MULTILINE)
PREREQUISITE = re.compile(r"^prerequisite-(patch-id|message-id|change-id): *(\S+)", re.MULTILINE)
SIGNED = re.compile(r"^signed-off-by: *(.*?) *<(\S+@\S+)>", re.MULTILINE | re.IGNORECASE)
# The end of a wrapper: the patch's own headers follow. The -mm tree's mails have dashes, others scissors.
WRAPPED = re.compile(r"^(?:-{20,}|[- ]*(?:8<|>8|%<|>%)[- ]*)\n+(?=From: .*\n(?:Subject|Date): |Subject: )", re.MULTILINE)
NOBODY = "Nobody <nobody@localhost>"
# A file's mode. git parses it as C does: a sign, zeros and spaces before it do not matter.
MODE = re.compile(r"^(?:(?:new file|new|old|deleted file) mode|index \S+)[ \t]+\+?([0-7]+)\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Patch:
	"""One patch, as a mail that git and checkpatch can read."""
	path: Path
	source: str		# where it came from, for people
	title: str		# the subject as it was sent
	subject: str		# without [PATCH ...]
	author: str
	message_id: str
	message: str = ""	# the commit message without its subject; "" for a bare diff
	bare: bool = False	# a diff without any message
	files: tuple[str, ...] = ()	# touched files, old and new names
	renamed: tuple[tuple[str, str], ...] = ()	# old and new names
	sha256: str = ""	# of the diff
	patch_id: str = ""	# git patch-id --stable, "" if git prints none
	number: int = 0		# n of [PATCH n/m], 0 without
	total: int = 0
	version: int = 1
	mail_sha256: str = ""	# of the whole mail, or file with a diff, as it came
	place: str = ""		# the mail with the patch, for people
	parents: tuple[str, ...] = ()	# Message-IDs to which this is an answer
	problem: str = ""	# why it cannot be applied to any tree
	no_author: str = ""	# why the author is unknown
	cut: bool = False	# git am cuts a sign-off off

	@property
	def mail(self) -> str:
		"""The mail itself, with the carriage returns of its diff."""
		return self.path.read_bytes().decode("utf-8", "surrogateescape")


@dataclass
class Submission:
	"""The patches to judge."""
	patches: list[Patch]
	base_commit: str = ""			# of the base-commit: trailer
	prerequisites: list[str] = field(default_factory=list)	# patch-ids of predecessors
	unnamed: list[str] = field(default_factory=list)	# trailers that name prerequisites, but no patch-id
	notes: list[str] = field(default_factory=list)	# parts of the input that were left out, and why
	missing: str = ""			# predecessors that were not given

	@property
	def trailers(self) -> str:
		"""The trailers about the base."""
		lines = [f"base-commit: {self.base_commit}"] if self.base_commit else []
		return "".join(f"{line}\n" for line in [*lines, *(f"prerequisite-patch-id: {name}" for name in self.prerequisites), *self.unnamed])


def read(sources: Sequence[str], scratch: Path, keep_cr: bool = False) -> Submission:
	"""Read patches from mboxes, mails, folders of them, threads, or `-` for standard input.

	scratch gets a file for each. Carriage returns at line ends come from mail transport and are removed, unless keep_cr.
	Raises UsageError for a missing file, CannotJudge for input without a patch, with an incomplete series, or with a patch that
	must not be applied.
	"""
	submission = Submission([])
	everything = [mail for source in sources for mail in mails.read(source, keep_cr)]
	asked_for = [name for source in sources if (name := mails.wanted_id(source))]
	given = thread.without_answers(everything, submission.notes)
	answered = {name for mail in given for name in mail.parents}
	found: list[Patch] = []
	letters: list[Mail] = []
	for mail in given:
		patch = _patch(mail, submission, scratch, len(found) + 1, mail.message_id in answered, keep_cr)
		if patch:
			found.append(patch)
		else:
			letters.append(mail)
	readable = [patch for patch in found if not patch.problem]
	if not readable:
		why = [f"{patch.place}: {patch.title or 'patch'}: {patch.problem}" for patch in found] + submission.notes
		raise CannotJudge(f"{', '.join(sources)}: there is no patch in it" + (f" ({'; '.join(why)})" if why else ""))
	_in_order(submission, found, letters, asked_for)
	versions = {patch.version for patch in submission.patches}
	for mail, title in ((mail, thread.title(mail.title)) for mail in given):
		if not title.tells or title.version in versions:
			_take_trailers(mail, submission)
	return submission


def read_diff(diff: str, subject: str, scratch: Path) -> Submission:
	"""Make a submission from a diff without a message. Raises CannotJudge as read() does."""
	submission = Submission([])
	patch = _patch(Mail(subject, subject, hashlib.sha256(diff.encode("utf-8", "surrogateescape")).hexdigest(), subject, text=diff, bare=True), submission, scratch, 1, False, True)
	if not patch or patch.problem:
		raise CannotJudge(f"{subject}: {patch.problem if patch else 'there is no diff in it'}")
	submission.patches = [patch]
	return submission


def numstat(patch: Path) -> list[str]:
	"""Return the files that a patch touches, by their new names.

	Raises CannotJudge if git cannot parse it.
	"""
	try:
		# Outside of any repository: inside one, git takes names relative to the current folder.
		output = run(["git", "apply", "--numstat", "-z", str(patch)], cwd=Path("/"), env=ISOLATION)
	except CommandFailed as error:
		raise CannotJudge(f"git cannot parse it as a patch: {_complaint(error)}") from error
	return [entry.rpartition("\t")[2] for entry in output.split("\0") if entry]


def refusal(names: Iterable[str], diff: str) -> str:
	"""Say why a patch must not be applied to any tree; "" if it may."""
	for name in names:
		parts = PurePosixPath(name).parts
		if name.startswith("/") or ".." in parts:
			return f"it touches {name}, which is outside of the tree"
		if any(part.lower() == ".git" for part in parts):
			return f"it touches {name}, which is git's own"
	for mode in (int(text, 8) for text in MODE.findall(diff)):
		if not stat.S_ISREG(mode):
			what = "a symbolic link" if stat.S_ISLNK(mode) else "a submodule"
			return f"it adds or changes {what}, which may lead out of the tree"
	return ""


def _patch(mail: Mail, submission: Submission, scratch: Path, index: int, answered: bool, keep_cr: bool) -> Patch | None:
	"""Return a mail's patch; for a mail without one, add a note to the submission if a patch was expected.

	answered tells whether other mails of the thread are answers to it, as patches are to a cover letter.
	"""
	outer = thread.title(mail.title)
	title = mail.title or ("patch without a subject" if not mail.bare else f"diff without a message: {Path(mail.source).name}")
	if mail.remark:
		submission.notes.append(f"of '{title}' ({mail.place}): {mail.remark}")
	text = mail.text if mail.bare or not WRAPPED.search(diffs.cut(mail.text)[0]) else WRAPPED.split(mail.text, maxsplit=1)[1]
	before, diff = diffs.cut(text)
	# A cover letter may quote a diff, but has no sign-off before it.
	if outer.cover and not (diff and SIGNED.search(before)) or not diff and not outer.total and answered:
		if mail.problem or diff:
			submission.notes.append(f"the cover letter '{title}': {mail.problem or 'a diff in it'}")
		return None
	patch = Patch(scratch / f"{index:04d}.patch", mail.source, title, outer.subject or title, NOBODY, mail.message_id, bare=mail.bare,
		      number=outer.number, total=outer.total, version=outer.version, mail_sha256=mail.sha256,
		      place=mail.place, parents=mail.parents)
	if mail.problem and (diff or outer.tells):
		return _unusable(patch, mail, mail.problem)
	if diff:
		return _applicable(patch, mail, text, outer, scratch, keep_cr)
	if outer.total or outer.tells and mail.cut_at:
		return _unusable(patch, mail, "it contains no diff" + (
			f"; if the line '{mail.cut_at}' belongs to its message, put a > before it" if mail.cut_at else ""))
	submission.notes.append(f"'{mail.title or mail.place}': {mail.problem}" if mail.problem else f"no diff in '{mail.title or mail.place}'")
	return None


def _unusable(patch: Patch, mail: Mail, why: str) -> Patch:
	"""Return a patch that cannot be applied, with the data that it has."""
	patch.path.write_bytes(f"From: {mail.header}\nSubject: {mail.title}\n\n{mail.text}".encode("utf-8", "surrogateescape"))
	return replace(patch, problem=why)


def _take_trailers(mail: Mail, submission: Submission) -> None:
	"""Record a mail's trailers about the base of its patches; they are after the signature, or in the text of a cover letter."""
	if mail.bare:
		return
	submission.base_commit = submission.base_commit or next(iter(BASE.findall(mail.text)), "")
	named = PREREQUISITE.findall(mail.text)
	ids = [name for kind, name in named if kind == "patch-id"]
	submission.prerequisites += [name for name in ids if name not in submission.prerequisites]
	# b4 writes patch-ids beside these; then they only repeat the same patches.
	submission.unnamed += [f"prerequisite-{kind}: {name}" for kind, name in named if kind != "patch-id" and not ids]


def _applicable(patch: Patch, mail: Mail, text: str, outer: Title, scratch: Path, keep_cr: bool) -> Patch:
	"""Return a patch with all data from its text. Raises CannotJudge if it must not be applied."""
	message, rest = scratch / "message", scratch / "rest"
	fields: dict[str, str] = {}
	body = behind = ""
	if mail.bare:
		diff = text
	else:
		# Without the subject, which is decoded already: a subject from git then comes from the text.
		headers = [f"{name}: {value}\n" for name, value in (("From", mail.sender), ("Date", mail.date)) if value]
		try:
			fields = mailinfo(f"{''.join(headers)}MIME-Version: 1.0\nContent-Type: text/plain; charset=UTF-8\n"
					  f"Content-Transfer-Encoding: 8bit\n\n{text}", message, rest, "-k")
		except CommandFailed as error:
			return _unusable(patch, mail, f"git cannot parse it as a mail: {_complaint(error)}")
		body = message.read_bytes().decode("utf-8", "surrogateescape")
		behind, diff = diffs.cut(rest.read_bytes().decode("utf-8", "surrogateescape"))
	inner = thread.title(fields.get("Subject", ""))
	place = inner if inner.tells and inner.total else outer
	subject = inner.subject or patch.subject
	author, why = (NOBODY, "") if mail.bare else _author(fields, mail, body)
	patch = replace(patch, title=patch.title if outer.tells else fields.get("Subject", patch.title), subject=subject, author=author,
			message=body, no_author=why, number=place.number, total=place.total, version=max(inner.version, outer.version),
			cut=bool(SIGNED.search(behind)) and not SIGNED.search(body))
	diff = diff if keep_cr else diff.replace("\r\n", "\n")
	try:
		diff = diffs.in_git_form(diff)
		rest.write_bytes(diff.encode("utf-8", "surrogateescape"))
		moved = _renames(diff)
		files = numstat(rest) + [old for _, old, _ in moved]
	except CannotJudge as error:
		return _unusable(patch, mail, str(error))
	if refused := refusal(files, diff):
		raise CannotJudge(f"{patch.place}: {patch.title}: refused: {refused}")
	date = f"Date: {fields['Date']}\n" if fields.get("Date") else ""
	numbers = f" {patch.number}/{patch.total}" if patch.total else ""
	patch.path.write_bytes((f"From: {author}\n{date}Subject: [PATCH{numbers}] {subject}\n"
				"MIME-Version: 1.0\nContent-Type: text/plain; charset=UTF-8\nContent-Transfer-Encoding: 8bit\n"
				f"\n{body}---\n\n{diff}").encode("utf-8", "surrogateescape"))
	return replace(patch, files=tuple(dict.fromkeys(files)), renamed=tuple((old, new) for how, old, new in moved if how == "rename"),
		       sha256=hashlib.sha256(diffs.essence(diff).encode("utf-8", "surrogateescape")).hexdigest(), patch_id=_patch_id(diff))


def _author(fields: dict[str, str], mail: Mail, body: str) -> tuple[str, str]:
	"""Return the author of a patch, or why the author is unknown."""
	name, address = fields.get("Author", ""), fields.get("Email", "")
	if "@" in address and re.search(r"[^\s.,:;<>\"'\\]", name):
		return f"{name} <{address}>", ""
	real = VIA.match(mail.header)
	for signer, signed in SIGNED.findall(body):
		if real and signer == real[1].strip("\"' "):
			return f"{signer} <{signed}>", ""
	if not mail.header:
		return NOBODY, "its mail has no From:"
	return NOBODY, f"the From: of its mail is {'a list' if real else 'no address'} ('{mail.header}'), and no other header names the author"


def _renames(diff: str) -> list[tuple[str, str, str]]:
	"""Return the renames and copies of a diff ("rename" or "copy", old name, new name), which numstat does not show."""
	found = re.findall(r"^(rename|copy) from (.+)\n\1 to (.+)$", diff, re.MULTILINE)
	return [(how, old.strip('"'), new.strip('"')) for how, old, new in found]


def _patch_id(text: str) -> str:
	line = run(["git", "patch-id", "--stable"], stdin=text, env=ISOLATION)
	return line.split()[0] if line else ""


def _in_order(submission: Submission, found: list[Patch], letters: Sequence[Mail], asked_for: Sequence[str]) -> None:
	"""Give the submission its patches in the order of the series. Raises CannotJudge for an incomplete series or several."""
	notes = submission.notes
	found = _of_one_version(_once(found, notes), letters, asked_for, notes)
	numbered, loose = ([patch for patch in found if bool(patch.total) is has] for has in (True, False))
	if numbered and loose and asked_for:
		found = [patch for patch in loose if patch.message_id in asked_for] or numbered
		notes += [f"'{patch.title}', which was not requested" for patch in numbered + loose if patch not in found]
		numbered = [patch for patch in found if patch.total]
	for patch in numbered:
		if not 0 < patch.number <= patch.total:
			raise CannotJudge(f"{patch.place}: a series has no patch {patch.number}/{patch.total} ('{patch.title}')")
	if numbered:
		if len(numbered) < len(found):
			other = next(patch for patch in found if not patch.total)
			raise CannotJudge(f"'{numbered[0].title}' belongs to a series, '{other.title}' does not ({other.place}): give one or the other")
		found, submission.missing = _without_gaps(found)
		if (last := found[-1].number) < (total := found[-1].total):
			notes.append(f"{_named(range(last + 1, total + 1))} of {total}, which {'was' if last + 1 == total else 'were'} not given")
	submission.patches = found


def _without_gaps(found: Sequence[Patch]) -> tuple[list[Patch], str]:
	"""Return the patches of a series in order, and the patches that are missing before the first.

	Patches after a gap are returned as ones that cannot be applied; those before it can still be judged. Raises CannotJudge
	if they are not of one series.
	"""
	totals = sorted({patch.total for patch in found})
	if len(totals) > 1:
		raise CannotJudge(f"the mails belong to several series, of {' and '.join(map(str, totals))} patches: give one")
	counts = Counter(patch.number for patch in found)
	twice = [number for number, times in counts.items() if times > 1]
	if twice:
		raise CannotJudge(f"several different mails are patch {twice[0]} of {totals[0]}: "
				  + ", ".join(f"'{patch.title}' ({patch.place})" for patch in found if patch.number == twice[0]))
	ordered = sorted(found, key=lambda patch: patch.number)
	first, last = ordered[0].number, ordered[-1].number
	missing = [number for number in range(first, last) if number not in counts]
	if missing:
		why = f"{_named(missing)} of {totals[0]} {'are' if missing[1:] else 'is'} missing before it"
		ordered = [replace(patch, problem=patch.problem or why) if patch.number > missing[0] else patch for patch in ordered]
	return ordered, f"{_named(range(1, first))} of {totals[0]} {'are' if first > 2 else 'is'} missing" if first > 1 else ""


def _named(numbers: Sequence[int]) -> str:
	"""Name patches by their numbers."""
	if len(numbers) == 1:
		return f"patch {numbers[0]}"
	whole = len(numbers) > 2 and numbers[-1] - numbers[0] == len(numbers) - 1
	return f"patches {numbers[0]} to {numbers[-1]}" if whole else f"patches {', '.join(map(str, numbers[:-1]))} and {numbers[-1]}"


def _of_one_version(found: list[Patch], letters: Sequence[Mail], asked_for: Sequence[str], notes: list[str]) -> list[Patch]:
	"""Return the patches of one version of a series, the requested one; a newer version of a single patch that is an answer
	to the old one replaces it.

	Raises CannotJudge if there are several versions and none was requested.
	"""
	versions = sorted({patch.version for patch in found})
	if len(versions) == 1:
		return found
	current = [patch for patch in found if patch.version == versions[0]]
	for version in versions[1:]:
		newer = {_slot(patch): patch for patch in found if patch.version == version}
		old = {_slot(patch): patch for patch in current}
		if not all(slot in old and old[slot].message_id in patch.parents for slot, patch in newer.items()):
			break
		for slot, patch in newer.items():
			notes.append(f"'{old[slot].title}', which '{patch.title}' replaces")
		current = [newer.get(_slot(patch), patch) for patch in current]
	else:
		return current
	titles = [(name, thread.title(mail.title)) for mail in letters if (name := mail.message_id)]
	meant = {patch.version for patch in found if patch.message_id in asked_for} | {one.version for name, one in titles if name in asked_for}
	if len(meant) != 1:
		where = ", ".join(f"'{patch.title}' ({patch.place})" for patch in
				  (next(patch for patch in found if patch.version == version) for version in versions))
		raise CannotJudge(f"the mails belong to versions {', '.join(map(str, versions))} of a series: give one ({where})")
	notes += [f"'{patch.title}', because version {min(meant)} was requested" for patch in found if patch.version not in meant]
	return [patch for patch in found if patch.version in meant]


def _slot(patch: Patch) -> tuple[int, int]:
	"""Return the slot of a patch in its series; a patch without a number has its own."""
	return (patch.number, patch.total) if patch.total else (1, 1)


def _once(found: Iterable[Patch], notes: list[str]) -> list[Patch]:
	"""Return patches without duplicates, which come from an mbox with everybody's copies, or through a list."""
	kept: dict[tuple[object, ...], Patch] = {}
	found = list(found)
	whole = [((*_slot(patch), patch.version, patch.subject), patch.place) for patch in found if not patch.problem]
	for patch in found:
		key = (*_slot(patch), patch.version, patch.subject)
		if patch.problem and any(other == key and place != patch.place for other, place in whole):
			notes.append(f"'{patch.title}' ({patch.place}), a duplicate: {patch.problem}")
			continue
		first = kept.setdefault((*key, patch.sha256 or patch.place), patch)
		if first is not patch:
			notes.append(f"a second copy of '{patch.title}'")
			if first.no_author and not patch.no_author:
				kept[*key, patch.sha256] = patch
	return list(kept.values())


def _complaint(error: CommandFailed) -> str:
	lines = [line.removeprefix("error: ").removeprefix("fatal: ") for line in error.output.strip().splitlines()]
	return "; ".join(lines[-2:]) or f"exit code {error.returncode}"
