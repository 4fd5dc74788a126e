# SPDX-License-Identifier: GPL-2.0
"""Judge each patch of a series: pass, not seen, fail (with the reason), or cannot judge.

Patches are tried one after the other in the one worktree, so that only changed files are rebuilt, and each
is compared with the state before it. The result is a Judgement; report/ decides how to present it.
"""

import functools
import os
import re
import shlex
import shutil
import tempfile
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ..kernel import build, profile, qemu, sandbox
from ..mutation import road, score
from ..report import words
from ..source import b4, ground, mails, patches, series, usertree, worktree
from ..util import deps, outputs, proc, shard
from . import blind, choice, compare, lint, repeat
from ..kernel.build import Request
from ..kernel.sandbox import Sandbox
from ..log.results import LABELS, Outcome
from ..report.files import write_all
from ..report.judgement import Check, Judgement, PatchJudgement
from ..source.ground import Ground, Start, States
from ..source.options import Options
from ..source.patches import Patch, Submission
from ..util.errors import CannotJudge, PinwaitError, UsageError
from ..util.files import finish_folder, new_folder
from ..util.proc import RESUMES
from ..util.progress import Progress
from ..util.project import BLIND, CONFIGS, PROJECT, ROAD, SCORES, version
from ..util.shard import Shard
from .attempt import Trials
from .checks import Configurations, Examiner, Executed, Scene, Text, Warnings
from .states import APPLY, BUILT_ONLY, COVERAGE, COVERAGE_PROFILE, NOMMU_PROFILE, OBJECTS, STATIC, STUBS, TRACED, WARNINGS, Workshop
from .suites import Stubs, Suite

EVERY_PATCH = (STATIC, WARNINGS, STUBS, OBJECTS, COVERAGE)
PICKED_FROM = ("uml", choice.PROFILE)	# of these the gate picks for each patch, if the caller does not: always the first
MORE_PROFILES = (*BUILT_ONLY, COVERAGE_PROFILE)	# besides those in which the suites run
OF_THE_TEXT = ("checkpatch", "sign-off", "fixes")	# kinds of findings of which only the patch itself can be the cause
TEMPORARY = ("/tmp", "/var/tmp", "/dev", "/proc", "/run")


@dataclass(frozen=True)
class Asked:
	"""The gate's own part of the request, besides the options of every subcommand."""
	sources: tuple[str, ...] = ()
	range: str = ""
	base: str = ""
	profiles: tuple[str, ...] = ()	# in these, exactly; none: uml, and x86_64 for a patch that needs it
	checks: tuple[str, ...] = ()	# only these
	only: int = 0			# only this patch
	repeat: int = repeat.LEAST_BOOTS	# boots of base and patch each, if boots differ and something is new
	shard: Shard = Shard()
	isolation: bool = True
	staged: bool = False		# of KDIR, only staged changes
	anew: bool = False		# boot cached kernels again
	left_out: str = ""		# checks that the caller leaves out, for people
	review: str = ""		# part of the series under review in b4 to check: a patch, or the series

	def reproduce(self, options: Options, kernel: str) -> str:
		"""Return the command line that repeats the request."""
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
		words += ["--no-cache"] if self.anew else []
		return shlex.join([*words, *options.passed_on(), *self.sources])


def judge(options: Options, asked: Asked) -> tuple[Judgement, Path]:
	"""Return the judgement on the request, and the folder with its logs.

	Raises UsageError for an invalid request; the judgement reports every other error.
	"""
	deps.ensure(deps.RUN | deps.GATE)
	return _Gate(options, asked, Progress()).run()


def no_judgement(command: str, reason: str, exit_code: int, part: str = "") -> Judgement:
	"""Return the judgement of a gate that ended before it had read its input."""
	return Judgement(kernel="", base="", base_commit="", choice=[], series="", before=[], profiles=[], checks=[], command=command,
			 started=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), compiler="", isolation="", problem=reason,
			 shard=part, tool=version(), ended=exit_code)


class _Gate:
	"""A judgement while it is made."""
	scene: Scene
	missing = ""		# predecessors that are missing, which may make these patches fail

	def __init__(self, options: Options, asked: Asked, progress: Progress):
		self.options, self.asked, self.progress = options, asked, progress
		self.root = options.build_root / "gate"
		self.suites = asked.profiles or PICKED_FROM
		self.profiles = {name: self._profile(name) for name in dict.fromkeys([*self.suites, *MORE_PROFILES])}
		self.checks = self._chosen_checks()
		self.patches: list[Patch] = []
		now = time.gmtime()
		self.folder = new_folder(options.build_root / "results", f"{time.strftime('%Y%m%dT%H%M%SZ', now)}-gate")
		self.judgement = Judgement(
			kernel="", base="", base_commit="", choice=[], series=options.named_series, before=[],
			profiles=list(asked.profiles or PICKED_FROM[:1]), checks=self.checks, command=asked.reproduce(options, options.kernel),
			started=time.strftime("%Y-%m-%dT%H:%M:%SZ", now), compiler="", isolation="",
			shard=str(asked.shard), only=asked.only, seconds=self.progress.seconds, tool=version(),
			report_url=options.report_url)

	def run(self) -> tuple[Judgement, Path]:
		"""Judge, and write the judgement; results from before an interruption are reused."""
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
		"""Record why the rest cannot be judged; the findings so far stay."""
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
		"""Write the judgement in every form, and the requested copies."""
		write_all(self.judgement, self.folder, {"judgement.json": self.options.json, "junit.xml": self.options.junit})
		outputs.attempt(f"{self.folder} is not complete", lambda: finish_folder(self.folder, self.judgement.command))

	def _profile(self, name: str) -> profile.Profile:
		"""Return a profile with its QEMU. One that the gate picks by itself may lack that: choice.missing() tells."""
		found = profile.load(CONFIGS, name)
		return found if name not in self.asked.profiles and choice.missing() else qemu.provided(found, self.options.build_root)

	def _chosen_checks(self) -> list[str]:
		if self.asked.repeat < repeat.LEAST_BOOTS:
			raise UsageError(f"--repeat={self.asked.repeat} boots are too few to distinguish a patch's fault from a flake: give "
					 f"{repeat.LEAST_BOOTS} or more")
		every = [*EVERY_PATCH, *self.suites]
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
				judgement.not_checked.append(f"dependencies on earlier patches: {self.missing}; give the whole series, or with "
							    "BASE= a commit that has those patches")
			if states.failure:
				self._does_not_apply(states, base)
			if len(states.commits) > 1:
				self._prepare(base, states, closed)
				self._try_all(len(states.commits) - 1)

	def _submission(self, scratch: Path) -> tuple[Start, Submission]:
		"""Return the commit of a tree on which the patches begin, and the patches."""
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
				raise CannotJudge("b4 does not say which commits belong to this series: check it out in `b4 review` (r), "
				"then check it again (c, R)")
			self.asked = asked = replace(asked, range=commits, sources=())
		if asked.range:
			start, box, commits = ground.with_range(self.options, asked.range, scratch)
			self.asked = replace(asked, range=commits)
			return start, patches.read([box], place, keep_cr=True)
		if asked.sources:
			return start, patches.read(asked.sources, place)
		if not self.options.kdir:
			raise UsageError("there is nothing to judge: give PATCH=file, or KDIR=tree for the uncommitted changes there")
		diff = usertree.UserTree(Path(self.options.kdir)).uncommitted(asked.staged)
		what = "staged" if asked.staged else "uncommitted"
		if not diff:
			raise UsageError(f"nothing is {what} in {self.options.kdir}: give a patch or a range")
		return Start("HEAD", trusted=True), patches.read_diff(diff, f"{what} change", place)

	def _keep_input(self, submission: Submission) -> None:
		"""Keep the patches as they were parsed; input that will not last can be judged again from this copy."""
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
		"""Tell whether to confine patched code. Raises CannotJudge if it must be confined but cannot."""
		why = sandbox.failure() if self.asked.isolation else ""
		if why:
			raise CannotJudge(f"a patch's code would run unconfined on this machine: {why}; "
					  "to judge code that you trust, use --no-isolation")
		return self.asked.isolation

	def _prepare(self, base: Ground, states: States, closed: bool) -> None:
		"""Prepare the attempts on states of the base."""
		kernel = base.kernel
		kunit = "tools/testing/kunit"
		tools = lint.export_tools(kernel.git, base.applied, self.root / "tools")
		box = Sandbox(closed, (kernel.tree, PROJECT / "lib", PROJECT / kunit, tools),
			      {kernel.tree / name: tools / name for name in (kunit, *lint.CALLED)})
		self.judgement.isolation = sandbox.DESCRIPTION if closed else ""
		@functools.cache
		def promised(commit: str) -> str:
			# The patches may add the series that the base lacks.
			brought = base.series.name == series.NONE and series.has_series(self.options.series_root, series.DEFAULT,
											replace(kernel, base_commit=commit))
			return series.DEFAULT if brought else base.series.name
		trials = {}
		for name, found in self.profiles.items():
			request = Request(found, self.options.jobs, self.options.kconfig_add, self.options.make_options, box)
			trials[name] = Trials(kernel, request, profile.expected_cases(CONFIGS, found), self.root, tools / kunit, promised,
					      self.options.kernel_args, self.options.timeout, name not in BUILT_ONLY, self.asked.anew,
					      states.commits[0])
			self._seed(trials[name].obj)
		main = self.suites[0]
		self.judgement.compiler = build.compiler_of(trials[main].request)
		self.judgement.not_checked += [f"{name}: the patch changes it, but the gate judges with the base's" for name in dict.fromkeys(
			name for patch in self.patches for name in patch.files if lint.judges(name))]
		shop = Workshop(kernel, states.commits, [(), *(patch.files for patch in self.patches[:len(states.commits) - 1])], trials, main,
				self.options.build_root / "strays", self.progress)
		if any(choice.MMU in shop.depends_on(number)[0] for number in range(1, len(states.commits))) and not choice.lacks_cross():
			shop.configs.append(NOMMU_PROFILE)
		self.scene = Scene(shop, self.patches, self.suites, self.asked.repeat, tools, box, self.options.kdir, self.folder,
				   self.progress, self.judgement.not_checked.append, score.newest(SCORES, base.series.name), blind.load(BLIND),
				   road.load(ROAD).functions)

	def _seed(self, obj: Path) -> None:
		"""Start from a copy of `run`'s objects. The gate's own objects are separate because patched code can write to them."""
		theirs = self.options.build_root / obj.relative_to(self.root)
		for source, target in ((theirs, obj), (self.options.build_root / "ccache", self.root / "ccache")):
			if source.is_dir() and not target.exists():
				partial = target.with_name(f"{target.name}.partial")
				shutil.rmtree(partial, ignore_errors=True)
				shutil.copytree(source, partial, symlinks=True)
				partial.rename(target)

	def _does_not_apply(self, states: States, base: Ground) -> None:
		failed = len(states.commits)
		if states.nearest.startswith(base.base):	# do not name the base that was tried
			states.nearest = ""
		self.judgement.nearest = states.nearest
		near = "" if self.patches[failed - 1].problem else f"; it does apply to {states.nearest}" if states.nearest else \
			"; no base to which it applies is known"
		failure = f"{self.missing}, and without that it {states.failure}" if self.missing else states.failure + near
		for patch in self.judgement.patches[failed - 1:]:
			reason = failure if patch.number == failed else f"not tried: patch {failed} does not apply"
			patch.checks.append(Check(APPLY, Outcome.CANNOT_JUDGE, reason))

	def _try_all(self, count: int) -> None:
		"""Judge the first patches, as many as apply."""
		shop = self.scene.shop
		if (shop.kernel.tree / worktree.UNFINISHED).exists():
			shop.check_out(0)	# checks of the text alone need a tree, too
		units = self.asked.shard.block(shard.units(self.checks, len(self.patches), self.asked.only))
		examiners = {one.name: one for one in (Text(self.scene), Warnings(self.scene), Stubs(self.scene), Configurations(self.scene),
						       Executed(self.scene),						       *(Suite(self.scene, name) for name in self.suites))}
		for number in sorted({number for _, number in units if number <= count}):
			here = [examiners[check] for check in self.checks if (check, number) in units]
			patch = self.judgement.patches[number - 1]
			with self.progress.stage("judge", f"patch {number} of {len(self.patches)}: {patch.subject}"):
				# One after the other: findings so far stay if something breaks later.
				for examiner in here:
					if examiner.name != STATIC:
						self._look(number, here)
					if why := self.scene.omitted.get((number, examiner.name)):
						patch.omitted[examiner.name] = why
					else:
						patch.checks.append(self._check(examiner, number))
			patch.covered = self.scene.covered.get(number)
			self.progress.say(f"patch {number} of {len(self.patches)}: {LABELS[patch.outcome]}: {patch.subject}")

	def _look(self, number: int, examiners: Sequence[Examiner]) -> None:
		"""Find out what the checks need to know of the states before and after a patch."""
		more = (choice.PROFILE, TRACED, OBJECTS)
		wanted = list(dict.fromkeys(name for examiner in examiners for name in examiner.needs(number)))
		if number not in self.scene.picked and any(examiner.name in (COVERAGE, OBJECTS, choice.PROFILE) for examiner in examiners):
			counted = Executed(self.scene).needs(number)
			self._look_at(number, list(dict.fromkeys(name for name in [self.suites[0], *counted, *wanted] if name not in more)))
			self._pick(number)
			wanted = list(dict.fromkeys(name for examiner in examiners for name in examiner.needs(number)))
		self._look_at(number, wanted)

	def _pick(self, number: int) -> None:
		"""Decide whether a patch needs the suites on x86_64, too, and other configurations; say why."""
		scene, judgement = self.scene, self.judgement
		before, after = (scene.shop.result(index, self.suites[0]) for index in (number - 1, number))
		reasons = [] if after.error or before.error else scene.shop.needs_more(number)
		scene.picked[number] = reasons
		profile = choice.PROFILE
		needed, width = scene.shop.depends_on(number)
		if after.error:
			scene.omitted[number, OBJECTS] = f"{self.suites[0]} does not build"
		elif not width and choice.MMU not in needed and all(reason.startswith(choice.UNEXECUTED) for reason in reasons):
			scene.omitted[number, OBJECTS] = "nothing that it changes depends on an option, or on the width of a long"
		if choice.MMU in needed and NOMMU_PROFILE not in scene.shop.configs:
			scene.note(f"patch {number}: {NOMMU_PROFILE}: {choice.lacks_cross()}; it is wanted because what the patch changes depends on "
				   "CONFIG_MMU")
		if self.asked.profiles:
			return
		if not reasons:
			scene.omitted[number, profile] = f"{self.suites[0]} does not build" if after.error else \
				f"it executes code of every hunk that has some, and nothing depends on what only {profile} has"
			line = f"patch {number}: {self.suites[0]} alone: {scene.omitted[number, profile]}"
		elif any(finding.held for finding in compare.compare(before, after)):
			scene.omitted[number, profile] = f"{self.suites[0]} shows already that the patch fails"
			line = f"patch {number}: {self.suites[0]} alone: {scene.omitted[number, profile]}"
		elif lacks := choice.missing() or self._unsound(profile):
			scene.omitted[number, profile] = lacks
			scene.note(f"patch {number}: {profile}: {lacks}; it is wanted because {choice.told(reasons)}")
			line = f"patch {number}: {self.suites[0]} alone, without {profile}: {lacks}"
		else:
			judgement.profiles += [profile] if profile not in judgement.profiles else []
			self.progress.say(f"patch {number}: no regression in {self.suites[0]} so far")
			line = f"patch {number}: also {profile}: {choice.told(reasons)}"
		judgement.choice.append(line)
		self.progress.say(line)

	def _unsound(self, name: str) -> str:
		"""Say why nothing can be compared with the base in a profile that the caller did not ask for, "" if it can."""
		self.scene.shop.look(0, [name])
		why = self.scene.shop.unsound(0, name)
		return f"the base {why}" if why else ""

	def _look_at(self, number: int, wanted: Sequence[str]) -> None:
		"""Find out what is wanted about the states before and after a patch."""
		shop = self.scene.shop
		profiles = [name for name in wanted if name in shop.trials]
		shop.look(number - 1, profiles)
		for name in profiles if number == 1 else ():
			shop.expect_sound_base(name)
		# What a kernel executed is known after its boot.
		traced = [name for name in wanted if name == TRACED]
		shop.look(number - 1, [name for name in wanted if name not in (*profiles, TRACED)])
		shop.look(number - 1, traced)
		if all(build.NOT_BUILT.match(name) for name in self.patches[number - 1].files):
			shop.same(number)
		# A header that most objects include would recompile all of them: the counts before the patch have to do.
		shop.look(number, [name for name in wanted if name != TRACED and (name != COVERAGE or not shop.wide(number))])
		shop.look(number, traced)

	def _check(self, examiner: Examiner, number: int) -> Check:
		"""Return one check's judgement on a patch."""
		start = time.monotonic()
		check = examiner.judge(number)
		check.findings = compare.held_first(check.findings)
		if check.held and check.outcome is Outcome.PASS:
			check.outcome, check.reason = Outcome.FAIL, words.named(check.held)
		if self.missing and check.outcome is Outcome.FAIL:
			self._excuse(check)
		answer = examiner.answered(number)
		check.seconds = round(time.monotonic() - start + (answer.seconds if answer else 0), 1)
		check.cached = bool(answer and answer.result and answer.result.cached)
		check.command = replace(self.asked, checks=(examiner.name,), only=number if len(self.patches) > 1 else 0,
					shard=Shard()).reproduce(self.options, self.scene.shop.kernel.name)
		return check

	def _excuse(self, check: Check) -> None:
		"""Turn a failure into `cannot judge` if a missing predecessor may be the cause; faults of the patch's own text stay."""
		check.findings = [replace(finding, held=finding.held and finding.kind in OF_THE_TEXT) for finding in check.findings]
		if not check.held:
			check.outcome, check.reason = Outcome.CANNOT_JUDGE, f"{self.missing}, and without that: {check.reason}"


def _passes(source: str, build_root: Path) -> bool:
	"""Tell whether a source of patches is a pipe or in a temporary folder. Files in the build root last."""
	path = Path(os.path.realpath(source))
	if source == "-" or not os.path.exists(source) or path.is_relative_to(os.path.realpath(build_root)):
		return source == "-"
	return any(path.is_relative_to(os.path.realpath(place)) for place in (tempfile.gettempdir(), *TEMPORARY))
