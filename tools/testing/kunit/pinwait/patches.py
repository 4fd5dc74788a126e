# SPDX-License-Identifier: GPL-2.0
"""Patches from outside: mails, folders of mails, commits, a working tree.

git's own mailsplit, mailinfo and apply read them. What they say is not trusted: a patch that would
leave the tree, or is none, is refused before anything is done with it.
"""

import email
import email.header
import email.policy
import gzip
import hashlib
import re
import stat
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from .errors import CannotJudge, UsageError
from .git import ISOLATION, mailinfo
from .proc import CommandFailed, run

LIMIT = 64 << 20	# bytes of input that are read: no series for a mailing list comes near
SUFFIXES = (".patch", ".mbox", ".mbx", ".eml", ".diff", ".txt", ".gz")
BARE_DIFF = re.compile(rb"\s*(?:diff --git |Index: |--- \S)")
TAG = re.compile(r"^\s*(?:Re:\s*)?\[([^\]]*)\]", re.IGNORECASE)
REPLY = re.compile(r"\s*(?:re|aw|sv)\s*:", re.IGNORECASE)
# What `git format-patch` writes at the top of a file that somebody attaches.
ENCLOSED = re.compile(rb"From [0-9a-f]{40} Mon Sep 17 |From: [^\n]+\n(?:[\w-]+: [^\n]*\n)*Subject: \[PATCH")
NUMBER = re.compile(r"\b(\d+)/(\d+)$")
VERSION = re.compile(r"\bv(\d+)\b", re.IGNORECASE)
BASE = re.compile(r"^base-commit: ([0-9a-f]{7,64})\b", re.MULTILINE)
PREREQUISITE = re.compile(r"^prerequisite-patch-id: ([0-9a-f]{40})\b", re.MULTILINE)
NOBODY = "Nobody <nobody@localhost>"
# A file's mode, which git reads as C does: a sign, zeros and spaces before it do not change it.
MODE = re.compile(r"^(?:(?:new file|new|old|deleted file) mode|index \S+)[ \t]+\+?([0-7]+)\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Patch:
	"""One patch, as a mail that git and checkpatch take."""
	path: Path
	source: str		# where it came from, for people
	title: str		# the subject as it was sent
	subject: str		# without [PATCH ...]
	author: str
	message_id: str
	message: str		# the commit message without its subject; "" for a bare diff
	bare: bool		# a diff without any message
	files: tuple[str, ...]	# that it touches, old and new names
	renamed: tuple[tuple[str, str], ...]	# old and new names
	sha256: str		# of the diff
	patch_id: str		# git patch-id --stable, "" if git knows none
	number: int = 0		# n of [PATCH n/m], 0 without
	total: int = 0
	version: int = 1
	mail_sha256: str = ""	# of the mail, or the file with a diff, whole and as it came

	@property
	def mail(self) -> str:
		"""The mail itself, with the carriage returns that its diff has."""
		return self.path.read_bytes().decode("utf-8", "surrogateescape")


@dataclass
class Submission:
	"""What was given to be judged."""
	patches: list[Patch]
	base_commit: str = ""			# of the base-commit: trailer
	prerequisites: list[str] = field(default_factory=list)	# patch-ids that come before
	notes: list[str] = field(default_factory=list)	# what was left out of the input, and why


def read(sources: Sequence[str], scratch: Path, keep_cr: bool = False) -> Submission:
	"""Read patches from mboxes, mails, folders of them, or `-` for standard input.

	scratch gets a file for each. Carriage returns at ends of lines are a mail's, and go, unless keep_cr. Raises
	UsageError for a file that is not there, CannotJudge for input in which there is no patch, or not all of a
	series, or one that must not be applied.
	"""
	submission = Submission([])
	for index, source in enumerate(sources):
		for name, mails in _mailboxes(source, scratch / f"input-{index}", keep_cr):
			for mail, digest in mails:
				for raw in _enclosed(mail.read_bytes()):
					_add(submission, raw, name, scratch, digest, keep_cr=keep_cr)
	if not submission.patches:
		raise CannotJudge(f"{', '.join(sources)}: there is no patch in it"
				  + (f" ({'; '.join(submission.notes)})" if submission.notes else ""))
	return replace(submission, patches=_in_order(submission.patches, submission.notes))


def read_diff(diff: str, subject: str, scratch: Path) -> Submission:
	"""Make a submission of a diff that has no message. Raises as read() does."""
	submission = Submission([])
	raw = diff.encode("utf-8", "surrogateescape")
	_add(submission, raw, subject, scratch, hashlib.sha256(raw).hexdigest(), subject, True)
	return submission


def numstat(patch: Path) -> list[str]:
	"""Return the files that a patch touches, by their new names.

	Raises CannotJudge if git cannot make sense of it.
	"""
	try:
		# Where no repository is: in one, names are taken relative to the folder in it.
		output = run(["git", "apply", "--numstat", "-z", str(patch)], cwd=Path("/"), env=ISOLATION)
	except CommandFailed as error:
		raise CannotJudge(f"git does not read it as a patch: {_complaint(error)}") from error
	return [entry.rpartition("\t")[2] for entry in output.split("\0") if entry]


def refusal(names: Iterable[str], diff: str) -> str:
	"""Say why a patch must not be applied, whatever the tree; "" if there is no such reason."""
	for name in names:
		parts = PurePosixPath(name).parts
		if name.startswith("/") or ".." in parts:
			return f"it touches {name}, which is outside of the tree"
		if any(part.lower() == ".git" for part in parts):
			return f"it touches {name}, which is git's own"
	for mode in (int(text, 8) for text in MODE.findall(diff)):
		if not stat.S_ISREG(mode):
			what = "a symbolic link" if stat.S_ISLNK(mode) else "a submodule"
			return f"it brings or changes {what}, which may lead out of the tree"
	return ""


def _mailboxes(source: str, folder: Path, keep_cr: bool) -> list[tuple[str, list[tuple[Path, str]]]]:
	"""Return each file of a source with the mails in it and their digests, split into folder."""
	folder.mkdir(parents=True)
	if source == "-":
		return [("standard input", _split("standard input", sys.stdin.buffer.read(LIMIT + 1), folder, keep_cr))]
	path = Path(source)
	if path.is_dir():
		maildir = [path / name for name in ("cur", "new")]
		if all(part.is_dir() for part in maildir):
			files = sorted((file for part in maildir for file in part.iterdir() if file.is_file()), key=lambda file: file.name)
		else:
			files = sorted(file for file in path.iterdir() if file.is_file() and file.suffix in SUFFIXES)
		if not files:
			raise CannotJudge(f"{source}: there is no file in it that ends in {', '.join(SUFFIXES)}")
	elif path.exists():
		files = [path]
	else:
		raise UsageError(f"there is no file or folder {source}")
	found = []
	for index, file in enumerate(files):
		with open(file, "rb") as stream:
			found.append((str(file), _split(str(file), stream.read(LIMIT + 1), folder / str(index), keep_cr)))
	return found


def _split(name: str, content: bytes, folder: Path, keep_cr: bool) -> list[tuple[Path, str]]:
	"""Write each mail of a file to one of its own; with each goes the digest of what came."""
	if content.startswith(b"\x1f\x8b"):
		try:
			with gzip.open(_written(folder / "packed", content)) as stream:
				content = stream.read(LIMIT + 1)
		except (OSError, EOFError) as error:
			raise CannotJudge(f"{name} cannot be unpacked: {error}") from error
	if len(content) > LIMIT:
		raise CannotJudge(f"{name} is larger than {LIMIT >> 20} MiB, which no patch for a mailing list is")
	if not content.strip():
		return []
	if b"\0" in content:
		raise CannotJudge(f"{name} is no text: it holds bytes that are zero")
	whole = _written(folder / "whole", content)
	if BARE_DIFF.match(content):
		return [(whole, hashlib.sha256(content).hexdigest())]
	try:
		run(["git", "mailsplit", "-b", *(["--keep-cr"] if keep_cr else []), f"-o{folder}", "--", str(whole)], env=ISOLATION)
	except CommandFailed as error:
		raise CannotJudge(f"{name} is no mailbox: {_complaint(error)}") from error
	mails = sorted(file for file in folder.iterdir() if file.name.isdigit())
	return [(mail, hashlib.sha256(content if len(mails) == 1 else mail.read_bytes()).hexdigest()) for mail in mails]


def _written(path: Path, content: bytes) -> Path:
	path.parent.mkdir(parents=True, exist_ok=True)
	path.write_bytes(content)
	return path


def _add(submission: Submission, raw: bytes, source: str, scratch: Path, digest: str, subject: str = "", keep_cr: bool = False) -> None:
	"""Add a mail's patch to a submission; of a mail without one only the trailers, and a note."""
	bare = bool(BARE_DIFF.match(raw))
	number = len(submission.patches) + 1
	message, diff = scratch / f"{number}.message", scratch / f"{number}.diff"
	headers: email.message.Message | None = None
	if bare:
		text = raw.decode("utf-8", "surrogateescape")
		fields, body = {"Subject": subject or f"diff without a message: {Path(source).name}"}, ""
	else:
		try:
			fields = mailinfo(raw.decode("utf-8", "surrogateescape"), message, diff, "nowarn" if keep_cr else "strip")
		except CommandFailed as error:
			raise CannotJudge(f"{source}: not to be read as a mail: {_complaint(error)}") from error
		body = message.read_text(encoding="utf-8", errors="surrogateescape")
		text = diff.read_bytes().decode("utf-8", "surrogateescape")
		headers = email.message_from_bytes(raw, policy=email.policy.compat32)
	text = text if keep_cr else text.replace("\r\n", "\n")
	title = _header(headers, "Subject") or fields.get("Subject", "")
	if REPLY.match(title):
		submission.notes.append(f"left out, for it is an answer: '{title}'")
		return
	if not bare:
		# Trailers stand after the signature of format-patch: in the diff part, or, of a cover letter, in the body.
		submission.base_commit = submission.base_commit or next(iter(BASE.findall(body + text)), "")
		submission.prerequisites += [found for found in PREREQUISITE.findall(body + text)
					     if found not in submission.prerequisites]
	if not re.search(r"^(?:diff --git |--- |GIT binary patch)", text, re.MULTILINE):
		submission.notes.append(f"no diff in '{title or source}'")
		return
	diff.write_text(text, encoding="utf-8", errors="surrogateescape")
	try:
		moved = _renames(text)
		files = numstat(diff) + [old for _, old, _ in moved]
		refused = refusal(files, text)
	except CannotJudge as error:
		raise CannotJudge(f"{source}: {title or 'patch'}: {error}") from error
	if refused:
		raise CannotJudge(f"{source}: {title or 'patch'}: refused: {refused}")
	tag = TAG.match(title)
	place = NUMBER.search(tag[1].strip()) if tag else None
	version = VERSION.search(tag[1]) if tag else None
	author = f"{fields['Author']} <{fields.get('Email', '')}>" if fields.get("Author") else NOBODY
	plain = fields.get("Subject") or TAG.sub("", title).strip() or "patch without a subject"
	path = scratch / f"{number:04d}.patch"
	date = f"Date: {fields['Date']}\n" if fields.get("Date") else ""
	path.write_text(f"From: {author}\n{date}Subject: [PATCH] {plain}\n"
			"MIME-Version: 1.0\nContent-Type: text/plain; charset=UTF-8\nContent-Transfer-Encoding: 8bit\n"
			f"\n{body}---\n{text}", encoding="utf-8", errors="surrogateescape")
	submission.patches.append(Patch(
		path, source, title or plain, plain, author, _message_id(headers), body, bare,
		tuple(dict.fromkeys(files)), tuple((old, new) for how, old, new in moved if how == "rename"),
		hashlib.sha256(_hunks(text).encode("utf-8", "surrogateescape")).hexdigest(),
		_patch_id(text), *((int(place[1]), int(place[2])) if place else (0, 0)), int(version[1]) if version else 1,
		digest))


def _enclosed(raw: bytes) -> list[bytes]:
	"""Return the mails of format-patch that a mail has attached as files; without any, the mail itself."""
	if BARE_DIFF.match(raw):
		return [raw]
	parts = email.message_from_bytes(raw, policy=email.policy.compat32).walk()
	payloads = [part.get_payload(decode=True) for part in parts if part.get_content_maintype() == "text"]
	return [payload for payload in payloads if isinstance(payload, bytes) and ENCLOSED.match(payload)] or [raw]


def _header(headers: "email.message.Message | None", name: str) -> str:
	"""Return a header, decoded and unfolded; "" without."""
	value = headers.get(name, "") if headers else ""
	try:
		text = str(email.header.make_header(email.header.decode_header(value)))
	except (LookupError, UnicodeError, ValueError):
		text = str(value)
	return re.sub(r"\s+", " ", text).strip()


def _message_id(headers: "email.message.Message | None") -> str:
	"""Return what stands between the first brackets of the header, as Patchwork and lore do; without any, all of it."""
	value = _header(headers, "Message-ID")
	found = re.search(r"<([^>]+)>", value)
	return (found[1] if found else value).strip()


def _renames(diff: str) -> list[tuple[str, str, str]]:
	"""Return how ("rename" or "copy"), from and to which name a diff moves files, which numstat does not tell."""
	found = re.findall(r"^(rename|copy) from (.+)\n\1 to (.+)$", diff, re.MULTILINE)
	return [(how, old.strip('"'), new.strip('"')) for how, old, new in found]


def _hunks(text: str) -> str:
	"""Return a diff without the diffstat before it and the signature after it."""
	start = re.search(r"^(?:diff --git |--- )", text, re.MULTILINE)
	return re.sub(r"\n-- \n.*\Z", "\n", text[start.start() if start else 0:], flags=re.DOTALL)


def _patch_id(text: str) -> str:
	line = run(["git", "patch-id", "--stable"], stdin=text, env=ISOLATION)
	return line.split()[0] if line else ""


def _in_order(found: list[Patch], notes: list[str]) -> list[Patch]:
	"""Return a series in its own order. Raises CannotJudge if it is not all there, or more than one."""
	found = _once(found, notes)
	numbered = [patch for patch in found if patch.total]
	versions = sorted({patch.version for patch in found})
	if len(versions) > 1:
		raise CannotJudge(f"the mails are of versions {', '.join(map(str, versions))} of a series: give one")
	if not numbered:
		return found
	if len(found) == 1:
		notes += [f"patch {patch.number} of {patch.total} alone: the others were not given"
			  for patch in numbered if patch.total > 1]
		return found
	if len(numbered) < len(found):
		other = next(patch for patch in found if not patch.total)
		raise CannotJudge(f"'{numbered[0].title}' is of a series, '{other.title}' of none: give one or the other")
	totals = sorted({patch.total for patch in found})
	if len(totals) > 1:
		raise CannotJudge(f"the mails are of several series, of {' and '.join(map(str, totals))} patches: give one")
	counts = Counter(patch.number for patch in found)
	twice = [number for number, times in counts.items() if times > 1]
	if twice:
		raise CannotJudge(f"there are different patches {twice[0]} of {totals[0]}")
	missing = [number for number in range(1, totals[0] + 1) if number not in counts]
	if missing:
		raise CannotJudge(f"patch {', '.join(map(str, missing))} of {totals[0]} is missing")
	return sorted(found, key=lambda patch: patch.number)


def _once(found: Iterable[Patch], notes: list[str]) -> list[Patch]:
	"""Return patches without those that came twice, as they do from an mbox with everybody's copy."""
	kept: dict[tuple[str, str], Patch] = {}
	for patch in found:
		if kept.setdefault((patch.title, patch.sha256), patch) is not patch:
			notes.append(f"'{patch.title}' is there more than once, the same")
	return list(kept.values())


def _complaint(error: CommandFailed) -> str:
	lines = [line.removeprefix("error: ").removeprefix("fatal: ") for line in error.output.strip().splitlines()]
	return "; ".join(lines[-2:]) or f"exit code {error.returncode}"
