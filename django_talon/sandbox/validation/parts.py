"""What the bodies of both years are made of."""

from __future__ import annotations

from .attributes import attributes
from .fields import Check, choice, many, shape, text

LONGEST_ID, LONGEST_CODE = 1000, 100

state = choice("open", "closed", "cancelled")
integration_id = text(1, LONGEST_ID)
profile_id = text(0, LONGEST_ID)
code = text(0, LONGEST_CODE)
coupon_codes = many(text(1, LONGEST_CODE), 1000)
identifiers = many(text(1, 1000), 5)
new_profile = shape({}, {"attributes": attributes("CustomerProfile")})
reservations = shape({"integrationIDs": many(integration_id, 1000)}, {})


def content(*names: str) -> Check:
    """Return a check for the parts of an answer that may be asked for."""
    return many(choice(*names), len(names))
