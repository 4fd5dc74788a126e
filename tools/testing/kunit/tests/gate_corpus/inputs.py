# SPDX-License-Identifier: GPL-2.0
"""Make the inputs of the gate's corpus: real patches, as git format-patch writes them, for a given kernel.

Commits are made in a repository of their own that borrows the kernel's objects. The same corpus on the same
commit gives the same bytes.
"""

import hashlib
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

from pinwait.mutation.corpus import Mutant
from pinwait.util.errors import UsageError
from pinwait.util.git import Git
from .entries import Entry, PatchSpec, Reply
from .mails import FORMS, Mail

WRITTEN = datetime(2026, 1, 5, 10, 0, tzinfo=UTC)	# the first patch of each input
MARK = "HERE-GOES-THE-PREFIX"
SIGNATURE = "2.47.3"
UNKNOWN = hashlib.sha1(b"a commit that no repository has").hexdigest()
NOWHERE = "0" * 40
BEGIN = re.compile(rb"^(?=From [0-9a-f]{40} Mon Sep 17 00:00:00 2001$)", re.MULTILINE)


@dataclass(frozen=True)
class Known:
	"""What the gate has to have read of a patch."""
	subject: str
	author: str
	patch_id: str		# git patch-id --stable, "" if git has none for it


@dataclass(frozen=True)
class Input:
	"""An input that was made."""
	entry: Entry
	arguments: tuple[str, ...]	# for the gate
	stdin: Path | None
	patches: tuple[Known, ...]	# all that are judged
	mails: tuple[bytes, ...]	# the mail of each, before anything became of it
	sent: tuple[bytes, ...]		# what was sent, as it was sent


@dataclass(frozen=True)
class _File:
	mode: str
	content: bytes


class Maker:
	"""Makes inputs for one commit: base, series and the project's sources."""

	def __init__(self, kernel: Git, commit: str, base: str, mutants: Sequence[Mutant], folder: Path):
		"""base is the commit of the kernel before any patch; folder is made anew."""
		self.commit, self.base, self.folder = commit, base, folder
		self.mutants = {mutant.name: mutant for mutant in mutants}
		shutil.rmtree(folder, ignore_errors=True)
		folder.mkdir(parents=True)
		(folder / "repository").mkdir()
		self.git = Git(folder / "repository")
		self.git.init()
		objects = kernel.path / kernel("rev-parse", "--git-path", "objects")
		alternates = folder / "repository/.git/objects/info/alternates"
		alternates.parent.mkdir(exist_ok=True)
		alternates.write_text(f"{objects.resolve()}\n", encoding="utf-8")
		self._files: dict[str, _File | None] = {}
		self._prerequisites: list[str] | None = None

	def make(self, entries: Sequence[Entry]) -> list[Input]:
		"""Make inputs. Raises UsageError, naming the entry, for one that does not fit the commit."""
		commits = self._commits(entries)
		mails: dict[str, list[Mail]] = {}
		sent: dict[str, list[Mail]] = {}
		for entry in entries:
			with _named(entry):
				mails[entry.name] = self._mails(entry, commits[entry.name])
				sent[entry.name] = _conversation(entry, mails[entry.name])
		ids = self._patch_ids([mail for there in mails.values() for mail in there])
		made = []
		for entry in entries:
			arguments, stdin = _deliver(entry, sent[entry.name], self.folder / "inputs" / entry.name)
			judged = [(entry.patches[number - 1], mails[entry.name][number - 1]) for number in entry.judged]
			known = tuple(Known(spec.subject, spec.author, ids.get(mail.commit, "")) for spec, mail in judged)
			made.append(Input(entry, arguments, stdin, known, tuple(bytes(mail) for _, mail in judged),
					  tuple(map(bytes, sent[entry.name]))))
		return made

	def file(self, path: str) -> _File | None:
		"""Return a file of the commit, None if it has none of that name."""
		if path not in self._files:
			listed = self.git("ls-tree", self.commit, "--", path)
			fields = listed.split()
			# Git drops a newline at the end; files of the kernel have one there.
			self._files[path] = _File(fields[0], _bytes(self.git("cat-file", "blob", fields[2]) + "\n")) \
				if fields and fields[1] == "blob" else None
		return self._files[path]

	def _mails(self, entry: Entry, commits: Sequence[str]) -> list[Mail]:
		"""Return a mail for each patch, as it leaves its author."""
		specs = entry.patches
		mails: list[Mail] = []
		for end in range(1, len(specs) + 1):
			# Those that are made of one another are written at a stroke.
			if end == len(specs) or specs[end].beside:
				text = self.git("format-patch", "--stdout", "--no-thread", "--no-numbered", "--abbrev=12",
						f"--signature={SIGNATURE}", f"--subject-prefix={MARK}", f"{self.commit}..{commits[end - 1]}")
				mails += [Mail.parse(part) for part in re.split(BEGIN, _bytes(text + "\n")) if part]
		return [self._addressed(entry, mail, number) for number, mail in enumerate(mails, 1)]

	def _addressed(self, entry: Entry, mail: Mail, number: int) -> Mail:
		"""Give a mail its number in the series, its id and its base."""
		total = sum(not spec.beside for spec in entry.patches)
		spec = entry.patches[number - 1]
		prefix = spec.prefix or entry.prefix + (f" {number}/{total}" if total > 1 else "")
		headers = mail.headers.replace(f"[{MARK}]".encode(), f"[{prefix}]".encode())
		first = _message_id(entry, spec.answers or (0 if entry.cover else 1))
		threaded = (total > 1 or spec.answers or entry.cover) and first != _message_id(entry, number)
		answers = [f"In-Reply-To: {first}", f"References: {first}"] if threaded else []
		body = mail.body
		if number == min(entry.given) and entry.base:
			body = body.replace(b"\n-- \n", f"\n{self._trailers(entry.base)}-- \n".encode())
		return replace(mail, headers=headers, body=body).with_headers(
			f"Message-ID: {_message_id(entry, number)}", *answers, "To: linux-mm@kvack.org")

	def _trailers(self, base: str) -> str:
		"""Return the lines that tell what a patch was made from."""
		commit = {"composed": self.commit, "unknown": UNKNOWN}.get(base, self.base)
		before = {"prerequisites": self.prerequisites(), "unknown-prerequisite": [UNKNOWN]}.get(base, [])
		return "\n".join([f"base-commit: {commit}", *(f"prerequisite-patch-id: {name}" for name in before), ""])

	def prerequisites(self) -> list[str]:
		"""Return the patch-id of each patch between the kernel and the project's sources, in order."""
		if self._prerequisites is None:
			log = self.git("log", "--reverse", "--first-parent", "-p", "--full-index", f"{self.base}..{self.commit}^")
			self._prerequisites = [line.split()[0] for line in self.git("patch-id", "--stable", stdin=log).splitlines()]
		return self._prerequisites

	def _commits(self, entries: Sequence[Entry]) -> dict[str, list[str]]:
		"""Make a commit for each patch; return their ids, by entry."""
		stream = [b"feature done\n"]
		mark = 0
		marks: dict[str, list[int]] = {}
		for entry in entries:
			changed: dict[str, _File | None] = {}
			marks[entry.name] = []
			for number, spec in enumerate(entry.patches, 1):
				first = spec.beside or number == 1
				parent = self.commit if first else f":{mark}"
				changed = {} if first else changed
				mark += 1
				marks[entry.name].append(mark)
				message = _bytes(_message(spec))
				when = int((WRITTEN + timedelta(minutes=number - 1)).timestamp())
				with _named(entry):
					stream += [_bytes(f"commit refs/heads/{entry.name}\nmark :{mark}\nauthor {spec.author} {when} +0000\n"
							  f"committer {spec.author} {when} +0000\ndata {len(message)}\n"),
						   message, _bytes(f"\nfrom {parent}\n"), self._changes(spec, changed)]
		stream.append(b"done\n")
		answer = self.folder / "marks"
		# Patches that are not made of those before them would lose these.
		self.git("fast-import", "--quiet", "--force", f"--export-marks={answer}",
			 stdin=b"".join(stream).decode("utf-8", "surrogateescape"))
		found = dict(line.split() for line in answer.read_text(encoding="ascii").splitlines())
		return {name: [found[f":{number}"] for number in numbers] for name, numbers in marks.items()}

	def _changes(self, spec: PatchSpec, changed: dict[str, _File | None]) -> bytes:
		"""Return what a patch does, as git fast-import takes it; changed holds what those before it did."""
		def there(path: str) -> _File:
			found = changed[path] if path in changed else self.file(path)
			if not found:
				raise UsageError(f"there is no file {path}")
			return found

		lines: list[bytes] = []
		for rename in spec.rename:
			changed[rename.new], changed[rename.old] = there(rename.old), None
			lines.append(_bytes(f"R {rename.old} {rename.new}\n"))
		for path in spec.delete:
			there(path)
			changed[path] = None
			lines.append(_bytes(f"D {path}\n"))
		touched: dict[str, _File] = {}

		def put(path: str, mode: str, content: bytes) -> None:
			touched[path] = changed[path] = _File(mode, content)

		if spec.mutant:
			if spec.mutant not in self.mutants:
				raise UsageError(f"there is no mutant {spec.mutant}")
			mutant = self.mutants[spec.mutant]
			put(mutant.file, there(mutant.file).mode, _replaced(there(mutant.file).content, mutant.old, mutant.new, mutant.file))
		for edit in spec.edit:
			put(edit.file, there(edit.file).mode, _replaced(there(edit.file).content, edit.old, edit.new, edit.file))
		for chmod in spec.chmod:
			put(chmod.file, chmod.mode, there(chmod.file).content)
		for create in spec.create:
			put(create.file, create.mode, bytes.fromhex(create.hex) if create.hex else _bytes(create.text))
		for path, file in touched.items():
			if file.mode == "160000":
				lines.append(_bytes(f"M 160000 {file.content.decode()} {path}\n"))
			else:
				lines.append(_bytes(f"M {file.mode} inline {path}\ndata {len(file.content)}\n") + file.content + b"\n")
		return b"".join(lines)

	def _patch_ids(self, mails: Sequence[Mail]) -> dict[str, str]:
		"""Return patch-ids by the commits that mails name in their first line."""
		text = b"".join(map(bytes, mails)).decode("utf-8", "surrogateescape")
		pairs = (line.split() for line in self.git("patch-id", "--stable", stdin=text).splitlines()) if mails else ()
		return {commit: name for name, commit in pairs}


@contextmanager
def _named(entry: Entry) -> Iterator[None]:
	try:
		yield
	except UsageError as error:
		raise UsageError(f"input {entry.name}: {error}") from error


def _conversation(entry: Entry, mails: Sequence[Mail]) -> list[Mail]:
	"""Return all mails as they are given: cover letter, patches, replies, each after what became of it."""
	def forms(number: int) -> tuple[str, ...]:
		return entry.form if not entry.formed or number in entry.formed else ()

	told = [_formed(_cover(entry, mails), forms(0))] if entry.cover else []
	for place, number in enumerate(entry.given):
		again = number in entry.given[:place]
		told.append(_formed(mails[number - 1], entry.again if again and entry.again else forms(number)))
		told += [_formed(_reply(entry, mails[number - 1], reply, index), reply.form or forms(0))
			 for index, reply in enumerate(entry.reply, 1) if reply.to == number and not again]
	return told


def _formed(mail: Mail, forms: Sequence[str]) -> Mail:
	"""Return what becomes of a mail."""
	for name in forms:
		if name not in FORMS:
			raise UsageError(f"there is no form {name}; there are: {', '.join(FORMS)}")
		mail = FORMS[name](mail)
	return mail


def _message(spec: PatchSpec) -> str:
	signers = (spec.author,) if spec.signed_off_by is None else spec.signed_off_by
	trailers = [*spec.trailers, *(f"Signed-off-by: {signer}" for signer in signers)]
	return "\n\n".join([spec.subject, spec.body.strip("\n"), *(["\n".join(trailers)] if trailers else [])]) + "\n"


def _replaced(content: bytes, old: str, new: str, path: str) -> bytes:
	found = content.count(_bytes(old))
	if found != 1:
		raise UsageError(f"its `old` stands {found} times in {path}, not once: {old.strip()[:60]!r}")
	return content.replace(_bytes(old), _bytes(new))


def _message_id(entry: Entry, number: int) -> str:
	return f"<{WRITTEN:%Y%m%d%H%M%S}.{number}.{entry.name}@example.org>"


def _cover(entry: Entry, mails: Sequence[Mail]) -> Mail:
	spec = entry.patches[0]
	total = len(mails)
	headers = (f"From: {spec.author}\nDate: {format_datetime(WRITTEN)}\n"
		   f"Subject: [{entry.cover_prefix or f'{entry.prefix} 0/{total}'}] {entry.cover.splitlines()[0]}\n"
		   f"Message-ID: {_message_id(entry, 0)}\n")
	subjects = "".join(f"  {patch.subject}\n" for patch in entry.patches)
	body = f"{entry.cover.partition(chr(10))[2].strip()}\n\n{spec.author.partition(' <')[0]} ({total}):\n{subjects}\n-- \n{SIGNATURE}\n"
	return Mail(f"From {NOWHERE} Mon Sep 17 00:00:00 2001\n".encode(), headers.encode(), body.encode())


def _reply(entry: Entry, mail: Mail, reply: Reply, index: int) -> Mail:
	parent = next(line for line in mail.headers.splitlines() if line.startswith(b"Message-ID: ")).partition(b" ")[2]
	headers = (f"From: Robin Reviewer <robin@example.org>\nDate: {format_datetime(WRITTEN + timedelta(hours=index))}\n"
		   .encode() + b"Subject: " + reply.prefix.encode() + mail.subject + b"\n"
		   + f"Message-ID: <reply.{index}.{entry.name}@example.org>\n".encode() + b"In-Reply-To: " + parent + b"\n")
	quoted = b"".join(b"> " + line + b"\n" for line in mail.body.splitlines()) + b"\n" if reply.quotes else b""
	return Mail(f"From {NOWHERE} Mon Sep 17 00:00:00 2001\n".encode(), headers, quoted + reply.text.encode())


def _deliver(entry: Entry, sent: Sequence[Mail], folder: Path) -> tuple[tuple[str, ...], Path | None]:
	"""Write an input to folder; return the arguments of the gate for it, and what it reads from a pipe."""
	folder.mkdir(parents=True)
	files: dict[str, bytes] = {raw.file: raw.content for raw in entry.raw}
	if entry.deliver in ("mbox", "stdin") and sent:
		files["series.mbox"] = b"".join(map(bytes, sent))
	elif sent:
		files |= {_name(mail, number, entry.deliver): bytes(mail) for number, mail in enumerate(sent, 1)}
	if entry.deliver == "maildir":
		for part in ("cur", "new", "tmp"):
			(folder / part).mkdir()
	for name, content in files.items():
		(folder / name).parent.mkdir(parents=True, exist_ok=True)
		(folder / name).write_bytes(content)
	if entry.deliver == "stdin":
		return ("-",), folder / next(iter(files))
	if entry.deliver in ("directory", "maildir"):
		return (str(folder),), None
	return tuple(str(folder / name) for name in files), None


def _name(mail: Mail, number: int, deliver: str) -> str:
	if deliver == "maildir":
		return f"new/{1767607200 + number}.M{number}P1.example"
	title = re.sub(rb"^\[[^\]]*\]\s*", b"", mail.subject).decode("ascii", "replace")
	suffix = ".patch.gz" if mail.packed and mail.packed.startswith(b"\x1f\x8b") else ".patch"
	return f"{number:04d}-{re.sub(r'[^A-Za-z0-9]+', '-', title).strip('-')[:52]}{suffix}"


def _bytes(text: str) -> bytes:
	return text.encode("utf-8", "surrogateescape")
