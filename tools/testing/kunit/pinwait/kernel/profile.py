# SPDX-License-Identifier: GPL-2.0
"""Profiles: which kernel configuration is built, and how it is booted."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..log import expected
from ..log.expected import Expected
from ..util.errors import UsageError

FIELDS: dict[str, type] = {"description": str, "kunitconfigs": list, "arch": str, "kernel_args": list,
			   "timeout": int, "virtual_time": bool, "objects": int}
SUITES = ".kunitconfig"	# file that turns the suites on
OPTIONAL: dict[str, type] = {"kernel": str, "qemu_config": str, "qemu_args": str, "qemu_version": int, "words": str,
			     "cross_compile": str, "seed": str, "selftests": list}


@dataclass(frozen=True)
class Profile:
	"""One table of profiles.toml."""
	name: str
	description: str
	kunitconfigs: tuple[Path, ...]
	arch: str
	kernel_args: tuple[str, ...]
	timeout: int		# wall seconds a boot may take
	virtual_time: bool	# waits cost no real time, and every run is byte for byte the same
	objects: int		# object files of a full build, for the progress display
	kernel: str = ""	# the profile whose kernel it boots, "" for its own
	qemu_config: Path | None = None		# kunit.py's description of the machine; None for UML
	qemu_args: str = ""
	qemu_version: int = 0	# the oldest QEMU that runs it as it should
	cross_compile: str = ""	# what the names of the compiler and its tools begin with
	seed: str = ""	# the argument of the kernel that draws another order of events
	selftests: tuple[str, ...] = ()	# command lines of the tree's mm selftests that run instead of the suites
	# Found by qemu.provided():
	programs: tuple[Path, ...] = ()	# folders of the programs that a boot needs
	emulator: str = ""	# which QEMU it is

	@property
	def machine(self) -> str:
		"""All that makes a boot another one, of the same kernel: the arguments of both, and QEMU's version."""
		return repr([self.name, self.kernel_args, self.qemu_args, self.emulator])

	def drawn(self, seed: int) -> list[str]:
		"""Return the kernel's arguments for the order of events that a seed draws; 0 draws none."""
		return [f"{self.seed}={seed}"] if self.seed and seed else []

	@property
	def binary(self) -> str:
		"""The file in the object folder that is booted."""
		return "vmlinux" if self.qemu_config else "linux"


def load(configs: Path, name: str) -> Profile:
	"""Return a profile from configs/profiles.toml.

	Raises UsageError for an unknown name, and for a table with a wrong or missing key.
	"""
	file, tables = _tables(configs)
	if name not in tables:
		listed = "\n".join(f"  {key}: {table.get('description', '')}" for key, table in tables.items())
		raise UsageError(f"unknown profile '{name}'; there are:\n{listed}")
	table = _inherited(tables, name, file)
	known = FIELDS | OPTIONAL
	for key in sorted(FIELDS.keys() | table.keys()):
		if key not in known:
			raise UsageError(f"{file}: [{name}] has an unknown key '{key}'")
		if type(table.get(key)) is not known[key]:
			raise UsageError(f"{file}: [{name}] needs '{key}', a {known[key].__name__}")
	fragments = tuple(configs / str(fragment) for fragment in table["kunitconfigs"])
	qemu_config = configs / table["qemu_config"] if "qemu_config" in table else None
	for path in (*fragments, *([qemu_config] if qemu_config else [])):
		if not path.is_file():
			raise UsageError(f"{file}: [{name}] names {path}, which does not exist")
	return Profile(name, table["description"], fragments, table["arch"], tuple(table["kernel_args"]),
		       table["timeout"], table["virtual_time"], table["objects"], table.get("kernel", name), qemu_config,
		       table.get("qemu_args", ""), table.get("qemu_version", 0), table.get("cross_compile", ""), table.get("seed", ""),
		       tuple(table.get("selftests", ())))


def booted(configs: Path) -> list[str]:
	"""Return the names of the profiles that have the suites. Raises UsageError if they cannot be read."""
	return [name for name in names(configs) if any(path.name == SUITES for path in load(configs, name).kunitconfigs)]


def expected_cases(configs: Path, chosen: Profile | None = None) -> Expected:
	"""Return the list of expected cases. Raises UsageError if it, or profiles.toml, cannot be read.

	A profile has the words of another, too: of the one whose kernel it boots, or that it names. No list has the cases of a
	chosen profile that runs selftests: whatever runs there is expected.
	"""
	tables = _tables(configs)[1]
	if chosen and chosen.selftests:
		return Expected(configs / "profiles.toml", {}, every=True)
	return expected.load(configs / "expected-cases.txt", {
		name: str(table.get("words", table.get("kernel", name))) for name, table in tables.items()})


def described(configs: Path) -> dict[str, str]:
	"""Return the purpose of each profile, by its name. Raises UsageError if they cannot be read."""
	return {name: str(table.get("description", "")) for name, table in _tables(configs)[1].items()}


def names(configs: Path) -> list[str]:
	"""Return the names of all profiles. Raises UsageError if they cannot be read."""
	return list(_tables(configs)[1])


def _inherited(tables: dict[str, Any], name: str, file: Path) -> dict[str, Any]:
	"""Return a profile's table; it has the keys, too, of the one whose kernel it boots, but may not build another kernel."""
	table = tables[name]
	owner = table.get("kernel", name)
	if owner == name:
		return dict(table)
	if not isinstance(tables.get(owner), dict) or "kernel" in tables[owner]:
		raise UsageError(f"{file}: [{name}] boots the kernel of '{owner}', which is no profile with a kernel of its own")
	if changed := sorted({"kunitconfigs", "arch", "qemu_config"} & table.keys()):
		raise UsageError(f"{file}: [{name}] boots the kernel of '{owner}', and cannot have other {', '.join(changed)}")
	return {**tables[owner], **table}


def _tables(configs: Path) -> tuple[Path, dict[str, Any]]:
	file = configs / "profiles.toml"
	try:
		return file, tomllib.loads(file.read_text(encoding="utf-8"))
	except (OSError, tomllib.TOMLDecodeError) as error:
		raise UsageError(f"{file}: {error}") from error
