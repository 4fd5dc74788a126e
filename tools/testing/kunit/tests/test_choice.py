# SPDX-License-Identifier: GPL-2.0
"""Which patches need the suites on x86_64, and what is told of those that do not get them."""

import pytest

from pinwait.gate import choice

SOURCE = """\
#include "x.h"

static int pick(struct folio *folio,
		int flags)
{
	int ret;

	if (flags)
		ret = first(folio,
			    flags);
#ifdef CONFIG_NUMA_MIGRATION
	ret = second(folio);
#else
	ret = other(folio);
#endif
	if (folio_test_hugetlb(folio)) {
		ret = third(folio);
	} else
		ret = 0;
	static_branch_inc(&key);
	node_stat_mod_folio(folio, NR_ISOLATED_ANON, -nr);
	return ret;
}

#define EACH(x) \\
	for (x = 0; x; x++)

static const struct ops ops = {
	.first = pick,
	KUNIT_CASE(pick),
};

int pick(struct folio *folio,
	 int (*flags)(int));
"""
# As gcov has it where neither hugetlb nor the option is configured, and first() is not called.
COUNTS = {3: 5, 8: 5, 9: 0, 14: 5, 19: 5, 20: 5, 21: 5, 22: 5}
ONLY = {"NUMA_MIGRATION", "JUMP_LABEL", "HUGETLBFS", "SMP"}


def _reasons(*hunks, before=COUNTS, after=COUNTS, name="mm/a.c", text=SOURCE):
	diff = "".join(f"@@ -{old} +{new} @@\n" for old, new in hunks)
	return choice.reasons(name, diff, (SOURCE, before), (SOURCE.replace("first", "1st") if text == SOURCE else text, after), ONLY)


@pytest.mark.parametrize("hunk, why", [
	(("8", "8"), []), (("6", "6"), []), (("18,0", "18,1"), []),
	(("9", "9"), ["uml does not execute mm/a.c:9"]),
	(("9,2", "8,0"), ["uml does not execute mm/a.c:9-10"]),		# only removes
	(("8,3", "8,3"), []),						# executes a part of the hunk
	(("17", "17"), ["uml compiles no code for mm/a.c:17"]),
	(("17", "17,0"), ["uml compiles no code for mm/a.c:17"]),
	(("12", "12"), ["uml compiles no code for mm/a.c:12", "mm/a.c depends on NUMA_MIGRATION"]),
	(("14", "14"), ["mm/a.c depends on NUMA_MIGRATION"]),		# what uml executes is the other side
	(("11", "11"), ["mm/a.c depends on NUMA_MIGRATION"]),
	(("20", "20"), ["mm/a.c changes the use of a jump label"]),
	(("21", "21"), ["mm/a.c changes what several CPUs share"]),
	(("26", "26"), []), (("29", "29"), []), (("30", "30"), []), (("34", "34"), []),	# a macro, a table, a prototype
])
def test_hunk(hunk, why):
	assert _reasons(hunk) == why


ABOUT_LARGE = """\
static int move(struct list_head *from)
{
	int rc = 0, nr_failed = 0;

	/* What is split is not counted. */
	nr_failed += 1;
	return rc + nr_failed;
}

static int other(struct list_head *from)
{
	int nr_split = 0;

	nr_failed += 1;
	return nr_split;
}
"""


@pytest.mark.parametrize("line, why", [
	(6, []), (14, ["mm/a.c: other() knows large folios"]), (15, ["mm/a.c: other() knows large folios"]), (13, []), (9, []), (1, []),
])
def test_function_that_goes_another_way(line, why):
	after = ABOUT_LARGE.replace("+= 1", "+= 2")
	counts = {6: 1, 7: 1, 12: 1, 14: 1, 15: 1}
	diff = f"@@ -{line} +{line} @@\n"
	assert choice.reasons("mm/a.c", diff, (ABOUT_LARGE, counts), (after, counts), {"TRANSPARENT_HUGEPAGE"}) == why
	assert not choice.reasons("mm/a.c", diff, (ABOUT_LARGE, counts), (after, counts), {"NUMA"})


def test_function_around():
	source = ABOUT_LARGE.split("\n")
	assert choice.function_around(source, 6) == range(2, 9) and choice.function_around(source, 13) == range(11, 17)
	assert not choice.function_around(source, 1) and not choice.function_around(source, 9)


def test_what_uml_does_not_compile():
	assert _reasons(("8", "8"), before={}, after={}) == ["uml does not compile mm/a.c"]
	assert _reasons(("8", "8"), name="arch/x86/entry/x.S") == ["uml does not compile arch/x86/entry/x.S"]
	assert not _reasons(("8", "8"), before={}, after={}, text=SOURCE + "\n/* a remark */\n")


@pytest.mark.parametrize("name", ["tools/testing/selftests/mm/gup_test.c", "arch/s390/mm/gup.c", "Documentation/mm/x.rst", "samples/a.c"])
def test_what_no_kernel_of_x86_64_compiles(name):
	assert not _reasons(("8", "8"), before={}, after={}, name=name)


def test_without_counts_only_what_is_written_there_counts():
	assert not _reasons(("17", "17"), before=None, after=None)
	assert _reasons(("17", "17"), before=COUNTS, after=None) == ["uml compiles no code for mm/a.c:17"]


def test_build_files():
	kbuild = "obj-y += a.o\nobj-$(CONFIG_HUGETLBFS) += hugetlb.o\nobj-$(CONFIG_MMU) += gup.o\n"
	kconfig = "config HUGETLBFS\n\tbool\n\nconfig MMU\n\tbool\n"
	for name, text, line, why in (("mm/Makefile", kbuild, 2, ["mm/Makefile builds with HUGETLBFS, which uml lacks"]), ("mm/Makefile", kbuild, 3, []),
				      ("mm/Kconfig", kconfig, 2, ["HUGETLBFS is not an option of uml"]), ("mm/Kconfig", kconfig, 5, [])):
		assert choice.reasons(name, f"@@ -{line} +{line} @@\n", (text, {}), (text, {}), ONLY) == why


def test_conditions():
	source = ["#if A", "#ifdef B", "#endif", "x", "#elif C", "y", "#else", "z", "#endif", "w"]
	assert [[text.strip() for text in choice.conditions(source, number)] for number in (3, 4, 6, 8, 10)] == [
		["A", "B"], ["A"], ["A", "C"], ["A", "C", ""], []]


def test_options(tmp_path):
	(tmp_path / "config").write_text("CONFIG_A=y\n# CONFIG_B is not set\nCONFIG_C=m\nCONFIG_D=7\n")
	assert choice.options(tmp_path / "config") == {"A", "C"} and choice.options(tmp_path / "none") == set()


def test_machine(monkeypatch):
	monkeypatch.setattr(choice.shutil, "which", lambda _name: None)
	monkeypatch.setattr(choice.platform, "machine", lambda: "x86_64")
	assert choice.missing() == "qemu-system-x86_64 is not installed (Debian: qemu-system-x86)"
	monkeypatch.setattr(choice.platform, "machine", lambda: "aarch64")
	assert "no compiler for x86_64" in choice.missing()
	monkeypatch.undo()


def test_reasons_in_a_line():
	assert choice.told(["a", "b"]) == "a; b" and choice.told(list("abcde")) == "a; b; c; and 2 more"


@pytest.mark.parametrize("line, wide", [("\tu64 a = 1;", True), ("\tdo_div(a, b);", True), ("\tint a = 1;", False), ("\t/* u64 */", False)])
def test_width(line, wide):
	assert choice.width("@@ -1 +1 @@\n", "x\n", f"{line}\n") is wide


def test_what_kbuild_builds():
	files = {"mm/Makefile": "mmu-$(CONFIG_MMU) := gup.o \\\n\tmemory.o\nobj-y := folio.o $(mmu-y)\nobj-$(CONFIG_HUGETLBFS) += hugetlb.o\nobj-$(CONFIG_DAMON) += damon/\n",
		 "mm/damon/Makefile": "obj-y += core.o\n"}
	def built(name, *chosen):
		return choice.builds(name, lambda path: files.get(path, ""), set(chosen))
	assert built("mm/gup.c", "MMU") and built("mm/memory.c", "MMU") and built("mm/folio.c") and built("mm/damon/core.c", "DAMON")
	assert not built("mm/gup.c") and not built("mm/hugetlb.c", "MMU") and not built("mm/damon/core.c") and not built("mm/none.c")


@pytest.mark.parametrize("line, several", [
	("spin_unlock(ptl);", True), ("pte_unmap_unlock(pte, ptl);", True), ("lruvec_unlock_irqrestore(locked, flags);", True),
	("local_lock(&cpu_fbatches.lock);", True), ("this_cpu_inc(x);", True), ("__mod_lruvec_state(lruvec, item, nr);", True),
	("mod_node_page_state(pgdat, item, nr);", True), ("folio_lock(folio);", False), ("mmap_read_lock(mm);", False),
])
def test_what_several_cpus_share(line, several):
	assert bool(choice.CPUS.search(line)) == several


@pytest.mark.parametrize("line, large", [
	("nr += folio_nr_pages(folio);", True), ("if (atomic_read(&folio->_mapcount) < 0)", True), ("split_huge_pmd(vma, pmd, addr);", True),
	("nr = HPAGE_PMD_NR;", True), ("nr++;", False), ("folio_mark_dirty(folio);", False), ("pte = ptep_get(ptep);", False),
])
def test_what_is_done_with_large_folios(line, large):
	assert bool(choice.LARGE.search(line)) == large


def test_declared():
	"""Functions that changed lines at the margin declare, whose twins without an MMU may have been forgotten."""
	before = "int kept(void);\nextern int old(int a);\n"
	after = "int kept(void);\nextern int old(int a,\n	       int called(b));\n#define MACRO(x) 1\nint value = f(1);\n"
	diff = "@@ -2 +2,4 @@\n-extern int old(int a);\n+extern int old(int a,\n+	       int called(b));\n+#define MACRO(x) 1\n+int value = f(1);\n"
	assert choice.declared(diff, before, after) == {"old"}
