# SPDX-License-Identifier: GPL-2.0
"""The results of a run: cases, splats, how the log ended, what was tested, the verdict.

Plain data and nothing else, so that every stage of the tool can import it.
All times are in seconds.
"""

import enum
from dataclasses import dataclass, field


class Status(enum.Enum):
	"""How one leaf case ended."""
	PASS = "pass"
	FAIL = "fail"
	SKIP = "skip"
	CRASH = "crash"
	MISSING = "missing"


class Ending(enum.Enum):
	"""How the kernel log ended."""
	FINISHED = "finished"
	PANIC = "panic"
	HANG = "hang"
	RESET = "reset"		# the machine began anew without a word of the kernel: a triple fault
	TRUNCATED = "truncated"


class Outcome(enum.Enum):
	"""The answer of a run, and of the gate on a patch."""
	PASS = "pass"			# no regression was found
	NOT_SEEN = "not-seen"		# no regression, but no case executes any of the changed code
	FAIL = "fail"
	CANNOT_JUDGE = "cannot-judge"


GONE = "did not run"	# text of a case that is missing because the kernel had ended before it
UNNAMED = "<case "	# prefix of the name of a case that ended before KUnit printed its name
EXIT_CODES = {Outcome.PASS: 0, Outcome.NOT_SEEN: 0, Outcome.FAIL: 1, Outcome.CANNOT_JUDGE: 2}
LABELS = {outcome: outcome.value.replace("-", " ") for outcome in Outcome}	# as people read them


@dataclass(frozen=True)
class LogLine:
	"""One line of the kernel console; wall counts from the start of the boot."""
	text: str
	wall: float | None


@dataclass
class Case:
	"""One leaf: a case, or one parameter of a parameterised case."""
	suite: str
	name: str
	param: str | None
	status: Status
	virtual_seconds: float | None
	wall_seconds: float | None
	text: str		# failure text, or the reason of a skip

	@property
	def id(self) -> str:
		"""The identity in the list of expected cases: suite.case or suite.case[param]."""
		return leaf_id(self.suite, self.name, self.param)


@dataclass
class Splat:
	"""A kernel complaint; line is its 1-based line in kernel.log."""
	kind: str
	case: str | None
	line: int
	text: str


@dataclass
class LogResult:
	"""Everything that one kernel log tells."""
	cases: list[Case] = field(default_factory=list)
	splats: list[Splat] = field(default_factory=list)
	errors: list[str] = field(default_factory=list)
	blind: list[str] = field(default_factory=list)	# checks that did not work in this boot
	started: bool = False				# KUnit began to run tests
	ending: Ending = Ending.TRUNCATED
	virtual_seconds: float | None = None
	wall_seconds: float | None = None
	last_lines: list[str] = field(default_factory=list)


@dataclass
class PatchId:
	"""A patch of the series and its `git patch-id --stable`."""
	file: str
	patch_id: str


@dataclass
class RunInfo:
	"""What was tested and how, to reproduce it."""
	kernel_version: str
	base_commit: str
	base: str		# package version, or a description of KDIR
	dirty: bool
	series: str
	patches: list[PatchId]
	profile: str
	filter: str
	command: str		# reproduces the run
	started: str		# ISO 8601, UTC
	compiler: str
	seconds: dict[str, float] = field(default_factory=dict)
	choice: list[str] = field(default_factory=list)		# which series and why, what was merged


@dataclass
class Verdict:
	"""The outcome and the one sentence that explains it."""
	outcome: Outcome
	reason: str

	@property
	def exit_code(self) -> int:
		"""0 pass or not seen, 1 the patch is at fault, 2 cannot judge."""
		return EXIT_CODES[self.outcome]


def leaf_id(suite: str, name: str, param: str | None) -> str:
	"""Return the identity of a leaf case."""
	return f"{suite}.{name}" if param is None else f"{suite}.{name}[{param}]"
