# SPDX-License-Identifier: GPL-2.0
"""Show the running stage, its time and its progress; keep the time of each stage."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

TTY_INTERVAL = 1.0	# seconds between two updates on a terminal
LOG_INTERVAL = 15.0	# and elsewhere


class Progress:
	"""Prints stages to a stream; seconds holds the wall time of each stage so far."""

	def __init__(self, stream: TextIO = sys.stderr):
		self.stream = stream
		self.tty = stream.isatty()
		self.seconds: dict[str, float] = {}

	def say(self, text: str) -> None:
		"""Print one line."""
		print(text, file=self.stream, flush=True)

	@contextmanager
	def stage(self, name: str, what: str, state: Callable[[], str] | None = None) -> Iterator[None]:
		"""Time a stage under name and show it while it lasts.

		state returns a few words about the stage's progress; another thread calls it.
		"""
		start = time.monotonic()
		done = threading.Event()
		ticked = threading.Event()

		def line() -> str:
			words = f": {state()}" if state else ""
			return f"{name:>9}  {time.monotonic() - start:5.0f} s  {what}{words}"

		def tick() -> None:
			while not done.wait(TTY_INTERVAL if self.tty else LOG_INTERVAL):
				ticked.set()
				if self.tty:
					print(f"\r\033[K{line()}", end="", file=self.stream, flush=True)
				else:
					self.say(line())

		thread = threading.Thread(target=tick, daemon=True)
		thread.start()
		try:
			yield
		finally:
			done.set()
			thread.join()
			elapsed = time.monotonic() - start
			self.seconds[name] = self.seconds.get(name, 0.0) + elapsed
			if self.tty and ticked.is_set():
				print("\r\033[K", end="", file=self.stream)
			if ticked.is_set() or elapsed > TTY_INTERVAL:
				self.say(line())
