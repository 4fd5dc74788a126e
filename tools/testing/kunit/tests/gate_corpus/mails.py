# SPDX-License-Identifier: GPL-2.0
"""What becomes of a patch on its way: mails as git format-patch writes them, and what mailers make of them."""

import base64
import gzip
import email.header
import quopri
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace

BOUNDARY = b"------------8<------------"
WIDTH = 72		# columns at which mailers wrap lines
MIME = re.compile(rb"^(?:MIME-Version|Content-\S+): .*\n", re.MULTILINE)


@dataclass(frozen=True)
class Mail:
	"""A mail; `packed`, if there, is what has become of it as a whole."""
	separator: bytes	# the line that begins it in an mbox
	headers: bytes		# with the newline after each
	body: bytes
	packed: bytes | None = field(default=None, repr=False)

	@classmethod
	def parse(cls, content: bytes) -> "Mail":
		"""Read a mail of git format-patch."""
		head, _, body = content.partition(b"\n\n")
		separator, _, headers = head.partition(b"\n")
		return cls(separator + b"\n", headers + b"\n", body)

	def __bytes__(self) -> bytes:
		return self.separator + self.headers + b"\n" + self.body if self.packed is None else self.packed

	def with_headers(self, *lines: str) -> "Mail":
		"""Return it with more headers."""
		return replace(self, headers=self.headers + "".join(f"{line}\n" for line in lines).encode())

	@property
	def commit(self) -> str:
		"""The commit that the mail was made of."""
		return self.separator.split()[1].decode()

	@property
	def subject(self) -> bytes:
		"""The header with the subject as it stands there, folded or not, without its name."""
		match = re.search(rb"^Subject: (.*(?:\n[ \t].*)*)\n", self.headers, re.MULTILINE)
		assert match
		return match[1]


def _mime(mail: Mail, kind: str, encoding: str, body: bytes) -> Mail:
	"""Return a mail with another body and the headers that say how to read it."""
	bare = replace(mail, headers=MIME.sub(b"", mail.headers), body=body)
	return bare.with_headers("MIME-Version: 1.0", f"Content-Type: {kind}", f"Content-Transfer-Encoding: {encoding}")


def _parts(mail: Mail, *parts: tuple[str, bytes]) -> Mail:
	body = b"This is a multi-part message in MIME format.\n"
	for headers, content in parts:
		body += b"--" + BOUNDARY + b"\n" + headers.encode() + b"\n\n" + content + b"\n"
	return _mime(mail, f'multipart/mixed; boundary="{BOUNDARY.decode()}"', "8bit", body + b"--" + BOUNDARY + b"--\n")


TEXT = "Content-Type: text/plain; charset=UTF-8\nContent-Transfer-Encoding: 8bit"


def _apart(disposition: str) -> Callable[[Mail], Mail]:
	"""Message and diff are two parts, as git format-patch --attach and --inline have it."""
	def form(mail: Mail) -> Mail:
		message, diff = _split(mail)
		return _parts(mail, (TEXT, message), (
			'Content-Type: text/x-patch; charset=UTF-8; name="the.patch"\nContent-Transfer-Encoding: 8bit\n'
			f'Content-Disposition: {disposition}; filename="the.patch"', diff))
	return form


def _enclosed(mail: Mail) -> Mail:
	"""Somebody writes a mail and attaches the file that git format-patch has written."""
	outer = replace(mail, headers=re.sub(rb"^Subject: .*(?:\n[ \t].*)*\n", b"Subject: a patch for page migration\n",
					     mail.headers, flags=re.MULTILINE))
	return _parts(outer, (TEXT, b"Hello,\n\nplease find the patch attached.\n\nBest wishes\n"), (
		'Content-Type: text/x-patch; charset=UTF-8; name="0001.patch"\nContent-Transfer-Encoding: base64\n'
		'Content-Disposition: attachment; filename="0001.patch"', base64.encodebytes(bytes(mail))))


def _split(mail: Mail) -> tuple[bytes, bytes]:
	"""Return what stands before the diff, and the diff."""
	start = mail.body.index(b"diff --git ")
	return mail.body[:start], mail.body[start:]


def _flowed(mail: Mail) -> Mail:
	"""RFC 3676: long lines are broken behind a space, which stays, and lines that begin with one get another."""
	lines = []
	for line in mail.body.split(b"\n"):
		line = line if line == b"-- " else line.rstrip(b" ")
		rest = b" " + line if line.startswith((b" ", b">", b"From ")) else line
		while len(rest) > WIDTH and b" " in rest[1:WIDTH].strip():
			cut = rest.rindex(b" ", 1, WIDTH) + 1
			lines.append(rest[:cut])
			rest = rest[cut:]
			rest = b" " + rest if rest.startswith((b" ", b">", b"From ")) else rest
		lines.append(rest)
	return _mime(mail, "text/plain; charset=UTF-8; format=flowed", "8bit", b"\n".join(lines))


def _wrapped(mail: Mail) -> Mail:
	"""A mailer has broken long lines and does not tell."""
	def wrap(line: bytes) -> bytes:
		cut = line.rfind(b" ", 1, WIDTH)
		return line if len(line.expandtabs()) <= WIDTH or cut < 2 else line[:cut] + b"\n" + line[cut + 1:]
	message, diff = _split(mail)
	return replace(mail, body=message + b"\n".join(map(wrap, diff.split(b"\n"))))


def _truncated(mail: Mail) -> Mail:
	"""The mail ends in the middle of its last hunk."""
	hunk = mail.body.rindex(b"\n@@ ")
	lines = mail.body[hunk + 1:].split(b"\n")
	kept = lines[:3]
	return replace(mail, body=mail.body[:hunk + 1] + b"\n".join([*kept, lines[3][:len(lines[3]) // 2]]))


def _html(mail: Mail) -> Mail:
	text = mail.body.replace(b"&", b"&amp;").replace(b"<", b"&lt;").replace(b">", b"&gt;")
	lines = text.replace(b" ", b"&nbsp;").split(b"\n")
	return _mime(mail, "text/html; charset=UTF-8", "8bit", b"<html><body>" + b"<br>\n".join(lines) + b"</body></html>\n")


def _no_data(mail: Mail) -> Mail:
	"""A binary file without its content, as diff tools other than git have it."""
	name = re.search(rb"^diff --git a/(\S+) ", mail.body, re.MULTILINE)
	assert name
	start = mail.body.index(b"GIT binary patch")
	# A whole id would do where the file is known from elsewhere.
	head = re.sub(rb"^(index [0-9a-f]{12})[0-9a-f]*\.\.([0-9a-f]{12})[0-9a-f]*$", rb"\1..\2", mail.body[:start], flags=re.MULTILINE)
	return replace(mail, body=head + b"Binary files /dev/null and b/" + name[1] + b" differ\n")


LIST = "Linux-MM"
POST = "linux-mm@kvack.org"
FOOTER = f"_______________________________________________\n{LIST} mailing list\n{POST}\nhttps://lists.example.org/mm\n".encode()


def _header(mail: Mail, name: str) -> str:
	"""Return a header, decoded and unfolded."""
	match = re.search(rf"^{name}: (.*(?:\n[ \t].*)*)\n".encode(), mail.headers, re.MULTILINE)
	assert match
	return re.sub(r"\s+", " ", str(email.header.make_header(email.header.decode_header(match[1].decode()))))


def _without(mail: Mail, *names: str) -> Mail:
	"""Return a mail without some headers."""
	pattern = rf"^(?:{'|'.join(names)}): .*(?:\n[ \t].*)*\n".encode()
	return replace(mail, headers=re.sub(pattern, b"", mail.headers, flags=re.MULTILINE))


def _retitled(mail: Mail, title: bytes) -> Mail:
	"""Return a mail with another subject, as it is to stand in the header."""
	bare = _without(mail, "Subject")
	return replace(bare, headers=bare.headers + b"Subject: " + title + b"\n")


def _announced(mail: Mail) -> Mail:
	"""The mail that says that a patch was added to the -mm tree: a wrapper, and in it the patch as quilt keeps it."""
	title = re.sub(r"^(?:\[[^]]*\]\s*)+", "", _header(mail, "Subject"))
	name = re.sub(r"\W+", "-", title.encode("ascii", "ignore").decode()).strip("-")
	message, diff = _split(mail)
	diff = re.sub(rb"^(?:diff --git |index |(?:new|deleted) file mode ).*\n", b"", diff[:diff.rindex(b"-- \n")], flags=re.MULTILINE)
	diff = re.sub(rb"^--- a/(.*)$", rb"--- a/\1~" + name.encode(), diff, flags=re.MULTILINE).replace(b"\n+++ b/", b"\n+++ a/")
	wrapper = f"""

The patch titled
     Subject: {title}
has been added to the -mm mm-new branch.  Its filename is
     {name}.patch

This patch will shortly appear at
     https://git.example.org/25-new.git/tree/patches/{name}.patch

Before you just go and hit "reply", please:
   a) Consider who else should be cc'ed
   b) Prefer to cc a suitable mailing list as well

*** Remember to use Documentation/process/submit-checklist.rst when testing your code ***

------------------------------------------------------
From: {_header(mail, "From")}
Subject: {title}
Date: {_header(mail, "Date")}

"""
	footer = f"_\n\nPatches currently in -mm which might be from {_header(mail, 'From').partition('<')[2].strip('>')} are\n\n{name}.patch\n"
	outer = _retitled(_without(mail, "From"), f"+ {name}.patch added to mm-new branch".encode())
	return _mime(outer.with_headers("From: Andrew Morton <akpm@linux-foundation.org>"), "text/plain; charset=UTF-8", "8bit",
		     wrapper.encode() + message + diff + footer.encode())


def _munged(mail: Mail, *headers: str) -> Mail:
	"""A list has put itself in the place of the sender."""
	name = _header(mail, "From").partition(" <")[0]
	encoded = email.header.Header(f"{name} via {LIST}").encode()
	return _without(mail, "From").with_headers(f"From: {encoded} <{POST}>", *headers)


def _original(mail: Mail) -> str:
	match = re.search(rb"^From: (.*(?:\n[ \t].*)*)\n", mail.headers, re.MULTILINE)
	assert match
	return match[1].decode()


def _by_mailman(mail: Mail) -> Mail:
	"""Sender and subject are the list's, and there is a part more."""
	munged = _munged(mail, f"Reply-To: {_original(mail)}", f"List-Post: <mailto:{POST}>")
	munged = _retitled(munged, f"[{LIST}] ".encode() + munged.subject)
	return _parts(munged, (TEXT, mail.body), ("Content-Type: text/plain; charset=us-ascii\nContent-Disposition: inline", FOOTER))


def _listed(mail: Mail) -> Mail:
	"""The copy of a mail that comes through a list: tag, footer, no signature."""
	tagged = _retitled(mail, f"[{LIST}] ".encode() + mail.subject)
	return replace(tagged, body=FORMS["no-signature"](mail).body + FOOTER)


def _alternative(mail: Mail) -> Mail:
	"""Text, and the same as HTML."""
	both = _parts(mail, (TEXT, mail.body), ("Content-Type: text/html; charset=UTF-8\nContent-Transfer-Encoding: 8bit", _html(mail).body))
	return replace(both, headers=both.headers.replace(b"multipart/mixed", b"multipart/alternative"))


def _twice(attached: Callable[[Mail], bytes]) -> Callable[[Mail], Mail]:
	"""The patch is in the mail, and attached to it once more."""
	def form(mail: Mail) -> Mail:
		return _parts(mail, (TEXT, mail.body), (
			'Content-Type: text/x-patch; charset=UTF-8; name="the.patch"\nContent-Transfer-Encoding: base64\n'
			'Content-Disposition: attachment; filename="the.patch"', base64.encodebytes(attached(mail))))
	return form


def _forwarded(mail: Mail) -> Mail:
	"""Somebody hands on a mail as a part of another."""
	outer = _retitled(_without(mail, "From", "Message-ID"), b"please have a look")
	return _parts(outer.with_headers("From: Robin Reviewer <robin@example.org>"), (TEXT, b"Hello,\n\nis that right?\n"),
		      ("Content-Type: message/rfc822\nContent-Disposition: attachment", mail.headers + b"\n" + mail.body))


def _no_prefix(mail: Mail) -> Mail:
	"""As diff.noprefix has it."""
	body = re.sub(rb"^diff --git a/(\S+) b/(\S+)$", rb"diff --git \1 \2", mail.body, flags=re.MULTILINE)
	return replace(mail, body=re.sub(rb"^(--- |\+\+\+ )[ab]/", rb"\1", body, flags=re.MULTILINE))


def _with_header(name: str, value: str) -> Callable[[Mail], Mail]:
	return lambda mail: _without(mail, name).with_headers(f"{name}: {value}")


FORMS: dict[str, Callable[[Mail], Mail]] = {
	"quoted-printable": lambda mail: _mime(mail, "text/plain; charset=UTF-8", "quoted-printable", quopri.encodestring(mail.body)),
	"base64": lambda mail: _mime(mail, "text/plain; charset=UTF-8", "base64", base64.encodebytes(mail.body)),
	"latin1": lambda mail: _mime(mail, "text/plain; charset=ISO-8859-1", "8bit", mail.body.decode().encode("latin-1")),
	"flowed": _flowed,
	"attachment": _apart("attachment"),
	"inline-attachment": _apart("inline"),
	"enclosed-file": _enclosed,
	"no-signature": lambda mail: replace(mail, body=mail.body[:mail.body.rindex(b"-- \n")].rstrip(b"\n") + b"\n"),
	"no-final-newline": lambda mail: replace(mail, body=mail.body.rstrip(b"\n")),
	"crlf-body": lambda mail: replace(mail, body=mail.body.replace(b"\n", b"\r\n")),
	"bare-diff": lambda mail: replace(mail, packed=_split(mail)[1][:_split(mail)[1].rindex(b"-- \n")]),
	"truncated": _truncated,
	"no-body": lambda mail: replace(mail, body=b""),
	"no-diff": lambda mail: replace(mail, body=_split(mail)[0] + b"-- \n"),
	"wrapped": _wrapped,
	"spaces-for-tabs": lambda mail: replace(mail, body=mail.body.expandtabs()),
	"html": _html,
	"no-data": _no_data,
	"zero-bytes": lambda mail: replace(mail, body=mail.body.replace(b"\n+", b"\n+\0")),
	"zero-byte": lambda mail: replace(mail, body=mail.body + b"\0\n"),
	"announced": _announced,
	"munged": _by_mailman,
	"munged-original-from": lambda mail: _munged(mail, f"X-Original-From: {_original(mail)}"),
	"munged-in-body": lambda mail: replace(_munged(mail), body=f"From: {_header(mail, 'From')}\n\n".encode() + mail.body),
	"munged-for-good": _munged,
	"listed": _listed,
	"mboxrd": lambda mail: replace(mail, body=re.sub(rb"^(>*From )", rb">\1", mail.body, flags=re.MULTILINE)),
	"alternative": _alternative,
	"diff-twice": _twice(lambda mail: _split(mail)[1]),
	"patch-twice": _twice(bytes),
	"forwarded": _forwarded,
	"no-prefix": _no_prefix,
	"raw-subject": lambda mail: _retitled(mail, _header(mail, "Subject").encode()),
	"latin1-subject": lambda mail: _retitled(mail, _header(mail, "Subject").encode("latin-1")),
	"no-from": lambda mail: _without(mail, "From"),
	"garbled-from": _with_header("From", "=?utf-8?q?=3F=3F=3F?="),
	"broken-subject": lambda mail: _retitled(mail, mail.subject + b" =?utf-8?B?w6?="),
	"broken-message-id": _with_header("Message-ID", "=?utf-8?B?w6?="),
	"broken-date": _with_header("Date", "the day after tomorrow"),
	# Of all that the mail is by then.
	"crlf": lambda mail: replace(mail, packed=bytes(mail).replace(b"\n", b"\r\n")),
	"gzip": lambda mail: replace(mail, packed=gzip.compress(bytes(mail), mtime=0)),
}
# Git itself does not read these as mails.
NOT_MAILS = ("bare-diff", "gzip", "enclosed-file", "announced", "munged", "munged-original-from", "munged-for-good", "alternative", "diff-twice", "patch-twice",
	     "forwarded", "no-prefix", "latin1-subject", "listed")
