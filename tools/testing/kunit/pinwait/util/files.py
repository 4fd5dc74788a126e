# SPDX-License-Identifier: GPL-2.0
"""Files that are written atomically, and the folders of results."""

import os
from pathlib import Path

from .errors import UsageError


def write_whole(path: Path, text: str) -> None:
	"""Write a file atomically; bytes that were no UTF-8 become escapes that JSON knows."""
	part = path.with_name(path.name + ".part")
	try:
		part.write_text(text, encoding="utf-8", errors="backslashreplace")
		part.replace(path)
	except OSError:
		part.unlink(missing_ok=True)	# on a full disk, leave the space to later files
		raise


def new_folder(parent: Path, name: str) -> Path:
	"""Make a folder of that name, or with a number after it. Raises UsageError if there are too many."""
	parent.mkdir(parents=True, exist_ok=True)
	for number in range(1, 100):
		folder = parent / (name if number == 1 else f"{name}-{number}")
		try:
			folder.mkdir()
			return folder
		except FileExistsError:
			continue
	raise UsageError(f"there are already 99 folders {parent / name}")


def finish_folder(folder: Path, command: str) -> None:
	"""Write the command to reproduce the run to a results folder, and point `latest` beside it to the folder."""
	(folder / "command").write_text(f"{command}\n", encoding="utf-8")
	point_latest(folder)


def point_latest(folder: Path) -> None:
	"""Point `latest` beside folder to it."""
	link = folder.parent / "latest"
	partial = folder.parent / f".latest-{os.getpid()}"
	partial.unlink(missing_ok=True)
	partial.symlink_to(folder.name)
	partial.replace(link)
