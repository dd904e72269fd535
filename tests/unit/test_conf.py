"""The settings dict: defaults, live reading, and what an Application is."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from django.test import override_settings

from django_talon import conf as configuration
from django_talon.conf import (
    Application,
    TalonConfigurationError,
    application,
    applications,
    conf,
    route,
)

ONE = {"BASE_URL": "https://shop.talon.one", "API_KEY": "top-secret"}


@override_settings(TALON_ONE=ONE)
def test_defaults():
    assert {name: getattr(conf, name) for name in vars(type(conf)) if name.isupper()} == {
        "ENABLED": True,
        "ROUTER": None,
        "GUESTS": "guest_id",
        "ID_PREFIX": "",
        "SYNC_ORDERS_SINCE": None,
        "TIMEOUT": (2.0, 5.0),
        "DEADLINE": 10.0,
        "CHECKOUT_BUDGET": 1.5,
        "ON_FAILURE": "open",
        "EVALUATION_MAX_AGE": 300.0,
        "DEBOUNCE": 1.0,
        "LEASE": 60.0,
        "HOLD": 30.0,
        "ROUNDING": "ROUND_HALF_UP",
        "RUN_RULE_ENGINE": False,
        "EVENTS": "v2",
        "EVENTS_AT_MOST_ONCE": (),
        "EVENT_MAX_AGE": None,
        "CART_EXPIRES_DAYS": None,
        "WORKER_THREADS": 2,
        "RETENTION_DAYS": 30,
        "DEAD_LETTER_RETENTION_DAYS": 90,
        "SESSION_RETENTION_DAYS": 365,
        "ERASE_ON_DELETE": False,
        "ERASURE_DEADLINE_DAYS": 30,
        "ERASURE_LOG": "",
        "HEALTH_TOKEN": "",
        "ADMIN_ACTIONS": True,
        "ADMIN_BANNER": True,
    }


def test_settings_are_read_live():
    with override_settings(TALON_ONE={**ONE, "DEBOUNCE": 3}):
        assert conf.DEBOUNCE == 3
    with override_settings(TALON_ONE={**ONE, "DEBOUNCE": 4}):
        assert conf.DEBOUNCE == 4


@pytest.mark.parametrize("value", [None, [], "https://shop.talon.one"])
def test_what_is_not_a_dict_reads_as_an_empty_one(value: Any):
    with override_settings(TALON_ONE=value):
        assert configuration.talon_one() == {}
        assert conf.DEADLINE == 10.0


@override_settings(TALON_ONE=ONE)
def test_the_short_form_is_the_default_application():
    assert application("default") == Application(
        alias="default",
        base_url="https://shop.talon.one",
        api_key="top-secret",
        currency="EUR",
        environment="shop.talon.one",
        dialect="current",
    )


@override_settings(
    TALON_ONE={
        "CURRENCY": "chf",
        "APPLICATIONS": {
            "default": {"BASE_URL": "https://a.example", "API_KEY": "a", "CURRENCY": "EUR"},
            "jp": {"BASE_URL": "https://b.example", "API_KEY": "b", "CURRENCY": "jpy"},
            "half": {"BASE_URL": "https://c.example"},
        },
    }
)
def test_short_keys_win_and_applications_without_a_key_are_left_out():
    assert [(app.alias, app.currency, app.environment) for app in applications()] == [
        ("default", "CHF", "a.example"),
        ("jp", "JPY", "b.example"),
    ]


@override_settings(TALON_ONE={**ONE, "API_KEY": lambda: "from-a-vault", "ENVIRONMENT": "live"})
def test_a_key_may_be_a_callable_and_the_environment_named():
    assert application("default").api_key == "from-a-vault"
    assert application("default").environment == "live"


@override_settings(TALON_ONE={**ONE, "APPLICATIONS": {"jp": ONE}})
def test_an_unknown_application_says_which_there_are():
    with pytest.raises(TalonConfigurationError) as caught:
        application("us")
    assert str(caught.value) == (
        "There is no Talon.One application 'us' in TALON_ONE['APPLICATIONS']"
        " (there are: default, jp). Add it, or change what ROUTER returns."
    )


@pytest.mark.parametrize("missing", ["BASE_URL", "API_KEY"])
def test_an_application_without_address_or_key_cannot_be_used(missing: str):
    with override_settings(TALON_ONE={**ONE, missing: ""}):
        with pytest.raises(TalonConfigurationError) as caught:
            application("default")
        assert applications() == []
    assert str(caught.value) == (
        "The Talon.One application 'default' lacks BASE_URL or API_KEY."
        " Run `manage.py check` to see which."
    )


@override_settings(TALON_ONE=ONE)
def test_the_key_is_in_no_repr_and_not_in_the_name_of_the_endpoint():
    app = application("default")
    assert "top-secret" not in repr(app)
    assert "top-secret" not in app.endpoint
    assert app.endpoint.startswith("default-")


def test_another_key_or_address_is_another_endpoint():
    names = set()
    for change in ({}, {"API_KEY": "new"}, {"BASE_URL": "https://other.example"}):
        with override_settings(TALON_ONE={**ONE, **change}):
            names.add(application("default").endpoint)
    assert len(names) == 3


def by_country(row: Any) -> str:
    return str(row.country)


def test_the_router_names_the_application_of_a_row():
    row = SimpleNamespace(country="jp")
    with override_settings(TALON_ONE=ONE):
        assert route(row) == "default"
    with override_settings(TALON_ONE={**ONE, "ROUTER": by_country}):
        assert route(row) == "jp"
    with override_settings(TALON_ONE={**ONE, "ROUTER": f"{__name__}.by_country"}):
        assert route(row) == "jp"
