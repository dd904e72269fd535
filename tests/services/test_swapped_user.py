"""A shop with a user model of its own (``AUTH_USER_MODEL``), in a process of its own."""

from __future__ import annotations

import json

import pytest

from tests.helpers import session_calls

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.services,
    pytest.mark.databases("sqlite"),
]


def test_B4_a_user_model_of_the_shops_own(talon, processes):
    process = processes.start(
        "-m", "tests.people.journey", DJANGO_SETTINGS_MODULE="tests.people.settings"
    )
    said, _ = process.communicate(timeout=120)
    processes.running.remove(process)
    assert process.returncode == 0, said
    found = json.loads(said.splitlines()[-1])
    ada = found.pop("ada")
    pages = dict.fromkeys(("change", "talon_inventory", "asked", "erased"), 200)
    assert found == {**pages, "erasure of": ada, "asked by": "root@shop.example"}
    opened, cancelled = session_calls(talon)
    assert (opened["profileId"], opened["state"]) == (ada, "open")
    assert (cancelled["id"], cancelled["state"]) == (opened["id"], "cancelled")
    assert ada in talon.state()["profiles"]
    assert talon.calls("deleteCustomerData")
