# SPDX-License-Identifier: GPL-2.0
"""One run from kernel source to verdict, with a folder that keeps all there is to know of it."""

import datetime
import os
import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from . import boot, build, buildroot, corpus, deps, expected, generate, kdir, ktap, outputs, proc, profile, report, series, verdict, worktree
from .errors import CannotJudge, UsageError
from .git import Git
from .kernel import Kernel, Store
from .outputs import Output, attempt
from .proc import CommandFailed, lock
from .progress import Progress
from .results import LogResult, Outcome, RunInfo, Verdict

PROJECT = Path(__file__).resolve().parents[4]
CONFIGS = PROJECT / "lib/kunit-configs"
MUTANTS = PROJECT / "tools/testing/mutants"
GENERATED = MUTANTS / "generated"
PROMISES = PROJECT / "Documentation/coverage.md"
PROGRAM = str(PROJECT / "tools/testing/kunit/pinwait.py")
RESUMES = "what is downloaded, unpacked, built or cached so far is kept: the same command goes on from there"


@dataclass
class Options:
	"""What the user asked for."""
	kernel: str = "7.3"
	tarball: str = ""
	kdir: str = ""
	patches: str = ""	# folder of series; "": the project's
	series: str = ""	# "": the default on a prepared kernel, of a tree of KDIR what it has
	mutant: str = ""	# break the kernel with this one of the corpus
	profile: str = "uml"
	filter: str = ""
	jobs: int = field(default_factory=lambda: len(os.sched_getaffinity(0)))
	timeout: int = 0	# wall seconds; 0: the profile's
	kernel_args: list[str] = field(default_factory=list)
	kconfig_add: list[str] = field(default_factory=list)
	make_options: list[str] = field(default_factory=list)
	json: Output | None = None
	junit: Output | None = None
	report_url: str = ""	# where the report can be read
	build_root: Path = buildroot.DEFAULT
	update: bool = False

	def reproduce(self, subcommand: str, kernel: str) -> str:
		"""Return the command line that does the same again; kernel is what was found."""
		words = self.source(subcommand, kernel)
		words += [f"--series={self.named_series}"] if self.named_series and subcommand != "prove" else []
		words += [f"--mutant={self.mutant}"] if self.mutant else []
		words += [f"--profile={self.profile}"]
		words += [f"--timeout={self.timeout}"] if self.timeout else []
		return shlex.join([*words, *self.passed_on(), *([self.filter] if self.filter else [])])

	def source(self, subcommand: str, kernel: str) -> list[str]:
		"""Return the words that call the tool for a kernel; kernel is what was found."""
		words = [PROGRAM, subcommand]
		words += [f"--tarball={self.tarball}"] if self.tarball else []
		words += [f"--kdir={self.kdir}"] if self.kdir else []
		words += [] if self.tarball or self.kdir else [f"--kernel={kernel}"]
		return words + ([f"--patches={self.patches}"] if self.patches else [])

	def passed_on(self) -> list[str]:
		"""Return the options that are handed on to make and to the kernel."""
		return [f"--{name}={value}" for name in ("kernel_args", "kconfig_add", "make_options") for value in getattr(self, name)]

	@property
	def named_series(self) -> str:
		"""The series, "" as long as it depends on the tree."""
		return self.series or ("" if self.kdir else series.DEFAULT)

	@property
	def series_root(self) -> Path:
		"""The folder of series."""
		return Path(self.patches) if self.patches else PROJECT / "patches"


@dataclass(frozen=True)
class Prepared:
	"""A worktree that holds what is to be tested, locked."""
	kernel: Kernel
	series: series.Series
	commit: str
	choice: tuple[str, ...]		# why that series


@contextmanager
def prepared(options: Options, progress: Progress,
	     known: Callable[[Kernel], None] = lambda _kernel: None,
	     chosen: Callable[[series.Applied], None] = lambda _applied: None
	     ) -> Iterator[Prepared]:
	"""Get the kernel, apply the series, add our sources; hold the worktree's lock meanwhile.

	known is called with the kernel, before anything can fail to apply, chosen with what was put on it.
	"""
	kernels = options.build_root / "kernels"
	store = Store(options.build_root, progress)
	ready: Kernel | None = None
	if options.kdir:
		name = kdir.name_of(Path(options.kdir))
	else:
		ready = (store.tarball(Path(options.tarball)) if options.tarball
			 else store.package(options.kernel, options.update))
		name = ready.name
	with worktree.locked(kernels, name):
		kernel = ready or kdir.prepare(Path(options.kdir), kernels, progress)
		known(kernel)
		generated = ":" in options.mutant
		deps.ensure(deps.PARSER if generated else {})
		broken = corpus.load(MUTANTS, [options.mutant]) if options.mutant and not generated else []
		with progress.stage("prepare", f"series {options.named_series or 'of the tree'}"
				    f"{f' with mutant {options.mutant}' if options.mutant else ''} on {kernel.base}"):
			applied = series.choose(options.series_root, options.series, kernel, progress)
			chosen(applied)
			if generated:
				broken = [generate.broken(GENERATED, options.mutant, lambda name: kernel.git("cat-file", "blob", f"{applied.commit}:{name}") + "\n",
							  options.build_root / "cache/coccinelle")]
			commit = worktree.compose(kernel, applied.commit, PROJECT, broken)
			worktree.check_out(kernel, commit, options.build_root / "strays", progress)
		for line in applied.choice:
			progress.say(line)
		yield Prepared(kernel, applied.series, commit, applied.choice)


class Session:
	"""A run in its results folder; whatever happens, a summary.json is left there."""

	def __init__(self, options: Options, subcommand: str):
		self.options = options
		self.subcommand = subcommand
		self.progress = Progress()
		self.profile = profile.load(CONFIGS, options.profile)
		now = datetime.datetime.now(datetime.UTC)
		self.info = RunInfo(kernel_version="", base_commit="", base="", dirty=False, series=options.named_series,
				    patches=[], profile=options.profile, filter=options.filter,
				    command=options.reproduce(subcommand, options.kernel),
				    started=now.isoformat(timespec="seconds"), compiler="",
				    seconds=self.progress.seconds)
		self.commit = ""	# what is tested, as soon as it is prepared
		self.chatter: list[str] = []	# what kunit.py said for itself at the last boot
		self.told = False	# the verdict is written; what breaks afterwards is not to change it
		series.check_name(options.series_root, options.named_series or series.NONE)
		self.cases = expected.load(CONFIGS / "expected-cases.txt")
		self.cases.select(options.profile, options.filter)
		self.folder = new_folder(options.build_root / "results",
					  "-".join([f"{now:%Y%m%dT%H%M%SZ}", options.profile, options.named_series or "kdir",
						    *([options.mutant.replace("/", "%")] if options.mutant else [])]))

	@property
	def timeout(self) -> int:
		"""Wall seconds a boot may take."""
		return self.options.timeout or self.profile.timeout

	@property
	def promised(self) -> str:
		"""The series whose promises are asserted: that of the kernel, but for the proof that this tells one from the other."""
		return series.DEFAULT if self.subcommand == "prove" else self.info.series

	@contextmanager
	def built(self) -> Iterator[tuple[Kernel, build.Built]]:
		"""Prepare and build; the worktree stays locked until the caller is done."""
		with self.ready() as (ready, done):
			yield ready.kernel, done

	@contextmanager
	def ready(self) -> Iterator[tuple[Prepared, build.Built]]:
		"""The same, with all that was prepared."""
		with prepared(self.options, self.progress, self._known, self._chosen) as ready:
			self.commit = ready.commit
			request = build.Request(self.profile, self.options.jobs, self.options.kconfig_add,
						self.options.make_options)
			done = build.build(ready.kernel, ready.commit, request, self.options.build_root,
					   self.folder / "build.log", self.progress)
			self.info.compiler = done.compiler
			shutil.copyfile(done.obj / ".config", self.folder / "config")
			yield ready, done

	def job(self) -> dict[str, Any]:
		"""Return what shards of one job have in common, whatever it is that they do; to be called when all is prepared."""
		return {"tool": version(), "commit": self.commit, "profile": self.options.profile, "filter": self.options.filter,
			"options": self.options.passed_on()}

	def boot(self, kernel: Kernel, done: build.Built, folder: Path) -> LogResult:
		"""Boot once and read the log, which is kept in folder."""
		argv = boot.command(kernel, done, self.profile, self.options.filter,
				    [*series.promises(self.promised), *self.options.kernel_args], self.timeout)
		with self.progress.stage("boot", f"profile {self.profile.name}"):
			console = boot.boot(argv, self.timeout, folder)
		self.chatter = console.chatter
		return ktap.read_log(console.lines, kernel.tree / "tools/testing/kunit", console.timed_out)

	def finish(self, log: LogResult, answer: Verdict) -> int:
		"""Write and print the results; return the exit code, whatever cannot be written or printed."""
		self._leave(report.summary(self.info, log, answer), log, answer)
		outputs.to_stdout(lambda: report.print_report(self.info, log, answer, sys.stdout))
		return answer.exit_code

	def _leave(self, content: dict[str, Any], log: LogResult, answer: Verdict) -> None:
		"""Write summary.json (content) and junit.xml, and the copies that were asked for."""
		self.told = True
		outputs.write_all(self.folder, {"summary.json": (lambda: report.summary_text(content), self.options.json),
						"junit.xml": (lambda: report.junit(self.info, log, answer), self.options.junit)})

	@contextmanager
	def recorded(self) -> Iterator[None]:
		"""Leave a summary that says why if there is no verdict, and make `latest` this run."""
		try:
			yield
		except UsageError:
			shutil.rmtree(self.folder, ignore_errors=True)
			raise
		except BaseException as error:
			proc.ignore_interrupts()
			if not self.told:
				reason, code = proc.reason_of(error)
				self._leave(report.cannot_judge_summary(self.info, reason, code), LogResult(),
					    Verdict(Outcome.CANNOT_JUDGE, reason))
			raise
		finally:
			self._close()

	def say_where(self) -> None:
		"""Print the results folder."""
		inside = self.folder.is_relative_to(Path.cwd())
		self.progress.say(f"results: {self.folder.relative_to(Path.cwd()) if inside else self.folder}")

	def _close(self) -> None:
		if self.folder.exists():
			attempt(f"{self.folder} is not complete", lambda: finish_folder(self.folder, self.info.command))

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
		if all(self.promised in case.absent for case in self.cases.select(self.options.profile, self.options.filter)):
			raise CannotJudge(f"each case of '{self.options.filter}' is about what series {self.promised} does not have: "
					  f"--series={series.DEFAULT} puts it on")


def run(options: Options, subcommand: str = "run") -> int:
	"""Build, boot and judge; return the exit code of the verdict."""
	return _judged(options, subcommand, lambda log, cases: verdict.judge(log, cases, options.profile, options.filter))


def prove(options: Options) -> int:
	"""Run without the series, but assert what it promises: exactly the cases that need it must fail. Return the exit code."""
	if options.filter:
		raise UsageError("the proof needs all cases: prove takes no filter")
	options.series = series.NONE
	return _judged(options, "prove", lambda log, cases: verdict.prove(log, cases, options.profile))


def list_tests(options: Options) -> int:
	"""Build, and print the cases the kernel has, as KUnit itself lists them; return the exit code."""
	deps.ensure(deps.RUN)
	progress = Progress()
	chosen = profile.load(CONFIGS, options.profile)
	request = build.Request(chosen, options.jobs, options.kconfig_add, options.make_options)
	with prepared(options, progress) as ready, tempfile.TemporaryDirectory(prefix="pinwait-") as home:
		done = build.build(ready.kernel, ready.commit, request, options.build_root,
				   options.build_root / "build.log", progress)
		argv = boot.command(ready.kernel, done, chosen, options.filter, options.kernel_args,
				    options.timeout or chosen.timeout)
		listed = proc.run([*argv, "--list_tests"], env=boot.environment(home))
	print(*re.findall(r"^[^\s.]+\.[^\s.]+$", listed, re.MULTILINE), sep="\n")
	return 0


def prepare(options: Options) -> int:
	"""Bring the worktree to what a run would test, and say where it is."""
	deps.ensure(deps.RUN)
	progress = Progress()
	with prepared(options, progress) as ready:
		print(f"{ready.kernel.tree}: {ready.kernel.base}, series {ready.series.name}, "
		      f"commit {ready.commit[:12]}")
	return 0


def _judged(options: Options, subcommand: str,
	    judge: Callable[[LogResult, expected.Expected], Verdict]) -> int:
	deps.ensure(deps.RUN)
	session = Session(options, subcommand)
	with session.recorded():
		with session.built() as (kernel, done):
			log = session.boot(kernel, done, session.folder)
		code = session.finish(log, judge(log, session.cases))
	session.say_where()
	return code


def no_summary(command: str, reason: str, exit_code: int) -> str:
	"""Return the text of the summary.json of a run that ended before it was known what it is to do."""
	return report.summary_text(report.cannot_judge_summary(_unknown(command), reason, exit_code))


def no_junit(command: str, reason: str) -> str:
	"""Return the text of its junit.xml."""
	return report.junit(_unknown(command), LogResult(), Verdict(Outcome.CANNOT_JUDGE, reason))


def _unknown(command: str) -> RunInfo:
	started = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
	return RunInfo(kernel_version="", base_commit="", base="", dirty=False, series="", patches=[], profile="", filter="",
		       command=command, started=started, compiler="")


def version() -> str:
	"""Return the commit of the tool, with -dirty if it differs from that, "" if it is not in git."""
	try:
		return Git(PROJECT)("describe", "--always", "--dirty", "--abbrev=12", "--exclude=*")
	except CommandFailed:
		return ""


def new_folder(parent: Path, name: str) -> Path:
	"""Make a folder of that name, or with a number after it. Raises UsageError if there are too many."""
	parent.mkdir(parents=True, exist_ok=True)
	for number in range(1, 100):
		folder = parent / (name if number == 1 else f"{name}-{number}")
		try:
			folder.mkdir()
			return folder
		except FileExistsError:
			continue
	raise UsageError(f"there are already 99 folders {parent / name}")


def finish_folder(folder: Path, command: str) -> None:
	"""Keep in a results folder the command that does it again, and make `latest` beside it lead to it."""
	(folder / "command").write_text(f"{command}\n", encoding="utf-8")
	point_latest(folder)


def point_latest(folder: Path) -> None:
	"""Make `latest` beside folder lead to it."""
	link = folder.parent / "latest"
	partial = folder.parent / f".latest-{os.getpid()}"
	partial.unlink(missing_ok=True)
	partial.symlink_to(folder.name)
	partial.replace(link)
