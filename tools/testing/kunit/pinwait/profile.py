# SPDX-License-Identifier: GPL-2.0
"""Profiles: which kernel configuration is built, and how it is booted."""

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import UsageError

COMMON = "common.config"
FIELDS: dict[str, type] = {"description": str, "kunitconfig": str, "arch": str, "kernel_args": list,
			   "timeout": int, "virtual_time": bool, "objects": int}
OPTIONAL: dict[str, type] = {"common": bool}


@dataclass(frozen=True)
class Profile:
	"""One table of profiles.toml."""
	name: str
	description: str
	kunitconfigs: tuple[Path, ...]
	arch: str
	kernel_args: tuple[str, ...]
	timeout: int		# wall seconds a boot may take
	virtual_time: bool	# waits cost nothing, and every run is the same to the byte
	objects: int		# object files of a full build, for the progress display


def load(configs: Path, name: str) -> Profile:
	"""Return a profile from configs/profiles.toml.

	Raises UsageError for an unknown name, and for a table with a wrong or missing key.
	"""
	file, tables = _tables(configs)
	if name not in tables:
		listed = "\n".join(f"  {key}: {table.get('description', '')}" for key, table in tables.items())
		raise UsageError(f"unknown profile '{name}'; there are:\n{listed}")
	table = tables[name]
	known = FIELDS | {key: OPTIONAL[key] for key in OPTIONAL if key in table}
	for key in sorted(known.keys() | table.keys()):
		if key not in known:
			raise UsageError(f"{file}: [{name}] has an unknown key '{key}'")
		if type(table.get(key)) is not known[key]:
			raise UsageError(f"{file}: [{name}] needs '{key}', a {known[key].__name__}")
	fragments = [*([configs / COMMON] if table.get("common", True) else []), configs / table["kunitconfig"]]
	if not fragments[-1].is_file():
		raise UsageError(f"{file}: [{name}] names {fragments[-1]}, which does not exist")
	return Profile(name, table["description"], tuple(path for path in fragments if path.is_file()),
		       table["arch"], tuple(table["kernel_args"]), table["timeout"], table["virtual_time"],
		       table["objects"])


def names(configs: Path) -> list[str]:
	"""Return the names of all profiles. Raises UsageError if they cannot be read."""
	return list(_tables(configs)[1])


def _tables(configs: Path) -> tuple[Path, dict[str, Any]]:
	file = configs / "profiles.toml"
	try:
		return file, tomllib.loads(file.read_text(encoding="utf-8"))
	except (OSError, tomllib.TOMLDecodeError) as error:
		raise UsageError(f"{file}: {error}") from error
