# SPDX-License-Identifier: GPL-2.0
"""What QEMU translated becomes executed lines."""

import subprocess
from pathlib import Path

import pytest

from pinwait.kernel import traced
from pinwait.kernel.traced import Lines
from pinwait.util.errors import CannotJudge

TRACE = """\
----------------
IN: 
0x000ffff0:  ea 5b e0 00 f0           ljmpw    *$0xf000:$0xe05b

----------------
IN: first
0xffffffff81000010:  55                       pushq    %rbp
0xffffffff81000011:  c3                       retq

----------------
IN: first
0xffffffff81000010:  OBJD-T: 55c3
"""


def test_addresses(tmp_path):
	(tmp_path / traced.TRACE).write_text(TRACE)
	traced.keep(tmp_path, tmp_path / "kept")
	assert traced.addresses(tmp_path / "kept") == {0xffffffff81000010, 0xffffffff81000011}
	assert not (tmp_path / traced.TRACE).exists()


def test_without_a_trace_nothing_is_known(tmp_path):
	(tmp_path / "kept").write_bytes(b"of an earlier boot")
	traced.keep(tmp_path, tmp_path / "kept")
	with pytest.raises(CannotJudge, match="was not kept"):
		traced.addresses(tmp_path / "kept")
	(tmp_path / traced.TRACE).symlink_to("/etc/passwd")
	traced.keep(tmp_path, tmp_path / "kept")
	assert not (tmp_path / "kept").exists()


SOURCE = """\
static inline int twice(int x)
{
	return 2 * x;
}
int g;
static __attribute__((noinline)) int local(int x)
{
	g += x;
	return twice(x) + g;
}
int first(int x)
{
	if (x)
		return local(x) + 1;
	return 7;
}
int second(int x)
{
	return local(x + 5) * 3;
}
"""


@pytest.fixture(name="built", scope="module")
def _built(tmp_path_factory):
	"""Return the folder of a tree, with a program of two objects whose sources have one name."""
	folder = tmp_path_factory.mktemp("tree")
	for name in ("a", "b"):
		(folder / name).mkdir()
		(folder / name / "x.c").write_text(SOURCE.replace("first", f"first_{name}").replace("second", f"second_{name}").replace("int g;", f"int g_{name};")
						   .replace("g +", f"g_{name} +").replace("+ g;", f"+ g_{name}{' * 3' if name == 'b' else ''};"))
		subprocess.run(["gcc", "-O2", "-g", "-fno-pie", "-c", "-o", folder / name / "x.o", folder / name / "x.c"], check=True)
	subprocess.run(["ld", "-e", "first_a", "-o", folder / "kernel", folder / "b/x.o", folder / "a/x.o"], check=True)
	return folder


def _address(folder: Path, name: str) -> tuple[int, int]:
	for row in subprocess.run(["nm", "-S", folder / "kernel"], check=True, capture_output=True, text=True).stdout.splitlines():
		if row.endswith(f" {name}"):
			return int(row.split()[0], 16), int(row.split()[1], 16)
	raise KeyError(name)


@pytest.mark.parametrize("name", ["a", "b"])
def test_lines(built, name):
	start, size = _address(built, f"second_{name}")
	found = traced.lines(built / "kernel", [built / name / "x.o"], dict.fromkeys(range(start, start + size), 1), built)
	lines = found.pop(f"{name}/x.c")
	assert not found and not lines.unknown
	assert {number for number, executed in lines.executed.items() if executed} <= {18, 19, 20} and lines.executed[19]
	assert {8, 9, 13, 14} <= lines.executed.keys() and not lines.executed[13] and not lines.executed[8]


def test_line_of_an_inlined_function(built):
	"""Both files have a local(): each one's is found."""
	kernel = subprocess.run(["nm", "-n", built / "kernel"], check=True, capture_output=True, text=True).stdout.split("\n")
	theirs, _ = [int(row.split()[0], 16) for row in kernel if row.endswith(" local")]
	found = traced.lines(built / "kernel", [built / "b/x.o"], dict.fromkeys(range(theirs, theirs + 8), 1), built)["b/x.c"]
	other = traced.lines(built / "kernel", [built / "a/x.o"], dict.fromkeys(range(theirs, theirs + 8), 1), built)["a/x.c"]
	assert any(found.executed.values()) and not any(other.executed.values())


def test_function_of_another_size_is_unknown(built):
	(built / "c").mkdir()
	(built / "c/x.c").write_text((built / "a/x.c").read_text().replace("return 7;", "{ g_a *= 77; return g_a + 1000; }"))
	subprocess.run(["gcc", "-O2", "-g", "-fno-pie", "-c", "-o", built / "c/x.o", built / "c/x.c"], check=True)
	lines = traced.lines(built / "kernel", [built / "c/x.o"], {}, built)["c/x.c"]
	assert {13, 14, 15} <= lines.unknown and {8, 19} <= lines.executed.keys() and 13 not in lines.executed


def test_programs_that_fail(tmp_path):
	with pytest.raises(CannotJudge, match="it cannot be told what the kernel executed"):
		traced.lines(tmp_path / "none", [], {}, tmp_path)


def test_instruction_keeps_its_line_until_the_next_one():
	listing = ("0000000000000000 <f>:\nf():\n/t/a.c:3\n   0:\tpush\n   1:\tpop\ng():\n/t/a.h:7 (discriminator 2)\n inlined by /t/a.c:4 (f) (discriminator 1)\n"
		   "   2:\tret\n")
	found: dict[str, Lines] = {}
	traced.merge(found, listing, {"f": 0x100}, {0x102: 1}, Path("/t"))
	assert found == {"a.c": Lines({3: False, 4: True}), "a.h": Lines({7: True})}
