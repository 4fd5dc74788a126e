# SPDX-License-Identifier: GPL-2.0
"""Boot the same kernel under many seeds, each of which makes events happen in another order.

A seed draws the number of CPUs, and the delays of tasks at named points of the kernel (mm/tests/folio_explore.c). In
virtual time it repeats its boot. The order of events is who passed which point, one after the other, without times.
"""

import hashlib
import json
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ..kernel import profile
from ..util import deps
from ..log.results import LogResult, Outcome, Verdict
from ..source.options import Options
from ..util.errors import CannotJudge, UsageError
from ..util.files import write_whole
from ..util.outputs import attempt, to_stdout
from ..util.project import CONFIGS
from .session import Session
from .soak import Booted, boot_each, keep

PROFILE = "x86_64-smp"
SUITES = "migrate_longterm_[csu]*"	# concurrent, stress, users
CPUS = (2, 4)
PARALLEL = 2
RESULT = "explore.json"
ORDER = re.compile(r"# \S+: order of \d+ events: ([0-9a-f]{8})$", re.MULTILINE)


def drawn(seed: int) -> tuple[Sequence[str], str]:
	"""Return the arguments of the kernel and of QEMU that a seed stands for."""
	cpus = random.Random(seed).choice(CPUS)
	# The CPUs of one socket would lie on several nodes, of which the kernel complains.
	return profile.load(CONFIGS, PROFILE).drawn(seed), f"-smp {cpus},sockets={cpus}"


@dataclass
class _Tally:
	"""What the seeds so far have shown."""
	session: Session
	shown: Booted | None = None	# the boot to report: the first that fails, or else the first
	failed: dict[int, str] = field(default_factory=dict)	# why, by seed
	orders: dict[int, str] = field(default_factory=dict)	# digest of the orders of all cases, by seed

	def add(self, boot: Booted) -> None:
		"""Count a seed, and keep the logs of one that fails. Raises CannotJudge if its kernel records no order."""
		orders = ORDER.findall((boot.folder / "kernel.log").read_text(encoding="utf-8", errors="replace"))
		if not orders and not boot.failed:
			raise CannotJudge("the kernel records no order of events: its configuration has no KPROBES, or no case ran")
		self.orders[boot.number] = hashlib.sha256("".join(orders).encode()).hexdigest()[:16]
		if boot.failed:
			self.failed[boot.number] = boot.answer.reason
			self.session.progress.say(f"seed {boot.number}: {boot.answer.reason}")
			keep(boot, self.session.folder / f"seed-{boot.number}")
		if self.shown is None or boot.failed and not self.shown.failed:
			self.shown = boot
			keep(boot, self.session.folder)

	def verdict(self) -> tuple[LogResult, Verdict]:
		"""Return the log to show, and the verdict on all seeds."""
		assert self.shown
		if not self.failed:
			return self.shown.log, self.shown.answer
		seed, why = next(iter(self.failed.items()))
		return self.shown.log, Verdict(Outcome.FAIL, f"seed {seed}: {why} (SEED={seed} repeats it)")

	@property
	def different(self) -> int:
		"""How many orders of events there were."""
		return len(set(self.orders.values()))

	def summary(self) -> dict[str, Any]:
		"""Return the content of explore.json."""
		return {"kind": "explore", "seeds": len(self.orders), "orders": self.different,
			"failed": {str(seed): why for seed, why in self.failed.items()},
			"order": {str(seed): order for seed, order in self.orders.items()}}

	def __str__(self) -> str:
		return f"explore: {len(self.failed)} of {len(self.orders)} seeds fail; {self.different} different orders of events"


def explore(options: Options, seeds: int, seed: int, parallel: int = PARALLEL) -> int:
	"""Build once and boot under the seeds 1 to `seeds`, or only under `seed` unless it is 0; return the exit code."""
	if seeds < 1 or seed < 0 or parallel < 1:
		raise UsageError("explore needs at least one seed (--seeds N), and at least one boot at a time (--parallel P)")
	if options.profile != PROFILE:
		raise UsageError(f"explore boots profile {PROFILE}: {options.profile} has one order of events, or one that no seed repeats")
	numbers = [seed] if seed else range(1, seeds + 1)
	deps.ensure(deps.RUN)
	session = Session(options, "explore")
	tally = _Tally(session)
	with session.recorded():
		with session.built() as (kernel, done):
			session.info.command += f" --seed={seed}" if seed else f" --seeds={seeds}"
			with session.progress.stage("boot", f"profile {options.profile}",
						    lambda: f"{len(tally.orders)} of {len(numbers)} seeds"):
				boot_each(session, kernel, done, numbers, parallel, tally.add, drawn)
		attempt(f"{RESULT} could not be written", lambda: write_whole(
			session.folder / RESULT, json.dumps(tally.summary() | {"job": session.job()}, indent=1) + "\n"))
		code = session.finish(*tally.verdict())
	to_stdout(lambda: print(tally))
	session.say_where()
	return code
