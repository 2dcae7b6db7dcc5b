from __future__ import annotations

import json

import pytest

from ml_monitoring.exporter.inference.course import Course


def followed(differences: list[float]) -> Course:
    course = Course()
    for difference in differences:
        course.add(difference, 1.0)
    return course


def test_a_difference_that_is_always_the_same_has_not_changed() -> None:
    assert followed([1.0] * 100).change(100.0) is None


def test_no_difference_has_not_changed() -> None:
    assert followed([0.0] * 100).change(100.0) is None


def test_a_difference_that_began_is_known_by_two_replicates() -> None:
    change = followed([0.0] * 40 + [2.0] * 60).change(100.0)
    # Of 120 in 100 blocks the first 40 should have had 48.
    assert change is not None
    assert change.variance == pytest.approx(48.0**2 / 0.24)
    assert change.share == 0.4
    assert change.beyond == pytest.approx(48 / (100 * 0.24) ** 0.5)


def test_a_difference_that_ended_is_too() -> None:
    change = followed([-2.0] * 60 + [0.0] * 40).change(100.0)
    assert change is not None
    assert change.share == 0.6


def test_an_effect_that_grows_has_not_begun() -> None:
    assert followed([1.0] * 40 + [3.0] * 60).change(100.0) is None


def test_moments_are_bounded_and_the_change_is_found_among_them() -> None:
    course = followed([0.0] * 4000 + [2.0] * 6000)
    assert len(json.dumps(course.dump())) < 3000
    change = course.change(10_000.0)
    assert change is not None
    assert abs(change.share - 0.4) < 0.02


def test_a_course_is_read_back_and_goes_on() -> None:
    course = followed([0.0] * 90)
    loaded = Course.load(json.loads(json.dumps(course.dump())))
    for each in (course, loaded):
        for _ in range(90):
            each.add(2.0, 1.0)
    assert course.change(180.0) is not None
    assert loaded.change(180.0) == course.change(180.0)


def test_a_state_from_before_has_no_course() -> None:
    assert Course.load({}).change(1.0) is None
