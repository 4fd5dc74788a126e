# SPDX-License-Identifier: GPL-2.0
"""What patches are applied to is chosen by rule and said; states are what they should be."""

import io
import re
import shutil
from dataclasses import replace

import fakes
import pytest

from pinwait.gate import trailers
from pinwait.source import ground, lookup, patches, series, store, usertree
from pinwait.source.ground import Start
from pinwait.source.options import Options
from pinwait.util.errors import CannotJudge, UsageError
from pinwait.util.progress import Progress

ONE, TWO, OTHER = (fakes.patch(line, f"line {line}", f"changed {line}", f"change {line}") for line in (10, 20, 30))


@pytest.fixture(name="place")
def _place(tmp_path):
	"""A project with a series that changes line 30, and a prepared kernel."""
	project = tmp_path / "project"
	fakes.write(project, {"Kconfig.kunit": "config X\n", "mm/tests/a_kunit.c": "int a;\n", "mm/tests/Makefile": "\n",
			      "include/linux/ours.h": "\n"})
	fakes.write(tmp_path / "series", {"rfc/7.3/0001-x.patch": OTHER})
	fakes.prepared(tmp_path / "build/kernels/7.3.4-1")
	return Options(build_root=tmp_path / "build", series_dir=str(tmp_path / "series"))


def _submission(tmp_path, *texts):
	folder = tmp_path / "mails"
	folder.mkdir(exist_ok=True)
	(tmp_path / "in.mbox").write_text("".join(texts))
	(scratch := tmp_path / f"scratch-{len(list(tmp_path.iterdir()))}").mkdir()
	return patches.read([str(tmp_path / "in.mbox")], scratch)


def _try(options, submission, start=Start()):
	"""Return the choice, the states and line 10, 20 and 30 of each."""
	said = Progress(io.StringIO())
	with ground.chosen(options, start, submission, said) as base:
		states = ground.states(base, submission.patches, options.series_root.parent / "project")
		if states.failure:
			states.nearest = ground.nearest(base, options, submission.patches, said)
		texts = [base.kernel.git("show", f"{state}:mm/migrate.c").splitlines() for state in states.commits]
		ours = [base.kernel.git("show", f"{state}:mm/tests/a_kunit.c") for state in states.commits]
	return base, states, [[text[9], text[19], text[29]] for text in texts], ours


def test_prepared_kernel_and_series(place, tmp_path):
	base, states, texts, ours = _try(place, _submission(tmp_path, ONE, TWO))
	assert texts == [["line 10", "line 20", "changed 30"], ["changed 10", "line 20", "changed 30"],
			 ["changed 10", "changed 20", "changed 30"]]
	assert ours == ["int a;"] * 3 and not states.failure
	assert base.choice == ("base: fake 7.3.4, the prepared kernel", "series: rfc, the default")


def test_no_series_is_as_given(place, tmp_path):
	base, _, texts, _ = _try(replace(place, series="none"), _submission(tmp_path, ONE))
	assert texts[0] == ["line 10", "line 20", "line 30"]
	assert base.choice[1].startswith("series: none, as given")


def test_what_does_not_apply_names_the_hunk_and_a_nearer_base(place, tmp_path):
	_, states, texts, _ = _try(place, _submission(tmp_path, ONE, OTHER))
	assert "mm/migrate.c, hunk 1" in states.failure and len(texts) == 2
	assert states.nearest == "fake 7.3.4, series none (--series=none)"


def test_no_nearer_base(place, tmp_path):
	_, states, _, _ = _try(place, _submission(tmp_path, fakes.patch(20, "nowhere", "x")))
	assert states.failure and states.nearest == ""


def test_folder_of_series_without_the_default(place, tmp_path):
	(place.series_root / "rfc").rename(place.series_root / "own")
	_, states, _, _ = _try(replace(place, series="own"), _submission(tmp_path, fakes.patch(20, "nowhere", "x")))
	assert states.failure and states.nearest == ""


def test_patch_to_our_own_files(place, tmp_path):
	text = ONE.replace("mm/migrate.c", "mm/tests/a_kunit.c")
	head = text[:text.index("@@")]
	_, states, _, ours = _try(place, _submission(tmp_path, f"{head}@@ -1 +1 @@\n-int a;\n+int b;\n--\n2.39.5\n"))
	assert not states.failure and ours == ["int a;", "int b;"]


def _user(tmp_path):
	"""A developer's tree with two commits on its base."""
	tree = fakes.user_tree(tmp_path / "user")
	for line in (10, 20):
		text = (tree / "mm/migrate.c").read_text().replace(f"line {line}\n", f"changed {line}\n")
		(tree / "mm/migrate.c").write_text(text)
		fakes.git(tree, "commit", "-qam", f"change {line}")
	return tree


def test_head_of_a_tree(place, tmp_path):
	tree = _user(tmp_path)
	base, _, texts, _ = _try(replace(place, kdir=str(tree), series="none"), _submission(tmp_path, OTHER))
	assert texts[0] == ["changed 10", "changed 20", "line 30"]
	assert "its HEAD" in base.choice[0]


def test_base_commit_is_looked_up(place, tmp_path):
	tree = _user(tmp_path)
	old = fakes.git(tree, "rev-parse", "HEAD~2")
	other = ONE.replace("changed 10", "otherwise 10")	# the branch has another version of the patch
	base, _, texts, _ = _try(replace(place, kdir=str(tree)), _submission(tmp_path, other, f"\nbase-commit: {old}\n"))
	assert texts[0] == ["line 10", "line 20", "line 30"]
	assert base.choice[0] == f"base: {old[:12]}, named by base-commit:"


def test_base_commit_that_is_not_there(place, tmp_path):
	tree = _user(tmp_path)
	base, _, _, _ = _try(replace(place, kdir=str(tree)), _submission(tmp_path, OTHER, f"\nbase-commit: {'ab' * 20}\n"))
	assert base.choice[0] == f"base-commit: {'ab' * 20} is not in {tree}" and "its HEAD" in base.choice[1]
	base, _, _, _ = _try(place, _submission(tmp_path, ONE, f"\nbase-commit: {'ab' * 20}\n"))
	assert "cannot be looked up without a tree: give KDIR" in base.choice[0]


def test_patch_that_is_in_the_tree_already(place, tmp_path):
	tree = _user(tmp_path)
	base, states, texts, _ = _try(replace(place, kdir=str(tree)), _submission(tmp_path, TWO))
	assert not states.failure and texts[0][:2] == ["changed 10", "line 20"]
	assert base.choice[0].endswith(", the first patch")


@pytest.mark.parametrize("old, new, found", [
	("Why", "Why", True),
	("Subject: [PATCH] ", "Subject: [RFC PATCH v2] [mm]  ", True),
	("Subject: [PATCH] ", "Subject: [PATCH] another ", False),
	("a@localhost", "b@localhost", False),
	("mm/migrate.c", "mm/Makefile", False),
])
def test_patch_is_known_by_subject_author_and_a_file(place, tmp_path, old, new, found):
	tree = _user(tmp_path)
	mail = fakes.git(tree, "format-patch", "-1", "--stdout", "HEAD~1").replace("+changed 10", "+another version 10").replace(old, new) + "\n"
	base, _, texts, _ = _try(replace(place, kdir=str(tree), series="none"), _submission(tmp_path, mail))
	assert texts[0][:2] == (["line 10", "line 20"] if found else ["changed 10", "changed 20"])
	assert ("subject and author" in base.choice[0]) == found


def test_first_commit_of_a_history_is_no_patch(place, tmp_path):
	"""It holds the whole tree: to look for patches in it takes for ever."""
	tree = fakes.user_tree(tmp_path / "user")
	assert lookup.by_patch_id(usertree.UserTree(tree)) == {}


def test_uncommitted_change_is_a_patch(place, tmp_path):
	tree = _user(tmp_path)
	text = (tree / "mm/migrate.c").read_text().replace("line 40\n", "last line\n")
	(tree / "mm/migrate.c").write_text(text)
	user = usertree.UserTree(tree)
	assert user.uncommitted(staged=True) == ""
	(tmp_path / "x").mkdir()
	submission = patches.read_diff(user.uncommitted(staged=False), "x", tmp_path / "x")
	_, states, _, _ = _try(replace(place, kdir=str(tree), series="none"), submission, Start("HEAD", trusted=True))
	assert not states.failure and submission.patches[0].bare


def test_prerequisites(place, tmp_path):
	tree = _user(tmp_path)
	options = replace(place, kdir=str(tree), series="none")
	first = _submission(tmp_path, ONE).patches[0].patch_id
	submission = _submission(tmp_path, OTHER, f"\nprerequisite-patch-id: {first}\nprerequisite-patch-id: {'cd' * 20}\n")
	base, _, texts, _ = _try(options, submission, Start("HEAD~2"))
	assert texts[0] == ["changed 10", "line 20", "line 30"]
	assert f"prerequisite-patch-id: {'cd' * 20} is assumed to be in the given base" in base.choice
	assert base.choice[-1] == f"prerequisites: 1 commits of {tree} applied first"


@pytest.mark.parametrize("trailer", [f"prerequisite-patch-id: {'cd' * 20}", "prerequisite-message-id: <a@b>", "prerequisite-change-id: x-1:v2"])
def test_prerequisite_that_is_missing(place, tmp_path, trailer):
	with pytest.raises(CannotJudge, match=f"a prerequisite of these patches is missing .{trailer}"):
		_try(place, _submission(tmp_path, OTHER, f"\n{trailer}\n"))


def test_prerequisite_that_has_its_patch_ids(place, tmp_path):
	known = _submission(tmp_path, OTHER).patches[0].patch_id
	_try(place, _submission(tmp_path, ONE, f"\nprerequisite-change-id: x-1:v2\nprerequisite-patch-id: {known}\n"))


def test_what_comes_before_a_lone_patch(place, tmp_path):
	lone = _submission(tmp_path, TWO.replace("[PATCH]", "[PATCH 2/2]"))
	assert lone.missing == "patch 1 of 2 is missing" and not _try(place, lone)[0].precedes
	in_tree = replace(place, kdir=str(_user(tmp_path)))
	assert _try(in_tree, lone)[0].precedes
	other = _submission(tmp_path, OTHER.replace("[PATCH]", "[PATCH 2/2]"))
	assert not _try(replace(in_tree, series="none"), other)[0].precedes
	assert _try(replace(in_tree, series="none"), other, Start("HEAD"))[0].precedes


@pytest.mark.parametrize("name", ["rfc", "support"])
def test_prerequisite_that_the_project_applies(place, tmp_path, name):
	if name == "support":
		fakes.write(tmp_path / "series", {"support/7.3/0001-y.patch": OTHER, "rfc/7.3/0001-x.patch": TWO})
	known = _submission(tmp_path, OTHER).patches[0].patch_id
	base, _, _, _ = _try(place, _submission(tmp_path, ONE, f"\nprerequisite-patch-id: {known}\n"))
	assert not any("prerequisite" in line for line in base.choice)


def test_series_that_a_tree_has_already(place, tmp_path):
	tree = _user(tmp_path)
	text = (tree / "mm/migrate.c").read_text().replace("line 30\n", "changed 30\n")
	fakes.write(tree, {"mm/migrate.c": text})
	fakes.git(tree, "commit", "-qam", "the series")
	new = fakes.patch(38, "line 38", "changed 38").replace(" line 41\n", "").replace("-35,7 +35,7", "-35,6 +35,6")
	base, states, texts, _ = _try(replace(place, kdir=str(tree)), _submission(tmp_path, new))
	assert not states.failure and texts[0] == ["changed 10", "changed 20", "changed 30"]
	assert base.series.name == "rfc"
	assert base.choice[1:] == ("series: rfc, which the tree has", "already in the tree: rfc/7.3/0001-x.patch (its lines are there)")


def test_series_that_a_tree_has_by_its_history(place, tmp_path):
	tree = _user(tmp_path)
	for line in ("changed 30", "changed 30 again"):
		fakes.write(tree, {"mm/migrate.c": re.sub("(line|changed) 30.*", line, (tree / "mm/migrate.c").read_text())})
		fakes.git(tree, "commit", "-qam", line.replace("changed", "change"))
	commit = fakes.git(tree, "rev-parse", "--short", "HEAD~1")
	for name in ("", "rfc"):
		base, _, texts, _ = _try(replace(place, kdir=str(tree), series=name), _submission(tmp_path, fakes.patch(5, "line 5", "changed 5")))
		assert texts[0] == ["changed 10", "changed 20", "changed 30 again"] and base.series.name == "rfc"
		assert base.choice[-1] == f"already in the tree: rfc/7.3/0001-x.patch (its commit {commit})"


def test_tree_is_tested_as_it_is(place, tmp_path):
	tree = _user(tmp_path)
	base, _, texts, _ = _try(replace(place, kdir=str(tree)), _submission(tmp_path, OTHER))
	assert base.series.name == "none" and texts[0][2] == "line 30"
	assert base.choice[1:] == ("series: none, because your tree is tested as it is (SERIES=rfc applies rfc to it)",)
	base, _, texts, _ = _try(replace(place, kdir=str(tree), series="rfc"), _submission(tmp_path, fakes.patch(5, "line 5", "changed 5")))
	assert base.choice[1] == "series: rfc, as given" and texts[0][2] == "changed 30"


def _with(tmp_path, text, name="mm/migrate.c"):
	"""Return a developer's tree with another mm/migrate.c, or with that under another name."""
	tree = fakes.user_tree(tmp_path / "other")
	fakes.write(tree, {name: text})
	fakes.git(tree, "add", "-f", name)
	fakes.git(tree, "commit", "-qam", "other")
	return tree


@pytest.mark.parametrize("old, new", [("line 29\n", "other 29\n"), ("line 31\n", ""), ("line 31\n", "other 31\nmore\n"), ("line 28\nline 29\n", "")])
def test_patch_of_ours_is_merged_beside_what_a_tree_has_changed(place, tmp_path, old, new):
	text = fakes.MIGRATE.replace(old, new)
	tree = _with(tmp_path, text)
	options = replace(place, kdir=str(tree), series="rfc")
	for _ in range(2):		# the second time it is known
		base, states, _, _ = _try(options, _submission(tmp_path, ONE))
		assert base.kernel.git.text(f"{base.applied}:mm/migrate.c") == text.replace("line 30", "changed 30")
		assert base.choice[-1] == "merged: rfc/7.3/0001-x.patch in mm/migrate.c, by the difference of fake 7.3.4"
		assert not states.failure


def test_patch_of_ours_follows_a_file_that_was_renamed(tmp_path):
	text = "".join(f"row {number}\n" for number in range(60))
	for folder, name, content in (("build/kernels/7.3.4-1", "mm/folio.c", text), ("build/kernels/7.2.9-1", "mm/swap.c", text.replace("row 28\n", ""))):
		tree = fakes.source(tmp_path / folder)
		fakes.write(tree, {name: content, "mm/unchanged.c": text * 2})
		store.import_tree(tree, folder[-7:])
	patch = ("From: A <a@localhost>\nSubject: [PATCH] x\n\nWhy.\n---\ndiff --git a/mm/folio.c b/mm/folio.c\n--- a/mm/folio.c\n+++ b/mm/folio.c\n"
		 "@@ -28,6 +28,7 @@\n row 27\n row 28\n row 29\n+new\n row 30\n row 31\n row 32\n")
	fakes.write(tmp_path / "series", {"rfc/7.3/0001-x.patch": patch})
	old = store.load(tmp_path / "build/kernels/7.2.9-1")
	applied = series.choose(tmp_path / "series", "", old, Progress(io.StringIO()))
	assert old.git.text(f"{applied.commit}:mm/swap.c") == text.replace("row 28\n", "").replace("row 29\n", "row 29\nnew\n")
	assert applied.choice[-1] == "merged: rfc/7.3/0001-x.patch in mm/folio.c (here mm/swap.c), by the difference of 7.3.4-1"
	assert not old.git("ls-tree", applied.commit, "mm/folio.c")


def test_conflict_says_what_of_ours_conflicts_with_what(place, tmp_path):
	tree = _with(tmp_path, fakes.MIGRATE.replace("line 30\n", "other 30\nmore\n"))
	with pytest.raises(CannotJudge) as error:
		_try(replace(place, kdir=str(tree), series="rfc"), _submission(tmp_path, ONE))
	said = str(error.value)
	assert "rfc/7.3/0001-x.patch does not apply to KDIR at" in said and "mm/migrate.c, hunk 1: @@ -27,7 +27,7 @@" in said
	assert said.endswith("at line 30 the tree has `other 30`, `more` where the patch was made from `line 30`")


def test_what_does_not_apply_names_the_line_that_is_not_there(place, tmp_path):
	tree = _with(tmp_path, fakes.MIGRATE.replace("line 31\n", "other 31\n"))
	shutil.rmtree(place.build_root / "kernels/7.3.4-1")
	with pytest.raises(CannotJudge, match=r"hunk 1: .*, where the tree has no line `line 31` \(to get it merged, .* prepare --kernel=7\.3`"):
		_try(replace(place, kdir=str(tree), series="rfc"), _submission(tmp_path, ONE))


SUPPORT = {"support/7.3/0001-s.patch": fakes.patch(30, "line 30", "support 30", "support it")}


def test_patch_beside_what_is_put_on_a_tree_is_merged(place, tmp_path):
	fakes.write(tmp_path / "series", SUPPORT)
	tree = fakes.user_tree(tmp_path / "user")
	base, states, texts, _ = _try(replace(place, kdir=str(tree)), _submission(tmp_path, fakes.patch(29, "line 29", "changed 29"), ONE))
	assert not states.failure and [text[2] for text in texts] == ["support 30"] * 3 and texts[2][0] == "changed 10"
	assert "changed 29\nsupport 30" in base.kernel.git("show", f"{states.commits[1]}:mm/migrate.c")
	assert len(states.merged) == 1 and states.merged[0].startswith("merged: patch 1 with the project's patches on KDIR at")


def test_base_that_was_tried_is_not_called_a_nearer_one(place, tmp_path):
	"""The tree has the very files that the patch was made from, but ours change the same line."""
	fakes.write(tmp_path / "series", SUPPORT)
	tree = fakes.user_tree(tmp_path / "user")
	blob = fakes.git(tree, "rev-parse", "HEAD:mm/migrate.c")
	patch = OTHER.replace("--- a/mm", f"index {blob[:12]}..{'1' * 12} 100644\n--- a/mm")
	_, states, _, _ = _try(replace(place, kdir=str(tree)), _submission(tmp_path, patch))
	assert states.nearest == ""
	assert "it applies to KDIR at" in states.failure and "at line 30 the tree has `support 30` where" in states.failure


def test_default_that_does_not_go_on_a_prepared_kernel_is_left_out(place, tmp_path):
	fakes.write(tmp_path / "series", {"rfc/7.3/0001-x.patch": fakes.patch(30, "other 30", "changed 30")})
	base, states, _, _ = _try(place, _submission(tmp_path, ONE))
	assert base.series.name == "none" and not states.failure
	assert base.choice[1].startswith("series: rfc, the default, is left out: rfc/7.3/0001-x.patch does not apply to fake 7.3.4")
	with pytest.raises(CannotJudge, match="does not apply"):
		_try(replace(place, series="rfc"), _submission(tmp_path, ONE))


def test_series_that_does_not_apply_to_a_tree(place, tmp_path):
	tree = _user(tmp_path)
	fakes.write(tree, {"mm/migrate.c": "".join(f"other {number}\n" for number in range(40))})
	fakes.git(tree, "commit", "-qam", "other")
	options = replace(place, kdir=str(tree))
	new = ONE.replace(" line", " other").replace("-line", "-other")
	base, _, _, _ = _try(options, _submission(tmp_path, new))
	assert base.series.name == "none"
	with pytest.raises(CannotJudge, match="does not apply"):
		_try(replace(options, series="rfc"), _submission(tmp_path, new))


def test_nearer_commit_of_a_tree(place, tmp_path):
	tree = _user(tmp_path)
	text = fakes.git(tree, "format-patch", "-1", "--stdout", "HEAD~1").replace("changed 10", "otherwise 10") + "\n"
	text = text.replace("Subject: [PATCH] ", "Subject: [PATCH] another ")
	options = replace(place, kdir=str(tree), series="none")
	_, states, _, _ = _try(options, _submission(tmp_path, text))
	old = fakes.git(tree, "rev-parse", "HEAD~2")
	assert old[:12] in states.nearest and f"--base={old[:12]}" in states.nearest


def test_range(place, tmp_path):
	tree = _user(tmp_path)
	fakes.git(tree, "config", "diff.noprefix", "true")
	options = replace(place, kdir=str(tree), series="none")
	start, box, commits = ground.with_range(options, "HEAD~2..HEAD", tmp_path)
	assert fakes.git(tree, "rev-parse", *commits.split("..")) == fakes.git(tree, "rev-parse", "HEAD~2", "HEAD")
	_, _, texts, _ = _try(options, patches.read([box], tmp_path), start)
	assert texts == [["line 10", "line 20", "line 30"], ["changed 10", "line 20", "line 30"], ["changed 10", "changed 20", "line 30"]]


def test_range_with_a_mail_in_a_message(place, tmp_path):
	tree = _user(tmp_path)
	message = "change 40\n\nFrom somebody Mon Sep 17 10:00:00 2001\nFrom: a <a@b>\nSubject: b\n\nc"
	(tree / "mm/migrate.c").write_text((tree / "mm/migrate.c").read_text().replace("line 40\n", "changed 40\n"))
	fakes.git(tree, "commit", "-qam", message)
	_, box, _ = ground.with_range(replace(place, kdir=str(tree)), "HEAD~3..HEAD", tmp_path)
	found = patches.read([box], tmp_path, keep_cr=True).patches
	assert ([patch.subject for patch in found], found[2].message.strip()) == (["change 10", "change 20", "change 40"], message.partition("\n\n")[2])


@pytest.mark.parametrize("commits, error, why", [
	("HEAD", UsageError, "no range"), ("HEAD..HEAD", UsageError, "contains no commit"), ("none..HEAD", UsageError, "no commit none"),
	("HEAD~1..merged", CannotJudge, "holds 1 merges"),
])
def test_no_range(place, tmp_path, commits, error, why):
	tree = _user(tmp_path)
	fakes.git(tree, "checkout", "-qb", "side", "HEAD~2")
	fakes.git(tree, "commit", "-q", "--allow-empty", "-m", "side")
	fakes.git(tree, "checkout", "-qb", "merged", "-")
	fakes.git(tree, "merge", "-q", "--no-edit", "side")
	with pytest.raises(error, match=why):
		ground.with_range(replace(place, kdir=str(tree)), commits, tmp_path)


def test_fixes_tags(tmp_path):
	tree = _user(tmp_path)
	commit = fakes.git(tree, "rev-parse", "HEAD")
	for tag, wrong in ((f'{commit[:12]} ("change 20")', ""), (f'{commit[:12]} ("other")', "the subject of"),
			   (f'{commit[:8]} ("change 20")', "is not of the form"), (f'{"ab" * 6} ("x")', "no such commit")):
		found = trailers.fixes(f"Why.\n\nFixes: {tag}\n", str(tree))
		assert [wrong in item.text for item in found.values()] == ([True] if wrong else [])
	assert not trailers.fixes(f'Fixes: {"ab" * 6} ("x")\n', "")
