# SPDX-License-Identifier: GPL-2.0
"""riscv, for kunit.py --qemu_config: to configure a kernel that is not booted.  kunit.py's own wants the firmware, too."""

from ..qemu_config import QemuArchParams

QEMU_ARCH = QemuArchParams(linux_arch="riscv", kconfig="", qemu_arch="riscv64", kernel_path="vmlinux", kernel_command_line="",
			   extra_qemu_params=[])
