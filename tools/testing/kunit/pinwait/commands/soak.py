# SPDX-License-Identifier: GPL-2.0
"""Boot the same kernel many times and check that the result is always the same. No retries."""

import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..log import verdict
from ..report import summary
from ..util import deps
from ..kernel.build import Built
from ..log.results import LogResult, Outcome, Verdict
from ..source.options import Options
from ..source.store import Kernel
from ..util.errors import CannotJudge, UsageError
from ..util.files import write_whole
from ..util.outputs import attempt, to_stdout
from ..util.proc import workers
from ..util.progress import Progress
from ..util.shard import Shard
from .session import Session

OVERSUBSCRIPTION = 4	# CPU hogs per processor
KINDS = 20		# of failures, of which one log each is kept
# The further arguments of the kernel and of QEMU for a boot, by its number.
Drawn = Callable[[int], tuple[Sequence[str], str]]
KTAP_LINE = re.compile(r"^(\[ *[\d.]+\] )? *(KTAP version|TAP version|\d+\.\.\d+|(not )?ok \d|# )")


@dataclass
class Booted:
	"""The result of one boot; folder holds its console."""
	number: int
	folder: Path
	log: LogResult
	answer: Verdict
	trace: str		# everything that has to repeat in virtual time

	@property
	def failed(self) -> bool:
		return self.answer.outcome is not Outcome.PASS


class Worker:
	"""A worker process that boots; it has no other children, so that each boot can kill all children of its process."""
	session: Session
	kernel: Kernel
	built: Built
	scratch: Path
	drawn: Drawn

	@classmethod
	def start(cls, session: Session, kernel: Kernel, built: Built, scratch: Path, drawn: Drawn) -> None:
		"""Initialise a forked process; drawn gives what a boot has of its own."""
		cls.session, cls.kernel, cls.built, cls.scratch, cls.drawn = session, kernel, built, scratch, staticmethod(drawn)
		session.progress = Progress(open(os.devnull, "w", encoding="utf-8"))

	@classmethod
	def boot(cls, number: int) -> Booted:
		"""Boot once."""
		session, options = cls.session, cls.session.options
		folder = cls.scratch / str(number)
		folder.mkdir()
		log = session.boot(cls.kernel, cls.built, folder, *cls.drawn(number))
		log, answer = verdict.judge(log, session.cases, options.profile, options.filter)
		return Booted(number, folder, log, answer, _trace(session, log, answer, folder))


@dataclass
class _Tally:
	"""The totals of all boots so far; the logs of the first boot are kept, and of the first with each kind of failure."""
	session: Session
	ended: int = 0
	failures: int = 0
	differences: int = 0
	first: Booted | None = None
	bad: Booted | None = None
	kinds: set[str] = field(default_factory=set)

	def add(self, boot: Booted) -> None:
		"""Count a boot, and report its fault."""
		if self.first is None:
			self.first = boot
			keep(boot, self.session.folder)
		differs = self.session.profile.virtual_time and boot.trace != self.first.trace
		self.ended += 1
		self.failures += boot.failed
		self.differences += differs
		if boot.failed or differs:
			why = boot.answer.reason if boot.failed \
				else f"not the same as boot 1: {_difference(self.first.trace, boot.trace)}"
			self.session.progress.say(f"boot {boot.number}: {why}")
			self.bad = self.bad or boot
			if why not in self.kinds and len(self.kinds) < KINDS:
				self.kinds.add(why)
				keep(boot, self.session.folder / f"boot-{boot.number}")

	def verdict(self) -> tuple[LogResult, Verdict]:
		"""Return the most informative log, and the verdict on all boots."""
		shown = self.bad or self.first
		assert shown
		if shown.answer.outcome is Outcome.PASS and self.differences:
			return shown.log, Verdict(Outcome.FAIL, f"{self.differences} of {self.ended} boots differ from the first")
		return shown.log, shown.answer

	def summary(self, shard: Shard, job: dict[str, Any]) -> dict[str, Any]:
		"""Return the content of soak.json for a shard of a job; a digest of the first boot tells whether shards had the same one."""
		trace = self.first.trace if self.first and self.session.profile.virtual_time else ""
		return {"kind": "soak", "shard": str(shard), "job": job, "boots": self.ended,
			"failures": self.failures, "differences": self.differences,
			"trace": hashlib.sha256(trace.encode("utf-8", "surrogateescape")).hexdigest() if trace else ""}

	def __str__(self) -> str:
		compared = f", {self.differences} not the same as the first" if self.session.profile.virtual_time else ""
		return f"soak: {self.failures} failures of {self.ended}{compared}"


def soak(options: Options, boots: int, parallel: int, stress: bool, shard: Shard = Shard()) -> int:
	"""Build once, boot and judge `boots` times, `parallel` at a time, under load if stress;
	return the exit code.

	In a virtual-time profile every boot must also repeat the first one byte for byte.
	"""
	if boots < 1 or parallel < 1:
		raise UsageError("soak needs at least one boot (-n N), and at least one at a time (--parallel P)")
	numbers = shard.block(range(1, boots + 1))
	if not numbers:
		raise UsageError(f"shard {shard} is empty: {boots} boots are fewer than the shards")
	deps.ensure(deps.RUN | (deps.STRESS if stress else {}))
	session = Session(options, "soak")
	tally = _Tally(session)
	with session.recorded():
		with session.built() as (kernel, done), _load(stress):
			session.info.command += (f" -n {boots}" + (f" --parallel={parallel}" if parallel > 1 else "")
						 + (" --stress" if stress else "")
						 + (f" --shard={shard}" if shard.count > 1 else ""))
			with session.progress.stage("boot", f"profile {options.profile}",
						    lambda: f"{tally.ended} of {len(numbers)} boots"):
				boot_each(session, kernel, done, numbers, parallel, tally.add)
		job = session.job() | {"boots": boots, "stress": stress}
		attempt("soak.json could not be written", lambda: write_whole(
			session.folder / "soak.json", json.dumps(tally.summary(shard, job), indent=1) + "\n"))
		code = session.finish(*tally.verdict())
	to_stdout(lambda: print(tally))
	session.say_where()
	return code


def boot_each(session: Session, kernel: Kernel, built: Built, numbers: Sequence[int], parallel: int,
	      add: Callable[[Booted], None], drawn: Drawn = lambda _number: ((), "")) -> None:
	"""Boot for each of the numbers, so many at a time, and have each boot added, in their order, before its folder goes."""
	scratch = session.folder / "boots"
	scratch.mkdir()
	with workers(min(parallel, len(numbers)), Worker.start, session, kernel, built, scratch, drawn) as pool:
		for boot in pool.map(Worker.boot, numbers):
			add(boot)
			shutil.rmtree(boot.folder)
	scratch.rmdir()


def keep(boot: Booted, folder: Path) -> None:
	"""Copy what a boot has left."""
	shutil.copytree(boot.folder, folder, dirs_exist_ok=True)


@contextmanager
def _load(stress: bool) -> Iterator[None]:
	"""Keep processors and memory busy if stress. Raises CannotJudge if that ended too early."""
	if not stress:
		yield
		return
	hogs = OVERSUBSCRIPTION * len(os.sched_getaffinity(0))
	process = subprocess.Popen(["stress-ng", "--quiet", "--cpu", str(hogs), "--vm", "2",
				    "--vm-bytes", "10%"], stdin=subprocess.DEVNULL)
	try:
		yield
		if process.poll() is not None:
			raise CannotJudge("stress-ng ended before the boots did, so not all of them were under load: see its "
			"messages above, or `dmesg` if it was killed for lack of memory")
	finally:
		process.terminate()
		process.wait()


def _trace(session: Session, log: LogResult, answer: Verdict, folder: Path) -> str:
	"""Return the part of a boot that has to repeat: KTAP with its time stamps, and the cases."""
	with open(folder / "kernel.log", encoding="utf-8", errors="replace") as file:
		lines = [line.rstrip("\n") for line in file if KTAP_LINE.match(line)]
	for case in summary.summary(session.info, log, answer)["cases"]:
		lines.append(str({key: value for key, value in case.items() if key != "wall_seconds"}))
	return "\n".join(lines)


def _difference(one: str, other: str) -> str:
	"""Name the first line in which two traces differ."""
	ours, theirs = one.splitlines(), other.splitlines()
	for before, now in zip(ours, theirs):
		if before != now:
			return f"'{now.strip()}', then '{before.strip()}'"
	return f"{len(theirs)} lines, then {len(ours)}"
