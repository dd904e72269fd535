"""What the sandbox promises in numbers that take a while: 500 rows, 8 workers, 100 kills."""

from __future__ import annotations

import signal
import subprocess
import sys
from uuid import uuid4

import pytest

from django_talon.models import DeadLetter, Endpoint, OutboxRow
from django_talon.outbox import clock, delivery
from django_talon.testing import SandboxServer
from example_project.shop.models import Cart, CartItem
from tests.contract.sandbox_wire import World
from tests.contract.test_sandbox_emu_control import KILLED, UPDATE
from tests.contract.test_sandbox_emu_pytest import PARALLEL, run, servers
from tests.helpers import all_due, deliver_all, product

pytestmark = pytest.mark.services


@pytest.mark.django_db(transaction=True)
def test_emu_10_a_refused_key_with_500_rows_is_probed_and_no_more(talon):
    mug = product()
    for cart in Cart.objects.bulk_create(Cart() for _ in range(500)):
        CartItem.objects.create(cart=cart, product=mug, quantity=1)
    assert OutboxRow.objects.count() >= 500
    talon.revoke()
    probes = 5
    for _ in range(probes):
        delivery.drain()
        Endpoint.objects.update(until=clock.now())
        all_due()
    assert [call["status"] for call in talon.calls()] == [401] * probes
    assert talon.violations() == []
    assert not DeadLetter.objects.exists()
    talon.restore()
    all_due()
    deliver_all(within=120)
    accepted = [call for call in talon.calls() if call["status"] == 200]
    assert len({call["sessionId"] for call in accepted}) == len(accepted) == 500


def test_emu_07_eight_workers_and_one_server_without_cross_talk(tmp_path):
    (tmp_path / "var").mkdir()
    told = run(tmp_path, PARALLEL, "-n", "8", "-q", ini="talon_one_shared = on")
    assert "200 passed" in told, told
    assert servers(tmp_path) == (200, 1)


@pytest.mark.parametrize("phase", ["before_apply", "after_apply"])
def test_emu_24_killed_while_its_call_is_parked_a_hundred_times(phase):
    with SandboxServer() as server:
        world = World(server, f"kill-{uuid4().hex[:8]}")
        server.faults(world.name).add(UPDATE, phase=phase, do={"park": {"name": world.name}})
        arguments = [sys.executable, "-S", "-c", KILLED, world.netloc, f"ApiKey-v1 {world.key}"]
        applied = phase == "after_apply"
        for count in range(1, 51):
            with subprocess.Popen(arguments) as worker:
                parked = server.wait_until_parked(world.name, world.name, within=30)
                assert (parked["applied"], parked["index"]) == (applied, count - 1)
                worker.kill()
                assert worker.wait(30) == -signal.SIGKILL
            assert server.release(world.name) == 1
            server.expect(world.name, UPDATE).times(count, within=30)
        assert server.state(world.name)["sessions"]["s1"]["updateCount"] == 50
        assert server.violations(world.name) == []
