# SPDX-License-Identifier: GPL-2.0
"""Shares cover everything once, and joined shares say what is missing."""

import copy
import io
import json
import os

import judgements
import pytest

from pinwait.commands import cli, merge
from pinwait.mutation import score
from pinwait.log.results import Outcome
from pinwait.report.judgement import from_json, to_json
from pinwait.report.terminal import print_judgement
from pinwait.source.options import Options
from pinwait.util.errors import UsageError
from pinwait.util.shard import Shard, units


@pytest.mark.parametrize("total, count", [(0, 3), (1, 3), (7, 3), (9, 3), (100, 7)])
def test_shares_cover_everything_once(total, count):
	items = list(range(total))
	for share in (Shard.block, Shard.spread):
		parts = [list(share(Shard(index, count), items)) for index in range(1, count + 1)]
		assert sorted(item for part in parts for item in part) == items
		assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "1/0", "a/b", "-1/2", "1/2/3"])
def test_no_shard(text):
	with pytest.raises(UsageError, match="no shard"):
		Shard.parse(text)


def _shards(whole, count):
	"""Take a judgement apart as shards would have made it."""
	parts = []
	for index in range(1, count + 1):
		here = set(Shard(index, count).block(units(whole.checks, len(whole.patches))))
		part = copy.deepcopy(whole)
		part.shard = f"{index}/{count}"
		for patch in part.patches:
			patch.checks = [check for check in patch.checks if (check.name, patch.number) in here]
		parts.append(part)
	return parts


def test_joined_is_the_whole():
	whole = judgements.failing_case()
	joined = merge.join_judgements(_shards(whole, 3), [])
	assert to_json(joined)["patches"] == to_json(whole)["patches"]
	assert joined.reason == whole.reason


def test_missing_share_cannot_be_judged():
	whole = judgements.good(4)
	parts = _shards(whole, 4)
	joined = merge.join_judgements(parts[:2] + parts[3:], [Shard(3, 4)])
	assert joined.outcome is Outcome.CANNOT_JUDGE and "shard 3/4 is missing" in joined.reason


def test_share_of_one_patch_alone():
	"""What a missing shard would have done is a share of the checks of that patch only."""
	whole = judgements.good(3)
	whole.only = 2
	for patch in whole.patches:
		patch.checks = patch.checks if patch.number == 2 else []
	parts = []
	for index in (1, 2):
		here = dict(Shard(index, 2).block(units(whole.checks, 3, 2)))
		part = copy.deepcopy(whole)
		part.shard, part.patches[1].checks = f"{index}/2", [check for check in whole.patches[1].checks if check.name in here]
		parts.append(part)
	assert to_json(merge.join_judgements(parts, []))["patches"] == to_json(whole)["patches"]
	joined = merge.join_judgements(parts[:1], [Shard(2, 2)])
	missing = [(patch.number, check.name) for patch in joined.patches for check in patch.checks if "is missing" in check.reason]
	assert missing == [(number, name) for name, number in Shard(2, 2).block(units(whole.checks, 3, 2))]
	assert joined.outcome is Outcome.CANNOT_JUDGE


def test_what_is_bad_stays_bad_without_a_share():
	parts = _shards(judgements.failing_case(), 4)
	joined = merge.join_judgements(parts[1:], [Shard(1, 4)])
	assert joined.outcome is Outcome.FAIL


@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1)])
@pytest.mark.parametrize("whole, outcome", [(judgements.failing_case, Outcome.FAIL), (judgements.good, Outcome.CANNOT_JUDGE)])
def test_the_order_of_shards_decides_nothing(order, whole, outcome):
	"""The first has no patches, for its disk was full before they were read; the last broke off."""
	parts = _shards(whole(), 3)
	parts[0].patches, parts[0].problem = [], "disk full"
	parts[2].problem = "disk full"
	joined = merge.join_judgements(parts[order], [])
	assert joined.outcome is outcome and "disk full" in joined.reason
	assert [patch.number for patch in joined.patches] == [patch.number for patch in whole().patches]


def test_of_one_check_the_worst_is_taken():
	parts = _shards(judgements.good(1), 2)
	doubt = copy.deepcopy(parts[0].patches[0].checks[0])
	doubt.outcome = Outcome.CANNOT_JUDGE
	parts[1].patches[0].checks.append(doubt)
	for order in (parts, parts[::-1]):
		assert merge.join_judgements(order, []).outcome is Outcome.CANNOT_JUDGE


@pytest.mark.parametrize("change", [{"base_commit": "cd" * 20}, {"series": "none"}, {"checks": ["static"]}, {"tool": "1235"}, {"only": 1}])
def test_shares_of_different_judgements(change):
	one, other = _shards(judgements.good(2), 2)
	for name, value in change.items():
		setattr(other, name, value)
	with pytest.raises(UsageError, match=next(iter(change))):
		merge.join_judgements([one, other], [])


def test_files(tmp_path, capsys):
	for index, part in enumerate(_shards(judgements.good(2), 2), 1):
		folder = tmp_path / f"part-{index}"
		folder.mkdir()
		(folder / "judgement.json").write_text(json.dumps(to_json(part)))
	options = Options(build_root=tmp_path)
	assert merge.merge(options, [str(tmp_path / "part-1"), str(tmp_path / "part-2")]) == 0
	assert from_json(json.loads((tmp_path / "results/latest/judgement.json").read_text())).shard == ""
	assert merge.merge(options, [str(tmp_path / "part-2")]) == 2
	assert "shard 1/2 is missing" in capsys.readouterr().out
	with pytest.raises(UsageError, match="more than once"):
		merge.merge(options, [str(tmp_path / "part-2"), str(tmp_path / "part-2" / "judgement.json"), str(tmp_path / "part-1")][:1]
			    + [str(_copy(tmp_path))])


def test_folder_that_is_removed_meanwhile(tmp_path, monkeypatch):
	folders = {_soak(tmp_path, index, 2) for index in (1, 2)}
	(tmp_path / "gone").mkdir()
	scandir = os.scandir
	monkeypatch.setattr(os, "scandir", lambda path: scandir("/nonexistent" if str(path).endswith("/gone") else path))
	assert {str(path.parent) for path in merge._files([str(tmp_path)])} == folders


def _cli(capsys, *words):
	"""Call the tool; return its exit code, standard output and standard error."""
	code = cli.main(["merge", *map(str, words)])
	said = capsys.readouterr()
	return code, said.out, said.err


def test_without_any_shard_nothing_can_be_judged(tmp_path, capsys):
	(tmp_path / "empty").mkdir()
	for name in ("nowhere", "empty", "shard-*.json"):
		code, out, err = _cli(capsys, f"--build-root={tmp_path}/build", tmp_path / name)
		assert (code, out) == (2, "") and "Errno" not in err and "Traceback" not in err
		assert err.endswith(f"pinwait: no result of a shard in {tmp_path / name}: no shard finished or wrote its results\n")


@pytest.mark.parametrize("spoil", [lambda path: path.unlink(), lambda path: path.write_text(""), lambda path: path.write_text('{"kind": "judg')])
@pytest.mark.parametrize("whole, lost, code", [(judgements.failing_case, 1, 1), (judgements.failing_case, 4, 2), (judgements.good, 1, 2)])
def test_shard_that_is_lost_or_spoilt_is_missing(tmp_path, capsys, whole, lost, code, spoil):
	files = [tmp_path / f"shard-{index}.json" for index in range(1, 5)]
	for file, part in zip(files, _shards(whole(), 4)):
		file.write_text(json.dumps(to_json(part)))
	spoil(files[lost - 1])
	got, out, err = _cli(capsys, f"--build-root={tmp_path}/build", *files)
	assert got == code and str(files[lost - 1]) in err and f"shard {lost}/4 is missing" in out


def test_url_of_the_report_is_that_of_the_whole(tmp_path, capsys):
	for index, part in enumerate(_shards(judgements.good(2), 2), 1):
		(tmp_path / f"{index}.json").write_text(json.dumps(to_json(part)))
	url = "https://ci.example.org/7/judgement.html"
	assert _cli(capsys, f"--build-root={tmp_path}/build", f"--report-url={url}", tmp_path / "1.json", tmp_path / "2.json")[0] == 0
	folder = tmp_path / "build/results/latest"
	checks = [entry["check"] for entry in json.loads((folder / "patchwork.json").read_text())]
	assert [check["target_url"] for check in checks] == [f"{url}#patch-1", f"{url}#patch-2"]
	assert json.loads((folder / "judgement.json").read_text())["report_url"] == url
	assert all(f'id="patch-{number}"' in (folder / "judgement.html").read_text() for number in (1, 2))
	assert {checkout["misc"]["report_url"] for checkout in json.loads((folder / "kcidb.json").read_text())["checkouts"]} == {url}
	for wrong in ("ci/7", "ftp://x/", "https://x y", f"https://x/{'y' * 180}"):
		assert _cli(capsys, f"--report-url={wrong}", tmp_path / "1.json")[0] == 64


def test_part_does_not_speak_for_the_whole():
	def last(what):
		stream = io.StringIO()
		print_judgement(what, stream)
		return stream.getvalue().splitlines()[-1]
	one, other = _shards(judgements.failing_case(), 2)
	assert last(one).startswith("this part, shard 1/2: pass: ") and last(other).startswith("this part, shard 2/2: fail: ")
	alone = judgements.good(2)
	alone.only, alone.patches[1].checks = 1, []
	assert last(alone).startswith("this part, patch 1 alone: pass: ") and last(judgements.good(2)).startswith("pass: ")


def _copy(tmp_path):
	folder = tmp_path / "again"
	folder.mkdir()
	(folder / "judgement.json").write_text((tmp_path / "part-2/judgement.json").read_text())
	return folder


def _soak(tmp_path, index, count, **more):
	folder = tmp_path / f"soak-{index}"
	folder.mkdir()
	(folder / "soak.json").write_text(json.dumps(
		{"kind": "soak", "shard": f"{index}/{count}", "boots": 10, "failures": 0, "differences": 0, "trace": "a"} | more))
	return str(folder)


@pytest.mark.parametrize("more, code, said", [
	({}, 0, "0 failures of 20"), ({"failures": 1}, 1, "1 failures of 20"), ({"trace": "b"}, 1, "2 different first boots"),
])
def test_soaks(tmp_path, capsys, more, code, said):
	parts = [_soak(tmp_path, 1, 2), _soak(tmp_path, 2, 2, **more)]
	assert merge.merge(Options(build_root=tmp_path), parts) == code
	assert said in capsys.readouterr().out


def test_second_merge_has_the_documented_name(tmp_path):
	options = Options(build_root=tmp_path)
	for number, failures in enumerate((1, 2, 3)):
		merge.merge(options, [_soak(tmp_path, number, 1, shard="", failures=failures)])
	found = {path.parent.name: json.loads(path.read_text(encoding="utf-8"))["failures"] for path in tmp_path.glob("results/merged-*/soak.json")}
	assert found == {"merged-soak": 3, "merged-soak-2": 1, "merged-soak-3": 2}
	assert (tmp_path / "results/latest").resolve().name == "merged-soak"


JOB = {"tool": "1234", "commit": "5678", "profile": "uml"}


@pytest.mark.parametrize("other, said", [({"tool": "1235"}, 'tool: "1234", "1235"'), ({"profile": "uml-smp"}, "profile"),
					 ({"stress": True}, "stress: null, true")])
def test_shards_of_another_job(tmp_path, other, said):
	parts = [_soak(tmp_path, 1, 2, job=JOB), _soak(tmp_path, 2, 2, job=JOB | other)]
	with pytest.raises(UsageError, match=f"not shards of one job: they differ in {said}"):
		merge.merge(Options(build_root=tmp_path), parts)


@pytest.mark.parametrize("content", ["", "{}", '{"kind": "x", "shard": ""}', '{"kind": "soak", "shard": "9/1"}', "[]"])
def test_what_is_no_share(tmp_path, content):
	(tmp_path / "soak.json").write_text(content)
	with pytest.raises(UsageError):
		merge.merge(Options(build_root=tmp_path), [str(tmp_path / "soak.json")])


def test_fates_of_generated_mutants_are_joined_in_the_order_in_which_they_were_drawn(tmp_path, capsys):
	job = {"series": "rfc", "kernel": "0.0", "profile": "uml", "seed": "s", "names": []}
	fates = [vars(score.Fate(name, "mm/a.c", "f", "o", "", 1, "killed", digest=digest)) for name, digest in
		 (("a", "1"), ("b", "2"), ("c", "3"), ("d", "1"), ("e", "4"))]
	for index in (2, 1):
		folder = tmp_path / str(index)
		folder.mkdir()
		content = {"kind": "generated", "shard": f"{index}/2", "job": job, "fates": fates[index - 1::2]}
		(folder / "generated.json").write_text(json.dumps(content), encoding="utf-8")
	assert merge.merge(Options(build_root=tmp_path), [str(tmp_path / "2"), str(tmp_path / "1")]) == 0
	whole = json.loads((tmp_path / "results/merged-generated/generated.json").read_text(encoding="utf-8"))
	assert [(fate["name"], fate["outcome"]) for fate in whole["fates"]] == [
		("a", "killed"), ("b", "killed"), ("c", "killed"), ("d", "duplicate"), ("e", "killed")]
	assert "4 of 4" in capsys.readouterr().out
	assert merge.merge(Options(build_root=tmp_path), [str(tmp_path / "1")]) == 2
	assert "shard 2/2 is missing" in capsys.readouterr().out
