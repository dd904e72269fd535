"""What can happen on the way to Talon.One, and what its answers ask for."""

from __future__ import annotations

import contextlib
import socket
from datetime import datetime
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command

import django_talon
from django_talon.models import DeadLetter, DeliveryLog, Endpoint, Lane, OutboxRow
from django_talon.outbox import clock, delivery
from django_talon.testing import SandboxServer
from django_talon.testing.plugin import TalonOne, pointed
from example_project.shop.models import CartItem
from example_project.shop.talon import Shop
from tests.helpers import UPDATE, all_due, cart_with, customer, session_calls, states, wait_for

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.services]


@pytest.fixture
def talon(talon, settings):
    """One call at a time, so that calls can be counted."""
    settings.TALON_ONE = {**settings.TALON_ONE, "WORKER_THREADS": 1}
    return talon


def relay_once():
    call_command("talon_relay", once=True)


def relay_all():
    """Deliver until nothing is left, and let no delay stand in the way."""
    wait_for(lambda: (all_due(), relay_once(), emptied())[-1], within=60)


def emptied():
    return not OutboxRow.objects.exists()


def attempts():
    return set(OutboxRow.objects.values_list("attempts", flat=True))


def lane_of(cart):
    return Lane.objects.get(key=f"cart:shop.cart:{cart.pk}")


def save_quantity(cart, quantity):
    item = cart.items.get()
    item.quantity = quantity
    item.save()


def remote_quantity(talon):
    [session] = talon.state()["sessions"].values()
    return session["cartItems"][0]["quantity"]


def seconds_until(moment, since):
    return (moment - since).total_seconds()


@pytest.mark.parametrize("code", [500, 502, 503, 504])
def test_fault_14_server_errors_without_a_hint(talon, code):
    """Each failure puts the cart off by full jitter that doubles, an hour at most; the fifth makes
    the endpoint rest, and the first success makes it healthy.
    """
    cart = cart_with(("mug", "1.00", 1))
    talon.faults.add(UPDATE, when={"first": 5}, do={"status": {"code": code}})
    for tried in range(4):
        before = clock.now()
        relay_once()
        after = clock.now()
        row, lane = OutboxRow.objects.first(), lane_of(cart)
        assert (row.attempts, len(talon.calls())) == (tried + 1, tried + 1)
        assert lane.blocked_until <= row.due_at
        assert seconds_until(row.due_at, before) >= 1
        assert seconds_until(row.due_at, after) <= 2 * 2**tried
        assert not Endpoint.objects.exclude(health="healthy").exists()
        all_due()
    OutboxRow.objects.update(attempts=40)
    relay_once()
    assert seconds_until(OutboxRow.objects.first().due_at, clock.now()) <= 3600
    assert (Endpoint.objects.get().health, Endpoint.objects.get().failures) == ("failing", 5)
    relay_all()
    assert (states(talon), len(talon.calls())) == (["open"], 6)
    assert (Endpoint.objects.get().health, Endpoint.objects.get().failures) == ("healthy", 0)


HINTS = {
    "seconds": ("120", 120),
    "a date": ({"date": 90}, 88),
    "a date that has passed": ({"date": -90}, 1),
    "nought": ("0", 1),
    "negative": ("-30", 1),
    "garbage": ("soon", 1),
    "ten years": ("315360000", 3600),
    "ten years, as a date": ({"date": 315360000}, 3600),
}


@pytest.mark.parametrize("hint", HINTS)
def test_fault_15_retry_after(talon, hint):
    """Retry-After pauses the endpoint for what it says, 1 s at least and an hour at most: no cart
    is sent before that, and no attempt is spent.
    """
    said, floor = HINTS[hint]
    cart_with(("mug", "1.00", 1))
    cart_with(("tea", "1.00", 1))
    talon.faults.add(UPDATE, when={"first": 1}, do={"status": {"code": 429, "retryAfter": said}})
    before = clock.now()
    relay_once()
    endpoint = Endpoint.objects.get()
    assert (endpoint.health, attempts()) == ("paused", {0})
    assert floor <= seconds_until(endpoint.until, before)
    assert seconds_until(endpoint.until, clock.now()) <= floor + 3
    if floor > 1:
        relay_once()
        assert len(talon.calls()) == 1
        relay_all()
    else:
        wait_for(lambda: (relay_once(), emptied())[-1])
        first, second, *_ = (datetime.fromisoformat(call["started"]) for call in talon.calls())
        assert seconds_until(second, first) >= 1
    assert len(session_calls(talon)) == 2


@pytest.mark.parametrize("code", [500, 503])
def test_fault_15_retry_after_of_a_server_error(talon, code):
    """A server error that says when to come back is a pause, too, and no attempt."""
    cart_with(("mug", "1.00", 1))
    status = {"code": code, "retryAfter": "120"}
    talon.faults.add(UPDATE, when={"first": 1}, do={"status": status})
    before = clock.now()
    relay_once()
    relay_once()
    assert seconds_until(Endpoint.objects.get().until, before) >= 120
    assert (len(talon.calls()), attempts()) == (1, {0})
    relay_all()
    assert states(talon) == ["open"]


def test_fault_16_a_conflict_of_parallel_calls(talon, capsys):
    """A 409 puts off that cart for two seconds at most: it is no attempt, the endpoint stays
    healthy, and the cart arrives. Many of them are told by talon_check.
    """
    cart = cart_with(("mug", "1.00", 1))
    talon.faults.add(UPDATE, when={"first": 12}, do={"status": {"code": 409}})
    for _ in range(12):
        before = clock.now()
        assert delivery.serve_next()
        blocked = lane_of(cart).blocked_until
        assert before < blocked
        assert seconds_until(blocked, clock.now()) <= 2
        all_due()
    assert attempts() == {0}
    assert not Endpoint.objects.exclude(health="healthy").exists()
    relay_all()
    assert states(talon) == ["open"]
    assert not DeadLetter.objects.exists()
    with contextlib.suppress(CommandError):
        call_command("talon_check", offline=True)
    assert "django_talon.W127" in capsys.readouterr().out


@pytest.fixture
def deaf():
    """Return an address whose port takes no more connections: to connect lasts for ever."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=0)
    address = listener.getsockname()
    waiting = [socket.socket() for _ in range(3)]
    for one in waiting:
        one.setblocking(False)
        one.connect_ex(address)
    yield f"http://127.0.0.1:{address[1]}"
    for one in [*waiting, listener]:
        one.close()


@pytest.fixture
def refusing():
    """Return an address whose port is closed."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    return f"http://127.0.0.1:{port}"


@pytest.fixture
def unknown():
    return "http://talon-one.invalid"


@pytest.fixture(scope="module")
def old_sandbox():
    with SandboxServer(dialect="2020") as server:
        yield server


@pytest.fixture
def at_most_once(old_sandbox, settings):
    """A Talon.One that cannot know an event again; the shop would rather lose one than send two."""
    world = TalonOne(old_sandbox, uuid4().hex)
    more = {"DIALECT": "2020", "EVENTS_AT_MOST_ONCE": ["newsletter"], "HOLD": 1}
    settings.TALON_ONE = pointed({"DEBOUNCE": 0, **more}, world)
    yield world
    world.reset()


@pytest.mark.parametrize("trouble", ["refusing", "unknown", "deaf"])
@pytest.mark.parametrize("world", ["talon", "at_most_once"])
def test_fault_17_no_connection(request, settings, world, trouble):
    """Without a connection nothing was sent: it is tried again freely, even an event that must not
    arrive twice, and arrives once.
    """
    there = request.getfixturevalue(world)
    here = {**settings.TALON_ONE, "TIMEOUT": (0.3, 5)}
    settings.TALON_ONE = {**here, "BASE_URL": request.getfixturevalue(trouble)}
    django_talon.track("newsletter", {"source": "footer"}, customer=customer())
    OutboxRow.objects.exclude(kind="event").delete()
    for tried in (1, 2):
        all_due()
        relay_once()
        assert OutboxRow.objects.get().attempts == tried
    assert Lane.objects.filter(why="hold").count() == 0
    assert set(DeliveryLog.objects.values_list("ambiguous", flat=True)) == {False}
    assert not DeadLetter.objects.exists()
    settings.TALON_ONE = here
    relay_all()
    assert [event["type"] for event in there.state()["events"]].count("newsletter") == 1


LOST = {
    "read timeout": {"hang": {"seconds": 1.5}},
    "reset": {"reset": {}},
    "reset in the answer": {"reset": {"at": "answer"}},
}


@pytest.mark.parametrize("loss", ["read timeout", "reset"])
def test_fault_18_the_answer_of_the_last_call_is_lost_and_its_change_comes_late(
    talon, settings, loss
):
    """A call that got no answer may still be applied: the cart is held that long, and Talon.One
    ends with what the database says.
    """
    settings.TALON_ONE = {**settings.TALON_ONE, "HOLD": 300, "TIMEOUT": (2, 0.5)}
    cart = cart_with(("mug", "1.00", 1))
    relay_once()
    talon.clock.freeze()
    talon.faults.add(UPDATE, when={"first": 1}, phase="late_apply", seconds=1.0, do=LOST[loss])
    save_quantity(cart, 2)
    relay_once()
    save_quantity(cart, 3)
    relay_once()
    talon.clock.advance(2)
    wait_for(lambda: remote_quantity(talon) == 2)
    relay_all()
    assert remote_quantity(talon) == CartItem.objects.get().quantity == 3


@pytest.mark.parametrize("loss", LOST)
def test_fault_18_the_answer_about_an_event_is_lost(talon, settings, loss):
    """An event whose answer was lost is sent again with its key, and Talon.One has it once."""
    settings.TALON_ONE = {**settings.TALON_ONE, "TIMEOUT": (2, 0.5)}
    talon.faults.add("trackEventV2", when={"first": 1}, phase="after_apply", do=LOST[loss])
    django_talon.track("newsletter", {"source": "footer"}, customer=customer())
    relay_all()
    calls = talon.calls("trackEventV2")
    [key] = {call["idempotencyKey"] for call in calls}
    assert key
    assert len(calls) > 1
    assert len(talon.state()["events"]) == 1


def test_fault_18_an_event_that_must_not_arrive_twice(at_most_once):
    """Where Talon.One cannot know an event again, one whose answer was lost is a dead letter, if
    the shop says so, and is not sent again.
    """
    talon = at_most_once
    talon.faults.add("trackEvent", when={"first": 1}, phase="after_apply", do={"reset": {}})
    django_talon.track("newsletter", {"source": "footer"}, customer=customer())
    relay_all()
    assert len(talon.calls("trackEvent")) == 1
    assert DeadLetter.objects.get().kind == "event"


NO_ANSWER = {
    "cut in its length": {"truncate": {"bytes": 10}},
    "cut in a chunk": {"truncate": {"bytes": 10, "chunked": True}},
}
NOT_AN_ANSWER = {
    "a portal's page": {"junk": {"kind": "html"}},
    "nothing": {"junk": {"kind": "empty"}},
    "other JSON": {"junk": {"kind": "json"}},
    "another charset": {"junk": {"kind": "charset"}},
}


def put_off_as_ambiguous(talon, fault, phase):
    """Let the second call about a cart be answered badly: the cart waits."""
    cart = cart_with(("mug", "1.00", 1))
    relay_once()
    talon.faults.add(UPDATE, when={"first": 1}, phase=phase, do=fault)
    save_quantity(cart, 2)
    relay_once()
    assert attempts() == {1}
    assert lane_of(cart).why == "hold"
    assert DeliveryLog.objects.latest("pk").ambiguous
    assert not DeadLetter.objects.exists()


@pytest.mark.parametrize("cut", NO_ANSWER)
def test_fault_19_half_an_answer(talon, cut):
    """An answer that ends too early is none: the change waits out the hold and is sent again."""
    put_off_as_ambiguous(talon, NO_ANSWER[cut], "after_apply")
    relay_all()
    _first, lost, again = talon.calls(UPDATE)
    assert lost["body"] == again["body"]
    assert remote_quantity(talon) == 2


@pytest.mark.parametrize("junk", NOT_AN_ANSWER)
def test_fault_20_a_200_that_is_not_talon_ones(talon, junk):
    """A 200 with a page, nothing or other JSON acknowledges nothing, for a portal may have said it:
    the change is kept and sent again.
    """
    put_off_as_ambiguous(talon, NOT_AN_ANSWER[junk], "before_apply")
    assert remote_quantity(talon) == 1
    relay_all()
    assert remote_quantity(talon) == 2


@pytest.mark.parametrize("part", ["head", "body"])
def test_fault_21_an_answer_drop_by_drop(talon, settings, part):
    """An answer that comes byte by byte ends at the deadline of the whole call, though no single
    read waits long; the change is sent again.
    """
    settings.TALON_ONE = {**settings.TALON_ONE, "DEADLINE": 1, "TIMEOUT": (2, 1)}
    drip = {"drip": {"part": part, "bytes": 1, "interval": 0.25}}
    talon.faults.add(UPDATE, when={"first": 1}, do=drip)
    cart_with(("mug", "1.00", 1))
    relay_once()
    call = DeliveryLog.objects.get()
    assert (call.outcome, call.ambiguous) == ("TalonTimeout", True)
    # The whole head, or the whole body, would take more than twenty seconds.
    assert 900 <= call.milliseconds < 10_000
    relay_all()
    assert len(talon.calls(UPDATE)) == 2
    assert remote_quantity(talon) == 1


@pytest.mark.parametrize("kind", ["self-signed", "expired", "wrong-host"])
def test_fault_22_a_certificate_that_cannot_be_trusted(talon, talon_sandbox, settings, kind):
    """Nothing is sent to a server whose certificate cannot be trusted: the endpoint is
    misconfigured, one call was tried for all carts, and no attempt is spent.
    """
    here = settings.TALON_ONE
    for number in range(3):
        cart_with((f"p{number}", "1.00", 1))
    with talon_sandbox.secure(kind) as secure:
        settings.TALON_ONE = {**here, "BASE_URL": secure.url}
        relay_once()
    endpoint = Endpoint.objects.get()
    assert (endpoint.health, endpoint.reason) == ("misconfigured", "TalonTlsError")
    assert (DeliveryLog.objects.count(), attempts()) == (1, {0})
    assert talon.calls() == []
    assert not DeadLetter.objects.exists()
    settings.TALON_ONE = here
    relay_all()
    assert states(talon) == ["open"] * 3


@pytest.mark.parametrize("code", [301, 302, 307])
def test_fault_23_a_redirect_is_not_followed(talon, code):
    """A redirect is never followed, and no key goes there: the endpoint is misconfigured, the rows
    are kept and no attempt is spent.
    """
    talon.faults.add(UPDATE, do={"redirect": {"code": code}})
    for number in range(3):
        cart_with((f"p{number}", "1.00", 1))
    relay_once()
    endpoint = Endpoint.objects.get()
    assert (endpoint.health, endpoint.reason) == ("misconfigured", "TalonRedirected")
    assert [call["method"] for call in talon.calls()] == ["PUT"]
    assert talon.violations() == []
    assert attempts() == {0}
    talon.faults.clear()
    relay_all()
    assert states(talon) == ["open"] * 3


def test_fault_24_netrc_and_proxies_of_the_environment(talon, processes, proxy, tmp_path):
    """Passwords in a netrc file and proxies in the environment change nothing: Talon.One is called
    directly, with the API key.
    """
    between, url = proxy(talon.url)
    netrc = tmp_path / "netrc"
    netrc.write_text("default login ada password wrong\n")
    netrc.chmod(0o600)
    names = ("http_proxy", "https_proxy", "all_proxy")
    environment = {name: url for word in names for name in (word, word.upper())}
    environment |= {"NETRC": str(netrc), "no_proxy": "", "NO_PROXY": ""}
    cart_with(("mug", "1.00", 1))
    relay = processes.start("-m", "django", "talon_relay", "--once", **environment)
    assert relay.wait(timeout=60) == 0
    assert [call["status"] for call in talon.calls()] == [200]
    assert between.accepted == 0
    assert emptied()


def test_fault_25_a_key_that_is_revoked_and_restored(talon):
    """While the key is refused every row waits, and each probe is one call; with the key restored
    all are delivered, and no attempt was spent.
    """
    carts = [cart_with((f"p{number}", "1.00", 1)) for number in range(60)]
    talon.revoke()
    for probes in range(1, 5):
        relay_once()
        assert len(talon.calls()) == probes
        assert (Endpoint.objects.get().health, attempts()) == ("refused", {0})
        relay_once()
        assert len(talon.calls()) == probes
        all_due()
    assert not DeadLetter.objects.exists()
    talon.restore()
    relay_all()
    assert {body["cartItems"][0]["sku"] for body in session_calls(talon)} == {
        f"p{number}" for number in range(60)
    }
    assert len(talon.calls()) == 4 + len(carts)
    assert Endpoint.objects.get().health == "healthy"


def test_fault_26_one_bad_attribute_among_fifty(talon, monkeypatch):
    """A cart that Talon.One refuses becomes a dead letter that says why, and all others go on; its
    next change is rendered anew, and takes the letter back.
    """
    talon.reset(
        seed={
            "name": "any",
            "attributes": {"CustomerSession": {"channel": "string"}},
            "additionalCosts": ["shipping"],
            "campaigns": [],
        }
    )
    carts = [cart_with((f"p{number}", "1.00", 1)) for number in range(50)]
    bad = carts[20]
    channel = {bad.pk: 7}
    paths = {"channel": lambda cart: channel.get(cart.pk, "web")}
    monkeypatch.setattr(Shop, "cart_attributes", paths)
    relay_once()
    letter = DeadLetter.objects.get()
    assert (letter.aggregate, letter.status) == (f"cart:shop.cart:{bad.pk}", 400)
    assert "/attributes/channel" in letter.pointers[0][0]
    assert len(session_calls(talon)) == 49
    assert emptied()
    channel.clear()
    save_quantity(bad, 2)
    relay_once()
    assert len(session_calls(talon)) == 50
    assert not DeadLetter.objects.exists()
    assert Endpoint.objects.exclude(health="healthy").count() == 0
