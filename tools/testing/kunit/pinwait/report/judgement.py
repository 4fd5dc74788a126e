# SPDX-License-Identifier: GPL-2.0
"""The gate's judgement: of a series, of each patch, by each check.

Plain data and nothing else; judgement.json (schema/judgement.schema.json) is its serialised form, from
which shards of one judgement are joined. All times are in seconds.
"""

import enum
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..log.results import EXIT_CODES, Outcome, PatchId

SCHEMA = Path(__file__).parent / "schema/judgement.schema.json"
SCHEMA_VERSION = 2
PLACE = re.compile(r"\s*(?:\[[^\]]*\]\s*)*?\[[^\]]*?(\d+)/(\d+)[^\]]*\]")		# a patch's number in its series, from its subject


class Change(enum.Enum):
	"""How a finding relates to the state before the patch."""
	NEW = "new"
	FIXED = "fixed"
	PRE_EXISTING = "pre-existing"


@dataclass(frozen=True)
class Seen:
	"""In how many of a number of boots a finding was seen."""
	times: int
	boots: int

	def __str__(self) -> str:
		return f"{self.times}/{self.boots}"


@dataclass(frozen=True)
class Finding:
	"""One finding of a check."""
	kind: str		# error, warning, case, splat, ending, suite, weakened, trailer, ...
	id: str			# its identity, which survives moved lines
	change: Change
	held: bool		# it fails the patch; otherwise it is informational
	text: str		# the failing case's text, the log's lines, the compiler's message
	where: str = ""		# file:line, or suite.case, "" without a place
	before: Seen | None = None	# how often without the patch, if boots were repeated
	after: Seen | None = None	# how often with it


@dataclass
class Check:
	"""One check's judgement on one patch."""
	name: str		# apply, static, stubs, coverage, or a profile
	outcome: Outcome
	reason: str		# one sentence
	findings: list[Finding] = field(default_factory=list)
	counts: dict[str, int] = field(default_factory=dict)	# cases by status
	seconds: float = 0.0
	cached: bool = False	# taken from an earlier judgement of the same kernel
	log: str = ""		# folder with the logs, relative to the results folder
	command: str = ""	# reproduces this check of this patch

	@property
	def held(self) -> list[Finding]:
		"""The findings that fail the patch."""
		return [finding for finding in self.findings if finding.held]


@dataclass
class Covered:
	"""The lines of code that a patch changes in a file, and which of them were executed."""
	file: str
	executed: list[int] = field(default_factory=list)
	missed: list[int] = field(default_factory=list)
	uncompiled: list[int] = field(default_factory=list)	# no code in this configuration
	removed: list[int] = field(default_factory=list)	# executed lines that it removes, by their numbers before it
	unmeasured: list[int] = field(default_factory=list)	# compiled, but nobody knows whether they were executed
	elsewhere: list[int] = field(default_factory=list)	# those of executed that UML does not execute
	functions: list[str] = field(default_factory=list)	# in which the lines are, and in which bugs were planted for the record
	planted: int = 0	# how many of these count
	noticed: int = 0	# how many of these the suites noticed
	blind: list[str] = field(default_factory=list)	# what no case is about there


@dataclass
class PatchJudgement:
	"""The judgement on one patch, from all checks."""
	number: int		# from 1, in the order of the series
	subject: str
	author: str
	file: str		# the patch's origin, for people
	message_id: str
	sha256: str		# of the diff as it was applied
	patch_id: str		# git patch-id --stable
	checks: list[Check] = field(default_factory=list)
	covered: list[Covered] | None = None	# None: not measured
	mail_sha256: str = ""	# of the whole mail, or file with a diff, as it came
	omitted: dict[str, str] = field(default_factory=dict)	# checks that were not made of it, and why

	@property
	def outcome(self) -> Outcome:
		"""The outcome of the worst check; pass if all that were to be made turned out not to be needed."""
		return worst(check.outcome for check in self.checks) if self.checks or not self.omitted else Outcome.PASS

	@property
	def reason(self) -> str:
		"""The reason of the deciding check; of several the last, because the suites come after the checks of the text."""
		outcome = self.outcome
		return next((f"{check.name}: {check.reason}" for check in reversed(self.checks) if check.outcome is outcome),
			    "; ".join(f"{name}: {why}" for name, why in self.omitted.items()) or "no check was made")


@dataclass
class Judgement:
	"""The whole judgement."""
	kernel: str		# version
	base: str		# the base, for people
	base_commit: str
	choice: list[str]	# why this base and these profiles, line by line
	series: str		# of the project, applied before the patches; none
	before: list[PatchId]	# the patches of that series
	profiles: list[str]	# in which the suites were run of any patch
	checks: list[str]	# the requested checks of each patch; some may be needed for none
	command: str		# reproduces the whole
	started: str		# ISO 8601, UTC
	compiler: str
	isolation: str		# the sandbox of the patched code, "" if there was none
	patches: list[PatchJudgement] = field(default_factory=list)
	problem: str = ""	# why there is no judgement at all, such as bad input or a broken base
	nearest: str = ""	# a base to which the patches do apply, if they do not apply to the chosen one
	not_checked: list[str] = field(default_factory=list)	# omitted parts, and why
	seconds: dict[str, float] = field(default_factory=dict)	# by stage, and "total"
	shard: str = ""		# i/n, "" for all
	only: int = 0		# number of the only patch to judge, 0 for all
	tool: str = ""		# version of the tool: its commit
	ended: int = 0		# exit code of a gate that ended by wrong use, an interruption, or an error before it began; else 0
	report_url: str = ""	# where judgement.html will be published

	@property
	def tried(self) -> list[PatchJudgement]:
		"""The patches that this judgement covers; a shard covers only its own."""
		return [patch for patch in self.patches if patch.checks or patch.omitted or not (self.shard or self.only)]

	def not_made(self, patch: PatchJudgement) -> list[str]:
		"""Return the requested checks of a patch that have no result here."""
		there = {check.name for check in patch.checks}
		if "apply" in there or self.shard or self.only not in (0, patch.number):
			return []
		return [name for name in self.checks if name not in there and name not in patch.omitted]

	@property
	def outcome(self) -> Outcome:
		"""The outcome of the worst patch. A failure stays a failure, whatever broke afterwards."""
		if self.first_failed:
			return Outcome.FAIL
		if self.problem or not self.patches or any(map(self.not_made, self.tried)):
			return Outcome.CANNOT_JUDGE
		return worst(patch.outcome for patch in self.tried)

	@property
	def first_failed(self) -> PatchJudgement | None:
		"""The first patch that is at fault."""
		return next((patch for patch in self.patches if patch.outcome is Outcome.FAIL), None)

	@property
	def reason(self) -> str:
		"""The reason for the outcome, in one sentence."""
		failed, total = self.first_failed, len(self.patches)
		if failed:
			broke = f"; then the gate ended early: {self.problem}" if self.problem else ""
			return f"{self.naming(failed)} fails ({failed.subject}): {failed.reason}{broke}"
		if self.problem or not self.patches:
			return self.problem or "there is no patch"
		doubt = next((patch for patch in self.tried if patch.outcome is Outcome.CANNOT_JUDGE or self.not_made(patch)), None)
		if doubt:
			why = doubt.reason if doubt.outcome is Outcome.CANNOT_JUDGE else f"{self.not_made(doubt)[0]}: was not made"
			return f"{self.naming(doubt)} cannot be judged ({doubt.subject}): {why}"
		tried = len(self.tried)
		if not tried:
			return "this shard has no patch"
		unseen = [patch for patch in self.tried if patch.outcome is Outcome.NOT_SEEN]
		if unseen:
			more = f"; nor patch {', '.join(str(patch.number) for patch in unseen[1:])}" if unseen[1:] else ""
			return f"{self.naming(unseen[0])} is not seen ({unseen[0].subject}): {unseen[0].reason}{more}"
		of = f" of {total}" if tried < total else ""
		return f"{tried}{of} patch{'es' if total > 1 else ''}, no regression found by {', '.join(self._looks()) or 'any check, because none was needed'}"

	def naming(self, patch: PatchJudgement) -> str:
		"""Name a patch without contradicting its own number in its series."""
		total = len(self.patches)
		place = PLACE.match(patch.subject)
		given = "" if not place or (int(place[1]), int(place[2])) == (patch.number, total) else "the "
		return "the patch" if total == 1 else f"patch {patch.number} of {given}{total}{' given' if given else ''}"

	def _looks(self) -> list[str]:
		"""Name the checks that were made, and how much of the change and of the suites they covered."""
		covered = [file for patch in self.tried for file in patch.covered or ()]
		executed = sum(len(file.executed) for file in covered)
		lines = executed + sum(len(file.missed) for file in covered)
		removed = sum(len(file.removed) for file in covered)
		named = []
		for name in dict.fromkeys(check.name for patch in self.tried for check in patch.checks):
			ran = max((check.counts.get("pass", 0) for patch in self.tried for check in patch.checks if check.name == name), default=0)
			seen = f" ({ran} cases)" if ran else ""
			if name == "coverage" and covered:
				seen = f"{executed} of {lines} changed lines executed" if lines else f"{removed} removed lines were executed"
				seen = f" ({'; '.join([seen, *known_of(covered)])})"
			named.append(f"{name}{seen}")
		return named

	@property
	def exit_code(self) -> int:
		"""0 pass or not seen, 1 fail, 2 cannot judge; 64 after wrong use, 130 after an interruption."""
		return self.ended or EXIT_CODES[self.outcome]


def known_of(covered: Sequence[Covered]) -> list[str]:
	"""Say how many bugs that were planted in the changed functions are noticed, and what no case is about there."""
	functions = [name for file in covered for name in file.functions]
	planted, noticed = (sum(getattr(file, name) for file in covered) for name in ("planted", "noticed"))
	where = functions[0] if len(functions) == 1 else f"{len(functions)} changed functions"
	told = [f"{noticed} of {planted} bugs planted in {where} are noticed"] if planted else []
	blind = dict.fromkeys(what for file in covered for what in file.blind)
	return [*told, *(f"no case is about {what}" for what in blind)]


WORST_FIRST = (Outcome.FAIL, Outcome.CANNOT_JUDGE, Outcome.NOT_SEEN, Outcome.PASS)


def worst(outcomes: Iterable[Outcome]) -> Outcome:
	"""Return the worst of outcomes; CANNOT_JUDGE if there are none."""
	return min(outcomes, key=WORST_FIRST.index, default=Outcome.CANNOT_JUDGE)


def to_json(judgement: Judgement) -> dict[str, Any]:
	"""Return the content of judgement.json."""
	def plain(value: Any) -> Any:
		if isinstance(value, enum.Enum):
			return value.value
		if isinstance(value, dict):
			return {key: plain(item) for key, item in value.items()}
		return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value

	content: dict[str, Any] = plain(asdict(judgement))
	for patch, entry in zip(judgement.patches, content["patches"]):
		entry |= {"outcome": patch.outcome.value, "reason": patch.reason}
	failed = judgement.first_failed
	return {"schema_version": SCHEMA_VERSION, "kind": "judgement",
		"verdict": {"outcome": judgement.outcome.value, "reason": judgement.reason,
			    "exit_code": judgement.exit_code, "first_failed": failed.number if failed else None},
		**content}


def from_json(content: dict[str, Any]) -> Judgement:
	"""Return the judgement that to_json() wrote. Raises KeyError, TypeError or ValueError for anything else."""
	if content["kind"] != "judgement" or content["schema_version"] != SCHEMA_VERSION:
		raise ValueError(f"this is no judgement of schema version {SCHEMA_VERSION}")
	fields = {name: value for name, value in content.items() if name not in ("schema_version", "kind", "verdict")}
	fields["before"] = [PatchId(**patch) for patch in fields["before"]]
	fields["patches"] = [_patch(patch) for patch in fields["patches"]]
	return Judgement(**fields)


def _patch(content: dict[str, Any]) -> PatchJudgement:
	fields = {name: value for name, value in content.items() if name not in ("outcome", "reason")}
	fields["checks"] = [_check(check) for check in fields["checks"]]
	if fields["covered"] is not None:
		fields["covered"] = [Covered(**file) for file in fields["covered"]]
	return PatchJudgement(**fields)


def _check(content: dict[str, Any]) -> Check:
	fields: dict[str, Any] = {**content, "outcome": Outcome(content["outcome"])}
	fields["findings"] = [_finding(finding) for finding in content["findings"]]
	return Check(**fields)


def _finding(content: dict[str, Any]) -> Finding:
	fields: dict[str, Any] = {**content, "change": Change(content["change"])}
	for name in ("before", "after"):
		fields[name] = Seen(**content[name]) if content[name] else None
	return Finding(**fields)
