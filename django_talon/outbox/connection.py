"""One harmless call by hand, and what its failure means for the person who asked."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from django.utils.translation import gettext as _

from django_talon.client import TalonError, TalonRejected
from django_talon.conf import Application
from django_talon.outbox import backoff, calls, dialects, endpoint, sessions

#: Stands in the delivery log.
ABOUT = "connection test"


@dataclass(frozen=True)
class Test:
    """How a test of the connection ended."""

    milliseconds: int
    error: TalonError | None = None


def test(app: Application) -> Test:
    """Ask about an empty session of nobody with ``dry=true``: it leaves nothing at Talon.One.

    What comes is noted on the endpoint, so a good answer ends its rest. An
    operator's pause stays.
    """
    started = time.monotonic()
    error = None
    try:
        dialects.update_session(
            _call,
            app,
            f"connection-test-{uuid4()}",
            sessions.bare("open"),
            dry=True,
        )
    except TalonError as found:
        error = found
        endpoint.note(app, backoff.judge(found, attempts=0), found)
    return Test(int((time.monotonic() - started) * 1000), error)


def _call(app: Application, method: str, *args: Any, **options: Any) -> Any:
    return calls.call(app, ABOUT, method, *args, **options)


def explain(error: TalonError) -> str:
    """Say what came instead of an answer, without values, and what to do."""
    if isinstance(error, TalonRejected) and error.status == 404:
        return _("Talon.One does not know it (404). Check the spelling, and the Application.")
    if isinstance(error, TalonRejected) and error.status in {401, 403}:
        return _("Talon.One refuses the API key (%d). Set a valid API_KEY.") % error.status
    if isinstance(error, TalonRejected):
        complaints = "; ".join(
            f"{detail.title} {detail.pointer}".strip() for detail in error.errors
        )
        return _("Talon.One refused it (%(status)s). %(complaints)s") % {
            "status": error.status,
            "complaints": complaints,
        }
    name = type(error).__name__
    if error.ambiguous:
        return (
            _("No answer came (%s). It may have been done all the same: look before you try again.")
            % name
        )
    return _("Talon.One could not be asked (%s). Nothing was done.") % name
