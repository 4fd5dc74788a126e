#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Note why cases skip in runs, given as their summary.json; make the tables of Documentation/profiles.md anew."""

import json
import sys
from pathlib import Path

from pinwait.kernel.profile import booted, expected_cases
from pinwait.report import skips
from pinwait.source import series
from pinwait.util.project import CONFIGS, PROJECT, SKIPS

if __name__ == "__main__":
	cases, profiles, reasons = expected_cases(CONFIGS), booted(CONFIGS), skips.load(SKIPS)
	reasons |= dict(skips.said(json.loads(Path(name).read_text(encoding="utf-8")), series.DEFAULT) for name in sys.argv[1:])
	ordered = {profile: reasons[profile] for profile in profiles if profile in reasons}
	SKIPS.write_text(skips.text_of(ordered, list(cases.cases.values())), encoding="utf-8")
	page = PROJECT / "Documentation/profiles.md"
	page.write_text(skips.documented(page.read_text(encoding="utf-8"), ordered, cases, profiles), encoding="utf-8")
	sys.exit("\n".join(skips.gaps(ordered, cases, profiles)) or 0)
