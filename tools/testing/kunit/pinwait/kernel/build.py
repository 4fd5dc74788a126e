# SPDX-License-Identifier: GPL-2.0
"""Configure and build with the tree's own kunit.py; do nothing if nothing changed."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..source.store import Kernel
from ..util.errors import CannotJudge, Untestable
from ..util.proc import HELD, CommandFailed, need_space, run
from ..util.progress import Progress
from .profile import Profile
from .sandbox import OPEN, Sandbox

BUILD_GIB = 1.0
CCACHE_SIZE = "5G"
STAMP = "pinwait-stamp"
PLACE = "pinwait-place"	# in a folder of objects: the tree as its dependencies name it, and the folder itself
CONFIGURED = "pinwait-configured"	# in one of which only objects are compiled: what it was configured with
OBJECTS = "pinwait-objects"	# instead, if only some of the objects are up to date
# With the commit's id in the version, every commit would make a new kernel.
KCONFIG = ("CONFIG_LOCALVERSION_AUTO=n",)
# No Rust is built here. The sandbox hides a compiler in a user's home, so its version would differ in there, and with it
# all objects.
MAKE = ("LOCALVERSION=", "RUSTC=false")
# `make run` passes its own options and variables to every make below it.
FROM_MAKE = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "KBUILD_OUTPUT")
# Variables of the caller's environment that make or Kconfig would read, or for which this tool has its own options.
FROM_CALLER = re.compile(r"(?:ARCH|SUBARCH|SRCARCH|CROSS_COMPILE|LLVM|LLVM_IAS|LOCALVERSION|SOURCE_DATE_EPOCH|MAKEFILES|GNUMAKEFLAGS|"
			 r"K(?:CPP|C|A|RUST)FLAGS|(?:USER|HOST)(?:C|CXX|LD|RUST)FLAGS|HOSTLDLIBS|KCONFIG_\w+|KBUILD_\w+|INSTALL_\w+)")
# Files that no build reads: if only they differ, the kernel is the same.
NOT_BUILT = re.compile(r"(?:Documentation|LICENSES)/(?!(?:.*/)?(?:Kconfig|Makefile)[^/]*$)|"
		       r"(?:MAINTAINERS|CREDITS|COPYING|\.mailmap|\.gitignore)$|.*\.rst$")
SAID = "ERROR:root:"	# kunit.py's prefix of make's output
# Faults of the machine, which may be gone the next time: messages of tools, not source lines that the tools quote.
MACHINE = re.compile(r"^(?:ERROR:root:)?(?!\S+:\d+:\d+: (?:error|warning|note): )\S.*(?:"
		     r": No space left on device|: Disk quota exceeded|: Cannot allocate memory|: Input/output error|"
		     r"\*\*\* .* (?:Killed|Terminated|Segmentation fault|Bus error)|memory exhausted|out of memory|cannot fork|"
		     r"(?:fatal|internal compiler) error: (?:Killed|Terminated|Segmentation fault|Bus error)).*", re.MULTILINE)
ERROR = re.compile(r"(?:^|\s)(?:fatal )?error: |undefined reference to |: multiple definition of |"
		   r"^(?:ERROR:root:)?ERROR: modpost|^(?:ERROR:root:)?(?:\S*/)?ld(?:\.\w+)?: (?!.*(?:warning: |: in function ))|"
		   r": syntax error|^Kconfig.*:\d+: |\bKconfig\S*:\d+: ")
UPWARDS = re.compile(r"/(?!\.\./)[^/\s]+/\.\./")
WARNING = re.compile(r"(?:\.\./)*[\w./+-]+:\d+:(?:\d+:)? (?:warning|error): ")


class DoesNotBuild(Untestable):
	"""The tree cannot be configured or compiled, and its content is at fault, as `why` says."""

	def __init__(self, why: str, log: Path):
		super().__init__(f"{why}\n(all of it: {log})")
		self.why = why


@dataclass(frozen=True)
class Request:
	"""How to build a tree: everything that kunit.py is told."""
	profile: Profile
	jobs: int
	kconfig_add: Sequence[str] = ()
	make_options: Sequence[str] = ()
	sandbox: Sandbox = OPEN


@dataclass(frozen=True)
class Built:
	"""A built kernel: objects and binary in obj."""
	obj: Path
	compiler: str


def build(kernel: Kernel, commit: str, request: Request, build_root: Path, log: Path,
	  progress: Progress, only: Sequence[str] = ()) -> Built:
	"""Bring the profile's kernel, or only some of its objects, up to date with commit, which is checked out.

	Raises DoesNotBuild with the options that the configuration lacks, or the first compiler error.
	"""
	obj = object_folder(build_root, kernel, request)
	obj.mkdir(parents=True, exist_ok=True)
	_settle(obj, kernel.tree)
	compiler = compiler_of(request)
	stamp = obj / STAMP
	wanted = identity(kernel, commit, request)
	if stamp.exists() and stamp.read_text(encoding="utf-8") == wanted + _state(obj, request.profile.binary):
		log.write_text("nothing changed since the last build\n", encoding="utf-8")
		return Built(obj, compiler)
	some = obj / OBJECTS
	begun = bool(only) and some.exists() and some.read_text(encoding="utf-8") == wanted
	if begun and all((obj / name).exists() for name in only):
		return Built(obj, compiler)
	some.unlink(missing_ok=True)
	configured = begun or _only_sources(_differing(kernel, obj, wanted, request.profile.binary))
	stamp.unlink(missing_ok=True)
	need_space(obj, BUILD_GIB, "building a kernel")
	env = environment(build_root, kernel.tree)
	Path(env["CCACHE_DIR"]).mkdir(exist_ok=True)

	def confined(log: int, *argv: str) -> None:
		logged(request.sandbox.command(argv, [obj, Path(env["CCACHE_DIR"])]), env, log, kernel.tree)

	with open(log, "w", encoding="utf-8") as output:
		if not configured:
			with progress.stage("configure", f"profile {request.profile.name}"):
				confined(output.fileno(), *configure_command(kernel, obj, request))
		start = time.time()
		total = len(only) or max(request.profile.objects, count_objects(obj, 0.0))
		with progress.stage("build", f"{kernel.version}, profile {request.profile.name}",
				    lambda: f"{count_objects(obj, start)} objects built, about {total} in all"):
			if configured or only:
				confined(output.fileno(), *make_command(kernel.tree, obj, request), "-s", *(only or ["all"]))
			else:
				confined(output.fileno(), *build_command(kernel, obj, request))
	if only:
		some.write_text(wanted, encoding="utf-8")
		return Built(obj, compiler)
	stamp.unlink(missing_ok=True)	# the build may have put a link there
	stamp.write_text(wanted + _state(obj, request.profile.binary), encoding="utf-8")
	return Built(obj, compiler)


def configure(kernel: Kernel, commit: str, request: Request, build_root: Path, log: Path, progress: Progress) -> None:
	"""Configure a profile, of which only some objects will be compiled, for commit, which is checked out.

	What make itself does with a changed Kconfig file is enough once there is a configuration. Raises DoesNotBuild.
	"""
	obj = object_folder(build_root, kernel, request)
	obj.mkdir(parents=True, exist_ok=True)
	_settle(obj, kernel.tree)
	stamp, wanted = obj / CONFIGURED, json.dumps(json.loads(identity(kernel, commit, request))[1:])
	if (obj / ".config").is_file() and stamp.is_file() and stamp.read_text(encoding="utf-8", errors="replace") == wanted:
		return
	need_space(obj, BUILD_GIB, "building a kernel")
	env = environment(build_root, kernel.tree)
	Path(env["CCACHE_DIR"]).mkdir(exist_ok=True)
	with open(log, "w", encoding="utf-8") as output, progress.stage("configure", f"profile {request.profile.name}"):
		logged(request.sandbox.command(configure_command(kernel, obj, request), [obj, Path(env["CCACHE_DIR"])]), env, output.fileno(), kernel.tree)
	stamp.unlink(missing_ok=True)
	stamp.write_text(wanted, encoding="utf-8")


def _settle(obj: Path, tree: Path) -> None:
	"""Make the dependencies that Kbuild noted in a folder of objects name files from where the folder is now.

	ccache restores them relative to the folder for which it compiled. In a copy elsewhere they name files that do not exist,
	and Kbuild takes a missing header for one that has not changed. What is built below tools/ notes the folder itself: with
	another name there objtool would be built again, and then each object on which it is run.
	"""
	here, own, place = os.path.relpath(tree, obj), os.path.realpath(obj), obj / PLACE
	before = place.read_text(encoding="utf-8", errors="replace") if place.is_file() else ""
	if before == f"{here}\n{own}":
		return
	once = before.partition("\n")[2]	# the build may have written anything
	relative = re.compile(rf"(?<![\w./])(?:\.\./)+(?:[^\s/]+/)*{re.escape(tree.name)}/")
	# A build that is not trusted may have left links to anything.
	for path in (path for path in obj.rglob(".*.cmd") if path.is_file() and not path.is_symlink()):
		text = path.read_text(encoding="utf-8", errors="surrogateescape")
		settled = relative.sub(lambda _: f"{here}/", text)
		settled = settled.replace(f"{once}/", f"{own}/") if once else settled
		if settled != text:
			times = path.stat()
			path.write_text(settled, encoding="utf-8", errors="surrogateescape")
			os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
	place.unlink(missing_ok=True)
	place.write_text(f"{here}\n{own}", encoding="utf-8")


def stands_for(kernel: Kernel, commit: str, request: Request, build_root: Path) -> str:
	"""Return the tree that the kernel in the object folder was built from if commit makes the same kernel, else "".

	It makes the same one if every file that differs is read by no build, or is a C source or header that exists in both
	trees and from which nothing in the folder was made.
	"""
	obj = object_folder(build_root, kernel, request)
	tree, differing = _differing(kernel, obj, identity(kernel, commit, request), request.profile.binary)
	built = {name: status for name, status in differing.items() if not NOT_BUILT.match(name)}
	if any(status != "M" or not name.endswith((".c", ".h")) for name, status in built.items()):
		return ""
	return "" if built and _made_from(obj, list(built)) else tree


def _differing(kernel: Kernel, obj: Path, wanted: str, binary: str) -> tuple[str, dict[str, str]]:
	"""Return the tree that a folder's kernel was built from, and by file how it differs (A, M, D, T) in the wanted tree.

	The returned tree is "" if the kernel changed since it was built, or if something besides the tree differs.
	"""
	try:
		text = (obj / STAMP).read_text(encoding="utf-8")
		(tree, *rest), end = json.JSONDecoder().raw_decode(text)
		new, *others = json.loads(wanted)
		if rest != others or text[end:] != _state(obj, binary):
			return "", {}
		lines = kernel.git("diff-tree", "-r", "--no-renames", "--name-status", tree, new).splitlines()
	except (OSError, ValueError, CommandFailed):	# git may have pruned that tree
		return "", {}
	return tree, {name: status for status, _, name in (line.partition("\t") for line in lines)}


def _only_sources(differing: tuple[str, dict[str, str]]) -> bool:
	"""Tell whether kunit.py's configuration would change nothing: it takes as long as many builds, and can be left out."""
	tree, names = differing
	return bool(tree) and all(name.endswith((".c", ".h", ".S")) or NOT_BUILT.match(name) for name in names)


def _made_from(obj: Path, names: Sequence[str]) -> bool:
	"""Tell whether anything in a folder may have been made from one of the named sources, by Kbuild's .cmd files."""
	needles = [f"/{name}" for name in names]
	built = (obj / STAMP).stat().st_mtime_ns
	for path in obj.rglob(".*.cmd"):
		text = noted(path)
		# An object newer than the kernel was compiled separately, from another state: its .cmd file says nothing of the kernel.
		if any(needle in text for needle in needles) or path.stat().st_mtime_ns > built:
			return True
	return False


def noted(path: Path) -> str:
	"""Return Kbuild's .cmd file of an object, with some/../ removed from its file names."""
	text, found = path.read_text(encoding="utf-8", errors="replace"), 1
	while found and "/../" in text:
		text, found = UPWARDS.subn("/", text)
	return text


def forget(obj: Path, since: float) -> None:
	"""Make the next build in a folder recompile the objects compiled since then (seconds since the epoch)."""
	(obj / STAMP).unlink(missing_ok=True)
	for folder, _, names in os.walk(obj):
		for path in (Path(folder, name) for name in names if name.endswith(".o")):
			if path.lstat().st_mtime >= since:
				path.unlink()


def take(source: Path, target: Path) -> None:
	"""Copy a file from a build. Raises CannotJudge if it is no plain file: a link may lead to files that the build may not read."""
	if source.is_symlink() or not source.is_file():
		raise CannotJudge(f"the build left no file {source.name} in {source.parent}")
	shutil.copy2(source, target)


def object_folder(build_root: Path, kernel: Kernel, request: Request) -> Path:
	"""Return the folder of a profile's objects."""
	return build_root / "obj" / kernel.name / (request.profile.kernel or request.profile.name)


def warnings(log: str, tree: Path) -> list[str]:
	"""Return the compiler's and sparse's warnings in a build log, with names as in the tree."""
	return [line for line in plain(log, tree).splitlines() if WARNING.match(line)]


def plain(text: str, tree: Path) -> str:
	"""Return messages with file names relative to the tree; the compiler's cache may have messages with another path of it."""
	text = text.replace(f"{tree}/", "")
	return re.sub(rf"(?<![^\s:'\"`(])/(?:[^\s:]*/)?{re.escape(tree.parent.name)}/{re.escape(tree.name)}/", "", text)


def kunit_command(kernel: Kernel) -> list[str]:
	"""Return the words that start the tree's own kunit.py."""
	return [sys.executable, str(kernel.tree / "tools/testing/kunit/kunit.py")]


def count_objects(obj: Path, since: float) -> int:
	"""Count the object files below obj that were written after since (seconds since the epoch)."""
	count = 0
	for folder, _, names in os.walk(obj):
		for name in names:
			if name.endswith(".o"):
				try:
					count += os.stat(os.path.join(folder, name)).st_mtime >= since
				except FileNotFoundError:
					pass
	return count


def explain(log: str, tree: Path) -> str:
	"""Return the few lines of a failed configuration or build that say why."""
	missing = re.search(r"^Missing: (.*)$", log, re.MULTILINE)
	if missing:
		return f"the configuration lacks options that the profile asks for: {missing[1]}"
	lines = plain(log, tree).splitlines()
	for index, line in enumerate(lines):
		if ERROR.search(line):
			return "\n".join(["the kernel does not build:", *(line.removeprefix(SAID) for line in lines[index:index + 4])])
	return "\n".join(["the kernel does not build:", *lines[-6:]])


def configure_command(kernel: Kernel, obj: Path, request: Request) -> list[str]:
	"""Return the kunit.py command line that configures a profile's kernel."""
	return [*kunit_command(kernel), "config", *_arguments(obj, request)]


def build_command(kernel: Kernel, obj: Path, request: Request) -> list[str]:
	"""Return the kunit.py command line that builds it."""
	return [*kunit_command(kernel), "build", *_arguments(obj, request), f"--jobs={request.jobs}"]


def _arguments(obj: Path, request: Request) -> list[str]:
	"""Return the options that kunit.py's config and build have in common."""
	return [f"--build_dir={obj}", *machine(request.profile),
		*(f"--kunitconfig={path}" for path in request.profile.kunitconfigs),
		*(f"--kconfig_add={option}" for option in (*KCONFIG, *request.kconfig_add)),
		*(f"--make_options={option}" for option in (*base_options(request.profile), *request.make_options))]


def machine(profile: Profile) -> list[str]:
	"""Return kunit.py's options that choose the machine."""
	return [f"--arch={profile.arch}", *([f"--qemu_config={profile.qemu_config}"] if profile.qemu_config else [])]


def machine_fault(output: str) -> str:
	"""Return a tool's message about the fault of the machine that made it fail, "" if there is none."""
	found = MACHINE.search(output)
	return found[0].removeprefix(SAID) if found else ""


def logged(argv: Sequence[str], env: dict[str, str], log: int, tree: Path) -> None:
	"""Run a command of a build; its output goes to log, an open file. Raises DoesNotBuild, CannotJudge if the machine is at fault."""
	code = subprocess.run(argv, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=HELD).returncode
	if code:
		path = Path(os.readlink(f"/proc/self/fd/{log}"))
		text = path.read_text(encoding="utf-8", errors="replace")
		fault = machine_fault(text) or (f"signal {-code}" if code < 0 else "")
		if fault:
			raise CannotJudge(f"the kernel could not be built on this machine: {fault}"
					  f"\n(all of it: {path})")
		raise DoesNotBuild(explain(text, tree), path)


def make_command(tree: Path, obj: Path, request: Request) -> list[str]:
	"""Return the words that start make in an object folder, as kunit.py does."""
	return ["make", "-C", str(tree), f"O={obj}", f"ARCH={request.profile.arch}", f"-j{request.jobs}",
		*base_options(request.profile), *request.make_options]


def base_options(profile: Profile) -> list[str]:
	"""Return the options that every make in a profile's object folder needs; without them it recompiles everything."""
	tools = profile.cross_compile
	return [*MAKE, *([f"CROSS_COMPILE={tools}"] if tools else []), *([f"CC=ccache {tools}gcc"] if shutil.which("ccache") else [])]


def environment(build_root: Path, tree: Path) -> dict[str, str]:
	"""Return the environment of a build of a tree: the same banner and the same objects on every machine."""
	env = {name: value for name, value in os.environ.items() if name not in FROM_MAKE and not FROM_CALLER.fullmatch(name)}
	return env | {
		"PYTHONUNBUFFERED": "1", "LC_ALL": "C",
		"CCACHE_DIR": str(build_root / "ccache"), "CCACHE_MAXSIZE": CCACHE_SIZE,
		# Take a file's headers from Kbuild's dependency files: preprocessing it first would make
		# a cold build slower. Headers that a checkout has just written are as valid as old ones.
		"CCACHE_DEPEND": "1", "CCACHE_SLOPPINESS": "include_file_mtime,include_file_ctime",
		# Below this folder the cache uses paths relative to the object folder, so that it stays valid if both move.
		# The compiler still sees Kbuild's paths, and makes the same objects.
		"CCACHE_BASEDIR": os.path.commonpath([build_root.absolute(), tree.absolute()]),
		"KBUILD_BUILD_TIMESTAMP": "Sat Jan  1 00:00:00 UTC 2000",
		"KBUILD_BUILD_USER": "pinwait", "KBUILD_BUILD_HOST": "localhost",
	}


def compiler_of(request: Request) -> str:
	"""Return the version line of the compiler that make will use. Raises CannotJudge if it does not run."""
	named = [option.removeprefix("CC=") for option in (*base_options(request.profile), *request.make_options)
		 if option.startswith("CC=")]
	argv = named[-1].split() if named else [f"{request.profile.cross_compile}gcc"]
	argv = argv[1:] if argv[:1] == ["ccache"] else argv	# ccache would make a cache in the caller's home
	try:
		return run([*argv, "--version"]).splitlines()[0]
	except CommandFailed as error:
		raise CannotJudge(f"the compiler does not run: {error}") from error


def identity(kernel: Kernel, commit: str, request: Request) -> str:
	"""Return everything that a build depends on, as text."""
	machine = [request.profile.qemu_config] if request.profile.qemu_config else []
	configs = [path.read_text(encoding="utf-8") for path in (*request.profile.kunitconfigs, *machine)]
	return json.dumps([kernel.git("rev-parse", f"{commit}^{{tree}}"), request.profile.arch, configs,
			   list(request.kconfig_add), [*base_options(request.profile), *request.make_options],
			   compiler_of(request)], indent=1)


def _state(obj: Path, kernel: str) -> str:
	"""Identify the configuration and the kernel (a file name) that are in obj now."""
	config, binary = obj / ".config", obj / kernel
	if not (config.is_file() and binary.is_file()):
		return "\nincomplete\n"
	digest = hashlib.sha256(config.read_bytes()).hexdigest()
	stat = binary.stat()
	return f"\n{digest} {stat.st_size} {stat.st_mtime_ns}\n"
