"""Points and achievements: what rules grant, what a close books, what comes back."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from django_talon.sandbox.engine import events, profiles, render, render_achievements, returns
from django_talon.sandbox.engine.blocks import SeedError
from django_talon.sandbox.engine.ledgers import duration
from django_talon.sandbox.engine.saved import dumped, world_of

from .shop import NOW, Shop, campaign, discount, item, reasons

PROGRAM = {"id": 3, "name": "club", "title": "The Club", "subledgers": ["miles"]}
HERE = {"id": 3, "name": "club", "title": "The Club"}


def load(*campaigns, **more):
    shop = Shop()
    shop.load({"campaigns": list(campaigns), "loyaltyPrograms": [{**PROGRAM, **more}]})
    return shop


def award(value="{{$Session.Total}}", **more):
    return {"type": "awardLoyaltyPoints", "name": "thanks", "program": HERE, "value": value, **more}


def deduct(value, **more):
    return {"type": "deductLoyaltyPoints", "name": "pay", "program": HERE, "value": value, **more}


def has(value, balance="current", operator="greaterThanOrEqual", subledger=""):
    asked = {"program": HERE, "subledger": subledger, "balance": balance}
    return {"type": "checkLoyaltyBalance", "operator": operator, "value": value, **asked}


def effects(outcome, kind):
    return [e.props for e in outcome.evaluation.effects if e.effect_type == kind]


def balances(shop, name="bob", subledger=""):
    profile = shop.world.profiles[name]
    return profile.account.balances(3, subledger, shop.now)


def current(shop, **more):
    return balances(shop, **more)["current"]


CART = {"profile_id": "bob", "cart_items": [item("10", 2)]}


def test_emu_20_points_are_granted_at_close_and_taken_back_at_cancellation():
    shop = load(campaign(award()))
    [open_] = effects(shop.put(**CART), "addLoyaltyPoints")
    assert (open_["value"], open_["recipientIntegrationId"], open_["subLedgerId"]) == (
        20,
        "bob",
        "",
    )
    assert current(shop) == 0
    closed = shop.put(state="closed")
    assert current(shop) == 20
    shop.put(state="closed")
    assert current(shop) == 20
    [given] = effects(closed, "addLoyaltyPoints")
    [back] = effects(shop.put(state="cancelled"), "rollbackAddedLoyaltyPoints")
    assert back == {
        "programId": 3,
        "subLedgerId": "",
        "value": 20,
        "recipientIntegrationId": "bob",
        "transactionUUID": given["transactionUUID"],
    }
    assert current(shop) == 0


def test_emu_20_nobody_gets_points_for_a_cancelled_open_session():
    shop = load(campaign(award()))
    shop.put(**CART)
    assert shop.put(state="cancelled").evaluation.effects == []
    assert shop.dry(**CART).evaluation.effects[0].props["transactionUUID"]
    assert current(shop) == 0


def test_emu_20_points_need_somebody_and_some_points():
    shop = load(campaign(award()), campaign(award(0), number=2), campaign(deduct(1), number=3))
    outcome = shop.put(cart_items=[item()])
    assert outcome.evaluation.effects == []
    assert [one["effectIndex"] for one in reasons(outcome)] == [0, 0]


def test_emu_20_pending_points_become_active_and_expire():
    shop = load(campaign(award()), defaultPending="2D", defaultValidity="1W")
    [props] = effects(shop.put(**CART, state="closed"), "addLoyaltyPoints")
    assert props["startDate"] == "2026-03-03T12:00:00.000Z"
    assert props["expiryDate"] == "2026-03-10T12:00:00.000Z"
    assert balances(shop) == {"current": 0, "negative": 0, "pending": 20, "expired": 0, "spent": 0}
    shop.pass_time(days=2)
    assert balances(shop)["current"] == 20
    shop.pass_time(days=7)
    assert balances(shop) == {"current": 0, "negative": 0, "pending": 0, "expired": 20, "spent": 0}
    assert effects(shop.put(state="cancelled"), "rollbackAddedLoyaltyPoints") == []


def test_emu_20_points_for_each_piece_go_with_it():
    each = award("{{$Item.Price}}", target={"type": "allItems"}, subledger="miles")
    shop = load(campaign(each), defaultPending="1D")
    found = effects(shop.put(**CART, state="closed"), "addLoyaltyPoints")
    assert [(p["cartItemPosition"], p["cartItemSubPosition"]) for p in found] == [(0, 0), (0, 1)]
    assert len({p["transactionUUID"] for p in found}) == 2
    rows = [{"position": 0, "quantity": 1}]
    outcome = returns.give_back(shop.world, shop.app, "s1", rows, dry=False)
    [back] = effects(outcome, "rollbackAddedLoyaltyPoints")
    assert (back["value"], back["cartItemPosition"], back["cartItemSubPosition"]) == (10, 0, 0)
    assert balances(shop, subledger="miles")["pending"] == 10
    [last] = effects(shop.put(state="cancelled"), "rollbackAddedLoyaltyPoints")
    assert last["cartItemSubPosition"] == 1
    assert balances(shop, subledger="miles")["pending"] == 0


@pytest.mark.parametrize("takes_back", [False, True])
def test_emu_20_active_points_stay_at_reopening_unless_the_program_says_so(takes_back):
    shop = load(campaign(award()), activePointsDeduction=takes_back)
    shop.put(**CART, state="closed")
    found = returns.reopen(shop.world, shop.app, "s1")
    assert [e.effect_type for e in found] == ["rollbackAddedLoyaltyPoints"] * takes_back
    assert current(shop) == (0 if takes_back else 20)
    shop.put(state="closed")
    assert current(shop) == (20 if takes_back else 40)


@pytest.mark.parametrize(("negative", "after"), [(False, (0, 0)), (True, (0, 15))])
def test_emu_20_spent_points_are_a_debt_only_if_allowed(negative, after):
    shop = load(
        campaign(award(), number=1),
        campaign(deduct(15), number=2),
        allowNegativeBalance=negative,
    )
    shop.put("first", **CART, state="closed")
    assert (current(shop), balances(shop)["spent"]) == (5, 15)
    shop.world.profiles["bob"].account.spendings.clear()
    shop.app.sessions["first"].effects = [
        e for e in shop.app.sessions["first"].effects if e.effect_type == "addLoyaltyPoints"
    ]
    [back] = effects(shop.put("first", state="cancelled"), "rollbackAddedLoyaltyPoints")
    assert back["value"] == (20 if negative else 5)
    assert (current(shop), balances(shop)["negative"]) == after


def test_emu_20_deducted_points_are_those_that_expire_first_and_come_back():
    shop = load(campaign(award()), defaultValidity="30D")
    shop.put("a", **CART, state="closed")
    shop.pass_time(days=1)
    shop.put("b", **CART, state="closed")
    seed = shop.seed
    shop.load({**seed.content, "campaigns": [campaign(deduct(25))]} | {"state": dump(shop)})
    shop.world = world_of(shop.seed, lambda: shop.now)
    shop.app = shop.world.applications["default"]
    [spent] = effects(shop.put("c", **CART, state="closed"), "deductLoyaltyPoints")
    assert (spent["ruleTitle"], spent["name"], spent["value"]) == ("the rule", "pay", 25)
    account = shop.world.profiles["bob"].account
    assert sorted(lot.left for lot in account.lots.values()) == [0, 15]
    assert (
        "25 points are to be deducted, there are 15" in reasons(shop.put("d", **CART))[0]["details"]
    )
    [back] = effects(shop.put("c", state="cancelled"), "rollbackDeductedLoyaltyPoints")
    assert (back["value"], back["recipientIntegrationId"]) == (25, "bob")
    assert (current(shop), balances(shop)["spent"]) == (40, 0)


def dump(shop):
    """Return the state without sessions, whose effects other campaigns granted."""
    state = dumped(shop.world)
    return {"profiles": state["profiles"], "ids": state["ids"], "applications": {"default": {}}}


def test_emu_20_balances_are_conditions_tentative_ones_too():
    shop = load(
        campaign(has(20), discount(1)),
        campaign(award(), number=2),
        campaign(has(20, "tentativeCurrent"), discount(2), number=3),
        campaign(has(0, "pending", "equals"), discount(3), number=4),
        campaign(has(0, "negative", "not(equals)"), discount(4), number=5),
    )
    values = lambda outcome: [p["value"] for p in effects(outcome, "setDiscount")]  # noqa: E731
    assert values(shop.put(**CART)) == [2, 3]
    shop.put(state="closed")
    assert values(shop.put("later", **CART)) == [1, 2, 3]
    anonymous = shop.put("guest", cart_items=[item("10", 2)])
    assert (
        "the current balance is 0, wanted greaterThanOrEqual 20" in reasons(anonymous)[0]["details"]
    )


def test_emu_20_points_have_budgets():
    limits = [{"action": "createLoyaltyPoints", "limit": 30}]
    shop = load(campaign(award(), limits=limits))
    shop.put("a", **CART, state="closed")
    assert "createLoyaltyPoints" in reasons(shop.put("b", **CART))[0]["details"]
    shop.put("a", state="cancelled")
    assert effects(shop.put("b"), "addLoyaltyPoints")


def test_emu_20_events_grant_points_at_once():
    shop = load(campaign({"type": "checkEvent", "eventType": "review"}, award(5)))
    for _ in range(2):
        request = {"type": "review", "profileId": "bob"}
        events.track(shop.world, shop.app, request, dry=False)
    events.track(shop.world, shop.app, {"type": "review", "profileId": "bob"}, dry=True)
    assert current(shop) == 10


def test_emu_20_loyalty_as_answers_show_it():
    shop = load(campaign(award("12.5"), award(3, subledger="miles")))
    shop.put(**CART, state="closed")
    bob = shop.world.profiles["bob"]
    shown = render.loyalty(shop.world, bob, [], NOW)["programs"]["3"]
    assert (shown["id"], shown["name"], shown["title"]) == (3, "club", "The Club")
    assert shown["ledger"] == {
        "currentBalance": Decimal("12.5"),
        "negativeBalance": 0,
        "pendingBalance": 0,
        "expiredBalance": 0,
        "spentBalance": 0,
        "tentativeCurrentBalance": Decimal("12.5"),
    }
    assert shown["subLedgers"]["miles"]["currentBalance"] == 3
    stranger = profiles.ensure(shop.world, "eve")
    assert render.loyalty(shop.world, stranger, [], NOW) == {"programs": {}}
    assert render.loyalty(shop.world, None, [], NOW) == {"programs": {}}


ACHIEVEMENT = {"id": 8, "name": "TenOrders", "title": "Ten orders", "target": 2}


def achieving(**more):
    step = {"type": "updateAchievementProgress", "operator": "increaseBy", "value": "1",
            "achievement": ACHIEVEMENT}  # fmt: skip
    return campaign(step, achievements=[{**ACHIEVEMENT, **more}])


def state_is(operator, value, number):
    check = {"type": "checkAchievement", "operator": operator, "achievement": ACHIEVEMENT}
    return campaign(check, discount(value), number=number)


def progress(shop):
    held = shop.world.profiles["bob"].progress["8"]
    return held.value, held.completed is not None


def test_emu_20_achievements_progress_complete_and_roll_back():
    words = ("started", "not(started)", "inProgress", "not(inProgress)", "completed",
             "not(completed)", "justCompleted")  # fmt: skip
    asked = [state_is(word, n - 1, n) for n, word in enumerate(words, 2)]
    shop = load(achieving(allowRollbackAfterCompletion=True), *asked)
    values = lambda outcome: {p["value"] for p in effects(outcome, "setDiscount")}  # noqa: E731
    first = shop.put("a", **CART, state="closed")
    assert values(first) == {1, 3, 6}
    [props] = effects(first, "increaseAchievementProgress")
    assert (props["delta"], props["value"], props["target"], props["isJustCompleted"]) == (
        1,
        1,
        2,
        False,
    )
    second = shop.put("b", **CART, state="closed")
    assert values(second) == {1, 4, 5, 7}
    assert progress(shop) == (2, True)
    third = shop.put("c", **CART)
    assert values(third) == {1, 4, 5}
    assert "achievement TenOrders is at 2" in reasons(third)[0]["details"]
    [back] = effects(shop.put("b", state="cancelled"), "rollbackIncreasedAchievementProgress")
    assert (back["decreaseProgressBy"], back["currentProgress"]) == (1, 1)
    assert progress(shop) == (1, False)
    assert back["progressTrackerId"] == props["progressTrackerId"]


def test_emu_20_a_completed_achievement_stays_completed():
    shop = load(achieving())
    for name in ("a", "b"):
        shop.put(name, **CART, state="closed")
    assert effects(shop.put("b", state="cancelled"), "rollbackIncreasedAchievementProgress") == []
    assert progress(shop) == (2, True)
    entity = shop.world.achievements[8]
    shown = render_achievements.of_inventory(entity, shop.world.profiles["bob"].progress["8"])
    assert (shown["status"], shown["progress"], shown["campaignId"]) == ("completed", 2, 1)


def test_emu_20_nobody_achieves_nothing():
    shop = load(achieving(), state_is("not(started)", 5, 2))
    outcome = shop.put(cart_items=[item()])
    assert "there is no profile" in reasons(outcome)[0]["details"]
    assert effects(outcome, "setDiscount")


ELSEWHERE = {"id": 4, "name": "x", "title": "X"}


@pytest.mark.parametrize(
    ("block", "path"),
    [
        (award(program=ELSEWHERE), "program.id"),
        (award(subledger="km"), "program.id"),
        (award(name=""), "name"),
        (award(target={"type": "bundle"}), "target"),
        (award(value="{{$Item.Price}}"), "value"),
        (award(profile="Nobody"), "profile"),
        (has("many"), "value"),
        (has(1, "expired"), "balance"),
        (has(1, operator="between"), "operator"),
        (
            {"type": "checkAchievement", "operator": "x", "achievement": ACHIEVEMENT},
            "operator",
        ),
        (
            {"type": "checkAchievement", "operator": "started", "achievement": {"id": 9}},
            "achievement.id",
        ),
    ],
)
def test_emu_20_wrong_blocks_of_loyalty_name_their_path(block, path):
    with pytest.raises(SeedError) as caught:
        load(campaign(block))
    assert caught.value.path == f"campaigns[0].ruleset.promotionRules[0].blocks[0].{path}"


@pytest.mark.parametrize(
    ("seed", "path"),
    [
        ({"loyaltyPrograms": [PROGRAM, PROGRAM]}, "loyaltyPrograms[0].id"),
        ({"loyaltyPrograms": [{**PROGRAM, "defaultPending": "soon"}]},
         "loyaltyPrograms[0].defaultPending"),
        ({"loyaltyPrograms": [{**PROGRAM, "allowNegativeBalance": 1}]},
         "loyaltyPrograms[0].allowNegativeBalance"),
        ({"campaigns": [{"id": 1, "name": "c", "achievements": [{**ACHIEVEMENT, "target": 0}]}]},
         "campaigns[0].achievements[0].target"),
        ({"campaigns": [{"id": 1, "name": "c", "achievements": [ACHIEVEMENT, ACHIEVEMENT]}]},
         "achievements"),
    ],
)  # fmt: skip
def test_emu_20_wrong_programs_and_achievements_name_their_path(seed, path):
    with pytest.raises(SeedError) as caught:
        Shop().load(seed)
    assert caught.value.path == path


def test_durations():
    assert [duration(text) for text in ("12h", "2D", "1W", "1M", "1Y")] == [
        timedelta(hours=12),
        timedelta(days=2),
        timedelta(days=7),
        timedelta(days=30),
        timedelta(days=365),
    ]
    with pytest.raises(ValueError, match="no duration"):
        duration("0D")
