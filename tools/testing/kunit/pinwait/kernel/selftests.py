# SPDX-License-Identifier: GPL-2.0
"""The initramfs of a profile that runs the kernel's own mm selftests instead of the suites.

It has the programs, built from the sources of one commit, Debian's busybox, and an init that runs the programs and
translates what they say (tools/testing/kunit/selftests). A kernel and its initramfs are in one folder.
"""

import hashlib
import json
import shlex
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..source.store import Kernel
from ..util.errors import CannotJudge
from ..util.proc import run
from ..util.progress import Progress
from ..util.project import PROJECT
from .build import Built, DoesNotBuild, Request, compiler_of, environment, logged, make_command, take
from .profile import Profile

INITRAMFS = "selftests.cpio"	# beside the kernel
FOLDER = "tools/testing/selftests/mm"
# Of the tree, all that the programs are built from, besides the headers that the kernel installs.
SOURCES = (FOLDER, "tools/testing/selftests/lib.mk", "tools/testing/selftests/kselftest.h", "tools/testing/selftests/kselftest_harness.h",
	   "tools/testing/selftests/x86", "tools/include", "mm/gup_test.h", "scripts/subarch.include")
HEADERS = ("include/uapi", "arch/x86/include/uapi", "include/asm-generic")	# what they are made from
SCRIPTS = [PROJECT / "tools/testing/kunit/selftests" / name for name in ("init.sh", "translate.sh")]
BUSYBOX = Path("/bin/busybox")
APPLETS = ("sh", "mount", "mkdir", "mkswap", "swapon", "tr", "wc", "timeout", "reboot")
GENERATOR = "usr/gen_init_cpio"		# in the folder of objects
# Files of the initramfs are as old as the kernel's banner says.
TIMESTAMP = "946684800"


def programs(profile: Profile) -> list[str]:
	"""Return the programs that a profile runs."""
	return list(dict.fromkeys(shlex.split(words)[0] for words in profile.selftests))


def arguments(profile: Profile, folder: Path) -> str:
	"""Return QEMU's options for a kernel in folder; "" if it needs none."""
	return f"-initrd {shlex.quote(str(folder / INITRAMFS))}" if profile.selftests else ""


def identity(kernel: Kernel, commit: str, request: Request) -> str:
	"""Return all that the initramfs depends on, as text; "" for a profile without one. Raises CannotJudge without busybox."""
	profile = request.profile
	if not profile.selftests:
		return ""
	try:
		busybox = hashlib.sha256(BUSYBOX.read_bytes()).hexdigest()
	except OSError as error:
		raise CannotJudge(f"{BUSYBOX}: {error.strerror}; the selftests need Debian's busybox-static") from error
	listed = kernel.git("ls-tree", commit, *_there(kernel, commit, SOURCES), *HEADERS)
	return json.dumps([listed, profile.arch, profile.selftests, [path.read_text(encoding="utf-8") for path in SCRIPTS],
			   busybox, compiler_of(request)])


def add(kernel: Kernel, commit: str, built: Built, request: Request, root: Path, log: Path, progress: Progress) -> None:
	"""Put the initramfs with a commit's programs beside a kernel, if the profile needs one; root keeps the newest.

	The tree that is checked out only installs its headers. Raises DoesNotBuild, and CannotJudge if the machine is at fault.
	"""
	if not request.profile.selftests:
		return
	wanted = identity(kernel, commit, request)
	place = root / "selftests"
	stamp, kept = place / "identity", place / INITRAMFS
	if not (kept.is_file() and stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted):
		with progress.stage("selftests", f"{len(programs(request.profile))} programs"):
			_make(kernel, commit, built, request, root, place, log)
		stamp.write_text(wanted, encoding="utf-8")
	(built.obj / INITRAMFS).unlink(missing_ok=True)
	take(kept, built.obj / INITRAMFS)


def _there(kernel: Kernel, commit: str, names: Sequence[str]) -> list[str]:
	"""Return the names that a commit has."""
	return kernel.git("ls-tree", "--name-only", commit, *names).splitlines()


def _make(kernel: Kernel, commit: str, built: Built, request: Request, root: Path, place: Path, log: Path) -> None:
	"""Build the programs, and pack them."""
	shutil.rmtree(place, ignore_errors=True)
	source, made = place / "source", place / "made"
	for folder in (source, made):
		folder.mkdir(parents=True)
	archive = place / "source.tar"
	kernel.git("archive", f"--output={archive}", commit, *_there(kernel, commit, SOURCES))
	run(["tar", "-x", "-f", str(archive), "-C", str(source)])
	archive.unlink()
	env = environment(root, kernel.tree)
	headers = [*make_command(kernel.tree, built.obj, request), "-s", "headers"]
	targets = [str(made / name) for name in programs(request.profile)]
	compile_all = ["make", "-s", "-k", "-C", str(source / FOLDER), f"-j{request.jobs}", f"ARCH={request.profile.arch}", f"OUTPUT={made}",
		       f"KHDR_INCLUDES=-isystem {built.obj / 'usr/include'}", "LDFLAGS=-static", *targets]
	with open(log, "a", encoding="utf-8") as output:
		logged(request.sandbox.command(headers, [built.obj, Path(env["CCACHE_DIR"])]), env, output.fileno(), kernel.tree)
		try:
			logged(request.sandbox.command(compile_all, [place]), env, output.fileno(), kernel.tree)
		except DoesNotBuild as error:
			raise DoesNotBuild(error.why.replace("the kernel does", f"{FOLDER} does"), log) from error
	listing = place / "listing"
	(place / "programs").write_text("".join(f"{words}\n" for words in request.profile.selftests), encoding="utf-8")
	listing.write_text("".join(f"{line}\n" for line in _listing(place, targets)), encoding="utf-8")
	pack = [str(built.obj / GENERATOR), "-t", TIMESTAMP, "-o", str(place / INITRAMFS), str(listing)]
	with open(log, "a", encoding="utf-8") as output:
		logged(request.sandbox.command(pack, [place]), env, output.fileno(), kernel.tree)
	for folder in (source, made):
		shutil.rmtree(folder)


def _listing(place: Path, targets: Sequence[str]) -> Iterator[str]:
	"""Yield the lines that tell gen_init_cpio what to pack."""
	for name in ("dev", "proc", "sys", "tmp", "bin", "selftests"):
		yield f"dir /{name} 755 0 0"
	yield "nod /dev/console 600 0 0 c 5 1"
	for path in SCRIPTS:
		yield f"file /{path.name} {path} 755 0 0"
	yield f"slink /init {SCRIPTS[0].name} 777 0 0"
	yield f"file /programs {place / 'programs'} 644 0 0"
	yield f"file /bin/busybox {BUSYBOX} 755 0 0"
	for name in APPLETS:
		yield f"slink /bin/{name} busybox 777 0 0"
	for target in targets:
		yield f"file /selftests/{Path(target).name} {target} 755 0 0"
