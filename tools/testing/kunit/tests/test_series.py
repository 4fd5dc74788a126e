# SPDX-License-Identifier: GPL-2.0
"""Applying a series: repeatable, and precise about what does not apply."""

import io

import fakes
import pytest

from pinwait.source import series, store as kernels
from pinwait.util.errors import CannotJudge, UsageError
from pinwait.util.git import Git
from pinwait.util.progress import Progress


@pytest.fixture(name="kernel")
def _kernel(tmp_path):
	return fakes.prepared(tmp_path / "7.3.4-1")


def _series(tmp_path, *patches, base="7.3"):
	folder = tmp_path / "patches/rfc" / base
	fakes.write(folder, {"0000-cover-letter.patch": "no diff"})
	fakes.write(folder, {f"{number:04}-p.patch": text for number, text in enumerate(patches, 1)})
	return tmp_path / "patches"


def _find(patches, kernel, name="rfc"):
	said = io.StringIO()
	return series.find(patches, name, kernel, Progress(said)), said.getvalue()


def test_applies_all_but_the_cover_letter(kernel, tmp_path):
	chosen, said = _find(_series(tmp_path, fakes.patch(10, "line 10", "ten"), fakes.patch(30, "line 30", "thirty")),
			     kernel)
	commit = series.apply(kernel, chosen)
	text = kernel.git("cat-file", "blob", f"{commit}:mm/migrate.c")
	assert "ten\n" in text and "thirty\n" in text and said == ""
	assert (kernel.tree / "mm/migrate.c").read_text() == fakes.MIGRATE	# not in the worktree
	assert kernel.git("worktree", "list").count("\n") == 0


def test_same_commit_every_time(kernel, tmp_path):
	chosen, _said = _find(_series(tmp_path, fakes.patch(10, "line 10", "ten")), kernel)
	first = series.apply(kernel, chosen)
	ref = kernel.git("for-each-ref", "--format=%(refname)", "refs/pinwait/series-*")
	kernel.git("update-ref", "-d", ref)
	assert series.apply(kernel, chosen) == first


def test_known_series_is_not_applied_again(kernel, tmp_path, monkeypatch):
	chosen, _said = _find(_series(tmp_path, fakes.patch(10, "line 10", "ten")), kernel)
	first = series.apply(kernel, chosen)
	monkeypatch.setattr(Git, "stack", None)
	assert series.apply(kernel, chosen) == first


def test_names_patch_file_and_hunk(kernel, tmp_path):
	good, bad = fakes.patch(10, "line 10", "ten"), fakes.patch(30, "other 30", "thirty")
	chosen, _said = _find(_series(tmp_path, good, bad), kernel)
	with pytest.raises(CannotJudge, match=r"rfc/7\.3/0002-p\.patch does not apply to fake 7\.3\.4: "
					      r"mm/migrate\.c, hunk 1: @@ -27,7 \+27,7 @@ here"):
		series.apply(kernel, chosen)


def test_ends_of_lines_may_be_those_of_mails(kernel, tmp_path):
	text = fakes.patch(10, "line 10", "te\rn")
	wanted = series.apply(kernel, _find(_series(tmp_path / "plain", text), kernel)[0])
	path = _series(tmp_path / "mail", text)
	for patch in path.rglob("*.patch"):
		patch.write_bytes(text.replace("\n", "\r\n").encode())
	assert series.apply(kernel, _find(path, kernel)[0]) == wanted
	assert "te\rn" in kernel.git("cat-file", "blob", f"{wanted}:mm/migrate.c")


@pytest.mark.parametrize("there", [(1,), (2,), (1, 2), (1, 2, 3)])
def test_patches_that_are_there_are_not_applied_again(tmp_path, there):
	words = {1: "ten", 2: "twenty", 3: "thirty"}
	patches = {number: fakes.patch(number * 10, f"line {number * 10}", word) for number, word in words.items()}
	text = fakes.MIGRATE
	for number in there:
		text = text.replace(f"line {number * 10}\n", f"{words[number]}\n")
	tree = fakes.source(tmp_path / "7.3.4-2")
	fakes.write(tree, {"mm/migrate.c": text})
	kernels.import_tree(tree, "theirs")
	kernel = kernels.load(tree)
	commit = series.apply(kernel, _find(_series(tmp_path, *patches.values()), kernel)[0])
	made = kernel.git("cat-file", "blob", f"{commit}:mm/migrate.c")
	assert all(f"\n{word}\n" in made for word in words.values())
	assert int(kernel.git("rev-list", "--count", f"{kernel.base_commit}..{commit}")) == 3 - len(there)


def test_counts_hunks_by_file(tmp_path):
	path = tmp_path / "p"
	path.write_text("diff --git a/x.c b/x.c\n@@ -5,2 +5,2 @@\ndiff --git a/y.c b/y.c\n@@ -1 +1 @@\n@@ -5 +5 @@ f\n")
	assert series.hunk_at(path, "y.c", 5) == "hunk 2: @@ -5 +5 @@ f"


@pytest.mark.parametrize("text, why", [
	(fakes.patch(10, "line 10", "ten").replace("mm/migrate.c", "mm/none.c"), "mm/none.c: does not exist in index"),
	(fakes.patch(10, "line 10", "ten").replace("b/mm/migrate.c", "b/../../x"), r"invalid path|\.\./"),
	("no mail at all", "No valid patches in input"),
])
def test_other_reasons(kernel, tmp_path, text, why):
	chosen, _said = _find(_series(tmp_path, text), kernel)
	with pytest.raises(CannotJudge, match=f"0001-p.patch does not apply.*({why})"):
		series.apply(kernel, chosen)


def test_none_is_the_base(kernel, tmp_path):
	chosen, _said = _find(tmp_path / "patches", kernel, "none")
	assert series.apply(kernel, chosen) == kernel.base_commit and chosen.ids() == []


def test_unknown_series(kernel, tmp_path):
	with pytest.raises(UsageError, match="unknown series 'rcf'; there are: none, rfc"):
		_find(_series(tmp_path, fakes.patch(10, "line 10", "ten")), kernel, "rcf")


def test_other_base_is_taken_and_said(kernel, tmp_path):
	for base in ("6.12", "7.2"):
		patches = _series(tmp_path, fakes.patch(10, "line 10", "ten"), base=base)
	chosen, said = _find(patches, kernel)
	assert chosen.base == "7.2" and "no patches for 7.3: taking those for 7.2" in said


def test_patch_ids_ignore_the_order_of_files(tmp_path):
	parts = [f"diff --git a/{name} b/{name}\n--- a/{name}\n+++ b/{name}\n@@ -1 +1 @@\n-a\n+{name}\n"
		 for name in ("x.c", "y.c")]
	fakes.write(tmp_path, {"1.patch": "".join(parts), "2.patch": "".join(reversed(parts))})
	assert series.patch_id(tmp_path / "1.patch") == series.patch_id(tmp_path / "2.patch")


def test_patch_ids_ignore_line_numbers(kernel, tmp_path):
	text = fakes.patch(10, "line 10", "ten")
	one, other = (_find(_series(tmp_path, variant), kernel)[0].ids()[0].patch_id
		      for variant in (text, text.replace("@@ -7,7 +7,7 @@", "@@ -8,7 +8,7 @@")))
	assert one == other and len(one) == 40


def test_support_comes_before_every_series(kernel, tmp_path):
	patches = _series(tmp_path, fakes.patch(10, "ten", "ten and more"))
	fakes.write(tmp_path / "patches/support/7.3", {"0001-p.patch": fakes.patch(10, "line 10", "ten")})
	for name, line in (("rfc", "ten and more\n"), (series.NONE, "ten\n")):
		commit = series.apply(kernel, _find(patches, kernel, name)[0])
		assert line in kernel.git("cat-file", "blob", f"{commit}:mm/migrate.c")


def test_support_is_no_series(tmp_path):
	patches = _series(tmp_path, fakes.patch(10, "line 10", "ten"))
	fakes.write(tmp_path / "patches/support/7.3", {"0001-p.patch": fakes.patch(10, "line 10", "ten")})
	with pytest.raises(UsageError, match="there are: none, rfc$"):
		series.check_name(patches, series.SUPPORT)
