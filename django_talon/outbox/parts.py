"""Lines, and whatever else belongs to a cart, an order or a customer: whom a change concerns.

What the row itself tells goes into a plain INSERT. Who is named by the database
only is marked by an INSERT ... SELECT: the owner of a row of which that column
was not loaded, of a row that is not the cart's own but its line's, and the
former owner of a row that is saved without having been loaded.
"""

from __future__ import annotations

from typing import Any

from django.db import models

from django_talon.outbox.marks import may_name_a_lane, owner_rows, pk_row
from django_talon.outbox.rows import Row
from django_talon.outbox.selected import mark_owners
from django_talon.outbox.submitting import submit
from django_talon.shop.adapter import Adapter
from django_talon.shop.watching import Owner

_REMEMBERED = "_talon_owners"
_UNKNOWN = object()


class Part:
    """The receivers of one model whose rows belong to others."""

    def __init__(self, adapter: Adapter, model: type[models.Model], owners: list[Owner]) -> None:
        self.adapter = adapter
        self.model = model
        self.owners = owners
        self._attnames = [owner.attname for owner in owners]
        #: With the beginning of the owner's key, unless the row may name an order's lane.
        self._at_hand = [
            (
                owner,
                None if may_name_a_lane(adapter, owner) else pk_row(adapter, owner.role, "").lane,
            )
            for owner in owners
            if owner.is_at_hand
        ]
        self._pk_is_given = model._meta.pk.has_default() or model._meta.pk.has_db_default()

    def remember(self, *, instance: Any, **_: Any) -> None:
        """Keep the owners that a row was loaded with, to tell both when it moves."""
        loaded = instance.__dict__
        loaded[_REMEMBERED] = {name: loaded[name] for name in self._attnames if name in loaded}

    def before_save(self, *, instance: Any, using: str, update_fields: Any, **_: Any) -> None:
        """Tell a former owner that the row itself does not know any more."""
        if instance.pk is None:
            return
        for owner in self.owners:
            if self._leaves_the_unknown(instance, owner, update_fields):
                self._ask_the_database(instance, owner, using)

    def _leaves_the_unknown(self, instance: Any, owner: Owner, update_fields: Any) -> bool:
        now = instance.__dict__.get(owner.attname, _UNKNOWN)
        if now is _UNKNOWN or not _writes(owner, update_fields):
            return False
        if instance._state.adding:
            # Made by hand, with a key: this may update a row that exists. With a key that
            # makes itself Django never does that.
            return not self._pk_is_given
        before = instance.__dict__.get(_REMEMBERED, {}).get(owner.attname, _UNKNOWN)
        return before is _UNKNOWN or (not owner.is_at_hand and before != now)

    def saved(self, *, instance: Any, using: str, update_fields: Any, **_: Any) -> None:
        """Tell the owner, and the one before."""
        self._tell(instance, using)
        self._ask_for_others(instance, using)
        remembered = instance.__dict__.get(_REMEMBERED, {})
        self.remember(instance=instance)
        if update_fields:  # of a column that was not saved, what was loaded still holds
            for owner in self.owners:
                if owner.attname in remembered and not _writes(owner, update_fields):
                    instance.__dict__[_REMEMBERED][owner.attname] = remembered[owner.attname]

    def before_delete(self, *, instance: Any, using: str, **_: Any) -> None:
        """Tell the owner while the database still knows whose the row is."""
        self._ask_for_others(instance, using)

    def deleted(self, *, instance: Any, using: str, **_: Any) -> None:
        self._tell(instance, using)

    def _tell(self, instance: Any, using: str) -> None:
        rows: list[Row] = []
        loaded = instance.__dict__
        before = loaded.get(_REMEMBERED, {})
        for owner, prefix in self._at_hand:
            pk, old = loaded.get(owner.attname), before.get(owner.attname)
            if prefix is None:
                rows += owner_rows(self.adapter, owner, instance)
            elif pk is not None:
                key = f"{prefix}{pk}"
                rows.append(Row(key, key))
            if old is not None and old != loaded.get(owner.attname, old):
                rows.append(pk_row(self.adapter, owner.role, old))
        submit(rows, using)

    def _ask_for_others(self, instance: Any, using: str) -> None:
        for owner in self.owners:
            if not (owner.is_at_hand and owner.attname in instance.__dict__):
                self._ask_the_database(instance, owner, using)

    def _ask_the_database(self, instance: Any, owner: Owner, using: str) -> None:
        itself = self.model._base_manager.using(using).filter(pk=instance.pk)
        mark_owners(self.adapter, owner.role, itself, owner.lookup, using)


def _writes(owner: Owner, update_fields: Any) -> bool:
    """Whether a save writes the column that the way to the owner begins with."""
    field = owner.lookup.split("__")[0]
    return not update_fields or bool({field, owner.attname} & set(update_fields))
