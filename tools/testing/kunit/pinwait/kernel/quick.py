# SPDX-License-Identifier: GPL-2.0
"""Boot a kernel as kunit.py does, without it, and only until something fails.

Most boots of a mutant end at the first failing case. A hang is detected by processor time, so that a slow or
busy machine causes no false hangs.
"""

import os
import re
import resource
import shlex
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from . import boot
from ..log.results import LogLine
from ..util.errors import CannotJudge
from ..util.proc import descendants, reap

# Share of the limit of processor time from which on a boot was ended by it: the limit counts ticks, of which a virtual machine that
# does not get its host's processors loses a part.
NEARLY = 0.6
FAILED = re.compile(r"^(?:\[ *\d+\.\d+\](?:\[ *[TC]\d+\])? ?)? *not ok .*$")


@dataclass
class Booted:
	"""The result of a boot."""
	lines: list[LogLine] = field(default_factory=list)
	failed: bool = False	# ended because something failed
	hung: bool = False	# ended because it took too long
	seconds: float = 0.0	# processor time


def command(chatter: Sequence[str], binary: Path) -> list[str]:
	"""Return the command that starts another kernel as kunit.py did, from the line that kunit.py prints. Raises CannotJudge."""
	for text in chatter:
		if boot.STARTED.match(text):
			words = shlex.split(text.removeprefix("$ "))
			words[words.index("-kernel") + 1 if "-kernel" in words else 0] = str(binary)
			return words
	raise CannotJudge("kunit.py does not show how it starts a kernel")


def run(argv: Sequence[str], processor: int, wall: int, whole: bool = False, programs: Sequence[Path] = ()) -> Booted:
	"""Boot until a result fails, or to the end if whole. processor and wall are limits in seconds; programs are
	folders that come before the caller's PATH. Raises CannotJudge if QEMU started no kernel.

	A kernel that ends just before the limit also counts as hung; its log tells that it did not hang.
	The end of the boot kills all children of the caller, not only the boot's.
	"""
	booted = Booted()
	with tempfile.TemporaryDirectory(prefix="pinwait-") as home:
		before = resource.getrusage(resource.RUSAGE_CHILDREN)
		start = time.monotonic()
		process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
					   env={**os.environ, **boot.environment(home, programs)})
		resource.prlimit(process.pid, resource.RLIMIT_CPU, (processor, processor))

		def watch() -> None:
			try:
				process.wait(wall)
			except subprocess.TimeoutExpired:
				booted.hung = True
			# A remaining child would hold the pipe open, and the reader would wait for it.
			_end()

		watcher = threading.Thread(target=watch)
		watcher.start()
		try:
			assert process.stdout
			for raw in process.stdout:
				text = raw.rstrip(b"\r\n").decode("utf-8", "backslashreplace")
				booted.lines.append(LogLine(text, time.monotonic() - start))
				if not whole and FAILED.match(text):
					booted.failed = True
					break
		finally:
			_end()
			watcher.join()
	if booted.lines and not booted.hung:
		boot.check_started(booted.lines)
	after = resource.getrusage(resource.RUSAGE_CHILDREN)
	booted.seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
	# _end() waits for all children and may lose the exit code.
	booted.hung = not booted.failed and (booted.hung or booted.seconds >= NEARLY * processor)
	return booted


def _end() -> None:
	"""Kill all children; they have nothing to clean up."""
	while below := descendants(os.getpid()):
		for pid in below:
			try:
				os.kill(pid, signal.SIGKILL)
			except ProcessLookupError:
				pass
		time.sleep(0.005)
	reap()
