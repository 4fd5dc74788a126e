# SPDX-License-Identifier: GPL-2.0
"""What the gate finds out: of a series, of each patch, by each check.

Plain data and nothing else; judgement.json (schema/judgement.schema.json) is this, written down, and
shards of one judgement are joined from it. All times are in seconds.
"""

import enum
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..log.results import EXIT_CODES, Outcome, PatchId

SCHEMA = Path(__file__).parent / "schema/judgement.schema.json"
SCHEMA_VERSION = 2
PLACE = re.compile(r"\s*(?:\[[^\]]*\]\s*)*?\[[^\]]*?(\d+)/(\d+)[^\]]*\]")		# of a patch in its series, as its subject has it


class Change(enum.Enum):
	"""How what was found stands to the state before the patch."""
	NEW = "new"
	FIXED = "fixed"
	PRE_EXISTING = "pre-existing"


@dataclass(frozen=True)
class Seen:
	"""In how many of a number of boots something was seen."""
	times: int
	boots: int

	def __str__(self) -> str:
		return f"{self.times}/{self.boots}"


@dataclass(frozen=True)
class Finding:
	"""One thing that a check found."""
	kind: str		# error, warning, case, splat, ending, suite, weakened, trailer, ...
	id: str			# what it is known by: stays the same when lines move
	change: Change
	held: bool		# held against the patch; otherwise for information
	text: str		# the failing case's text, the log's lines, the compiler's message
	where: str = ""		# file:line, or suite.case, "" where there is no place
	before: Seen | None = None	# how often without the patch, where boots were repeated
	after: Seen | None = None	# and with it


@dataclass
class Check:
	"""What one check says of one patch."""
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
		"""What is held against the patch."""
		return [finding for finding in self.findings if finding.held]


@dataclass
class Covered:
	"""The lines that a patch changes in a file, as far as they are code, and which were executed."""
	file: str
	executed: list[int] = field(default_factory=list)
	missed: list[int] = field(default_factory=list)
	uncompiled: list[int] = field(default_factory=list)	# no code in this configuration
	removed: list[int] = field(default_factory=list)	# that it removes, by their numbers before it, and that were executed


@dataclass
class PatchJudgement:
	"""What all checks say of one patch."""
	number: int		# from 1, in the order of the series
	subject: str
	author: str
	file: str		# where the patch came from, for people
	message_id: str
	sha256: str		# of the diff as it was applied
	patch_id: str		# git patch-id --stable
	checks: list[Check] = field(default_factory=list)
	covered: list[Covered] | None = None	# None: not measured
	mail_sha256: str = ""	# of the mail, or the file with a diff, whole and as it came

	@property
	def outcome(self) -> Outcome:
		"""That of the worst check."""
		return worst(check.outcome for check in self.checks)

	@property
	def reason(self) -> str:
		"""The reason of the check that decides: of several the last, for the suites come after the looks at the text."""
		outcome = self.outcome
		return next((f"{check.name}: {check.reason}" for check in reversed(self.checks) if check.outcome is outcome),
			    "nothing was checked")


@dataclass
class Judgement:
	"""The whole answer."""
	kernel: str		# version
	base: str		# what the patches were applied to, for people
	base_commit: str
	choice: list[str]	# why this base, line by line
	series: str		# of the project, applied before the patches; none
	before: list[PatchId]	# the patches of that series
	profiles: list[str]
	checks: list[str]	# every check that was to be made of each patch
	command: str		# reproduces the whole
	started: str		# ISO 8601, UTC
	compiler: str
	isolation: str		# what the patched code was kept in, "" if in nothing
	patches: list[PatchJudgement] = field(default_factory=list)
	problem: str = ""	# why there is no judgement at all: input, base
	nearest: str = ""	# a base that the patches do apply to, where the chosen one is not
	not_checked: list[str] = field(default_factory=list)	# what was left out, and why
	seconds: dict[str, float] = field(default_factory=dict)	# by stage, and "total"
	shard: str = ""		# i/n, "" for all
	only: int = 0		# number of the one patch that was to be judged, 0 for all
	tool: str = ""		# version of the tool: its commit
	ended: int = 0		# exit code of a gate that was used wrongly, interrupted, or ended before it began; else 0
	report_url: str = ""	# where judgement.html can be read

	@property
	def tried(self) -> list[PatchJudgement]:
		"""The patches that this is about: where it is only a part, those that fell to it."""
		return [patch for patch in self.patches if patch.checks or not (self.shard or self.only)]

	def not_made(self, patch: PatchJudgement) -> list[str]:
		"""Return the checks that were to be made of a patch here and have no result."""
		there = {check.name for check in patch.checks}
		if "apply" in there or self.shard or self.only not in (0, patch.number):
			return []
		return [name for name in self.checks if name not in there]

	@property
	def outcome(self) -> Outcome:
		"""That of the worst patch. What was found to fail stays so, whatever broke afterwards."""
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
		"""One sentence for the whole."""
		failed, total = self.first_failed, len(self.patches)
		if failed:
			broke = f"; then the gate broke off: {self.problem}" if self.problem else ""
			return f"{self.naming(failed)} fails ({failed.subject}): {failed.reason}{broke}"
		if self.problem or not self.patches:
			return self.problem or "there is no patch"
		doubt = next((patch for patch in self.tried if patch.outcome is Outcome.CANNOT_JUDGE or self.not_made(patch)), None)
		if doubt:
			why = doubt.reason if doubt.outcome is Outcome.CANNOT_JUDGE else f"{self.not_made(doubt)[0]}: was not made"
			return f"{self.naming(doubt)} cannot be judged ({doubt.subject}): {why}"
		tried = len(self.tried)
		if not tried:
			return "no patch fell to this part"
		unseen = [patch for patch in self.tried if patch.outcome is Outcome.NOT_SEEN]
		if unseen:
			more = f"; nor patch {', '.join(str(patch.number) for patch in unseen[1:])}" if unseen[1:] else ""
			return f"{self.naming(unseen[0])} is not seen ({unseen[0].subject}): {unseen[0].reason}{more}"
		of = f" of {total}" if tried < total else ""
		return f"{tried}{of} patch{'es' if total > 1 else ''}, no regression found by {', '.join(self._looks())}"

	def naming(self, patch: PatchJudgement) -> str:
		"""Say which patch is meant, in a way that its own number in its series does not contradict."""
		total = len(self.patches)
		place = PLACE.match(patch.subject)
		given = "" if not place or (int(place[1]), int(place[2])) == (patch.number, total) else "the "
		return "the patch" if total == 1 else f"patch {patch.number} of {given}{total}{' given' if given else ''}"

	def _looks(self) -> list[str]:
		"""Name the checks that were made, and how much of the change and the suites they saw."""
		covered = [file for patch in self.tried for file in patch.covered or ()]
		executed = sum(len(file.executed) for file in covered)
		lines = executed + sum(len(file.missed) for file in covered)
		removed = sum(len(file.removed) for file in covered)
		named = []
		for name in dict.fromkeys(check.name for patch in self.tried for check in patch.checks):
			ran = max((check.counts.get("pass", 0) for patch in self.tried for check in patch.checks if check.name == name), default=0)
			seen = f" ({ran} cases)" if ran else ""
			if name == "coverage" and covered:
				seen = f" ({executed} of {lines} changed lines executed)" if lines else f" ({removed} removed lines were executed)"
			named.append(f"{name}{seen}")
		return named

	@property
	def exit_code(self) -> int:
		"""0 pass or not seen, 1 fail, 2 cannot judge; 64 or 130 if the gate ended by that."""
		return self.ended or EXIT_CODES[self.outcome]


WORST_FIRST = (Outcome.FAIL, Outcome.CANNOT_JUDGE, Outcome.NOT_SEEN, Outcome.PASS)


def worst(outcomes: Iterable[Outcome]) -> Outcome:
	"""Return the worst of outcomes; of none nothing can be said, which is CANNOT_JUDGE."""
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
	"""Return what to_json() wrote down. Raises KeyError, TypeError or ValueError for anything else."""
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
