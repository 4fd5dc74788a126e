# SPDX-License-Identifier: GPL-2.0
"""The files that the caller wants besides the results folder: --json and --junit.

The tool checks them before it does anything else. A later failure to write them is reported, and changes no verdict.
"""

import functools
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path

from .errors import CannotJudge, PinwaitError, UsageError
from .files import write_whole
from .proc import reason_of

STREAMS = ("/dev/", "/proc/")	# a file below these cannot be replaced by renaming


class Output:
	"""One such file."""

	def __init__(self, path: str):
		self.path = os.path.abspath(path) if path else ""
		self.checked = False	# it is writable
		self.written = False	# it holds the outcome

	def check(self) -> None:
		"""Raise UsageError if the file is not writable; change nothing."""
		folder = os.path.dirname(os.path.realpath(self.path))
		if not self.path:
			raise UsageError("the name of the file for results is empty")
		if os.path.isdir(self.path):
			raise UsageError(f"{self.path} is a folder: name a file in it for the results")
		if not os.path.exists(self.path) and not os.path.isdir(folder):
			raise UsageError(f"{self.path}: there is no folder {folder}: make it first, or name another file for the results")
		if not os.access(self.path if self._stream else folder, os.W_OK):
			raise UsageError(f"{self.path if self._stream else folder} is not writable: name another file for the results")
		self.checked = True

	def begin(self, text: str) -> None:
		"""Replace an earlier job's results by text, which stays there if this job is killed. Raises CannotJudge."""
		try:
			if not self._stream:
				self._replace(text)
		except OSError as error:
			raise CannotJudge(f"the results cannot be written to {self.path}: {error}") from error

	def write(self, make: Callable[[], str]) -> None:
		"""Write the outcome; report it if that fails."""
		self.written = attempt(f"the results could not be written to {self.path}",
				       lambda: (self._append if self._stream else self._replace)(make()))

	@property
	def _stream(self) -> bool:
		return self.path.startswith(STREAMS) or os.path.exists(self.path) and not os.path.isfile(self.path)

	def _append(self, text: str) -> None:
		with open(self.path, "a", encoding="utf-8", errors="backslashreplace") as stream:
			stream.write(text)

	def _replace(self, text: str) -> None:
		write_whole(Path(os.path.realpath(self.path)), text)


def write_all(folder: Path, files: Mapping[str, tuple[Callable[[], str], Output | None]]) -> None:
	"""Write the files of a results folder, by name, and the requested copies; report each failure."""
	def write(name: str, make: Callable[[], str], copy: Output | None) -> None:
		text = make()
		if copy:
			copy.write(lambda: text)
		write_whole(folder / name, text)
	for name, (make, copy) in files.items():
		attempt(f"{folder / name} could not be written", functools.partial(write, name, make, copy))


def attempt(what: str, action: Callable[[], object]) -> bool:
	"""Do an action whose failure must not change a verdict; tell whether it worked, and print why not."""
	try:
		action()
	except Exception as error:
		foreseen = isinstance(error, (OSError, PinwaitError))
		if not foreseen:
			traceback.print_exc()
		print(f"pinwait: {what}: {error if foreseen else reason_of(error)[0]}; this does not change the verdict", file=sys.stderr)
		return False
	return True


def to_stdout(action: Callable[[], object]) -> None:
	"""Call an action that prints on standard output, which may be full or closed."""
	def flushed() -> None:
		action()
		sys.stdout.flush()
	if not attempt("the results could not be printed", flushed):
		# Otherwise Python flushes again at exit, and exits with its own code.
		os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
