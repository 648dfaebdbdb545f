"""System calls that sandboxed code is refused, as a filter for the kernel (classic BPF). x86-64 and 64-bit ARM.

Refused is what opens ways around the limits: new namespaces and mounts (a fresh tmpfs has no size limit), memory that
belongs to no process (memfd, System V), looking into other processes, and parts of the kernel known for their flaws.
"""

from __future__ import annotations

import errno
import platform
import struct

_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

_REFUSED = {
    # name: (x86-64, 64-bit ARM); numbers from the kernel's unistd tables
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsmount": (432, 432),
    "mount_setattr": (442, 442),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "shmget": (29, 194),
    "msgget": (68, 186),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
}
_CLONE = (56, 220)
_CLONE3 = 435
_NEW_NAMESPACES = 0x7E020000
"""CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET together."""
_X32_BIT = 0x40000000

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER_AT, _ARCH_AT, _FIRST_ARGUMENT_AT = 0, 4, 16
_ALLOW, _ERROR, _KILL = 0x7FFF0000, 0x00050000, 0x80000000


def is_supported() -> bool:
    """There is a filter for this machine's processor."""
    return platform.machine() in _AUDIT_ARCH


def system_call_filter() -> bytes:
    """The filter, as `bwrap --seccomp` reads it: an array of `struct sock_filter`."""
    machine = platform.machine()
    column = list(_AUDIT_ARCH).index(machine)
    numbers = [pair[column] for pair in _REFUSED.values()]
    checks = [
        (_LOAD, _ARCH_AT, "", ""),
        (_EQUAL, _AUDIT_ARCH[machine], "", "kill"),
        (_LOAD, _NUMBER_AT, "", ""),
        *([(_AT_LEAST, _X32_BIT, "refuse", "")] if machine == "x86_64" else []),
        # Its flags lie in memory, where no filter can look; C libraries then fall back to clone.
        (_EQUAL, _CLONE3, "unknown", ""),
        *((_EQUAL, number, "refuse", "") for number in numbers),
        (_EQUAL, _CLONE[column], "", "allow"),
        (_LOAD, _FIRST_ARGUMENT_AT, "", ""),
        (_ANY_BIT, _NEW_NAMESPACES, "refuse", "allow"),
    ]
    endings = {"allow": _ALLOW, "refuse": _ERROR | errno.EPERM, "unknown": _ERROR | errno.ENOSYS, "kill": _KILL}
    places = {name: len(checks) + index for index, name in enumerate(endings)}

    def jump(index: int, target: str) -> int:
        return places[target] - index - 1 if target else 0

    program = [
        struct.pack("=HBBI", code, jump(index, yes), jump(index, no), value)
        for index, (code, value, yes, no) in enumerate(checks)
    ]
    return b"".join([*program, *(struct.pack("=HBBI", _RETURN, 0, 0, value) for value in endings.values())])
