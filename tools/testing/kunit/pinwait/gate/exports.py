# SPDX-License-Identifier: GPL-2.0
"""What a patch takes from modules: symbols that are no longer exported, or only for some modules.

A configuration that builds without modules does not notice, and one with a few of them only what these few use. So the
exports are read in the sources, and the users of a lost one are searched for in the whole tree.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from .compare import Item
from .seen import COMMENT
from ..util.git import Git
from ..util.proc import CommandFailed

KIND = "export"
EXPORT = re.compile(r"^[ \t]*EXPORT_(?:PER_CPU_)?SYMBOL(\w*)\(\s*(\w+)\s*(?:,\s*\"?([^\")]*?)\"?\s*)?\)", re.MULTILINE)
LISTED = "module:"	# begins a namespace that is a list of modules
RULE = re.compile(r"^\s*([\w-]+?)-(y|m|objs|\$\(CONFIG_\w+\))\s*[:+]?=\s*(.*)$", re.MULTILINE)
IMPORT = re.compile(r'^\s*MODULE_IMPORT_NS\(\s*"?(\w+)"?\s*\)', re.MULTILINE)
MAKEFILES = ("Makefile", "Kbuild")
NAMED = 3		# users that a finding names

Read = Callable[[str], str]	# the text of a file of the tree, "" if there is none


@dataclass(frozen=True)
class Export:
	"""How a symbol is exported."""
	gpl: bool
	namespace: str		# "" for none, "module:..." for a list of modules


@dataclass(frozen=True)
class User:
	"""A source that uses a symbol, and the module that it is a part of."""
	file: str
	module: str		# "" for a header
	option: str = ""	# that makes it a module

	def __str__(self) -> str:
		return f"{self.file} ({f'CONFIG_{self.option}=m' if self.option else 'inline'})"


def exports(text: str) -> dict[str, Export]:
	"""Return what a source exports."""
	found = {}
	for form, symbol, argument in EXPORT.findall(COMMENT.sub("", text)):
		restricted = f"{LISTED}{argument}" if "FOR_MODULES" in form else form.strip("_") if "_FOR_" in form or "_IF_" in form else argument
		found[symbol] = Export("GPL" in form or "_FOR_" in form, restricted)
	return found


def changed(before: Iterable[str], after: Iterable[str]) -> dict[str, tuple[Export, Export | None]]:
	"""Return the symbols whose export is lost (None) or another one, of the texts that a patch changes."""
	old, new = ({name: how for text in texts for name, how in exports(text).items()} for texts in (before, after))
	return {name: (how, new.get(name)) for name, how in old.items() if new.get(name) != how}


def findings(symbols: Mapping[str, tuple[Export, Export | None]], git: Git, read: Read) -> tuple[dict[str, Item], dict[str, Item]]:
	"""Return what fails a patch, because modules of the tree cannot be linked any more, and what is to be remarked, by identity.

	git's worktree has the state after the patch.
	"""
	held: dict[str, Item] = {}
	noted: dict[str, Item] = {}
	used = users(list(symbols), git, read) if symbols else {}
	for symbol, (old, new) in symbols.items():
		mine = used.get(symbol, [])
		if not new:
			text, hurt = f"{symbol} is no longer exported", mine
		elif new.namespace != old.namespace:
			text = f"{symbol} is exported only to {new.namespace}" if new.namespace else f"{symbol} is exported to all modules"
			hurt = [user for user in mine if new.namespace and not _may_use(user, new.namespace, read)]
		else:
			text, hurt = f"{symbol} is exported {'only to GPL modules' if new.gpl else 'to modules of any license'}", []
		if hurt:
			more = f" and {len(hurt) - NAMED} more" if len(hurt) > NAMED else ""
			held[text] = Item(KIND, f"{text}, but {', '.join(map(str, hurt[:NAMED]))}{more} use{'s' if len(hurt) == 1 else ''} it", hurt[0].file)
		else:
			noted[text] = Item(KIND, f"{text}; no module of the tree is harmed")
	return held, noted


def users(symbols: list[str], git: Git, read: Read) -> dict[str, list[User]]:
	"""Return the sources that use symbols and can be parts of modules, by symbol."""
	try:
		rows = git("grep", "-nwI", *(word for symbol in symbols for word in ("-e", symbol)), "--", "*.c", "*.h", ":!tools", ":!scripts",
			   ":!Documentation").splitlines()
	except CommandFailed as error:
		if error.returncode != 1:
			raise
		rows = []	# none
	found: dict[str, dict[str, User]] = {}
	for row in rows:
		file, _, line = row.split(":", 2)
		text = COMMENT.sub("", line)
		for symbol in symbols:
			if re.search(rf"\b{symbol}\b", text) and text[:1].isspace() and not text.lstrip().startswith("*") \
			   and file not in found.get(symbol, {}) and not _defines(read(file), symbol):
				user = _user(file, git, read)
				if user:
					found.setdefault(symbol, {})[file] = user
	return {symbol: list(named.values()) for symbol, named in found.items()}


def _defines(text: str, symbol: str) -> bool:
	return bool(re.search(rf"^(?!extern\b)\w[\w \t*]*\b{symbol}\([^;]*?\)\s*\{{", text, re.MULTILINE))


def _user(file: str, git: Git, read: Read) -> User | None:
	"""Return a source as a user, None if it cannot be a part of a module."""
	if file.endswith(".h"):
		return User(file, "") if file.startswith("include/linux/") else None
	module, option = module_of(file, read)
	return User(file, module, option) if option and _is_tristate(option, git) else None


def module_of(file: str, read: Read) -> tuple[str, str]:
	"""Return the module that Kbuild makes of a source, and the option that decides; "" and "" if it makes none."""
	folder = PurePosixPath(file).parent
	names = {str(PurePosixPath(file).with_suffix(".o"))}
	while str(folder) != ".":
		text = "\n".join(read(str(folder / name)) for name in MAKEFILES).replace("\\\n", " ")
		rules = RULE.findall(text)
		grown = 0
		while grown != len(names):
			grown = len(names)
			for target, kind, value in rules:
				if names.isdisjoint(str(folder / word) for word in value.split()):
					continue
				if target != "obj":
					names.add(str(folder / f"{target}.o"))
				elif kind.startswith("$"):
					here = next(word for word in value.split() if str(folder / word) in names)
					return PurePosixPath(here).stem, kind[len("$(CONFIG_"):-1]
				else:
					return "", ""
		folder = folder.parent
	return "", ""


def _is_tristate(option: str, git: Git) -> bool:
	try:
		return "tristate" in git("grep", "-hw", "-A3", "-e", f"^config {option}", "--", "*Kconfig*")
	except CommandFailed:
		return False


def _may_use(user: User, namespace: str, read: Read) -> bool:
	"""Tell whether a user may import from a namespace."""
	if namespace.startswith(LISTED):
		names = [name.strip().replace("-", "_") for name in namespace.removeprefix(LISTED).split(",")]
		module = user.module.replace("-", "_")
		return any(module.startswith(name[:-1]) if name.endswith("*") else module == name for name in names)
	# A module imports for all of its files: mostly the main one says so, which has its name.
	main = str(PurePosixPath(user.file).with_name(f"{user.module}.c"))
	beside = str(PurePosixPath(user.file).with_name("main.c"))
	return any(namespace in IMPORT.findall(read(name)) for name in (user.file, main, beside))
