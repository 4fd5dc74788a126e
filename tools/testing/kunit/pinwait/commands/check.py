# SPDX-License-Identifier: GPL-2.0
"""`make check`: every test of the project, each run whatever became of the others."""

import json
import os
import re
import shlex
import subprocess
import sys
import time
import xml.etree.ElementTree
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..gate import lint
from ..kernel import build, profile
from ..log import expected
from ..mutation import coccinelle, road, score
from ..report import summary
from ..source import series, worktree
from ..util import deps
from . import generated
from ..log.results import Outcome, Status, leaf_id
from ..source.options import Options
from ..source.prepared import Prepared, prepared
from ..source.store import Kernel
from ..util.errors import PinwaitError, UsageError
from ..util.progress import Progress
from ..util.project import CONFIGS, GENERATED, PROJECT

KUNIT = PROJECT / "tools/testing/kunit"
# Files of the kernel that the series changes and that have to stay as clean as our own.
CHANGED = ("mm/migrate.c", "mm/folio.c")
SAMPLE = 20		# mutants that are tried
GUARDS = 24		# generated ones
INPUTS = 8		# of the gate's corpus that are judged
# The control, in which migration for a longterm pin never waits: what has to fail, and what still has to pass.
BUSTED, BUSTED_CASES, UNHARMED_CASES = "reason-never", "migrate_longterm_pin.transient_reference", "migrate_fail_fast"
SHOWN = 100		# last lines of a failing step's log that are printed


@dataclass
class Count:
	"""Leaf results of a step."""
	passed: int = 0
	failed: int = 0

	def add(self, good: bool) -> None:
		"""Count one more result."""
		if good:
			self.passed += 1
		else:
			self.failed += 1


@dataclass
class Step:
	"""A step while it runs: what it was asked for, its log, its count."""
	options: Options
	log: Path
	count: Count

	def note(self, text: str) -> None:
		"""Add to the step's log."""
		with open(self.log, "a", encoding="utf-8", errors="replace") as stream:
			stream.write(text.rstrip("\n") + "\n")

	def tool(self, argv: Sequence[str], cwd: Path = PROJECT, progress: bool = False) -> tuple[int, str]:
		"""Run a tool and log it; return its exit code and output (without stderr if progress).

		progress leaves stderr to the terminal. A tool that is not installed raises PinwaitError.
		"""
		self.note("$ " + shlex.join(argv))
		try:
			done = subprocess.run(argv, cwd=cwd, env=_environment(self.options.build_root),
					      stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
					      stderr=None if progress else subprocess.STDOUT, text=True, errors="replace")
		except FileNotFoundError as error:
			raise PinwaitError(f"{argv[0]} is not installed") from error
		self.note(done.stdout or "")
		# Some tools call others, go on without those that break, and still report success.
		return done.returncode or int("Traceback (most recent call last)" in done.stdout), done.stdout

	def check(self, argv: Sequence[str], cwd: Path = PROJECT) -> None:
		"""Run a tool whose exit code is one result."""
		self.count.add(self.tool(argv, cwd)[0] == 0)

	@contextmanager
	def prepared(self) -> Iterator[tuple[Prepared, Progress]]:
		"""Give the kernel worktree with series and sources, locked."""
		progress = Progress()
		with prepared(self.options, progress) as ready:
			yield ready, progress

	@contextmanager
	def built(self) -> Iterator[tuple[Prepared, build.Request, Progress]]:
		"""Give the worktree, with the profile's objects built, and what they were built for."""
		with self.prepared() as (ready, progress):
			request = build.Request(profile.load(CONFIGS, self.options.profile), self.options.jobs)
			build.build(ready.kernel, ready.commit, request, self.options.build_root,
				    self.log.with_suffix(".build.log"), progress)
			yield ready, request, progress

	def compile(self, kernel: Kernel, request: build.Request, sources: Sequence[str], sparse: bool = False) -> None:
		"""Compile the C files among sources with W=1; one result: no error, no warning in sources, none unseen by sparse."""
		files = [name for name in sources if name.endswith(".c")]
		root = self.options.build_root
		good, output = lint.compile_anew(kernel.tree, build.object_folder(root, kernel, request), files, request, root,
						 self.log, sparse)
		warnings = [line for line in output.splitlines() if re.search(r"\b(?:warning|error):", line)
			    and any(f"{name}:" in line for name in sources)]
		self.note("\n".join(["", f"in {' '.join(sources)}:", *(warnings or ["no warnings"])]))
		unseen = lint.not_seen_by_sparse(output, files) if sparse else []
		if unseen:
			self.note(f"error: sparse did not see {' '.join(unseen)}")
		self.count.add(good and not warnings and not unseen and bool(files))

	def judged(self, subcommand: str, options: Options, *more: str) -> dict[str, Any]:
		"""Run a subcommand of the tool; return its summary.json.

		Raises PinwaitError unless the exit code is the one that the summary states.
		"""
		summary = self.log.with_suffix(".json")
		summary.unlink(missing_ok=True)
		argv = [sys.executable, str(KUNIT / "pinwait.py"),
			*shlex.split(options.reproduce(subcommand, options.kernel))[1:],
			f"--build-root={options.build_root}", f"--jobs={options.jobs}", f"--json={summary}", *more]
		code, _ = self.tool(argv, progress=True)
		if not summary.exists():
			raise PinwaitError(f"{subcommand} left no summary")
		content: dict[str, Any] = _read_json(summary)
		if code != content["verdict"]["exit_code"]:
			raise PinwaitError(f"{subcommand} ended with exit code {code}, but its summary says "
					   f"{content['verdict']['exit_code']}")
		return content


def check(options: Options, names: Sequence[str]) -> int:
	"""Run the named steps, or all; return 0 only if all passed and each tested something.

	Raises UsageError for an unknown step.
	"""
	unknown = [name for name in names if name not in STEPS]
	if unknown:
		raise UsageError(f"unknown step '{unknown[0]}'; there are: {', '.join(STEPS)}")
	deps.ensure(deps.RUN | deps.CHECK)
	folder = options.build_root / "check"
	folder.mkdir(parents=True, exist_ok=True)
	total = Count()
	table = []
	for name in names or STEPS:
		start = time.monotonic()
		step = Step(replace(options), folder / f"{name}.log", Count())
		step.log.write_text("", encoding="utf-8")
		try:
			STEPS[name](step)
		except (PinwaitError, OSError) as error:
			step.note(f"error: {error}")
			step.count.failed += 1
		if not step.count.passed and not step.count.failed:
			step.note("error: the step found nothing to test")
			step.count.failed += 1
		row = (f"{'FAIL' if step.count.failed else 'ok':5} {name:12} {step.count.passed:5} passed "
		       f"{step.count.failed:4} failed {time.monotonic() - start:7.1f} s")
		print(row, flush=True)
		if step.count.failed:
			lines = step.log.read_text(encoding="utf-8").splitlines()
			print("\n".join(f"    {line}" for line in lines[-SHOWN:]) + f"\n    all of it: {step.log}", flush=True)
		table.append(row)
		total.passed += step.count.passed
		total.failed += step.count.failed
	print("\n" + "\n".join(table))
	print(f"{total.passed} passed, {total.failed} failed")
	return 1 if total.failed else 0


def _pytest(step: Step) -> None:
	outcome = step.log.with_suffix(".xml")
	outcome.unlink(missing_ok=True)
	with step.prepared():
		pass	# the tests read logs with the kernel's own parser
	code, _ = step.tool([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--numprocesses={step.options.jobs}",
			     f"--junitxml={outcome}", "tests"], KUNIT)
	if not outcome.exists():
		raise PinwaitError("pytest did not run")
	for case in xml.etree.ElementTree.parse(outcome).iter("testcase"):
		step.count.add(not any(child.tag in ("failure", "error", "skipped") for child in case))
	if code and not step.count.failed:
		raise PinwaitError(f"pytest ended with exit code {code}, but has nothing wrong to show")


def _mypy(step: Step) -> None:
	step.check([sys.executable, "-m", "mypy", "--config-file", "mypy.ini",
		    "--cache-dir", str(step.options.build_root / "check/mypy-cache")], KUNIT)


def _shellcheck(step: Step) -> None:
	scripts = [path for path in PROJECT.rglob("*.sh")
		   if not {"build", ".git"} & set(path.relative_to(PROJECT).parts)]
	step.check(["shellcheck", ".ci/run", *map(str, sorted(scripts))])


def _codespell(step: Step) -> None:
	# DAMON is a subsystem.
	names = ("README.md", "Documentation", "patches", "mm", "include", "Kconfig.kunit", "lib")
	step.check(["codespell", "--ignore-words-list=damon", *(name for name in names if (PROJECT / name).exists())])


def _checkpatch(step: Step) -> None:
	patches = sorted(path for path in PROJECT.glob("patches/*/*/*.patch") if not path.name.startswith("0000"))
	with step.prepared() as (ready, _):
		for patch in patches:
			step.check([*lint.CHECKPATCH, "--quiet", str(patch)], ready.kernel.tree)
		# It looks for a parameter's documentation in the patch at hand, and a file is none.
		step.check([*lint.CHECKPATCH, "--quiet", "--ignore=UNDOCUMENTED_SETUP", "--file", *_c_sources()], ready.kernel.tree)


def _kernel_doc(step: Step) -> None:
	with step.prepared() as (ready, _):
		step.check([sys.executable, "scripts/kernel-doc", "-none", "-Wall", "-Werror", *_c_sources()], ready.kernel.tree)


def _run(step: Step) -> None:
	summary = step.judged("run", step.options)
	_count_cases(step, summary)


def _without(step: Step) -> None:
	"""On a kernel without the series, as most trees are."""
	_count_cases(step, step.judged("run", replace(step.options, series=series.NONE)))


def _prove(step: Step) -> None:
	options = replace(step.options, series=series.NONE)
	summary = step.judged("prove", options)
	step.note(summary["verdict"]["reason"])
	step.count.add(summary["verdict"]["outcome"] == Outcome.PASS.value)


def _mutants(step: Step) -> None:
	"""A sample of the known-bad variants: the suite notices each."""
	summary = step.judged("mutants", step.options, f"--sample={SAMPLE}")
	step.note(summary["verdict"]["reason"])
	for fate in _read_json(step.options.build_root / "results/latest/mutants.json")["fates"]:
		step.note(f"{fate['outcome']} {fate['name']}: {fate['killer']}")
		step.count.add(fate["outcome"] == "killed")
	if summary["verdict"]["outcome"] != Outcome.PASS.value and not step.count.failed:
		step.count.failed += 1


def _road(step: Step) -> None:
	"""Each function that is reached from the entry points of the road is listed, or left out for a reason."""
	there = road.load(GENERATED / "road.toml")
	with step.prepared() as (ready, _):
		texts = {name: (ready.kernel.tree / name).read_text(encoding="utf-8") for name in there.files}
		found = coccinelle.look(GENERATED, texts, step.options.build_root / "cache/coccinelle")
	for problem in road.problems(there, found):
		step.note(f"error: {problem}")
		step.count.add(False)
	step.count.add(bool(texts))


def _generated(step: Step) -> None:
	"""A sample of generated mutants fares as it is recorded: none comes to life, and the tool says the same of each."""
	records = sorted(generated.SCORES.glob(f"{step.options.named_series}-*.toml"))
	record = score.load(records[-1]) if records else None
	if not record:
		raise PinwaitError(f"{generated.SCORES} has no record of series {step.options.named_series}")
	due = score.guards(record, GUARDS)
	summary = step.judged("mutants", step.options, *due)
	step.note(summary["verdict"]["reason"])
	for fate in _read_json(step.options.build_root / "results/latest" / generated.RESULT)["fates"]:
		step.note(f"{fate['outcome']} {fate['name']}: {fate['killer']}, recorded: {due[fate['name']]}")
		step.count.add(fate["outcome"] == due[fate["name"]])


def _gate(step: Step) -> None:
	"""A sample of inputs whose verdict is known: the gate says of each what is to be said."""
	argv = [sys.executable, str(KUNIT / "pinwait.py"), "check-gate", f"--build-root={step.options.build_root}",
		f"--kernel={step.options.kernel}", f"--jobs={step.options.jobs}", f"--sample={INPUTS}"]
	code, _ = step.tool(argv, progress=True)
	for answer in _read_json(step.options.build_root / "results/latest/gate-corpus.json")["verdicts"]:
		step.note(f"{answer['name']}: {'; '.join(answer['wrong']) or answer['got']}")
		step.count.add(answer["right"])
	if code and not step.count.failed:
		raise PinwaitError(f"check-gate ended with exit code {code}, but has nothing wrong to show")


def _busted(step: Step) -> None:
	"""A control that is broken on purpose must fail, in the way everything else is run, and where it is broken.

	Without it, a gate that passes everything looks like one that works.
	"""
	options = replace(step.options, mutant=BUSTED)
	summary = step.judged("run", options)
	verdict = summary["verdict"]
	step.note(verdict["reason"])
	step.count.add((verdict["outcome"], verdict["exit_code"]) == (Outcome.FAIL.value, 1))
	ran = {leaf_id(case["suite"], case["name"], case["param"]): case["status"] for case in summary["cases"]}
	listed = expected.load(CONFIGS / "expected-cases.txt")
	for glob, due in ((BUSTED_CASES, Status.FAIL), (UNHARMED_CASES, Status.PASS)):
		wanted = [case.id for case in listed.select(options.profile, glob) if options.profile not in case.skips]
		wrong = [name for name in wanted if ran.get(name) != due.value]
		step.note("\n".join(f"error: {name} did not {due.value}" for name in wrong))
		step.count.add(bool(wanted) and not wrong)


def _count_cases(step: Step, summary: dict[str, Any]) -> None:
	"""Count the cases of a run; a run that fails although its cases pass is one failure more."""
	counts = summary["counts"]
	step.count.passed += counts["pass"]
	step.count.failed += counts["fail"] + counts["crash"] + counts["missing"]
	step.note(summary["verdict"]["reason"])
	if summary["verdict"]["outcome"] != Outcome.PASS.value and not step.count.failed:
		step.count.failed += 1


def _schema(step: Step) -> None:
	from jsonschema import Draft202012Validator
	schema = _read_json(summary.SCHEMA)
	Draft202012Validator.check_schema(schema)
	step.count.add(True)
	errors = list(Draft202012Validator(schema).iter_errors(
		_read_json(step.options.build_root / "results/latest/summary.json")))
	for error in errors:
		step.note(f"error: {error.json_path}: {error.message}")
	step.count.add(not errors)


def _warnings(step: Step) -> None:
	"""Our sources and the files that the series changes: gcc with W=1, and sparse."""
	with step.built() as (ready, request, _):
		step.compile(ready.kernel, request, [*_c_sources(), *CHANGED], sparse=True)


def _patches(step: Step) -> None:
	"""After each patch of the series, the files it touches compile without a warning."""
	with step.built() as (ready, request, progress):
		kernel = ready.kernel
		for number, patch in enumerate(ready.series.patches, 1):
			part = replace(ready.series, patches=ready.series.patches[:number])
			commit = worktree.compose(kernel, series.apply(kernel, part), PROJECT)
			worktree.check_out(kernel, commit, step.options.build_root / "strays", progress)
			touched = re.findall(r"^\+\+\+ b/(.*\.[ch])$", patch.read_text(encoding="utf-8"), re.MULTILINE)
			step.note(f"patch {number}: {patch.name}")
			step.compile(kernel, request, [*touched, *(name for name in CHANGED if name not in touched)])


def _environment(build_root: Path) -> dict[str, str]:
	"""Let tools that say `python3` find the one whose packages we installed: ours."""
	return {**build.environment(build_root, build_root), "PYTHONDONTWRITEBYTECODE": "1", "PINWAIT_BUILD": str(build_root),
		"PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])}


def _c_sources() -> list[str]:
	"""Return our C files, as paths in the kernel tree; there must be some."""
	found = [source.path for source in worktree.sources(PROJECT) if source.path.endswith((".c", ".h"))]
	if not found:
		raise PinwaitError("the project has no C sources")
	return found


def _read_json(path: Path) -> Any:
	try:
		return json.loads(path.read_text(encoding="utf-8"))
	except (OSError, ValueError) as error:
		raise PinwaitError(f"{path}: {error}") from error


STEPS: dict[str, Callable[[Step], None]] = {
	"pytest": _pytest,
	"mypy": _mypy,
	"shellcheck": _shellcheck,
	"codespell": _codespell,
	"checkpatch": _checkpatch,
	"kernel-doc": _kernel_doc,
	"run": _run,
	"schema": _schema,
	"mutants": _mutants,
	"road": _road,
	"generated": _generated,
	"busted": _busted,
	"gate": _gate,
	"warnings": _warnings,
	"patches": _patches,
	"without": _without,
	"prove": _prove,
}
