"""Passwords: the same work for every user, clients' addresses in turns, and what is full refuses."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator

import bcrypt
import pytest

from ml_monitoring.exporter.passwords import BusyError, Passwords

_USERS = {f"user{cost}": bcrypt.hashpw(b"right", bcrypt.gensalt(cost)).decode() for cost in (4, 5, 7)}


class Slow:
    """bcrypt that notes what it is asked, and waits until it may answer."""

    def __init__(self) -> None:
        self.asked: list[tuple[bytes, bytes]] = []
        self.may_answer = threading.Event()
        self._is_asked = threading.Event()
        self._real = bcrypt.checkpw

    def checkpw(self, password: bytes, hashed: bytes) -> bool:
        self.asked.append((password, hashed))
        self._is_asked.set()
        self.may_answer.wait(20)
        return self._real(password, hashed)

    async def hold(self, login: Coroutine[None, None, bool]) -> asyncio.Task[bool]:
        """Answer no more, and return a login that the thread has taken out of the queue."""
        self.may_answer.clear()
        self._is_asked.clear()
        task = asyncio.create_task(login)
        assert await asyncio.to_thread(self._is_asked.wait, 20)
        return task


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Slow:
    slow = Slow()
    monkeypatch.setattr(bcrypt, "checkpw", slow.checkpw)
    return slow


Taken = Callable[[dict[str, str]], Passwords]


@pytest.fixture
def taken(slow: Slow) -> Iterator[Taken]:
    """Give passwords of users; their threads end with the test, so that none verifies within another one."""
    made = []

    def take(users: dict[str, str]) -> Passwords:
        made.append(Passwords())
        made[-1].take(users)
        return made[-1]

    yield take
    slow.may_answer.set()
    for each in made:
        assert each.close(patience=20)


@pytest.mark.parametrize("password", [b"right", b"wrong", b"", b"x" * 100])
def test_every_login_costs_as_much_as_that_of_the_dearest_user(slow: Slow, taken: Taken, password: bytes) -> None:
    slow.may_answer.set()
    spent = {}
    for user in (*_USERS, "nobody", "", "user", "\x00"):
        asyncio.run(taken(_USERS).allow(user, password, "a"))
        spent[user] = sum(2 ** int(hashed[4:6]) for _, hashed in slow.asked)
        slow.asked.clear()
    assert set(spent.values()) == {2**7}


def test_a_right_password_is_verified_once_and_a_wrong_one_each_time(slow: Slow, taken: Taken) -> None:
    slow.may_answer.set()

    async def scenario() -> list[bool]:
        users = taken({"u": _USERS["user4"]})
        given = [b"right", b"right", b"wrong", b"wrong", b"right"]
        return [await users.allow("u", password, "a") for password in given]

    assert asyncio.run(scenario()) == [True, True, False, False, True]
    assert [password for password, _ in slow.asked] == [b"right", b"wrong", b"wrong"]


def test_a_known_password_is_let_in_while_the_queue_is_full(slow: Slow, taken: Taken) -> None:
    async def scenario() -> None:
        slow.may_answer.set()
        users = taken(_USERS)
        assert await users.allow("user7", b"right", "a")
        waiting = [await slow.hold(users.allow("user4", b"x", "a"))]
        waiting += [asyncio.create_task(users.allow("user4", b"x", "a")) for _ in range(200)]
        await asyncio.sleep(0)
        assert await users.allow("user7", b"right", "a")
        with pytest.raises(BusyError):
            await users.allow("user7", b"other", "a")
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    asyncio.run(scenario())


def test_another_address_has_its_turn_before_a_flood(slow: Slow, taken: Taken) -> None:
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


def test_addresses_of_one_network_are_one_client(slow: Slow, taken: Taken) -> None:
    async def scenario() -> None:
        users = taken({"u": _USERS["user4"]})
        flood = [asyncio.create_task(users.allow("u", b"flood", f"2001:db8::{number:x}%eth0")) for number in range(100)]
        await asyncio.sleep(0)
        others = [asyncio.create_task(users.allow("u", b"right", one)) for one in ("2001:db8:0:1::1", "192.0.2.1")]
        await asyncio.sleep(0)
        slow.may_answer.set()
        assert await asyncio.gather(*others) == [True, True]
        await asyncio.gather(*flood, return_exceptions=True)

    asyncio.run(scenario())
    assert [password for password, _ in slow.asked][:5].count(b"right") == 2


def test_a_known_password_is_let_in_while_more_networks_flood_than_the_queue_has_places(
    slow: Slow, taken: Taken
) -> None:
    async def scenario() -> None:
        slow.may_answer.set()
        users = taken({"u": _USERS["user4"]})
        assert await users.allow("u", b"right", "192.0.2.1")
        flood = [await slow.hold(users.allow("u", b"flood", "198.51.100.200"))]
        flood += [asyncio.create_task(users.allow("u", b"flood", f"198.51.100.{number}")) for number in range(100)]
        await asyncio.sleep(0)
        assert await users.allow("u", b"right", "192.0.2.1")
        # Nobody can tell a new client from the flood.
        with pytest.raises(BusyError):
            await users.allow("u", b"other", "192.0.2.1")
        slow.may_answer.set()
        await asyncio.gather(*flood, return_exceptions=True)
        assert not await users.allow("u", b"other", "192.0.2.1")

    asyncio.run(scenario())


def test_who_left_is_not_verified(slow: Slow, taken: Taken) -> None:
    async def scenario() -> None:
        users = taken({"u": _USERS["user4"]})
        left = [asyncio.create_task(users.allow("u", b"left", "b")) for _ in range(100)]
        await asyncio.sleep(0)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        # Their places are free before anything is verified.
        right = asyncio.create_task(users.allow("u", b"right", "b"))
        await asyncio.sleep(0)
        slow.may_answer.set()
        assert await right

    asyncio.run(scenario())
    # The one that was under way already, at most.
    assert [password for password, _ in slow.asked][-1] == b"right"
    assert len(slow.asked) <= 2


# Alone an address has the whole queue, beside three others a quarter of it.
@pytest.mark.parametrize(("addresses", "before"), [("a", 25), ("abcd", 5)])
def test_logins_of_one_address_that_wait_are_verified_in_order_and_only_the_newest_is_refused(
    slow: Slow, taken: Taken, addresses: str, before: int
) -> None:
    async def scenario() -> list[object]:
        users = taken({"u": _USERS["user4"]})
        given = [b"flood"] * before + [b"right"] + [b"flood"] * 5
        early = [asyncio.create_task(users.allow("u", password, "a")) for password in given]
        await asyncio.sleep(0)
        # More of its own address and of others come, whose turns are in between.
        late = [asyncio.create_task(users.allow("u", b"late", address)) for address in addresses * 50]
        await asyncio.sleep(0)
        slow.may_answer.set()
        await asyncio.gather(*late, return_exceptions=True)
        return list(await asyncio.gather(*early, return_exceptions=True))

    answers = asyncio.run(scenario())
    assert answers[: before + 1] == [False] * before + [True]
    assert [password for password, _ in slow.asked if password != b"late"].index(b"right") == before


def test_who_waits_when_it_is_closed_is_refused_and_the_thread_ends(slow: Slow, taken: Taken) -> None:
    async def scenario() -> list[object]:
        users = taken(_USERS)
        waiting = [asyncio.create_task(users.allow("user4", b"right", "a")) for _ in range(5)]
        # A thread asks.
        while not slow.asked:
            await asyncio.sleep(0.001)
        assert not users.close()
        slow.may_answer.set()
        answers = await asyncio.gather(*waiting, users.allow("user4", b"right", "a"), return_exceptions=True)
        assert users.close(patience=20)
        return list(answers)

    assert {type(answer) for answer in asyncio.run(scenario())} == {BusyError}
    # Of four hashes that make all work equal, the one that was under way.
    assert len(slow.asked) == 1


@pytest.mark.parametrize("users", [{}, {"u": _USERS["user5"]}], ids=["removed", "changed"])
def test_a_user_who_is_removed_while_waiting_is_refused(slow: Slow, taken: Taken, users: dict[str, str]) -> None:
    async def scenario() -> None:
        passwords_ = taken({"u": _USERS["user4"]})
        asked = asyncio.create_task(passwords_.allow("u", b"right", "a"))
        await asyncio.sleep(0)
        passwords_.take(users)
        slow.may_answer.set()
        assert await asked is False

    asyncio.run(scenario())


def test_a_hash_that_stays_needs_no_verifying_after_a_reload(slow: Slow, taken: Taken) -> None:
    slow.may_answer.set()

    async def scenario() -> None:
        users = taken(_USERS)
        assert await users.allow("user4", b"right", "a")
        slow.asked.clear()
        users.take({"user4": _USERS["user4"]})
        assert await users.allow("user4", b"right", "a")

    asyncio.run(scenario())
    assert slow.asked == []
