# SPDX-License-Identifier: GPL-2.0
"""Child processes: run them, and leave none behind."""

import ctypes
import errno
import fcntl
import multiprocessing
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import InvalidStateError, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from .errors import CannotJudge, PinwaitError

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
TERM_GRACE = 5.0	# seconds a process gets to clean up after SIGTERM
GIB = 1 << 30
RESUMES = "downloads, unpacked trees, objects and cached results are kept: the same command continues from there"
INTERRUPTED = 130	# exit code of a program that Ctrl-C ends
# Faults of the machine, not of a patch or of the tool.
MACHINE = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOMEM, errno.EAGAIN,
	   errno.EMFILE, errno.ENFILE, errno.ESTALE, errno.EPIPE)


class CommandFailed(PinwaitError):
	"""A command failed; output is what it wrote, stderr last."""

	def __init__(self, argv: Sequence[str], returncode: int, output: str):
		self.argv = argv
		self.returncode = returncode
		self.output = output
		super().__init__(f"`{shlex.join(argv)}` failed with exit code {returncode}:\n"
				 + "\n".join(output.strip().splitlines()[-8:]))


def run(argv: Sequence[str], *, cwd: Path | None = None, env: Mapping[str, str] | None = None,
	stdin: str | None = None) -> str:
	"""Run a command to its end and return its standard output.

	env is added to the environment. Raises CommandFailed.
	"""
	try:
		done = subprocess.run(argv, cwd=cwd, env={**os.environ, **(env or {})},
				      input=None if stdin is None else stdin.encode("utf-8", "surrogateescape"),
				      stdin=subprocess.DEVNULL if stdin is None else None, capture_output=True)
	except FileNotFoundError:
		raise CommandFailed(argv, 127, f"{argv[0]}: not found") from None
	# Not in text mode, which would strip carriage returns, also those of files and patches.
	output = done.stdout.decode("utf-8", "surrogateescape")
	if done.returncode:
		raise CommandFailed(argv, done.returncode, output + done.stderr.decode("utf-8", "surrogateescape"))
	return output


def become_subreaper() -> None:
	"""Adopt orphaned descendants, so that kill_descendants() finds them all."""
	ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def interrupt_on_signals() -> None:
	"""Make SIGTERM and SIGHUP end the tool the way Ctrl-C does."""
	def interrupt(_signum: int, _frame: object) -> None:
		raise KeyboardInterrupt
	for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
		signal.signal(signum, interrupt)


def become_worker() -> None:
	"""Make a forked worker process end at once on a signal or when the tool dies, and leave no process behind."""
	def end(_signum: int, _frame: object) -> None:
		kill_descendants()
		os._exit(1)
	become_subreaper()
	for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
		signal.signal(signum, end)
	ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def _begin(start: Callable[..., None], *arguments: Any) -> None:
	become_worker()
	start(*arguments)


@contextmanager
def workers(count: int, start: Callable[..., None], *arguments: Any) -> Iterator[ProcessPoolExecutor]:
	"""Yield a pool of forked processes, each of which first calls start(*arguments).

	Any exception in the block ends them and all other descendants. Raises CannotJudge if one of them is killed.
	"""
	hook = threading.excepthook

	def ended(thread: threading.ExceptHookArgs) -> None:
		# The pool's thread stumbles over calls that are cancelled already when it finds its processes gone.
		if thread.exc_type is not InvalidStateError:
			hook(thread)
	try:
		with ProcessPoolExecutor(count, multiprocessing.get_context("fork"), _begin, (start, *arguments)) as pool:
			try:
				yield pool
			except BaseException:
				threading.excepthook = ended
				kill_descendants()
				raise
		reap()
	except BrokenProcessPool as error:
		raise CannotJudge("one of the tool's processes was killed during its work; the kernel does that when memory runs out: "
				  "see `dmesg`; --jobs=1 needs less") from error
	finally:
		threading.excepthook = hook


def silence() -> TextIO:
	"""Redirect standard error to /dev/null, for children as well; return a stream to where it led."""
	before = os.fdopen(os.dup(2), "w", encoding="utf-8", errors="backslashreplace", buffering=1)
	nowhere = os.open(os.devnull, os.O_WRONLY)
	os.dup2(nowhere, 2)
	os.close(nowhere)
	return before


def ignore_interrupts() -> None:
	"""Ignore signals during cleanup."""
	for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
		signal.signal(signum, signal.SIG_IGN)


def descendants(root: int) -> list[int]:
	"""Return root's live descendants, in any session or process group."""
	children: dict[int, list[int]] = {}
	for entry in os.listdir("/proc"):
		if not entry.isdigit():
			continue
		try:
			stat = Path("/proc", entry, "stat").read_text(errors="replace")
		except OSError:
			continue
		# The command name, in parentheses, may itself hold spaces and parentheses.
		state, ppid = stat.rpartition(")")[2].split()[:2]
		if state != "Z":
			children.setdefault(int(ppid), []).append(int(entry))
	found: list[int] = []
	todo = [root]
	while todo:
		below = children.get(todo.pop(), [])
		todo.extend(below)
		found.extend(below)
	return found


def kill_descendants() -> None:
	"""End every descendant: SIGTERM first, so that make and gcc remove half-written
	files, SIGKILL to what is left after TERM_GRACE seconds."""
	deadline = time.monotonic() + TERM_GRACE
	asked: set[int] = set()
	while below := descendants(os.getpid()):
		expired = time.monotonic() > deadline
		for pid in below:
			if expired or pid not in asked:
				asked.add(pid)
				try:
					os.kill(pid, signal.SIGKILL if expired else signal.SIGTERM)
				except ProcessLookupError:
					pass
		reap()
		time.sleep(0.02)
	reap()


def reap() -> None:
	"""Reap adopted processes that ended, because a container may count them against its limit.

	This loses the exit code of a child of the caller's own that ended and was not waited for yet.
	"""
	try:
		while os.waitpid(-1, os.WNOHANG)[0]:
			pass
	except ChildProcessError:
		pass


# Open files of the held locks. A child that inherits them keeps the locks if the tool is killed.
HELD: list[int] = []


@contextmanager
def lock(path: Path, what: str) -> Iterator[None]:
	"""Hold path's lock; wait for another holder, and say for what."""
	path.parent.mkdir(parents=True, exist_ok=True)
	with open(path, "a+", encoding="utf-8") as file:
		try:
			fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
		except BlockingIOError:
			file.seek(0)
			print(f"waiting for {what}, in use by {file.read().strip() or 'another run'}",
			      file=sys.stderr, flush=True)
			fcntl.flock(file, fcntl.LOCK_EX)
		file.truncate(0)
		file.write(f"process {os.getpid()}: {shlex.join(sys.argv)}\n")
		file.flush()
		HELD.append(file.fileno())
		try:
			yield
		finally:
			HELD.remove(file.fileno())


def need_space(folder: Path, gib: float, what: str) -> None:
	"""Raise CannotJudge unless folder's file system has at least gib GiB free."""
	folder.mkdir(parents=True, exist_ok=True)
	free = shutil.disk_usage(folder).free / GIB
	if free < gib:
		raise CannotJudge(f"disk full: {what} needs {gib:.1f} GiB in {folder}, "
				  f"{free:.1f} GiB are free; free some, or name another place "
				  f"with --build-root")


def is_disk_full(error: BaseException) -> bool:
	"""Tell whether an error comes from a full disk, here or in a child."""
	if isinstance(error, OSError):
		return error.errno in (errno.ENOSPC, errno.EDQUOT)
	return any(text in str(error) for text in (os.strerror(errno.ENOSPC), os.strerror(errno.EDQUOT)))


def reason_of(error: BaseException) -> tuple[str, int]:
	"""Return why the tool ended, in a sentence, and the exit code, which is never one that blames a patch."""
	if isinstance(error, KeyboardInterrupt):
		return "interrupted", INTERRUPTED
	if is_disk_full(error):
		return f"disk full: {error}", CannotJudge.exit_code
	if isinstance(error, PinwaitError):
		return str(error), error.exit_code
	if is_machines_fault(error):
		return f"this machine prevents the tool from continuing: {error}", CannotJudge.exit_code
	return (f"a bug in the tool, which says nothing about a patch: {type(error).__name__}: {error}".rstrip(": "),
		CannotJudge.exit_code)


def is_machines_fault(error: BaseException) -> bool:
	"""Tell whether neither the tool nor its input is at fault."""
	return isinstance(error, MemoryError) or isinstance(error, OSError) and error.errno in MACHINE
