# SPDX-License-Identifier: GPL-2.0
"""Boot a built kernel with the tree's own kunit.py and keep its console, with wall times."""

import math
import os
import re
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..log import ktap
from ..log.results import LogLine, LogResult
from ..source.store import Kernel
from ..util.errors import CannotJudge
from ..util.proc import kill_descendants, run
from ..util.progress import Progress
from . import selftests
from .build import Built, kunit_command, machine
from .profile import Profile
from .sandbox import Sandbox

TEMPORARY = ("TMPDIR", "TMP", "TEMP")	# where UML looks for the name of a folder
GRACE = 15	# seconds after the timeout; a kunit.py that still runs then hangs itself
# Lines that kunit.py adds to the console: one before it, and some after it.
STARTED = re.compile(r"^\$ .*kunit\.enable=1")
OVER = re.compile(r"^\[\d\d:\d\d:\d\d\] Elapsed time: ")
# A line of QEMU's that says why it starts no machine, or of the shell's that QEMU is gone.
QEMU_FAILED = re.compile(r"(?:\S*/)?qemu(?:-system-\S+)?: ")
TIMED_OUT = re.compile(r"^Command '\[.*\]' timed out after [\d.]+ seconds$")


# Limit of a boot that is expected to take a known time: a multiple of it if it is short, for then all depends on what else the
# machine does; of a long one a smaller multiple, and some seconds.
SHORT, LONG, MORE = 40, 4, 60
NARROW = 10.0	# wall seconds of a boot of all suites from which on it is worth while to boot one suite first


def patience(seconds: float, least: int) -> int:
	"""Return the wall seconds after which a boot counts as hung that should take `seconds`; at least `least`."""
	return max(least, math.ceil(min(SHORT * seconds, LONG * seconds + MORE)))


@dataclass
class Console:
	"""The result of a boot: the console line by line, and whether the time limit ended it."""
	lines: list[LogLine] = field(default_factory=list)
	timed_out: bool = False
	chatter: list[str] = field(default_factory=list)	# kunit.py's own lines


@dataclass(frozen=True)
class Boot:
	"""How to boot a built kernel; run() boots it once."""
	kernel: Kernel
	built: Built
	profile: Profile
	arguments: Sequence[str] = ()	# of the kernel, after the profile's
	filter: str = ""		# glob of the cases to run
	timeout: int = 0		# wall seconds; 0: the profile's
	box: Sandbox | None = None	# of the kernel; without one it sees the caller's environment
	parser: Path | None = None	# folder of a trusted kunit_parser.py; None: the tree's
	writable: Sequence[Path] = ()	# folders to which the kernel may write, besides its own

	def run(self, folder: Path, progress: Progress) -> Console:
		"""Boot once; keep the console in folder. Raises CannotJudge if no kernel started."""
		with progress.stage("boot", f"profile {self.profile.name}"):
			box = self.box and replace(self.box, readable=(*self.box.readable, *self.profile.programs))
			if not (box and box.closed or self.profile.qemu_config):	# a sandbox has its own /dev/shm
				check_executable(Path(temporary_folder() or "/dev/shm"))
			argv = box.command(self.command(), [self.built.obj, *self.writable]) if box else self.command()
			return boot(argv, self._limit, folder, self.profile.programs)

	def read(self, console: Console) -> LogResult:
		"""Return the results in a console."""
		return ktap.read_log(console.lines, self.parser or self.kernel.tree / "tools/testing/kunit", console.timed_out)

	def cases(self) -> list[str]:
		"""Return the kernel's cases, as KUnit lists them."""
		with tempfile.TemporaryDirectory(prefix="pinwait-") as home:
			listed = run([*self.command(), "--list_tests"], env=environment(home, self.profile.programs))
		return re.findall(r"^[^\s.]+\.[^\s.]+$", listed, re.MULTILINE)

	@property
	def _limit(self) -> int:
		return self.timeout or self.profile.timeout

	def command(self) -> list[str]:
		"""Return the kunit.py command line that boots."""
		emulator = f"{self.profile.qemu_args} {selftests.arguments(self.profile, self.built.obj)}".strip()
		return [*kunit_command(self.kernel), "exec", "--raw_output=all", f"--build_dir={self.built.obj}",
			*machine(self.profile), f"--timeout={self._limit}", *([f"--qemu_args={emulator}"] if emulator else []),
			*(f"--kernel_args={word}" for word in (*self.profile.kernel_args, *self.arguments)),
			*([self.filter] if self.filter else [])]


def boot(argv: Sequence[str], timeout: int, folder: Path, programs: Sequence[Path] = ()) -> Console:
	"""Run a boot command; write kernel.log and kernel.times in folder as lines come.

	timeout is in wall seconds; programs are folders that come before the caller's PATH. The end of the boot kills all
	children of the caller, not only the boot's. Raises CannotJudge if no kernel started.
	"""
	console = Console()
	# UML makes its control folder in HOME, which may be missing or shared with other boots. To name
	# the folder on the command line would make every log different.
	with tempfile.TemporaryDirectory(prefix="pinwait-") as home, \
	     open(folder / "kernel.log", "wb") as log, open(folder / "kernel.times", "wb") as times:
		process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
					   stderr=subprocess.STDOUT,
					   env={**os.environ, **environment(home, programs)})

		def watch() -> None:
			try:
				process.wait(timeout + GRACE)
			except subprocess.TimeoutExpired:
				console.timed_out = True
			# A remaining child would hold the pipe open, and the reader would wait for it.
			kill_descendants()

		watcher = threading.Thread(target=watch)
		watcher.start()
		try:
			assert process.stdout
			start: float | None = None
			for raw in process.stdout:
				line = raw.rstrip(b"\r\n")	# a serial line ends in both
				text = line.decode("utf-8", "backslashreplace")
				if TIMED_OUT.match(text):
					console.timed_out = True
				elif start is None or OVER.match(text):
					console.chatter.append(text)
					if STARTED.match(text):
						start = time.monotonic()
				else:
					wall = time.monotonic() - start
					console.lines.append(LogLine(text, wall))
					log.write(line + b"\n")
					times.write(b"%.6f\n" % wall)
		except BaseException:
			kill_descendants()
			raise
		finally:
			watcher.join()
	if not console.timed_out:
		check_started(console.lines, console.chatter)
	return console


def check_started(lines: Sequence[LogLine], chatter: Sequence[str] = ("no line",)) -> None:
	"""Check that a kernel ran. Raises CannotJudge if there is no line of it, only QEMU's, or kunit.py's (chatter)."""
	said = [line.text for line in lines]
	if all(QEMU_FAILED.match(text) for text in said):
		raise CannotJudge("kunit.py did not start the kernel:\n" + "\n".join((said or chatter)[-5:]))


def environment(home: str, programs: Sequence[Path] = ()) -> dict[str, str]:
	"""Return the variables that replace the caller's in the environment of a boot that needs programs in some folders."""
	return {**dict.fromkeys(TEMPORARY, ""), TEMPORARY[0]: temporary_folder(), "HOME": home, "PYTHONUNBUFFERED": "1",
		"PYTHONIOENCODING": "utf-8:backslashreplace", "PATH": os.pathsep.join([*map(str, programs), os.environ.get("PATH", os.defpath)])}


def temporary_folder() -> str:
	"""Return the folder where the caller wants UML to keep its memory, "" for UML's own choice.

	UML takes the first of three variables that is set, and exits if the folder does not exist. Only TMPDIR is meant for it.
	"""
	place = os.environ.get(TEMPORARY[0], "")
	return place if os.path.isdir(place) and os.access(place, os.W_OK) else ""


def check_executable(folder: Path) -> None:
	"""Check that UML can run from a file that it maps in folder. Raises CannotJudge if the mount forbids that."""
	if folder.is_dir() and os.statvfs(folder).f_flag & os.ST_NOEXEC:
		raise CannotJudge(f"{folder} is mounted noexec, and UML cannot run from it: set TMPDIR to a folder "
				  f"on a file system without noexec")
