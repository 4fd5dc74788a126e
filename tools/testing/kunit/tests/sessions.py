# SPDX-License-Identifier: GPL-2.0
"""A session whose boots print what a test gives them."""

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from logs import listed, read
from pinwait.log.results import LogResult, RunInfo, Verdict
from pinwait.source.options import Options
from pinwait.util.progress import Progress

CASES = ("calm.ok_first", "calm.ok_only", "splat.ok_first", "splat.ok_last")


class FakeSession:
	"""Stands for pinwait.commands.session.Session; lines gives a boot's log from its number, the kernel's arguments and QEMU's."""

	def __init__(self, folder: Path, options: Options, lines: Callable[[int, Sequence[str], str], Sequence[str]],
		     virtual_time: bool = True) -> None:
		self.folder, self.options, self.lines = folder, options, lines
		self.profile = SimpleNamespace(virtual_time=virtual_time)
		self.cases = listed(folder, *CASES)
		self.progress = Progress(io.StringIO())
		self.info = RunInfo("", "", "", False, "", [], "", "", "", "", "")
		self.finished: Verdict | None = None

	def recorded(self) -> AbstractContextManager[None]:
		return nullcontext()

	def job(self) -> dict[str, Any]:
		return {"profile": self.options.profile}

	@contextmanager
	def built(self) -> Iterator[tuple[None, None]]:
		yield None, None

	def boot(self, _kernel: None, _built: None, folder: Path, arguments: Sequence[str], machine: str) -> LogResult:
		lines = self.lines(int(folder.name), arguments, machine)
		(folder / "kernel.log").write_text("\n".join(lines) + "\n", encoding="utf-8")
		return read(lines)

	def finish(self, _log: LogResult, answer: Verdict) -> int:
		self.finished = answer
		return answer.exit_code

	def say_where(self) -> None:
		pass
