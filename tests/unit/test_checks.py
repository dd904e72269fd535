"""The system checks: each id once, with its exact words; and that they are bound."""

from __future__ import annotations

import enum
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.admin import AdminSite
from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as CheckWarning
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.test import override_settings

from django_talon import checks
from django_talon.admin import TalonCustomerAdminMixin
from django_talon.admin.checks import check_admin
from django_talon.shop import Adapter, registry
from example_project.shop.models import Cart, Order
from example_project.shop.talon import Shop
from tests.shops.models import Member
from tests.shops.talon import BagShop, InvoiceShop

ONE = {"BASE_URL": "https://shop.talon.one", "API_KEY": "secret"}
OFF = "Or stop talking to Talon.One: TALON_ONE['ENABLED'] = False."


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Register these adapters and no others, for the time of a test."""

    def register(*adapters: type[Adapter]) -> None:
        found = {adapter.__qualname__: adapter() for adapter in adapters}
        monkeypatch.setattr(registry, "_adapters", found)

    return register


def about(found: list[CheckMessage], number: str) -> list[tuple[str, str | None]]:
    """Return message and hint of the checks with this number."""
    return [(each.msg, each.hint) for each in found if each.id == f"django_talon.{number}"]


def settings_say(number: str, **changed: Any) -> list[tuple[str, str | None]]:
    with override_settings(TALON_ONE={**ONE, **changed}):
        return about(checks.check_settings(), number)


def test_good_settings_say_nothing():
    with override_settings(TALON_ONE={**ONE, "LEASE": 11, "TIMEOUT": [1, 2.5], "ROUTER": str}):
        assert checks.check_settings() == []


@pytest.mark.parametrize("value", [None, "https://shop.talon.one", []])
def test_E001_no_dict(value: Any):
    with override_settings(TALON_ONE=value):
        assert checks.check_settings() == [
            Error(
                "The setting TALON_ONE is missing, or not a dict.",
                hint='TALON_ONE = {"BASE_URL": "https://...", "API_KEY": "..."}',
                id="django_talon.E001",
            )
        ]


@pytest.mark.parametrize("value", [[], {"default": "https://shop.talon.one"}, None])
def test_E001_applications_that_are_no_dicts(value: Any):
    assert settings_say("E001", APPLICATIONS=value) == [
        (
            "TALON_ONE['APPLICATIONS'] is not a dict of dicts.",
            'Write {"default": {"BASE_URL": "https://...", "API_KEY": "..."}}.',
        )
    ]


def test_E002_unknown_keys_with_the_nearest():
    apps = {"default": {"CURENCY": "EUR"}}
    assert settings_say("E002", BASEURL="x", QQQ=1, APPLICATIONS=apps) == [
        ("TALON_ONE has no key 'BASEURL'.", "Did you mean 'BASE_URL'?"),
        ("TALON_ONE has no key 'QQQ'.", "Take it out."),
        (
            "TALON_ONE's application 'default' has no key 'CURENCY'.",
            "Did you mean 'CURRENCY'?",
        ),
    ]


def test_E003_no_address():
    assert settings_say("E003", BASE_URL="") == [
        (
            "The Talon.One application 'default' lacks BASE_URL.",
            f"Set it to the address of your Talon.One deployment. {OFF}",
        )
    ]


@pytest.mark.parametrize("value", ["shop.talon.one", "ftp://x", "https://", "http://[half"])
def test_E003_no_web_address(value: str):
    assert settings_say("E003", BASE_URL=value) == [
        (
            f"BASE_URL of the Talon.One application 'default' is not a web address: {value!r}.",
            f"It looks like 'https://yourbaseurl.talon.one'. {OFF}",
        )
    ]


@pytest.mark.parametrize(
    ("value", "bare"),
    [
        ("https://shop.talon.one/v2", "https://shop.talon.one"),
        ("https://shop.talon.one:8443/v2/", "https://shop.talon.one:8443"),
        ("http://shop.talon.one?key=secret", "http://shop.talon.one"),
        ("https://shop.talon.one/#docs", "https://shop.talon.one"),
        ("https://ada:secret@shop.talon.one", "https://shop.talon.one"),
    ],
)
def test_E003_more_than_a_host_which_is_not_shown(value: str, bare: str):
    assert settings_say("E003", BASE_URL=value) == [
        (
            "BASE_URL of the Talon.One application 'default' is more than a host.",
            f"Did you mean {bare!r}?",
        )
    ]


def test_a_slash_behind_the_host_does_no_harm():
    assert settings_say("E003", BASE_URL="https://shop.talon.one/") == []


def test_E004_no_key():
    assert settings_say("E004", API_KEY="") == [
        (
            "The Talon.One application 'default' lacks API_KEY.",
            f"Make one in the Campaign Manager and read it from the environment. {OFF}",
        )
    ]


def test_no_address_and_no_key_are_needed_where_nothing_is_asked():
    with override_settings(TALON_ONE={"ENABLED": False}):
        assert checks.check_settings() == []


def test_E006_a_dialect_that_nobody_speaks():
    assert settings_say("E006", DIALECT="2020") == []
    assert settings_say("E006", DIALECT="2019") == [
        (
            "DIALECT of the Talon.One application 'default' is '2019'.",
            "It is one of 'current', '2020'.",
        )
    ]


@pytest.mark.parametrize(
    ("key", "value", "hint"),
    [
        ("EVENTS", "v1", "It is one of 'v2', 'v3'."),
        ("EVENT_MAX_AGE", "1 h", "It is a number, or None."),
        ("CART_EXPIRES_DAYS", -1, "It is a number, or None."),
        ("EVENTS_AT_MOST_ONCE", "reward", "It is a list of event types."),
    ],
)
def test_E006_how_events_and_carts_are_told(key: str, value: Any, hint: str):
    assert settings_say("E006", **{key: value}) == [(f"TALON_ONE[{key!r}] is {value!r}.", hint)]


@pytest.mark.parametrize(
    ("key", "value", "hint"),
    [
        ("GUESTS", "none", "It is one of 'guest_id', 'anonymous', 'off'."),
        ("ON_FAILURE", "raise", "It is one of 'open', 'last_known', 'closed'."),
        ("DEADLINE", "10", "It is a number of seconds."),
        ("DEBOUNCE", -1, "It is a number of seconds."),
        ("HOLD", True, "It is a number of seconds."),
        ("LEASE", None, "It is a number of seconds."),
        ("LEASE", float("nan"), "It is a number of seconds."),
        ("CHECKOUT_BUDGET", float("inf"), "It is a number of seconds."),
        ("TIMEOUT", 5, "It is a pair of seconds: (to connect, to read)."),
        ("TIMEOUT", (1, 2, 3), "It is a pair of seconds: (to connect, to read)."),
        ("TIMEOUT", (1, "2"), "It is a pair of seconds: (to connect, to read)."),
    ],
)
def test_E006_a_value_that_cannot_be(key: str, value: Any, hint: str):
    assert settings_say("E006", **{key: value}) == [(f"TALON_ONE[{key!r}] is {value!r}.", hint)]


def test_E006_a_rounding_mode():
    [(message, hint)] = settings_say("E006", ROUNDING="HALF_UP")
    assert message == "TALON_ONE['ROUNDING'] is 'HALF_UP'."
    assert hint is not None
    assert hint.startswith("It is one of 'ROUND_")


@pytest.mark.parametrize("value", ["last week", "2026-13-01", "", 2026])
def test_E006_no_moment(value: Any):
    assert settings_say("E006", SYNC_ORDERS_SINCE=value) == [
        (
            f"TALON_ONE['SYNC_ORDERS_SINCE'] is {value!r}, no moment.",
            "It is an ISO date, a datetime or None.",
        )
    ]


def test_E007_a_lease_shorter_than_a_call():
    assert settings_say("E007", LEASE=10, DEADLINE=10) == [
        (
            "TALON_ONE['LEASE'] is not longer than 'DEADLINE'.",
            "A worker gives up its lane after LEASE; no call may take longer than that.",
        )
    ]


def test_E008_a_router_that_is_not_there():
    [(message, hint)] = settings_say("E008", ROUTER="shop.routing.alias")
    assert message.startswith("TALON_ONE['ROUTER'] cannot be imported: No module named 'shop")
    assert hint == "Mend the path."
    assert settings_say("E008", ROUTER=5) == [
        ("TALON_ONE['ROUTER'] is 5.", "It is a function of a shop row, or the dotted path of one.")
    ]


def test_the_adapters_of_the_tests_are_sound():
    assert checks.check_adapters() == []


def test_W001_no_adapter(only: Any):
    only()
    assert checks.check_adapters() == [
        CheckWarning(
            "No adapter is registered, so nothing is sent.",
            hint="Write a talon.py in your shop's app; see the README for one of 20 lines.",
            id="django_talon.W001",
        )
    ]


@pytest.mark.parametrize(
    ("changed", "message", "hint"),
    [
        ({"cart": "shop.Carrt"}, "cart = 'shop.Carrt'", "Did you mean 'shop.Cart'?"),
        ({"order": "shop.Ordr"}, "order = 'shop.Ordr'", "Did you mean 'shop.Order'?"),
        ({"cart": "Cart"}, "cart = 'Cart'", "Did you mean 'shop.Cart'?"),
        (
            {"cart": ""},
            "cart = ''",
            "Write models as 'app_label.Model', as in INSTALLED_APPS and models.py.",
        ),
    ],
)
def test_E009_no_such_model(only: Any, changed: dict[str, str], message: str, hint: str):
    broken = type("Broken", (Shop,), changed)
    only(broken)
    assert checks.check_adapters() == [
        Error(f"Broken.{message} names no model.", hint=hint, id="django_talon.E009")
    ]
    assert registry.adapters() == []


@pytest.mark.parametrize(
    ("attribute", "value", "problem"),
    [
        ("cart_customer", "usr", "'usr': shop.Cart has no 'usr'. Did you mean 'user'?"),
        ("cart_items", "item", "'item': shop.Cart has no 'item'. Did you mean 'items'?"),
        ("order_cart", "crt", "'crt': shop.Order has no 'crt'. Did you mean 'cart'?"),
        ("order_customer", "usr", "'usr': shop.Order has no 'usr'. Did you mean 'user'?"),
        ("order_items", "line", "'line': shop.Order has no 'line'. Did you mean 'lines'?"),
        ("order_state", "stat", "'stat': shop.Order has no 'stat'. Did you mean 'status'?"),
        (
            "order_created",
            "placed",
            "'placed': shop.Order has no 'placed'. Did you mean 'placed_at'?",
        ),
        (
            "customer_attributes",
            {"tier": "profile.teir"},
            "'profile.teir': shop.Profile has no 'teir'. Did you mean 'tier'?",
        ),
        (
            "cart_attributes",
            {"since": "created"},
            "'created': shop.Cart has no 'created'. Did you mean 'created_at'?",
        ),
    ],
)
def test_E010_a_wrong_path_with_the_nearest(only: Any, attribute: str, value: Any, problem: str):
    only(type("Broken", (Shop,), {attribute: value}))
    assert about(checks.check_adapters(), "E010") == [
        (f"Broken.{attribute} = {problem}", "Paths are dotted names.")
    ]


def test_E010_of_items(only: Any):
    item = {**Shop.item, "sku": "product.skew", "attributes": {"size": "product.siz"}}
    only(type("Broken", (Shop,), {"item": item, "order_item": Shop.item}))
    hint = "Paths are dotted names."
    assert about(checks.check_adapters(), "E010") == [
        (
            "Broken.item = 'product.skew': shop.Product has no 'skew'. Did you mean 'sku'?",
            hint,
        ),
        ("Broken.item = 'product.siz': shop.Product has no 'siz'.", hint),
    ]


def test_E010_of_a_cart_that_is_its_own_order(only: Any):
    changed = {"cart": "shop.Order", "order": "shop.Order", "cart_items": "line"}
    only(type("Broken", (Shop,), {**changed, "order_cart": "", "order_items": ""}))
    assert about(checks.check_adapters(), "E010") == [
        (
            "Broken.cart_items = 'line': shop.Order has no 'line'. Did you mean 'lines'?",
            "Paths are dotted names.",
        )
    ]


CUSTOMER_OF_THE_ORDER = "Set order_customer: without it, cart_customer is read from the order too."


def test_E010_the_orders_customer_falls_back_to_the_carts(only: Any):
    only(type("Broken", (BagShop,), {"order": "shop.Order", "order_customer": "", **LINES}))
    assert about(checks.check_adapters(), "E010") == [
        ("Broken.order_customer = 'member': shop.Order has no 'member'.", CUSTOMER_OF_THE_ORDER)
    ]


LINES = {"order_items": "", "order_cart": "", "order_state": "status", "order_states": {}}


def test_E010_a_wrong_customer_of_the_cart_is_told_once(only: Any):
    only(type("Broken", (Shop,), {"cart_customer": "usr", "order_customer": ""}))
    assert about(checks.check_adapters(), "E010") == [
        (
            "Broken.cart_customer = 'usr': shop.Cart has no 'usr'. Did you mean 'user'?",
            "Paths are dotted names.",
        )
    ]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("created_at", "shop.Cart.created_at"),
        ("user_id", "shop.Cart.user_id"),
        ("user.email", "auth.User.email"),
        ("user.groups", "auth.User.groups"),
    ],
)
def test_E010_a_customer_that_is_no_row(only: Any, path: str, name: str):
    only(type("Broken", (Shop,), {"cart_customer": path}))
    assert about(checks.check_adapters(), "E010") == [
        (
            f"Broken.cart_customer = {path!r}: {name} is no relation to a customer.",
            "Paths are dotted names.",
        )
    ]


@pytest.mark.parametrize("path", ["user", "user.profile.user", "shipping_price"])
def test_a_customer_may_be_far_away_or_a_property(only: Any, path: str):
    only(type("Sound", (Shop,), {"cart_customer": path}))
    assert about(checks.check_adapters(), "E010") == []


@pytest.mark.parametrize(
    ("attribute", "path", "name"),
    [("cart_items", "user", "shop.Cart.user"), ("order_items", "total", "shop.Order.total")],
)
def test_E010_lines_that_are_none_and_nothing_that_follows(
    only: Any, attribute: str, path: str, name: str
):
    only(type("Broken", (Shop,), {attribute: path}))
    assert checks.check_adapters() == [
        Error(
            f"Broken.{attribute} = {path!r}: {name} is no relation to lines.",
            hint="Name the reverse relation to the lines.",
            id="django_talon.E010",
        )
    ]


def test_E010_an_order_line_with_other_names(only: Any):
    item = {**BagShop.item, "sku": "artcle"}
    changed = {"order": "shops.Invoice", "order_items": "lines", "order_customer": "user"}
    only(type("Broken", (BagShop,), {**changed, "order_cart": "", "item": item, "order_item": {}}))
    hint = "The lines of an order have other names: set order_item."
    assert [each for each in about(checks.check_adapters(), "E010") if ".item" in each[0]] == [
        (
            "Broken.item = 'artcle': shops.BagEntry has no 'artcle'. Did you mean 'article'?",
            "Paths are dotted names.",
        ),
        ("Broken.item = 'title': shops.InvoiceLine has no 'title'.", hint),
        ("Broken.item = 'amount': shops.InvoiceLine has no 'amount'.", hint),
        (
            "Broken.item = 'count': shops.InvoiceLine has no 'count'. Did you mean 'cents'?",
            hint,
        ),
    ]


@pytest.mark.parametrize("attribute", ["item", "order_item"])
def test_E011_what_a_line_must_have(only: Any, attribute: str):
    only(type("Broken", (Shop,), {attribute: {"sku": "product.sku", "name": "product.name"}}))
    assert about(checks.check_adapters(), "E011") == [
        (
            f"Broken.{attribute} lacks price, quantity.",
            "Say where a line has them, or override items().",
        )
    ]


def test_an_adapter_that_makes_its_items_itself_needs_no_mapping(only: Any):
    made = {"item": {}, "cart_items": "", "order_items": "", "items": lambda *_: []}
    only(type("Own", (Shop,), made))
    assert checks.check_adapters() == []


@pytest.mark.parametrize(
    ("key", "hint"),
    [("retuned", "Did you mean 'returned'?"), ("colour", "Put it into 'attributes'.")],
)
def test_E020_a_key_of_a_line_that_there_is_not(only: Any, key: str, hint: str):
    only(type("Broken", (Shop,), {"item": {**Shop.item, key: "pk"}}))
    assert about(checks.check_adapters(), "E020") == [
        (f"Broken.item has no key {key!r}.", hint),
    ]


def test_E021_units_come_back_from_orders(only: Any):
    item = {**BagShop.item, "returned": "count"}
    only(type("Broken", (BagShop,), {"item": item}))
    assert about(checks.check_adapters(), "E021") == [
        (
            "Broken.item['returned'] is never read.",
            "Units come back from order lines: say it in order_item, and name the order model.",
        )
    ]


def test_the_returned_units_of_an_order_are_not_looked_for_in_its_cart(only: Any):
    only(type("Fine", (BagShop,), {"item": BagShop.order_item, "order_item": {}}))
    assert checks.check_adapters() == []


def test_E012_a_state_that_there_is_not(only: Any):
    only(type("Broken", (Shop,), {"order_states": {"paid": "done", "void": "cancelled"}}))
    assert about(checks.check_adapters(), "E012") == [
        (
            "Broken.order_states has 'done'.",
            "It is 'open', 'closed', 'cancelled' or 'reopened'.",
        )
    ]


def test_E012_states_that_are_no_text(only: Any):
    only(type("Broken", (Shop,), {"order_states": {"paid": ["closed"], "placed": None}}))
    assert about(checks.check_adapters(), "E012") == [
        (
            "Broken.order_states has None, ['closed'].",
            "It is 'open', 'closed', 'cancelled' or 'reopened'.",
        )
    ]


class ShopElsewhere:
    """Routes the example's models, and nothing else, to the second database."""

    def db_for_write(self, model: Any, **_: Any) -> str | None:
        return "other" if model._meta.label == "shop.Cart" else None


def test_E013_two_databases(only: Any):
    only(Shop)
    with override_settings(DATABASE_ROUTERS=[ShopElsewhere()]):
        assert about(checks.check_adapters(), "E013") == [
            (
                "shop.Cart is on database 'other', the outbox on 'default'.",
                "A mark must live and die with the shop's transaction: use one database.",
            )
        ]


@pytest.mark.parametrize("attribute", ["cart_items", "order_items"])
def test_E014_no_lines(only: Any, attribute: str):
    only(type("Broken", (Shop,), {attribute: ""}))
    assert about(checks.check_adapters(), "E014") == [
        (
            f"Broken.{attribute} is empty.",
            "Name the reverse relation to the lines, or override items().",
        )
    ]


@pytest.mark.parametrize("value", ["cents", "Minor", None])
def test_E015_a_unit_that_there_is_not(only: Any, value: Any):
    only(type("Broken", (Shop,), {"price_unit": value}))
    assert checks.check_adapters() == [
        Error(
            f"Broken.price_unit is {value!r}.",
            hint="It is 'major' (12.50) or 'minor' (1250).",
            id="django_talon.E015",
        )
    ]


class Paid(enum.Enum):
    """As a status of no field."""

    PAID = "paid"


@pytest.mark.parametrize("status", ["payed", "PAID", 2, Paid.PAID])
def test_E016_a_status_that_is_no_choice(only: Any, status: Any):
    only(type("Broken", (Shop,), {"order_states": {status: "closed"}}))
    told = status.value if isinstance(status, Paid) else status
    assert checks.check_adapters() == [
        Error(
            f"Broken.order_states has {told!r}, which no order's 'status' is.",
            hint="shop.Order.status is one of 'placed', 'paid', 'cancelled'.",
            id="django_talon.E016",
        )
    ]


def test_E016_choices_in_groups(only: Any, monkeypatch: pytest.MonkeyPatch):
    groups = [("Running", [("placed", "placed"), ("paid", "paid")]), ("void", "void")]
    monkeypatch.setattr(Order._meta.get_field("status"), "choices", groups)
    only(type("Broken", (Shop,), {"order_states": {"paid": "closed", "Running": "open"}}))
    assert about(checks.check_adapters(), "E016") == [
        (
            "Broken.order_states has 'Running', which no order's 'status' is.",
            "shop.Order.status is one of 'placed', 'paid', 'void'.",
        )
    ]


@pytest.mark.parametrize(
    ("status", "hint"),
    [
        ("1", "shops.Purchase.stage is of type IntegerField. Did you mean 1?"),
        ("paid", "shops.Purchase.stage is of type IntegerField."),
        (None, "shops.Purchase.stage is of type IntegerField."),
    ],
)
def test_E016_a_status_of_another_type(only: Any, status: Any, hint: str):
    only(type("Broken", (BagShop,), {"order_states": {status: "closed", 2: "closed"}}))
    assert about(checks.check_adapters(), "E016") == [
        (f"Broken.order_states has {status!r}, which no order's 'stage' is.", hint)
    ]


def test_E016_a_status_that_is_a_row(only: Any):
    changed = {"order_state": "cart", "order_states": {"paid": "closed"}}
    only(type("Broken", (Shop,), changed))
    assert about(checks.check_adapters(), "E016") == [
        (
            "Broken.order_states has 'paid', which no order's 'cart' is.",
            "shop.Order.cart leads to another row: go on to one of its fields.",
        )
    ]


@pytest.mark.parametrize(
    "changed",
    [
        {"order_states": {Order.Status.PAID: "closed"}},
        {"order_state": "cart_id", "order_states": {5: "closed", None: "cancelled"}},
        {"order_state": "user.username", "order_states": {5: "closed"}},
        {"order_state": "can_be_cancelled", "order_states": {False: "cancelled"}},
        {"order_states": {"payed": "closed"}, "state": lambda *_: "closed"},
    ],
)
def test_statuses_that_may_be(only: Any, changed: dict[str, Any]):
    only(type("Sound", (Shop,), changed))
    assert checks.check_adapters() == []


def test_E017_a_name_that_is_nearly_one_of_ours(only: Any):
    own = {"order_custmer": "user", "price_units": "minor", "item_name": "", "_order_itms": ""}
    only(type("Broken", (Shop,), {**own, "isactive": lambda *_: True}))
    rest = "Begin a name of your own with an underscore."
    assert checks.check_adapters() == [
        Error(
            f"Broken.{wrong} is no attribute of an adapter.",
            hint=f"Did you mean {right!r}? {rest}",
            id="django_talon.E017",
        )
        for wrong, right in [
            ("isactive", "is_active"),
            ("order_custmer", "order_customer"),
            ("price_units", "price_unit"),
        ]
    ]


@pytest.mark.parametrize(
    ("attribute", "value", "problem"),
    [
        ("customer_attributes", ["tier"], "customer_attributes = ['tier'] is not a dict."),
        ("item", "sku", "item = 'sku' is not a dict."),
        ("item", {"sku": 5}, "item['sku'] = 5 is not a path."),
        ("order_item", {"attributes": "x"}, "order_item['attributes'] = 'x' is not a dict."),
        (
            "order_item",
            {"attributes": {"size": ["a"]}},
            "order_item['attributes']['size'] = ['a'] is not a path.",
        ),
        (
            "cart_attributes",
            {"attributes": {"size": "a"}},
            "cart_attributes['attributes'] = {'size': 'a'} is not a path.",
        ),
        ("order_states", ["paid"], "order_states = ['paid'] is not a dict."),
        ("cart", Cart, f"cart = {Cart!r} is not text."),
        ("order", None, "order = None is not text."),
        ("cart_customer", ["user"], "cart_customer = ['user'] is not text."),
        ("order_created", 5, "order_created = 5 is not text."),
        ("ignore_fields", "last_login", "ignore_fields = 'last_login' is not a set."),
    ],
)
def test_E018_a_type_that_nothing_can_be_read_from(
    only: Any, attribute: str, value: Any, problem: str
):
    only(type("Broken", (Shop,), {attribute: value}))
    assert checks.check_adapters() == [
        Error(
            f"Broken.{problem}",
            hint="Models and paths are text: 'shop.Cart', 'product.sku'.",
            id="django_talon.E018",
        )
    ]
    assert registry.adapters() == []


def test_E019_two_adapters_of_one_model(only: Any):
    twin = type("Twin", (Shop,), {"order": "", "order_cart": "", "__module__": "shop.twin"})
    only(Shop, twin, BagShop)
    assert checks.check_adapters() == [
        Error(
            "example_project.shop.talon.Shop and shop.twin.Twin both name shop.Cart.",
            hint="Only the first would be asked: keep one of them.",
            id="django_talon.E019",
        )
    ]


def test_E019_once_for_a_cart_that_is_its_own_order(only: Any):
    only(InvoiceShop, type("Twin", (InvoiceShop,), {"__module__": "shop.twin"}))
    assert about(checks.check_adapters(), "E019") == [
        (
            "tests.shops.talon.InvoiceShop and shop.twin.Twin both name shops.Invoice.",
            "Only the first would be asked: keep one of them.",
        )
    ]


FORGETFUL = (
    "The sandbox forgets everything when it ends: set BASE_URL and API_KEY of your deployment."
)


def deployed(debug: bool = False, **changed: Any) -> list[tuple[str, str | None]]:
    with override_settings(TALON_ONE={**ONE, **changed}, DEBUG=debug):
        return about(checks.check_deployment(), "E032")


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"BASE_URL": "http://127.0.0.1:8181"}, "127.0.0.1 is this machine"),
        ({"BASE_URL": "http://[::1]:8181"}, "::1 is this machine"),
        ({"BASE_URL": "http://localhost:8181/"}, "localhost is this machine"),
        ({"API_KEY": "sbx-shop"}, "API_KEY begins with 'sbx-'"),
        ({"API_KEY": ["new", "sbx-shop"]}, "API_KEY begins with 'sbx-'"),
        ({"API_KEY": lambda: "sbx-shop"}, "API_KEY begins with 'sbx-'"),
    ],
)
def test_emu_14_E032_production_points_at_a_sandbox(changed: dict[str, Any], why: str):
    assert deployed(**changed) == [
        (
            f"With DEBUG = False the Talon.One application 'default' points at a sandbox: {why}.",
            FORGETFUL,
        )
    ]
    assert deployed(debug=True, **changed) == []
    assert deployed(ENABLED=False, **changed) == []


def test_emu_14_E032_says_nothing_of_a_deployment_or_of_no_address():
    assert deployed() == []
    assert deployed(BASE_URL="http://[half") == []
    assert deployed(API_KEY=lambda: 1 / 0) == []


def test_emu_14_E032_only_check_deploy_says_it():
    here = override_settings(TALON_ONE={**ONE, "BASE_URL": "http://127.0.0.1:8181"}, DEBUG=False)
    with here, pytest.raises(SystemCheckError, match=r"django_talon\.E032"):
        call_command("check", "--deploy", tags=["talon"])
    with here:
        call_command("check", tags=["talon"])


@pytest.mark.parametrize("adapter", [Shop, InvoiceShop])
def test_W005_no_order_ever_closes(only: Any, adapter: type[Adapter]):
    only(type("Broken", (adapter,), {"order_states": {}}))
    assert checks.check_adapters() == [
        CheckWarning(
            "Broken.order_states is empty: no order ever closes.",
            hint="Say which statuses are 'closed' or 'cancelled', or override state().",
            id="django_talon.W005",
        )
    ]


@pytest.mark.parametrize("changed", [{"state": lambda *_: "open"}, {"order": ""}])
def test_an_adapter_without_statuses_may_be_meant(only: Any, changed: dict[str, Any]):
    only(type("Sound", (Shop,), {"order_states": {}, **changed}))
    assert checks.check_adapters() == []


def test_W002_an_order_without_a_date(only: Any):
    only(type("Broken", (Shop,), {"order": "shop.OrderLine", "order_items": "order"}))
    assert about(checks.check_adapters(), "W002") == [
        (
            "Broken.order_created does not say when an order was made.",
            "Without it, orders older than this installation would be sent when saved.",
        )
    ]


def test_W003_sqlite_without_the_write_lock(monkeypatch: pytest.MonkeyPatch):
    from django.db import connections

    connection = connections["default"]
    if connection.vendor != "sqlite":
        assert checks.check_database() == []
        return
    assert checks.check_database() == []
    monkeypatch.setitem(connection.settings_dict, "OPTIONS", {"timeout": 5})
    assert checks.check_database() == [
        CheckWarning(
            "SQLite begins transactions without the write lock: 'database is locked'.",
            hint="Set OPTIONS = {'transaction_mode': 'IMMEDIATE', 'timeout': 20} on the database.",
            id="django_talon.W003",
        )
    ]


def test_W004_no_admin_of_the_customers(only: Any):
    only(type("Members", (Shop,), {"cart": "shops.Bag", "cart_customer": "member"}))
    assert check_admin() == [
        CheckWarning(
            "No admin of shops.Member was found for the Talon.One actions.",
            hint=(
                "No ModelAdmin of the customer model is registered on Django's own admin site, or"
                " django_talon stands before django.contrib.admin in INSTALLED_APPS. On another"
                " admin site use `from django_talon.admin import TalonCustomerAdminMixin`. To do"
                " without the actions set TALON_ONE['ADMIN_ACTIONS'] = False."
            ),
            id="django_talon.W004",
        )
    ]
    with override_settings(TALON_ONE={**ONE, "ADMIN_ACTIONS": False}):
        assert check_admin() == []


def test_a_mixin_on_the_shops_own_admin_site_is_enough(only: Any):
    only(type("Members", (Shop,), {"cart": "shops.Bag", "cart_customer": "member"}))
    site = AdminSite("backoffice")
    site.register(Member, TalonCustomerAdminMixin)
    assert check_admin() == []
    site.unregister(Member)


@pytest.mark.django_db(databases=["default", "other"])
def test_the_checks_are_bound():
    call_command("check", tags=["talon"])
    keyless = override_settings(TALON_ONE={**ONE, "API_KEY": ""})
    with keyless, pytest.raises(SystemCheckError) as caught:
        call_command("check")
    assert "(django_talon.E004) The Talon.One application 'default' lacks API_KEY." in str(
        caught.value
    )


def test_a_wrong_model_is_a_check_and_no_crash_at_the_start(tmp_path: Path):
    """Django starts before it checks: nothing may fall over a wrong adapter until then."""
    app = tmp_path / "wrong"
    app.mkdir()
    (app / "__init__.py").touch()
    (app / "talon.py").write_text(
        "from django_talon.shop import Adapter, register\n"
        "@register\n"
        "class Wrong(Adapter):\n"
        "    cart = 'shop.Crat'\n"
    )
    code = (
        "from django.conf import settings\n"
        "from tests import settings as tests\n"
        "values = {k: v for k, v in vars(tests).items() if k.isupper()}\n"
        "values['INSTALLED_APPS'] = [*values['INSTALLED_APPS'], 'wrong']\n"
        "settings.configure(**values)\n"
        "import django\n"
        "django.setup()\n"
        "from django.core.checks import run_checks\n"
        "print([each.id for each in run_checks(tags=['talon'])])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parents[2],
        env={"PYTHONPATH": f"{tmp_path}:.", "PATH": ""},
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )
    assert (done.stdout, done.stderr) == ("['django_talon.E009']\n", "")


@pytest.mark.parametrize(
    ("watch", "problem"),
    [
        ({"shop.CartItem": "cart"}, ""),
        ({"shop.Nonsense": "cart"}, "'shop.Nonsense' names no model."),
        ({"shop.CartItem": "basket"}, "has no 'basket'"),
        ({"shop.CartItem": "quantity"}, "is no foreign key"),
        ({"shop.CartItem": "product"}, "it ends at shop.Product, no cart, order or customer."),
        ({"shop.Cart": "items.cart"}, "is no foreign key"),
    ],
)
def test_E010_ways_of_watch(watch, problem):
    from django_talon.checks.paths import check_paths

    adapter = type("Watching", (Shop,), {"watch": watch})()
    models = {role: adapter.model(role) for role in ("cart", "order", "customer")}
    found = [m.msg for m in check_paths(adapter, models) if "watch" in m.msg]
    assert bool(found) == bool(problem)
    assert not found or problem in found[0]
