# SPDX-License-Identifier: GPL-2.0
"""Files that are never half written, and the folders that results are kept in."""

import os
from pathlib import Path

from .errors import UsageError


def write_whole(path: Path, text: str) -> None:
	"""Write a file that is never seen half written; bytes that were no UTF-8 become escapes that JSON knows."""
	part = path.with_name(path.name + ".part")
	try:
		part.write_text(text, encoding="utf-8", errors="backslashreplace")
		part.replace(path)
	except OSError:
		part.unlink(missing_ok=True)	# what fits on a full disk takes the place of what is still to come
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
	"""Keep in a results folder the command that does it again, and make `latest` beside it lead to it."""
	(folder / "command").write_text(f"{command}\n", encoding="utf-8")
	point_latest(folder)


def point_latest(folder: Path) -> None:
	"""Make `latest` beside folder lead to it."""
	link = folder.parent / "latest"
	partial = folder.parent / f".latest-{os.getpid()}"
	partial.unlink(missing_ok=True)
	partial.symlink_to(folder.name)
	partial.replace(link)
