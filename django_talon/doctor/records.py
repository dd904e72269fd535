"""Customers' ids and erasures: what the law and Talon.One will ask about."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from django_talon.conf import conf
from django_talon.doctor.findings import Finding, of
from django_talon.models import Erasure
from django_talon.shop.adapter import Adapter
from django_talon.shop.registry import adapters

#: Customers whose ids are looked at.
SAMPLE = 100


def find() -> Iterator[Finding]:
    """Yield what is wrong with ids of customers and with erasures."""
    for adapter in adapters():
        yield from of(f"{type(adapter).__name__}.profile_id()", _addresses(adapter))
    yield from _overdue()
    yield from _log()


def _addresses(adapter: Adapter) -> Iterator[Finding]:
    newest = adapter.customer_model._base_manager.order_by("-pk")[:SAMPLE]
    if any("@" in str(adapter.profile_id(customer)) for customer in newest):
        what = f"{type(adapter).__name__}.profile_id() gives e-mail addresses."
        do = "Return the primary key or a UUID: addresses change and cannot be erased from ids."
        yield Finding("django_talon.E120", what, do)


def _overdue() -> Iterator[Finding]:
    late = Erasure.overdue().count()
    if late:
        what = f"{late} erasures are overdue: no proof after {conf.ERASURE_DEADLINE_DAYS} days."
        do = "See the erasures and the dead letters in the admin for what they wait for."
        yield Finding("django_talon.E121", what, do)


def _log() -> Iterator[Finding]:
    if not conf.ERASURE_LOG:
        if Erasure.objects.exists():
            what = "There are erasures, and TALON_ONE['ERASURE_LOG'] is not set."
            do = "Name a file outside the database's backups; `talon_erase --replay` reads it."
            yield Finding("django_talon.W122", what, do)
        return
    path = Path(conf.ERASURE_LOG)
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        what = "TALON_ONE['ERASURE_LOG'] names a file that cannot be written."
        yield Finding("django_talon.E122", what, "Make it writable for the web servers.")
