"""Every answer against the published descriptions of the API, of today and of 2020."""

from __future__ import annotations

from collections import Counter

import pytest

from django_talon.sandbox.operations import EMULATED

from .sandbox_everything import Caller, calls_of_2020, calls_of_today
from .talon_api import Api, SeedApi

# Feature 15: none of these needs a socket.
pytestmark = pytest.mark.usefixtures("no_sockets")


def _wrong(api, caller):
    found = Counter()
    for operation, status, payload in caller.said:
        for problem in api.wrong(operation, status, payload):
            found[f"{operation} {status} {problem}"] += 1
    return sorted(found)


def _operations(dialect):
    return {operation.name for operation in EMULATED if operation.is_in(dialect)}


@pytest.fixture(scope="module")
def today():
    caller = Caller("current")
    calls_of_today(caller)
    return caller


@pytest.fixture(scope="module")
def old():
    caller = Caller("2020")
    calls_of_2020(caller)
    return caller


def test_answers_of_today_are_as_published(today):
    assert _wrong(Api(), today) == []


def test_answers_of_2020_are_as_published(old):
    assert _wrong(SeedApi(), old) == []


@pytest.mark.parametrize("dialect", ["current", "2020"])
def test_every_operation_is_among_them(dialect, today, old):
    caller = today if dialect == "current" else old
    succeeded = {operation for operation, status, _ in caller.said if status < 300}
    refused = {operation for operation, status, _ in caller.said if status >= 400}
    assert succeeded == refused == _operations(dialect)


def test_the_check_sees_what_is_wrong(today):
    operation, status, payload = next(row for row in today.said if row[0] == "getCustomerSession")
    session = payload["customerSession"]
    for changes in ({"total": "1"}, {"state": "lost"}, {"created": "today"}, {"surprise": 1}):
        altered = {**payload, "customerSession": {**session, **changes}}
        assert len(Api().wrong(operation, status, altered)) == 1
    missing = {name: value for name, value in session.items() if name != "firstSession"}
    assert Api().wrong(operation, status, {**payload, "customerSession": missing})
    effect = {**payload["effects"][0], "props": {}}
    assert Api().wrong(operation, status, {**payload, "effects": [effect]})


def test_every_effect_is_among_them(today):
    seen = set()
    for operation, _, payload in today.said:
        if operation == "getEventV3":
            continue
        seen |= {effect["effectType"] for effect in (payload or {}).get("effects", [])}
    assert seen == {
        "acceptCoupon",
        "acceptReferral",
        "addFreeItem",
        "addLoyaltyPoints",
        "addToAudience",
        "awardGiveaway",
        "couponCreated",
        "customEffect",
        "deductLoyaltyPoints",
        "increaseAchievementProgress",
        "referralCreated",
        "rejectCoupon",
        "rejectReferral",
        "reserveCoupon",
        "rollbackAddedLoyaltyPoints",
        "rollbackCoupon",
        "rollbackDeductedLoyaltyPoints",
        "rollbackDiscount",
        "rollbackIncreasedAchievementProgress",
        "rollbackReferral",
        "setDiscount",
        "setDiscountPerAdditionalCost",
        "setDiscountPerAdditionalCostPerItem",
        "setDiscountPerItem",
        "showNotification",
        "triggerWebhook",
        "updateAttribute",
        "willAwardGiveaway",
    }


def test_the_operations_of_2020_are_the_seeds():
    assert _operations("2020") == set(SeedApi().operations)
