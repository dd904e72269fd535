from __future__ import annotations

import gzip
import json
import pickle
import time
from email.utils import formatdate

import pytest

from django_talon import client as c
from tests.unit.client.servers import OK, answer, answering

REQUEST = {"customerSession": {"profileId": "ada@example.com"}}
R, A = "retryable", "ambiguous"


def failing(*answers):
    with answering(*answers) as server:
        client = c.IntegrationClient(server.url, api_key="sEcReT")
        with pytest.raises(c.TalonError) as caught:
            client.update_customer_session_v2("ada@example.com", REQUEST)
    assert len(server.seen) == 1
    return caught.value


@pytest.mark.parametrize(
    ("status", "kind", "verdict"),
    [
        (301, c.TalonRedirected, set()),
        (302, c.TalonRedirected, set()),
        (304, c.TalonRedirected, set()),
        (307, c.TalonRedirected, set()),
        (400, c.TalonRejected, set()),
        (401, c.TalonAuthError, set()),
        (403, c.TalonAuthError, set()),
        (404, c.TalonRejected, set()),
        (408, c.TalonTimeout, {R, A}),
        (409, c.TalonConflict, {R}),
        (413, c.TalonRejected, set()),
        (422, c.TalonRejected, set()),
        (429, c.TalonThrottled, {R}),
        (500, c.TalonServerError, {R, A}),
        (501, c.TalonServerError, {R}),
        (502, c.TalonServerError, {R, A}),
        (503, c.TalonServerError, {R}),
        (504, c.TalonServerError, {R, A}),
        (599, c.TalonServerError, {R, A}),
        (101, c.TalonUnreadableAnswer, {R, A}),
        (204, c.TalonUnreadableAnswer, {R, A}),
    ],
)
def test_F3_status(status, kind, verdict):
    body = b"" if status in (101, 204, 304) else b'{"message":"no"}'
    error = failing(
        answer(status, body, Location="http://elsewhere.example/v1?x=y", X_Request_Id="r-1")
    )
    assert type(error) is kind
    assert {name for name in (R, A) if getattr(error, name)} == verdict
    assert (error.status, error.operation) == (status, "updateCustomerSessionV2")
    assert error.request_id == "r-1"
    assert str(error).startswith(f"updateCustomerSessionV2 was answered with {status}")
    assert "ada@example.com" not in str(error)
    assert "sEcReT" not in repr(error)


def test_a_400_tells_what_is_wrong_and_quotes_nothing():
    body = {
        "message": "The submitted data was invalid",
        "errors": [
            {
                "title": "Invalid type",
                "details": 'Value of "Name" attribute (Ada Lovelace) is not a number',
                "source": {"pointer": "/attributes/Name"},
            },
            {"title": "enum", "source": {"parameter": "dry"}},
            {"source": None},
            "odd",
        ],
    }
    error = failing(answer(400, json.dumps(body).encode()))
    assert str(error) == (
        "updateCustomerSessionV2 was answered with 400: The submitted data was invalid;"
        " Invalid type at /attributes/Name; enum at dry."
        " Mend the request; sending it again will not help."
    )
    assert error.errors == [
        (
            "/attributes/Name",
            "Invalid type",
            'Value of "Name" attribute (Ada Lovelace) is not a number',
        ),
        ("dry", "enum", ""),
        ("", "", ""),
    ]
    assert error.errors[0].pointer == "/attributes/Name"


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"<html>", b'{"message":7,"errors":8}', b"[" * 100_000]
)
def test_an_error_with_an_odd_body_is_still_that_error(body):
    error = failing(answer(400, body))
    assert type(error) is c.TalonRejected
    assert error.errors == []


def test_a_wrong_signature_is_a_matter_of_the_key():
    assert type(failing(answer(400, b'{"message":"HMAC signature mismatch."}'))) is c.TalonAuthError


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("-1", None),
        ("soon", None),
        ("1.5", None),
        ("²", None),
        ("99999999", 99999999.0),
    ],
)
def test_retry_after_in_seconds(value, seconds):
    raw = answer(429, b"").replace(
        b"\r\n\r\n", b"\r\nRetry-After: " + value.encode("latin-1") + b"\r\n\r\n"
    )
    assert failing(raw).retry_after == seconds


def test_retry_after_as_a_date():
    error = failing(answer(503, b"", Retry_After=formatdate(time.time() + 3600, usegmt=True)))
    assert 3000 < error.retry_after <= 3600
    past = failing(answer(503, b"", Retry_After="Fri, 01 Jan 2021 00:00:00 GMT"))
    assert past.retry_after == 0
    assert failing(answer(503, b"")).retry_after is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>log in</html>",
        b"{}",
        b"[]",
        b"null",
        b'"ok"',
        OK[:-1],
        b'{"effects":7}',
        b"\xff",
        b"[" * 100_000,
        b'{"effects":null}x',
    ],
)
def test_a_success_that_is_not_the_answer_is_no_success(body):
    error = failing(answer(200, body, Content_Type="text/html; charset=x"))
    assert type(error) is c.TalonUnreadableAnswer
    assert (error.retryable, error.ambiguous, error.status) == (True, True, 200)


@pytest.mark.parametrize("body", [b"<html>", b" " * 11_000_000], ids=["html", "too long"])
def test_A11_the_escape_hatch_refuses_what_is_not_json(body):
    with answering(answer(200, body)) as server, pytest.raises(c.TalonUnreadableAnswer):
        c.IntegrationClient(server.url, api_key="k").request("GET", "/v1/x")


def test_gzip_is_unpacked():
    with answering(answer(200, gzip.compress(OK), Content_Encoding="gzip")) as server:
        state = c.IntegrationClient(server.url, api_key="k").update_customer_session_v2(
            "s", REQUEST
        )
    assert list(state.effects) == []


@pytest.mark.parametrize(
    "body",
    [gzip.compress(b" " * 50_000_000), gzip.compress(OK)[:-20], b"no gzip"],
    ids=["bomb", "cut", "none"],
)
def test_L5_bad_gzip_is_unreadable(body):
    error = failing(answer(200, body, Content_Encoding="gzip"))
    assert type(error) is c.TalonUnreadableAnswer


@pytest.mark.parametrize("status", [400, 503])
def test_an_error_with_bad_gzip_is_still_that_error(status):
    assert failing(answer(status, b"no gzip", Content_Encoding="gzip")).status == status


def test_A11_the_escape_hatch_refuses_bad_gzip():
    with answering(answer(200, b"no gzip", Content_Encoding="gzip")) as server:
        client = c.IntegrationClient(server.url, api_key="k")
        with pytest.raises(c.TalonUnreadableAnswer, match="badly packed"):
            client.request("GET", "/v1/x")


def test_L5_a_huge_answer_is_unreadable_and_the_client_goes_on():
    with answering(answer(200, b" " * 11_000_000), answer()) as server:
        client = c.IntegrationClient(server.url, api_key="k", timeout=(30, 30), deadline=60)
        with pytest.raises(c.TalonUnreadableAnswer, match="too long"):
            client.update_customer_session_v2("s", REQUEST)
        assert client.update_customer_session_v2("s", REQUEST)


def test_errors_survive_pickling():
    error = failing(answer(503, b"", Retry_After="7", X_Request_Id="r"))
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)
    assert (again.ambiguous, again.retry_after, again.request_id) == (False, 7.0, "r")


def test_G6_an_error_repeats_no_address_and_no_attribute_that_was_sent():
    told = {
        "message": "ada@example.com of Analytical Way is no gold, state open",
        "errors": [{"title": "Analytical Way is unknown", "source": {"pointer": "/attributes/x"}}],
    }
    sent = {
        "customerSession": {"state": "open", "attributes": {"x": "Analytical Way", "y": ["gold"]}}
    }
    with answering(answer(400, json.dumps(told).encode())) as server:
        client = c.IntegrationClient(server.url, api_key="sEcReT")
        with pytest.raises(c.TalonRejected) as caught:
            client.update_customer_session_v2("1", sent)
    error = caught.value
    assert "400: *** of *** is no ***, state open; *** is unknown at /attributes/x" in str(error)
    assert error.errors[0].title == "*** is unknown"
