# SPDX-License-Identifier: GPL-2.0
"""Inputs of the gate whose verdict is known, as data (tools/testing/gate/*.toml).

An entry says what is changed in the kernel, in what form it reaches the gate, and what the gate has to say.
"""

import dataclasses
import re
import typing
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pinwait.log.results import LABELS, Outcome
from pinwait.mutation import corpus
from pinwait.util.errors import UsageError
from pinwait.util.project import PROJECT

CORPUS = PROJECT / "tools/testing/gate"
AUTHOR = "Casey Doe <casey@example.org>"
PASS, NOT_SEEN, FAIL, CANNOT_JUDGE = (LABELS[outcome] for outcome in Outcome)
OUTCOMES = {label: outcome for outcome, label in LABELS.items()}
DELIVERIES = ("mbox", "files", "directory", "maildir", "stdin")
BASES = ("", "composed", "kernel", "prerequisites", "unknown", "unknown-prerequisite")
# Why there can be no verdict; the tests hold git itself against it.
BECAUSE = ("no patch", "does not apply", "refused", "incomplete", "no author")
NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")

Record = TypeVar("Record")


@dataclass(frozen=True)
class Edit:
	"""A text that stands once in a file, and what takes its place."""
	file: str
	old: str
	new: str


@dataclass(frozen=True)
class Create:
	"""A file that is new; a symbolic link holds its target, a submodule its commit."""
	file: str
	text: str = ""
	hex: str = ""		# instead of text
	mode: str = "100644"


@dataclass(frozen=True)
class Rename:
	"""A file that gets another name."""
	old: str
	new: str


@dataclass(frozen=True)
class Chmod:
	"""A file that gets another mode."""
	file: str
	mode: str


@dataclass(frozen=True)
class PatchSpec:
	"""One patch: what it says and what it does."""
	subject: str
	body: str
	author: str = AUTHOR
	signed_off_by: tuple[str, ...] | None = None	# None: its author
	trailers: tuple[str, ...] = ()	# before these
	mutant: str = ""		# does what this one of tools/testing/mutants does
	edit: tuple[Edit, ...] = ()
	create: tuple[Create, ...] = ()
	delete: tuple[str, ...] = ()
	rename: tuple[Rename, ...] = ()
	chmod: tuple[Chmod, ...] = ()
	prefix: str = ""		# instead of the entry's
	beside: bool = False		# made from the base, not from what the patches before it leave
	answers: int = 0		# number of the patch that its mail answers; 0: the first mail
	replaced: bool = False		# another version takes its place: this one is sent, and not judged
	repeat: int = 1			# so many patches; {n} in its texts counts them

	def numbered(self, number: int) -> "PatchSpec":
		"""Return the number-th of a patch that is repeated."""
		def put(text: str) -> str:
			return text.replace("{n}", str(number))
		return dataclasses.replace(self, subject=put(self.subject), body=put(self.body), repeat=1,
					   edit=tuple(Edit(put(edit.file), put(edit.old), put(edit.new)) for edit in self.edit))


@dataclass(frozen=True)
class Raw:
	"""A file of the input, as it is; beside patches one that is to be passed over."""
	file: str
	text: str = ""
	hex: str = ""		# instead of text
	filler: str = ""	# behind the text
	times: int = 1		# how often

	@property
	def content(self) -> bytes:
		"""The bytes of the file."""
		head = bytes.fromhex(self.hex) if self.hex else self.text.encode()
		return head + self.filler.encode() * self.times


@dataclass(frozen=True)
class Reply:
	"""A mail that answers a patch."""
	to: int			# number of the patch
	text: str
	quotes: bool = True	# it quotes all of the patch
	prefix: str = "Re: "	# of its subject
	form: tuple[str, ...] = ()	# what becomes of it


@dataclass(frozen=True)
class Entry:
	"""One input and the verdict on it."""
	name: str
	why: str
	expect: str		# pass, not seen, fail, cannot judge
	patch: tuple[PatchSpec, ...] = ()
	raw: tuple[Raw, ...] = ()
	form: tuple[str, ...] = ()	# what becomes of each mail, one after the other (mails.FORMS)
	formed: tuple[int, ...] = ()	# only of these patches; (): of every mail
	again: tuple[str, ...] = ()	# what becomes of a mail that is given once more, instead
	deliver: str = "mbox"
	order: tuple[int, ...] = ()	# the patches as they are given; (): each once, as they are
	prefix: str = "PATCH"
	cover: str = ""			# text of a cover letter
	cover_prefix: str = ""		# instead of one with 0/n
	reply: tuple[Reply, ...] = ()
	base: str = ""			# what the trailer base-commit: names
	options: tuple[str, ...] = ()	# further ones of the gate
	first_failed: int = 0		# number of the first patch that fails
	check: str = ""			# that says so
	kind: str = ""			# of one of its findings
	says: str = ""			# pattern in the text of such a finding, or in the reason
	outcomes: tuple[str, ...] = ()	# of each patch
	told: str = ""			# pattern in what it says besides: why these profiles, remarks, what is not checked, reasons
	profiles: tuple[str, ...] = ()	# in which the suites run of any patch; none: any
	because: str = ""		# why there is no verdict
	slow: bool = False		# left out of samples

	@property
	def patches(self) -> list[PatchSpec]:
		"""The patches, with repeated ones spelled out."""
		return [spec.numbered(number) if spec.repeat > 1 else spec
			for spec in self.patch for number in range(1, spec.repeat + 1)]

	@property
	def given(self) -> tuple[int, ...]:
		"""The numbers of the patches in the order in which they are given."""
		return self.order or tuple(range(1, len(self.patches) + 1))

	@property
	def judged(self) -> list[int]:
		"""The numbers of the patches that are judged."""
		return [number for number, spec in enumerate(self.patches, 1) if number in self.given and not spec.replaced]


def load(folder: Path, names: Sequence[str] = ()) -> list[Entry]:
	"""Return the entries of a corpus, or those named.

	Raises UsageError for an entry that makes no sense, a name used twice, an unknown name.
	"""
	found: dict[str, Entry] = {}
	for file, tables in corpus.read(folder):
		if set(tables) != {"input"}:
			raise UsageError(f"{file}: there are to be tables [[input]] and nothing else")
		for table in tables["input"]:
			where = f"{file}: input {table.get('name', '?')}"
			entry: Entry = _record(Entry, table, where)
			if problem := _problem(entry):
				raise UsageError(f"{where}: {problem}")
			if entry.name in found:
				raise UsageError(f"{where}: there is another one of that name")
			found[entry.name] = entry
	return corpus.select(found, names, "input", folder)


def sample(entries: Sequence[Entry], count: int) -> list[Entry]:
	"""Return count entries, always the same, of those that are not slow: one of each verdict, others spread evenly."""
	quick = [entry for entry in entries if not entry.slow]
	first = {entry.expect: entry for entry in reversed(quick)}.values()
	chosen = [*first, *corpus.spread([entry for entry in quick if entry not in first], max(0, count - len(first)))]
	return [entry for entry in quick if entry in chosen][:count]


def _problem(entry: Entry) -> str:
	"""Say what does not fit together in an entry; "" if all does."""
	total = len(entry.patches)
	if not NAME.fullmatch(entry.name):
		return "its name is not made of small letters, digits and single hyphens"
	if entry.expect not in OUTCOMES or not set(entry.outcomes) <= set(OUTCOMES):
		return f"a verdict is one of {', '.join(OUTCOMES)}"
	for value, known, what in ((entry.deliver, DELIVERIES, "deliver"), (entry.base, BASES, "base")):
		if value not in known:
			return f"{what} is one of {', '.join(repr(name) for name in known)}"
	if entry.raw and entry.patch and entry.deliver != "directory":
		return "raw files lie beside patches in a directory only"
	if (not set(entry.given) <= set(range(1, total + 1)) or not {*entry.formed, *(spec.answers for spec in entry.patches)} <= set(range(total + 1))
	    or not {reply.to for reply in entry.reply} <= set(entry.given)):
		return f"there are only {total} patches"
	if (entry.expect == FAIL) != bool(entry.first_failed) or entry.first_failed > total:
		return "first_failed is the number of a patch if the verdict is fail, and is not there otherwise"
	if (entry.expect == CANNOT_JUDGE) != bool(entry.because) or entry.because and entry.because not in BECAUSE:
		return f"because is one of {', '.join(BECAUSE)} if there is no verdict, and is not there otherwise"
	if (entry.check or entry.kind) and entry.expect != FAIL or entry.says and entry.expect in (PASS, NOT_SEEN):
		return "only a patch that fails has a check and a kind, and one that passes says nothing"
	failed = entry.outcomes.index(FAIL) + 1 if FAIL in entry.outcomes else 0
	if entry.outcomes and (len(entry.outcomes) != len(entry.judged) or failed != entry.first_failed):
		return "outcomes are those of all patches, the first that fails where first_failed says"
	if entry.expect != CANNOT_JUDGE and not entry.patch:
		return "there is nothing that could be judged"
	for spec in entry.patches:
		if not (spec.mutant or spec.edit or spec.create or spec.delete or spec.rename or spec.chmod) and entry.because != "no patch":
			return f"the patch '{spec.subject}' changes nothing"
		if any(edit.old == edit.new for edit in spec.edit):
			return f"an edit of the patch '{spec.subject}' changes nothing"
	return ""


def _record(cls: type[Record], table: Any, where: str) -> Record:
	"""Return a dataclass made of a table. Raises UsageError for a key or a type that it does not have."""
	if not isinstance(table, dict):
		raise UsageError(f"{where}: {cls.__name__} is a table")
	hints = typing.get_type_hints(cls)
	needed = {field.name for field in dataclasses.fields(cls)
		  if field.default is dataclasses.MISSING}
	if not needed <= set(table) <= set(hints):
		odd = sorted(needed - set(table)) or sorted(set(table) - set(hints))
		raise UsageError(f"{where}: {cls.__name__} {'needs' if needed - set(table) else 'has no'} {', '.join(odd)}")
	return cls(**{key: _value(hints[key], value, f"{where}: {key}") for key, value in table.items()})


def _value(hint: Any, value: Any, where: str) -> Any:
	"""Return a value as the field it is for has it. Raises UsageError."""
	if typing.get_origin(hint) is not None and type(None) in typing.get_args(hint):
		hint = typing.get_args(hint)[0]
	if typing.get_origin(hint) is tuple:
		if not isinstance(value, list):
			raise UsageError(f"{where} is a list")
		return tuple(_value(typing.get_args(hint)[0], item, where) for item in value)
	if dataclasses.is_dataclass(hint):
		return _record(typing.cast(type[Any], hint), value, where)
	if type(value) is not hint:
		raise UsageError(f"{where} is a {hint.__name__}")
	return value
