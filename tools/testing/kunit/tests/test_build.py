# SPDX-License-Identifier: GPL-2.0
"""Building: once per change, and a failure in a few lines."""

import io
import os
from dataclasses import replace

import fakes
import pytest

from pinwait import build
from pinwait.errors import CannotJudge, UsageError
from pinwait.profile import Profile, load
from pinwait.progress import Progress
from pinwait.run import CONFIGS

# Notes how it was called, and leaves what a build leaves.
KUNIT = """
import os, pathlib, sys
obj = pathlib.Path(next(a for a in sys.argv if a.startswith("--build_dir="))[12:])
with open(obj / "calls", "a") as calls:
	calls.write(" ".join(sys.argv[1:]) + " MAKEFLAGS=" + os.environ.get("MAKEFLAGS", "unset") + "\\n")
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
		"""Build; return how often kunit.py was called for it."""
		before = len(self.calls())
		build.build(self.kernel, self.kernel.base_commit, self.request, self.root, self.log, Progress(io.StringIO()))
		return len(self.calls()) - before

	def calls(self):
		"""Return all calls of kunit.py."""
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
	assert "--make_options=LOCALVERSION= " in made and "--jobs=1" in made


def test_options_of_our_make_do_not_reach_the_kernels(bench, monkeypatch):
	monkeypatch.setenv("MAKEFLAGS", " -- KDIR=/x")
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


def _change_tree(bench):
	bench.kernel = replace(bench.kernel, base_commit=_commit(bench, {"mm/migrate.c": "new\n"}))


@pytest.mark.parametrize("change", [_edit_config, _add_option, _add_kconfig, _lose_binary, _change_binary, _menuconfig,
				    _change_tree])
def test_builds_again_after(bench, change):
	bench.build()
	change(bench)
	assert bench.build() == 2
	assert bench.build() == 0


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


def test_first_compiler_error(bench):
	(bench.obj / "fail").write_text(COMPILER_ERROR.replace("/TREE", str(bench.kernel.tree)))
	with pytest.raises(CannotJudge) as caught:
		bench.build()
	first, second, *rest = str(caught.value).splitlines()
	assert first == "the kernel does not build:"
	assert second.startswith("mm/tests/x.c:7:2: error: implicit declaration")
	assert len(rest) < 6 and str(bench.log) in rest[-1]


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
	with pytest.raises(CannotJudge, match="lacks what the profile asks for: CONFIG_X=y, CONFIG_Y=y"):
		bench.build()


def test_counts_new_objects(tmp_path):
	fakes.write(tmp_path, {"a/x.o": "", "y.o": "", "z.c": ""})
	assert build.count_objects(tmp_path, 0) == 2
	assert build.count_objects(tmp_path, (tmp_path / "y.o").stat().st_mtime + 100) == 0


@pytest.mark.parametrize("name", ["uml", "uml-rt", "uml-smp", "uml-kasan", "uml-debug"])
def test_committed_profiles(name):
	profile = load(CONFIGS, name)
	assert profile.virtual_time == ("time-travel=inf-cpu" in profile.kernel_args)


TABLE = 'description = "d"\nkunitconfig = "a.config"\narch = "um"\nkernel_args = []\nvirtual_time = true\nobjects = 1\n'


@pytest.mark.parametrize("text, why", [
	(f"[a]\n{TABLE}timeout = 1", "unknown profile 'b'; there are:\n  a: d"),
	(f"[b]\n{TABLE}", "needs 'timeout', a int"),
	(f"[b]\n{TABLE}timeout = true", "needs 'timeout', a int"),
	(f"[b]\n{TABLE}timeout = 1\ncolour = 1", "unknown key 'colour'"),
	(f"[b]\n{TABLE}timeout = 1".replace("a.config", "c.config"), "c.config, which does not exist"),
	("[b", "profiles.toml: "),
])
def test_wrong_profiles(tmp_path, text, why):
	fakes.write(tmp_path, {"profiles.toml": text, "a.config": ""})
	with pytest.raises(UsageError) as caught:
		load(tmp_path, "b")
	assert why in str(caught.value)
