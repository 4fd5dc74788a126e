# SPDX-License-Identifier: GPL-2.0
"""`make check-gate`: does the gate say of each input in the corpus what is to be said of it?"""

import dataclasses
import json
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ..gate import engine
from ..mutation import corpus
from ..util import deps
from . import gate_corpus, gate_inputs
from ..log.results import EXIT_CODES, Outcome
from ..source.options import Options
from ..source.prepared import Prepared, prepared
from ..util.errors import UsageError
from ..util.files import new_folder, point_latest, write_whole
from ..util.proc import lock, reap
from ..util.progress import Progress
from ..util.project import MUTANTS, PROJECT, version
from ..util.shard import Shard
from .gate_corpus import CANNOT_JUDGE, FAIL, NOT_SEEN, OUTCOMES, PASS, Entry
from .gate_inputs import Input

CORPUS = PROJECT / "tools/testing/gate"
TOOL = PROJECT / "tools/testing/kunit/pinwait.py"
RESULTS = "gate-corpus.json"
LIMIT = 3600		# seconds that a judgement may take
SAID = {outcome.value: name for name, outcome in OUTCOMES.items()}


@dataclass
class Answer:
	"""What the gate said of an input, and what is wrong with it."""
	name: str
	file: str
	expected: str
	got: str = ""
	exit_code: int | None = None
	runs: int = 1			# judgements
	seconds: float = 0.0		# of all
	wrong: list[str] = field(default_factory=list)
	command: str = ""

	@property
	def right(self) -> bool:
		"""Tell whether the gate said what is to be said."""
		return not self.wrong


def check_gate(options: Options, names: Sequence[str] = (), sample: int = 0, shard: Shard = Shard(),
	       runs: int = 1, resume: bool = False) -> int:
	"""Have the gate judge the inputs of the corpus, those named, or a sample; return 0 if all verdicts are right.

	Each is judged so many times as there are runs, or until a verdict is wrong. To resume is to go on with the newest
	results of the same job if inputs are left there without a verdict; those that there are count, wrong ones, too.
	Raises UsageError for an unknown input, a choice that leaves none, or if resume is to trust a tool that may have changed.
	"""
	if sample < 0 or sample and names:
		raise UsageError("a sample is a number of inputs, and takes no names")
	if runs < 1:
		raise UsageError("--runs is a number of judgements, one at least")
	tool = version()
	if resume and (not tool or tool.endswith("-dirty")):
		raise UsageError("--resume joins verdicts of one tool, and this one is not as it was committed: commit it first")
	entries = gate_corpus.load(CORPUS, names)
	entries = list(shard.spread(gate_corpus.sample(entries, sample) if sample else entries))
	if not entries:
		raise UsageError(f"shard {shard} has no input: there are too few for so many")
	deps.ensure(deps.RUN | deps.CHECK)
	progress = Progress()
	with prepared(options, progress) as ready:
		pass	# each gate waits for the worktree itself
	job = {"tool": tool, "commit": ready.commit, "series": ready.series.name, "runs": runs, "names": list(names), "sample": sample}
	part = {"kind": "gate-corpus", "shard": str(shard), "job": job, "inputs": [entry.name for entry in entries]}
	results = options.build_root / "results"
	folder = (_unfinished(results, part) if resume else None) \
		or new_folder(results, f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}-gate-corpus")
	with lock(folder / "lock", f"the results in {folder}"):
		return _judge_all(options, progress, ready, folder, part, entries)


def _judge_all(options: Options, progress: Progress, ready: Prepared, folder: Path, part: dict[str, Any],
	       entries: Sequence[Entry]) -> int:
	"""Have all inputs judged of which folder holds no verdict; return 0 if all verdicts are right. The caller holds its lock."""
	answers = _answers(folder)
	if answers:
		progress.say(f"resume {folder}: {len(answers)} of {len(entries)} inputs are judged")
	with progress.stage("inputs", f"{len(entries)} for {ready.kernel.base}"):
		# Each run has inputs of its own: another one at the same time is not to be in the way.
		maker = gate_inputs.Maker(ready.kernel.git, ready.commit, ready.kernel.base_commit, corpus.load(MUTANTS), folder / "corpus")
		made = maker.make(entries)
	for answer in answers:
		print(_row(answer), flush=True)
	_write(folder, part, answers)
	command = _command(options, ready)
	try:
		for given in made[len(answers):]:
			answers.append(_judged(command, given, folder, part["job"]["runs"]))
			print(_row(answers[-1]), flush=True)
			progress.say(f"{len(answers)} of {len(made)} inputs judged")
			_write(folder, part, answers)
	except KeyboardInterrupt:
		print("to keep the verdicts that there are, say --resume (RESUME=1)", file=sys.stderr)
		raise
	point_latest(folder)
	right = sum(answer.right for answer in answers)
	if right < len(answers):
		print("\nwrong:", *(_row(answer) for answer in answers if not answer.right), sep="\n")
	print(f"results: {folder}", file=sys.stderr)
	print(f"{right} of {len(answers)} verdicts right")
	return 0 if right == len(answers) else 1


def _command(options: Options, ready: Prepared) -> list[str]:
	"""Return the words that call the gate, without an input."""
	words = shlex.split(engine.Asked().reproduce(dataclasses.replace(options, series=ready.series.name), ready.kernel.name))[1:]
	return [sys.executable, str(TOOL), *words, f"--build-root={options.build_root}", f"--jobs={options.jobs}"]


def _write(folder: Path, part: dict[str, Any], answers: Sequence[Answer]) -> None:
	"""Keep the answers that there are so far, for `merge`, for who looks, and to go on from there."""
	content = {**part, "verdicts": [{**asdict(answer), "right": answer.right} for answer in answers]}
	write_whole(folder / RESULTS, json.dumps(content, indent=1) + "\n")


def _answers(folder: Path) -> list[Answer]:
	"""Return the answers that are kept in folder."""
	try:
		verdicts = json.loads((folder / RESULTS).read_text(encoding="utf-8"))["verdicts"]
	except FileNotFoundError:
		return []
	return [Answer(**{name: value for name, value in verdict.items() if name != "right"}) for verdict in verdicts]


def _unfinished(results: Path, part: dict[str, Any]) -> Path | None:
	"""Return the newest results of a shard of a job, None if they are complete or there are none."""
	known = results.glob(f"*-gate-corpus*/{RESULTS}")	# with a number at the end where two began in one second
	for path in sorted(known, key=lambda path: path.stat().st_mtime_ns, reverse=True):
		try:
			content = json.loads(path.read_text(encoding="utf-8"))
			verdicts = content.pop("verdicts")
		except (OSError, ValueError, KeyError):
			continue	# whatever it is, it cannot be gone on with
		if content == part:
			return path.parent if len(verdicts) < len(part["inputs"]) else None
	return None


def _judged(command: Sequence[str], given: Input, folder: Path, runs: int) -> Answer:
	"""Have the gate judge one input so many times, and return the first answer that is wrong, or the last."""
	seconds = 0.0
	for turn in range(1, runs + 1):
		answer = _asked([*command, *(["--no-cache"] if turn > 1 else [])], given, folder)
		seconds += answer.seconds
		if not answer.right:
			answer.wrong = [f"run {turn} of {runs}: {text}" if runs > 1 else text for text in answer.wrong]
			break
	answer.runs, answer.seconds = turn, round(seconds, 1)
	return answer


def _asked(command: Sequence[str], given: Input, folder: Path) -> Answer:
	"""Have the gate judge one input, and hold what it says against what is expected."""
	entry = given.entry
	said, log = folder / f"{entry.name}.json", folder / f"{entry.name}.log"
	argv = [*command, *entry.options, f"--json={said}", *given.arguments]
	answer = Answer(entry.name, str(given.stdin) if given.stdin else " ".join(given.arguments), entry.expect, command=shlex.join(argv))
	start = time.monotonic()
	with open(given.stdin or "/dev/null", "rb") as stdin, open(log, "wb") as output:
		try:
			answer.exit_code = subprocess.run(argv, cwd=PROJECT, stdin=stdin, stdout=output, stderr=output,
							  timeout=LIMIT).returncode
		except subprocess.TimeoutExpired:
			answer.wrong.append(f"no verdict after {LIMIT} s")
		reap()
	answer.seconds = round(time.monotonic() - start, 1)
	try:
		content = json.loads(said.read_text(encoding="utf-8"))
		answer.got = _got(content)
		answer.wrong += wrong(given, content, answer.exit_code)
	except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
		answer.got = answer.got or "nothing"
		last = log.read_text(encoding="utf-8", errors="replace").strip().rpartition("\n")[2]
		answer.wrong.append(f"no judgement to be read, exit code {answer.exit_code}: {error}; its last words: {last}")
	return answer


def wrong(given: Input, content: dict[str, Any], exit_code: int | None) -> list[str]:
	"""Return what is wrong with a judgement (content of judgement.json) on an input; raises KeyError if it is none."""
	entry = given.entry
	verdict, patches = content["verdict"], content["patches"]
	found = []

	def expect(what: str, got: object, due: object) -> None:
		if got != due:
			found.append(f"{what} is {got!r}, not {due!r}")

	due = OUTCOMES[entry.expect]
	expect("the exit code", exit_code, EXIT_CODES[due])
	expect("the verdict", _got(content), entry.expect)
	expect("the exit code in the verdict", verdict["exit_code"], EXIT_CODES[due])
	expect("the first patch that fails", verdict["first_failed"], entry.first_failed or None)
	if entry.expect == CANNOT_JUDGE:
		said = "\n".join([verdict["reason"], content["problem"], *(check["reason"] for patch in patches for check in patch["checks"])])
		if not said.strip():
			found.append("it does not say why")
		if entry.says and not re.search(entry.says, said):
			found.append(f"it does not say {entry.says!r}, but: {said.splitlines()[0][:200]}")
		if entry.outcomes:
			found += _outcomes(entry, patches)
		return found
	expect("the problem", content["problem"], "")
	expect("the number of patches", len(patches), len(given.patches))
	bare = "bare-diff" in entry.form
	for number, (patch, known) in enumerate(zip(patches, given.patches), 1):
		for name, value in dataclasses.asdict(known).items():
			if name == "patch_id" and value or name != "patch_id" and not bare:
				tagged = name == "subject" and re.fullmatch(r"(?:\[.*\]:?\s*)*" + re.escape(value), patch[name])
				expect(f"the {name} of patch {number}", value if tagged else patch[name], value)
	if entry.outcomes:
		found += _outcomes(entry, patches)
	if entry.expect in (PASS, NOT_SEEN):
		found += [f"held against patch {patch['number']}: {_short(finding)}" for patch in patches for finding in _held(patch)]
	if entry.expect == FAIL and entry.first_failed <= len(patches):
		found += _unfounded(entry, patches[entry.first_failed - 1])
	return found


def _outcomes(entry: Entry, patches: Sequence[dict[str, Any]]) -> list[str]:
	"""Return what is wrong with what is said of each patch."""
	got, due = [SAID.get(patch["outcome"], patch["outcome"]) for patch in patches], list(entry.outcomes)
	return [f"what is said of each patch is {got!r}, not {due!r}"] if got != due else []


def _unfounded(entry: Entry, patch: dict[str, Any]) -> list[str]:
	"""Return what is missing in the reasons for which a patch is said to fail."""
	checks = [check for check in patch["checks"] if not entry.check or check["name"] == entry.check]
	failed = [check for check in checks if check["outcome"] == Outcome.FAIL.value]
	if not failed:
		return [f"no check {entry.check} failed, but {_failed(patch)}" if entry.check else "no check failed"]
	held = [finding for check in failed for finding in check["findings"] if finding["held"]]
	fitting = [finding for finding in held if finding["kind"] == (entry.kind or finding["kind"])]
	if not fitting:
		return [f"there is no {entry.kind or 'finding'} among what is held against it: {'; '.join(map(_short, held[:3]))}"]
	if entry.says and not any(re.search(entry.says, f"{finding['id']}\n{finding['where']}\n{finding['text']}") for finding in fitting):
		return [f"what is held against it does not say {entry.says!r}: {'; '.join(map(_short, fitting[:3]))}"]
	return []


def _failed(patch: dict[str, Any]) -> str:
	return ", ".join(check["name"] for check in patch["checks"] if check["outcome"] == Outcome.FAIL.value) or "none"


def _held(patch: dict[str, Any]) -> list[dict[str, Any]]:
	return [finding for check in patch["checks"] for finding in check["findings"] if finding["held"]]


def _short(finding: dict[str, Any]) -> str:
	return f"{finding['kind']} {finding['id']}"[:120]


def _got(content: dict[str, Any]) -> str:
	outcome = str(content["verdict"]["outcome"])
	return SAID.get(outcome, outcome)


def _row(answer: Answer) -> str:
	row = f"{'ok' if answer.right else 'WRONG':5} {answer.name:<36} {answer.expected:12} {answer.got:12} {answer.seconds:7.1f} s"
	return "\n".join([row, *(f"      {text}" for text in answer.wrong)])
