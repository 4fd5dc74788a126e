# SPDX-License-Identifier: GPL-2.0
"""x86_64 under TCG, for kunit.py --qemu_config."""

from ..qemu_config import QemuArchParams

QEMU_ARCH = QemuArchParams(linux_arch="x86_64",
			   kconfig="CONFIG_SERIAL_8250=y\nCONFIG_SERIAL_8250_CONSOLE=y",
			   qemu_arch="x86_64-tcg",	# ../qemu has the program
			   kernel_path="vmlinux",	# through PVH: nothing has to be compressed
			   # Without ACPI no clocksource has a watchdog, and timers would stay as coarse as ticks.
			   kernel_command_line="console=ttyS0 nokaslr tsc=reliable panic=-1",
			   # A triple fault ends QEMU without a word; the event tells that it ended by itself.
			   extra_qemu_params=["-bios", "qboot.rom", "-trace", "vm_state_notify"])
