# SPDX-License-Identifier: GPL-2.0
"""Find out whether a patch weakens tests: every fault that a test caught before, it must still catch.

The cases that a patch touches run, before and after it, on deliberately broken kernels: the mutants of the
promises that these cases stand for.
"""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from ..mutation import corpus, promises
from ..source import worktree
from . import compare
from ..log.results import Status
from ..mutation.corpus import Mutant
from ..mutation.promises import Promise
from ..report.judgement import Change, Finding
from ..util.errors import UsageError
from ..util.project import MUTANTS, PROMISES
from .attempt import Result
from .checks import NAMED, Scene
from .seen import HEAD, enclosing, text_of

# Boots two states again if something is new; the name is for the logs.
Repeated = Callable[[Result, Result, list[Finding], str], list[Finding]]
FOLDERS = ("mm/tests/", "lib/kunit/", "include/kunit/")
MOST = 6		# maximal number of mutants for a patch
HUNK = re.compile(r"^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@", re.MULTILINE)
# An assertion of equality or of another relation, up to the comma after the first operand.
RELATION = re.compile(r"\bKUNIT_(?:EXPECT|ASSERT)_((?:PTR_|STR|MEM)?(?:EQ|NE|GE|GT|LE|LT|NEQ))(?:_MSG)?\(\s*\w+,\s*([^;]+?),")
EQUAL = re.compile(r"(?<!N)EQ$")
# Also a call of a helper that asserts, recognised by its name.
ASSERTION = re.compile(r"\b(?:KUNIT_(?:EXPECT|ASSERT|FAIL)\w*\(|\w*(?:expect|assert|check|verify)\w*\(\s*test\b)[^;]*\);")
# A call with the test as argument may assert something, unless it only prints or aborts.
CALL = re.compile(r"\b(?!KUNIT_|kunit_(?:info|warn|err|log|printk|skip|mark_skipped)\b)\w+\(\s*test\b")
COMMENT = re.compile(r"/\*.*?\*/|^[ \t]*//[^\n]*", re.DOTALL | re.MULTILINE)
CASE = re.compile(r"\bKUNIT_CASE(?:_\w+)?\(\s*(\w+)")


def findings(scene: Scene, number: int, repeated: Repeated) -> list[Finding]:
	"""Return how a patch that touches the suites weakened them: failures of the old suites, weaker or removed assertions, and
	mutants that they no longer notice."""
	tests = [name for name in scene.patches[number - 1].files if is_test(name)]
	if not tests:
		return []
	found = _as_they_were(scene, number, tests, repeated)
	cases: set[str] = set()
	for name in tests:
		before, after = (text_of(scene.shop.kernel.git, scene.shop.states[index], name) for index in (number - 1, number))
		diff = scene.shop.kernel.git.changed(scene.shop.states[number - 1], scene.shop.states[number], name)
		found += _asserted_no_more(name, before, after)
		cases |= {f"{suite_of(name)}.{case}" for case in touched_cases(before, after, diff)}
	# Mutants take time: try them only without other findings.
	return found or _not_noticed(scene, number, {suite_of(name) for name in tests}, cases)


def _as_they_were(scene: Scene, number: int, tests: Sequence[str], repeated: Repeated) -> list[Finding]:
	"""Return what the suites from before a patch find in the kernel after it."""
	shop, main = scene.shop, scene.shop.main
	pristine = shop.also(worktree.with_files(shop.kernel, shop.states[number], shop.states[number - 1], tests))
	shop.look(pristine, [main])
	was, now = shop.result(number - 1, main), shop.result(pristine, main)
	found = repeated(was, now, compare.compare(was, now), f"patch-{number}/tests-as-they-were")
	# Old tests that do not compile say nothing: the patch may change an interface and its tests together.
	return [replace(finding, id=f"{finding.id} (tests as they were)", text="Before the patch's change of the tests, and with its "
			f"other changes:\n{finding.text}") for finding in found if finding.held and finding.kind != "error"]


def _asserted_no_more(name: str, before: str, after: str) -> list[Finding]:
	"""Return the assertions of a file that became weaker or were removed."""
	found = [(f"{function}(): {what}", f"{function}() in {name} asserted the exact value of {what}, and now only {relation}")
		 for what, function, relation in loosened(before, after)]
	found += [(f"{function}(): {assertion} is gone", f"{function}() in {name} asserted {assertion}, and nothing replaces it")
		  for assertion, function in dropped(before, after)]
	return [Finding("weakened", f"{suite_of(name) or name}: {what}", Change.NEW, True, text, name) for what, text in found]


def _not_noticed(scene: Scene, number: int, suites: Collection[str], cases: Collection[str]) -> list[Finding]:
	"""Return the mutants that touched cases caught before a patch and miss after it."""
	shop, main = scene.shop, scene.shop.main
	if not shop.trials[main].request.profile.virtual_time:
		scene.note(f"patch {number}: the tests on broken kernels: profile {main} runs in real time, where one boot of each proves nothing")
		return []
	found = []
	for mutant in select(promises.rows(promises.load(PROMISES)), corpus.load(MUTANTS), suites, cases):
		try:
			at = [shop.also(worktree.broken(shop.kernel, shop.states[index], mutant)) for index in (number - 1, number)]
		except UsageError:
			scene.note(f"patch {number}: the tests on mutant {mutant.name}, whose text this kernel lacks")
			continue
		for index in at:
			shop.look(index, [main])
		missed = lost(shop.result(at[0], main), shop.result(at[1], main), cases if "" not in suites else ())
		if missed:
			more = f" and {len(missed) - NAMED} more" if len(missed) > NAMED else ""
			found.append(Finding("weakened", f"{missed[0]} no longer notices {mutant.name}", Change.NEW, True,
					     f"Before the patch, {', '.join(missed[:NAMED])}{more} failed on a kernel that {mutant.why}; "
					     "with the patch they do not.", missed[0]))
	return found


def is_test(name: str) -> bool:
	"""Tell whether a file is part of the suites or of their base, including KUnit itself."""
	return name.startswith(FOLDERS) and name.endswith((".c", ".h"))


def suite_of(name: str) -> str:
	"""Return the suite in a file, "" for a file that several suites use."""
	stem = PurePosixPath(name).stem
	return stem.removesuffix("_kunit") if stem.endswith("_kunit") else ""


def touched_cases(before: str, after: str, diff: str) -> set[str]:
	"""Return the cases of a file that a diff without context touches; all if it touches code that they share."""
	cases = set(CASE.findall(before)) | set(CASE.findall(after))
	touched: set[str] = set()
	for hunk in HUNK.finditer(diff):
		for text, start, length in ((before, hunk[1], hunk[2]), (after, hunk[3], hunk[4])):
			touched |= _functions(text, int(start), int(length or 1))
	# Added and removed entries of the list of cases do not count here: the comparison of the cases shows them.
	return touched if touched <= cases else cases


def loosened(before: str, after: str) -> list[tuple[str, str, str]]:
	"""Return the first operands of equality assertions that became a weaker relation, with their function and the relation.

	Mutants do not replace this check: there may be none that only such an assertion notices."""
	old, new = _relations(before), _relations(after)
	found = []
	for (function, what), kinds in old.items():
		lost, come = kinds - new.get((function, what), Counter()), new.get((function, what), Counter()) - kinds
		weaker = sorted(kind for kind in come if not EQUAL.search(kind))
		if weaker and any(EQUAL.search(kind) for kind in lost):
			found.append((what, function, weaker[0]))
	return found


def dropped(before: str, after: str) -> list[tuple[str, str]]:
	"""Return assertions that were removed from functions that still exist, and these functions.

	Return none if the patch adds anything that may assert the same: another assertion in the file, or a call with the test
	as argument.
	"""
	before, after = (COMMENT.sub(lambda found: "\n" * found[0].count("\n"), text) for text in (before, after))
	old, new = _assertions(before), _assertions(after)
	all_old, all_new = (Counter(text for texts in one.values() for text in texts.elements()) for one in (old, new))
	gone = all_old - all_new
	if all_new - all_old or Counter(CALL.findall(after)) - Counter(CALL.findall(before)):
		return []
	heads = {head[1] for line in after.splitlines() if (head := HEAD.match(line))}
	return [(text, function) for function, texts in old.items() if function in heads
		for text in texts - new.get(function, Counter()) if text in gone]


def _assertions(text: str) -> dict[str, Counter[str]]:
	"""Return the assertions in a file by function."""
	lines = text.splitlines()
	found: dict[str, Counter[str]] = {}
	for match in ASSERTION.finditer(text):
		found.setdefault(enclosing(lines, text.count("\n", 0, match.start())), Counter())[" ".join(match[0].split())] += 1
	return found


def _relations(text: str) -> dict[tuple[str, str], Counter[str]]:
	"""Return the relations that a file asserts, by function and first operand."""
	lines = text.splitlines()
	found: dict[tuple[str, str], Counter[str]] = {}
	for match in RELATION.finditer(text):
		function = enclosing(lines, text.count("\n", 0, match.start()))
		found.setdefault((function, " ".join(match[2].split())), Counter())[match[1]] += 1
	return found


def select(promises: Iterable[Promise], mutants: Sequence[Mutant], suites: Collection[str], cases: Collection[str]) -> list[Mutant]:
	"""Return mutants that cases (suite.case) must catch, spread over their promises; of all promises if
	suites contains "", which stands for files that several suites use."""
	rows = [promise for promise in promises if "" in suites or set(promise.cases) & set(cases)]
	# A mutant in a header would recompile nearly everything.
	known = {mutant.name: mutant for mutant in mutants if not mutant.profile and not mutant.equivalent and mutant.file.endswith(".c")}
	found: dict[str, Mutant] = {}
	for place in range(max((len(row.mutants) for row in rows), default=0)):
		for row in rows:
			name = row.mutants[place] if place < len(row.mutants) else ""
			if name in known:
				found[name] = known[name]
	names = list(found)
	step = max(1, len(names) / MOST)
	return [found[names[int(index * step)]] for index in range(min(MOST, len(names)))]


def lost(before: Result, after: Result, cases: Collection[str]) -> list[str]:
	"""Return the leaves of cases (suite.case; all if empty) that noticed a broken kernel before and still run, but
	no longer notice it."""
	noticed = {case.id for case in before.log.cases if case.status in (Status.FAIL, Status.CRASH)
		   and (not cases or f"{case.suite}.{case.name}" in cases)}
	return sorted(case.id for case in after.log.cases
		      if case.id in noticed and case.status in (Status.PASS, Status.SKIP))


def _functions(text: str, start: int, length: int) -> set[str]:
	"""Return the functions that contain lines; "" for a line outside of any function that is neither blank nor comment."""
	lines = text.splitlines()
	found = set()
	for number in range(start, start + length):
		if not lines[number - 1:number] or not lines[number - 1].strip() or CASE.search(lines[number - 1]):
			continue
		found.add(enclosing(lines, number - 1))
	return found
