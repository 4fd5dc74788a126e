# SPDX-License-Identifier: GPL-2.0
"""Tell a judgement: to people, to mailing lists, to other programs. Nothing here decides anything."""

from .adapters import BISECT_SKIP, FORMS, Form, bisect_code
from .files import FILES, write_all
from .terminal import print_judgement

__all__ = ["BISECT_SKIP", "FILES", "FORMS", "Form", "bisect_code", "print_judgement", "write_all"]
