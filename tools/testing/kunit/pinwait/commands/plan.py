# SPDX-License-Identifier: GPL-2.0
"""`--dry-run`: print the stages of a subcommand and their commands, and run none of them."""

import shlex
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..kernel import build, profile, qemu
from ..source import patches, series, usertree
from ..gate.states import OBJECTS_ONLY, STUBS_PROFILE
from ..kernel.boot import Boot
from ..kernel.build import Built, Request
from ..kernel.profile import Profile
from ..source.options import Options
from ..source.store import Kernel, Store, tarball_name
from ..util.errors import UsageError
from ..util.progress import Progress
from ..util.project import CONFIGS


def tell(options: Options, profiles: Sequence[str], boots: str = "once") -> int:
	"""Print the stages of a run; return 0. boots says how often each profile's kernel is booted."""
	for stage, what in _stages(options, profiles, boots, options.build_root):
		print(f"{stage:>9}  {what}")
	return 0


def tell_gate(options: Options, sources: Sequence[str], profiles: Sequence[str], checks: Sequence[str]) -> int:
	"""Print the stages of a gate; return 0. Raises UsageError if the patches are not given as files."""
	if not sources:
		raise UsageError("--dry-run of a gate needs its patches as files")
	with tempfile.TemporaryDirectory(prefix="pinwait-") as scratch:
		given = patches.read(sources, Path(scratch)).patches
		for stage, what in _stages(options, profiles, "before and after each patch that reaches it", options.build_root / "gate"):
			print(f"{stage:>9}  {what}")
		for number, patch in enumerate(given, 1):
			print(f"{'judge':>9}  patch {number} of {len(given)}: {patch.subject}: {', '.join(checks)}")
	return 0


def _stages(options: Options, profiles: Sequence[str], boots: str, root: Path) -> Iterator[tuple[str, str]]:
	"""Yield each stage and its work."""
	kernel, how = _kernel(options)
	yield "kernel", how
	chosen = options.named_series or "as far as the tree has it"
	yield "apply", f"{options.series_root}/{series.SUPPORT}, series {chosen}, and the project's own sources, in {kernel.tree}"
	for name in profiles:
		request = Request(profile.load(CONFIGS, name), options.jobs, options.kconfig_add, options.make_options)
		obj = build.object_folder(root, kernel, request)
		arguments = [*series.promises(options.named_series or series.NONE), *options.kernel_args]
		boot = Boot(kernel, Built(obj, ""), request.profile, arguments, options.filter, options.timeout)
		yield "configure", shlex.join(build.configure_command(kernel, obj, request))
		if name in OBJECTS_ONLY:	# some objects are all that is compiled there
			continue
		yield "build", shlex.join(build.build_command(kernel, obj, request))
		if name != STUBS_PROFILE:
			yield "boot", f"{boots}{_machine(request.profile)}: {shlex.join(boot.command())}"
	yield "report", str(options.build_root / "results")


def _machine(chosen: Profile) -> str:
	"""Say which QEMU boots a profile's kernel, and where kunit.py finds the program that starts it."""
	if not chosen.qemu_config:
		return ""
	newer = f" {chosen.qemu_version} or newer" if chosen.qemu_version else ""
	return f", in QEMU{newer}, with {qemu.WRAPPERS} first in PATH"


def _kernel(options: Options) -> tuple[Kernel, str]:
	"""Return the kernel as it is or will be, and its origin."""
	kernels = options.build_root / "kernels"
	if options.kdir:
		tree = usertree.UserTree(Path(options.kdir))
		name = usertree.name_of(tree.path)
		return Kernel(name, kernels / name, "", "", ""), f"{tree.path}, which is only read"
	if options.tarball:
		name = tarball_name(Path(options.tarball))
		return Kernel(name, kernels / name, "", "", ""), f"unpack {options.tarball}, unless that is done already"
	for kernel in Store(options.build_root, Progress()).prepared():
		if kernel.fits(options.kernel):
			return kernel, f"{kernel.base}, the prepared kernel"
	return Kernel(options.kernel, kernels / options.kernel, "", "", ""), f"fetch and unpack the package linux-source-{options.kernel}"
