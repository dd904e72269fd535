"""What somebody declares beside the seed: a shop that knows what it will send."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from .engine.campaigns import Definitions, Seed


@dataclass(frozen=True)
class Declared:
    """Attribute types per entity, event types and additional costs; "*" stands for any name."""

    attributes: dict[str, dict[str, str]] = field(default_factory=dict)
    event_types: tuple[str, ...] = ()
    additional_costs: tuple[str, ...] = ()

    def added_to(self, seed: Seed) -> Seed:
        """Return the seed with these declarations; where both name one, the seed's counts."""
        known = seed.definitions
        attributes = {
            entity: {**self.attributes.get(entity, {}), **known.attributes.get(entity, {})}
            for entity in {**self.attributes, **known.attributes}
        }
        costs = dict(known.additional_costs)
        for name in self.additional_costs:
            costs.setdefault(name, len(costs) + 1)
        kinds = tuple(dict.fromkeys((*known.event_types, *self.event_types)))
        definitions: Definitions = replace(
            known, attributes=attributes, event_types=kinds, additional_costs=costs
        )
        return replace(seed, definitions=definitions)
