# SPDX-License-Identifier: GPL-2.0
"""Untrusted mails: find them in files, folders, pipes and archives, separate them, and decode each to text.

A broken mail does not keep the others from being read: the fault is recorded in that mail.
"""

import binascii
import email
import email.errors
import email.policy
import email.utils
import gzip
import hashlib
import io
import quopri
import re
import shutil
import sys
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from email.message import Message
from pathlib import Path

from . import diffs
from ..util.errors import CannotJudge, UsageError
from ..util.proc import CommandFailed, run

LIMIT = 64 << 20	# bytes of input; no series for a mailing list comes near
SUFFIXES = (".patch", ".mbox", ".mbx", ".eml", ".diff", ".txt", ".gz")
COVER = ".cover"	# suffix of the cover letter that `b4 am` writes beside the mbox
BOM = "\N{ZERO WIDTH NO-BREAK SPACE}"
BARE_DIFF = re.compile(rb"\s*(?:diff --git |Index: |--- \S)")
# The line that begins a mail in an mbox: headers follow it. Similar lines may occur in the text of a mail.
SEPARATOR = re.compile(rb"^From \S.*\d:\d\d.*\d{4}\r?\n(?=[!-9;-~]+:|>From )", re.MULTILINE)
NAMED = re.compile(rb"^(?:from|subject|date|message-id):", re.MULTILINE | re.IGNORECASE)
QUOTED_FROM = re.compile(rb"^>(>*From )", re.MULTILINE)
MESSAGE_ID = re.compile(r"<?([^\s<>/@-][^\s<>/@]*@[^\s<>/@]+)>?")
IN_ADDRESS = re.compile(r"[^\s<>@-][^\s<>@]*@[^\s<>@]+")	# in the address of an archive, which writes slashes as %2F
WORD = re.compile(r"=\?([^?\s]+)\?([bq])\?([^?]*)\?=", re.IGNORECASE)
WORDS = re.compile(rf"{WORD.pattern}(?:\s*{WORD.pattern})*", re.IGNORECASE)
# Prefixes of answers and forwarded mails, in any language.
ANSWER = re.compile(r"\s*(?:re|aw|sv|vs|antw|antwort|odp|res|ynt|rif|fwd?|wg|tr)\s*(?:\[\d+\])?\s*[:：]", re.IGNORECASE)
ANY_WORD = re.compile(r"\s*[^\s\[\]:：]{1,12}\s*[:：]\s*\[")
VIA = re.compile(r"(.*?)\s+via(?:\s|$)")	# a list's way to say in whose name it sends
ONE_BYTE = re.compile(r"(?:iso-?8859|windows-125|cp125|us-ascii|ascii|latin)")
NOT_OF_MAILS = re.compile(r"(?:raw_)?unicode.escape|idna|punycode|undefined", re.IGNORECASE)	# Python's own codecs
# Exceptions of the email package for malformed headers and parts.
UNREADABLE = (email.errors.MessageError, LookupError, ValueError, TypeError, AttributeError, AssertionError, RecursionError)


@dataclass(frozen=True)
class Mail:
	"""One mail, or a bare diff, as far as it can be read."""
	source: str		# the file that holds it, for people
	place: str		# the file and the number of the mail in it
	sha256: str		# of the whole mail as it came
	title: str = ""		# the subject as it was sent
	sender: str = ""	# Name <address> of the sender, even if a list changed it; "" if unknown
	header: str = ""	# From:, unchanged
	message_id: str = ""
	parents: tuple[str, ...] = ()	# ids of the mails to which it is an answer
	date: str = ""		# in a form that git accepts
	text: str = ""		# message, and diff
	problem: str = ""	# why its text is unusable
	remark: str = ""	# other, harmless faults
	cut_at: str = ""	# the line after it that was taken for the beginning of the next mail
	bare: bool = False	# a diff without a message

	@property
	def answer(self) -> bool:
		"""Tell whether its subject marks it as an answer."""
		return bool(ANSWER.match(self.title) or self.parents and ANY_WORD.match(self.title))


def read(source: str, keep_cr: bool = False) -> list[Mail]:
	"""Return all mails of a file, a folder, a maildir, `-` for standard input, or the thread of a Message-ID.

	Raises UsageError for a missing source, CannotJudge for one that cannot be read or fetched, or is no file of mails.
	"""
	found: list[Mail] = []
	for name, packed in _files(source):
		content = _unpacked(name, packed)
		parts = _mails_of(content)
		for number, (raw, behind, whole) in enumerate(parts, 1):
			place = f"{name}, mail {number}" if len(parts) > 1 else name
			digest = hashlib.sha256(content if len(parts) == 1 else whole).hexdigest()
			found += [replace(mail, cut_at=behind) for mail in _parsed(raw, Mail(name, place, digest), keep_cr)]
	return found


def wanted_id(source: str) -> str:
	"""Return the Message-ID in a source, alone or in an address of an archive; "" if it has none."""
	if source == "-" or Path(source).exists():
		return ""
	url = urllib.parse.urlsplit(source)
	if url.scheme in ("http", "https"):
		words = [urllib.parse.unquote(word) for word in url.path.split("/")]
		return next((word for word in words if IN_ADDRESS.fullmatch(word)), "")
	found = MESSAGE_ID.fullmatch(source.removeprefix("id:"))
	return found[1] if found else ""


def _files(source: str) -> Iterator[tuple[str, bytes]]:
	"""Yield name and content of each file of a source; too long content is cut here, and refused later."""
	path = Path(source)
	if source == "-":
		yield "standard input", sys.stdin.buffer.read(LIMIT + 1)
	elif message_id := wanted_id(source):
		yield source, _fetched(message_id)
	elif path.is_dir():
		maildir = [path / name for name in ("cur", "new")]
		if all(part.is_dir() for part in maildir):
			files = sorted((file for part in maildir for file in part.iterdir() if file.is_file()), key=lambda file: file.name)
		else:
			files = sorted(file for file in path.iterdir() if file.is_file() and file.suffix in SUFFIXES)
		if not files:
			raise CannotJudge(f"{source} contains no file that ends in {', '.join(SUFFIXES)}")
		for file in files:
			yield from _with_cover(file)
	elif path.exists():
		yield from _with_cover(path)
	else:
		raise UsageError(f"{source} is no file, folder or Message-ID")


def _with_cover(path: Path) -> Iterator[tuple[str, bytes]]:
	"""Yield a file and, after an mbox of b4 am, its cover letter, which may name the base."""
	cover = path.with_suffix(COVER)
	for file in (path, cover) if path.suffix in (".mbx", ".mbox") and cover.is_file() else (path,):
		with open(file, "rb") as stream:
			yield str(file), stream.read(LIMIT + 1)


def _fetched(message_id: str) -> bytes:
	"""Return the thread of a mail as an mbox. Raises CannotJudge if b4 is missing or fails."""
	argv = ["b4", "-q", "mbox", "-o", "-", message_id]
	by_hand = f"`{' '.join(argv)} >thread.mbox`"
	if not shutil.which("b4"):
		raise CannotJudge(f"fetching the thread of {message_id} needs b4, which is not installed: install it, or run {by_hand} where "
		"it is installed, and give that file")
	try:
		thread = run(argv).encode("utf-8", "surrogateescape")
	except CommandFailed as error:
		said = error.output.strip().splitlines() or [f"exit code {error.returncode}"]
		raise CannotJudge(f"b4 cannot fetch the thread of {message_id} ({by_hand}): {said[-1]}") from error
	if not thread.strip():
		raise CannotJudge(f"b4 found no mail {message_id} ({by_hand})")
	return thread


def _unpacked(name: str, content: bytes) -> bytes:
	"""Return the content of a file, unpacked. Raises CannotJudge if it is too large."""
	if content.startswith(b"\x1f\x8b"):
		try:
			with gzip.GzipFile(fileobj=io.BytesIO(content)) as stream:
				content = stream.read(LIMIT + 1)
		except (OSError, EOFError, binascii.Error, ValueError) as error:
			raise CannotJudge(f"{name} cannot be unpacked: {error}") from error
	if len(content) > LIMIT:
		raise CannotJudge(f"{name} is larger than {LIMIT >> 20} MiB: too large for a patch for a mailing list")
	return content


def _mails_of(content: bytes) -> list[tuple[bytes, str, bytes]]:
	"""Return each mail of an mbox, the separator line after it, and the mail with the separator line before it."""
	content = content.removeprefix(BOM.encode())
	if not content.strip():
		return []
	if BARE_DIFF.match(content):
		return [(content, "", content)]
	content = content.lstrip()
	starts = [found for found in SEPARATOR.finditer(content) if not found.start() or NAMED.search(_headers_at(content, found.end()))]
	if content.startswith(b"From ") and (not starts or starts[0].start()):
		content = content.partition(b"\n")[2]	# that line may have any form
		starts = [found for found in SEPARATOR.finditer(content) if NAMED.search(_headers_at(content, found.end()))]
	ends = [*(found.start() for found in starts), len(content)]
	lines = [*(found[0].strip().decode("utf-8", "replace") for found in starts), ""]
	mails = [(content[:ends[0]], lines[0], content[:ends[0]])]
	mails += [(QUOTED_FROM.sub(rb"\1", content[found.end():end]), line, content[found.start():end])
		  for found, end, line in zip(starts, ends[1:], lines[1:])]
	return [(mail, line, whole) for mail, line, whole in mails if mail.strip()]


def _headers_at(content: bytes, start: int) -> bytes:
	"""Return the headers that begin at an offset."""
	return re.split(rb"\r?\n\r?\n", content[start:start + LIMIT // 64], maxsplit=1)[0]


def _parsed(raw: bytes, mail: Mail, keep_cr: bool) -> list[Mail]:
	"""Return a mail or, if patches are attached to it as mails, those instead."""
	if BARE_DIFF.match(raw):
		text = raw.decode("utf-8", "surrogateescape")
		return [replace(mail, text=_lines(text, keep_cr), bare=True, problem=_no_text(text))]
	try:
		message = email.message_from_bytes(raw, policy=email.policy.compat32)
		return _with_text(message, _headed(message, mail), keep_cr)
	except UNREADABLE as error:
		title = re.search(rb"^subject:(.*)", raw, re.MULTILINE | re.IGNORECASE)
		return [replace(mail, title=title[1].decode("utf-8", "replace").strip() if title else "", text=raw.decode("utf-8", "replace"),
				problem=f"it cannot be read as a mail: {error or type(error).__name__}")]


def _headed(message: Message, mail: Mail) -> Mail:
	"""Return a mail with the data of its headers."""
	fields: dict[str, str] = {}
	broken = []
	charset = _charset(message)
	for name, value in message.raw_items():
		if name.lower() not in fields:
			fields[name.lower()], whole = _decoded(str(value), charset)
			broken += [] if whole or name.lower() not in ("subject", "from", "message-id") else [f"its {name}: cannot be decoded"]
	date, readable = _date(fields.get("date", ""))
	broken += [] if readable else [f"its Date: is no date ('{fields['date']}')"]
	ids = [_id(fields.get("in-reply-to", "")), *reversed(re.findall(r"<([^<>\s]+)>", fields.get("references", "")))]
	return replace(mail, title=fields.get("subject", ""), sender=_sender(fields), header=fields.get("from", ""), date=date,
		       message_id=_id(fields.get("message-id", "")), parents=tuple(dict.fromkeys(filter(None, ids))), remark="; ".join(broken))


def _id(value: str) -> str:
	found = re.search(r"<\s*([^<>]+?)\s*>", value) or MESSAGE_ID.fullmatch(value)
	return found[1] if found else ""


def _date(value: str) -> tuple[str, bool]:
	"""Return a date in a form that git accepts, and True if the header is valid or absent."""
	try:
		parsed = email.utils.parsedate_to_datetime(value)
		return (email.utils.format_datetime(parsed), True) if 1970 < parsed.year < 2100 else ("", False)
	except UNREADABLE + (OverflowError,):
		return "", not value


def _sender(fields: dict[str, str]) -> str:
	"""Return the sender of a mail; if a list replaced it, the original sender from other headers, as far as they tell."""
	sender = fields.get("from", "")
	original = fields.get("x-original-from", "") or fields.get("x-google-original-from", "")
	if "@" in original:
		return original
	found = re.search(r"[^\s<>,\"]+@[^\s<>,\"]+", sender)
	if not found:
		return ""
	several = email.utils.getaddresses([sender])
	if len(several) > 1 and all("@" in address for _, address in several):
		return f"{several[0][0]} <{several[0][1]}>"
	name, address = sender.partition("<")[0].strip("\"' "), found[0]
	via = VIA.match(name)
	if not via and address not in fields.get("list-post", ""):
		return sender
	real = via[1].strip("\"' ") if via else name
	replies = email.utils.getaddresses([fields.get("reply-to", "")])
	others = replies + email.utils.getaddresses([fields.get("cc", "")])
	known = [other for named, other in others if named == real] + [other for named, other in replies if not named and len(replies) == 1]
	# Some lists merge the author's address and their own into one.
	known += [local.replace("=", "@") for local in [address.partition("@")[0]] if local.count("=") == 1]
	return next((f"{real} <{other}>" for other in known if "@" in other and other != address), "")


def _with_text(message: Message, mail: Mail, keep_cr: bool) -> list[Mail]:
	"""Return a mail with its text or, if it contains forwarded mails, those instead."""
	before: list[str] = []		# texts before the diff
	carriers: list[tuple[str, bool]] = []	# texts with a diff, and whether each is an attachment
	inside: list[Mail] = []
	whole = [message] if message.get_content_subtype() != "html" else []	# any other declared type
	for part in _leaves(message) if message.is_multipart() else whole:
		if part.get_content_type() == "message/rfc822":
			held = part.get_payload(0)
			inside += _with_text(held, _headed(held, mail), keep_cr)
			continue
		content, text = _content(part)
		text = _lines(text, keep_cr)
		attached = part.get_content_disposition() == "attachment" or bool(part.get_filename())
		if attached and _is_mail(text):
			for raw, _, _ in _mails_of(content):
				inside += [replace(one, message_id=one.message_id or mail.message_id, parents=one.parents or mail.parents,
						   title=f"Re: {one.title}" if mail.answer else one.title)
					   for one in _parsed(raw, Mail(mail.source, mail.place, mail.sha256), keep_cr)]
		elif diffs.holds_one(text):
			carriers.append((diffs.cut(text)[1] if attached else text, attached))
		elif not attached and not carriers:
			before.append(text)
	inside = [one for one in inside if one.problem or diffs.holds_one(one.text)]
	kinds: dict[str, str] = {}
	for text, _ in carriers:
		kinds.setdefault(diffs.essence(diffs.cut(text)[1]), text)
	different = "its text and its attachments contain different diffs: the gate cannot tell which one is meant"
	if inside:
		there = {diffs.essence(diffs.cut(one.text)[1]) for one in inside}
		return inside + ([replace(mail, text=carriers[0][0], problem=different)] if set(kinds) - there else [])
	told = "\n".join([*before, *kinds.values()])
	one_kind = len(kinds) < 2 or all(attached for _, attached in carriers)
	return [replace(mail, text=told, problem=_no_text(told) or ("" if one_kind else different))]


def _leaves(message: Message) -> Iterator[Message]:
	"""Yield the parts that hold text; of alternative forms, the plain one."""
	kind, parts = message.get_content_type(), message.get_payload()
	if not isinstance(parts, list) or kind == "message/rfc822":
		name = str(message.get_filename() or "")
		if message.get_content_maintype() == "text" and message.get_content_subtype() != "html" or kind == "message/rfc822" \
		   or name.endswith((".patch", ".diff")) or kind in ("application/x-patch", "application/x-diff"):
			yield message
		return
	if kind == "multipart/alternative":
		plain = [part for part in parts if part.get_content_type() == "text/plain"]
		parts = plain[:1] or [part for part in parts if part.is_multipart()][:1]
	for part in parts:
		yield from _leaves(part)


def _content(part: Message) -> tuple[bytes, str]:
	"""Return the decoded content of a part, as bytes and as text."""
	payload = part.get_payload(decode=True)
	content = payload if isinstance(payload, bytes) else b""
	text = _text(content, _charset(part)).removeprefix(BOM)
	if str(part.get_param("format", "")).lower() == "flowed":
		text = _unflowed(text, str(part.get_param("delsp", "")).lower() == "yes")
	return content, text


def _charset(part: Message) -> str:
	return str(part.get_content_charset() or "")


def _text(content: bytes, charset: str, last: str = "") -> str:
	"""Decode bytes in the named charset if that works, else in UTF-8, else in the last resort."""
	names = (charset, "utf-8", last)
	if ONE_BYTE.match(charset):
		# The charset is a mailer's guess, and text in a one-byte charset is valid UTF-8 only by chance.
		names = ("utf-8", charset, last)
	elif NOT_OF_MAILS.match(charset) or charset.startswith(("utf-16", "utf-32")) and b"\0" not in content:
		names = ("", "utf-8", last)
	for name in filter(None, names):
		try:
			return content.decode(name)
		except (LookupError, ValueError):
			continue
	return content.decode("utf-8", "surrogateescape")


def _unflowed(text: str, delsp: bool) -> str:
	"""Undo format=flowed (RFC 3676), as git does."""
	lines, held = [], ""
	for line in text.replace("\r\n", "\n").split("\n"):
		if line == "-- ":
			lines += [held, line] if held else [line]
			held = ""
			continue
		line = line.removeprefix(" ")
		if line.endswith(" "):
			held += line[:-1] if delsp else line
			continue
		lines.append(held + line)
		held = ""
	return "\n".join([*lines, *([held] if held else [])])


def _lines(text: str, keep_cr: bool) -> str:
	return text if keep_cr else text.replace("\r\n", "\n")


def _no_text(text: str) -> str:
	return "is no text: it contains zero bytes" if "\0" in text else ""


def _is_mail(text: str) -> bool:
	"""Tell whether an attachment is a mail with a patch, as git format-patch writes it."""
	head = text.lstrip().partition("\n\n")[0]
	return all(re.search(rf"^{name}: ", head, re.MULTILINE) for name in ("From", "Subject")) and diffs.holds_one(text) \
		and not diffs.holds_one(head)


def _decoded(value: str, charset: str) -> tuple[str, bool]:
	"""Return a decoded header on one line, and whether all of it could be decoded."""
	raw = value.encode("utf-8", "surrogateescape")
	text = _text(raw, "utf-8" if _is_utf8(raw) else charset, "latin-1")
	whole = True

	def words(run_of: re.Match[str]) -> str:
		nonlocal whole
		pieces: list[tuple[str, bytes]] = []
		try:
			for name, encoding, word in WORD.findall(run_of[0]):
				content = binascii.a2b_base64(word + "=" * (-len(word) % 4)) if encoding in "bB" else \
					quopri.decodestring(word.encode(), header=True)
				name = name.partition("*")[0].lower()
				# A multi-byte character may be split between two encoded words.
				if pieces and pieces[-1][0] == name:
					content = pieces.pop()[1] + content
				pieces.append((name, content))
			return "".join(_word(content, name) for name, content in pieces)
		except ValueError:
			whole = False
			return run_of[0]
	text = WORDS.sub(words, text)
	return re.sub(r"[\s\x00-\x1f\x7f]+", " ", text).strip(), whole


def _word(content: bytes, charset: str) -> str:
	"""Decode a word of a header. Raises ValueError if it is neither in the named charset nor in UTF-8."""
	try:
		return content.decode(charset)
	except (LookupError, ValueError):
		return content.decode()


def _is_utf8(raw: bytes) -> bool:
	try:
		raw.decode()
		return True
	except UnicodeDecodeError:
		return False
