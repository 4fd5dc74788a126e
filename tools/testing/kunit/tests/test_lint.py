# SPDX-License-Identifier: GPL-2.0
"""Scripts that judge a patch are not the patch's, and what they run of it is kept in."""

import fakes
import pytest

from pinwait.gate import lint
from pinwait.kernel import build
from pinwait.kernel.profile import Profile
from pinwait.kernel.sandbox import Sandbox
from pinwait.util.errors import CannotJudge

# Calls what the kernel's own calls, in the same places.
CHECKPATCH = r"""
my ($root) = map { /^--root=(.*)/ ? $1 : () } @ARGV;
sub told { my ($kind, $text) = @_; chomp $text; print "WARNING:$kind: $text\n\n"; }
told "MAINTAINER", `perl $root/scripts/get_maintainer.pl`;
told "CONF", -e ".checkpatch.conf" ? "read" : "none";
told "HEAD", `git log -1 --format=%s`;
told "PATCH", -s $ARGV[-1] ? "seen" : "hidden";
told "WRITE", `touch $root/written 2>&1`;
exit 1;
"""


@pytest.fixture(name="verdicts")
def _verdicts(tmp_path):
	def start(closed):
		tree, tools, patch = tmp_path / "kdir", tmp_path / "tools", tmp_path / "x.patch"
		fakes.user_tree(tree)
		fakes.write(tree, {"scripts/get_maintainer.pl": "print 'patched'", ".checkpatch.conf": "--no-signoff\n"})
		fakes.write(tools, {"scripts/checkpatch.pl": CHECKPATCH, "scripts/get_maintainer.pl": "print 'trusted'"})
		patch.write_text("x")
		box = Sandbox(closed, (tree, tools), {tree / name: tools / name for name in lint.CALLED})
		return {kind: text for _, kind, text in lint.checkpatch(box, tools, tree, patch, True)}, tree
	return start


def test_checkpatch_calls_the_scripts_of_the_base(verdicts):
	said, tree = verdicts(True)
	assert said.pop("WRITE").endswith("Read-only file system") and not (tree / "written").exists()
	assert said == {"MAINTAINER": "trusted", "CONF": "none", "HEAD": "base", "PATCH": "seen"}


def test_checkpatch_without_isolation(verdicts):
	said, tree = verdicts(False)
	assert (said["CONF"], said["HEAD"], said["PATCH"]) == ("none", "base", "seen") and (tree / "written").exists()


def test_borrowed_objects(tmp_path):
	fakes.write(tmp_path, {"x": ""})
	assert not lint.borrowed(tmp_path)
	fakes.write(tmp_path, {".git/objects/info/alternates": "/a/.git/objects\n/b c\n"})
	assert [str(path) for path in lint.borrowed(tmp_path)] == ["/a/.git/objects", "/b c"]


def test_tools_are_exported_once(tmp_path):
	kernel = fakes.prepared(tmp_path / "kernel")
	folder = lint.export_tools(kernel.git, kernel.base_commit, tmp_path / "tools")
	assert (folder / "tools/testing/kunit/kunit.py").exists()
	assert lint.export_tools(kernel.git, kernel.base_commit, tmp_path / "tools") == folder
	assert [path.name for path in (tmp_path / "tools").iterdir()] == [folder.name]


# Says what Kconfig says in the tree, of the configuration that it is given.
KCONF = r"""
config := $(KCONFIG_CONFIG)
olddefconfig: ; @cat $(config) >&2; sed -i s/y/n/ $(config); $(FAULT)
"""
SAID = """mm/Kconfig:729:warning: multi-line strings not supported
.config.looked-at:3:warning: symbol value 'm' invalid for X

WARNING: unmet direct dependencies detected for TRANSPARENT_HUGEPAGE
  Depends on [n]: HAVE_ARCH_TRANSPARENT_HUGEPAGE [=n]
lib/Kconfig.debug:7:warning: ignoring unsupported character '!'
"""


@pytest.fixture(name="kconfig")
def _kconfig(tmp_path):
	tree, obj, root = tmp_path / "tree", tmp_path / "obj", tmp_path / "build"
	fakes.write(tree, {"Makefile": KCONF})
	fakes.write(obj, {".config": SAID})
	root.mkdir()

	def start(*options):
		request = build.Request(Profile("uml", "", (), "um", (), 60, True, 10), jobs=1, make_options=options)
		return lint.kconfig(tree, obj, request, root, tmp_path / "log")
	start.config = obj / ".config"
	return start


def test_warnings_of_kconfig(kconfig):
	assert kconfig() == [
		"mm/Kconfig:729: warning: multi-line strings not supported",
		"WARNING: unmet direct dependencies detected for TRANSPARENT_HUGEPAGE",
		"lib/Kconfig.debug:7: warning: ignoring unsupported character '!'"]
	assert kconfig.config.read_text() == SAID


def test_configuration_that_leads_elsewhere(kconfig, tmp_path):
	(tmp_path / "mine").write_text("y")
	(kconfig.config.parent / lint.LOOKED_AT).symlink_to(tmp_path / "mine")
	kconfig()
	assert (tmp_path / "mine").read_text() == "y"


def test_tree_that_cannot_be_configured(kconfig):
	with pytest.raises(CannotJudge, match="cannot be configured"):
		kconfig("FAULT=exit 1")


@pytest.mark.parametrize("name, read", [("mm/Kconfig", True), ("lib/Kconfig.debug", True), ("Kconfig.kunit", True),
					("scripts/kconfig/menu.c", False), ("Documentation/kbuild/Kconfig/x.rst", False)])
def test_what_configures(name, read):
	assert lint.is_kconfig(name) is read
