# SPDX-License-Identifier: GPL-2.0
"""judgement.json: its schema, and that nothing is lost on the way there and back."""

import json

import pytest
from jsonschema import Draft202012Validator, ValidationError

import judgements
from pinwait.log.results import Outcome
from pinwait.report.judgement import SCHEMA, from_json, to_json


def _validate(content):
	schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
	Draft202012Validator.check_schema(schema)
	Draft202012Validator(schema).validate(content)


@pytest.mark.parametrize("name", judgements.ALL)
def test_fits_the_schema_and_comes_back_whole(name):
	judgement = judgements.ALL[name]()
	content = json.loads(json.dumps(to_json(judgement)))
	_validate(content)
	assert from_json(content) == judgement


def test_verdict_is_written_down():
	content = to_json(judgements.failing_case())
	assert content["verdict"]["first_failed"] == 2 and content["verdict"]["exit_code"] == 1
	assert [patch["outcome"] for patch in content["patches"]] == ["pass", "fail", "pass"]
	assert to_json(judgements.no_input())["verdict"] == {
		"outcome": "cannot-judge", "reason": "series.mbox: there is no patch in it", "exit_code": 2, "first_failed": None}


@pytest.mark.parametrize("spoil", [
	lambda content: content.update(more=1), lambda content: content.pop("tool"),
	lambda content: content.update(kind="summary"), lambda content: content.update(schema_version=1),
	lambda content: content["patches"][0].update(sha256="0"), lambda content: content.update(shard="0/2"),
	lambda content: content["patches"][1]["checks"][3]["findings"][0].update(change="old"),
	lambda content: content["patches"][1]["checks"][3]["findings"][0]["after"].update(boots=0),
	lambda content: content["patches"][1]["covered"][0]["missed"].append(0),
])
def test_schema_refuses_what_is_wrong(spoil):
	content = json.loads(json.dumps(to_json(judgements.failing_case())))
	_validate(content)
	spoil(content)
	with pytest.raises(ValidationError):
		_validate(content)


@pytest.mark.parametrize("spoil, error", [
	(lambda content: content.update(kind="summary"), ValueError), (lambda content: content.pop("before"), KeyError),
	(lambda content: content.update(more=1), TypeError),
])
def test_something_else_is_not_read(spoil, error):
	content = to_json(judgements.good())
	spoil(content)
	with pytest.raises(error):
		from_json(content)


def test_samples_are_what_they_say():
	outcomes = {name: make().outcome for name, make in judgements.ALL.items()}
	assert outcomes == {"good": Outcome.PASS, "broken_build": Outcome.FAIL, "failing_case": Outcome.FAIL,
			    "hostile": Outcome.FAIL, "cannot_judge": Outcome.CANNOT_JUDGE, "no_input": Outcome.CANNOT_JUDGE, "shard": Outcome.PASS}


def test_check_that_was_not_made_leaves_nothing_good():
	lacking = judgements.good(2)
	del lacking.patches[1].checks[2]
	assert lacking.outcome is Outcome.CANNOT_JUDGE
	assert lacking.reason.startswith("patch 2 of 2 cannot be judged ") and lacking.reason.endswith(": stubs: was not made")
	bad = judgements.failing_case()
	del bad.patches[0].checks[2]
	assert bad.outcome is Outcome.FAIL


@pytest.mark.parametrize("part", [{"shard": "2/3"}, {"only": 2}])
def test_part_speaks_of_what_fell_to_it(part):
	patches = judgements.good(3).patches
	patches[0].checks = patches[2].checks = []
	one = judgements.judgement(*patches, **part)
	assert [patch.number for patch in one.tried] == [2] and one.outcome is Outcome.PASS
	assert one.reason == "1 of 3 patches, no regression found by static, warnings, stubs, uml (638 cases)"
	assert judgements.judgement(*patches).outcome is Outcome.CANNOT_JUDGE


def test_shard_without_a_share_is_no_success():
	patches = judgements.good(1).patches
	patches[0].checks = []
	idle = judgements.judgement(*patches, shard="3/3")
	assert idle.outcome is Outcome.CANNOT_JUDGE and idle.reason == "this shard has no patch"


@pytest.mark.parametrize("number, total, subject, named", [
	(1, 1, "[PATCH 2/3] mm: x", "the patch"), (1, 1, "mm: x", "the patch"), (2, 3, "[PATCH v2 2/3] mm: x", "patch 2 of 3"),
	(1, 2, "[PATCH 2/3] mm: x", "patch 1 of the 2 given"), (2, 2, "mm: half [1/3] of it", "patch 2 of 2"), (2, 2, "mm: x", "patch 2 of 2"),
])
def test_patch_is_named_so_that_its_subject_does_not_contradict(number, total, subject, named):
	patches = [judgements.patch(one, "mm: other") for one in range(1, total + 1)]
	patches[number - 1] = judgements.patch(number, subject, judgements.check("uml", Outcome.FAIL, "bad"))
	assert judgements.judgement(*patches).reason == f"{named} fails ({subject}): uml: bad"
