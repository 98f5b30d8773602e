"""How much one run may use, and what it is given of the environment."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """``wall_seconds`` bounds the whole run, and ``output_bytes`` is what is kept of stdout and stderr together.

    ``cpu_seconds``, ``memory_bytes`` and ``file_bytes`` (the size of one file) hold for each process of the run, as far as
    the system knows such a limit; ``processes`` is the number of processes and threads. In a sandbox, a run is also held to
    ``memory_bytes`` and ``processes`` by all of its processes together, root's too: looked at every 40 ms. ``disk_bytes``
    bounds all that a warm run in namespaces of its own writes; /dev/shm and temporary files are disk, though they lie in memory.
    ``pass_env`` names the variables of the environment that a run gets besides the few that it needs.
    """

    wall_seconds: float = 30
    cpu_seconds: int = 30
    memory_bytes: int = 2 * 1024**3
    output_bytes: int = 256 * 1024
    file_bytes: int = 64 * 1024**2
    processes: int = 128
    disk_bytes: int = 256 * 1024**2
    pass_env: tuple[str, ...] = ()
