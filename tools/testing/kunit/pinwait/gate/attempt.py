# SPDX-License-Identifier: GPL-2.0
"""Try one state of the kernel in one profile: build it, boot it, read the results.

The result is cached for the same kernel, configuration, suite, compiler and tool.
"""

import functools
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from ..kernel import boot, build, selftests, traced
from ..log import expected as expected_cases, ktap, results, splat, verdict
from ..source import series
from ..kernel.boot import Boot
from ..kernel.build import Built, DoesNotBuild, Request
from ..kernel.profile import Profile
from ..log.expected import Expected
from ..log.results import Case, Ending, LogResult, Outcome, Splat, Status, Verdict
from ..source.store import Kernel
from ..util.files import write_whole
from ..util.outputs import attempt
from ..util.progress import Progress

RESULT, LOG, BUILD_LOG = "result.json", "kernel.log", "build.log"
# Exists during an attempt. Objects of an interrupted one must be recompiled, because the compiler's messages are lost.
BEGUN = "begun"
# Folder of a result that holds the booted kernel: the only one to which it may write. A kernel that counts, which has another
# place and no result, writes its counters beside the objects, as builds do.
BOOT = "boot"
EXECUTED = "executed"	# of a kernel in QEMU: the addresses of the instructions that it executed
FORMAT = "3"		# version of the cached results, and of the way they are made here
KEPT = 200		# the newest results, which stay cached


@dataclass
class Result:
	"""The result of a kernel; folder keeps its logs, and the kernel itself if it was built."""
	folder: Path
	error: str = ""		# why it does not build, "" if it does
	log: LogResult = field(default_factory=LogResult)
	verdict: Verdict = field(default_factory=lambda: Verdict(Outcome.CANNOT_JUDGE, "not booted"))
	warnings: list[str] = field(default_factory=list)	# the compiler's, from the files that were compiled
	seconds: float = 0.0
	binary: str = ""	# digest of the kernel
	promises: str = ""	# the series whose promises the suites assert
	cached: bool = False	# from an earlier attempt

	@property
	def cases(self) -> set[str]:
		"""The cases that ran."""
		return {case.id for case in self.log.cases if case.status is not Status.MISSING}

	@property
	def counts(self) -> dict[str, int]:
		"""The number of cases of each status."""
		return {status.value: number for status in Status
			if (number := sum(case.status is status for case in self.log.cases))}


class Trials:
	"""Builds and boots states of a kernel's worktree in one profile."""

	def __init__(self, kernel: Kernel, request: Request, expected: Expected, root: Path, parser_dir: Path,
		     promised: Callable[[str], str], kernel_args: Sequence[str] = (), timeout: int = 0, boots: bool = True,
		     anew: bool = False, base: str = ""):
		"""root is for objects and results; parser_dir holds a trusted kunit_parser.py; promised returns the
		series whose promises the suites assert on a state; the selftests that run are those of the commit base.

		Without boots, kernels are only built. With anew, cached kernels are booted again.
		"""
		self.kernel, self.request, self.expected, self.root = kernel, request, expected, root
		self.parser_dir, self.promised, self.kernel_args = parser_dir, promised, kernel_args
		self.boots, self.anew = boots, boots and anew
		self.timeout = timeout or request.profile.timeout
		self.base = base

	@property
	def obj(self) -> Path:
		"""The folder of objects."""
		return build.object_folder(self.root, self.kernel, self.request)

	def known(self, commit: str) -> Result | None:
		"""Return the cached result of a state, None if no attempt was completed."""
		return self._found(self.folder(commit))

	def _found(self, folder: Path) -> Result | None:
		try:
			content: dict[str, Any] = _read(folder / RESULT)
			said = content["verdict"]
			content |= {"log": _log(content["log"]), "verdict": Verdict(Outcome(said["outcome"]), said["reason"])}
			found = Result(folder, **content)
		except (OSError, ValueError, KeyError, TypeError):
			return None
		os.utime(folder)
		return replace(found, cached=True)

	def attempt(self, commit: str, progress: Progress, before: Result | None = None, patience: int = 0,
		    objects: bool = False) -> Result:
		"""Return the result of a state, which is checked out unless the result is cached.

		before is the state before it: a byte for byte equal kernel is not booted again in virtual time.
		patience is the time in wall seconds after which a boot counts as hung, if the profile's limit is too long.
		With objects, a cached result counts only if the object folder exists, too.
		Raises CannotJudge if the machine, not the state, is at fault.
		"""
		found = None if objects and not self.obj.exists() else self.known(commit) or self._same(commit)
		if found and self.anew and not found.error:
			with tempfile.TemporaryDirectory(prefix="pinwait-") as scratch:
				log, said = self.boot(found, Path(scratch), progress, patience)
				shutil.copy2(Path(scratch, LOG), found.folder / LOG)
			found = replace(found, log=log, verdict=said, cached=False)
			self._finish(found)
			return found
		if found:
			return found
		folder = self.folder(commit)
		if (folder / BEGUN).exists():
			build.forget(self.obj, (folder / BEGUN).stat().st_mtime)
		shutil.rmtree(folder, ignore_errors=True)
		folder.mkdir(parents=True)
		(folder / BEGUN).touch()
		result = Result(folder, promises=self.promised(commit))
		spent = sum(progress.seconds.values())
		try:
			built = build.build(self.kernel, commit, self.request, self.root, folder / BUILD_LOG, progress)
			selftests.add(self.kernel, self.base or commit, built, self.request, self.root, folder / BUILD_LOG, progress)
		except DoesNotBuild as error:
			result.error = error.why
		else:
			(folder / BOOT).mkdir()
			for name in (self.request.profile.binary, *([selftests.INITRAMFS] if self.request.profile.selftests else [])):
				build.take(built.obj / name, folder / BOOT / name)
			result.binary = hashlib.sha256((folder / BOOT / self.request.profile.binary).read_bytes()).hexdigest()
			if not self.boots:
				result.verdict = Verdict(Outcome.PASS, "builds")
			elif self.request.profile.virtual_time and before and before.binary == result.binary:
				result.log, result.verdict = before.log, before.verdict
				for name in (LOG, EXECUTED):
					if (before.folder / name).exists():
						shutil.copy2(before.folder / name, folder / name)
			else:
				result.log, result.verdict = self.boot(result, folder, progress, patience)
		result.warnings = build.warnings((folder / BUILD_LOG).read_text(encoding="utf-8", errors="replace"),
						 self.kernel.tree)
		result.seconds = round(sum(progress.seconds.values()) - spent, 1)
		self._finish(result)
		return result

	def _finish(self, result: Result) -> None:
		"""Cache a result, unless its log is truncated: something outside may have killed the kernel."""
		if result.log.ending is not Ending.TRUNCATED or result.error or not self.boots:
			if attempt(f"{result.folder / RESULT} could not be written", lambda: self._keep(result)):
				(result.folder / BEGUN).unlink(missing_ok=True)
		else:
			(result.folder / RESULT).unlink(missing_ok=True)

	def _same(self, commit: str) -> Result | None:
		"""Return the result of a state from which the same kernel was built."""
		tree = build.stands_for(self.kernel, commit, self.request, self.root)
		return self._found(self._folder(tree, self.promised(commit))) if tree else None

	def boot(self, result: Result, folder: Path, progress: Progress, timeout: int = 0, seed: int = 0,
		 suite: str = "") -> tuple[LogResult, Verdict]:
		"""Boot a built state again, with the order of events that a seed draws, and one suite or all; keep the console in folder."""
		how = self.how(Built(result.folder / BOOT, ""), result.promises, timeout)
		how = replace(how, arguments=[*how.arguments, *how.profile.drawn(seed)], filter=suite)
		if suite:	# what all suites execute is known
			how = replace(how, profile=self.request.profile)
		log = how.read(how.run(folder, progress))
		if _is_traced(how.profile) and not suite:
			traced.keep(how.built.obj, result.folder / EXECUTED)
		# A patch may add cases.
		name = self.request.profile.name
		expected = replace(self.expected, promises=result.promises).with_others(log.cases, name)
		return verdict.judge(log, expected, name, suite)

	def how(self, built: Built, promises: str, timeout: int = 0) -> Boot:
		"""Return the boot of a kernel on which the suites assert a series' promises."""
		profile = self.request.profile
		if _is_traced(profile):
			profile = replace(profile, qemu_args=f"{profile.qemu_args} {traced.arguments(built.obj)}".strip())
		return Boot(self.kernel, built, profile, self.arguments(promises), timeout=timeout or self.timeout,
			    box=self.request.sandbox, parser=self.parser_dir)

	def arguments(self, promises: str) -> list[str]:
		"""Return the arguments of a kernel on which the suites assert a series' promises."""
		return [*series.promises(promises), *self.kernel_args]

	def folder(self, commit: str) -> Path:
		"""Return the folder of a state's result."""
		return self._folder(commit, self.promised(commit))

	def noted(self, commit: str, name: str) -> Any:
		"""Return the cached data of a state under a name, {} if there are none, or they are unreadable."""
		try:
			return _read(self.folder(commit) / f"{name}.json")
		except (OSError, ValueError):
			return {}

	def note(self, commit: str, name: str, content: Any) -> None:
		"""Cache data of a state under a name, for later judgements."""
		write_whole(self.folder(commit) / f"{name}.json", json.dumps(content))

	def _folder(self, commit: str, promises: str) -> Path:
		key = "\n".join([build.identity(self.kernel, commit, self.request), self.request.profile.machine, *self.arguments(promises), str(self.timeout),
				 self.expected.path.read_text(encoding="utf-8"), tool_identity(),
				 selftests.identity(self.kernel, self.base or commit, self.request)])
		return self.root / "results" / hashlib.sha256(key.encode()).hexdigest()[:24]

	def _keep(self, result: Result) -> None:
		content: dict[str, Any] = {
			**asdict(result), "log": {**asdict(result.log), "ending": result.log.ending.value},
			"verdict": {"outcome": result.verdict.outcome.value, "reason": result.verdict.reason}}
		for name in ("folder", "cached"):
			del content[name]
		for case in content["log"]["cases"]:
			case["status"] = case["status"].value
		write_whole(result.folder / RESULT, json.dumps(content))
		for old in _newest_first(result.folder.parent)[KEPT:]:
			(old / RESULT).unlink(missing_ok=True)	# first: the file is wrong without the rest
			shutil.rmtree(old, ignore_errors=True)


def _is_traced(profile: Profile) -> bool:
	"""Tell whether to trace what a boot executes: programs would be in the trace, too."""
	return bool(profile.qemu_config) and not profile.selftests


def _newest_first(folder: Path) -> list[Path]:
	"""Return the entries of a folder, the newest first; another lane may remove some meanwhile."""
	found: list[tuple[float, Path]] = []
	for path in folder.iterdir():
		try:
			found.append((path.stat().st_mtime, path))
		except FileNotFoundError:
			continue
	return [path for _, path in sorted(found, reverse=True)]


@functools.cache
def tool_identity() -> str:
	"""Return a digest of the modules that make a result: results of older versions are not trusted."""
	digest = hashlib.sha256()
	for module in (boot, build, expected_cases, ktap, results, selftests, splat, traced, verdict):
		digest.update(Path(str(module.__file__)).read_bytes())
	return digest.hexdigest() + FORMAT


def _read(path: Path) -> Any:
	return json.loads(path.read_text(encoding="utf-8"))


def _log(content: dict[str, Any]) -> LogResult:
	fields: dict[str, Any] = {**content, "ending": Ending(content["ending"])}
	fields["cases"] = [_case(case) for case in content["cases"]]
	fields["splats"] = [Splat(**splat) for splat in content["splats"]]
	return LogResult(**fields)


def _case(content: dict[str, Any]) -> Case:
	fields: dict[str, Any] = {**content, "status": Status(content["status"])}
	return Case(**fields)
