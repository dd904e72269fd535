"""The shop deletes or anonymises a customer: their data at Talon.One goes as well."""

from __future__ import annotations

import logging
from typing import Any

from django.db import models, transaction
from django.db.models.signals import post_delete, pre_delete

from django_talon.conf import conf
from django_talon.outbox import clock
from django_talon.privacy.erasing import erase
from django_talon.privacy.people import people_of
from django_talon.shop.registry import adapters

logger = logging.getLogger("django_talon")

_UID = "django_talon.erase_on_delete"
_PERSON = "_talon_person"
#: Kept with the erasure as its reason.
DELETED = "deleted in the shop"
ANONYMISED = "anonymised in the shop"


def connect() -> None:
    """Watch the deletion of every adapter's customers; ``ERASE_ON_DELETE`` is read live."""
    for model in {adapter.customer_model for adapter in adapters()}:
        for family in _family(model):
            pre_delete.connect(_remember, sender=family, dispatch_uid=_UID)
            post_delete.connect(_deleted, sender=family, dispatch_uid=_UID)


def _family(model: type[models.Model]) -> list[type[models.Model]]:
    children = [_family(child) for child in model.__subclasses__() if not child._meta.abstract]
    return [model, *(found for family in children for found in family)]


def _remember(*, instance: Any, **_: Any) -> None:
    """Work the ids out while the rows they are made of are still there."""
    if conf.ERASE_ON_DELETE:
        try:
            setattr(instance, _PERSON, people_of([instance])[0])
        except Exception as error:  # noqa: BLE001  a shop's delete never fails because of us
            _complain(error)


def _deleted(*, instance: Any, **_: Any) -> None:
    person = instance.__dict__.pop(_PERSON, None)
    if person is None:
        return
    _request(person, DELETED)


def _request(who: Any, reason: str) -> None:
    try:
        with transaction.atomic(using=clock.outbox_alias()):
            erase(who, reason=reason)
    except Exception as error:  # noqa: BLE001  a shop's change never fails because of us
        _complain(error)


def _complain(error: Exception) -> None:
    logger.error(
        "A customer was deleted or anonymised in the shop, but the erasure at Talon.One could not"
        " be requested (%s). Request it with `manage.py talon_erase --profile-ids`.",
        type(error).__name__,
    )


def erase_instance(*, instance: Any, **_: Any) -> None:
    """Receive a signal that says a customer was anonymised, and request their erasure.

    For ``post_anonymise`` of django-gdpr-assist, or a signal of the shop's own with
    ``instance``: ``post_anonymise.connect(privacy.erase_instance, sender=User)``.
    Raises nothing into the shop's change; what could not be requested is logged.
    """
    _request(instance, ANONYMISED)
