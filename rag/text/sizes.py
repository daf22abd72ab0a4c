"""Sizes as people read them; the one rule for the commands, the screen, plans and charts.

Memory, main or of a graphics card, is told in GiB (2^30 bytes): a card that is sold with "24 GB"
has 24 GiB, the system's own tools count so, and ``--vram 24`` means that. Files, downloads and
speeds are told in GB (10^9 bytes), as the model hub, disk makers and NVIDIA's bandwidths are.
"""

from __future__ import annotations

GIB = 1 << 30
MIB = 1 << 20
_FILE_UNITS = (("GB", 1e9, 2), ("MB", 1e6, 0), ("kB", 1e3, 0))


def file_size(count: float) -> str:
    """Return the size of a file, a download, or what comes in a second.

    >>> file_size(1_117_320_768), file_size(512_000), file_size(12)
    ('1.12 GB', '512 kB', '12 B')
    """
    for unit, size, digits in _FILE_UNITS:
        if count >= size:
            return f"{count / size:.{digits}f} {unit}"
    return f"{count:.0f} B"


def memory_size(count: float) -> str:
    """Return an amount of memory; whole MiB where tenths of a GiB would say nothing.

    >>> memory_size(25_769_803_776), memory_size(512 << 20), memory_size(93 << 20)
    ('24.0 GiB', '0.5 GiB', '93 MiB')
    """
    return f"{gib(count)} GiB" if count >= GIB / 10 else f"{count / MIB:.0f} MiB"


def gib(count: float) -> str:
    """Return an amount of memory in GiB without the unit, where several share one.

    >>> gib(25_769_803_776)
    '24.0'
    """
    return f"{count / GIB:.1f}"
