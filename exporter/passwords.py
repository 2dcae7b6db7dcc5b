"""Passwords against bcrypt hashes: on a thread of its own, in turns, and the same work for every user.

Verifying costs a tenth of a second on purpose, so that a flood of wrong passwords must not take what all else runs on.
A right password is remembered and costs nothing again; the others wait in a short queue, clients' addresses in turns.
Who floods from more networks than the queue has places keeps new logins out, until it stops; known ones go on.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import secrets
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import Final

import bcrypt

# bcrypt reads no more of a password than this, and its newer releases raise instead of cutting.
_LIMIT: Final = 72
# One thread does twenty a second at bcrypt's usual cost, so that nobody waits longer than a second or two.
_QUEUE: Final = 32


class BusyError(Exception):
    """Report that too many passwords wait to be verified."""


@dataclass(frozen=True, slots=True)
class _Question:
    """A login to verify."""

    address: str
    password: bytes
    hashes: tuple[bytes, ...]
    answer: asyncio.Future[bool]


class Passwords:
    """Verifies users' passwords."""

    def __init__(self) -> None:
        self._users: dict[str, str] = {}
        self._highest = 0
        # Nobody who reads this process's memory later finds a digest that can be tried elsewhere.
        self._key = secrets.token_bytes(32)
        # One right password each, so that it is bounded by the users.
        self._right: dict[str, bytes] = {}
        self._queue = _Queue()

    def take(self, users: Mapping[str, str]) -> None:
        """Take the bcrypt hash of each user's password; right ones of hashes that stay need not be verified again."""
        self._right = {user: digest for user, digest in self._right.items() if users.get(user) == self._users[user]}
        self._users = dict(users)
        self._highest = max(map(_cost, self._users.values()), default=0)

    def close(self, patience: float = 0.0) -> bool:
        """Refuse who waits, now and later, and wait so many seconds for the hash that is under way.

        Returns:
            Whether the thread has ended.
        """
        return self._queue.close(patience)

    async def allow(self, user: str, password: bytes, address: str) -> bool:
        """Tell whether this is the user's password.

        Args:
            user: Name, which need not be known.
            password: As it was sent.
            address: Of the client, whose logins wait in line behind each other.

        Raises:
            BusyError: Too many wait already, or it was closed.
        """
        password = password[:_LIMIT]
        digest = hmac.digest(self._key, password, hashlib.sha256)
        known = self._right.get(user)
        if known is not None and hmac.compare_digest(known, digest):
            return True
        # bcrypt ends at a NUL, or refuses it: no password holds one, known user or not.
        if b"\0" in password:
            return False
        hashed = self._users.get(user)
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        right = await self._queue.put(_Question(_client(address), password, tuple(self._work(hashed)), answer))
        # The user may have been removed, or given another password, in the meantime.
        if not right or hashed is None or self._users.get(user) != hashed:
            return False
        self._right[user] = digest
        return True

    def _work(self, hashed: str | None) -> Iterator[bytes]:
        """Yield the hashes to compare with: the user's own first, then as many that fit nothing as make all work equal.

        A cost of n is 2 ** n rounds; after a user's own cost c those of c, c + 1, ... up to the highest are missing.
        """
        if hashed is None:
            yield _decoy(self._highest)
            return
        yield hashed.encode()
        for cost in range(_cost(hashed), self._highest):
            yield _decoy(cost)


class _Queue:
    """A thread that verifies, and what waits for it.

    Clients' addresses take turns, and logins of one address are verified in the order in which they came. Where the
    queue is full, the newest of the longest line is refused: what is within its address's share of the queue is
    verified after at most a round of all addresses for each one before it. Where each address has one waiting and there
    is no room for another, every newcomer is refused.
    """

    def __init__(self) -> None:
        self._waiting: OrderedDict[str, deque[_Question]] = OrderedDict()
        self._condition = threading.Condition()
        self._size = 0
        self._closed = False
        self._current: _Question | None = None
        self._thread: threading.Thread | None = None

    async def put(self, question: _Question) -> bool:
        """Return the answer to a question, which is dropped when the one who asks is gone."""
        with self._condition:
            if self._closed or (self._size >= _QUEUE and not self._drop(question.address)):
                raise BusyError
            self._waiting.setdefault(question.address, deque()).append(question)
            self._size += 1
            if self._thread is None:
                # A daemon: a hash of a cost that takes hours must not keep the process from its end.
                self._thread = threading.Thread(target=self._run, name="passwords", daemon=True)
                self._thread.start()
            self._condition.notify()
        try:
            return await question.answer
        except asyncio.CancelledError:
            self._forget(question)
            raise

    def close(self, patience: float) -> bool:
        """End the thread after the hash that is under way, and refuse what waits; tell whether it has ended in time."""
        with self._condition:
            self._closed = True
            waiting = [question for line in self._waiting.values() for question in line]
            if self._current is not None:
                waiting.append(self._current)
            self._waiting.clear()
            self._size = 0
            self._condition.notify()
        for question in waiting:
            _call(question, _refuse)
        if self._thread is None:
            return True
        self._thread.join(patience)
        return not self._thread.is_alive()

    def _drop(self, address: str) -> bool:
        """Make room by refusing the last one of the longest line, where that is not the newcomer's own."""
        longest = max(self._waiting, key=lambda one: len(self._waiting[one]))
        if len(self._waiting.get(address, ())) + 1 >= len(self._waiting[longest]):
            return False
        dropped = self._waiting[longest].pop()
        self._size -= 1
        _refuse(dropped.answer)
        return True

    def _forget(self, question: _Question) -> None:
        with self._condition:
            line = self._waiting.get(question.address)
            if line is not None and question in line:
                line.remove(question)
                self._size -= 1
                if not line:
                    del self._waiting[question.address]

    def _next(self) -> _Question | None:
        with self._condition:
            self._condition.wait_for(lambda: self._size or self._closed)
            if self._closed:
                return None
            address, line = self._waiting.popitem(last=False)
            question = line.popleft()
            self._size -= 1
            if line:
                # Others' turn first.
                self._waiting[address] = line
            self._current = question
            return question

    def _run(self) -> None:
        while (question := self._next()) is not None:
            if question.answer.done():
                continue
            right = self._matches(question)
            _call(question, _refuse if right is None else partial(_answer, right=right))

    def _matches(self, question: _Question) -> bool | None:
        """Compare with all hashes, so that the time tells nothing; only the first can fit. None where it was closed."""
        answers = []
        for hashed in question.hashes:
            if self._closed:
                return None
            try:
                answers.append(bcrypt.checkpw(question.password, hashed))
            except ValueError:
                # A salt that bcrypt does not take although it looks like one.
                return False
        return answers[0]


def _call(question: _Question, what: Callable[[asyncio.Future[bool]], None]) -> None:
    # A loop that was closed has nobody left to be answered.
    with contextlib.suppress(RuntimeError):
        question.answer.get_loop().call_soon_threadsafe(what, question.answer)


def _answer(answer: asyncio.Future[bool], right: bool) -> None:
    if not answer.done():
        answer.set_result(right)


def _refuse(answer: asyncio.Future[bool]) -> None:
    if not answer.done():
        answer.set_exception(BusyError())


def _client(address: str) -> str:
    """Return what stands for a client: its address, or the network of IPv6 in which it can choose any."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    return str(IPv6Network((int(found), 64), strict=False)) if isinstance(found, IPv6Address) else address


def _cost(hashed: str) -> int:
    return int(hashed[4:6])


def _decoy(cost: int) -> bytes:
    """Return a hash of a cost that no password has: bcrypt's own output never ends in dots alone."""
    return b"$2b$%02d$" % cost + b"." * 53
