# SPDX-License-Identifier: GPL-2.0
"""The kernel worktree: unpacked once, imported into a git repository of the tool, then reused."""

import hashlib
import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from ..util.errors import CannotJudge, UsageError
from ..util.git import Git
from ..util.proc import CommandFailed, lock, need_space, run
from ..util.progress import Progress
from .apt import Archive

PREPARE_GIB = 5.0	# package, unpacked tree, git objects, one build
KERNEL_FILES = ("Makefile", "Kbuild", "MAINTAINERS", "mm/migrate.c", "mm/Kconfig", "mm/Makefile",
		"tools/testing/kunit/kunit.py")
META = ".git/pinwait.json"
BASE_REF = "refs/pinwait/base"
USERS, TARBALLS = "kdir-", "tar-"	# prefixes of the names of kernels that are no packages


@dataclass(frozen=True)
class Kernel:
	"""A prepared kernel: a worktree of the tool at tree, whose pristine state is base_commit."""
	name: str
	tree: Path
	version: str		# x.y.z, from its Makefile
	base_commit: str
	base: str		# its origin, for people
	dirty: bool = False

	@property
	def git(self) -> Git:
		"""The repository in tree."""
		return Git(self.tree)

	@property
	def is_users(self) -> bool:
		"""Tell whether it is a copy of a KDIR tree."""
		return self.name.startswith(USERS)

	def fits(self, wanted: str) -> bool:
		"""Tell whether x.y or a package version names it."""
		return self.name == wanted or (not self.name.startswith((USERS, TARBALLS))
					       and bool(re.match(re.escape(wanted) + r"[.-]", self.name)))


def makefile_version(makefile: str) -> str:
	"""Return x.y[.z][-extra] from the text of a kernel's top Makefile. Raises UsageError."""
	found: dict[str, str] = dict(re.findall(r"^(VERSION|PATCHLEVEL|SUBLEVEL|EXTRAVERSION) *= *(\S*)", makefile,
				re.MULTILINE))
	if not {"VERSION", "PATCHLEVEL"} <= found.keys():
		raise UsageError("no kernel tree: its Makefile has no VERSION and PATCHLEVEL")
	sublevel = found.get("SUBLEVEL")
	return (f"{found['VERSION']}.{found['PATCHLEVEL']}" + (f".{sublevel}" if sublevel else "")
		+ found.get("EXTRAVERSION", ""))


def missing_kernel_files(folder: Path) -> list[str]:
	"""Return the files of every kernel tree that folder lacks."""
	return [name for name in KERNEL_FILES if not (folder / name).is_file()]


def tarball_name(file: Path) -> str:
	"""Return the name of the kernel in a tarball. Raises UsageError if there is no such file."""
	if not file.is_file():
		raise UsageError(f"TARBALL: there is no file {file}")
	with open(file, "rb") as stream:
		return f"{TARBALLS}{hashlib.file_digest(stream, 'sha256').hexdigest()[:12]}"


class Store:
	"""The kernels below a build root."""

	def __init__(self, build_root: Path, progress: Progress):
		self.kernels = build_root / "kernels"
		self.cache = build_root / "cache"
		self.progress = progress

	def package(self, wanted: str, update: bool = False) -> Kernel:
		"""Return the newest prepared kernel that fits wanted (x.y or a package version); fetch it
		from the archive if there is none, or a newer one if update.

		Raises UsageError for an unknown kernel, CannotJudge if it cannot be fetched.
		"""
		ready = self._newest_prepared(wanted)
		if ready and not update:
			return ready
		with lock(self.kernels / "prepare.lock", "the kernel being prepared"):
			ready = self._newest_prepared(wanted)
			if ready and not update:
				return ready
			return self._fetch(wanted, update)

	def tarball(self, file: Path) -> Kernel:
		"""Return the kernel in a linux-*.tar.* file. Raises UsageError if it holds none."""
		name = tarball_name(file)
		ready = load(self.kernels / name)
		if ready:
			return ready
		with lock(self.kernels / "prepare.lock", "the kernel being prepared"):
			return load(self.kernels / name) or self._prepare(
				name, f"{file.name} (sha256 {name.removeprefix(TARBALLS)})", file)

	def prepared(self) -> list[Kernel]:
		"""Return the kernels from packages and tarballs that need no preparation, newest first."""
		return prepared(self.kernels)

	def _newest_prepared(self, wanted: str) -> Kernel | None:
		return next((kernel for kernel in self.prepared() if kernel.fits(wanted)), None)

	def _fetch(self, wanted: str, update: bool) -> Kernel:
		if not (shutil.which("apt-get") and shutil.which("dpkg")):
			raise CannotJudge("this machine has no apt to fetch a kernel with: give TARBALL=linux-x.y.tar.xz or "
					  "KDIR=/your/kernel/tree")
		need_space(self.kernels, PREPARE_GIB, "preparing a kernel")
		self.cache.mkdir(parents=True, exist_ok=True)
		archive = Archive(self.cache)
		with self.progress.stage("fetch", f"Linux {wanted} from the package archive"):
			for candidate in archive.candidates(wanted, update):
				ready = load(self.kernels / candidate.version)
				if ready:
					self.progress.say(f"{candidate.package} {candidate.version} is prepared")
					return ready
				try:
					deb = self._cached(candidate.package, candidate.version) \
						or archive.download(candidate)
					break
				except CommandFailed as error:
					archive.note(error)
			else:
				raise archive.failure(wanted)
		return self._prepare(candidate.version, f"{candidate.package} {candidate.version}", deb)

	def _cached(self, package: str, version: str) -> Path | None:
		"""Return a package that an interrupted run fetched completely."""
		names = (f"{package}_{version.replace(':', '%3a')}_all.deb",)
		return next((self.cache / name for name in names if (self.cache / name).exists()), None)

	def _prepare(self, name: str, base: str, archive: Path) -> Kernel:
		"""Unpack and import. Each step works under a temporary name and is renamed when it is
		complete, so that leftovers of an interrupted run are never taken for a complete tree."""
		need_space(self.kernels, PREPARE_GIB, "preparing a kernel")
		unpacked = self.kernels / f"{name}.unpacked"
		if not unpacked.exists():
			with self.progress.stage("prepare", f"unpack {archive.name}"):
				unpack(archive, self.kernels / f"{name}.unpacking", unpacked)
		lacking = missing_kernel_files(unpacked)
		if lacking:
			shutil.rmtree(unpacked)
			raise UsageError(f"{archive.name} holds no kernel tree: it has no {', '.join(lacking)}")
		with self.progress.stage("prepare", "import the tree into git"):
			import_tree(unpacked, base)
		tree = unpacked.rename(self.kernels / name)
		kernel = load(tree)
		assert kernel
		return kernel


def unpack(archive: Path, partial: Path, target: Path) -> None:
	"""Unpack a .deb with a kernel tarball in it, or a tarball, into target."""
	shutil.rmtree(partial, ignore_errors=True)
	partial.mkdir(parents=True)
	inner = partial / "deb"
	if archive.suffix == ".deb":
		run(["dpkg", "-x", str(archive), str(inner)])
		archive = next(inner.glob("usr/src/linux-source-*.tar.*"))
	tree = partial / "tree"
	tree.mkdir()
	# Only xz itself can use several processors to unpack.
	how = ["-I", "xz -dT0"] if archive.suffix == ".xz" else []
	try:
		run(["tar", "-x", *how, "-f", str(archive), "-C", str(tree), "--strip-components=1",
		     "--no-same-owner"])
	except CommandFailed as error:
		raise CannotJudge(f"{archive.name} cannot be unpacked; is it complete? {error}") from error
	tree.rename(target)
	shutil.rmtree(partial)


def import_tree(folder: Path, base: str) -> None:
	"""Make folder a git repository whose one commit is the tree as unpacked.

	The commit id depends only on the files and base. An unfinished import is repeated.
	"""
	git = Git(folder)
	shutil.rmtree(folder / ".git", ignore_errors=True)
	git.init()
	# -f: Debian's .gitignore ignores everything. One pack without compression and deltas is
	# fastest: bigFileThreshold makes git stream all files into it.
	git("-c", "core.bigFileThreshold=1", "-c", "core.fsync=none", "add", "-f", ".")
	commit = git("commit-tree", git("write-tree"), "-m", base)
	git("update-ref", BASE_REF, commit)
	git("update-ref", "--no-deref", "HEAD", commit)
	save_meta(folder, base, commit, makefile_version((folder / "Makefile").read_text(encoding="utf-8")))


def save_meta(tree: Path, base: str, commit: str, version: str) -> None:
	"""Record tree's pristine state; load() takes a tree with this record for complete."""
	note = {"version": version, "base_commit": commit, "base": base}
	partial = tree / f"{META}.partial"
	partial.write_text(json.dumps(note), encoding="utf-8")
	partial.rename(tree / META)


def load(tree: Path) -> Kernel | None:
	"""Return the kernel prepared in tree, None if the preparation is incomplete."""
	try:
		return Kernel(tree.name, tree, **json.loads((tree / META).read_text(encoding="utf-8")))
	except (FileNotFoundError, NotADirectoryError, json.JSONDecodeError):
		return None


def prepared(kernels: Path) -> list[Kernel]:
	"""Return the kernels below a folder that come from packages and tarballs and need no preparation, newest first."""
	found = [load(folder) for folder in kernels.glob("*") if folder.suffix != ".unpacked"]
	return sorted((kernel for kernel in found if kernel), key=_version_key, reverse=True)


def _version_key(kernel: Kernel) -> list[int]:
	return [int(number) for number in re.findall(r"\d+", kernel.name)]
