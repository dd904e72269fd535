from __future__ import annotations

import pytest

from django_talon import client as c
from tests.unit.client.servers import answer, answering

KEY = "fefecafedeadbeef"


@pytest.mark.parametrize(
    ("call", "signature"),
    [
        (
            lambda t: t.request("PUT", "/v1/x", json={"attributes": {"Name": "Ada"}}),
            "9ba33dc4c124f258737457258be9e3f3",
        ),
        (lambda t: t.request("PUT", "/v1/x", json={}), "0ab22833fdd54e7d6f6a95dffd158d9e"),
        (lambda t: t.delete_customer_data("u1"), "0dbc664752c37541281e3eef8eee0d2d"),
    ],
    ids=["body", "empty object", "no body"],
)
def test_signature_of_2020(call, signature):
    with answering(answer(204, b"")) as server:
        call(c.IntegrationClient(server.url, application_id=73, application_key=KEY))
    (seen,) = server.seen
    assert seen.headers["content-signature"] == f"signer=73; signature={signature}"
    assert "authorization" not in seen.headers


def test_v2_operations_need_a_key():
    client = c.IntegrationClient("http://127.0.0.1:9", application_id=73, application_key=KEY)
    with pytest.raises(c.TalonInvalidRequest, match="updateCustomerSessionV2 needs an api_key"):
        client.update_customer_session_v2("s1", {"customerSession": {}})


def test_the_key_goes_before_the_signature():
    with answering(answer(204, b"")) as server:
        c.IntegrationClient(
            server.url, api_key="k", application_id=1, application_key=KEY
        ).delete_customer_data("u1")
    assert "content-signature" not in server.seen[0].headers


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"api_key": ""},
        {"api_key": "sEcReT\n"},
        {"api_key": "sEcReTé"},
        {"application_id": 1, "application_key": "sEcReT"},
        {"application_id": "one", "application_key": KEY},
        {"api_key": "sEcReT", "dialect": "2021"},
    ],
)
def test_wrong_settings_are_refused_without_being_shown(given):
    with pytest.raises(c.TalonInvalidRequest) as caught:
        c.IntegrationClient("http://127.0.0.1:9", **given)
    assert "sEcReT" not in str(caught.value)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "talon.one",
        "ftp://x",
        "http://",
        "http://u:p@x",
        "http://x?y",
        "http://x#y",
        "http://[",
        "http://x:99999",
    ],
)
def test_wrong_base_urls_are_refused(url):
    with pytest.raises(c.TalonInvalidRequest, match="base_url"):
        c.IntegrationClient(url, api_key="k")


def test_repr_shows_no_secret():
    client = c.IntegrationClient(
        "http://x/", api_key="sEcReT", application_id=1, application_key=KEY
    )
    assert repr(client) == "<IntegrationClient http://x dialect=current>"
    assert "sEcReT" not in repr(vars(client))
