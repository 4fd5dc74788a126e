# SPDX-License-Identifier: GPL-2.0
# Read by the kernel's make beside its own makefiles: link UML's objects as they are now, some of them
# with gcov's counters, without compiling what the linked kernel lacks; the kernel itself stays.
.PHONY: pinwait-counted
pinwait-counted:
	+CFLAGS_vmlinux="$(CFLAGS_vmlinux) --coverage" $(CONFIG_SHELL) $(srctree)/scripts/link-vmlinux.sh "$(LD)" "$(KBUILD_LDFLAGS)" "$(LDFLAGS_vmlinux)" $@
