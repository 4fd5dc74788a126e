# SPDX-License-Identifier: GPL-2.0
"""Boot the same kernel many times: does it always give the same answer? No retries."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from . import deps, report, verdict
from .errors import UsageError
from .results import LogResult, Outcome, Verdict
from .run import Options, Session

OVERSUBSCRIPTION = 4	# CPU hogs per processor
KTAP_LINE = re.compile(r"^(\[ *[\d.]+\] )? *(KTAP version|TAP version|\d+\.\.\d+|(not )?ok \d|# )")


def soak(options: Options, boots: int, stress: bool) -> int:
	"""Build once, boot and judge `boots` times, under load if stress; return the exit code.

	In a virtual-time profile every boot must also repeat the first to the byte.
	"""
	if boots < 1:
		raise UsageError("soak needs at least one boot: -n N")
	deps.ensure(deps.RUN | (deps.STRESS if stress else {}))
	session = Session(options, "soak")
	failures = differences = 0
	first: tuple[LogResult, Verdict, str] | None = None
	bad: tuple[LogResult, Verdict, str] | None = None
	with session.recorded():
		with session.built() as (kernel, done), _load(stress) as hogs:
			session.info.command += f" -n {boots}" + (" --stress" if stress else "")
			scratch = session.folder / "boot"
			scratch.mkdir()
			for number in range(1, boots + 1):
				log = session.boot(kernel, done, scratch, hogs)
				answer = verdict.judge(log, session.cases, options.profile, options.filter)
				trace = _trace(session, log, answer, scratch)
				failed = answer.outcome is not Outcome.PASS
				differs = bool(session.profile.virtual_time and first and trace != first[2])
				failures += failed
				differences += differs
				first = first or (log, answer, trace)
				if failed or differs:
					session.progress.say(f"boot {number}: " + (answer.reason if failed
						else f"not the same as boot 1: {_difference(first[2], trace)}"))
				if number == 1:
					_keep(scratch, session.folder)
				if (failed or differs) and bad is None:
					bad = (log, answer, trace)
					_keep(scratch, session.folder / f"boot-{number}")
			shutil.rmtree(scratch)
		assert first
		log, answer, _ = bad or first
		if answer.outcome is Outcome.PASS and differences:
			answer = Verdict(Outcome.FAIL, f"{differences} of {boots} boots differ from the first")
		code = session.finish(log, answer)
	compared = f", {differences} not the same as the first" if session.profile.virtual_time else ""
	print(f"soak: {failures} failures of {boots}{compared}")
	session.say_where()
	return code


@contextmanager
def _load(stress: bool) -> Iterator[int | None]:
	"""Keep processors and memory busy if stress; yield the process that does."""
	if not stress:
		yield None
		return
	hogs = OVERSUBSCRIPTION * len(os.sched_getaffinity(0))
	process = subprocess.Popen(["stress-ng", "--quiet", "--cpu", str(hogs), "--vm", "2",
				    "--vm-bytes", "10%"], stdin=subprocess.DEVNULL)
	try:
		yield process.pid
	finally:
		process.terminate()
		process.wait()


def _trace(session: Session, log: LogResult, answer: Verdict, folder: Path) -> str:
	"""Return all of a boot that has to repeat: KTAP with its time stamps, and the cases."""
	with open(folder / "kernel.log", encoding="utf-8", errors="replace") as file:
		lines = [line.rstrip("\n") for line in file if KTAP_LINE.match(line)]
	for case in report.summary(session.info, log, answer)["cases"]:
		lines.append(str({key: value for key, value in case.items() if key != "wall_seconds"}))
	return "\n".join(lines)


def _difference(one: str, other: str) -> str:
	"""Name the first line in which two traces differ."""
	ours, theirs = one.splitlines(), other.splitlines()
	for before, now in zip(ours, theirs):
		if before != now:
			return f"'{now.strip()}', then '{before.strip()}'"
	return f"{len(theirs)} lines, then {len(ours)}"


def _keep(scratch: Path, folder: Path) -> None:
	folder.mkdir(exist_ok=True)
	for file in scratch.iterdir():
		shutil.copy2(file, folder / file.name)
