#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""Make the tables of Documentation/coverage.md anew, of tools/testing/promises.toml."""

from pinwait.mutation import promises
from pinwait.util.project import PROJECT, PROMISES

if __name__ == "__main__":
	page = PROJECT / "Documentation/coverage.md"
	page.write_text(promises.documented(page.read_text(encoding="utf-8"), promises.load(PROMISES)), encoding="utf-8")
