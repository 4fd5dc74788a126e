# SPDX-License-Identifier: GPL-2.0
"""Say of each patch of a series whether it passes, fails and why, is not seen, or cannot be judged.

Patches are tried one after the other in the one worktree, so that only what differs is built again, and
each is compared with the state before it. What is found is a Judgement; how it is told is not decided here.
"""

import functools
import os
import re
import shlex
import shutil
import tempfile
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..kernel import build, profile, sandbox
from ..log import expected
from ..mutation import corpus, promises
from ..report import words
from ..source import b4, ground, mails, patches, series, usertree, worktree
from ..util import deps, outputs, proc, shard
from . import compare, lint, repeat, trailers, weakening
from ..kernel.build import Request
from ..kernel.sandbox import Sandbox
from ..log.results import LABELS, Ending, Outcome
from ..report.files import write_all
from ..report.judgement import Change, Check, Finding, Judgement, PatchJudgement
from ..source.ground import Ground, Start, States
from ..source.options import Options
from ..source.patches import Patch, Submission
from ..util.errors import CannotJudge, PinwaitError, UsageError
from ..util.files import finish_folder, new_folder
from ..util.proc import RESUMES
from ..util.progress import Progress
from ..util.project import CONFIGS, MUTANTS, PROJECT, PROMISES, version
from ..util.shard import Shard
from .attempt import Result, Trials
from .seen import COUNTED, text_of, why_not
from .states import APPLY, COVERAGE, COVERAGE_PROFILE, STATIC, STUBS, STUBS_PROFILE, WARNINGS, Workshop

EVERY_PATCH = (STATIC, WARNINGS, STUBS, COVERAGE)
OF_THE_TEXT = ("checkpatch", "sign-off", "fixes")	# kinds of findings that no other patch can be to blame for
NAMED = 3		# findings that a reason names
TEMPORARY = ("/tmp", "/var/tmp", "/dev", "/proc", "/run")
REPEATED = 4		# times what a boot of the base took in real time: so long boots may take that are repeated


@dataclass(frozen=True)
class Asked:
	"""What the gate was asked, besides what every subcommand is."""
	sources: tuple[str, ...] = ()
	range: str = ""
	base: str = ""
	profiles: tuple[str, ...] = ("uml",)
	checks: tuple[str, ...] = ()	# only these
	only: int = 0			# only this patch
	repeat: int = repeat.LEAST_BOOTS	# boots, of base and patch each, where boots differ and something new was seen
	shard: Shard = Shard()
	isolation: bool = True
	staged: bool = False		# of KDIR, only what is staged
	anew: bool = False		# boot also what is known
	left_out: str = ""		# what the caller leaves out, for people
	review: str = ""		# what b4 wants checked of the series that it has under review: its patch, or its series

	def reproduce(self, options: Options, kernel: str) -> str:
		"""Return the command line that asks the same again."""
		words = options.source("gate", kernel)
		words += [f"--series={options.series}"] if options.series else []
		words += [f"--base={self.base}"] if self.base and not self.range else []
		words += [f"--range={self.range}"] if self.range else []
		words += ["--staged"] if self.staged else []
		words += [f"--profiles={','.join(self.profiles)}"] if self.profiles != Asked.profiles else []
		words += [f"--checks={','.join(self.checks)}"] if self.checks else []
		words += [f"--only={self.only}"] if self.only else []
		words += [f"--repeat={self.repeat}"] if self.repeat != Asked.repeat else []
		words += [f"--timeout={options.timeout}"] if options.timeout else []
		words += [] if self.isolation else ["--no-isolation"]
		words += ["--anew"] if self.anew else []
		return shlex.join([*words, *options.passed_on(), *self.sources])


def judge(options: Options, asked: Asked) -> tuple[Judgement, Path]:
	"""Return the judgement on what was asked, and the folder with its logs.

	Raises UsageError for what makes no sense; whatever else goes wrong is told in the judgement.
	"""
	deps.ensure(deps.RUN | deps.GATE)
	return _Gate(options, asked, Progress()).run()


def no_judgement(command: str, reason: str, exit_code: int, part: str = "") -> Judgement:
	"""Return the judgement of a gate that ended before it was known what it is to judge."""
	return Judgement(kernel="", base="", base_commit="", choice=[], series="", before=[], profiles=[], checks=[], command=command,
			 started=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), compiler="", isolation="", problem=reason,
			 shard=part, tool=version(), ended=exit_code)


class _Gate:
	"""A judgement in the making."""
	shop: Workshop
	tools: Path		# scripts of the base, which judge
	box: Sandbox		# around all that is the patches'
	missing = ""		# which patches before these are not there, so that nothing may come of them

	def __init__(self, options: Options, asked: Asked, progress: Progress):
		self.options, self.asked, self.progress = options, asked, progress
		self.root = options.build_root / "gate"
		self.profiles = {name: profile.load(CONFIGS, name)
				 for name in dict.fromkeys([*asked.profiles, STUBS_PROFILE, COVERAGE_PROFILE])}
		self.checks = self._chosen_checks()
		self.patches: list[Patch] = []
		now = time.gmtime()
		self.folder = new_folder(options.build_root / "results", f"{time.strftime('%Y%m%dT%H%M%SZ', now)}-gate")
		self.judgement = Judgement(
			kernel="", base="", base_commit="", choice=[], series=options.named_series, before=[],
			profiles=list(asked.profiles), checks=self.checks, command=asked.reproduce(options, options.kernel),
			started=time.strftime("%Y-%m-%dT%H:%M:%SZ", now), compiler="", isolation="",
			shard=str(asked.shard), only=asked.only, seconds=self.progress.seconds, tool=version(),
			report_url=options.report_url)

	def run(self) -> tuple[Judgement, Path]:
		"""Judge, and write what came of it; what was tried before an interruption is not tried again."""
		start = time.monotonic()
		try:
			with tempfile.TemporaryDirectory(prefix="pinwait-") as scratch:
				self._judge(Path(scratch))
		except UsageError:
			shutil.rmtree(self.folder, ignore_errors=True)
			raise
		except (Exception, KeyboardInterrupt) as error:
			proc.ignore_interrupts()
			self._broke_off(error)
		finally:
			if self.folder.exists():
				self.judgement.seconds["total"] = round(time.monotonic() - start, 1)
				self.judgement.not_checked += [self.asked.left_out] if self.asked.left_out else []
				self._write()
		return self.judgement, self.folder

	def _broke_off(self, error: BaseException) -> None:
		"""Note what keeps the rest from being judged; what was found so far stays."""
		self.judgement.problem, code = proc.reason_of(error)
		if isinstance(error, KeyboardInterrupt):
			proc.kill_descendants()
			self.judgement.ended = code
			self.progress.say(f"{self.judgement.problem}; {RESUMES}")
		elif not isinstance(error, PinwaitError):
			text, place = "".join(traceback.format_exception(error)), self.folder / "traceback"
			if outputs.attempt(f"{place} could not be written", lambda: place.write_text(text, encoding="utf-8")):
				self.progress.say(f"{self.judgement.problem}: see {place}")

	def _write(self) -> None:
		"""Write the judgement in every form, and where it was asked for."""
		write_all(self.judgement, self.folder, {"judgement.json": self.options.json, "junit.xml": self.options.junit})
		outputs.attempt(f"{self.folder} is not complete", lambda: finish_folder(self.folder, self.judgement.command))

	def _chosen_checks(self) -> list[str]:
		if self.asked.repeat < repeat.LEAST_BOOTS:
			raise UsageError(f"--repeat={self.asked.repeat} boots are too few to tell a patch's fault from a flake: give "
					 f"{repeat.LEAST_BOOTS} or more")
		every = [*EVERY_PATCH, *self.asked.profiles]
		unknown = [name for name in self.asked.checks if name not in every]
		if unknown:
			raise UsageError(f"unknown check '{unknown[0]}'; there are: {', '.join(every)}")
		return [name for name in every if not self.asked.checks or name in self.asked.checks]

	def _judge(self, scratch: Path) -> None:
		judgement = self.judgement
		start, submission = self._submission(scratch)
		self.patches = submission.patches
		if self.asked.only > len(self.patches):
			raise UsageError(f"there is no patch {self.asked.only}, only {len(self.patches)}")
		judgement.not_checked += submission.notes
		judgement.patches = [
			PatchJudgement(number, patch.title, patch.author, patch.source, patch.message_id, patch.sha256, patch.patch_id,
				       mail_sha256=patch.mail_sha256)
			for number, patch in enumerate(self.patches, 1)]
		self._keep_input(submission)
		closed = self._closed()
		with ground.chosen(self.options, start, submission, self.progress) as base:
			judgement.kernel, judgement.base = base.kernel.version, base.base
			judgement.base_commit = base.kernel.base_commit
			judgement.choice, judgement.series = list(base.choice), base.series.name
			judgement.before = base.series.ids()
			if self.options.kdir and not self.asked.range:
				self.asked = replace(self.asked, base=base.kernel.base_commit[:ground.ID])
			judgement.command = self.asked.reproduce(self.options, base.kernel.name)
			for line in base.choice:
				self.progress.say(line)
			with self.progress.stage("apply", f"{len(self.patches)} patches to {base.base}"):
				states = ground.states(base, self.patches, PROJECT)
				if states.failure and not any(patch.problem for patch in self.patches):
					states.nearest = ground.nearest(base, self.options, self.patches, self.progress)
			for line in states.merged:
				judgement.choice.append(line)
				self.progress.say(line)
			self.missing = "" if base.precedes else submission.missing
			if self.missing:
				judgement.not_checked.append(f"what it needs of those before it: {self.missing}; give all of the series, or with "
							    "BASE= a commit that has them")
			if states.failure:
				self._does_not_apply(states, base)
			if len(states.commits) > 1:
				self._prepare(base, states, closed)
				self._try_all(len(states.commits) - 1)

	def _submission(self, scratch: Path) -> tuple[Start, Submission]:
		"""Return where in a tree the patches to judge begin, and the patches."""
		asked, start = self.asked, Start(self.asked.base)
		if sum(map(bool, (asked.sources, asked.range, asked.staged))) > 1:
			raise UsageError("give patches, or a range, or --staged")
		place = scratch / "mails"
		place.mkdir()
		if asked.review:
			tree = usertree.UserTree(Path(self.options.kdir))
			alone = None if asked.review == b4.SERIES else patches.read(asked.sources, place)
			commits = b4.under_review(tree, alone.patches[0] if alone else None)
			if alone and not commits:
				return start, alone
			if not commits:
				raise CannotJudge("b4 does not say which commits this series has become: check it out in `b4 review` (r), "
						  "then have it checked once more (c, R)")
			self.asked = asked = replace(asked, range=commits, sources=())
		if asked.range:
			start, box, commits = ground.with_range(self.options, asked.range, scratch)
			self.asked = replace(asked, range=commits)
			return start, patches.read([box], place, keep_cr=True)
		if asked.sources:
			return start, patches.read(asked.sources, place)
		if not self.options.kdir:
			raise UsageError("there is nothing to judge: give PATCH=file, or KDIR=tree for what is uncommitted there")
		diff = usertree.UserTree(Path(self.options.kdir)).uncommitted(asked.staged)
		what = "staged" if asked.staged else "uncommitted"
		if not diff:
			raise UsageError(f"nothing is {what} in {self.options.kdir}: give a patch or a range")
		return Start("HEAD", trusted=True), patches.read_diff(diff, f"{what} change", place)

	def _keep_input(self, submission: Submission) -> None:
		"""Keep the patches as they were understood; what will not be there any more can be judged again from there."""
		kept = self.folder / "patches"
		kept.mkdir()
		for number, patch in enumerate(submission.patches, 1):
			name = re.sub(r"[^A-Za-z0-9]+", "-", patch.subject).strip("-")[:52] or "patch"
			content = patch.path.read_bytes()
			trailers = f"\n{submission.trailers}".encode() if number == 1 else b""
			if patch.bare:
				(kept / f"{number:04d}-{name}.diff").write_bytes(content.partition(b"\n---\n")[2].lstrip(b"\n"))
			else:
				(kept / f"{number:04d}-{name}.patch").write_bytes(content + trailers)
		sources = self.asked.sources
		passing = not sources or any(mails.wanted_id(name) or _passes(name, self.options.build_root) for name in sources)
		if passing and not self.asked.range:
			self.asked = replace(self.asked, sources=(str(kept),), staged=False)
		else:
			self.asked = replace(self.asked, sources=tuple(map(os.path.abspath, sources)))
		self.judgement.command = self.asked.reproduce(self.options, self.options.kernel)

	def _closed(self) -> bool:
		"""Tell whether patched code is kept in. Raises CannotJudge if it should be and cannot."""
		why = sandbox.failure() if self.asked.isolation else ""
		if why:
			raise CannotJudge(f"a patch's code would run unconfined on this machine: {why}; "
					  "to judge code that you trust, say --no-isolation")
		return self.asked.isolation

	def _prepare(self, base: Ground, states: States, closed: bool) -> None:
		"""Make ready for trying states of the base."""
		kernel = base.kernel
		kunit = "tools/testing/kunit"
		self.tools = lint.export_tools(kernel.git, base.applied, self.root / "tools")
		self.box = box = Sandbox(closed, (kernel.tree, PROJECT / "lib", PROJECT / kunit, self.tools),
					 {kernel.tree / name: self.tools / name for name in (kunit, *lint.CALLED)})
		self.judgement.isolation = sandbox.DESCRIPTION if closed else ""
		cases = expected.load(CONFIGS / "expected-cases.txt")

		@functools.cache
		def promised(commit: str) -> str:
			# The patches may bring the series that the base has not.
			brought = base.series.name == series.NONE and series.has_series(self.options.series_root, series.DEFAULT,
											replace(kernel, base_commit=commit))
			return series.DEFAULT if brought else base.series.name
		trials = {}
		for name, found in self.profiles.items():
			request = Request(found, self.options.jobs, self.options.kconfig_add, self.options.make_options, box)
			trials[name] = Trials(kernel, request, cases, self.root, self.tools / kunit, promised, self.options.kernel_args,
					      self.options.timeout, name != STUBS_PROFILE, self.asked.anew)
			self._seed(trials[name].obj)
		main = self.asked.profiles[0]
		self.judgement.compiler = build.compiler_of(trials[main].request)
		self.judgement.not_checked += [f"{name}: patched, but what judges is the base's" for name in dict.fromkeys(
			name for patch in self.patches for name in patch.files if lint.judges(name))]
		self.shop = Workshop(kernel, states.commits, [(), *(patch.files for patch in self.patches[:len(states.commits) - 1])], trials,
				     main,
				     self.options.build_root / "strays", self.progress)

	def _seed(self, obj: Path) -> None:
		"""Begin with objects that `run` has made: the gate's own are apart, for patched code could write to them."""
		theirs = self.options.build_root / obj.relative_to(self.root)
		for source, target in ((theirs, obj), (self.options.build_root / "ccache", self.root / "ccache")):
			if source.is_dir() and not target.exists():
				partial = target.with_name(f"{target.name}.partial")
				shutil.rmtree(partial, ignore_errors=True)
				shutil.copytree(source, partial, symlinks=True)
				partial.rename(target)

	def _does_not_apply(self, states: States, base: Ground) -> None:
		failed = len(states.commits)
		if states.nearest.startswith(base.base):	# to send people there would send them round in circles
			states.nearest = ""
		self.judgement.nearest = states.nearest
		near = "" if self.patches[failed - 1].problem else f"; it does apply to {states.nearest}" if states.nearest else \
			"; no base is known that it applies to"
		failure = f"{self.missing}, and without that it {states.failure}" if self.missing else states.failure + near
		for patch in self.judgement.patches[failed - 1:]:
			reason = failure if patch.number == failed else f"not tried: patch {failed} does not apply"
			patch.checks.append(Check(APPLY, Outcome.CANNOT_JUDGE, reason))

	def _try_all(self, count: int) -> None:
		"""Judge the first patches, as many as apply."""
		if (self.shop.kernel.tree / worktree.UNFINISHED).exists():
			self.shop.check_out(0)	# a look at the text alone needs a tree, too
		units = self.asked.shard.block(shard.units(self.checks, len(self.patches), self.asked.only))
		for number in sorted({number for _, number in units if number <= count}):
			here = [check for check in self.checks if (check, number) in units]
			patch = self.judgement.patches[number - 1]
			with self.progress.stage("judge", f"patch {number} of {len(self.patches)}: {patch.subject}"):
				# One after the other: what was found stays, should anything break afterwards.
				for name in here:
					if name != STATIC:
						self._look(number, here)
					patch.checks.append(self._check(name, number))
			self.progress.say(f"patch {number} of {len(self.patches)}: {LABELS[patch.outcome]}: {patch.subject}")

	def _look(self, number: int, checks: Sequence[str]) -> None:
		"""Find out what the checks need to know of the state before a patch, and of the one after it."""
		shop, main = self.shop, self.asked.profiles[0]
		builds = list(dict.fromkeys([*([main] if WARNINGS in checks else []),
					     *(STUBS_PROFILE if name == STUBS else name for name in checks
					       if name not in (STATIC, WARNINGS, COVERAGE))]))
		compiled = any(name.endswith((".c", ".h")) for name in self.patches[number - 1].files)
		more = [WARNINGS] if WARNINGS in checks and compiled else []
		counts = [COVERAGE] if COVERAGE in checks and self._is_measured(number) else []
		shop.look(number - 1, builds)
		for name in builds if number == 1 else ():
			self._is_sound(name)
		shop.look(number - 1, [*more, *counts])
		if all(build.NOT_BUILT.match(name) for name in self.patches[number - 1].files):
			shop.same(number)
		# All objects would be compiled once more for what most of them include: what is executed before it has to do.
		shop.look(number, [*builds, *more, *(counts if counts and not shop.wide(number) else [])])

	def _is_sound(self, name: str) -> None:
		"""Raise CannotJudge if the base itself does not build, or does not come to the tests."""
		why = self._unsound(0, name)
		if why:
			raise CannotJudge(f"no patch can be judged in profile {name}, for the base {why}")

	def _unsound(self, index: int, name: str) -> str:
		"""Say why nothing can be compared with a state, "" if something can."""
		result = self.shop.result(index, name)
		if result.error:
			return f"does not build: {result.error}"
		if self.shop.trials[name].boots and (not result.log.started or result.log.ending is Ending.TRUNCATED):
			return f"does not come to the tests, or not to their end: {result.verdict.reason}"
		return ""

	def _is_measured(self, number: int) -> bool:
		"""Tell whether what is executed is to be counted for a patch; not if two states in a row would be compiled whole."""
		counted = any(name.endswith(COUNTED) and not build.NOT_BUILT.match(name) for name in self.patches[number - 1].files)
		return counted and not (self.shop.wide(number) and any(map(self.shop.wide, range(1, number))))

	def _check(self, name: str, number: int) -> Check:
		"""Return what one check says of a patch."""
		start = time.monotonic()
		made = {STATIC: self._static, WARNINGS: self._warnings, STUBS: self._stubs, COVERAGE: self._coverage}
		check = made[name](number) if name in made else self._suite(name, number)
		check.findings = compare.held_first(check.findings)
		if check.held and check.outcome is Outcome.PASS:
			check.outcome, check.reason = Outcome.FAIL, _named(check.held)
		if self.missing and check.outcome is Outcome.FAIL:
			self._excuse(check)
		answer = self.shop.answers.get((number, STUBS_PROFILE if name == STUBS else name))
		check.seconds = round(time.monotonic() - start + (answer.seconds if answer else 0), 1)
		check.cached = bool(answer and answer.result and answer.result.cached)
		check.command = replace(self.asked, checks=(name,), only=number if len(self.patches) > 1 else 0,
					shard=Shard()).reproduce(self.options, self.shop.kernel.name)
		return check

	def _excuse(self, check: Check) -> None:
		"""Hold nothing against a patch that what is missing before it may be to blame for."""
		check.findings = [replace(finding, held=finding.held and finding.kind in OF_THE_TEXT) for finding in check.findings]
		if not check.held:
			check.outcome, check.reason = Outcome.CANNOT_JUDGE, f"{self.missing}, and without that: {check.reason}"

	def _static(self, number: int) -> Check:
		"""The patch as a text: checkpatch, trailers, kernel-doc."""
		patch = self.patches[number - 1]
		check = Check(STATIC, Outcome.PASS, "checkpatch, trailers and kernel-doc have no error")
		for level, kind, text in lint.checkpatch(self.box, self.tools, self.shop.kernel.tree, patch.path, not patch.bare):
			what = "sign-off" if kind == "MISSING_SIGN_OFF" else "checkpatch"
			if what == "sign-off" and patch.cut:
				text += "\nA Signed-off-by: stands behind the first --- line, where git am cuts the message: what is committed has none"
			place = re.search(r"^#\d+: FILE: (\S+?):?$", text, re.MULTILINE)
			check.findings.append(Finding(what, f"{kind}: {text.splitlines()[0]}", Change.NEW, level == "ERROR",
						      f"{level}:{kind}: {text}", place[1] if place else ""))
		check.findings += compare.items({}, trailers.fixes(patch.message, self.options.kdir))
		before, after = (self._kernel_doc(index, patch) for index in (number - 1, number))
		check.findings += compare.items(before, after)
		if patch.no_author:
			check.findings = [replace(finding, held=False) for finding in check.findings]
			check.outcome, check.reason = Outcome.CANNOT_JUDGE, f"whose sign-off it needs is not known: {patch.place}: {patch.no_author}"
			return check
		notes = len([finding for finding in check.findings if not finding.held and finding.change is Change.NEW])
		if notes:
			check.reason += f"; {notes} remark{'s' if notes > 1 else ''}"
		if patch.bare:
			check.reason += "; there is no message to look at"
		return check

	def _kernel_doc(self, index: int, patch: Patch) -> dict[str, compare.Item]:
		"""Return what kernel-doc says of a patch's files in a state."""
		git = self.shop.kernel.git
		sources = [name for name in patch.files if name.endswith((".c", ".h"))]
		listed = git("ls-tree", "--name-only", "-r", self.shop.states[index], "--", *sources).splitlines() if sources else []
		with tempfile.TemporaryDirectory(prefix="pinwait-") as scratch:
			for name in listed:
				path = Path(scratch, name)
				path.parent.mkdir(parents=True, exist_ok=True)
				path.write_text(git("cat-file", "blob", f"{self.shop.states[index]}:{name}") + "\n", encoding="utf-8",
						errors="surrogateescape")
			return compare.messages(lint.kernel_doc(self.tools, Path(scratch), listed), "kernel-doc", dict(patch.renamed))

	def _warnings(self, number: int) -> Check:
		"""What W=1 and sparse say of what the patch touches, that they did not say before."""
		shop = self.shop
		result = shop.result(number, shop.main)
		sources = self._looked_at(number)
		check = Check(WARNINGS, Outcome.PASS, "nothing that it touches is compiled")
		if result.error:
			return Check(WARNINGS, Outcome.CANNOT_JUDGE, f"it does not compile: see {shop.main}")
		headers = [name for name in self.patches[number - 1].files if name.endswith(".h")]
		looked_at = [*sources, *headers]
		before, after = (self._said(index, looked_at, dict(self.patches[number - 1].renamed)) for index in (number - 1, number))
		check.findings = compare.items(before, after)
		if sources:
			check.reason = f"W=1 and sparse say nothing new of {', '.join(sources[:NAMED])}"
			check.reason += f" and {len(sources) - NAMED} more" if len(sources) > NAMED else ""
		answer = shop.answers.get((number, WARNINGS))
		self.judgement.not_checked += [f"patch {number}: {answer.problem}"] if answer and answer.problem else []
		return check

	def _looked_at(self, number: int) -> list[str]:
		"""Return the C files through which a patch's files were looked at before it or after it."""
		found: dict[str, None] = {}
		for index in (number, number - 1):
			answer = self.shop.answers.get((index, WARNINGS))
			for name in self.patches[number - 1].files:
				found |= dict.fromkeys((answer.sources or {}).get(name, ()) if answer else ())
		return list(found)

	def _said(self, index: int, names: Sequence[str], renamed: Mapping[str, str]) -> dict[str, compare.Item]:
		answer = self.shop.answers.get((index, WARNINGS))
		lines = answer.lines if answer and answer.lines else {}
		return compare.messages((line for name in names for line in lines.get(name, ())), renamed=renamed)

	def _stubs(self, number: int) -> Check:
		"""Does it build without page migration and without KUnit?"""
		check = self._compared(STUBS, STUBS_PROFILE, number)
		if check.outcome is Outcome.PASS:
			check.reason = "it builds without page migration and without KUnit"
		return check

	def _coverage(self, number: int) -> Check:
		"""Is any of the code that it changes executed? What is not is told, and held against nobody."""
		patch = self.judgement.patches[number - 1]
		wide = "" if (number - 1, COVERAGE) in self.shop.answers or not self.shop.wide(number) else \
			"an earlier patch changes a header that most files include, too, and all would have to be compiled twice more"
		problem = wide or next((answer.problem for index in (number, number - 1)
				if (answer := self.shop.answers.get((index, COVERAGE))) and answer.problem), "")
		if problem:
			self.judgement.not_checked.append(f"patch {number}: which of the changed lines are executed: {problem}")
			return Check(COVERAGE, Outcome.PASS, f"not measured: {problem}")
		patch.covered, compiled = self.shop.covered(number)
		if not patch.covered:
			return Check(COVERAGE, Outcome.PASS, "it changes no code")
		executed, missed, removed = (sum(len(getattr(file, name)) for file in patch.covered) for name in ("executed", "missed", "removed"))
		if not executed and not removed:
			return Check(COVERAGE, Outcome.NOT_SEEN, f"none of the code that it changes is executed: {why_not(patch.covered, compiled)}")
		told = [f"{executed} of {executed + missed} changed lines with code are executed"] if executed + missed else []
		told += [f"{removed} of those that it removes were"] if removed else []
		return Check(COVERAGE, Outcome.PASS, ", ".join(told))

	def _suite(self, name: str, number: int) -> Check:
		"""What the suites say in a profile, compared with what they said before."""
		check = self._compared(name, name, number)
		if check.outcome is Outcome.PASS and not check.held:
			after, index = self.shop.result(number, name), self._last_sound(number, name)
			added = after.cases - self.shop.result(index, name).cases
			flakes = repeat.flakes(check.findings)
			check.reason = "" if after.verdict.outcome is Outcome.PASS else "nothing new: "
			check.reason = f"suspected flake, held against nobody: {_named(flakes)}; " if flakes else check.reason
			check.reason += after.verdict.reason + (f", {len(added)} of them added by the patch" if added else "")
			check.reason += f", compared with the state after patch {index}, the last one that came to the tests" if index < number - 1 else ""
		return check

	def _last_sound(self, number: int, name: str) -> int:
		"""Return the last state before a patch that came to the tests; the base does, or nothing can be judged."""
		index = number - 1
		while index and self._unsound(index, name):
			index -= 1
			self.shop.look(index, [name])
		if not index:
			self._is_sound(name)
		return index

	def _compared(self, check_name: str, name: str, number: int) -> Check:
		"""Compare the state after a patch with the last one before it that was built."""
		shop = self.shop
		after = shop.result(number, name)
		before = shop.result(number - 1 if after.error else self._last_sound(number, name), name)
		check = Check(check_name, Outcome.PASS, "", log=self._keep_logs(number, check_name, after.folder))
		check.findings = (compare.compare if shop.trials[name].boots else compare.builds)(before, after)
		if after.error and before.error:
			check.outcome, check.reason = Outcome.CANNOT_JUDGE, "the tree does not build since an earlier patch"
			if any(finding.change is Change.NEW for finding in check.findings):
				check.reason += ", and now fails in another way"
				check.findings = [replace(finding, held=False) for finding in check.findings]
			return check
		check.counts = after.counts
		if number > 1 and self._unsound(number, name) and self._unsound(number - 1, name) and not after.error:
			check.outcome, check.findings = Outcome.CANNOT_JUDGE, []
			check.reason = f"since an earlier patch the kernel {self._unsound(number, name)}"
			return check
		if after.error or not shop.trials[name].boots:
			check.findings += [] if after.error else self._new_warnings(name, number, after)
			return check
		check.findings = self._repeated(name, before, after, check.findings, check.log or f"patch-{number}/{check_name}")
		check.findings += self._new_warnings(name, number, after)
		if name == shop.main:
			check.findings += self._weakened(number)
		if (unknown := compare.unknown(before.log, after.log)) and not check.held:
			check.outcome = Outcome.CANNOT_JUDGE
			check.reason = f"{', '.join(unknown[:NAMED])}: failed, but before the patch the kernel was gone by then"
		if after.log.blind and not before.log.blind and not check.held:
			check.outcome, check.reason = Outcome.CANNOT_JUDGE, "; ".join(after.log.blind)
		return check

	def _keep_logs(self, number: int, check: str, folder: Path) -> str:
		"""Copy the logs of a state to the results, and return where they are there."""
		place = Path(f"patch-{number}", check)
		def keep() -> None:
			(self.folder / place).mkdir(parents=True, exist_ok=True)
			for name in ("build.log", "kernel.log"):
				if (folder / name).exists():
					shutil.copyfile(folder / name, self.folder / place / name)
		return str(place) if outputs.attempt(f"the logs in {folder} could not be kept", keep) else ""

	def _repeated(self, name: str, before: Result, after: Result, findings: list[Finding], place: str) -> list[Finding]:
		"""Boot base and patch again where something new was seen, and say whether the patch is to blame."""
		trial, suspects = self.shop.trials[name], [finding for finding in findings if finding.held]
		if not suspects or before.error or after.error or not trial.boots:
			return findings
		virtual = trial.request.profile.virtual_time
		# A boot that hangs takes its whole time limit: one that the base needs a fraction of is enough, and the same for both.
		limit = self.shop.patience(name) or min(trial.timeout, round(REPEATED * max(before.log.wall_seconds or trial.timeout, 1.0)))

		def boot(result: Result, label: str) -> Result:
			folder = self.folder / place / label
			folder.mkdir(parents=True)
			log, answer = trial.boot(result, folder, self.progress, limit)
			return replace(result, log=log, verdict=answer)
		# Each patch can need one test a profile, and one more of the tests as they were.
		rule = repeat.Rule.of(len(self.patches) * (len(self.asked.profiles) + 1), self.asked.repeat)
		told = repeat.repeated(before, after, suspects, rule, virtual, boot)
		return [*told, *(finding for finding in findings if not finding.held)]

	def _weakened(self, number: int) -> list[Finding]:
		"""Return what the suites as they were find, and what they caught of broken kernels and catch no more, if the
		patch touches them."""
		shop, main = self.shop, self.shop.main
		tests = [name for name in self.patches[number - 1].files if weakening.is_test(name)]
		if not tests:
			return []
		pristine = shop.also(worktree.with_files(shop.kernel, shop.states[number], shop.states[number - 1], tests))
		shop.look(pristine, [main])
		found = []
		was, now = shop.result(number - 1, main), shop.result(pristine, main)
		for finding in self._repeated(main, was, now, compare.compare(was, now), f"patch-{number}/tests-as-they-were"):
			# An interface that the patch changes, tests included, is not for the old tests to judge.
			if finding.held and finding.kind != "error":
				found.append(replace(finding, id=f"{finding.id} (tests as they were)", text="Before the patch's change of the "
						     f"tests, and with its other changes:\n{finding.text}"))
		cases: set[str] = set()
		for name in tests:
			before, after = (text_of(shop.kernel.git, shop.states[index], name) for index in (number - 1, number))
			diff = shop.kernel.git.changed(shop.states[number - 1], shop.states[number], name)
			found += [Finding("weakened", f"{weakening.suite_of(name) or name}: {function}(): {what}", Change.NEW, True,
					  f"{function}() in {name} asserted what {what} is equal to, and now only {relation}", name)
				  for what, function, relation in weakening.loosened(before, after)]
			found += [Finding("weakened", f"{weakening.suite_of(name) or name}: {function}(): {assertion} is gone", Change.NEW, True,
					  f"{function}() in {name} asserted {assertion}, and nothing came in its place", name)
				  for assertion, function in weakening.dropped(before, after)]
			cases |= {f"{weakening.suite_of(name)}.{case}" for case in weakening.touched_cases(before, after, diff)}
		if found:
			return found	# enough is known, and broken kernels take their time
		if not shop.trials[main].request.profile.virtual_time:
			self.judgement.not_checked.append(f"patch {number}: the tests on broken kernels: profile {main} runs in real time, where "
							  "one boot of each proves nothing")
			return found
		suites = {weakening.suite_of(name) for name in tests}
		mutants = weakening.select(promises.rows(promises.load(PROMISES)), corpus.load(MUTANTS), suites, cases)
		for mutant in mutants:
			try:
				at = [shop.also(worktree.broken(shop.kernel, shop.states[index], mutant)) for index in (number - 1, number)]
			except UsageError:
				self.judgement.not_checked.append(f"patch {number}: the tests on mutant {mutant.name}, whose place is not there")
				continue
			for index in at:
				shop.look(index, [main])
			lost = weakening.lost(shop.result(at[0], main), shop.result(at[1], main), cases if "" not in suites else ())
			if lost:
				found.append(Finding("weakened", f"{lost[0]} does not notice {mutant.name} any more", Change.NEW, True,
						     f"Before the patch, {', '.join(lost[:NAMED])}"
						     + (f" and {len(lost) - NAMED} more" if len(lost) > NAMED else "")
						     + f" failed on a kernel that {mutant.why}; with it, not.", lost[0]))
		return found

	def _new_warnings(self, name: str, number: int, after: Result) -> list[Finding]:
		"""Return what Kconfig and the compiler said in an ordinary build of a state, and did not say of the same files before."""
		log = self.folder / f"{name}-warnings.log"
		found = []
		if any(lint.is_kconfig(file) for file in self.patches[number - 1].files):
			# The state before may be one that cannot be configured.
			old, new = (compare.messages(self.shop.kconfig(index, name, log))
				    for index in (self._last_sound(number, name), number))
			found = compare.items(old, new)
		looked_at = self._looked_at(number) if name == self.shop.main else []
		files = dict.fromkeys(line.partition(":")[0] for line in after.warnings)
		sources = self.shop.compiled([file for file in files if file not in looked_at], name)
		if not sources:
			return found
		before, now = (compare.messages(self.shop.messages(index, name, sources, log)) for index in (number - 1, number))
		return found + compare.items(before, now)


def _passes(source: str, build_root: Path) -> bool:
	"""Tell whether what patches are read from is a pipe, or lies where files are not kept; in the build root they are."""
	path = Path(os.path.realpath(source))
	if source == "-" or not os.path.exists(source) or path.is_relative_to(os.path.realpath(build_root)):
		return source == "-"
	return any(path.is_relative_to(os.path.realpath(place)) for place in (tempfile.gettempdir(), *TEMPORARY))


def _named(held: Sequence[Finding]) -> str:
	"""Sum up in one sentence what is held against a patch: why the first, and what else."""
	groups: dict[object, list[Finding]] = {}
	for finding in held:
		groups.setdefault(words.likeness(finding), []).append(finding)
	told = [_short(group) for group in groups.values()]
	told[0] += f": {words.why(held[0])}" if held[0].kind in words.OF_CASES else ""
	return "; ".join(told[:NAMED]) + (f"; and {len(told) - NAMED} more" if len(told) > NAMED else "")


def _short(group: Sequence[Finding]) -> str:
	"""Name findings that are alike in a few words."""
	first = group[0]
	seen = f" ({first.after} boots with it, {first.before} without)" if first.after and first.before else ""
	if first.kind == "warning":
		return f"warning: {first.text.splitlines()[0]}"
	more = f" and {words.count(len(group) - 1, 'other case')}" if len(group) > 1 else ""
	return f"{first.kind}: {first.id}{more}{seen}"
