# SPDX-License-Identifier: GPL-2.0
"""Recompile a few objects of a built kernel from other sources, and link a kernel with them.

The worktree and the object folder stay unchanged: both are mirrored, as folders of symbolic
links in which single files are replaced. Compiler and linker are called as Kbuild called them:
with the command that it saved beside each object, and by its own link-vmlinux.sh.
"""

import filecmp
import hashlib
import os
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import build
from ..source.store import Kernel
from ..util.errors import CannotJudge
from ..util.proc import run

TARGET = "pinwait-environment"
# Files at the top of the object folder that the link reads; it writes others there.
INPUTS = {"vmlinux.a", ".vmlinux.export.o", ".config", ".kunitconfig"}
LINKED = "vmlinux.unstripped"	# from the link script, in the object folder
VMLINUX = "vmlinux"	# the same without the sections that QEMU would load beside the kernel


@dataclass(frozen=True)
class Base:
	"""A built kernel, and the environment in which Kbuild compiles and links it."""
	tree: Path
	obj: Path
	env: Mapping[str, str]
	binary: str	# the file that is booted
	strip: str = ""	# the command that makes it of what is linked; "": it is what is linked, with sections that are not loaded


def base(kernel: Kernel, obj: Path, request: build.Request, build_root: Path) -> Base:
	"""Return a built kernel with the environment in which Kbuild would link it. Raises CannotJudge."""
	with tempfile.TemporaryDirectory(prefix="pinwait-") as scratch:
		rules, answer = Path(scratch, "rules.mk"), Path(scratch, "environment")
		rules.write_text(f"{TARGET}:\n\t@env -0 >{shlex.quote(str(answer))}\n", encoding="utf-8")
		env = {**build.environment(build_root, kernel.tree), "MAKEFILES": str(rules)}
		others = [word for name in os.environ if name not in env for word in ("-u", name)]
		run(["env", *others, *build.make_command(kernel.tree, obj, request), TARGET], env=env)
		try:
			pairs = answer.read_text(encoding="utf-8", errors="surrogateescape").split("\0")
		except OSError as error:
			raise CannotJudge(f"the kernel's make does not print its environment: {error}") from error
	env = dict(pair.split("=", 1) for pair in pairs if pair)
	for name in (*build.FROM_MAKE, "MAKEFILES", "KBUILD_VERBOSE"):
		env.pop(name, None)
	# The link script calls make to renew the version's object, which must not change here.
	return Base(kernel.tree.resolve(), obj.resolve(), {**env, "MAKE": "true"}, request.profile.binary,
		    _command_of(obj, VMLINUX) if request.profile.binary == VMLINUX else "")


def objects(obj: Path, file: str, rebuild: Sequence[str]) -> list[str]:
	"""Return the objects to compile when file differs: those in rebuild, or else the source's own.

	A source that another one includes, as in kernel/sched, has no object; then it is the object of the including source in
	the same folder. Raises CannotJudge if one of the objects was not compiled from file.
	"""
	own = Path(file).with_suffix(".o")
	names = list(rebuild) or [str(own)]
	if not rebuild and not _noted(obj, str(own)).exists():
		names = [str(own.with_name(path.name.removeprefix(".").removesuffix(".cmd")))
			 for path in sorted((obj / own.parent).glob(".*.o.cmd")) if f"/{file} " in path.read_text(encoding="utf-8")] or names
	for name in names:
		if not any(word.endswith(f"/{file}") for word in _saved(obj, name).split()):
			raise CannotJudge(f"{name} was not compiled from {file}")
	return names


class Bench:
	"""A mirror in which to make kernels that differ from a built one in a few files, one kernel at a time."""

	def __init__(self, origin: Base, folder: Path, sources: Iterable[str], compiled: Iterable[str], flags: str = ""):
		"""Mirror origin in folder; only the files in sources and compiled can be replaced later.

		flags are for the compiler, after Kbuild's.
		"""
		self.origin, self.flags = origin, flags
		self.tree, self.obj = folder / "tree", folder / "obj"
		self.last_link = ""
		# With another kernel's symbols a probe would be in another function, and a case fail over that.
		self.looks_up_symbols = bool(re.search(r"^CONFIG_KPROBES=y$", (origin.obj / ".config").read_text(encoding="utf-8"), re.MULTILINE))
		self.binary = self.obj / origin.binary	# the kernel that is linked here
		self.linked = self.obj / LINKED if origin.strip else self.binary
		shutil.rmtree(folder, ignore_errors=True)
		_mirror(origin.tree, self.tree, sources)
		_mirror(origin.obj, self.obj, compiled)
		for path in self.obj.iterdir():
			if not path.is_dir() and path.name not in INPUTS:
				path.unlink()

	def replace(self, file: str, text: str) -> None:
		"""Replace a source file by text."""
		path = self.tree / file
		path.unlink()
		path.write_text(text, encoding="utf-8")

	def restore(self, file: str, compiled: Sequence[str]) -> None:
		"""Restore the original of a source file and of its objects."""
		for mirror, original, names in ((self.tree, self.origin.tree, [file]),
						(self.obj, self.origin.obj, compiled)):
			for name in names:
				(mirror / name).unlink(missing_ok=True)
				(mirror / name).symlink_to(original / name)

	def compile(self, compiled: Sequence[str], log: Path) -> bool:
		"""Compile objects; tell whether any differs from the original. Raises CannotJudge."""
		for name in compiled:
			(self.obj / name).unlink(missing_ok=True)
			self._run(["sh", "-c", self._command(name)], log)
		return not all(filecmp.cmp(self.obj / name, self.origin.obj / name, shallow=False) for name in compiled)

	def digest(self, compiled: Sequence[str]) -> str:
		"""Return a digest of objects in this mirror."""
		digest = hashlib.sha256()
		for name in compiled:
			digest.update((self.obj / name).read_bytes())
		return digest.hexdigest()[:16]

	def link(self, log: Path) -> None:
		"""Link the kernel with its own symbol table. Raises CannotJudge."""
		linker, flags, more = shlex.split(_command_of(self.origin.obj, LINKED))[1:4]
		script, name = self.origin.tree / "scripts/link-vmlinux.sh", self.linked.name
		self._run(["sh", str(script), linker, flags, more, name], log, KBUILD_VERBOSE="1")
		traced = log.read_text(encoding="utf-8")
		links = re.findall(rf"^\+ (.* -o {name} .*)$", traced, re.MULTILINE)
		if not links:
			raise CannotJudge(f"the link script does not show its last link: {log}")
		# Tables that the kernel searches without having sorted them; the script does not show where the symbols go.
		sorts = re.findall(rf"^\+ (\S*/sorttable -s (\S+) {name})$", traced, re.MULTILINE)[-1:]
		self.last_link = " && ".join([links[-1], *(f"$NM -S {name} >{symbols} && {command}" for command, symbols in sorts)])
		self._strip(log)

	def relink(self, log: Path) -> None:
		"""Link the kernel, if possible with the symbol table of link(), which is wrong for back traces only. Raises CannotJudge."""
		assert self.last_link, "link() comes first"
		if self.looks_up_symbols:
			self.link(log)
			return
		self._run(["sh", "-c", self.last_link], log)
		self._strip(log)

	def is_original(self) -> bool:
		"""Tell whether the linked kernel is byte for byte the original."""
		return filecmp.cmp(self.linked, self.origin.obj / LINKED, shallow=False)

	def _strip(self, log: Path) -> None:
		if self.origin.strip:
			self._run(["sh", "-c", self.origin.strip], log)

	def _command(self, name: str) -> str:
		"""Return the command that compiled an object, with the mirrored source tree."""
		saved = _saved(self.origin.obj, name).splitlines()[0]
		command = saved.partition(" := ")[2].replace("$(pound)", "#").replace("$$", "$")
		changed = re.sub(rf"{re.escape(str(self.origin.tree))}(?=/|\s)", str(self.tree), command)
		if not saved.startswith("savedcmd_") or changed == command:
			raise CannotJudge(f"Kbuild's command for {name} does not name the source tree")
		return changed.replace(f" -c -o {name} ", f" {self.flags} -c -o {name} ", 1) if self.flags else changed

	def _run(self, argv: Sequence[str], log: Path, **env: str) -> None:
		with open(log, "a", encoding="utf-8") as output:
			if subprocess.run(argv, cwd=self.obj, env={**self.origin.env, **env}, stdin=subprocess.DEVNULL,
					  stdout=output, stderr=output).returncode:
				text = log.read_text(encoding="utf-8", errors="replace")
				raise CannotJudge(f"{build.explain(text, self.tree)}\n(all of it: {log})")


def _mirror(source: Path, target: Path, files: Iterable[str]) -> None:
	"""Make target a folder of links to the entries of source; folders that lead to files are real folders."""
	below: dict[str, list[str]] = {}
	for name in files:
		head, slash, rest = name.partition("/")
		if slash:
			below.setdefault(head, []).append(rest)
	target.mkdir(parents=True)
	for entry in os.scandir(source):
		if entry.name in below:
			_mirror(Path(entry.path), target / entry.name, below[entry.name])
		else:
			(target / entry.name).symlink_to(entry.path)


def _noted(obj: Path, name: str) -> Path:
	"""Return the path of Kbuild's .cmd file of an object."""
	return (obj / name).with_name(f".{Path(name).name}.cmd")


def _command_of(obj: Path, name: str) -> str:
	"""Return the command that made a file at the top of the object folder."""
	return _saved(obj, name).splitlines()[0].partition(" := ")[2].replace("$$", "$")


def _saved(obj: Path, name: str) -> str:
	"""Return Kbuild's .cmd file of an object: command and dependencies."""
	try:
		return _noted(obj, name).read_text(encoding="utf-8")
	except OSError as error:
		raise CannotJudge(f"Kbuild left no command for {name}: {error.strerror}") from error
