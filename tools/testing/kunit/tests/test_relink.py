# SPDX-License-Identifier: GPL-2.0
"""Kernels made beside a build: they differ where they should, and the build does not."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

import fakes
from pinwait.kernel import build, profile, relink
from pinwait.util.errors import CannotJudge
from pinwait.util.project import CONFIGS

# As the kernel's: several steps, of which the last makes the kernel; traced on demand.
LINK = """case "$KBUILD_VERBOSE" in *1*) set -x ;; esac
sort -o table mm/a.o
sort -o "$4" mm/a.o table
"""


@pytest.fixture(name="origin")
def _origin(tmp_path):
	"""A built kernel with one object, which is compiled by copying."""
	tree, obj = tmp_path / "src", tmp_path / "obj"
	fakes.write(tree, {"mm/a.c": "a\n", "mm/b.c": "b\n", "include/linux/a.h": "h\n", "scripts/link-vmlinux.sh": LINK})
	fakes.write(obj, {"mm/a.o": "a\n", "vmlinux.unstripped": "a\na\n", "vmlinux.a": "", ".config": "", "table": "old\n",
			  ".vmlinux.unstripped.cmd": 'savedcmd_vmlinux.unstripped := link-vmlinux.sh "ld" "-m x" "-z y" "vmlinux.unstripped";  true\n',
			  "mm/.a.o.cmd": f"savedcmd_mm/a.o := tr -d '$$' <{tree}/mm/a.c >mm/a.o\n\n"
					 f"deps_mm/a.o := \\\n  {tree}/mm/a.c \\\n  {tree}/include/linux/a.h \\\n"})
	return relink.Base(tree, obj, {}, "linux")


@pytest.fixture(name="bench")
def _bench(origin, tmp_path):
	return relink.Bench(origin, tmp_path / "bench", ["mm/a.c"], ["mm/a.o"])


def _state(origin):
	return {path: path.read_bytes() for top in (origin.tree, origin.obj) for path in top.rglob("*") if path.is_file()}


def test_same_source_gives_the_same_kernel(bench, tmp_path):
	assert bench.compile(["mm/a.o"], tmp_path / "log") is False
	bench.link(tmp_path / "log")
	assert bench.is_original()


SORTS = LINK + """cp "$4" .symbols
scripts/sorttable -s .symbols "$4"
"""


def test_tables_are_sorted_behind_each_link(origin, tmp_path):
	"""The kernel does not sort those of its unwinder, and would read what a bare link leaves."""
	fakes.write(origin.tree, {"scripts/link-vmlinux.sh": SORTS})
	fakes.write(origin.obj, {"scripts/sorttable": '#!/bin/sh\necho "sorted by $(cat $2 | tr -d "\\n")" >>$3\n'})
	(origin.obj / "scripts/sorttable").chmod(0o755)
	bench = relink.Bench(replace(origin, env={"NM": "echo"}), tmp_path / "bench", ["mm/a.c"], ["mm/a.o"])
	bench.link(tmp_path / "log")
	assert bench.binary.read_text() == "a\na\nsorted by aa\n"
	bench.replace("mm/a.c", "x\n")
	bench.compile(["mm/a.o"], tmp_path / "log")
	bench.relink(tmp_path / "log")
	assert bench.binary.read_text() == "a\nx\nsorted by -S linux\n"


def test_kernel_that_looks_up_symbols_gets_its_own(origin, tmp_path):
	"""A kprobe by name would otherwise be where another kernel has the function."""
	fakes.write(origin.obj, {".config": "CONFIG_MMU=y\nCONFIG_KPROBES=y\n"})
	bench = relink.Bench(origin, tmp_path / "bench", ["mm/a.c"], ["mm/a.o"])
	bench.link(tmp_path / "log")
	bench.replace("mm/a.c", "x\n")
	bench.compile(["mm/a.o"], tmp_path / "log")
	bench.relink(tmp_path / "log")
	assert bench.binary.read_text() == "x\nx\n"


def test_kernel_for_qemu_is_stripped_behind_each_link(origin, tmp_path):
	origin = replace(origin, binary="vmlinux", strip="tr a-z A-Z <vmlinux.unstripped >vmlinux")
	bench = relink.Bench(origin, tmp_path / "bench", ["mm/a.c"], ["mm/a.o"])
	bench.link(tmp_path / "log")
	assert bench.is_original() and bench.binary.name == "vmlinux" and bench.binary.read_text() == "A\nA\n"
	bench.replace("mm/a.c", "x\n")
	bench.compile(["mm/a.o"], tmp_path / "log")
	bench.relink(tmp_path / "log")
	assert not bench.is_original() and bench.binary.read_text() == "A\nX\n"


def test_linker_gets_the_flags_that_kbuild_gave_it(origin, bench, tmp_path):
	fakes.write(origin.tree, {"scripts/link-vmlinux.sh": LINK + 'echo "flags: $1 $2 $3"\n'})
	bench.link(tmp_path / "log")
	assert "flags: ld -m x -z y\n" in (tmp_path / "log").read_text()


def test_only_the_bench_differs(origin, bench, tmp_path):
	before = _state(origin)
	bench.link(tmp_path / "log")
	bench.replace("mm/a.c", "x$\n")
	assert bench.compile(["mm/a.o"], tmp_path / "log") is True
	bench.relink(tmp_path / "log")
	assert (bench.binary).read_text() == "a\nx\n"	# the table is the original's
	assert not bench.is_original()
	bench.link(tmp_path / "log")
	assert (bench.binary).read_text() == "x\nx\n"
	assert _state(origin) == before
	bench.restore("mm/a.c", ["mm/a.o"])
	assert bench.compile(["mm/a.o"], tmp_path / "log") is False
	bench.link(tmp_path / "log")
	assert bench.is_original() and _state(origin) == before


def test_second_bench_takes_the_place_of_the_first(origin, bench, tmp_path):
	bench.replace("mm/a.c", "x\n")
	again = relink.Bench(origin, tmp_path / "bench", ["mm/a.c"], ["mm/a.o"])
	assert (again.tree / "mm/a.c").read_text() == "a\n"


def test_failed_compilation(bench, tmp_path):
	(bench.origin.obj / "mm/.a.o.cmd").write_text(
		f"savedcmd_mm/a.o := echo 'mm/a.c:1: error: no semicolon' && false {bench.origin.tree}/mm/a.c\n", encoding="utf-8")
	with pytest.raises(CannotJudge, match="does not build:\nmm/a.c:1: error: no semicolon"):
		bench.compile(["mm/a.o"], tmp_path / "log")


@pytest.mark.parametrize("saved, said", [("savedcmd_mm/a.o := true\n", "does not name the source tree"),
					 (None, "left no command")])
def test_object_that_cannot_be_compiled_again(bench, tmp_path, saved, said):
	path = bench.origin.obj / "mm/.a.o.cmd"
	path.write_text(saved, encoding="utf-8") if saved else path.unlink()
	with pytest.raises(CannotJudge, match=said):
		bench.compile(["mm/a.o"], tmp_path / "log")


def test_link_that_shows_nothing(bench, tmp_path):
	(bench.origin.tree / "scripts/link-vmlinux.sh").write_text(":\n", encoding="utf-8")
	with pytest.raises(CannotJudge, match="does not show its last link"):
		bench.link(tmp_path / "log")


@pytest.mark.parametrize("file, rebuild, found", [("mm/a.c", (), ["mm/a.o"]), ("include/linux/a.h", ("mm/a.o",), ["mm/a.o"])])
def test_objects(origin, file, rebuild, found):
	assert relink.objects(origin.obj, file, rebuild) == found


@pytest.mark.parametrize("file, rebuild, said", [("include/linux/b.h", ("mm/a.o",), "mm/a.o was not compiled from"),
						 ("mm/b.c", (), "left no command for mm/b.o")])
def test_object_that_has_nothing_to_do_with_it(origin, file, rebuild, said):
	with pytest.raises(CannotJudge, match=said):
		relink.objects(origin.obj, file, rebuild)


def test_object_of_a_source_that_another_one_includes(origin):
	fakes.write(origin.obj, {"mm/.all.o.cmd": f"savedcmd_mm/all.o := cc\n\ndeps_mm/all.o := \\\n  {origin.tree}/mm/b.c \\\n",
				 "mm/.other.o.cmd": f"savedcmd_mm/other.o := cc\n\ndeps_mm/other.o := \\\n  {origin.tree}/mm/b.cc \\\n"})
	assert relink.objects(origin.obj, "mm/b.c", ()) == ["mm/all.o"]


def test_flags_are_for_the_compiler(origin, tmp_path):
	path = origin.obj / "mm/.a.o.cmd"
	path.write_text("savedcmd_mm/a.o := echo cc -Wall -c -o mm/a.o " + f"{origin.tree}/mm/a.c >mm/a.o ; true\n\n", encoding="utf-8")
	bench = relink.Bench(origin, tmp_path / "bench", ["mm/a.c"], ["mm/a.o"], "-Werror=x")
	assert bench.compile(["mm/a.o"], tmp_path / "log")
	assert (bench.obj / "mm/a.o").read_text(encoding="utf-8").startswith("cc -Wall -Werror=x -c -o mm/a.o ")


def test_digest_is_of_all_objects(bench, tmp_path):
	bench.compile(["mm/a.o"], tmp_path / "log")
	before = bench.digest(["mm/a.o"])
	assert before == bench.digest(["mm/a.o"]) != bench.digest(["mm/a.o", "mm/a.o"])
	bench.replace("mm/a.c", "x\n")
	bench.compile(["mm/a.o"], tmp_path / "log")
	assert bench.digest(["mm/a.o"]) != before


def test_environment_is_that_of_kbuild(tmp_path, monkeypatch):
	monkeypatch.setenv("KCFLAGS", "-O0")
	tree = tmp_path / "src"
	fakes.write(tree, {"Makefile": "export LD := ld -x\nexport KBUILD_VERBOSE := 1\n%:\n\t@false\n"})
	request = build.Request(profile.load(CONFIGS, "uml"), 1)
	base = relink.base(SimpleNamespace(tree=tree), tmp_path, request, tmp_path)
	assert (base.env["LD"], base.env["MAKE"]) == ("ld -x", "true")
	assert not {"MAKEFLAGS", "MAKEFILES", "KBUILD_VERBOSE", "KCFLAGS"} & base.env.keys()
