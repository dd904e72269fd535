"""Every fault action, phase and monitor is proven: switched off, a named test fails."""

from __future__ import annotations

from uuid import uuid4

import pytest

from django_talon.sandbox import tls
from django_talon.sandbox.fault_schema import ACTIONS, PHASES
from django_talon.sandbox.faults import Plan, Rule
from django_talon.sandbox.monitors import MONITORS, Violations
from django_talon.testing import SandboxServer, orders

from . import test_sandbox_doors_equal as doors
from . import test_sandbox_emu_control as control
from . import test_sandbox_emu_faults as wire_faults
from . import test_sandbox_emu_monitors as judged
from .sandbox_wire import World

FAILURES = (AssertionError, pytest.fail.Exception, OSError, LookupError, ValueError, TypeError)

#: Each action and the test that notices its absence, with what it takes beside the fixtures.
NOTICED_BY = {
    "status": (wire_faults.test_emu_03_status_with_every_kind_of_retry_after,),
    "refuse": (wire_faults.test_emu_03_refuse_then_answer_again,),
    "blackhole": (doors.test_emu_15_the_same_error_through_both_doors, "blackhole"),
    "delay": (doors.test_emu_15_the_same_error_through_both_doors, "long delay"),
    "hang": (wire_faults.test_emu_03_hang_ends_with_the_clock_of_the_world,),
    "park": (control.test_emu_18_calls_under_way_are_not_applied,),
    "drip": (doors.test_emu_15_the_same_error_through_both_doors, "drip body"),
    "reset": (wire_faults.test_emu_03_first_two_after_apply_reset,),
    "truncate": (wire_faults.test_emu_03_truncate,),
    "junk": (doors.test_emu_15_the_same_error_through_both_doors, "junk html"),
    "redirect": (wire_faults.test_emu_03_redirect_notices_a_forwarded_key,),
    "apply_late": (wire_faults.test_emu_03_applied_late,),
    "apply_twice": (wire_faults.test_emu_03_applied_twice,),
    "never_apply_but_200": (wire_faults.test_emu_03_never_applied_but_200,),
    "stale_read": (wire_faults.test_emu_03_stale_read,),
    "limit": (wire_faults.test_emu_11_token_bucket_passes_burst_and_refill,),
    "revoke": (wire_faults.test_emu_03_revoke_for_some_calls,),
    "shape": (doors.test_emu_15_the_same_error_through_both_doors, "shape"),
}
PHASE_NOTICED_BY = {
    "before_apply": wire_faults.test_emu_03_status_with_every_kind_of_retry_after,
    "after_apply": wire_faults.test_emu_03_first_two_after_apply_reset,
    "late_apply": wire_faults.test_emu_03_applied_late,
}


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(orders, "_ONE_POLL", 0.2)
    with SandboxServer() as running:
        yield running


@pytest.fixture
def world(server):
    return World(server, f"off-{uuid4().hex[:8]}")


@pytest.fixture
def servers():
    with SandboxServer() as wire, SandboxServer() as here:
        yield wire, here


def fails(test, world, servers, *more):
    """Assert that a test fails when it is run now."""
    with pytest.raises(FAILURES):
        if more:
            test(servers, *more)
        else:
            test(world, world.server.faults(world.name))


def test_no_action_phase_or_monitor_is_left_out():
    assert set(NOTICED_BY) == set(ACTIONS)
    assert set(PHASE_NOTICED_BY) == set(PHASES)
    assert set(judged.SCRIPTS) == set(MONITORS)


@pytest.mark.parametrize("action", NOTICED_BY)
def test_an_action_that_does_nothing_is_noticed(world, servers, monkeypatch, action):
    strikes = Rule.strikes

    def without(rule, now):
        return action not in rule.spec.get("do", {}) and strikes(rule, now)

    monkeypatch.setattr(Rule, "strikes", without)
    test, *more = NOTICED_BY[action]
    fails(test, world, servers, *more)


@pytest.mark.parametrize("phase", PHASE_NOTICED_BY)
def test_a_phase_in_which_nothing_happens_is_noticed(world, servers, monkeypatch, phase):
    happens = Plan.phase

    def without(plan, name):
        return [] if name == phase else happens(plan, name)

    monkeypatch.setattr(Plan, "phase", without)
    fails(PHASE_NOTICED_BY[phase], world, servers)


@pytest.mark.parametrize("monitor", MONITORS)
def test_a_monitor_that_says_nothing_is_noticed(world, monkeypatch, monitor):
    note = Violations.note

    def without(violations, name, details, *entries):
        if name != monitor:
            note(violations, name, details, *entries)

    monkeypatch.setattr(Violations, "note", without)
    world.server.reset(world.name, seed=judged.SEED)
    with pytest.raises(AssertionError):
        judged.test_emu_12_fires(world, monitor)


@pytest.mark.parametrize(
    ("kind", "complaint"), [("expired", "expired"), ("wrong-host", "mismatch"), ("cut", None)]
)
def test_a_tls_port_that_is_in_order_is_noticed(world, monkeypatch, kind, complaint):
    context = tls.context
    monkeypatch.setattr(tls, "context", lambda _, folder: context("self-signed", folder))
    with pytest.raises(pytest.fail.Exception):
        control.test_emu_23_bad_tls_ports_fail_in_their_own_way(world.server, kind, complaint)
