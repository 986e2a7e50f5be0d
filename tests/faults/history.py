"""Decides whether the answers that clients got could come from a single database that never fails.

All written values are unique, and each object, a list or a register, has one history: the order of its elements. A
list shows its whole history; for a register, the swaps show which value followed which.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum


class Outcome(Enum):
    """What the client knows about the outcome of its operation."""

    DONE = "done"
    REFUSED = "refused"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Seen:
    """A state of an object: the number of its elements, the last one, and all of them for a list."""

    count: int = 0
    last: str | None = None
    elements: tuple[str, ...] | None = None

    @classmethod
    def of_list(cls, elements: Sequence[str]) -> "Seen":
        return cls(len(elements), elements[-1] if elements else None, tuple(elements))

    def fits(self, history: Sequence[str]) -> bool:
        """Whether the object was ever in this state."""
        if self.elements is not None:
            return self.elements == tuple(history[: self.count])
        return self.last == (history[self.count - 1] if 0 < self.count <= len(history) else None)


@dataclass(frozen=True)
class Operation:
    """One transaction: it read an object and, unless it is read-only, wrote an element after the state that it saw."""

    thing: str
    began: float
    ended: float
    outcome: Outcome
    seen: Seen | None = None  # None: the transaction did not get that far
    wrote: str | None = None

    def __str__(self) -> str:
        where = f"{self.thing} at {self.began:.3f} to {self.ended:.3f} s"
        return f"{self.outcome.value}: {self.wrote or 'reading'} in {where}, seen {self.seen and self.seen.count}"


def problems(operations: Iterable[Operation], final: Mapping[str, Seen]) -> list[str]:
    """Return all contradictions; *final* has the final states of the objects."""
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
    """Return a register's history, reconstructed backwards from its last value."""
    wrote = {operation.wrote: operation for operation in operations if operation.wrote is not None}
    history: list[str] = []
    value = last.last
    while value is not None and value not in history:
        history.append(value)
        operation = wrote.get(value)
        value = operation.seen.last if operation and operation.seen else None
    return history[::-1]


def _written(operations: Sequence[Operation], history: Sequence[str]) -> Iterator[str]:
    """Check that acknowledged elements are there once, refused ones are not, and each follows what its writer saw."""
    wrote = {operation.wrote: operation for operation in operations if operation.wrote is not None}
    for index, element in enumerate(history):
        operation = wrote.get(element)
        if operation is None:
            yield f"no client wrote {element}"
        elif operation.outcome is Outcome.REFUSED:
            yield f"there in spite of it: {operation}"
        elif operation.seen is not None and operation.seen.count != index:
            yield f"twice, or not after what it saw but as element {index}: {operation}"
    for element in wrote.keys() - set(history):
        if wrote[element].outcome is Outcome.DONE:
            yield f"lost: {wrote[element]}"


def _read(operations: Sequence[Operation], history: Sequence[str]) -> Iterator[str]:
    """Check that each state that was seen existed."""
    for operation in operations:
        if operation.outcome is Outcome.DONE and operation.seen is not None and not operation.seen.fits(history):
            yield f"never was so: {operation}"


def _in_time(operations: Sequence[Operation], history: Sequence[str]) -> Iterator[str]:
    """Check that an operation sees everything that earlier operations saw or wrote, and nothing of later ones."""
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
