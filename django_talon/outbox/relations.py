"""Many-to-many relations of watched rows, from whichever side they are changed."""

from __future__ import annotations

from typing import Any

from django_talon.outbox import selected
from django_talon.outbox.marks import owner_rows, pk_row, rows_for
from django_talon.outbox.submitting import submit
from django_talon.shop import watching
from django_talon.shop.adapter import Adapter
from django_talon.shop.watching import ManyToMany

_DONE = frozenset({"post_add", "post_remove", "post_clear"})


class Relation:
    """The receiver of one many-to-many relation of a watched model."""

    def __init__(self, adapter: Adapter, relation: ManyToMany) -> None:
        self.adapter = adapter
        self.relation = relation
        self.role = next(
            (role for role in watching.ROLES if adapter.model(role) is relation.model), ""
        )
        self.owners = [] if self.role else watching.owners(adapter, relation.model)

    def changed(
        self, *, instance: Any, action: str, reverse: bool, pk_set: Any, using: str, **_: Any
    ) -> None:
        """Mark the watched rows that were added, removed or cleared."""
        if reverse == self.relation.is_reverse:
            if action in _DONE and (pk_set or action == "post_clear"):
                self._row_changed(instance, using)
        elif action == "pre_clear":
            self._will_be_cleared(instance, using)
        elif action in _DONE and pk_set:
            self._keys_changed(pk_set, using)

    def _row_changed(self, instance: Any, using: str) -> None:
        if self.role:
            submit(rows_for(self.adapter, self.role, instance), using)
            return
        for owner in self.owners:
            if owner.is_at_hand and owner.attname in instance.__dict__:
                submit(owner_rows(self.adapter, owner, instance), using)
            else:
                self._find(owner.role, {"pk": instance.pk}, owner.lookup, using)

    def _keys_changed(self, pks: set[Any], using: str) -> None:
        if self.role:
            submit([pk_row(self.adapter, self.role, pk) for pk in pks], using)
            return
        for owner in self.owners:
            self._find(owner.role, {"pk__in": pks}, owner.lookup, using)

    def _find(self, role: str, where: dict[str, Any], lookup: str, using: str) -> None:
        found = self.relation.model._base_manager.using(using).filter(**where)
        selected.mark_owners(self.adapter, role, found, lookup, using)

    def _will_be_cleared(self, other: Any, using: str) -> None:
        """Mark the rows that the other side lets go of: afterwards nobody can say which."""
        links = self.relation.through._base_manager.using(using)
        links = links.filter(**{self.relation.other: other.pk})
        ways = [(self.role, "pk")] if self.role else [(o.role, o.lookup) for o in self.owners]
        for role, lookup in ways:
            way = f"{self.relation.own}__{lookup}"
            selected.mark_owners(self.adapter, role, links, way, using)
