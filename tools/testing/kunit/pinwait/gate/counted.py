# SPDX-License-Identifier: GPL-2.0
"""Count how often the suites execute the lines of some sources: gcov's counters in these objects alone.

They are compiled once more in the folder of a built UML kernel and linked with its other objects. That takes seconds,
where a kernel with counters everywhere would have to be built for each base and after each patch.
"""

import re
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ..kernel import build, gcov
from . import lint
from ..kernel.boot import Boot
from ..kernel.build import Request
from ..kernel.gcov import Line
from ..log.results import Ending
from ..util.errors import CannotJudge
from ..util.progress import Progress

RULES = Path(__file__).resolve().parents[2] / "gcov.mk"
KERNEL = "pinwait-counted"	# target and result of these rules
# Without debug information gcc forgets the lines of inlined code, and gcov does not count them.
FLAGS = ("KCFLAGS=-g -fprofile-arcs -ftest-coverage -Wno-error",)

IF = re.compile(r"\s*(?:\} else )?if \(")
KNOWN = re.compile(r"\b(?:IS_(?:ENABLED|BUILTIN|MODULE|REACHABLE)|sizeof)\(")	# what the compiler may decide by it


def decided(source: Sequence[str], number: int, line: Line) -> bool:
	"""Tell whether a line only begins an if that the compiler has decided: it counts, and has neither code nor branches."""
	if line.branches or not IF.match(source[number - 1]):
		return False
	text = ""
	for part in source[number - 1:]:
		text += part
		if text.count("(") == text.count(")"):
			break
	return bool(KNOWN.search(text))


def count(how: Boot, sources: Sequence[str], request: Request, build_root: Path, folder: Path,
	  progress: Progress) -> dict[str, dict[int, Line]]:
	"""Run the suites; return gcov's counts of some C files of the built kernel, and of the headers in them, by file and line.

	how boots that kernel; the objects that were compiled from sources are replaced in its folder, the kernel is not.
	folder is for logs. Raises CannotJudge if such a kernel cannot be made, or does not end.
	"""
	tree, obj = how.kernel.tree, how.built.obj
	log, place = folder / "counted.log", folder / KERNEL
	good, output = lint.compile_with(tree, obj, sources, FLAGS, request, build_root, log)
	if good:
		good, output = lint.make(tree, obj, [f"MAKEFILES={RULES}", KERNEL], request, build_root, log)
	if not good:
		raise CannotJudge(f"no kernel with counters: {build.machine_fault(output) or build.explain(output, tree)}")
	counters = [obj / Path(name).with_suffix(".gcda") for name in sources]
	for path in counters:
		path.unlink(missing_ok=True)
	shutil.rmtree(place, ignore_errors=True)
	place.mkdir()
	try:
		build.take(obj / KERNEL, place / how.profile.binary)
		console = replace(how, built=replace(how.built, obj=place), writable=(*how.writable, obj)).run(folder, progress)
	finally:
		shutil.rmtree(place, ignore_errors=True)
	there = [path for path in counters if path.exists()]
	if not there and (ending := how.read(console).ending) is not Ending.FINISHED:
		raise CannotJudge(f"the kernel with counters wrote none: {ending.value}")
	return gcov.read_counters(there, obj, tree)
