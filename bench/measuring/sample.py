"""One measurement of one target: what was done, and what it cost the service, PostgreSQL and the machine."""

import contextlib
import os
import resource
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from . import machine
from .target import Target


@dataclass
class Sample:
    """`result` is in the operation's own unit. Times are in milliseconds, processor time in microseconds a request."""

    result: float | None = None
    p50_ms: float | None = None
    p99_ms: float | None = None
    service_us: float | None = None
    postgres_us: float | None = None
    peak_mib: float | None = None
    growth_mib: float | None = None
    """How far memory rose above what was resident before."""
    failures: int = 0
    """Answers that were not as expected. A sample with any is never part of a median."""
    foreign_cores: float = 0.0
    """What else ran meanwhile: neither the target, nor PostgreSQL, nor the load, nor the kernel's threads."""
    foreign: Counter[str] = field(default_factory=Counter)
    remark: str = ""


@dataclass
class Cost:
    """Filled in when the observed work is over."""

    service_seconds: float = 0.0
    postgres_seconds: float = 0.0
    peak_mib: float = 0.0
    growth_mib: float = 0.0
    foreign_cores: float = 0.0
    foreign: Counter[str] = field(default_factory=Counter)

    def sample(self, requests: int, **measured: Any) -> Sample:
        """The sample of some work that was so many requests."""
        each = max(requests, 1) / 1e6
        return Sample(service_us=self.service_seconds / each, postgres_us=self.postgres_seconds / each,
                      peak_mib=self.peak_mib, growth_mib=self.growth_mib,
                      foreign_cores=self.foreign_cores, foreign=self.foreign, **measured)


def _load_seconds() -> float:
    """Processor time of this program and of the load generators that it ran."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


@contextlib.contextmanager
def observe(target: Target, patience_seconds: float, until_idle: bool = False) -> Iterator[Cost]:
    """Observes what a piece of work costs. Starts from a quiet machine whose disk has nothing left to write.

    With `until_idle` the cost includes what the service goes on doing after its last answer."""
    os.sync()
    machine.wait_until_quiet(patience_seconds)
    roots = [os.getpid(), target.pid, *([target.postgres_pid] if target.postgres_pid else [])]
    machine.reset_peak(target.pid)
    resident = machine.memory_mib(target.pid, "VmRSS")
    strangers, kernel = machine.strangers(roots), machine.kernel_seconds()
    service, postgres = machine.cpu_seconds(target.pid), machine.cpu_seconds(target.postgres_pid)
    busy, load, started = machine.busy_seconds(), _load_seconds(), time.monotonic()
    cost = Cost()
    yield cost
    if until_idle:
        machine.wait_until_idle(target.pid)
    elapsed = time.monotonic() - started
    cost.service_seconds = machine.cpu_seconds(target.pid) - service
    cost.postgres_seconds = machine.cpu_seconds(target.postgres_pid) - postgres
    known = (cost.service_seconds + cost.postgres_seconds + _load_seconds() - load
             + machine.kernel_seconds() - kernel)
    cost.foreign_cores = max(0.0, (machine.busy_seconds() - busy - known) / elapsed)
    cost.foreign = machine.ran_since(strangers, roots)
    cost.peak_mib = machine.memory_mib(target.pid, "VmHWM")
    cost.growth_mib = max(0.0, cost.peak_mib - resident)
