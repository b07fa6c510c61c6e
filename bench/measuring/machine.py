"""The machine as /proc shows it: processor time and memory of process trees, what else runs, and what it is.

Processor time of a process counts its finished children too, so a tree's sum never falls."""

import os
import platform
import re
import time
from collections import Counter
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
KERNEL_THREADS_PARENT = 2


def _stat(pid: int) -> tuple[str, list[str]] | None:
    """A process's name and the fields of /proc/PID/stat from its state (field 3) on; None if it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    name, _, rest = text.partition("(")[2].rpartition(")")
    return name, rest.split()


def _processes() -> dict[int, tuple[str, list[str]]]:
    numbers = [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]
    return {pid: found for pid in numbers if (found := _stat(pid))}


def _seconds(fields: list[str]) -> float:
    """User and system time, own and of children that ended: fields 14 to 17."""
    return sum(map(int, fields[11:15])) / TICKS_PER_SECOND


def start_ticks(pid: int) -> int | None:
    """When a process started; with its number it names a process for good."""
    found = _stat(pid)
    return int(found[1][19]) if found else None


def process_tree(root: int) -> list[int]:
    """A process and its descendants."""
    children: dict[int, list[int]] = {}
    for pid, (_, fields) in _processes().items():
        children.setdefault(int(fields[1]), []).append(pid)
    tree = [root]
    for pid in tree:
        tree += children.get(pid, [])
    return tree


def cpu_seconds(root: int | None) -> float:
    """Processor time of a tree since its start."""
    found = [_stat(pid) for pid in process_tree(root)] if root else []
    return sum(_seconds(stat[1]) for stat in found if stat)


def memory_mib(root: int, field: str) -> float:
    """Sum over a tree of VmRSS (now) or VmHWM (the most since reset_peak) of /proc/PID/status."""
    total_kib = 0
    for pid in process_tree(root):
        try:
            found = re.search(rf"^{field}:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
        except OSError:
            continue
        total_kib += int(found[1]) if found else 0
    return total_kib / 1024


def reset_peak(root: int) -> None:
    """Makes VmHWM start again from what is resident now."""
    for pid in process_tree(root):
        Path(f"/proc/{pid}/clear_refs").write_text("5")


def busy_seconds() -> float:
    """Time in which processors were not idle, over all of them; stolen time counts as busy."""
    user, nice, system, _idle, _iowait, irq, softirq, steal = _cpu_line()
    return (user + nice + system + irq + softirq + steal) / TICKS_PER_SECOND


def kernel_seconds() -> float:
    """Processor time of the kernel's own threads: they write back the page cache of other processes."""
    return sum(_seconds(fields) for _, fields in _processes().values() if int(fields[1]) == KERNEL_THREADS_PARENT)


def _cpu_line() -> list[int]:
    return list(map(int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]))


def strangers(known_roots: list[int]) -> dict[tuple[int, str], float]:
    """Processor time, without that of children, of every user process outside some trees."""
    known = {pid for root in known_roots for pid in process_tree(root)}
    return {(pid, name): sum(map(int, fields[11:13])) / TICKS_PER_SECOND for pid, (name, fields) in _processes().items()
            if pid not in known and int(fields[1]) != KERNEL_THREADS_PARENT}


def ran_since(before: dict[tuple[int, str], float], known_roots: list[int]) -> Counter[str]:
    """Processor seconds by name of what ran beside the known trees. Misses processes that came and went."""
    ran: Counter[str] = Counter()
    for (pid, name), seconds in strangers(known_roots).items():
        ran[name] += seconds - before.get((pid, name), 0.0)
    return ran


def wait_until_quiet(patience_seconds: float, limit_cores: float = 0.25) -> bool:
    """Waits until less than `limit_cores` are busy for half a second; False when patience ran out first."""
    deadline = time.monotonic() + patience_seconds
    while True:
        before, started = busy_seconds(), time.monotonic()
        time.sleep(0.5)
        if (busy_seconds() - before) / (time.monotonic() - started) < limit_cores:
            return True
        if time.monotonic() > deadline:
            return False


def wait_until_idle(root: int, patience_seconds: float = 300) -> bool:
    """Waits until a tree has nothing left to do: work after the response belongs to the request that caused it."""
    deadline = time.monotonic() + patience_seconds
    while time.monotonic() < deadline:
        before = cpu_seconds(root)
        time.sleep(0.6)
        if cpu_seconds(root) - before < 0.05:
            return True
    return False


def filesystem(path: Path) -> str:
    """Type and device of the filesystem that holds a path."""
    found = ("?", "?", "")
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        mount, (kind, device) = line.split()[4], line.split(" - ")[1].split()[:2]
        if path.resolve().is_relative_to(mount) and len(mount) >= len(found[2]):
            found = (kind, device, mount)
    return f"{found[0]} on {found[1]}"


def facts(directory: Path) -> str:
    """One line about this machine."""
    model = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (f"{os.cpu_count()} cores ({model[1] if model else platform.machine()}), {memory_gib:.0f} GiB, "
            f"Linux {platform.release()}, {filesystem(directory)}")
