# SPDX-License-Identifier: GPL-2.0
"""Report a judgement as KCIDB 5.3 objects: a checkout for each patch, builds and tests of its checks, and the verdict.

KCIDB describes the state of a checkout, not a patch's changes: a pre-existing failure is FAIL as well, and
misc has its `change`. A check that the gate failed to make is MISS. There are no URLs of logs: only the
submitter knows them.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from typing import Any

from . import words
from ..log.results import Outcome
from .judgement import Change, Check, Finding, Judgement, PatchJudgement, worst
from .words import line, lines

ORIGIN = "pinwait"
VERSION = {"major": 5, "minor": 3}
EXCERPT = 16384		# maximal number of characters of a log in KCIDB
ROOT = "pinwait"	# first component of the paths of tests
BUILDS = ("warnings", "stubs")	# checks that compile, besides the profiles
_STATUS = {Outcome.PASS: "PASS", Outcome.NOT_SEEN: "SKIP", Outcome.FAIL: "FAIL", Outcome.CANNOT_JUDGE: "MISS"}
PRIORITY = ("FAIL", "ERROR", "MISS", "PASS", "DONE", "SKIP")	# KCIDB's: of several the first counts
VERDICT = "verdict"
ENVIRONMENT = {"comment": "User Mode Linux", "misc": {"platform": "uml"}}

Object = dict[str, Any]


def kcidb(judgement: Judgement, origin: str = ORIGIN) -> Object:
	"""Return the objects; origin is the name of the submitting CI system."""
	run = hashlib.sha256(f"{judgement.started} {judgement.command}".encode(errors="backslashreplace")).hexdigest()[:16]
	checkouts, builds, tests = [], [], []
	for patch in judgement.tried:
		name = f"{origin}:{run}-{patch.number}"
		common = {"origin": origin, "start_time": judgement.started}
		checkouts.append(common | {"id": name} | _checkout(judgement, judgement.patches[:patch.number]))
		checks = [*patch.checks, *(Check(missing, Outcome.CANNOT_JUDGE, "was not made") for missing in judgement.not_made(patch))]
		made = [check for check in checks if check.name in (*judgement.profiles, *BUILDS)]
		for check in made:
			build = f"{name}-{_path(check.name)}"
			builds.append(common | {"id": build, "checkout_id": name} | _build(judgement, check))
			if check.name in judgement.profiles and not _broken(check):
				tests += [common | {"id": f"{build}-{number}", "build_id": build} | test
					  for number, test in enumerate(_tests(check), 1)]
		if not made:	# a test needs a build
			builds.append(common | {"id": f"{name}-none", "checkout_id": name, "comment": f"nothing was built: {line(patch.reason)}",
						"status": "MISS" if patch.outcome is Outcome.CANNOT_JUDGE else "SKIP"})
		# A check without a build of its own, such as style, belongs to the patch's first build, and so does the verdict.
		first = f"{name}-{_path(made[0].name) if made else 'none'}"
		others = [check for check in checks if check not in made]
		verdict = Check(VERDICT, worst(check.outcome for check in checks), patch.reason if checks else judgement.problem)
		tests += [common | {"id": f"{name}-{_path(check.name)}", "build_id": first} | _test(f"{ROOT}.{_path(check.name)}", check)
			  for check in (*others, verdict)]
	return {"version": VERSION, "checkouts": checkouts, "builds": builds, "tests": tests}


def patchset_hash(patches: Iterable[PatchJudgement]) -> str:
	"""Return KCIDB's hash of patches: `sha256sum *.patch | cut -c-64 | sha256sum`, "" for none.

	The files are the mails, whole and as they came; a mail with several patches attached is one file.
	"""
	hashes = "".join(f"{digest}\n" for digest in dict.fromkeys(patch.mail_sha256 for patch in patches))
	return hashlib.sha256(hashes.encode()).hexdigest() if hashes else ""


def _checkout(judgement: Judgement, patches: list[PatchJudgement]) -> Object:
	"""Describe the tree after the last of patches."""
	patch = patches[-1]
	identity = words.message_id(patch)
	apply = next((check for check in patch.checks if check.name == "apply"), None)
	return _known({
		"git_commit_hash": judgement.base_commit,
		"patchset_hash": patchset_hash(patches) if all(one.mail_sha256 for one in patches) else "",
		"message_id": identity if "@" in identity else "",	# KCIDB takes addresses only
		"comment": line(patch.subject),
		"log_excerpt": _excerpt([apply.reason]) if apply else "",
		"misc": {"base": line(judgement.base), "series": judgement.series, "kernel": judgement.kernel,
			 "verdict": patch.outcome.value, "tool": judgement.tool,
			 **({"report_url": judgement.report_url} if judgement.report_url else {})},
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
	"""Describe the run of the suites, and each case with a finding."""
	yield _test(ROOT, check) | {"misc": {"counts": check.counts, "cached": check.cached}}
	cases: dict[str, list[Finding]] = {}
	for finding in check.findings:
		if finding.kind in words.OF_CASES and finding.where:
			cases.setdefault(finding.where, []).append(finding)
	for where, found in cases.items():
		statuses = [_case_status(finding) for finding in found]
		first = found[statuses.index(min(statuses, key=PRIORITY.index))]
		yield _known({
			"path": _case_path(where),
			"status": _case_status(first),
			"comment": words.gist(first),
			"environment": ENVIRONMENT,
			"log_excerpt": _excerpt(finding.text for finding in found),
			"misc": {"change": first.change.value, "held": first.held, "case": line(where)}
				| {name: vars(seen) for name, seen in (("before", first.before), ("after", first.after)) if seen},
		})


def _test(path: str, check: Check) -> Object:
	return _known({
		"path": path,
		"status": _STATUS[check.outcome],
		"comment": line(check.reason),
		"duration": check.seconds,
		"environment": ENVIRONMENT if check.counts else {},
		"log_excerpt": _excerpt(finding.text for finding in check.held),
	})


def _case_status(finding: Finding) -> str:
	if finding.change is Change.FIXED:
		return "PASS"
	if finding.kind == "skip":
		return "FAIL" if finding.held else "SKIP"
	return "MISS" if finding.kind == "missing" and not finding.held else "FAIL"


def _broken(check: Check) -> bool:
	"""Tell whether the build failed."""
	return any(finding.kind == "error" and finding.change is not Change.FIXED for finding in check.findings)


def _case_path(where: str) -> str:
	"""Return the path of a case, suite.case or suite.case[param]; no two cases have the same."""
	parts = re.fullmatch(r"([^.\[]+)\.([^\[]+)(?:\[(.*)\])?", where, re.DOTALL)
	return ".".join([ROOT, *(_path(part) for part in (parts.groups() if parts else (where,)) if part is not None)])


def _path(text: str) -> str:
	"""Return a text as a component of a path; if KCIDB does not allow some of its characters, replace them and append a hash."""
	plain = re.sub(r"[^a-zA-Z0-9_-]+", "_", text)
	digest = hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest()[:8]
	return plain if plain == text and text else f"{plain.strip('_')}-{digest}"


def _excerpt(texts: Iterable[str]) -> str:
	return "\n\n".join("\n".join(lines(text)) for text in texts)[:EXCERPT]


def _known(content: Object) -> Object:
	"""Leave out unknown values: KCIDB takes an empty value for a value, and null for an error."""
	return {name: value for name, value in content.items() if value not in ("", {}, None)}
