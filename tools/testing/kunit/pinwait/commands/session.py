# SPDX-License-Identifier: GPL-2.0
"""A run with a results folder: prepare, build, boot, report."""

import datetime
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..kernel import build, profile, qemu, selftests
from ..report import summary
from ..source import series
from ..util import outputs, proc
from ..kernel.boot import Boot
from ..log.results import LogResult, Outcome, RunInfo, Verdict
from ..source.options import Options
from ..source.prepared import Prepared, prepared
from ..source.store import Kernel
from ..util.errors import CannotJudge, UsageError
from ..util.files import finish_folder, new_folder
from ..util.outputs import attempt
from ..util.progress import Progress
from ..util.project import CONFIGS, version


class Session:
	"""A run in its results folder, where it always leaves a summary.json."""

	def __init__(self, options: Options, subcommand: str):
		self.options = options
		self.subcommand = subcommand
		self.progress = Progress()
		known = profile.load(CONFIGS, options.profile)
		now = datetime.datetime.now(datetime.UTC)
		self.info = RunInfo(kernel_version="", base_commit="", base="", dirty=False, series=options.named_series,
				    patches=[], profile=options.profile, filter=options.filter,
				    command=options.reproduce(subcommand, options.kernel),
				    started=now.isoformat(timespec="seconds"), compiler="",
				    seconds=self.progress.seconds)
		self.commit = ""	# the tested commit, once it is prepared
		self.chatter: list[str] = []	# kunit.py's own lines at the last boot
		self.told = False	# the verdict is written; later errors must not change it
		series.check_name(options.series_root, options.named_series or series.NONE)
		self.cases = profile.expected_cases(CONFIGS, known)
		self.cases.select(options.profile, options.filter)
		self.profile = qemu.provided(known, options.build_root)
		self.folder = new_folder(options.build_root / "results",
					  "-".join([f"{now:%Y%m%dT%H%M%SZ}", options.profile, options.named_series or "kdir",
						    *([options.mutant.replace("/", "%")] if options.mutant else [])]))

	@property
	def timeout(self) -> int:
		"""Wall seconds a boot may take."""
		return self.options.timeout or self.profile.timeout

	@property
	def promised(self) -> str:
		"""The series whose promises the suites assert: the kernel's own, except for `prove`, which asserts the missing one's."""
		return series.DEFAULT if self.subcommand == "prove" else self.info.series

	@contextmanager
	def built(self) -> Iterator[tuple[Kernel, build.Built]]:
		"""Prepare and build; the worktree stays locked until the caller is done."""
		with self.ready() as (ready, done):
			yield ready.kernel, done

	@contextmanager
	def ready(self) -> Iterator[tuple[Prepared, build.Built]]:
		"""The same, with the prepared worktree."""
		with prepared(self.options, self.progress, self._known, self._chosen) as ready:
			self.commit = ready.commit
			request = build.Request(self.profile, self.options.jobs, self.options.kconfig_add,
						self.options.make_options)
			done = build.build(ready.kernel, ready.commit, request, self.options.build_root,
					   self.folder / "build.log", self.progress)
			selftests.add(ready.kernel, ready.commit, done, request, self.options.build_root, self.folder / "build.log", self.progress)
			self.info.compiler = done.compiler
			shutil.copyfile(done.obj / ".config", self.folder / "config")
			yield ready, done

	def job(self) -> dict[str, Any]:
		"""Return the data that all shards of one job share, whatever the subcommand; call it after the preparation."""
		return {"tool": version(), "commit": self.commit, "profile": self.options.profile, "filter": self.options.filter,
			"options": self.options.passed_on()}

	def boot(self, kernel: Kernel, done: build.Built, folder: Path, arguments: Sequence[str] = (), machine: str = "") -> LogResult:
		"""Boot once, with further arguments of the kernel and of QEMU (machine), and read the log; keep it in folder."""
		found = replace(self.profile, qemu_args=f"{self.profile.qemu_args} {machine}".strip())
		how = Boot(kernel, done, found, [*series.promises(self.promised), *self.options.kernel_args, *arguments], self.options.filter,
			   self.timeout)
		console = how.run(folder, self.progress)
		self.chatter = console.chatter
		return how.read(console)

	def finish(self, log: LogResult, answer: Verdict) -> int:
		"""Write and print the results; return the exit code, even if writing or printing fails."""
		self._leave(summary.summary(self.info, log, answer), log, answer)
		outputs.to_stdout(lambda: summary.print_report(self.info, log, answer, sys.stdout))
		return answer.exit_code

	def _leave(self, content: dict[str, Any], log: LogResult, answer: Verdict) -> None:
		"""Write summary.json (content) and junit.xml, and the requested copies."""
		self.told = True
		outputs.write_all(self.folder, {"summary.json": (lambda: summary.summary_text(content), self.options.json),
						"junit.xml": (lambda: summary.junit(self.info, log, answer), self.options.junit)})

	@contextmanager
	def recorded(self) -> Iterator[None]:
		"""If there is no verdict, leave a summary that says why; point `latest` to this run."""
		try:
			yield
		except UsageError:
			shutil.rmtree(self.folder, ignore_errors=True)
			raise
		except BaseException as error:
			proc.ignore_interrupts()
			if not self.told:
				reason, code = proc.reason_of(error)
				self._leave(summary.cannot_judge_summary(self.info, reason, code), LogResult(),
					    Verdict(Outcome.CANNOT_JUDGE, reason))
			raise
		finally:
			self._close()

	def say_where(self) -> None:
		"""Print the path of the results folder."""
		inside = self.folder.is_relative_to(Path.cwd())
		self.progress.say(f"results: {self.folder.relative_to(Path.cwd()) if inside else self.folder}")

	def _close(self) -> None:
		if self.folder.exists():
			attempt(f"{self.folder} is not complete", lambda: finish_folder(self.folder, self.info.command))
			if results := self.options.results:
				attempt(f"the results could not be copied to {results}",
					lambda: shutil.copytree(self.folder, results, symlinks=True, dirs_exist_ok=True))

	def _known(self, kernel: Kernel) -> None:
		self.info.kernel_version = kernel.version
		self.info.base_commit = kernel.base_commit
		self.info.base = kernel.base
		self.info.dirty = kernel.dirty
		self.info.command = self.options.reproduce(self.subcommand, kernel.name)

	def _chosen(self, applied: series.Applied) -> None:
		self.info.series = applied.series.name
		self.info.patches = applied.series.ids()
		self.info.choice = list(applied.choice)
		self.cases = replace(self.cases, promises=self.promised)
		chosen = self.cases.select(self.options.profile, self.options.filter)
		if chosen and all(self.promised in case.absent for case in chosen):
			raise CannotJudge(f"all cases of '{self.options.filter}' test a part that series {self.promised} does not have: "
			f"--series={series.DEFAULT} applies it")
