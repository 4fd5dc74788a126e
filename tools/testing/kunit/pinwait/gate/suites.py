# SPDX-License-Identifier: GPL-2.0
"""The checks that build and boot: a profile's results after a patch, compared with those before it."""

import functools
import shutil
from dataclasses import replace
from pathlib import Path

from ..kernel.boot import NARROW
from ..util import outputs
from . import compare, exports, lint, repeat, weakening
from ..log.results import Outcome
from ..report.judgement import Change, Check, Finding
from ..report.words import named
from .attempt import Result
from .checks import NAMED, Examiner, Scene
from .seen import text_of
from .states import STUBS, STUBS_PROFILE, Answer

REPEATED = 4		# limit of a repeated boot in real time, as a multiple of the base's


class Compared(Examiner):
	"""A check in a profile that compares the state after a patch with the last earlier state that was built."""

	def __init__(self, scene: Scene, name: str, profile: str):
		super().__init__(scene)
		self.name, self.profile = name, profile

	def needs(self, _number: int) -> list[str]:
		"""Return the profile."""
		return [self.profile]

	def answered(self, number: int) -> Answer | None:
		"""Return the result of the state after a patch."""
		return self.scene.shop.answers.get((number, self.profile))

	def compared(self, number: int) -> Check:
		"""Compare the state after a patch with the last earlier state that was built."""
		shop, name = self.scene.shop, self.profile
		after = shop.result(number, name)
		before = shop.result(number - 1 if after.error else shop.last_sound(number, name), name)
		check = Check(self.name, Outcome.PASS, "", log=self._keep_logs(number, after.folder))
		check.findings = (compare.compare if shop.trials[name].boots else compare.builds)(before, after)
		if after.error and before.error:
			check.outcome, check.reason = Outcome.CANNOT_JUDGE, "the tree has not built since an earlier patch"
			if any(finding.change is Change.NEW for finding in check.findings):
				check.reason += ", and now fails in another way"
				check.findings = [replace(finding, held=False) for finding in check.findings]
			return check
		check.counts = after.counts
		if number > 1 and shop.unsound(number, name) and shop.unsound(number - 1, name) and not after.error:
			check.outcome, check.findings = Outcome.CANNOT_JUDGE, []
			check.reason = f"since an earlier patch the kernel {shop.unsound(number, name)}"
			return check
		if after.error or not shop.trials[name].boots:
			check.findings += [] if after.error else self._new_warnings(number, after)
			return check
		check.findings = self.repeated(before, after, check.findings, check.log or f"patch-{number}/{self.name}")
		check.findings += self._new_warnings(number, after)
		if self.name == shop.main:
			check.findings += weakening.findings(self.scene, number, self.repeated)
		if (unknown := compare.unknown(before.log, after.log)) and not check.held:
			check.outcome = Outcome.CANNOT_JUDGE
			check.reason = f"{', '.join(unknown[:NAMED])}: failed, but before the patch the kernel ended before reaching them"
		if after.log.blind and not before.log.blind and not check.held:
			check.outcome, check.reason = Outcome.CANNOT_JUDGE, "; ".join(after.log.blind)
		return check

	def _keep_logs(self, number: int, folder: Path) -> str:
		"""Copy the logs of a state to the results, and return their place there."""
		place = Path(f"patch-{number}", self.name)
		def keep() -> None:
			(self.scene.folder / place).mkdir(parents=True, exist_ok=True)
			for name in ("build.log", "kernel.log"):
				if (folder / name).exists():
					shutil.copyfile(folder / name, self.scene.folder / place / name)
		return str(place) if outputs.attempt(f"the logs in {folder} could not be kept", keep) else ""

	def repeated(self, before: Result, after: Result, findings: list[Finding], place: str) -> list[Finding]:
		"""Boot base and patch again if something is new, and decide whether the patch is to blame."""
		trial, suspects = self.scene.shop.trials[self.profile], [finding for finding in findings if finding.held]
		if not suspects or before.error or after.error or not trial.boots:
			return findings
		repeats = trial.request.profile.virtual_time and not trial.request.profile.seed
		# A hung boot takes its whole time limit. A few times the base's time is enough, and is the same for both sides.
		limit = self.scene.shop.patience(self.profile) or min(trial.timeout, round(REPEATED * max(before.log.wall_seconds or trial.timeout, 1.0)))

		def boot(result: Result, label: str, seed: int, suite: str) -> Result:
			folder = self.scene.folder / place / label
			folder.mkdir(parents=True)
			log, answer = trial.boot(result, folder, self.scene.progress, limit, seed, suite)
			return replace(result, log=log, verdict=answer)
		# Each patch can need two tests in each profile, with one suite and with all, and two more of its old tests.
		rule = repeat.Rule.of(2 * len(self.scene.patches) * (len(self.scene.profiles) + 1), self.scene.boots)
		told = repeat.repeated(before, after, suspects, rule, repeats, boot, (before.log.wall_seconds or 0.0) > NARROW)
		return [*told, *(finding for finding in findings if not finding.held)]

	def _new_warnings(self, number: int, after: Result) -> list[Finding]:
		"""Return new messages of Kconfig and the compiler in an ordinary build of a state, compared with the same files before."""
		shop, name = self.scene.shop, self.profile
		log = self.scene.folder / f"{name}-warnings.log"
		found = []
		if any(lint.is_kconfig(file) for file in self.scene.patches[number - 1].files):
			# The state before may fail to configure.
			old, new = (compare.messages(shop.kconfig(index, name, log))
				    for index in (shop.last_sound(number, name), number))
			found = compare.items(old, new)
		looked_at = self.scene.looked_at(number) if name == shop.main else []
		files = dict.fromkeys(line.partition(":")[0] for line in after.warnings)
		sources = shop.compiled([file for file in files if file not in looked_at], name)
		if not sources:
			return found
		before, now = (compare.messages(shop.messages(index, name, sources, log)) for index in (number - 1, number))
		return found + compare.items(before, now)


class Stubs(Compared):
	"""Whether it builds without page migration and without KUnit."""

	def __init__(self, scene: Scene):
		super().__init__(scene, STUBS, STUBS_PROFILE)

	def judge(self, number: int) -> Check:
		"""Return whether a patch builds there, with the new errors if not."""
		check = self.compared(number)
		if check.outcome is Outcome.PASS:
			check.reason = "it builds without page migration and without KUnit"
		check.findings += self._exports(number)
		return check

	def _exports(self, number: int) -> list[Finding]:
		"""Return what the patch takes from modules."""
		shop = self.scene.shop
		names = [name for name in self.scene.patches[number - 1].files if name.endswith((".c", ".S"))]
		before, after = ([text_of(shop.kernel.git, shop.states[index], name) for name in names] for index in (number - 1, number))
		symbols = exports.changed(before, after)
		if not symbols:
			return []
		shop.check_out(number)
		held, noted = exports.findings(symbols, shop.kernel.git, functools.partial(text_of, shop.kernel.git, shop.states[number]))
		return compare.items({}, held) + compare.items({}, noted, held=False)


class Suite(Compared):
	"""The suites' results in a profile, compared with those before the patch."""

	def __init__(self, scene: Scene, profile: str):
		super().__init__(scene, profile, profile)

	def needs(self, number: int) -> list[str]:
		"""Return the profile, unless the patch needs no boot in it."""
		return [] if (number, self.name) in self.scene.omitted else [self.profile]

	def judge(self, number: int) -> Check:
		"""Return the suites' new findings."""
		check = self.compared(number)
		if check.outcome is Outcome.PASS and not check.held:
			shop, name = self.scene.shop, self.profile
			after, index = shop.result(number, name), shop.last_sound(number, name)
			added = after.cases - shop.result(index, name).cases
			flakes = repeat.flakes(check.findings)
			check.reason = "" if after.verdict.outcome is Outcome.PASS else "nothing new: "
			check.reason = f"suspected flake, informational: {named(flakes)}; " if flakes else check.reason
			check.reason += after.verdict.reason + (f", {len(added)} of them added by the patch" if added else "")
			check.reason += f", compared with the state after patch {index}, the last one that reached the tests" if index < number - 1 else ""
		return check
