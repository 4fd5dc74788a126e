# SPDX-License-Identifier: GPL-2.0
"""Check sources without running them: the compiler's extra warnings, sparse, kernel-doc, checkpatch.

A patch must not supply the scripts that judge it: they come from a state before it.
"""

import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from ..kernel import build
from ..kernel.build import Request
from ..kernel.sandbox import Sandbox
from ..util.errors import CannotJudge
from ..util.git import Git
from ..util.proc import HELD, CommandFailed, run

COMPAT = Path(__file__).resolve().parents[2] / "sparse-compat.h"
CHECKPATCH = ("scripts/checkpatch.pl", "--strict", "--no-summary", "--show-types")
# Scripts of the current tree that checkpatch calls.
CALLED = ("scripts/get_maintainer.pl", "scripts/spdxcheck.py")
# Judging scripts, their modules, and other files that they read.
TOOLS = ("scripts/checkpatch.pl", *CALLED, "scripts/spelling.txt", "scripts/const_structs.checkpatch", "scripts/kernel-doc",
	 "scripts/kernel-doc.py", "tools/docs", "tools/lib/python", "scripts/lib", "tools/testing/kunit")
TEXTS = ("Documentation/dev-tools/checkpatch.rst", "MAINTAINERS")
LOOKED_AT = ".config.looked-at"
KCONFIG_SAID = re.compile(r"(?P<file>\S*Kconfig\S*):(?P<line>\d+): ?warning: ?(?P<text>.+)|WARNING: unmet direct dependencies .+")
VERDICT = re.compile(r"^(ERROR|WARNING|CHECK):([A-Z_0-9]+): (.*)$")


def judges(name: str) -> bool:
	"""Tell whether a file of the tree is one of the judging scripts, or belongs to one."""
	return any(name == tool or name.startswith(f"{tool}/") for tool in TOOLS)


def export_tools(git: Git, commit: str, parent: Path) -> Path:
	"""Write a commit's scripts to a separate folder below parent, once, and return it."""
	folder = parent / f"{commit[:16]}-{hashlib.sha256(' '.join(TOOLS + TEXTS).encode()).hexdigest()[:8]}"
	if not folder.exists():
		listed = git("ls-tree", "--name-only", commit, *TOOLS, *TEXTS).splitlines()
		partial = folder.with_name(f"{folder.name}.{os.getpid()}")
		partial.mkdir(parents=True)
		archive = partial / "tools.tar"
		git("archive", f"--output={archive}", commit, *listed)
		run(["tar", "-x", "-f", str(archive), "-C", str(partial)])
		archive.unlink()
		try:
			partial.rename(folder)
		except OSError:		# another gate was faster
			run(["rm", "-rf", str(partial)])
	return folder


def compile_anew(tree: Path, obj: Path, sources: Iterable[str], request: Request, build_root: Path, log: Path,
		 sparse: bool) -> tuple[bool, str]:
	"""Recompile C files with W=1, and with sparse if asked; tell whether it worked, and return all output."""
	words = ["W=1", "-k", *(["C=2", f"CF=-include {COMPAT}"] if sparse else [])]
	return compile_with(tree, obj, sources, words, request, build_root, log)


def compile_with(tree: Path, obj: Path, sources: Iterable[str], words: Sequence[str], request: Request, build_root: Path,
		 log: Path) -> tuple[bool, str]:
	"""Recompile C files with more words for make; tell whether it worked, and return all output.

	make prints nothing for an object that is up to date, so it is removed first; the next build makes it again.
	"""
	objects = [str(Path(name).with_suffix(".o")) for name in sources]
	for name in objects:
		(obj / name).unlink(missing_ok=True)
	return make(tree, obj, [*words, *objects], request, build_root, log)


def kconfig(tree: Path, obj: Path, request: Request, build_root: Path, log: Path) -> list[str]:
	"""Return Kconfig's warnings in a tree, configured like a folder of objects, which stays unchanged.

	Raises CannotJudge if it cannot be configured.
	"""
	config = obj / LOOKED_AT
	config.unlink(missing_ok=True)
	build.take(obj / ".config", config)
	good, output = make(tree, obj, [f"KCONFIG_CONFIG={config}", "olddefconfig"], request, build_root, log)
	if not good:
		raise CannotJudge(f"the tree cannot be configured\n(all of it: {log})")
	said = (KCONFIG_SAID.match(line) for line in build.plain(output, tree).splitlines())
	# In the form of compilers' messages.
	return [f"{line['file']}:{line['line']}: warning: {line['text']}" if line["file"] else line[0] for line in said if line]


def is_kconfig(name: str) -> bool:
	"""Tell whether the configuration of a tree reads a file."""
	return Path(name).name.startswith("Kconfig")


def make(tree: Path, obj: Path, words: Sequence[str], request: Request, build_root: Path, log: Path) -> tuple[bool, str]:
	"""Call make in a folder of objects; tell whether it worked, and return all output."""
	env = build.environment(build_root, tree)
	argv = request.sandbox.command([*build.make_command(tree, obj, request), *words], [obj, Path(env["CCACHE_DIR"])])
	with open(log, "ab") as output:
		start = output.tell()
		code = subprocess.run(argv, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
				      pass_fds=HELD).returncode
	return code == 0, log.read_bytes()[start:].decode("utf-8", "replace")


def not_seen_by_sparse(output: str, sources: Iterable[str]) -> list[str]:
	"""Return the files that sparse did not check, although make was told to run it."""
	return [name for name in sources
		if not re.search(rf"^ +CHECK +(?:\S*/)?{re.escape(name)}$", output, re.MULTILINE)]


def includers(obj: Path, header: str, most: int) -> list[str]:
	"""Return up to `most` C files, of mm/ first, that were compiled with a header."""
	needle = f"/{header} "
	found: list[str] = []
	for folder in ("mm", "kernel", "fs", "lib", "arch"):
		for path in sorted((obj / folder).rglob(".*.o.cmd")):
			text = build.noted(path)
			source = re.search(r"^source_\S+ := (\S+\.c)$", text, re.MULTILINE)
			if source and (needle in text or f"/{header}\n" in text):
				found.append(str(path.relative_to(obj).with_name(path.name[1:].removesuffix(".o.cmd") + ".c")))
				if len(found) == most:
					return found
	return found


def checkpatch(box: Sandbox, tools: Path, tree: Path, patch: Path, message: bool) -> list[tuple[str, str, str]]:
	"""Return checkpatch's verdicts on a patch: level, type, and text with the place.

	It runs in the sandbox, because it passes names from the patch to a shell. message tells whether the patch has a commit
	message to check. Raises CannotJudge if checkpatch itself fails.
	"""
	argv = ["perl", str(tools / CHECKPATCH[0]), *CHECKPATCH[1:], f"--root={tree}", *([] if message else ["--no-signoff", "--ignore=COMMIT_MESSAGE"]),
		str(patch)]
	# Ignore any .checkpatch.conf, the tree's and the user's.
	env = {"GIT_DIR": str(tree / ".git"), "HOME": "/"}
	box = replace(box, readable=(*box.readable, patch, *borrowed(tree)))
	try:
		output = run(box.command(argv, []), cwd=Path("/"), env=env)
	except CommandFailed as error:
		output = error.output
		if error.returncode != 1:
			raise CannotJudge(f"checkpatch: {error}") from error
	found = []
	for block in re.split(r"\n\n+", output):
		lines = block.strip().splitlines()
		verdict = VERDICT.match(lines[0]) if lines else None
		if verdict:
			found.append((verdict[1], verdict[2], "\n".join([verdict[3], *lines[1:]])))
	return found


def borrowed(tree: Path) -> list[Path]:
	"""Return the object folders of other repositories that a tree's repository borrows from."""
	alternates = tree / ".git/objects/info/alternates"
	return [Path(line) for line in alternates.read_text(encoding="utf-8").splitlines()] if alternates.exists() else []


def kernel_doc(tools: Path, tree: Path, sources: Sequence[str]) -> list[str]:
	"""Return kernel-doc's complaints about files of a tree."""
	if not sources:
		return []
	argv = [sys.executable, str(tools / "scripts/kernel-doc"), "-none", "-Wall", *sources]
	done = subprocess.run(argv, cwd=tree, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
			      env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "LC_ALL": "C"})
	said = (done.stdout + done.stderr).replace(f"{tree}/", "").splitlines()
	if any(line.startswith("Traceback ") for line in said):
		raise CannotJudge(f"kernel-doc breaks: {said[-1]}")
	# "Warning: file:line text" and "file:line: warning: text" are both in use.
	return [re.sub(r"^(?:Warning|Error): ([\w./+-]+:\d+):? ", r"\1: warning: ", line) for line in said
		if re.search(r"^(?:Warning|Error): |: (?:warning|error): ", line, re.IGNORECASE)]
