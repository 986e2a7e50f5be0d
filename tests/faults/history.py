"""Whether one single database, which never fails, could have told its clients what they were told.

All that is ever written is unique, and each thing that is written to, a list or a register, has one history: the
order in which its elements came. A list shows its whole history; of a register the swaps tell which value came after
which.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum


class Outcome(Enum):
    """What the client knows of its operation."""

    DONE = "done"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Seen:
    """A state: how many elements came until then, the last one, and all of them if it is a list's."""

    count: int = 0
    last: str | None = None
    elements: tuple[str, ...] | None = None

    @classmethod
    def of_list(cls, elements: Sequence[str]) -> "Seen":
        return cls(len(elements), elements[-1] if elements else None, tuple(elements))

    def fits(self, history: Sequence[str]) -> bool:
        """Whether the thing was ever in this state."""
        if self.elements is not None:
            return self.elements == tuple(history[: self.count])
        return self.last == (history[self.count - 1] if 0 < self.count <= len(history) else None)


@dataclass(frozen=True)
class Operation:
    """One transaction: it read the thing, and wrote something after what it saw unless it only reads."""

    thing: str
    began: float
    ended: float
    outcome: Outcome
    seen: Seen | None = None  # None: it never came so far
    wrote: str | None = None

    def __str__(self) -> str:
        where = f"{self.thing} at {self.began:.3f} to {self.ended:.3f} s"
        return f"{self.outcome.value}: {self.wrote or 'reading'} in {where}, seen {self.seen and self.seen.count}"


def problems(operations: Iterable[Operation], final: Mapping[str, Seen]) -> list[str]:
    """All that contradicts; *final* is what each thing is at last."""
    found: list[str] = []
    everything = list(operations)
    for thing, last in final.items():
        of_thing = [operation for operation in everything if operation.thing == thing]
        history = list(last.elements) if last.elements is not None else retrace(of_thing, last)
        found += [*_written(of_thing, history), *_read(of_thing, history), *_in_time(of_thing, history)]
        if len(history) != last.count:
            found.append(f"{thing}: {last.count} elements are counted, but {len(history)} lead to the last one")
    return found


def retrace(operations: Iterable[Operation], last: Seen) -> list[str]:
    """A register's history, from its last value back."""
    wrote = {operation.wrote: operation for operation in operations if operation.wrote is not None}
    history: list[str] = []
    value = last.last
    while value is not None and value not in history:
        history.append(value)
        operation = wrote.get(value)
        value = operation.seen.last if operation and operation.seen else None
    return history[::-1]


def _written(operations: Sequence[Operation], history: Sequence[str]) -> Iterator[str]:
    """Each element is there once if that was promised, not if it was refused, and right after what its writer saw."""
    wrote = {operation.wrote: operation for operation in operations if operation.wrote is not None}
    for index, element in enumerate(history):
        operation = wrote.get(element)
        if operation is None:
            yield f"nobody wrote {element}"
        elif operation.outcome is Outcome.REFUSED:
            yield f"there in spite of it: {operation}"
        elif operation.seen is not None and operation.seen.count != index:
            yield f"twice, or not after what it saw but as element {index}: {operation}"
    for element in wrote.keys() - set(history):
        if wrote[element].outcome is Outcome.DONE:
            yield f"lost: {wrote[element]}"


def _read(operations: Sequence[Operation], history: Sequence[str]) -> Iterator[str]:
    """What was seen is a state that was."""
    for operation in operations:
        if operation.outcome is Outcome.DONE and operation.seen is not None and not operation.seen.fits(history):
            yield f"never was so: {operation}"


def _in_time(operations: Sequence[Operation], history: Sequence[str]) -> Iterator[str]:
    """Who begins sees at least what others saw or wrote that had ended, and nothing of those that begin later."""
    done = [each for each in operations if each.outcome is Outcome.DONE and each.seen is not None]
    known, by_end = 0, iter(sorted(done, key=lambda each: each.ended))
    ended = next(by_end, None)
    begun = {each.wrote: each.began for each in operations if each.wrote is not None}
    for operation in sorted(done, key=lambda each: each.began):
        while ended is not None and ended.ended < operation.began:
            known = max(known, _count(ended) + (ended.wrote is not None))
            ended = next(by_end, None)
        if _count(operation) < known:
            yield f"stale, for {known} elements were known: {operation}"
        if operation.seen is not None and begun.get(operation.seen.last, operation.began) > operation.ended:
            yield f"seen before it was written: {operation}"


def _count(operation: Operation) -> int:
    return operation.seen.count if operation.seen is not None else 0
