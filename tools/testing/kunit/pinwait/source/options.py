# SPDX-License-Identifier: GPL-2.0
"""The user's request, and the command line that repeats it."""

import os
import shlex
from dataclasses import dataclass, field
from pathlib import Path

from ..util import buildroot
from . import series
from ..util.outputs import Output
from ..util.project import PROGRAM, PROJECT


@dataclass
class Options:
	"""The user's request."""
	kernel: str = "7.3"
	tarball: str = ""
	kdir: str = ""
	series_dir: str = ""	# folder of series; "": the project's
	series: str = ""	# "": the default on a prepared kernel, the tree's own on KDIR
	mutant: str = ""	# name of a mutant of the corpus to apply
	profile: str = "uml"
	filter: str = ""
	jobs: int = field(default_factory=lambda: len(os.sched_getaffinity(0)))
	timeout: int = 0	# wall seconds; 0: the profile's
	kernel_args: list[str] = field(default_factory=list)
	kconfig_add: list[str] = field(default_factory=list)
	make_options: list[str] = field(default_factory=list)
	json: Output | None = None
	junit: Output | None = None
	results: str = ""	# folder for a copy of all results
	report_url: str = ""	# where the report will be published
	build_root: Path = buildroot.DEFAULT
	update: bool = False

	def reproduce(self, subcommand: str, kernel: str) -> str:
		"""Return the command line that reproduces the run; kernel is the chosen kernel."""
		words = self.source(subcommand, kernel)
		words += [f"--series={self.named_series}"] if self.named_series and subcommand != "prove" else []
		words += [f"--mutant={self.mutant}"] if self.mutant else []
		words += [f"--profile={self.profile}"]
		words += [f"--timeout={self.timeout}"] if self.timeout else []
		return shlex.join([*words, *self.passed_on(), *([self.filter] if self.filter else [])])

	def source(self, subcommand: str, kernel: str) -> list[str]:
		"""Return the words that call the tool for the chosen kernel."""
		words = [PROGRAM, subcommand]
		words += [f"--tarball={self.tarball}"] if self.tarball else []
		words += [f"--kdir={self.kdir}"] if self.kdir else []
		words += [] if self.tarball or self.kdir else [f"--kernel={kernel}"]
		return words + ([f"--series-dir={self.series_dir}"] if self.series_dir else [])

	def passed_on(self) -> list[str]:
		"""Return the options that are passed on to make and to the kernel."""
		return [f"--{name}={value}" for name in ("kernel_args", "kconfig_add", "make_options") for value in getattr(self, name)]

	@property
	def named_series(self) -> str:
		"""The series, "" if it depends on the tree."""
		return self.series or ("" if self.kdir else series.DEFAULT)

	@property
	def series_root(self) -> Path:
		"""The folder of series."""
		return Path(self.series_dir) if self.series_dir else PROJECT / "patches"
