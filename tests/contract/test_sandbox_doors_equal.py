"""One engine behind both doors: the same fault is the same error of our client through each."""

from __future__ import annotations

import itertools
from uuid import uuid4

import pytest

from django_talon.client import IntegrationClient, errors
from django_talon.sandbox.doors.in_process import SandboxAdapter
from django_talon.testing import SandboxServer

UPDATE = {"customerSession": {"profileId": "ada"}}
RESET, CUT = errors.TalonConnectionError, errors.TalonConnectionError
SLOW = errors.TalonTimeout
JUNK = errors.TalonUnreadableAnswer
DOWN, BUSY = errors.TalonServerError, errors.TalonThrottled

#: do, phase, the error (None: an answer), may it have been done?
FAULTS = {
    "status 503": ({"status": {"code": 503}}, "before_apply", DOWN, False),
    "status 500": ({"status": {"code": 500, "text": "<html>"}}, "before_apply", DOWN, True),
    "status 429": ({"status": {"code": 429, "retryAfter": 7}}, "before_apply", BUSY, False),
    "status 404": ({"status": {"code": 404}}, "before_apply", errors.TalonRejected, False),
    "status 409": ({"status": {"code": 409}}, "before_apply", errors.TalonConflict, False),
    "reset body": ({"reset": {}}, "before_apply", RESET, True),
    "reset late": ({"reset": {"at": "body"}}, "after_apply", RESET, True),
    "reset head": ({"reset": {"at": "head"}}, "before_apply", RESET, True),
    "reset answer": ({"reset": {"at": "answer"}}, "before_apply", RESET, True),
    "hang": ({"hang": {"seconds": 30}}, "after_apply", SLOW, True),
    "hang a moment": ({"hang": {"seconds": 0.1}}, "before_apply", RESET, True),
    "delay": ({"delay": {"seconds": 0.05}}, "before_apply", None, False),
    "long delay": ({"delay": {"uniform": [20, 30]}}, "before_apply", SLOW, True),
    "drip head": ({"drip": {"part": "head", "interval": 0.3}}, "before_apply", SLOW, True),
    "drip body": ({"drip": {"part": "body", "interval": 0.3}}, "before_apply", SLOW, True),
    "drip pieces": ({"drip": {"part": "body", "interval": 20}}, "before_apply", SLOW, True),
    "drip fast": ({"drip": {"bytes": 500, "interval": 0.01}}, "before_apply", None, False),
    "truncate": ({"truncate": {"bytes": 5}}, "before_apply", CUT, True),
    "truncate chunks": ({"truncate": {"chunked": True}}, "before_apply", CUT, True),
    "truncate in a chunk": ({"truncate": {"inChunk": True}}, "before_apply", CUT, True),
    "junk html": ({"junk": {}}, "before_apply", JUNK, True),
    "junk empty": ({"junk": {"kind": "empty"}}, "before_apply", JUNK, True),
    "junk json": ({"junk": {"kind": "json"}}, "before_apply", JUNK, True),
    "junk charset": ({"junk": {"kind": "charset"}}, "before_apply", JUNK, True),
    "gzip bomb": ({"junk": {"kind": "gzip_bomb"}}, "before_apply", JUNK, True),
    "redirect": ({"redirect": {"code": 307}}, "before_apply", errors.TalonRedirected, False),
    "refuse": ({"refuse": {"seconds": 0.2}}, "before_apply", RESET, True),
    "blackhole": ({"blackhole": {"seconds": 4}}, "before_apply", SLOW, True),
    "apply late": ({"apply_late": {"seconds": 0.1}}, "before_apply", RESET, True),
    "apply twice": ({"apply_twice": {}}, "before_apply", None, False),
    "never apply": ({"never_apply_but_200": {}}, "before_apply", None, False),
    "limit": ({"limit": {"rate": 0, "burst": 0 + 1}}, "before_apply", None, False),
    "revoke": ({"revoke": {}}, "before_apply", errors.TalonAuthError, False),
    "shape": (
        {"shape": {"pointer": "/effects", "how": "retype", "value": 7}},
        "before_apply",
        JUNK,
        True,
    ),
}


@pytest.fixture
def servers():
    """Two sandboxes of their own: one to be reached by socket, one in this process."""
    with SandboxServer() as wire, SandboxServer() as here:
        yield wire, here


def clients(servers, *, patient=True):
    """Return server and client for each door; only an impatient client gives up soon."""
    wire, here = servers
    adapter = SandboxAdapter(here.sandbox)
    return (
        (wire, client(wire, patient, url=wire.url)),
        (here, client(here, patient, url="http://sandbox.test", adapter=adapter)),
    )


def client(server, patient, *, url, adapter=None):
    timeout, deadline = ((20.0, 30.0), 60.0) if patient else ((20.0, 0.6), 1.0)
    return IntegrationClient(
        url, api_key=server.key("w"), timeout=timeout, deadline=deadline, adapter=adapter
    )


def told(call):
    """Return class, ambiguity and wait of what a call raises, or what it answers."""
    try:
        answer = call()
    except errors.TalonError as error:
        return type(error), error.ambiguous, error.status, error.retry_after
    return None, False, 200 if answer is not None else None, None


@pytest.mark.parametrize("name", FAULTS)
def test_emu_15_the_same_error_through_both_doors(servers, name):
    do, phase, error, ambiguous = FAULTS[name]
    found = []
    for server, asking in clients(servers, patient=error is not SLOW):
        server.faults("w").add("updateCustomerSessionV2", phase=phase, do=do)
        found.append(told(lambda asking=asking: asking.update_customer_session_v2("s1", UPDATE)))
    assert found[0] == found[1]
    assert found[0][:2] == (error, ambiguous)


@pytest.mark.parametrize("mode", ["refuse", "blackhole"])
def test_emu_15_the_gate_holds_for_both_doors(servers, mode):
    found = []
    for server, asking in clients(servers, patient=False):
        server.sandbox.gate.turn(mode)
        found.append(told(lambda asking=asking: asking.get_customer_inventory("ada")))
    assert found[0] == found[1]
    wanted = {"refuse": (errors.TalonConnectionError, False), "blackhole": (SLOW, True)}
    assert found[0][:2] == wanted[mode]


def test_emu_15_reset_at_accept(servers):
    found = []
    for server, asking in clients(servers):
        server.faults("w").add(do={"reset": {"at": "accept"}}, when={"first": 1})
        found.append(told(lambda asking=asking: asking.update_customer_session_v2("s1", UPDATE)))
        assert server.calls("w") == []
        assert told(lambda asking=asking: asking.update_customer_session_v2("s1", UPDATE))[2] == 200
    # Whether any byte left before the reset came is a matter of luck on a real socket.
    assert [one[0] for one in found] == [RESET, RESET]


def test_emu_15_a_call_that_timed_out_goes_on_by_itself(servers):
    for server, asking in clients(servers, patient=False):
        name = uuid4().hex
        server.faults("w").add(do={"park": {"name": name}})
        assert (
            told(lambda asking=asking: asking.update_customer_session_v2("s1", UPDATE))[0] is SLOW
        )
        assert server.state("w")["sessions"] == {}
        server.release(name)
        server.expect("w", "updateCustomerSessionV2").times(1)
        assert list(server.state("w")["sessions"]) == ["s1"]


def test_emu_15_the_same_story_through_both_doors(servers):
    stories = []
    for server, asking in clients(servers):
        server.clock("w").freeze("2026-03-01T12:00:00Z")
        for number, state in itertools.product(range(2), ("open", "closed")):
            items = [{"sku": "mug", "name": "Mug", "quantity": 2, "price": 9.99}]
            session = {"profileId": "ada", "state": state, "cartItems": items}
            session["couponCodes"] = ["WELCOME10", "NOPE"]
            told(
                lambda n=number, s=session, asking=asking: asking.update_customer_session_v2(
                    f"s{n}", {"customerSession": s}
                )
            )
        stories.append((server.journal("w"), server.state("w")))
    assert stories[0] == stories[1]
