"""What becomes of the rows of a change: inserted, or kept back by ``paused`` and ``muted``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import ContextDecorator
from contextvars import ContextVar
from types import TracebackType
from typing import Any

from asgiref.sync import sync_to_async

from django_talon.models.outbox import Kind
from django_talon.outbox import clock
from django_talon.outbox.rows import Row, insert
from django_talon.shop.registry import adapter_for


class _Block:
    """A block of code that keeps rows back; one of a chain, the innermost first.

    A task that was started inside the block and outlives it sees the block's
    end here: what it changes later must not be kept back by a block that is over.
    """

    def __init__(self, outer: _Block | None) -> None:
        self.outer = outer
        self.is_over = False

    def takes(self, row: Row, using: str) -> bool:
        """Keep a row back, or return ``False``."""
        raise NotImplementedError

    def close(self) -> None:
        """Let go of what was kept back."""


class _Pause(_Block):
    def __init__(self, outer: _Block | None, *, flush: bool) -> None:
        super().__init__(outer)
        self._flush = flush
        self._waiting: dict[tuple[str, str, str, str], Row] = {}

    def takes(self, row: Row, using: str) -> bool:
        if self._flush:
            self._waiting[using, row.lane, row.aggregate, row.kind] = row
        return True

    def close(self) -> None:
        for using in dict.fromkeys(name for name, *_ in self._waiting):
            submit([row for (name, *_), row in self._waiting.items() if name == using], using)


class _Mute(_Block):
    def __init__(self, outer: _Block | None, key: str) -> None:
        super().__init__(outer)
        self._key = key

    def takes(self, row: Row, using: str) -> bool:
        return row.kind == Kind.MARK and row.aggregate == self._key

    def close(self) -> None:
        submit([Row(lane=self._key, aggregate=self._key)], clock.outbox_alias())


_block: ContextVar[_Block | None] = ContextVar("talon_block", default=None)

#: Rows of one INSERT: databases limit the parameters of a statement.
_AT_ONCE = 500


def _innermost() -> _Block | None:
    block = _block.get()
    while block is not None and block.is_over:
        block = block.outer
    return block


def is_plain() -> bool:
    """Whether no block keeps rows back."""
    return _innermost() is None


def is_forgetful() -> bool:
    """Whether the innermost block forgets whatever changes."""
    block = _innermost()
    return isinstance(block, _Pause) and not block._flush


def submit(rows: Sequence[Row], using: str) -> None:
    """Insert rows, unless a block keeps them back."""
    rest = rows if is_plain() else [row for row in rows if not _is_kept_back(row, using)]
    for start in range(0, len(rest), _AT_ONCE):
        insert(rest[start : start + _AT_ONCE], using)


def _is_kept_back(row: Row, using: str) -> bool:
    block = _innermost()
    while block is not None:
        if not block.is_over and block.takes(row, using):
            return True
        block = block.outer
    return False


class _Manager(ContextDecorator):
    """Opens a block with ``with`` or ``async with``; a decorator, too."""

    def __init__(self, make: Callable[[_Block | None], _Block], *, writes: bool) -> None:
        self._make = make
        self._writes = writes
        self._open: list[_Block] = []

    def _recreate_cm(self) -> _Manager:
        return _Manager(self._make, writes=self._writes)

    def __enter__(self) -> None:
        if self._writes and _in_event_loop():
            raise RuntimeError(
                "This block writes to the database at its end, which code in an event loop"
                " must not wait for: say `async with` instead of `with`."
            )
        self._begin()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end().close()

    async def __aenter__(self) -> None:
        self._begin()

    async def __aexit__(self, *_: object) -> None:
        await sync_to_async(self._end().close)()

    def _begin(self) -> None:
        block = self._make(_innermost())
        self._open.append(block)
        _block.set(block)

    def _end(self) -> _Block:
        block = self._open.pop()
        block.is_over = True
        if _block.get() is block:
            _block.set(block.outer)
        return block


def _in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def paused(*, flush: bool = False) -> _Manager:
    """Notice no changes within this block, as for a bulk import.

    With ``flush=True`` what changed is noted at the end, once for each cart,
    order and customer; after an exception too, since rows may have been saved.
    Blocks can be nested; an inner one without ``flush`` forgets its own changes.
    It holds for this thread or asyncio task and what it awaits; in an event loop
    say ``async with``. Also a decorator.
    """
    return _Manager(lambda outer: _Pause(outer, flush=flush), writes=flush)


def muted(cart: Any) -> _Manager:
    """Note the changes of one cart within this block once, at its end.

    For handlers that write to the cart what Talon.One answered. In an event loop
    say ``async with``. Raises `LookupError` for a row that is no cart.
    """
    adapter = adapter_for(cart)
    if adapter.role_of(cart) != "cart":
        raise LookupError(f"{cart._meta.label} is no cart: muted() holds back one cart's changes.")
    key = adapter.key("cart", cart.pk)
    return _Manager(lambda outer: _Mute(outer, key), writes=True)
