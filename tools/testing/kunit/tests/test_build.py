# SPDX-License-Identifier: GPL-2.0
"""Building: once per change, and a failure in a few lines."""

import io
import os
import re
import shutil
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import fakes
import pytest

from pinwait.kernel import build
from pinwait.kernel.profile import Profile, booted, expected_cases, load, names
from pinwait.util.errors import CannotJudge, UsageError
from pinwait.util.progress import Progress
from pinwait.util.project import CONFIGS

# Notes how it was called, and leaves what a build leaves.
KUNIT = """
import os, pathlib, sys
obj = pathlib.Path(next(a for a in sys.argv if a.startswith("--build_dir="))[12:])
with open(obj / "calls", "a") as calls:
	calls.write(" ".join(sys.argv[1:]) + " MAKEFLAGS=" + os.environ.get("MAKEFLAGS", "unset")
		    + os.environ.get("CI_JOB_TOKEN", "") + "\\n")
if (obj / "fail").exists():
	sys.exit((obj / "fail").read_text())
(obj / ".config").write_text("config")
if sys.argv[1] == "build":
	(obj / "linux").write_text("binary")
"""
COMPILER_ERROR = """ERROR:root:../mm/tests/Makefile: building
/TREE/mm/tests/x.c: In function 'f':
/TREE/mm/tests/x.c:7:2: error: implicit declaration of function 'g' [-Werror=implicit-function-declaration]
    7 |  g();
      |  ^
/TREE/mm/tests/x.c:9:2: error: a second one
make[4]: *** [scripts/Makefile.build:289: mm/tests/x.o] Error 1
"""


class Bench:
	"""A fake kernel and what is needed to build it."""
	def __init__(self, tmp_path):
		self.root = tmp_path / "build"
		self.kernel = fakes.prepared(tmp_path / "7.3.4-1", KUNIT)
		config = tmp_path / "uml.config"
		config.write_text("CONFIG_KUNIT=y\n")
		self.request = build.Request(Profile("uml", "", (config,), "um", (), 60, True, 10), jobs=1)
		self.obj = self.root / "obj/7.3.4-1/uml"
		self.obj.mkdir(parents=True)
		self.log = tmp_path / "build.log"

	def build(self):
		"""Build; return how often kunit.py or make was called for it."""
		before = len(self.calls())
		build.build(self.kernel, self.kernel.base_commit, self.request, self.root, self.log, Progress(io.StringIO()))
		return len(self.calls()) - before

	def calls(self):
		"""Return all calls of kunit.py, and of make."""
		path = self.obj / "calls"
		return path.read_text().splitlines() if path.exists() else []


@pytest.fixture(name="bench")
def _bench(tmp_path):
	return Bench(tmp_path)


def test_configures_and_builds_once(bench):
	assert bench.build() == 2
	assert bench.build() == 0
	config, made = bench.calls()
	assert config.startswith("config --build_dir=") and "--kunitconfig=" in config
	assert "--make_options=LOCALVERSION= " in made and "--make_options=RUSTC=false " in made and "--jobs=1" in made


def test_options_of_our_make_and_secrets_do_not_reach_the_kernels(bench, monkeypatch):
	monkeypatch.setenv("MAKEFLAGS", " -- KDIR=/x")
	monkeypatch.setenv("CI_JOB_TOKEN", "secret")
	bench.build()
	assert all(call.endswith("MAKEFLAGS=unset") for call in bench.calls())


def _edit_config(bench):
	bench.request.profile.kunitconfigs[0].write_text("CONFIG_KUNIT=y\nCONFIG_X=y\n")


def _add_option(bench):
	bench.request = replace(bench.request, make_options=["W=1"])


def _add_kconfig(bench):
	bench.request = replace(bench.request, kconfig_add=["CONFIG_X=y"])


def _lose_binary(bench):
	(bench.obj / "linux").unlink()


def _change_binary(bench):
	(bench.obj / "linux").write_text("another")


def _menuconfig(bench):
	(bench.obj / ".config").write_text("edited")


def _commit(bench, files):
	git = bench.kernel.git
	fakes.write(bench.kernel.tree, files)
	git("add", "-f", *files)
	return git("commit-tree", git("write-tree"), "-m", "new")


def _change_tree(bench, name="mm/Kconfig"):
	bench.kernel = replace(bench.kernel, base_commit=_commit(bench, {name: "new\n"}))


@pytest.mark.parametrize("change", [_edit_config, _add_option, _add_kconfig, _lose_binary, _change_binary, _menuconfig,
				    _change_tree])
def test_builds_again_after(bench, change):
	bench.build()
	change(bench)
	assert bench.build() == 2
	assert bench.build() == 0


@pytest.mark.parametrize("name", ["mm/migrate.c", "include/linux/mm.h", "arch/um/new.S"])
def test_a_source_does_not_configure(bench, name):
	bench.build()
	_change_tree(bench, name)
	assert bench.build() == 1 and bench.calls()[-1] == "make um"
	assert bench.build() == 0


@pytest.mark.parametrize("change", [_edit_config, _add_kconfig, _menuconfig, _lose_binary])
def test_a_source_and_more_configures(bench, change):
	bench.build()
	_change_tree(bench, "mm/migrate.c")
	change(bench)
	assert bench.build() == 2


def test_only_some_objects(bench):
	def objects(*only):
		before = len(bench.calls())
		build.build(bench.kernel, bench.kernel.base_commit, bench.request, bench.root, bench.log, Progress(io.StringIO()), only)
		return [call.split()[:2] for call in bench.calls()[before:]]

	(config, first) = objects("mm/migrate.o")
	assert (config[0], first) == ("config", ["make", "mm/migrate.o"]) and not (bench.obj / build.STAMP).exists()
	assert objects("mm/migrate.o") == []
	assert objects("mm/migrate.o", "mm/gup.o") == [["make", "mm/migrate.o"], ["make", "mm/gup.o"]]	# not configured again
	assert bench.build() == 2	# they are no kernel
	assert not (bench.obj / build.OBJECTS).exists()
	assert objects("mm/migrate.o") == []


def test_a_source_that_does_not_build(bench):
	bench.build()
	fakes.write(bench.kernel.tree, {"mm/fails": "mm/migrate.c:1:1: error: broken\n"})
	_change_tree(bench, "mm/migrate.c")
	with pytest.raises(build.DoesNotBuild, match="mm/migrate.c:1:1: error: broken"):
		bench.build()
	(bench.kernel.tree / "mm/fails").unlink()
	assert bench.build() == 2


def _stands(bench, files):
	"""Tell whether the kernel that was built is the one that a commit with other files makes."""
	tree = build.stands_for(bench.kernel, _commit(bench, files), bench.request, bench.root)
	assert tree in ("", bench.kernel.git("rev-parse", f"{bench.kernel.base_commit}^{{tree}}"))
	return bool(tree)


def _compiled(bench, *names):
	"""Note, as Kbuild does, what an object was made from."""
	path = bench.obj / "mm/.other.o.cmd"
	path.parent.mkdir(exist_ok=True)
	path.write_text("".join(f"  /tree/{name} \\\n" for name in names))


def test_names_in_what_kbuild_noted_are_plain(tmp_path):
	(tmp_path / "x").write_text("  /t/arch/x86/um/../lib/csum.c \\\n /t/a/b/../../c.h ../d/../e.h\n")
	assert build.noted(tmp_path / "x").split() == ["/t/arch/x86/lib/csum.c", "\\", "/t/c.h", "../e.h"]


@pytest.mark.parametrize("name, built", [
	("Documentation/x.rst", False), ("Documentation/Kconfig", True), ("Documentation/a/Makefile", True), ("mm/README.rst", False),
	("MAINTAINERS", False), ("mm/migrate.c", True), ("LICENSES/x", False)])
def test_what_is_not_built(name, built):
	assert bool(build.NOT_BUILT.match(name)) is not built


@pytest.mark.parametrize("files, same", [
	({"mm/migrate.c": "new\n"}, True), ({"mm/migrate.c": "new\n", "Documentation/x.rst": "new\n"}, True),
	({"include/linux/mm.h": "new\n"}, False), ({"mm/migrate.c": "new\n", "include/linux/mm.h": "new\n"}, False),
	({"mm/Kconfig": "new\n"}, False), ({"mm/new.c": "new\n"}, False), ({"include/linux/new.h": "new\n"}, False),
	({"Documentation/x.rst": "new\n"}, True)])
def test_same_kernel_if_nothing_was_made_from_it(bench, files, same):
	_compiled(bench, "mm/other.c", "include/linux/mm.h")
	bench.build()
	assert _stands(bench, files) is same


def _compile_by_itself(bench):
	_compiled(bench, "mm/other.c")
	late = (bench.obj / build.STAMP).stat().st_mtime_ns + 1
	os.utime(bench.obj / "mm/.other.o.cmd", ns=(late, late))


def _forget_tree(bench):
	stamp = bench.obj / build.STAMP
	tree = bench.kernel.git("rev-parse", f"{bench.kernel.base_commit}^{{tree}}")
	stamp.write_text(stamp.read_text().replace(tree, "0123456789" * 4))


@pytest.mark.parametrize("change", [_edit_config, _add_option, _add_kconfig, _lose_binary, _change_binary, _menuconfig,
				    _compile_by_itself, _forget_tree])
def test_same_kernel_only_of_the_same_build(bench, change):
	_compiled(bench, "mm/other.c")
	bench.build()
	assert _stands(bench, {"mm/migrate.c": "new\n"})
	change(bench)
	assert not _stands(bench, {"mm/migrate.c": "new\n"})


def test_same_kernel_of_nothing_built(bench):
	assert not _stands(bench, {"mm/migrate.c": "new\n"})


def test_failed_build_is_not_taken_for_done(bench):
	bench.build()
	_edit_config(bench)
	(bench.obj / "fail").write_text("broken")
	with pytest.raises(CannotJudge):
		bench.build()
	(bench.obj / "fail").unlink()
	bench.request.profile.kunitconfigs[0].write_text("CONFIG_KUNIT=y\n")
	assert bench.build() == 2


def test_compiler_is_asked_without_ccache(bench, tmp_path, monkeypatch):
	for name, script in (("ccache", "exit 1"), ("gcc", "echo gcc 12; echo more")):
		(tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
		(tmp_path / name).chmod(0o755)
	monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
	assert build.compiler_of(bench.request) == "gcc 12"
	with pytest.raises(CannotJudge, match="the compiler does not run"):
		build.compiler_of(replace(bench.request, make_options=("CC=",)))


def test_first_compiler_error(bench):
	(bench.obj / "fail").write_text(COMPILER_ERROR.replace("/TREE", str(bench.kernel.tree)))
	with pytest.raises(CannotJudge) as caught:
		bench.build()
	first, second, *rest = str(caught.value).splitlines()
	assert first == "the kernel does not build:"
	assert second.startswith("mm/tests/x.c:7:2: error: implicit declaration")
	assert len(rest) < 6 and str(bench.log) in rest[-1]


@pytest.mark.parametrize("lines", [
	["ERROR:root:ld: vmlinux.a: member mm/vmscan.o in archive is not an object"],
	["ERROR:root:ld: mm/gup.o: in function `pin':", "gup.c:(.text+0x11): undefined reference to `folio_wait'"]])
def test_first_linker_error(bench, lines):
	(bench.obj / "fail").write_text("\n".join([*lines, "make[2]: *** Waiting for unfinished jobs....\n"]))
	with pytest.raises(build.DoesNotBuild) as caught:
		bench.build()
	assert caught.value.why.splitlines()[1] == lines[-1].removeprefix("ERROR:root:")


MACHINES = [
	"gcc: fatal error: Killed signal terminated program cc1", "make[2]: *** [scripts/Makefile.build:289: mm/gup.o] Killed",
	"mm/gup.o: No space left on device", "ERROR:root:as: out of memory allocating 24 bytes",
	"/tmp/x.s: Error: can't write: No space left on device", "cc1: internal compiler error: Killed (program cc1)"]


@pytest.mark.parametrize("line", MACHINES)
def test_the_machine_is_at_fault(bench, line):
	(bench.obj / "fail").write_text(f"  CC x.o\n{line}\n")
	with pytest.raises(CannotJudge, match="could not be built on this machine") as caught:
		bench.build()
	assert not isinstance(caught.value, build.DoesNotBuild) and line.removeprefix("ERROR:root:") in str(caught.value)


@pytest.mark.parametrize("line", [
	'   12 |  pr_err("x: No space left on device");', 'mm/x.c:1:2: error: "*** [x] Killed"', "make[2]: *** [mm/gup.o] Error 1"])
def test_the_machine_is_not_at_fault(bench, line):
	(bench.obj / "fail").write_text(f"mm/x.c:7:2: error: broken\n{line}\n")
	with pytest.raises(build.DoesNotBuild):
		bench.build()


def test_what_a_build_left_must_be_a_file(tmp_path):
	fakes.write(tmp_path, {"secret": "x", "linux": "y"})
	(tmp_path / ".config").symlink_to(tmp_path / "secret")
	with pytest.raises(CannotJudge, match="no file .config"):
		build.take(tmp_path / ".config", tmp_path / "copy")
	build.take(tmp_path / "linux", tmp_path / "copy")
	assert (tmp_path / "copy").read_text() == "y"


def test_stamp_is_not_written_through_a_link(bench):
	secret = bench.root / "secret"
	secret.write_text("mine")
	kunit = bench.kernel.tree / "tools/testing/kunit/kunit.py"
	kunit.write_text(KUNIT + f"(obj / {build.STAMP!r}).unlink(missing_ok=True)\n(obj / {build.STAMP!r}).symlink_to({str(secret)!r})\n")
	bench.build()
	assert secret.read_text() == "mine" and bench.build() == 0


@pytest.mark.parametrize("line", [
	"ld: mm/migrate.o: in function `f': migrate.c:(.text+0x1): undefined reference to `g'",
	"Kconfig.kunit:7: syntax error", "x.c:1:10: fatal error: none.h: No such file or directory",
	'ERROR: modpost: "g" [mm/x.ko] undefined!'])
def test_other_first_errors(line, tmp_path):
	log = f"  CC x.o\n{line}\nlast\n" + "make: noise\n" * 9
	assert build.explain(log, tmp_path).splitlines()[1] == line


def test_no_known_error_shows_the_end(tmp_path):
	assert build.explain("one\ntwo\nKilled", tmp_path).endswith("two\nKilled")


def test_missing_options(bench):
	(bench.obj / "fail").write_text("ERROR:root:Not all Kconfig options selected\nThis is\nMissing: CONFIG_X=y, CONFIG_Y=y\n")
	with pytest.raises(CannotJudge, match="lacks options that the profile asks for: CONFIG_X=y, CONFIG_Y=y"):
		bench.build()


def test_counts_new_objects(tmp_path):
	fakes.write(tmp_path, {"a/x.o": "", "y.o": "", "z.c": ""})
	assert build.count_objects(tmp_path, 0) == 2
	assert build.count_objects(tmp_path, (tmp_path / "y.o").stat().st_mtime + 100) == 0


@pytest.mark.parametrize("name", booted(CONFIGS))
def test_committed_profiles(name):
	profile = load(CONFIGS, name)
	assert profile.virtual_time == ("time-travel=inf-cpu" in profile.kernel_args or "-icount" in profile.qemu_args.split())
	assert profile.binary == ("vmlinux" if profile.qemu_config else "linux")


TABLE = 'description = "d"\nkunitconfigs = ["a.config"]\narch = "um"\nkernel_args = []\nvirtual_time = true\nobjects = 1\n'


@pytest.mark.parametrize("text, why", [
	(f"[a]\n{TABLE}timeout = 1", "unknown profile 'b'; there are:\n  a: d"),
	(f"[b]\n{TABLE}", "needs 'timeout', a int"),
	(f"[b]\n{TABLE}timeout = true", "needs 'timeout', a int"),
	(f"[b]\n{TABLE}timeout = 1\ncolour = 1", "unknown key 'colour'"),
	(f"[b]\n{TABLE}timeout = 1".replace("a.config", "c.config"), "c.config, which does not exist"),
	(f"[b]\n{TABLE}timeout = 1\nqemu_version = '10'", "needs 'qemu_version', a int"),
	(f"[b]\n{TABLE}timeout = 1\nqemu_config = 'b.py'", "b.py, which does not exist"),
	("[b]\nkernel = 'a'", "boots the kernel of 'a', which is no profile"),
	(f"[a]\nkernel = 'c'\n[b]\nkernel = 'a'\n[c]\n{TABLE}timeout = 1", "boots the kernel of 'a', which is no profile with a kernel of its own"),
	(f"[a]\n{TABLE}timeout = 1\n[b]\nkernel = 'a'\narch = 'x86_64'", "boots the kernel of 'a', and cannot have other arch"),
	("[b", "profiles.toml: "),
])
def test_wrong_profiles(tmp_path, text, why):
	fakes.write(tmp_path, {"profiles.toml": text, "a.config": ""})
	with pytest.raises(UsageError) as caught:
		load(tmp_path, "b")
	assert why in str(caught.value)


BOTH = f"[a]\n{TABLE}timeout = 1\nqemu_config = 'm.py'\n[b]\nkernel = 'a'\nqemu_args = '-smp 2'\nvirtual_time = false\n"


def test_profile_that_boots_the_kernel_of_another(bench, tmp_path):
	fakes.write(tmp_path, {"profiles.toml": BOTH, "a.config": "", "m.py": "one"})
	first, second = load(tmp_path, "a"), load(tmp_path, "b")
	assert second == replace(first, name="b", qemu_args="-smp 2", virtual_time=False) and first.binary == "vmlinux"
	requests = [replace(bench.request, profile=found) for found in (first, second)]
	one, other = ((build.object_folder(bench.root, bench.kernel, request), build.identity(bench.kernel, bench.kernel.base_commit, request))
		      for request in requests)
	assert one == other
	(tmp_path / "m.py").write_text("another machine")
	assert build.identity(bench.kernel, bench.kernel.base_commit, requests[0]) != one[1]


def test_words_for_a_profile_are_for_all_that_boot_its_kernel(tmp_path):
	fakes.write(tmp_path, {"profiles.toml": BOTH + f"[c]\n{TABLE}timeout = 1\n[d]\n{TABLE}timeout = 1\nwords = 'a'\n", "expected-cases.txt": "s.one\ns.two skip:a\ns.three skip:b\ns.four only:a\n"})
	cases = expected_cases(tmp_path)
	assert {name: [case.id for case in cases.select(name) if not cases.skips(case, name)] for name in names(tmp_path)} == {
		"a": ["s.one", "s.three", "s.four"], "b": ["s.one", "s.four"], "c": ["s.one", "s.two", "s.three"],
		"d": ["s.one", "s.three", "s.four"]}


def test_callers_variables_do_not_change_what_is_compiled(tmp_path, monkeypatch):
	theirs = {"KCFLAGS": "-O0", "LLVM": "1", "ARCH": "arm64", "KBUILD_EXTRA_WARN": "1", "KCONFIG_CONFIG": "/none", "HOSTCFLAGS": "-O0"}
	for name, value in {**theirs, "CCACHE_REMOTE_STORAGE": "x", "CPATH": "/opt/include"}.items():
		monkeypatch.setenv(name, value)
	env = build.environment(tmp_path, tmp_path)
	assert not theirs.keys() & env.keys() and {"CCACHE_REMOTE_STORAGE", "CPATH", "PATH"} <= env.keys()


def _through_cache(root, gate):
	"""Compile a file with a warning as Kbuild does; return what was said, how often the cache knew it, and the object."""
	tree, obj = root / "kernels/7.3.4-1~bpo13+1", root / "gate/obj" if gate else root / "obj"
	(obj / "mm").mkdir(parents=True, exist_ok=True)
	env = build.environment(root / "gate" if gate else root, tree)
	done = subprocess.run(["ccache", "gcc", "-Wall", "-MMD", "-MF", "mm/x.d", f"-fmacro-prefix-map={tree}/=", f"-I{tree}/include", "-c", "-o", "mm/x.o",
			       f"{tree}/mm/x.c"], cwd=obj, env=env, capture_output=True, text=True, check=True)
	stats = subprocess.run(["ccache", "--print-stats"], env=env, capture_output=True, text=True, check=True).stdout
	return build.warnings(done.stderr, tree), int(re.search(r"^direct_cache_hit\t(\d+)", stats, re.MULTILINE)[1]), (obj / "mm/x.o").read_bytes()


@pytest.mark.parametrize("gate", [False, True])
def test_moved_build_root_compiles_nothing_anew(tmp_path, gate):
	text = '#include "x.h"\nconst char *file = __FILE__;\nint f(void) { int unused; return *header(); }\n'
	fakes.write(tmp_path / "here/kernels/7.3.4-1~bpo13+1", {
		"mm/x.c": text, "include/x.h": "static inline const char *header(void) { int too; return __FILE__; }\n"})
	time.sleep(1.1)		# what is newer than the call of the compiler is not believed
	first = _through_cache(tmp_path / "here", gate)
	(tmp_path / "there").mkdir()
	(tmp_path / "here").rename(tmp_path / "there/it-is")
	moved = _through_cache(tmp_path / "there/it-is", gate)
	assert (first[1], moved[1]) == (0, 1) and moved[2] == first[2] and b"mm/x.c" in moved[2]
	assert [line.partition(": ")[0] for line in moved[0]] == ["include/x.h:1:46", "mm/x.c:3:19"] and moved[0] == first[0]


@pytest.mark.parametrize("text, said", [
	("/a b/kernels/7.3/mm/x.c:1:2: error: no", "mm/x.c:1:2: error: no"), ("/old/b/kernels/7.3/mm/x.c:1: ", "mm/x.c:1: "),
	("from /a/kernels/7.3/mm/x.h,", "from mm/x.h,"), ("/b/kernels/7.3.4/mm/x.c", "/b/kernels/7.3.4/mm/x.c"),
	("'/b/kernels/7.3/mm/x.c'", "'mm/x.c'"), ("x/b/kernels/7.3/mm/x.c", "x/b/kernels/7.3/mm/x.c"),
])
def test_names_are_those_in_the_tree(text, said):
	assert build.plain(text, Path("/a b/kernels/7.3")) == said


def test_copied_objects_depend_on_the_tree_from_where_they_are(bench):
	"""ccache leaves dependencies relative to the folder that it compiled for, and Kbuild ignores a header that is missing."""
	bench.build()
	tree, other = bench.kernel.tree, f"../../{bench.kernel.tree.name}x/y.h"
	note = bench.obj / "mm/.migrate.o.cmd"
	header = os.path.relpath(tree / "include/linux/mm.h", bench.obj)
	fakes.write(bench.obj, {"mm/.migrate.o.cmd": f"deps := {header} {tree}/include/linux/fs.h {other}\n",
				"copy/deeper/mm/.migrate.o.cmd": f"deps := {header} {tree}/include/linux/fs.h {other}\n"})
	os.utime(note, ns=(1, 2))
	bench.build()
	assert note.read_text().split()[2] == header and note.stat().st_mtime_ns == 2
	copy = bench.obj / "copy/deeper"
	build._settle(copy, tree)
	names = (copy / "mm/.migrate.o.cmd").read_text().split()[2:]
	assert (copy / names[0]).resolve() == (tree / "include/linux/mm.h").resolve() and names[1:] == [f"{tree}/include/linux/fs.h", other]


def test_copied_tools_are_not_built_again(bench):
	"""The commands below tools/ name the folder of objects, and objtool is a prerequisite of each object."""
	bench.build()
	copy, note = bench.obj.parent / "copy/deeper", "tools/objtool/.weak.o.cmd"
	other = f"{bench.obj}-of-another/x.o"
	fakes.write(bench.obj, {note: f"cmd_{bench.obj}/tools/objtool/weak.o := gcc -I{bench.kernel.tree}/tools/include {other}\n"})
	shutil.copytree(bench.obj, copy)
	times = (copy / note).stat().st_mtime_ns
	build._settle(copy, bench.kernel.tree)
	assert (copy / note).read_text() == f"cmd_{copy}/tools/objtool/weak.o := gcc -I{bench.kernel.tree}/tools/include {other}\n"
	assert (copy / note).stat().st_mtime_ns == times


def test_objects_that_were_copied_are_settled_before_they_are_built(bench):
	bench.build()
	header = f"../../../../../kernels/{bench.kernel.tree.name}/include/linux/mm.h"
	fakes.write(bench.obj, {"mm/.migrate.o.cmd": f"deps := {header}\n", build.PLACE: "elsewhere"})
	bench.build()
	assert (bench.obj / "mm/.migrate.o.cmd").read_text().split()[2] == os.path.relpath(bench.kernel.tree / "include/linux/mm.h", bench.obj)


def test_settling_writes_through_no_link_that_a_build_left(bench, tmp_path):
	bench.build()
	text = f"deps := ../../../../../{bench.kernel.tree.name}/include/linux/mm.h\n"
	for name in ("mm/.migrate.o.cmd", build.PLACE):
		outside = tmp_path / Path(name).name
		outside.write_text(text)
		(bench.obj / name).parent.mkdir(exist_ok=True)
		(bench.obj / name).unlink(missing_ok=True)
		(bench.obj / name).symlink_to(outside)
	bench.build()
	assert [(tmp_path / name).read_text() for name in (".migrate.o.cmd", build.PLACE)] == [text, text]
	assert not (bench.obj / build.PLACE).is_symlink()
