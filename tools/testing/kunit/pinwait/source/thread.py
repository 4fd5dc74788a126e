# SPDX-License-Identifier: GPL-2.0
"""The relations of the mails of a thread: the data in their subjects, and which mails are only answers."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from . import diffs
from .mails import ANSWER, Mail

NUMBER = re.compile(r"(?<![\d/.])(\d{1,4}) ?(?:/| of ) ?(\d{1,4})(?![\d/.])")
# Not a kernel's version, as in v6.12.
VERSION = re.compile(r"(?<![a-z\d.])(?:(?:patch(?:es|set)?|rfc|resend)[-_]?)?v(\d+)(?:(?![\w.])|(?=patch))", re.IGNORECASE)
PATCH = re.compile(r"\bpatch(?:es|set)?(?:v?\d|\b)|\d(?=patch)|\brfc|\bresend\b", re.IGNORECASE)


@dataclass(frozen=True)
class Title:
	"""The data in a subject."""
	subject: str		# without brackets that describe only the mail
	tells: bool = False	# it had such brackets
	number: int = 0		# n of [PATCH n/m], 0 without (and for a cover letter)
	total: int = 0		# m, 0 without
	version: int = 1

	@property
	def cover(self) -> bool:
		"""Tell whether it is a cover letter's."""
		return bool(self.total) and not self.number


def title(text: str) -> Title:
	"""Parse a subject: number and version may stand anywhere in its leading brackets."""
	text = ANSWER.sub("", text).strip()
	brackets = list(_brackets(text))
	telling = [index for index, (words, _) in enumerate(brackets) if any(kind.search(words) for kind in (PATCH, NUMBER, VERSION))]
	if not telling:
		return Title(text)
	# Later brackets belong to the subject.
	words = " ".join(words for words, _ in brackets[:telling[-1] + 1])
	numbers, versions = NUMBER.findall(words), VERSION.findall(words)
	number, total = map(int, numbers[-1]) if numbers else (0, 0)
	return Title(text[brackets[telling[-1]][1]:].lstrip(": "), True, number, total, int(versions[-1]) if versions else 1)


def _brackets(text: str) -> Iterator[tuple[str, int]]:
	"""Yield the content of each leading pair of brackets, and where it ends; nested brackets count as blanks."""
	at = 0
	while text[at:at + 1] == "[":
		depth = 0
		for end in range(at, len(text)):
			depth += (text[end] == "[") - (text[end] == "]")
			if not depth:
				break
		else:
			return
		yield re.sub(r"[\[\]]", " ", text[at + 1:end]), end + 1
		at = end + 1
		at += len(text[at:]) - len(text[at:].lstrip())


def without_answers(mails: Sequence[Mail], notes: list[str]) -> list[Mail]:
	"""Return the mails that are no answers; add to notes the answers that have a diff or could not be read completely."""
	there = {mail.message_id: mail for mail in mails if mail.message_id}
	kept = []
	for mail in mails:
		if not mail.answer and not _answers(mail, there):
			kept.append(mail)
		elif mail.problem or mail.remark:
			notes.append(f"left out, an answer: '{mail.title}' ({mail.place}): {mail.problem or mail.remark}")
		elif diffs.holds_one(mail.text):
			notes.append(f"left out, an answer: '{mail.title}'")
	return kept


def _answers(mail: Mail, there: Mapping[str, Mail]) -> bool:
	"""Tell whether a mail that is not marked as an answer is one: to another sender's mail, and not a patch with another number
	or version."""
	parent = next((there[name] for name in mail.parents if name in there), None)
	if not parent or parent is mail or not mail.header or parent.header == mail.header:
		return False
	own, theirs = title(mail.title), title(parent.title)
	if not own.tells:
		return theirs.tells or diffs.holds_one(parent.text)
	return diffs.holds_one(parent.text) and (own.number, own.total, own.version) == (theirs.number, theirs.total, theirs.version)
