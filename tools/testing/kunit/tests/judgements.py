# SPDX-License-Identifier: GPL-2.0
"""Sample judgements that the tests of what tells them share."""

from pinwait.log.results import Outcome, PatchId
from pinwait.report.judgement import Change, Check, Covered, Finding, Judgement, PatchJudgement, Seen

CHECKS = ["static", "warnings", "stubs", "uml"]
CASES = {"pass": 638, "fail": 0, "skip": 0, "crash": 0, "missing": 0}
WAITS = "migrate_longterm_pin.transient_reference[shmem]"
COMMAND = "tools/testing/kunit/pinwait.py gate --kernel=7.3.4-1 --series=rfc --profiles=uml series.mbox"
# What a patch can bring into any text: markup, terminal control, KTAP, an XML end, b4's word, order reversed.
HOSTILE = ("<script>alert(1)</script> ]]> \033[31mred\033[0m \x00 \u202e # SKIP\nok 1 forged\n"
	   "not ok 2 forged\n1..9\n# Subtest: forged\nKTAP version 1\nreboot: System halted\nERROR: forged\n-- \nFrom: x")
CASE_TEXT = """\
    # transient_reference: EXPECTATION FAILED at mm/tests/migrate_longterm_pin_kunit.c:142
    Expected folio_migration_run(m) == 0, but
        folio_migration_run(m) == 1 (0x1)
    shmem: the reference was dropped after 40 ms, but migration failed after 0 ms"""
SPLAT_TEXT = """\
WARNING: CPU: 0 PID: 311 at mm/migrate.c:1612 migrate_pages_batch+0x4a1/0xb20
CPU: 0 UID: 0 PID: 311 Comm: kunit_try_catch Not tainted 7.3.4 #1 NONE
Call Trace:
 [<600c1f2a>] migrate_pages_batch+0x4a1/0xb20
 [<600c3b51>] migrate_pages+0x233/0x3e0
---[ end trace 0000000000000000 ]---"""
ERROR_TEXT = """\
mm/migrate.c:1204:9: error: implicit declaration of function 'folio_wait_refs'; did you mean 'folio_wait_bit'?
 1204 |         folio_wait_refs(src, timeout);
      |         ^~~~~~~~~~~~~~~
      |         folio_wait_bit"""


def found(kind: str, where: str, text: str, change: Change = Change.NEW, **more) -> Finding:
	"""Make a finding; only what is new is held against the patch."""
	return Finding(kind, f"{kind} {where}", change, **{"held": change is Change.NEW, **more}, text=text, where=where)


def failures(number: int) -> list[Finding]:
	"""Make as many failures that have nothing in common."""
	return [found("case", f"a.b{index}", "broke the " + "".join(chr(ord("a") + int(digit)) for digit in str(index)))
		for index in range(number)]


def check(name: str, outcome: Outcome = Outcome.PASS, reason: str = "nothing new", *findings: Finding, **more) -> Check:
	"""Make a check of which each patch has one."""
	profile = name.startswith("uml")
	fields = {"counts": dict(CASES) if profile else {}, "seconds": 8.25 if profile else 1.5, "log": f"patch-1/{name}",
		  "command": f"tools/testing/kunit/pinwait.py gate --kernel=7.3.4-1 --profiles={name} 0001.patch"}
	return Check(name, outcome, reason, list(findings), **(fields | more))


def patch(number: int, subject: str, *checks: Check, **more) -> PatchJudgement:
	"""Make a patch; the checks that are not given are good."""
	given = {one.name: one for one in checks}
	if "apply" not in given:
		given = {name: check(name) for name in CHECKS} | given
	fields = {"author": "A Developer <dev@example.org>", "file": "series.mbox", "sha256": f"{number:064x}",
		  "message_id": f"20261123-{number}@example.org", "patch_id": f"{number:040x}", "covered": [],
		  "mail_sha256": f"{number + 1000:064x}"}
	return PatchJudgement(number=number, subject=subject, checks=list(given.values()), **(fields | more))


def judgement(*patches: PatchJudgement, **more) -> Judgement:
	"""Make a judgement of patches."""
	fields = {"kernel": "7.3.4", "base": "linux-source-7.3 7.3.4-1 and the series rfc", "base_commit": "ab" * 20,
		  "choice": ["the patches name no base-commit", "none was given, so it is the prepared kernel and the series rfc"],
		  "series": "rfc", "before": [PatchId("0001-x.patch", "12" * 20)], "profiles": ["uml"], "checks": list(CHECKS),
		  "command": COMMAND, "started": "2026-11-23T21:00:00+00:00", "compiler": "gcc 12.2.0",
		  "isolation": "bubblewrap: no network, no other user's files", "seconds": {"base": 31.5, "build": 20.0, "total": 62.0},
		  "not_checked": ["sparse: not installed"], "tool": "cd" * 20}
	return Judgement(**(fields | more), patches=list(patches))


def good(total: int = 1) -> Judgement:
	"""Nothing new, with lines that were executed and one that was not; something old, and something repaired."""
	old = found("warning", "mm/folio.c:9", "mm/folio.c:9: warning: unused variable 'x'", Change.PRE_EXISTING)
	mended = found("warning", "mm/migrate.c:80", "mm/migrate.c:80: warning: unused variable 'y'", Change.FIXED)
	covered = [Covered("mm/migrate.c", [1190, 1191, 1192, 1200], [1204], [1210]), Covered("mm/folio.c", [7])]
	return judgement(*(patch(number, f"[PATCH {number}/{total}] mm/migrate: say how long to wait",
				 check("warnings", Outcome.PASS, "no new warning", old, mended), covered=covered)
			   for number in range(1, total + 1)))


def broken_build() -> Judgement:
	"""The first of two does not compile, and the second repairs that; on the way, style."""
	error = found("error", "mm/migrate.c:1204", ERROR_TEXT)
	style = found("checkpatch", "mm/migrate.c:1204", "WARNING: line length of 101 exceeds 100 columns\n#12: FILE: mm/migrate.c:1204",
		      held=False)
	return judgement(
		patch(1, "[PATCH v2 1/2] mm/migrate: wait for references",
		      check("static", Outcome.PASS, "1 remark on style", style),
		      check("warnings", Outcome.FAIL, "mm/migrate.c does not compile", error),
		      check("uml", Outcome.FAIL, "the kernel does not compile", error, counts={}), covered=None),
		patch(2, "[PATCH v2 2/2] mm/folio: add folio_wait_refs()",
		      check("warnings", Outcome.PASS, "1 error less", found("error", "mm/migrate.c:1204", ERROR_TEXT, Change.FIXED))))


def failing_case() -> Judgement:
	"""The second of three makes a case fail and another flake, the kernel warn, and a test weaker."""
	return judgement(
		patch(1, "[PATCH 1/3] mm/migrate: rename a variable"),
		patch(2, "[PATCH 2/3] mm/migrate: fail at once",
		      check("uml", Outcome.FAIL, "1 case fails and the kernel warns",
			    found("case", WAITS, CASE_TEXT, before=Seen(0, 5), after=Seen(5, 5)),
			    found("case", "migrate_longterm_users.fork", "timed out", before=Seen(0, 5), after=Seen(2, 5)),
			    found("splat", "migrate_longterm_pin.transient_reference", SPLAT_TEXT),
			    found("weakened", "mm/tests/migrate_fail_fast_kunit.c:71", "- KUNIT_EXPECT_EQ(test, result, 1);"),
			    found("case", "migrate_wakeup_key.balance", "key is 1", Change.PRE_EXISTING),
			    counts=CASES | {"pass": 636, "fail": 2}),
		      covered=[Covered("mm/migrate.c", [1612], [1613, 1614, 1615])]),
		patch(3, "[PATCH 3/3] mm/migrate: update a comment"))


def hostile() -> Judgement:
	"""As bad as a patch can word itself, everywhere."""
	return judgement(
		patch(1, f"[PATCH] {HOSTILE}",
		      check("uml", Outcome.FAIL, HOSTILE, found("case", HOSTILE, HOSTILE), found("splat", "", HOSTILE),
			    found("case", "old", HOSTILE, Change.PRE_EXISTING), log="../../etc"),
		      author=HOSTILE, file=HOSTILE, message_id=HOSTILE, covered=[Covered(HOSTILE, [1], [2], [3])]),
		base=HOSTILE, choice=[HOSTILE], command=HOSTILE, compiler=HOSTILE, not_checked=[HOSTILE], isolation="")


def cannot_judge() -> Judgement:
	"""The second of two does not apply."""
	return judgement(
		patch(1, "[PATCH 1/2] mm: good so far"),
		patch(2, "[PATCH 2/2] mm: made for another tree",
		      check("apply", Outcome.CANNOT_JUDGE, "does not apply: mm/migrate.c:1204",
			    log="patch-2/apply", counts={}), sha256="", covered=None),
		nearest="v7.2-rc3 (3 commits away)")


def no_input() -> Judgement:
	"""There was nothing to judge."""
	return judgement(problem="series.mbox: there is no patch in it", base="", base_commit="", kernel="", compiler="",
			 choice=[], seconds={})


def shard() -> Judgement:
	"""One share of three: a check of the second patch."""
	patches = [patch(number, f"[PATCH {number}/3] mm: x") for number in (1, 2, 3)]
	patches[0].checks = patches[2].checks = []
	del patches[1].checks[:3]
	return judgement(*patches, shard="2/3")


ALL = {"good": good, "broken_build": broken_build, "failing_case": failing_case, "hostile": hostile,
       "cannot_judge": cannot_judge, "no_input": no_input, "shard": shard}
