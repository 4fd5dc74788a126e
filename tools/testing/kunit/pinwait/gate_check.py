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

from . import corpus, deps, gate_corpus, gate_inputs, run
from .errors import CannotJudge, UsageError
from .gate_corpus import BAD, CANNOT_JUDGE, GOOD, OUTCOMES, Entry
from .gate_inputs import Input
from .patches import TAG
from .progress import Progress
from .results import EXIT_CODES, Outcome

CORPUS = run.PROJECT / "tools/testing/gate"
TOOL = run.PROJECT / "tools/testing/kunit/pinwait.py"
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
	seconds: float = 0.0
	wrong: list[str] = field(default_factory=list)
	folder: str = ""	# of the judgement
	command: str = ""

	@property
	def right(self) -> bool:
		"""Tell whether the gate said what is to be said."""
		return not self.wrong


def check_gate(options: run.Options, names: Sequence[str] = (), sample: int = 0, shard: str = "") -> int:
	"""Have the gate judge the inputs of the corpus, those named, or a sample; return 0 if all verdicts are right.

	Raises UsageError for an unknown input, or a choice that leaves none.
	"""
	if sample < 0 or sample and names:
		raise UsageError("a sample is a number of inputs, and takes no names")
	entries = gate_corpus.load(CORPUS, names)
	entries = _share(gate_corpus.sample(entries, sample) if sample else entries, shard)
	if not entries:
		raise UsageError(f"there is no input in share {shard}")
	deps.ensure(deps.RUN | deps.CHECK)
	folder = options.build_root / "gate-corpus"
	progress = Progress()
	with run.prepared(options, progress) as ready, progress.stage("inputs", f"{len(entries)} for {ready.kernel.base}"):
		workshop = gate_inputs.Workshop(ready.kernel.git, ready.commit, ready.kernel.base_commit, corpus.load(run.MUTANTS),
						folder / "inputs")
		made = workshop.make(entries)
	# Further ones of the gate's own options are the entry's.
	command = [sys.executable, str(TOOL), *shlex.split(options.reproduce("gate", ready.kernel.name))[1:]]
	command = [word for word in command if not word.startswith("--profile=")]
	command += [f"--build-root={options.build_root}", f"--jobs={options.jobs}"]
	answers: list[Answer] = []
	for number, given in enumerate(made, 1):
		answer = _asked(command, given, options.build_root / "results", folder / "logs")
		answers.append(answer)
		print(_row(answer), flush=True)
		progress.say(f"{number} of {len(made)} inputs judged")
	right = sum(answer.right for answer in answers)
	content = {"schema_version": 1, "kind": "gate-corpus", "shard": shard, "total": len(answers), "right": right,
		   "verdicts": [{**asdict(answer), "right": answer.right} for answer in answers]}
	(folder / "gate-corpus.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
	if bad := [answer for answer in answers if not answer.right]:
		print("\nwrong:", *map(_row, bad), sep="\n")
	print(f"{right} of {len(answers)} verdicts right")
	return 0 if right == len(answers) else 1


def _share(entries: Sequence[Entry], shard: str) -> list[Entry]:
	"""Return every n-th entry, from the i-th on, for a shard i/n; all for "". Raises UsageError."""
	if not shard:
		return list(entries)
	match = re.fullmatch(r"(\d+)/(\d+)", shard)
	index, count = map(int, match.groups()) if match else (0, 0)
	if not 1 <= index <= count:
		raise UsageError(f"'{shard}' is no shard: give i/n with i from 1 to n, as in 2/5")
	return list(entries[index - 1::count])


def _asked(command: Sequence[str], given: Input, results: Path, logs: Path) -> Answer:
	"""Have the gate judge one input, and hold what it says against what is expected."""
	entry = given.entry
	argv = [*command, *entry.options, *given.arguments]
	answer = Answer(entry.name, _what(given), entry.expect, command=shlex.join(argv))
	before = set(results.glob("*"))
	start = time.monotonic()
	logs.mkdir(parents=True, exist_ok=True)
	with open(given.stdin or "/dev/null", "rb") as stdin, open(logs / f"{entry.name}.log", "wb") as log:
		try:
			answer.exit_code = subprocess.run(argv, cwd=run.PROJECT, stdin=stdin, stdout=log, stderr=log, timeout=LIMIT).returncode
		except subprocess.TimeoutExpired:
			answer.wrong.append(f"no verdict after {LIMIT} s")
	answer.seconds = round(time.monotonic() - start, 1)
	try:
		folder = _new_judgement(results, before, argv[-1])
		answer.folder = str(folder)
		content = json.loads((folder / "judgement.json").read_text(encoding="utf-8"))
		answer.got = _got(content)
		answer.wrong += wrong(given, content, answer.exit_code)
	except (CannotJudge, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
		answer.got = answer.got or "nothing"
		last = (logs / f"{entry.name}.log").read_text(encoding="utf-8", errors="replace").strip().rpartition("\n")[2]
		answer.wrong.append(f"no judgement to be read, exit code {answer.exit_code}: {error}; its last words: {last}")
	return answer


def _new_judgement(results: Path, before: set[Path], argument: str) -> Path:
	"""Return the results folder that is new; of several, for another gate may run, the one that names the input."""
	new = [path for path in sorted(set(results.glob("*")) - before) if not path.is_symlink() and (path / "judgement.json").exists()]
	mine = [path for path in new if (path / "command").exists() and argument in (path / "command").read_text(encoding="utf-8")]
	found = mine if len(new) > 1 else new
	if len(found) != 1:
		raise CannotJudge(f"the gate left {len(found)} judgements")
	return found[0]


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
	expect("the first bad patch", verdict["first_bad"], entry.first_bad or None)
	if entry.expect == CANNOT_JUDGE:
		said = "\n".join([verdict["reason"], content["problem"], *(check["reason"] for patch in patches for check in patch["checks"])])
		if not said.strip():
			found.append("it does not say why")
		if entry.says and not re.search(entry.says, said):
			found.append(f"it does not say {entry.says!r}, but: {said.splitlines()[0][:200]}")
		return found
	expect("the problem", content["problem"], "")
	expect("the number of patches", len(patches), len(given.patches))
	bare = "bare-diff" in entry.form
	for number, (patch, known) in enumerate(zip(patches, given.patches), 1):
		for name, value in dataclasses.asdict(known).items():
			if name == "patch_id" and value or name != "patch_id" and not bare:
				got = TAG.sub("", patch[name]).strip() if name == "subject" else patch[name]
				expect(f"the {name} of patch {number}", got, value)
	if entry.outcomes:
		expect("what is said of each patch", [SAID.get(patch["outcome"], patch["outcome"]) for patch in patches], list(entry.outcomes))
	if entry.expect == GOOD:
		found += [f"held against patch {patch['number']}: {_short(finding)}" for patch in patches for finding in _held(patch)]
	if entry.expect == BAD and entry.first_bad <= len(patches):
		found += _unfounded(entry, patches[entry.first_bad - 1])
	return found


def _unfounded(entry: Entry, patch: dict[str, Any]) -> list[str]:
	"""Return what is missing in the reasons that a patch is said to be bad for."""
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


def _what(given: Input) -> str:
	"""Name the input for people."""
	return str(given.stdin) if given.stdin else " ".join(given.arguments)


def _row(answer: Answer) -> str:
	row = f"{'ok' if answer.right else 'WRONG':5} {answer.name:<36} {answer.expected:12} {answer.got:12} {answer.seconds:7.1f} s"
	return "\n".join([row, *(f"      {text}" for text in answer.wrong)])
