# SPDX-License-Identifier: Apache-2.0
"""The processors of the guests, and how they are emulated."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Processor:
    name: str         # as uname -m says it
    debian: str       # as Debian calls it
    emulator: tuple   # qemu's program, its machine and processor
    arguments: str    # to the kernel
    serial: tuple     # qemu's options for a serial line that goes to {path}; {id}: a name of its own

    def is_native(self):
        """Whether guests run this host's programs."""
        return self is X86_64

    def line(self, number, path):
        return [option.format(id=f"line{number}", path=path) for option in self.serial]


# On a busy host the kernel would take the emulated timer for broken.
X86_64 = Processor("x86_64", "amd64", ("qemu-system-x86_64", "-cpu", "max"), "no_timer_check",
                   ("-serial", "file:{path}"))
# Its own serial port is but one. Signing pointers as the architecture says costs more than all else.
AARCH64 = Processor("aarch64", "arm64",
                    ("qemu-system-aarch64", "-machine", "virt", "-cpu", "max,pauth-impdef=on"), "",
                    ("-chardev", "file,id={id},path={path}", "-device", "pci-serial,chardev={id}"))
