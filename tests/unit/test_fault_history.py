"""The check of a database's answers finds every kind of inconsistency."""

import itertools

import pytest

from faults.history import Operation, Outcome, Seen, problems

DONE, REFUSED, UNKNOWN = Outcome.DONE, Outcome.REFUSED, Outcome.UNKNOWN


def append(began: float, seen: str, wrote: str, outcome: Outcome = DONE) -> Operation:
    """Return an append that takes one second."""
    return Operation("list", began, began + 1, outcome, Seen.of_list(seen), wrote)


def read(began: float, seen: str) -> Operation:
    return Operation("list", began, began + 1, DONE, Seen.of_list(seen))


def swap(began: float, count: int, seen: str | None, wrote: str | None, outcome: Outcome = DONE) -> Operation:
    return Operation("register", began, began + 1, outcome, Seen(count, seen), wrote)


def of_list(final: str, *operations: Operation) -> list[str]:
    return problems(operations, {"list": Seen.of_list(final)})


def of_register(count: int, last: str | None, *operations: Operation) -> list[str]:
    return problems(operations, {"register": Seen(count, last)})


def only(found: list[str], beginning: str) -> None:
    assert found and all(each.startswith(beginning) for each in found), found


def test_answers_of_one_database_have_no_problems() -> None:
    assert not of_list(
        "abcd",
        append(0, "", "a"),
        append(0.5, "a", "b"),  # at the same time, but one came first
        append(2, "ab", "x", REFUSED),
        append(2, "ab", "c", UNKNOWN),
        Operation("list", 3, 4, REFUSED, None, "y"),
        append(4, "abc", "d"),
        append(6, "abcd", "z", UNKNOWN),
        read(0.2, ""),
        read(3, "abc"),
        read(9, "abcd"),
    )
    assert not of_register(
        3, "c", swap(0, 0, None, "a"), swap(2, 1, "a", "b", UNKNOWN), swap(2, 1, "a", "x", REFUSED),
        swap(4, 2, "b", "c"), swap(6, 3, "c", None), swap(6, 3, "c", "y", UNKNOWN), swap(0, 0, None, None),
    )  # fmt: skip


def test_a_lost_write_is_found() -> None:
    only(of_list("a", append(0, "", "a"), append(2, "a", "b")), "lost")
    only(of_list("", append(0, "", "a")), "lost")
    found = of_register(1, "a", swap(0, 0, None, "a"), swap(2, 1, "a", "b"))
    assert any(each.startswith("lost: done: b") for each in found), found


def test_a_write_that_was_refused_and_took_place_is_found() -> None:
    only(of_list("a", append(0, "", "a", REFUSED)), "there in spite of it")
    only(of_register(1, "a", swap(0, 0, None, "a", REFUSED)), "there in spite of it")


def test_a_duplicate_is_found() -> None:
    only(of_list("aa", append(0, "", "a")), "twice")


def test_an_element_that_nobody_wrote_is_found() -> None:
    only(of_list("a"), "no client wrote a")
    only(of_register(1, "a"), "no client wrote a")


def test_a_lost_update_is_found() -> None:
    """Two clients appended to the same state, and both were acknowledged."""
    only(of_list("ab", append(0, "", "a"), append(0, "", "b")), "twice, or not after what it saw but as element 1")


def test_a_fork_is_found() -> None:
    found = of_register(2, "c", swap(0, 0, None, "a"), swap(2, 1, "a", "b"), swap(2, 1, "a", "c"))
    only(found, "lost: done: b")


def test_a_register_that_returned_to_an_old_value_is_found() -> None:
    found = of_register(3, "c", swap(0, 0, None, "a"), swap(2, 1, "a", "b"), swap(4, 1, "a", "c"))
    assert any("stale" in each for each in found) and any("3 elements are counted" in each for each in found), found


def test_values_in_a_cycle_are_found() -> None:
    assert of_register(2, "b", swap(0, 1, "b", "a"), swap(2, 1, "a", "b"))


def test_a_different_order_is_found() -> None:
    found = of_list("ba", append(0, "", "a", UNKNOWN), append(0, "", "b", UNKNOWN), read(1, "a"))
    assert any(each.startswith("never was so: done: reading") for each in found), found


@pytest.mark.parametrize("stale", [read(3, ""), read(3, "a")])
def test_a_stale_read_is_found(stale: Operation) -> None:
    only(of_list("ab", append(0, "", "a"), append(1.5, "a", "b"), stale), "stale, for 2 elements were known")


def test_a_stale_read_of_a_register_is_found() -> None:
    only(of_register(1, "a", swap(0, 0, None, "a"), swap(2, 0, None, None)), "stale")


def test_a_read_that_is_older_than_another_one_is_found() -> None:
    """The element was not acknowledged, but a client had seen it."""
    only(of_list("a", append(0, "", "a", UNKNOWN), read(1, "a"), read(3, "")), "stale, for 1 elements were known")


def test_an_element_that_is_seen_before_it_is_written_is_found() -> None:
    only(of_list("a", read(0, "a"), append(5, "", "a", UNKNOWN)), "seen before it was written")


def test_the_order_of_reports_does_not_matter() -> None:
    operations = [append(0, "", "a"), append(2, "a", "b"), read(4, "ab"), read(5, "a")]
    found = {tuple(sorted(of_list("ab", *each))) for each in itertools.permutations(operations)}
    assert len(found) == 1 and len(found.pop()) == 1


def test_objects_are_checked_separately() -> None:
    operations = [append(0, "", "a"), swap(0, 0, None, "b")]
    assert not problems(operations, {"list": Seen.of_list("a"), "register": Seen(1, "b")})
    assert len(problems(operations, {"list": Seen.of_list(""), "register": Seen()})) == 2
