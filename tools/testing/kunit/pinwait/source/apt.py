# SPDX-License-Identifier: GPL-2.0
"""Packages from the Debian archive, mostly kernel sources, without root and without touching the
machine's apt configuration."""

import os
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..util.errors import CannotJudge, UsageError
from ..util.proc import CommandFailed, run

# Suites to search for a kernel newer than the machine's release, nearest first.
SUITES = ("trixie-backports", "trixie", "forky", "sid")
KEYRINGS = (Path("/usr/share/keyrings/debian-archive-keyring.gpg"),
	    Path("/usr/share/keyrings/debian-archive-keyring.pgp"))
UNREACHABLE = re.compile(r"Could not (?:resolve|connect)|Temporary failure|Unable to connect|"
			 r"Cannot initiate the connection|Network is unreachable", re.IGNORECASE)


@dataclass(frozen=True)
class View:
	"""A set of apt sources and lists: the machine's, or a private one."""
	options: tuple[str, ...]
	private: bool		# the tool fetches its lists

	def apt(self, program: str, *args: str, cwd: Path | None = None) -> str:
		"""Run an apt program on this view. Raises CommandFailed."""
		return run([program, *self.options, *args], cwd=cwd, env={"LC_ALL": "C"})

	def update(self) -> None:
		"""Fetch a private view's lists. Raises CommandFailed."""
		self.apt("apt-get", "-o", "APT::Sandbox::User=root", "update")

	def versions(self, package: str) -> list[str]:
		"""Return a package's versions, newest first."""
		return [line.split("|")[1].strip()
			for line in self.apt("apt-cache", "madison", package).splitlines()
			if "Packages" in line]


@dataclass(frozen=True)
class Candidate:
	"""A version of a source package that a view offers."""
	view: View
	package: str
	version: str


class Archive:
	"""The package archive, as seen from this machine; cache is a folder of the tool."""

	def __init__(self, cache: Path):
		self.cache = cache
		self.errors: list[str] = []
		self.seen: set[str] = set()		# available x.y
		self.versions: dict[str, None] = {}	# available versions of the wanted x.y
		self.offline = False

	def candidates(self, kernel: str, update: bool) -> Iterator[Candidate]:
		"""Yield candidates for kernel (x.y, or a package version), one per view, best view first.

		With update, the machine's package lists are not assumed to be current.
		"""
		match = re.match(r"\d+\.\d+", kernel)
		if not match:
			raise UsageError(f"unknown kernel '{kernel}': give x.y, as in 7.3, or the version of a "
					 f"linux-source package")
		package = f"linux-source-{match[0]}"
		machine = View((), private=False)
		refreshed = View(self._lists("machine"), private=True)
		known = bool(machine.versions(package))
		views = [machine] if known and not update else []
		views += [refreshed] if known else []
		for view in views:
			yield from self._in_view(view, package, kernel)
		for suite in SUITES:
			if self.offline:
				return		# the others are on the same host, and each would time out as well
			for view in self._suite_views(suite, machine, refreshed):
				yield from self._in_view(view, package, kernel)
		if not known:
			yield from self._in_view(refreshed, package, kernel)

	def download(self, candidate: Candidate) -> Path:
		"""Fetch a package and return the .deb; apt checks its hash. Raises CommandFailed."""
		partial = self.cache / "partial"
		shutil.rmtree(partial, ignore_errors=True)
		partial.mkdir(parents=True)
		candidate.view.apt("apt-get", "-o", "APT::Sandbox::User=root", "download",
				   f"{candidate.package}={candidate.version}", cwd=partial)
		deb = next(partial.glob("*.deb"))
		return deb.rename(self.cache / deb.name)

	def newest(self, packages: Sequence[str], suite: str) -> list[Path]:
		"""Fetch packages in their newest versions in a suite, which the machine's lists need not have; return the .debs.

		Raises CannotJudge.
		"""
		for view in self._suite_views(suite, View((), private=False), View(self._lists("machine"), private=True)):
			try:
				view.update()
				return [self.download(Candidate(view, name, next(iter(view.versions(name)), "none"))) for name in packages]
			except CommandFailed as error:
				self.note(error)
		raise CannotJudge(self.errors[0] if self.errors else "this machine's package sources name no archive of Debian")

	def failure(self, kernel: str) -> CannotJudge | UsageError:
		"""Explain why no candidate was found."""
		if self.errors:
			return CannotJudge(f"cannot get the source of Linux {kernel} from the package archive; is there "
					   f"a network? apt says: {self.errors[0]} (a kernel of your own: "
					   f"TARBALL=file or KDIR=tree)")
		if self.versions:
			near = ".".join(kernel.split(".")[:2])
			return UsageError(f"unknown kernel '{kernel}'; of {near} the archive has: {', '.join(self.versions)} (--kernel={near} takes "
					  f"the newest, TARBALL=linux-{kernel.partition('-')[0]}.tar.xz any other)")
		offered = ", ".join(sorted(self.seen)) or "none"
		return UsageError(f"unknown kernel '{kernel}'; the archive has: {offered}")

	def note(self, error: CommandFailed) -> None:
		"""Keep apt's complaint for failure()."""
		lines = [line.strip() for line in error.output.splitlines()]
		unreachable = [line for line in lines if UNREACHABLE.search(line)]
		self.offline = self.offline or bool(unreachable)
		wrong = [line for line in lines if line.startswith(("E:", "W:", "Err:"))]
		self.errors.append((unreachable or wrong or [str(error)])[0])

	def _in_view(self, view: View, package: str, kernel: str) -> Iterator[Candidate]:
		try:
			if view.private:
				view.update()
			versions = view.versions(package)
			self.seen.update(re.findall(r"^linux-source-(\d\S*)", view.apt(
				"apt-cache", "search", "--names-only", "^linux-source-[0-9]"), re.MULTILINE))
		except CommandFailed as error:
			self.note(error)
			return
		self.versions.update(dict.fromkeys(versions))
		# x.y means any version of it; a longer version means exactly that one.
		wanted = [v for v in versions if re.fullmatch(r"\d+\.\d+", kernel) or v == kernel or re.match(re.escape(kernel) + "[.-]", v)]
		if wanted:
			yield Candidate(view, package, wanted[0])

	def _suite_views(self, suite: str, machine: View, refreshed: View) -> Iterator[View]:
		try:
			uris = _debian_uris(machine)
			if not uris:
				refreshed.update()
				uris = _debian_uris(refreshed)
		except CommandFailed as error:
			self.note(error)
			return
		keyring = next((f"[signed-by={path}] " for path in KEYRINGS if path.exists()), "")
		for index, uri in enumerate(uris):
			name = f"{suite}-{index}"
			options = self._lists(name)
			sources = self.cache / "apt" / f"{name}.list"
			sources.write_text(f"deb {keyring}{uri} {suite} main\n", encoding="utf-8")
			yield View((*options, "-o", f"Dir::Etc::sourcelist={sources}",
				    "-o", "Dir::Etc::sourceparts=-"), private=True)

	def _lists(self, name: str) -> tuple[str, ...]:
		"""Make folders for private lists; return the options that make apt use them."""
		lists = self.cache / "apt" / name / "lists"
		cache = self.cache / "apt" / name / "cache"
		for folder in (lists / "partial", cache / "archives" / "partial"):
			folder.mkdir(parents=True, exist_ok=True)
		# Only an architecture's package list: no translations, no AppStream data.
		return ("-o", f"Dir::State::lists={lists}", "-o", f"Dir::Cache={cache}",
			"-o", "Acquire::Languages=none", "-o", "APT::Update::Error-Mode=any",
			"-o", f"Debug::NoLocking={'false' if os.geteuid() == 0 else 'true'}")


def _debian_uris(view: View) -> list[str]:
	"""Return the addresses of the Debian archive (not its security part) that a view uses."""
	lines = view.apt("apt-get", "indextargets", "--format", "$(LABEL)|$(REPO_URI)",
			 "Created-By: Packages").splitlines()
	return list(dict.fromkeys(uri for label, _, uri in (line.partition("|") for line in lines)
				  if label == "Debian"))
