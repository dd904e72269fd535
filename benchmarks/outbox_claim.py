"""Time of a claim with 1,000,000 waiting rows / with 1,000.

Idle; with a leased lane of 100,000 rows at the head; with 50,000 blocked lanes at the head.
The round that moves such rows out of the way is reported apart. The plan has to be an index
scan.

    PYTHONPATH=. python benchmarks/outbox_claim.py [--quick]
"""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Callable, Iterator

from outbox_shop import is_quick, pairs, shop

ROUNDS, CLAIMS = (5, 40) if is_quick() else (15, 60)
SMALL, LARGE = 1_000, 100_000 if is_quick() else 1_000_000
WHALE, BLOCKED = (10_000, 2_000) if is_quick() else (100_000, 50_000)

ROWS = """
INSERT INTO django_talon_outboxrow (application, lane, kind, aggregate, uid, priority, due_at)
SELECT 'default', {lane}, 'mark', {lane}, gen_random_uuid(), 0, now() - interval '{age}'
FROM generate_series(1, {count}) n
"""
LANES = """
INSERT INTO django_talon_lane (key, token, lease_until, blocked_until, why, failures)
SELECT {key}, {token}, {lease}, {block}, 'hold', 0 FROM generate_series(1, {count}) n
"""


def execute(statement: str) -> list[tuple[object, ...]]:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(statement)
        return list(cursor.fetchall()) if cursor.description else []


def fill(count: int) -> None:
    """Let so many rows wait, ten in each lane."""
    execute(ROWS.format(lane="'cart:shop.cart:' || n / 10", age="1 hour", count=count))
    execute("VACUUM ANALYZE django_talon_outboxrow")


def whale() -> None:
    """Put one leased lane before all others."""
    execute(ROWS.format(lane="'cart:shop.cart:whale'", age="2 hours", count=WHALE))
    lease = "now() + interval '1 hour'"
    execute(
        LANES.format(
            key="'cart:shop.cart:whale'",
            token="gen_random_uuid()",
            lease=lease,
            block="NULL",
            count=1,
        )
    )


def blocked() -> None:
    """Put many blocked lanes before all others, each blocked until a time of its own."""
    lane = "'cart:shop.cart:blocked-' || n"
    execute(ROWS.format(lane=lane, age="2 hours", count=BLOCKED))
    block = "now() + interval '1 hour' + n * interval '1 millisecond'"
    execute(LANES.format(key=lane, token="NULL", lease="NULL", block=block, count=BLOCKED))


def one_claim() -> float:
    """Return the seconds of one claim; what it leased is given back outside of them."""
    from django_talon.outbox import claim, endpoint, lanes

    started = time.perf_counter()
    limit = claim.HEAD
    while True:
        head = claim.read(limit)
        if head is None:
            raise SystemExit("nothing is due")
        lease = claim.first_free(head, endpoint.sound())
        if lease is not None:
            break
        limit = claim.WIDE_HEAD
    seconds = time.perf_counter() - started
    lanes.release(lease)
    return seconds


def claims() -> float:
    """Return the median of some claims, in milliseconds."""
    return statistics.median(one_claim() for _ in range(CLAIMS)) * 1e3


@contextlib.contextmanager
def second_database() -> Iterator[Callable[[int], None]]:
    """Make a copy of the database; yield a function that changes between the two."""
    from django.db import connection

    names = [str(connection.settings_dict["NAME"])]
    names.append(f"{names[0]}_large")

    def use(number: int) -> None:
        connection.close()
        connection.settings_dict["NAME"] = names[number]

    connection.close()
    with connection._nodb_cursor() as cursor:
        cursor.execute(f'DROP DATABASE IF EXISTS "{names[1]}"')
        cursor.execute(f'CREATE DATABASE "{names[1]}" TEMPLATE "{names[0]}"')
    try:
        yield use
    finally:
        use(0)
        with connection._nodb_cursor() as cursor:
            cursor.execute(f'DROP DATABASE "{names[1]}"')


def compare(name: str, use: Callable[[int], None]) -> None:
    """Print the median of the ratios of neighbouring measurements."""
    small, large = [], []
    for _ in range(ROUNDS):
        use(0)
        small.append(claims())
        use(1)
        large.append(claims())
    print(
        f"claim, {name:32} {statistics.median(large):6.2f} ms at {LARGE:,} rows,"
        f" {statistics.median(small):6.2f} ms at {SMALL:,}:"
        f" ratio {pairs(large, small):.2f}   (at most 1.5)"
    )


def clean(name: str, use: Callable[[int], None]) -> None:
    for number, size in enumerate((SMALL, LARGE)):
        use(number)
        print(f"  first round, {name}, {size:,} rows: {one_claim():.2f} s")
        # What autovacuum does within a minute, by the options our migration sets.
        execute("VACUUM django_talon_outboxrow")


def check_the_plan() -> None:
    from django_talon.models.outbox import SCHEMA
    from django_talon.outbox import claim, statements

    plan = "\n".join(
        row[0] for row in statements.select("EXPLAIN " + statements.HEAD, [SCHEMA, claim.HEAD])
    )
    assert "Index Scan using talon_outbox_due" in plan, plan
    assert "Sort" not in plan, plan


def main() -> None:
    """Print the three ratios."""
    with shop(), second_database() as use:
        for number, count in enumerate((SMALL, LARGE)):
            use(number)
            fill(count)
        compare("idle", use)
        for name, add in (
            (f"a leased lane of {WHALE:,} rows", whale),
            (f"{BLOCKED:,} blocked lanes", blocked),
        ):
            for number in (0, 1):
                use(number)
                add()
            clean(name, use)
            compare(name, use)
            check_the_plan()


if __name__ == "__main__":
    main()
