"""A person's data at Talon.One: fetch it, erase it, and keep it erased."""

from django_talon.privacy.deletions import erase_instance
from django_talon.privacy.erasing import Outcome, erase, erase_all, lift, lift_all, overdue
from django_talon.privacy.held import held
from django_talon.privacy.inventories import inventory, talon_one_knows, told
from django_talon.privacy.people import (
    environments,
    file_name,
    named,
    people_of,
    places,
    profile_id_of,
)
from django_talon.privacy.replaying import Replayed, replay

__all__ = [
    "Outcome",
    "Replayed",
    "environments",
    "erase",
    "erase_all",
    "erase_instance",
    "file_name",
    "held",
    "inventory",
    "lift",
    "lift_all",
    "named",
    "overdue",
    "people_of",
    "places",
    "profile_id_of",
    "replay",
    "talon_one_knows",
    "told",
]
