"""Passwords: the same work whoever asks, clients' addresses in turns, and what is full refuses."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import bcrypt
import pytest

from ml_monitoring.exporter.passwords import BusyError, Passwords

_USERS = {f"user{cost}": bcrypt.hashpw(b"right", bcrypt.gensalt(cost)).decode() for cost in (4, 5, 7)}


class Slow:
    """bcrypt that notes what it is asked, and waits until it may answer."""

    def __init__(self) -> None:
        self.asked: list[tuple[bytes, bytes]] = []
        self.may_answer = threading.Event()
        self._real = bcrypt.checkpw

    def checkpw(self, password: bytes, hashed: bytes) -> bool:
        self.asked.append((password, hashed))
        self.may_answer.wait(20)
        return self._real(password, hashed)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Slow]:
    slow = Slow()
    monkeypatch.setattr(bcrypt, "checkpw", slow.checkpw)
    yield slow
    slow.may_answer.set()


def taken(users: dict[str, str]) -> Passwords:
    result = Passwords()
    result.take(users)
    return result


@pytest.mark.parametrize("password", [b"right", b"wrong", b"", b"x" * 100])
def test_every_login_costs_as_much_as_that_of_the_dearest_user(slow: Slow, password: bytes) -> None:
    slow.may_answer.set()
    spent = {}
    for user in (*_USERS, "nobody", "", "user", "\x00"):
        asyncio.run(taken(_USERS).allow(user, password, "a"))
        spent[user] = sum(2 ** int(hashed[4:6]) for _, hashed in slow.asked)
        slow.asked.clear()
    assert set(spent.values()) == {2**7}


def test_a_right_password_is_verified_once_and_a_wrong_one_each_time(slow: Slow) -> None:
    slow.may_answer.set()

    async def scenario() -> list[bool]:
        users = taken({"u": _USERS["user4"]})
        given = [b"right", b"right", b"wrong", b"wrong", b"right"]
        return [await users.allow("u", password, "a") for password in given]

    assert asyncio.run(scenario()) == [True, True, False, False, True]
    assert [password for password, _ in slow.asked] == [b"right", b"wrong", b"wrong"]


def test_a_known_password_is_let_in_while_the_queue_is_full(slow: Slow) -> None:
    async def scenario() -> None:
        slow.may_answer.set()
        users = taken(_USERS)
        assert await users.allow("user7", b"right", "a")
        slow.may_answer.clear()
        waiting = [asyncio.create_task(users.allow("user4", b"x", "a")) for _ in range(200)]
        await asyncio.sleep(0)
        assert await users.allow("user7", b"right", "a")
        with pytest.raises(BusyError):
            await users.allow("user7", b"other", "a")
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    asyncio.run(scenario())


def test_another_address_has_its_turn_before_a_flood(slow: Slow) -> None:
    async def scenario() -> None:
        users = taken({"u": _USERS["user4"]})
        flood = [asyncio.create_task(users.allow("u", b"flood", "a")) for _ in range(100)]
        await asyncio.sleep(0)
        other = asyncio.create_task(users.allow("u", b"right", "b"))
        await asyncio.sleep(0)
        slow.may_answer.set()
        assert await other is True
        answers = await asyncio.gather(*flood, return_exceptions=True)
        assert {type(answer) for answer in answers} == {bool, BusyError}

    asyncio.run(scenario())
    # One was under way, and one of the flood may have come before.
    assert b"right" in [password for password, _ in slow.asked][:3]


def test_who_left_is_not_verified(slow: Slow) -> None:
    async def scenario() -> None:
        users = taken({"u": _USERS["user4"]})
        left = [asyncio.create_task(users.allow("u", b"left", f"{number}")) for number in range(20)]
        await asyncio.sleep(0)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        slow.may_answer.set()
        assert await users.allow("u", b"right", "b")

    asyncio.run(scenario())
    # The one that was under way already, at most.
    assert [password for password, _ in slow.asked][-1] == b"right"
    assert len(slow.asked) <= 2


@pytest.mark.parametrize("users", [{}, {"u": _USERS["user5"]}], ids=["removed", "changed"])
def test_a_user_who_is_removed_while_waiting_is_refused(slow: Slow, users: dict[str, str]) -> None:
    async def scenario() -> None:
        passwords_ = taken({"u": _USERS["user4"]})
        asked = asyncio.create_task(passwords_.allow("u", b"right", "a"))
        await asyncio.sleep(0)
        passwords_.take(users)
        slow.may_answer.set()
        assert await asked is False

    asyncio.run(scenario())


def test_a_hash_that_stays_needs_no_verifying_after_a_reload(slow: Slow) -> None:
    slow.may_answer.set()

    async def scenario() -> None:
        users = taken(_USERS)
        assert await users.allow("user4", b"right", "a")
        slow.asked.clear()
        users.take({"user4": _USERS["user4"]})
        assert await users.allow("user4", b"right", "a")

    asyncio.run(scenario())
    assert slow.asked == []
