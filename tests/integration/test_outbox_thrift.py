"""What keeps marks and claims cheap must not change what they promise."""

from __future__ import annotations

import pytest
from django.db import connection, transaction

from django_talon.models import OutboxRow
from django_talon.outbox import claim, endpoint, lanes, wake
from django_talon.outbox.rows import NO_KEY, Row, enqueue
from tests.helpers import cart_with

pytestmark = pytest.mark.django_db(transaction=True)


def rings() -> int:
    return sum(entry[1] is wake.ring for entry in connection.run_on_commit)


def test_a_transaction_rings_once_and_again_after_a_savepoint_that_was_rolled_back(talon):
    cart = cart_with(("mug", "1.00", 1))
    with transaction.atomic():
        with pytest.raises(ZeroDivisionError), transaction.atomic():
            cart.save()
            cart.save()
            assert rings() == 1
            1 / 0  # noqa: B018
        assert rings() == 0
        cart.save()
        cart.save()
        assert rings() == 1
        with transaction.atomic():
            cart.save()
        cart.save()
        assert rings() == 3, "each savepoint may still be rolled back alone"


def test_marks_go_on_after_the_connection_was_closed(talon):
    cart = cart_with(("mug", "1.00", 1))
    OutboxRow.objects.all().delete()
    for _ in range(2):
        with transaction.atomic():
            cart.save()
            cart.save()
        if connection.vendor != "sqlite":
            connection.close()
    assert OutboxRow.objects.count() == 4


def test_a_mark_needs_no_key_and_each_fact_has_its_own(talon):
    enqueue([Row("cart:shop.cart:1", "cart:shop.cart:1")])
    enqueue([Row("cart:shop.cart:1", "cart:shop.cart:1", kind="event", payload={})] * 2)
    mark, *facts = OutboxRow.objects.order_by("pk").values_list("uid", flat=True)
    assert mark == NO_KEY
    assert len({mark, *facts}) == 3


def test_a_worker_that_met_another_looks_elsewhere_and_at_what_is_urgent_first(talon):
    names = [f"cart:shop.cart:{n}" for n in range(6)]
    enqueue([Row(name, name, priority=-1 if n < 2 else 0) for n, name in enumerate(names)])
    OutboxRow.objects.update(due_at="2020-01-01T00:00Z")
    search = claim.Search()
    assert search.limit == claim.HEAD
    head = claim.read(search.limit)
    assert head is not None
    standing = endpoint.Standing(usable=["default"])

    def leased() -> lanes.Lease:
        lease = claim.first_free(head, standing, search)
        assert lease is not None
        return lease

    first = leased()
    assert first.key == names[0]
    assert not search.is_apart
    assert leased().key == names[1]
    assert search.is_apart
    assert search.limit == claim.WIDE_HEAD
    assert leased().key in names[2:]
    lanes.release(first)
    assert leased().key == names[0]
