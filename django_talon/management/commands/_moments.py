"""Moments on the command line: ``--since 2026-11-01``, ``--since 36h``."""

from __future__ import annotations

import argparse
import re
from contextlib import suppress
from datetime import date, datetime, time, timedelta

from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def moment(text: str) -> datetime:
    """Read a date, a date with time, or an age such as ``90m``, ``36h``, ``7d`` or ``2w``."""
    if age := re.fullmatch(r"(\d+)([mhdw])", text):
        return timezone.now() - timedelta(**{_UNITS[age[2]]: int(age[1])})
    found: date | None = None
    with suppress(ValueError):
        found = parse_datetime(text) or parse_date(text)
    if found is None:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no moment: write 2026-11-01, 2026-11-01T08:00 or an age such as 36h or 7d"
        )
    if not isinstance(found, datetime):
        found = datetime.combine(found, time())
    return timezone.make_aware(found) if timezone.is_naive(found) else found


def positive(text: str) -> float:
    """Read a number above 0."""
    with suppress(ValueError):
        if (number := float(text)) > 0:
            return number
    raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")


def whole(text: str) -> int:
    """Read a whole number above 0."""
    number = positive(text)
    if number != int(number):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number")
    return int(number)
