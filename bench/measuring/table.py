"""The comparison as a Markdown table: medians over rounds, and ratios of samples taken in the same round."""

import statistics
from collections import Counter
from collections.abc import Callable, Iterable

from .operations import Operation
from .sample import Sample

NOISY_CORES = 0.3
"""What else may run during a sample before it is marked."""

HEADER = """\
| work | target | result | p50 ms | p99 ms | CPU µs | PostgreSQL µs | peak RSS MiB | result to first | CPU to first |
|---|---|--:|--:|--:|--:|--:|--:|--:|--:|"""

Rounds = dict[str, list[Sample]]
"""The samples of one operation by the target's label, in the order of rounds."""


def rows(operation: Operation, rounds: Rounds) -> Iterable[str]:
    """One row a target."""
    first = next(iter(rounds.values()))
    for label, samples in rounds.items():
        good = [sample for sample in samples if _is_good(sample)]
        cells = [operation.title, label]
        if good:
            cells.append(_number(_median(good, lambda s: s.result)) + operation.unit)
            cells += [_cell(good, lambda s: s.p50_ms), _cell(good, lambda s: s.p99_ms)]
            cells += [_cell(good, lambda s: s.service_us), _cell(good, lambda s: s.postgres_us)]
            cells.append(_memory(good))
        else:
            cells += ["none", "", "", "", "", ""]
        if samples is first:
            cells += ["", ""]
        else:
            cells.append(_ratio(samples, first, lambda s: s.result))
            cells.append(_ratio(samples, first, lambda s: s.service_us))
        cells[2] += _mark(samples)
        yield "| " + " | ".join(cells) + " |"


def notes(operation: Operation, rounds: Rounds) -> Iterable[str]:
    """What a row cannot hold: failed rounds and remarks."""
    for label, samples in rounds.items():
        bad = [sample for sample in samples if sample.failures]
        if bad:
            answers = sum(sample.failures for sample in bad)
            yield (f"{operation.name}, {label}: **{len(bad)} of {len(samples)} rounds failed** "
                   f"({answers} wrong answers) and are in no median")
        for remark, count in Counter(sample.remark for sample in samples if sample.remark).items():
            yield f"{operation.name}, {label}: {remark}" + (f" ({count} rounds)" if count < len(samples) else "")


def _is_good(sample: Sample) -> bool:
    return sample.failures == 0 and sample.result is not None


def _mark(samples: list[Sample]) -> str:
    failed = sum(sample.failures > 0 for sample in samples)
    noisy = sum(sample.foreign_cores > NOISY_CORES for sample in samples)
    return (f" **failed {failed}/{len(samples)}**" if failed else "") + (f" ~{noisy}" if noisy else "")


def _median(samples: list[Sample], value: Callable[[Sample], float | None]) -> float | None:
    found = [number for sample in samples if (number := value(sample)) is not None]
    return statistics.median(found) if found else None


def _cell(samples: list[Sample], value: Callable[[Sample], float | None]) -> str:
    median = _median(samples, value)
    return "" if median is None else _number(median)


def _memory(samples: list[Sample]) -> str:
    peak, growth = _median(samples, lambda s: s.peak_mib), _median(samples, lambda s: s.growth_mib)
    return "" if peak is None or growth is None else f"{_number(peak)} (+{_number(growth)})"


def _ratio(samples: list[Sample], first: list[Sample], value: Callable[[Sample], float | None]) -> str:
    """Median and range of the ratios within rounds; rounds in which either side failed do not count."""
    pairs = [(value(one), value(other)) for one, other in zip(samples, first, strict=True)
             if _is_good(one) and _is_good(other)]
    ratios = [one / other for one, other in pairs if one and other]
    if not ratios:
        return ""
    return f"×{statistics.median(ratios):.2f} ({min(ratios):.2f}–{max(ratios):.2f})"


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
