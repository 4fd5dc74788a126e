# SPDX-License-Identifier: GPL-2.0
"""A lost export that modules of the tree need fails a patch; another one is a remark."""

import fakes
import pytest

from pinwait.gate import exports
from pinwait.gate.exports import Export
from pinwait.util.git import Git

OLD = """\
int pin(int x)
{
	return x;
}
EXPORT_SYMBOL_GPL(pin);
EXPORT_SYMBOL(unpin); /* EXPORT_SYMBOL(never); */
EXPORT_SYMBOL_NS_GPL(walk, "WALKER");
EXPORT_SYMBOL_FOR_MODULES(told, "kvm,kvm-*");
EXPORT_PER_CPU_SYMBOL(counter);
EXPORT_SYMBOL_IF_KUNIT(shown);
"""
TREE = {
	"mm/gup.c": OLD,
	"drivers/a/Makefile": "obj-$(CONFIG_PINNER) += pinner.o\npinner-y := main.o \\\n\tparts/user.o\nobj-y += fixed.o\nobj-$(CONFIG_BOOL) += bool.o\n",
	"drivers/a/Kconfig": 'config PINNER\n\ttristate "x"\n\nconfig BOOL\n\tbool "y"\n\nconfig PINNER_MORE\n\tbool "z"\n',
	"drivers/a/main.c": 'MODULE_IMPORT_NS("WALKER");\n\treturn 0;\n', "drivers/a/parts/user.c": "int f(void)\n{\n\treturn pin(walk(1));\n}\n",
	"drivers/a/fixed.c": "\treturn unpin(1);\n", "drivers/a/bool.c": "\treturn unpin(1);\n",
	"drivers/a/own.c": "static int unpin(int x)\n{\n\treturn x;\n}\n\tunpin(2);\n",
	"drivers/a/said.c": "\t * unpin(2)\n", "include/linux/inline.h": "\treturn counter;\n",
}


def test_exports():
	assert exports.exports(OLD) == {
		"pin": Export(True, ""), "unpin": Export(False, ""), "walk": Export(True, "WALKER"), "told": Export(True, "module:kvm,kvm-*"),
		"counter": Export(False, ""), "shown": Export(False, "IF_KUNIT")}


def test_moved_exports_are_not_lost():
	assert not exports.changed([OLD, ""], ["", OLD])
	assert exports.changed([OLD], [OLD.replace("EXPORT_SYMBOL(unpin)", "EXPORT_SYMBOL_GPL(unpin)")]) == {
		"unpin": (Export(False, ""), Export(True, ""))}


@pytest.fixture(name="told")
def _told(tmp_path):
	fakes.write(tmp_path, TREE)
	fakes.git(tmp_path, "init", "-q", ".")
	fakes.git(tmp_path, "add", "-f", ".")
	fakes.git(tmp_path, "commit", "-q", "-m", "base")
	def read(name):
		path = tmp_path / name
		return path.read_text() if path.is_file() else ""
	def told(old, new):
		held, noted = exports.findings(exports.changed([OLD], [OLD.replace(old, new)]), Git(tmp_path), read)
		return [item.text for item in held.values()], [item.text for item in noted.values()]
	return told


@pytest.mark.parametrize("old, new, held, noted", [
	("EXPORT_SYMBOL_GPL(pin);", "", "pin is no longer exported, but drivers/a/parts/user.c (CONFIG_PINNER=m) uses it", ""),
	("EXPORT_SYMBOL(unpin);", "", "", "unpin is no longer exported; no module of the tree is harmed"),
	("EXPORT_PER_CPU_SYMBOL(counter);", "", "counter is no longer exported, but include/linux/inline.h (inline) uses it", ""),
	("EXPORT_SYMBOL_GPL(pin)", "EXPORT_SYMBOL(pin)", "", "pin is exported to modules of any license; no module of the tree is harmed"),
	("EXPORT_SYMBOL(unpin)", "EXPORT_SYMBOL_GPL(unpin)", "", "unpin is exported only to GPL modules; no module of the tree is harmed"),
	("EXPORT_SYMBOL_GPL(pin)", 'EXPORT_SYMBOL_NS_GPL(pin, "PINS")',
	 "pin is exported only to PINS, but drivers/a/parts/user.c (CONFIG_PINNER=m) uses it", ""),
	('"WALKER"', '"OTHER"', "walk is exported only to OTHER, but drivers/a/parts/user.c (CONFIG_PINNER=m) uses it", ""),
	("EXPORT_SYMBOL_GPL(pin)", 'EXPORT_SYMBOL_FOR_MODULES(pin, "vfio,pin*")', "",
	 "pin is exported only to module:vfio,pin*; no module of the tree is harmed"),
	("EXPORT_SYMBOL_GPL(pin)", 'EXPORT_SYMBOL_FOR_MODULES(pin, "vfio")',
	 "pin is exported only to module:vfio, but drivers/a/parts/user.c (CONFIG_PINNER=m) uses it", ""),
])
def test_findings(told, old, new, held, noted):
	assert told(old, new) == ([held] if held else [], [noted] if noted else [])


def test_module_of():
	def read(name):
		return TREE.get(name, "")
	assert exports.module_of("drivers/a/parts/user.c", read) == ("pinner", "PINNER")
	assert exports.module_of("drivers/a/bool.c", read) == ("bool", "BOOL")
	assert exports.module_of("drivers/a/fixed.c", read) == exports.module_of("drivers/a/none.c", read) == ("", "")
