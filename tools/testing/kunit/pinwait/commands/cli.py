# SPDX-License-Identifier: GPL-2.0
"""The command line: options, and which function answers which subcommand."""

import argparse
import dataclasses
import io
import os
import re
import shlex
import shutil
import sys
import traceback
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from ..gate import engine
from ..kernel import gcov
from ..source import b4, store
from ..util import buildroot, outputs
from . import check, coverage, explore, generated, merge, mutants, plan, presubmit, run, soak
from ..kernel.profile import described
from ..log.results import EXIT_CODES, Outcome
from ..report.adapters import BISECT_SKIP, FORMS, Form, bisect_code
from ..report.files import FILES
from ..report.judgement import Judgement
from ..report.summary import no_junit, no_summary
from ..report.terminal import print_judgement
from ..source.options import Options
from ..util.errors import PinwaitError, Untestable, UsageError
from ..util.git import forget_callers_repository
from ..util.outputs import Output
from ..util.proc import (RESUMES, become_subreaper, ignore_interrupts, interrupt_on_signals, is_disk_full,
			 is_machines_fault, kill_descendants, reason_of, silence)
from ..util.project import CONFIGS, PROGRAM
from ..util.shard import Shard

UNFINISHED = "the tool was ended before it could say why, or had no room to write this file once more: see its exit code"

DRY_RUN = "--dry-run"
PATHS = ("tarball", "kdir", "series_dir")	# options that name something to read
COPIES = ("json", "junit")	# options that name a file for results
URL_LENGTH = 180	# Patchwork takes 200, and which patch is meant comes behind
REVIEWS = {"b4-review": b4.PATCH, "b4-series": b4.SERIES}	# by --format: what b4 asks about of what is under review

Handler = Callable[[argparse.Namespace], int]


class WrongOptions(UsageError):
	"""argparse does not understand the command line; usage shows how it is right."""

	def __init__(self, message: str, usage: str):
		super().__init__(message)
		self.usage = usage


class Parser(argparse.ArgumentParser):
	"""argparse that leaves it to the caller to say what is wrong, and to end; it takes no abbreviations."""

	def __init__(self, **more: Any):
		super().__init__(allow_abbrev=False, **more)

	def error(self, message: str) -> NoReturn:
		"""Raise WrongOptions."""
		raise WrongOptions(message, self.format_usage())


def main(argv: Sequence[str] | None = None) -> int:
	"""Do what the command line says; return the exit code."""
	become_subreaper()
	interrupt_on_signals()
	forget_callers_repository()
	if isinstance(sys.stdout, io.TextIOWrapper):
		sys.stdout.reconfigure(errors="backslashreplace")	# not every locale has every letter
	words = list(sys.argv[1:] if argv is None else argv)
	form = _form(words)
	code = _answer(words, partial(form.answer, report=silence()) if form else None)
	return bisect_code(code) if words[:1] == ["bisect"] else code


def _form(words: Sequence[str]) -> Form | None:
	"""Return the form in which another program wants to be answered, whatever else is wrong with a command line."""
	for word, following in zip(words, [*words[1:], ""]):
		name, equals, value = word.partition("=")
		if name in ("--format", "--print"):
			return FORMS.get(value if equals else following)
	return None


def _answer(words: Sequence[str], answer: Callable[[Judgement], int] | None) -> int:
	"""Do what a command line says; return the exit code. Whatever happens, the files that it asks for are left.

	answer is how another program is told; without it people are.
	"""
	args: argparse.Namespace | None = None
	copies: dict[str, Output] = {}
	try:
		copies = {} if DRY_RUN in words else _copies(words)
		for copy in copies.values():
			copy.check()
		if "json" in copies:
			copies["json"].begin(_no_verdict(words, "json", UNFINISHED, EXIT_CODES[Outcome.CANNOT_JUDGE]))
		args = parser().parse_args(words)
		vars(args).update(copies, answer=answer)
		_check_names(args)
		if DRY_RUN in words:
			return _dry_run(args)
		if not args.subcommand.endswith("clean"):
			buildroot.claim(args.build_root)
		handler: Handler = args.handler
		return handler(args)
	except (Exception, KeyboardInterrupt) as error:	# Python's own exit code for it, 1, would blame a patch
		ignore_interrupts()
		kill_descendants()
		reason, code = reason_of(error)
		for name, copy in copies.items():
			if copy.checked and not copy.written:
				copy.write(partial(_no_verdict, words, name, reason, code))
		text = _text(error, reason, args.build_root if args else "")
		if answer:
			return answer(engine.no_judgement(_command(words), text, code))
		if isinstance(error, WrongOptions):
			print(error.usage, end="", file=sys.stderr)
		print(f"pinwait: {text}", file=sys.stderr)
		if words[:1] == ["bisect"] and isinstance(error, Untestable) and not is_disk_full(error):
			print("bisect: this commit is skipped", file=sys.stderr)
			return BISECT_SKIP
		return code


def _check_names(args: argparse.Namespace) -> None:
	"""Make the build root absolute. Raises UsageError for an empty name, as an unset variable of a script gives."""
	for name in ("build_root", *PATHS):
		if getattr(args, name, None) == "":
			raise UsageError(f"--{name.replace('_', '-')} is empty: name one, or leave the option out")
	args.build_root = Path(args.build_root).resolve()


def _text(error: BaseException, reason: str, build_root: str | Path) -> str:
	"""Say what ended the tool, in the first line, and what helps to mend it."""
	if isinstance(error, KeyboardInterrupt):
		return f"interrupted; {RESUMES}"
	if is_disk_full(error):
		return f"{reason}\n{_free(build_root)}" if build_root else reason
	if isinstance(error, PinwaitError) or is_machines_fault(error):
		return reason
	return f"{reason}\n{''.join(traceback.format_exception(error)).rstrip()}"


def _command(words: Sequence[str]) -> str:
	return shlex.join([PROGRAM, *words])


def _copies(words: Sequence[str]) -> dict[str, Output]:
	"""Return the files that a command line asks for, by option, whatever else is wrong with it."""
	known = COMMANDS.get(words[0] if words else "", (None, "", ()))[2]
	found = _given(words, *COPIES) if _boot_options in known else {}
	return {name: Output(path) for name, path in found.items()}


def _given(words: Sequence[str], *names: str) -> dict[str, str]:
	"""Return what some options of a command line say, whatever else is wrong with it."""
	lenient = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
	for name in names:
		lenient.add_argument(f"--{name}")
	try:
		found: dict[str, str | None] = vars(lenient.parse_known_args(words)[0])
	except argparse.ArgumentError:
		return {}
	return {name: text for name, text in found.items() if text is not None}


def _no_verdict(words: Sequence[str], name: str, reason: str, exit_code: int) -> str:
	"""Return the text of a file that a command line asks for where there is no verdict to tell."""
	command = _command(words)
	part = _given(words, "shard").get("shard", "")
	part = part if re.fullmatch(r"[1-9]\d*/[1-9]\d*", part) else ""	# merge is to know which one is missing
	told = engine.no_judgement(command, reason, exit_code, part) if words[0] == "gate" else None
	if name == "json":
		return FILES["judgement.json"](told) if told else no_summary(command, reason, exit_code)
	return FILES["junit.xml"](told) if told else no_junit(command, reason)


def parser() -> Parser:
	"""Return the parser of the command line."""
	top = Parser(prog="pinwait.py", description="Prove that page migration waits correctly for transient "
		     "references when memory is pinned for long.")
	commands = top.add_subparsers(dest="subcommand", required=True, metavar="COMMAND")
	for name, (handler, help_text, groups) in COMMANDS.items():
		sub = commands.add_parser(name, help=help_text, description=help_text, epilog=_epilog(name, groups),
					  formatter_class=argparse.RawDescriptionHelpFormatter)
		sub.set_defaults(handler=handler)
		_option(sub, "--build-root", "--build_dir", metavar="DIR", default=os.environ.get(buildroot.VARIABLE) or Options.build_root,
			help="folder for all that is generated")
		for add in groups:
			add(sub)
	return top


def _epilog(name: str, groups: Sequence[Callable[[argparse.ArgumentParser], None]]) -> str:
	"""Return the end of a subcommand's help: examples, and the profiles if it takes any."""
	lines = ["examples:", *(f"  pinwait.py {name} {words}".rstrip() for words in EXAMPLES[name])]
	if _build_options in groups or _gate_options in groups:
		lines += ["", "profiles:", *(f"  {profile:14} {text}" for profile, text in described(CONFIGS).items())]
	return "\n".join(lines)


def options(args: argparse.Namespace) -> Options:
	"""Return the run options that were given, defaults for the others."""
	given = _fields(args, Options)
	given["build_root"] = Path(args.build_root)
	for name in PATHS:
		if given.get(name):
			given[name] = os.path.abspath(given[name])
	return Options(**given)


def _fields(args: argparse.Namespace, kind: type) -> dict[str, Any]:
	"""Return what was given of the fields of a dataclass."""
	names = {field.name for field in dataclasses.fields(kind)}
	return {name: value for name, value in vars(args).items() if name in names and value is not None}


def _option(sub: argparse.ArgumentParser, *names: str, **more: Any) -> None:
	"""Add an option under the first of its names, which --help shows; the others go on working."""
	sub.add_argument(names[0], **more)
	dest = more.get("dest", names[0].lstrip("-").replace("-", "_"))
	for name in names[1:]:
		sub.add_argument(name, **more | {"dest": dest, "help": argparse.SUPPRESS, "default": argparse.SUPPRESS})


def _kernel_options(sub: argparse.ArgumentParser) -> None:
	source = sub.add_mutually_exclusive_group()
	source.add_argument("--kernel", metavar="X.Y", help="x.y, or the version of a linux-source package (7.3)")
	source.add_argument("--tarball", metavar="FILE", help="a linux-*.tar.* file instead")
	source.add_argument("--kdir", metavar="DIR", help="your own kernel tree instead; it is only read")
	_option(sub, "--series-dir", "--patches", metavar="DIR",
		help="folder of series, and of support/ for any of them (the project's)")


def _series_option(sub: argparse.ArgumentParser) -> None:
	sub.add_argument("--series", metavar="NAME", help="series: a folder there, or none (rfc; of a tree of --kdir what it has)")


def _build_options(sub: argparse.ArgumentParser) -> None:
	sub.add_argument("--profile", metavar="NAME", help="table of lib/kunit-configs/profiles.toml (uml)")
	sub.add_argument("--jobs", type=int, metavar="N", help="as in kunit.py and make")
	_option(sub, "--kconfig_add", "--kconfig-add", action="append", metavar="CONFIG_X=Y", help="as in kunit.py")
	_option(sub, "--make_options", "--make-options", action="append", metavar="X=Y", help="as in kunit.py")


def _boot_options(sub: argparse.ArgumentParser) -> None:
	sub.add_argument("--timeout", type=int, metavar="SECONDS", help="wall time a boot may take")
	_option(sub, "--kernel_args", "--kernel-args", action="append", metavar="ARG", help="as in kunit.py")
	sub.add_argument("--json", metavar="FILE", help="copy summary.json there")
	sub.add_argument("--junit", metavar="FILE", help="copy junit.xml there")
	sub.add_argument("--results", metavar="DIR", help="copy all results there")


def _list_option(sub: argparse.ArgumentParser) -> None:
	_option(sub, "--list_tests", "--list-tests", action="store_true", help="list the cases the kernel has, run none")


def _dry_run_option(sub: argparse.ArgumentParser) -> None:
	sub.add_argument(DRY_RUN, action="store_true", help="print the stages and their commands, do nothing")


def _dry_run(args: argparse.Namespace) -> int:
	given = options(args)
	if args.subcommand == "gate":
		profiles = args.profiles or engine.PICKED_FROM
		return plan.tell_gate(given, args.sources, (*profiles, *engine.MORE_PROFILES), args.checks or (*engine.EVERY_PATCH, *profiles))
	boots = f"{args.n} times, {args.parallel} at a time" if args.subcommand == "soak" else "once"
	return plan.tell(given, [given.profile], boots)


def _filter(sub: argparse.ArgumentParser) -> None:
	sub.add_argument("filter", nargs="?", metavar="SUITE.CASE", help="glob of the cases to run, as in kunit.py")


def _soak_options(sub: argparse.ArgumentParser) -> None:
	sub.add_argument("-n", type=int, default=20, metavar="N", help="how many boots (20)")
	sub.add_argument("--parallel", type=int, default=1, metavar="P", help="how many boots at a time (1)")
	sub.add_argument("--stress", action="store_true", help="keep the machine overloaded meanwhile")


def _explore_options(sub: argparse.ArgumentParser) -> None:
	sub.add_argument("--seeds", type=int, default=100, metavar="N", help="how many seeds, from 1 on (100)")
	sub.add_argument("--seed", type=int, default=0, metavar="S", help="only this seed")
	sub.add_argument("--parallel", type=int, default=explore.PARALLEL, metavar="P", help=f"how many boots at a time ({explore.PARALLEL})")
	sub.set_defaults(profile=explore.PROFILE, filter=explore.SUITES)


def _mutant_option(sub: argparse.ArgumentParser) -> None:
	sub.add_argument("--mutant", metavar="NAME", help="break the kernel with one of tools/testing/mutants")


def _mutant_names(sub: argparse.ArgumentParser) -> None:
	sub.add_argument("--sample", type=int, default=0, metavar="N", help="only N of the mutants, always the same")
	sub.add_argument("--generated", action="store_true", help="mutants that nobody picked: every operator at every site of the road")
	sub.add_argument("--seed", metavar="TEXT", default="", help="generated: decides the order in which they are drawn (hash of the kernel's version)")
	sub.add_argument("--functions", metavar="GLOB,...", type=_names, default=(), help="generated: only in these, as function or file:function; "
			 "near: those that the series changes, and those that they call")
	sub.add_argument("--resume", action="store_true", help="generated: go on where the same job was broken off")
	sub.add_argument("--record", action="store_true", help="generated: record the fates for later runs to compare with")
	sub.add_argument("--alone", action="store_true", help="generated: do not try on x86_64 what is not noticed")
	sub.add_argument("names", nargs="*", metavar="MUTANT", help="only these mutants")


def _mutants(args: argparse.Namespace) -> int:
	if args.generated or any(":" in name for name in args.names):
		return generated.generated(options(args), generated.Asked(tuple(args.names), args.sample, args.seed, args.functions, Shard.parse(args.shard),
									  args.resume, args.record, args.alone))
	if args.seed or args.functions or args.resume or args.record or args.alone:
		raise UsageError("--seed, --functions, --resume, --record and --alone are for --generated mutants")
	return mutants.mutants(options(args), args.names, args.sample, Shard.parse(args.shard))


def _coverage_options(sub: argparse.ArgumentParser) -> None:
	sub.set_defaults(profile=gcov.PROFILE)


def _prepare_options(sub: argparse.ArgumentParser) -> None:
	sub.add_argument("--update", action="store_true", help="look for a newer package of the kernel")


def _choice_options(sub: argparse.ArgumentParser) -> None:
	sub.add_argument("-k", dest="expression", default="", metavar="EXPRESSION", help="only tests whose names fit, as of pytest")
	sub.add_argument("--lf", dest="last_failed", action="store_true", help="only tests that failed last time")


def _count_option(sub: argparse.ArgumentParser) -> None:
	sub.add_argument("--count", type=int, default=1, metavar="N", help="run each test N times (1)")


def _chosen(args: argparse.Namespace) -> check.Chosen:
	return check.Chosen(args.expression, args.last_failed, args.count)


def _gate_options(sub: argparse.ArgumentParser) -> None:
	sub.add_argument("--base", metavar="COMMIT", default="", help="what the patches apply to: a commit of --kdir (its HEAD)")
	sub.add_argument("--range", metavar="A..B", default="", help="judge these commits of --kdir")
	sub.add_argument("--staged", action="store_true", help="judge what is staged in --kdir")
	sub.add_argument("--profiles", metavar="NAME,...", type=_names, default=engine.Asked.profiles,
			 help="profiles to run the suites in (uml, and x86_64 for a patch that needs it)")
	sub.add_argument("--checks", metavar="NAME,...", type=_names, default=(), help="only these checks of each patch")
	sub.add_argument("--only", type=int, metavar="N", default=0, help="only patch N of the series")
	sub.add_argument("--repeat", type=int, metavar="N", default=engine.Asked.repeat,
			 help="boots of base and patch each, where boots differ and something new was seen (6, or more for a long series)")
	_option(sub, "--no-cache", "--anew", dest="anew", action="store_true", help="boot again what was built and booted before")
	sub.add_argument("--no-isolation", dest="isolation", action="store_false",
			 help="build and boot patched code unconfined: for code that you trust")
	sub.add_argument("--jobs", type=int, metavar="N", help="as in kunit.py and make")
	_option(sub, "--kconfig_add", "--kconfig-add", action="append", metavar="CONFIG_X=Y", help="as in kunit.py")
	_option(sub, "--make_options", "--make-options", action="append", metavar="X=Y", help="as in kunit.py")
	sub.add_argument("sources", nargs="*", metavar="PATCH", help="mbox, mail, folder of them, -, Message-ID or its address (what is uncommitted in --kdir)")


def _shard_option(sub: argparse.ArgumentParser) -> None:
	sub.add_argument("--shard", metavar="I/N", default="", help="do only the I-th of N shares; merge joins them")


def _report_option(sub: argparse.ArgumentParser) -> None:
	sub.add_argument("--report-url", metavar="URL", type=_url, help="where judgement.html can be read, for Patchwork, b4 and KernelCI")


def _url(text: str) -> str:
	if not re.fullmatch(r"https?://[^\s/]\S*", text) or len(text) > URL_LENGTH:
		raise argparse.ArgumentTypeError(f"'{text}' is no http:// or https:// address of at most {URL_LENGTH} characters")
	return text


def _names(text: str) -> tuple[str, ...]:
	return tuple(name for name in text.split(",") if name)


def _format_option(sub: argparse.ArgumentParser) -> None:
	_option(sub, "--format", "--print", dest="form", choices=["terminal", *FORMS], default="terminal",
		help="how to answer: to people, to b4's checks, to NIPA")


def _gate(args: argparse.Namespace) -> int:
	given = _fields(args, engine.Asked)
	given |= {"sources": tuple(args.sources), "shard": Shard.parse(args.shard)}
	asked = engine.Asked(**given, review=REVIEWS.get(args.form, ""))
	judgement, folder = engine.judge(options(args), asked)
	if args.results:
		outputs.attempt(f"the results could not be copied to {args.results}",
				lambda: shutil.copytree(folder, args.results, dirs_exist_ok=True))
	if args.answer:
		return int(args.answer(judgement))
	outputs.to_stdout(lambda: print_judgement(judgement, sys.stdout))
	print(f"results: {folder}", file=sys.stderr)
	return judgement.exit_code


def _corpus_options(sub: argparse.ArgumentParser) -> None:
	sub.add_argument("--jobs", type=int, metavar="N", help="as in kunit.py and make")
	sub.add_argument("--sample", type=int, default=0, metavar="N", help="only N of the inputs, always the same")
	sub.add_argument("--runs", dest="count", type=int, default=1, metavar="N",
			 help="judge each input N times (1); kernels are built once, and booted each time")
	sub.add_argument("--resume", action="store_true", help="go on where the same job was broken off")
	sub.add_argument("names", nargs="*", metavar="INPUT", help="only these inputs")


def _presubmit_options(sub: argparse.ArgumentParser) -> None:
	sub.set_defaults(kdir=".")
	sub.add_argument("--kdir", metavar="DIR", help="your kernel tree, which is only read (.)")
	sub.add_argument("--staged", action="store_true", help="what is staged")
	sub.add_argument("--range", metavar="A..B", default="", help="these commits (those that the upstream branch has not)")
	sub.add_argument("-1", dest="range", action="store_const", const="1", help="the last commit")
	sub.add_argument("--full", action="store_true", help="all checks, all profiles")
	sub.add_argument("--install-hook", action="store_true", help="have git run this before a push")
	sub.add_argument("--remove-hook", action="store_true", help="undo that")
	sub.add_argument("--pushed", action="store_true", help=argparse.SUPPRESS)
	sub.add_argument("--jobs", type=int, metavar="N", help="as in kunit.py and make")


def _presubmit(args: argparse.Namespace) -> int:
	given = options(args)
	if args.install_hook:
		return presubmit.install_hook(given, args.full)
	if args.remove_hook:
		return presubmit.remove_hook(given)
	if args.pushed:
		return presubmit.pushed(given, sys.stdin, args.full)
	return presubmit.presubmit(given, args.staged, args.range, args.full)


def _merge_options(sub: argparse.ArgumentParser) -> None:
	sub.add_argument("parts", nargs="+", metavar="RESULT", help="the shards' results: folders, or the JSON files in them")


def _clean(args: argparse.Namespace) -> int:
	buildroot.clean(args.build_root, everything=False)
	return 0


def _distclean(args: argparse.Namespace) -> int:
	buildroot.clean(args.build_root, everything=True)
	return 0


def _run(args: argparse.Namespace) -> int:
	return run.list_tests(options(args)) if args.list_tests else run.run(options(args))


COMMANDS: dict[str, tuple[Handler, str, tuple[Callable[[argparse.ArgumentParser], None], ...]]] = {
	"run": (_run, "build, boot, judge",
		(_kernel_options, _series_option, _mutant_option, _build_options, _boot_options, _list_option, _dry_run_option, _filter)),
	"prove": (lambda args: run.prove(options(args)),
		  "without the series, of which its promises are asserted, exactly the cases that need it must fail",
		  (_kernel_options, _build_options, _boot_options, _dry_run_option)),
	"soak": (lambda args: soak.soak(options(args), args.n, args.parallel, args.stress, Shard.parse(args.shard)), "build once, boot many times",
		 (_kernel_options, _series_option, _build_options, _boot_options, _dry_run_option, _filter, _soak_options,
		  _shard_option)),
	"explore": (lambda args: explore.explore(options(args), args.seeds, args.seed, args.parallel),
		    "boot under many seeds, each of which makes events happen in another order",
		    (_kernel_options, _series_option, _mutant_option, _build_options, _boot_options, _dry_run_option, _filter, _explore_options)),
	"mutants": (_mutants, "break the change in many ways; the suite must notice each",
		    (_kernel_options, _series_option, _build_options, _boot_options, _mutant_names, _shard_option)),
	"coverage": (lambda args: coverage.coverage(options(args)), "which lines and branches of the change are executed",
		     (_kernel_options, _series_option, _build_options, _boot_options, _dry_run_option, _coverage_options)),
	"gate": (_gate, "say of each patch: pass, fail and why, not seen, or cannot judge",
		 (_kernel_options, _series_option, _boot_options, _gate_options, _shard_option, _format_option, _report_option,
		  _dry_run_option)),
	"presubmit": (_presubmit, "judge your own commits before you send them", (_presubmit_options, _series_option)),
	"check-gate": (lambda args: check.check_gate(options(args), args.names, args.sample, args.shard, args.resume, _chosen(args)),
		       "does the gate judge inputs rightly whose verdict is known?",
		       (_kernel_options, _series_option, _corpus_options, _choice_options, _shard_option)),
	"merge": (lambda args: merge.merge(options(args), args.parts), "join the shards of a gate, a soak, of mutants",
		  (_merge_options, _report_option)),
	"bisect": (lambda args: run.run(options(args), "bisect"), "as run, with the exit codes of git bisect run",
		   (_kernel_options, _series_option, _build_options, _boot_options, _dry_run_option, _filter)),
	"prepare": (lambda args: run.prepare(options(args)), "get the kernel and apply the series, no more",
		    (_kernel_options, _series_option, _prepare_options)),
	"check": (lambda args: check.check(options(args), _chosen(args)), "all tests of the project",
		  (_kernel_options, _build_options, _choice_options, _count_option)),
	"test": (lambda args: check.check(options(args), _chosen(args), build_kernels=False), "all tests that need no kernel to be built, and are quick",
		 (_kernel_options, _build_options, _choice_options, _count_option)),
	"clean": (_clean, "remove objects and results", ()),
	"distclean": (_distclean, "remove all that was generated", ()),
}


# Two of each subcommand, behind its name.
EXAMPLES = {
	"run": ("", "--profile=uml-debug 'migrate_longterm_pin.*'"),
	"prove": ("", "--kernel=7.3"),
	"soak": ("-n 200", "-n 50 --parallel=20 --profile=uml-rt --stress"),
	"explore": ("--seeds=100", "--seed=17"),
	"mutants": ("key-no-dec expected-stale", "--generated --sample=500 --series=none"),
	"coverage": ("", "--tarball=linux-7.3.4.tar.xz"),
	"gate": ("series.mbox", "--kdir=. --range=origin/master..HEAD --profiles=uml,uml-debug"),
	"presubmit": ("", "--full -1"),
	"check-gate": ("--sample=8", "comment window-widened"),
	"merge": ("shard-1/ shard-2/", "--report-url=https://ci.example.org/7 shard-*/judgement.json"),
	"bisect": ("--kdir=.", "--kdir=. migrate_longterm_pin.transient_reference"),
	"prepare": ("", "--kernel=7.3 --update"),
	"check": ("", "-k mutants"),
	"test": ("", "--lf"),
	"clean": ("", "--build-root=/var/tmp/pinwait"),
	"distclean": ("", "--build-root=/var/tmp/pinwait"),
}


def _free(build_root: str | Path) -> str:
	place = Path(build_root)
	while not place.exists():
		place = place.parent
	gib = shutil.disk_usage(place).free / (1 << 30)
	return f"{gib:.1f} GiB are free for {build_root}; a kernel needs {store.PREPARE_GIB:.0f} GiB"
