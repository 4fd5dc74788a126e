# SPDX-License-Identifier: GPL-2.0
"""Does the gate say of an input what is to be said of it? Each verdict is kept as soon as it is there."""

import dataclasses
import json
import re
import shlex
import subprocess
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pinwait.log.results import EXIT_CODES, Outcome
from pinwait.util.files import write_whole
from pinwait.util.proc import reap
from pinwait.util.project import PROJECT
from .entries import CANNOT_JUDGE, FAIL, NOT_SEEN, OUTCOMES, PASS, Entry
from .inputs import Input

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

	def __str__(self) -> str:
		row = f"{'ok' if self.right else 'WRONG':5} {self.name:<36} {self.expected:12} {self.got:12} {self.seconds:7.1f} s"
		return "\n".join([row, *(f"      {text}" for text in self.wrong)])


class Verdicts:
	"""The verdicts of a job in their folder: those that are there already, and those that are still to come."""

	def __init__(self, folder: Path, part: dict[str, Any], command: Sequence[str], inputs: Sequence[Input]):
		"""part is what gate-corpus.json says of the job besides the verdicts; command calls the gate."""
		self.folder, self.part, self.command = folder, part, command
		self.inputs = {given.entry.name: given for given in inputs}
		self.answers = {answer.name: answer for answer in _kept(folder)}
		self.partial: dict[str, Answer] = {}	# of inputs that are to be judged again
		self._write()

	def judge(self, name: str) -> Answer:
		"""Have the gate judge an input once more, unless there is a verdict; return what it said, and what is wrong with that."""
		if name in self.answers:
			return self.answers[name]
		runs: int = self.part["job"]["runs"]
		before = self.partial.get(name)
		answer = _asked([*self.command, *(["--no-cache"] if before else [])], self.inputs[name], self.folder)
		if before:
			answer.runs, answer.seconds = before.runs + 1, round(before.seconds + answer.seconds, 1)
		if runs > 1:
			answer.wrong = [f"run {answer.runs} of {runs}: {text}" for text in answer.wrong]
		if answer.wrong or answer.runs == runs:
			self.answers[name] = answer
			self._write()
		else:
			self.partial[name] = answer
		return answer

	@property
	def right(self) -> int:
		"""The number of verdicts that are right."""
		return sum(answer.right for answer in self.answers.values())

	def _write(self) -> None:
		"""Keep the answers that there are so far, for `merge`, for who looks, and to go on from there."""
		content = {**self.part, "verdicts": [{**asdict(answer), "right": answer.right} for answer in self.answers.values()]}
		write_whole(self.folder / RESULTS, json.dumps(content, indent=1) + "\n")


def _kept(folder: Path) -> list[Answer]:
	"""Return the answers that are kept in folder."""
	try:
		verdicts = json.loads((folder / RESULTS).read_text(encoding="utf-8"))["verdicts"]
	except FileNotFoundError:
		return []
	return [Answer(**{name: value for name, value in verdict.items() if name != "right"}) for verdict in verdicts]


def unfinished(results: Path, part: dict[str, Any]) -> Path | None:
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
	if entry.profiles:
		expect("the profiles", content["profiles"], list(entry.profiles))
	if entry.told and not re.search(entry.told, besides := _besides(content)):
		found.append(f"it does not tell {entry.told!r}, but: {besides}")
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


def _besides(content: dict[str, Any]) -> str:
	"""Return what a judgement says besides its verdict."""
	checks = [check for patch in content["patches"] for check in patch["checks"]]
	remarks = [finding["text"] for check in checks for finding in check["findings"] if finding["change"] == "new" and not finding["held"]]
	return "\n".join([*content["choice"], *remarks, *content["not_checked"], *(check["reason"] for check in checks)])


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
