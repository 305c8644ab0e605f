"""A service that nobody waits for takes up a few records at once, many in portions."""

from __future__ import annotations

from services.chassis.pace import AT_ONCE_MAX, Pace


class Hands:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_first_few_turns_need_no_wait_and_those_after_them_come_at_the_pace() -> None:
    clock = Hands()
    pace = Pace(8.0, clock)
    turns = 0
    while clock.now < 10:
        wait = pace.wait_seconds()
        clock.now += wait
        pace.took(1)
        turns += 1
    assert AT_ONCE_MAX + 79 <= turns <= AT_ONCE_MAX + 81


def test_a_turn_that_found_nothing_does_not_count() -> None:
    pace = Pace(8.0, Hands())
    for _ in range(3 * AT_ONCE_MAX):
        pace.took(0)
    assert pace.wait_seconds() == 0


def test_after_a_quiet_time_the_first_few_need_no_wait_again_and_no_more_than_they() -> None:
    clock = Hands()
    pace = Pace(8.0, clock)
    for _ in range(AT_ONCE_MAX):
        pace.took(1)
    assert pace.wait_seconds() == 1 / 8
    clock.now = 3600
    for _ in range(AT_ONCE_MAX):
        assert pace.wait_seconds() == 0
        pace.took(1)
    assert pace.wait_seconds() == 1 / 8


def test_without_a_pace_no_turn_ever_waits() -> None:
    pace = Pace(None, Hands())
    for _ in range(1000):
        pace.took(1)
    assert pace.wait_seconds() == 0
