# SPDX-License-Identifier: GPL-2.0
"""Join the results of a long job's shards, and name missing shards, which never look like success."""

import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..mutation import promises, score
from ..report import judgement
from ..util import deps, outputs
from . import generated, mutants
from ..log.results import Outcome, Verdict
from ..report.files import write_all
from ..report.judgement import WORST_FIRST, Check, Judgement
from ..report.terminal import print_judgement
from ..source.options import Options
from ..util.errors import CannotJudge, UsageError
from ..util.files import new_folder, point_latest
from ..util.project import PROMISES
from ..util.shard import Shard, units

FILES = ("judgement.json", "mutants.json", generated.RESULT, "soak.json", "gate-corpus.json")


@dataclass(frozen=True)
class Part:
	"""The result of one shard."""
	path: Path
	shard: Shard
	content: dict[str, Any]


def merge(options: Options, paths: Sequence[str]) -> int:
	"""Join shards, given as files or results folders; return the exit code of the whole job.

	Raises UsageError for a file that is no result of a shard or belongs to another job, CannotJudge if there is no result at all.
	"""
	deps.ensure(deps.RUN | deps.REPORT)
	parts = _parts(_files(paths))
	kinds = {str(part.content["kind"]) for part in parts}
	if len(kinds) > 1:
		raise UsageError(f"these shards belong to different jobs: {', '.join(sorted(kinds))}")
	kind = kinds.pop()
	counts = {part.shard.count for part in parts}
	if len(counts) > 1:
		raise UsageError(f"these shards belong to sets of different sizes: {' and '.join(map(str, sorted(counts)))}")
	seen = [part.shard.index for part in parts]
	twice = sorted({index for index in seen if seen.count(index) > 1})
	if twice:
		raise UsageError(f"shard {twice[0]}/{counts.pop()} was given more than once: "
				 + ", ".join(str(part.path) for part in parts if part.shard.index == twice[0]))
	_agree([part.content.get("job", {}) for part in parts])
	missing = [Shard(index, count) for count in counts for index in range(1, count + 1) if index not in seen]
	folder = _new_folder(options.build_root / "results", f"merged-{kind}")
	if options.report_url:
		for part in parts:
			part.content["report_url"] = options.report_url
	code = KINDS[kind](sorted(parts, key=lambda part: part.shard.index), missing, folder)
	point_latest(folder)
	print(f"results: {folder}", file=sys.stderr)
	return code


def join_judgements(found: Sequence[Judgement], missing: Sequence[Shard]) -> Judgement:
	"""Return one judgement; a missing shard's checks become `cannot judge`.

	Raises UsageError if the shards differ in patches, base or version of the tool.
	"""
	# The order of arguments must not matter. Start from the most complete shard: one that ended early has the least data.
	found = sorted(found, key=lambda one: (bool(one.problem), not one.patches, one.shard))
	first = found[0]
	_agree([{name: getattr(one, name) for name in ("tool", "base_commit", "kernel", "series", "checks", "only")}
		for one in found if not one.problem])
	if len({tuple(patch.sha256 for patch in one.patches) for one in found if one.patches}) > 1:
		raise UsageError("these are not shards of one job: their patches differ")
	whole = replace(first, shard="", ended=0, problem=next((one.problem for one in found if one.problem), ""),
			not_checked=list(dict.fromkeys(line for one in found for line in one.not_checked)),
			choice=list(dict.fromkeys(line for one in found for line in one.choice)),
			profiles=list(dict.fromkeys(name for one in found for name in one.profiles)),
			seconds=_seconds(found), patches=[replace(patch, checks=[]) for patch in first.patches])
	for patch in whole.patches:
		parts = [part for one in found for part in one.patches if part.number == patch.number]
		checks = sorted((check for part in parts for check in part.checks), key=lambda check: -WORST_FIRST.index(check.outcome))
		patch.checks = list({check.name: check for check in checks}.values())	# of equal names, the worst
		patch.omitted = {name: why for part in parts for name, why in part.omitted.items()}
		patch.covered = next((part.covered for part in parts if part.covered is not None), None)
	for shard in missing:
		for name, number in shard.block(units(whole.checks, len(whole.patches), whole.only)):
			whole.patches[number - 1].checks.append(
				Check(name, Outcome.CANNOT_JUDGE, f"shard {shard.index}/{shard.count} is missing"))
	order = ["apply", *whole.checks]
	for patch in whole.patches:
		patch.checks.sort(key=lambda check: order.index(check.name))
	return whole


def _new_folder(results: Path, name: str) -> Path:
	"""Make the folder of a merge under the documented name; an older folder of that name gets a number."""
	folder = results / name
	if folder.exists():
		folder.rename(new_folder(results, name))
	folder.mkdir(parents=True)
	return folder


def _agree(jobs: Sequence[dict[str, Any]]) -> None:
	"""Raise UsageError if shards disagree about their job."""
	for name in dict.fromkeys(name for job in jobs for name in job):
		values = {json.dumps(job.get(name)) for job in jobs}
		if len(values) > 1:
			raise UsageError(f"these are not shards of one job: they differ in {name}: {', '.join(sorted(values))}")


def _judgements(parts: Sequence[Part], missing: Sequence[Shard], folder: Path) -> int:
	whole = join_judgements([judgement.from_json(part.content) for part in parts], missing)
	write_all(whole, folder)
	outputs.to_stdout(lambda: print_judgement(whole, sys.stdout))
	return whole.exit_code


def _mutants(parts: Sequence[Part], missing: Sequence[Shard], folder: Path) -> int:
	fates = [mutants.Fate(**fate) for part in parts for fate in part.content["fates"]]
	unkept = promises.unkept(promises.rows(promises.load(PROMISES)), mutants.killed(fates))
	mutants.tell(fates, unkept)
	return _done(folder, "mutants", mutants.score(fates, len(unkept)), missing, {"fates": [vars(fate) for fate in fates]})


def _generated(parts: Sequence[Part], missing: Sequence[Shard], folder: Path) -> int:
	"""Restore the order in which the mutants were drawn: shards take them in turns."""
	shares = [[score.Fate(**fate) for fate in part.content["fates"]] for part in parts]
	count = parts[0].shard.count
	placed = [(number * count + part.shard.index, fate) for part, share in zip(parts, shares) for number, fate in enumerate(share)]
	fates = score.settled([fate for _, fate in sorted(placed, key=lambda pair: pair[0])])
	job = parts[0].content["job"]
	outputs.write_all(folder, {generated.TABLE: (lambda: generated.report(fates, [f"seed {job['seed']}"]), None)})
	generated.print_short(fates, job["names"], job["kernel"])
	return _done(folder, generated.KIND, generated.judged(fates, generated.recorded(job)), missing, {"job": job, "fates": [vars(fate) for fate in fates]})


def _soak(parts: Sequence[Part], missing: Sequence[Shard], folder: Path) -> int:
	total = {name: sum(part.content[name] for part in parts) for name in ("boots", "failures", "differences")}
	traces = {part.content["trace"] for part in parts if part.content["trace"]}
	reason = f"soak: {total['failures']} failures of {total['boots']}"
	reason += f", {total['differences']} not the same as the first of their shard" if traces else ""
	reason += f", {len(traces)} different first boots" if len(traces) > 1 else ""
	good = not total["failures"] and not total["differences"] and len(traces) <= 1
	return _done(folder, "soak", Verdict(Outcome.PASS if good else Outcome.FAIL, reason), missing, total)


def _corpus(parts: Sequence[Part], missing: Sequence[Shard], folder: Path) -> int:
	rows = [row for part in parts for row in part.content["verdicts"]]
	wrong = [row["name"] for row in rows if not row["right"]]
	inputs = [name for part in parts for name in part.content["inputs"]]
	left = sorted(set(inputs) - {row["name"] for row in rows})	# from a shard that ended early
	reason = f"{len(rows) - len(wrong)} of {len(inputs)} verdicts right" + (f"; not {', '.join(wrong)}" if wrong else "")
	reason += f"; none yet on {', '.join(left)}" if left else ""
	outcome = Outcome.FAIL if wrong else Outcome.CANNOT_JUDGE if left else Outcome.PASS
	return _done(folder, "gate-corpus", Verdict(outcome, reason), missing, {"inputs": inputs, "verdicts": rows})


def _done(folder: Path, kind: str, answer: Verdict, missing: Sequence[Shard], content: dict[str, Any]) -> int:
	"""Write and print the verdict on the whole job."""
	if missing:
		names = ", ".join(f"{shard.index}/{shard.count}" for shard in missing)
		outcome = answer.outcome if answer.outcome is Outcome.FAIL else Outcome.CANNOT_JUDGE
		answer = Verdict(outcome, f"{answer.reason}; shard {names} is missing")
	whole = {"kind": kind, "shard": "", "verdict": {"outcome": answer.outcome.value, "reason": answer.reason,
							"exit_code": answer.exit_code}, **content}
	outputs.write_all(folder, {f"{kind}.json": (lambda: json.dumps(whole, indent=1) + "\n", None)})
	print(f"{answer.outcome.value.replace('-', ' ')}: {answer.reason}")
	return answer.exit_code


def _seconds(found: Sequence[Judgement]) -> dict[str, float]:
	"""Return the seconds of each stage, added over all shards and, as total, the longest shard's."""
	names = dict.fromkeys(name for one in found for name in one.seconds)
	each = {name: [one.seconds.get(name, 0.0) for one in found] for name in names}
	return {name: max(times) if name == "total" else sum(times) for name, times in each.items()}


def _files(paths: Sequence[str]) -> list[Path]:
	"""Return the files in paths, including those in folders; a missing path counts as a missing shard."""
	if not paths:
		raise UsageError(f"name the shards' results: folders, or files {', '.join(FILES)}")
	found: list[Path] = []
	for path in map(Path, paths):
		# os.walk() skips folders that another process removes meanwhile.
		inside = sorted(Path(at) / name for at, _, names in os.walk(path) for name in names if name in FILES) \
			if path.is_dir() else [path] if path.exists() else []
		if not inside:
			print(f"{path}: no result of a shard", file=sys.stderr)
		found += inside
	if not found:
		raise CannotJudge(f"no result of a shard in {', '.join(paths)}: no shard finished or wrote its results")
	return list(dict.fromkeys(found))


def _parts(paths: Sequence[Path]) -> list[Part]:
	"""Return the results in files; skip a file that is no result. Raises UsageError if none is."""
	parts: list[Part] = []
	wrong: list[UsageError] = []
	for path in paths:
		try:
			parts.append(_load(path))
		except UsageError as error:
			wrong.append(error)
	if not parts:
		raise wrong[0]
	print(*wrong, sep="\n", end="\n" if wrong else "", file=sys.stderr)
	return parts


def _load(path: Path) -> Part:
	try:
		content = json.loads(path.read_text(encoding="utf-8"))
		kind, shard = content["kind"], Shard.parse(content["shard"])
	except (OSError, ValueError, KeyError, TypeError) as error:
		raise UsageError(f"{path} is no result of a shard: {error}") from error
	if kind not in KINDS:
		raise UsageError(f"{path}: results of a job '{kind}' cannot be joined")
	return Part(path, shard, content)


KINDS: dict[str, Callable[[Sequence[Part], Sequence[Shard], Path], int]] = {
	"judgement": _judgements, "mutants": _mutants, "soak": _soak, "gate-corpus": _corpus,
	generated.KIND: _generated,
}
