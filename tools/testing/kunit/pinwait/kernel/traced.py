# SPDX-License-Identifier: GPL-2.0
"""Which lines of some sources a kernel in QEMU executed.

QEMU translates a block of instructions when it is about to execute it, and never before: what it translated
was executed. The blocks are written once each, so a boot takes a few percent longer, and its console stays
the same to the byte. Objects compiled with debug information tell which line an instruction comes from; the
kernel itself needs none. The compiler may move a part of a line to before the condition that guards the line.
"""

import re
import shlex
from array import array
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..util.errors import CannotJudge
from ..util.proc import CommandFailed, run

TRACE = "translated"	# QEMU's log, beside the kernel that it boots
DEBUG = ("KCFLAGS=-g",)	# of a make whose objects are for lines()
INSTRUCTION = re.compile(rb"^0x(ffffffff[0-9a-f]{8}):", re.MULTILINE)
SYMBOL = re.compile(r"^ *\d+: ([0-9a-f]+) +(\d+) (FUNC|FILE) +(LOCAL|GLOBAL|WEAK) +\S+ +(\S+) (\S+)", re.MULTILINE)
FUNCTION = re.compile(r"^[0-9a-f]+ <(\S+)>:$")
PLACE = re.compile(r"^(?: *\(?inlined by\)? )?(/.*?):(\d+)(?: \(.*\))*$")
CODE = re.compile(r"^ *([0-9a-f]+):\t")


@dataclass
class Lines:
	"""The lines of a file that have code in the objects that were looked at: what executed them, 0 for nothing."""
	executed: dict[int, int] = field(default_factory=dict)	# bits of the addresses
	unknown: set[int] = field(default_factory=set)	# in functions that the kernel has in another form


def arguments(folder: Path) -> str:
	"""Return QEMU's options that make it write a trace to folder."""
	return f"-d in_asm -D {shlex.quote(str(folder / TRACE))}"


def keep(folder: Path, target: Path) -> None:
	"""Keep the addresses of a trace in folder in a small file, and remove the trace; without one nothing is kept."""
	trace = folder / TRACE
	target.unlink(missing_ok=True)
	if trace.is_file() and not trace.is_symlink():
		found = array("Q", sorted({int(address, 16) for address in INSTRUCTION.findall(trace.read_bytes())}))
		trace.unlink()
		with open(target, "wb") as output:
			found.tofile(output)


def addresses(kept: Path) -> set[int]:
	"""Return the addresses of the executed instructions. Raises CannotJudge if they were not kept."""
	found = array("Q")
	try:
		found.frombytes(kept.read_bytes())
	except (OSError, ValueError) as error:
		raise CannotJudge(f"what the kernel executed was not kept: {error}") from error
	return set(found)


def lines(kernel: Path, objects: Iterable[Path], executed: Mapping[int, int], tree: Path) -> dict[str, Lines]:
	"""Return, by file of the tree, which of the lines in some objects a kernel executed; executed has bits for each address.

	The objects are the kernel's own ones, compiled once more with debug information. Raises CannotJudge if they, or the
	kernel, cannot be read.
	"""
	try:
		everything = _functions(run(["readelf", "-sW", str(kernel)]))
		found: dict[str, Lines] = {}
		for path in objects:
			merge(found, run(["objdump", "-d", "-l", "--inlines", "--no-show-raw-insn", str(path)]),
			      _placed(_functions(run(["readelf", "-sW", str(path)])), everything), executed, tree)
	except CommandFailed as error:
		raise CannotJudge(f"it cannot be told what the kernel executed: {error}") from error
	return found


def merge(found: dict[str, Lines], listing: str, places: Mapping[str, int], executed: Mapping[int, int], tree: Path) -> None:
	"""Add one object's disassembly to found; places has the addresses of its functions in the kernel."""
	for name, offset, here in _instructions(listing):
		for file, number in here:
			if not file.startswith(f"{tree}/"):
				continue
			told = found.setdefault(file.removeprefix(f"{tree}/"), Lines())
			if name not in places:
				told.unknown.add(number)
			else:
				told.executed[number] = told.executed.get(number, 0) | executed.get(places[name] + offset, 0)


def _instructions(listing: str) -> Iterator[tuple[str, int, list[tuple[str, int]]]]:
	"""Yield for each instruction its function, its offset there, and the lines that it comes from, innermost first."""
	name, start, told = "", -1, False
	here: list[tuple[str, int]] = []
	for row in listing.splitlines():
		if place := PLACE.match(row):
			here = [*(here if told else []), (place[1], int(place[2]))]
			told = True
		elif code := CODE.match(row):
			start = int(code[1], 16) if start < 0 else start
			told = False
			yield name, int(code[1], 16) - start, here
		elif function := FUNCTION.match(row):
			name, start, told, here = function[1], -1, False, []


Functions = Mapping[tuple[str, int], Mapping[str, tuple[int, int]]]


def _functions(symbols: str) -> Functions:
	"""Return the address and size of each function, by its name, by the file that it is local to (name and number), ("", 0) if to none."""
	found: dict[tuple[str, int], dict[str, tuple[int, int]]] = {("", 0): {}}
	file = ("", 0)
	for address, size, kind, binding, _, name in SYMBOL.findall(symbols):
		if kind == "FILE":
			file = (name, len(found))
			found[file] = {}
		else:
			found[file if binding == "LOCAL" else ("", 0)][name] = (int(address, 16), int(size))
	return found


def _placed(mine: Functions, kernel: Functions) -> dict[str, int]:
	"""Return the addresses that an object's functions have in the kernel; only of those that have the same size there."""
	wanted = {name: size for functions in mine.values() for name, (_, size) in functions.items()}
	files = {name for name, _ in mine if name}
	def same(functions: Mapping[str, tuple[int, int]]) -> dict[str, int]:
		return {name: functions[name][0] for name, size in wanted.items() if name in functions and functions[name][1] == size}
	# Several files have one name: it is the one with most of the functions.
	none: dict[str, int] = {}
	local = max((same(functions) for (name, _), functions in kernel.items() if name in files), key=len, default=none)
	return same(kernel["", 0]) | local
