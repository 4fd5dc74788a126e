# SPDX-License-Identifier: GPL-2.0
"""Tell a judgement as KCIDB 5.3 objects: a checkout a patch, a build and tests a check that has them.

KCIDB speaks of the state of a checkout, not of what a patch changed: a failure that was there before is
FAIL as well, and misc says how it stands. What we failed to do is MISS. There are no URLs: whoever
submits this knows where the logs will be.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from typing import Any

from ..judgement import Change, Check, Finding, Judgement, PatchJudgement
from ..results import Outcome
from . import words
from .words import line, lines

ORIGIN = "pinwait"
VERSION = {"major": 5, "minor": 3}
EXCERPT = 16384		# characters that KCIDB takes of a log
ROOT = "pinwait"	# of the paths of tests
BUILDS = ("warnings", "stubs")	# checks that compile, besides the profiles
_STATUS = {Outcome.PASS: "PASS", Outcome.NOT_SEEN: "SKIP", Outcome.FAIL: "FAIL", Outcome.CANNOT_JUDGE: "MISS"}
_CASES = ("case", "missing", "skip", "splat")

Object = dict[str, Any]


def kcidb(judgement: Judgement, origin: str = ORIGIN) -> Object:
	"""Return the objects; origin is the name under which a CI system submits."""
	run = hashlib.sha256(f"{judgement.started} {judgement.command}".encode(errors="backslashreplace")).hexdigest()[:16]
	checkouts, builds, tests = [], [], []
	for patch in judgement.tried:
		name = f"{origin}:{run}-{patch.number}"
		common = {"origin": origin}
		checkouts.append(common | {"id": name} | _checkout(judgement, judgement.patches[:patch.number]))
		made = [check for check in patch.checks if check.name in (*judgement.profiles, *BUILDS)]
		for check in made:
			build = f"{name}-{_path(check.name)}"
			builds.append(common | {"id": build, "checkout_id": name} | _build(judgement, check))
			if check.name in judgement.profiles and not _broken(check):
				tests += [common | {"id": f"{build}-{number}", "build_id": build} | test
					  for number, test in enumerate(_tests(check), 1)]
		# What is no build and has none, such as style, is put to the first build of the patch.
		tests += [common | {"id": f"{name}-{_path(check.name)}", "build_id": f"{name}-{_path(made[0].name)}"}
			  | _test(f"{ROOT}.{_path(check.name)}", check) for check in patch.checks if made and check not in made]
	return {"version": VERSION, "checkouts": checkouts, "builds": builds, "tests": tests}


def patchset_hash(patches: Iterable[PatchJudgement]) -> str:
	"""Return KCIDB's hash of patches: `sha256sum *.patch | cut -c-64 | sha256sum`, "" for none."""
	hashes = "".join(f"{patch.sha256}\n" for patch in patches)
	return hashlib.sha256(hashes.encode()).hexdigest() if hashes else ""


def _checkout(judgement: Judgement, patches: list[PatchJudgement]) -> Object:
	"""Describe the tree after the last of patches."""
	patch = patches[-1]
	apply = next((check for check in patch.checks if check.name == "apply"), None)
	return _known({
		"git_commit_hash": judgement.base_commit,
		"patchset_hash": patchset_hash(patches) if all(one.sha256 for one in patches) else "",
		"message_id": words.message_id(patch),
		"comment": line(patch.subject),
		"start_time": judgement.started,
		"log_excerpt": _excerpt([apply.reason]) if apply else "",
		"misc": {"base": line(judgement.base), "series": judgement.series, "kernel": judgement.kernel,
			 "verdict": patch.outcome.value, "tool": judgement.tool},
	}) | {"valid": apply is None}


def _build(judgement: Judgement, check: Check) -> Object:
	ran = bool(check.counts) or check.outcome is Outcome.PASS
	status = "FAIL" if _broken(check) else "PASS" if ran else _STATUS[check.outcome]
	return _known({
		"architecture": "um" if check.name.startswith("uml") or check.name in BUILDS else "",
		"config_name": line(check.name),
		"compiler": line(judgement.compiler),
		"command": line(check.command),
		"comment": line(check.reason),
		"log_excerpt": _excerpt(finding.text for finding in check.findings if finding.kind in ("error", "warning")),
		"status": status,
	})


def _tests(check: Check) -> Iterator[Object]:
	"""Describe the run of the suite, and each case of which something is to be said."""
	yield _test(ROOT, check) | {"misc": {"counts": check.counts, "cached": check.cached}}
	for finding in check.findings:
		if finding.kind in _CASES:
			yield _known({
				"path": ".".join([ROOT, *filter(None, map(_path, _leaf(finding).split(".")))]),
				"status": _case_status(finding),
				"comment": words.title(finding),
				"log_excerpt": _excerpt([finding.text]),
				"misc": {"change": finding.change.value, "held": finding.held, "case": line(finding.where)}
					| {name: vars(seen) for name, seen in (("before", finding.before), ("after", finding.after)) if seen},
			})


def _test(path: str, check: Check) -> Object:
	return _known({
		"path": path,
		"status": _STATUS[check.outcome],
		"comment": line(check.reason),
		"duration": check.seconds,
		"log_excerpt": _excerpt(finding.text for finding in check.held),
	})


def _case_status(finding: Finding) -> str:
	if finding.change is Change.FIXED:
		return "PASS"
	if finding.kind == "skip":
		return "FAIL" if finding.held else "SKIP"
	return "MISS" if finding.kind == "missing" and not finding.held else "FAIL"


def _broken(check: Check) -> bool:
	"""Tell whether it was the build that failed."""
	return any(finding.kind == "error" and finding.change is not Change.FIXED for finding in check.findings)


def _leaf(finding: Finding) -> str:
	"""Return suite.case.parameter of a finding."""
	return finding.where.replace("[", ".", 1).removesuffix("]")


def _path(text: str) -> str:
	"""Return a component of a path, with what KCIDB does not allow there replaced."""
	return re.sub(r"[^a-zA-Z0-9_-]+", "_", text).strip("_")


def _excerpt(texts: Iterable[str]) -> str:
	return "\n\n".join("\n".join(lines(text)) for text in texts)[:EXCERPT]


def _known(content: Object) -> Object:
	"""Leave out what is not known: KCIDB takes an empty value for a value, and null for an error."""
	return {name: value for name, value in content.items() if value not in ("", {}, None)}
