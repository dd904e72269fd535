"""What the doctor says of one thing that is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

from django.db import DatabaseError

from django_talon.doctor.reasons import WHY

PAGE = "docs/reference/checks.md"


class Level(str, Enum):
    """How bad it is."""

    #: Nothing can be delivered, or something wrong will be.
    ERROR = "error"
    #: It works now, and will not under load, in an outage, or later.
    WARNING = "warning"
    INFO = "info"


_LEVELS = {"E": Level.ERROR, "W": Level.WARNING, "I": Level.INFO}


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong: what it is, why it matters, what to do."""

    #: Stable, such as ``django_talon.E102``: one id has one meaning for ever.
    id: str
    what: str
    do: str
    #: The level of a check that is not ours.
    said: Level | None = None

    @property
    def level(self) -> Level:
        """The level that the letter of the id stands for."""
        return self.said or _LEVELS[self.id.rpartition(".")[2][0]]

    @property
    def why(self) -> str:
        """What happens if nothing is done; empty of a check that is not ours."""
        return WHY.get(self.id, "")

    @property
    def anchor(self) -> str:
        """Where the documentation says more; empty of a check that is not ours."""
        return f"{PAGE}#{self.id.rpartition('.')[2].lower()}" if self.id in WHY else ""

    def as_dict(self) -> dict[str, Any]:
        """Return what ``talon_check --json`` prints of it."""
        words = {"id": self.id, "what": self.what, "do": self.do}
        return {**words, "level": self.level.value, "why": self.why, "see": self.anchor}


def of(part: str, findings: Iterable[Finding]) -> Iterator[Finding]:
    """Yield the findings of a part; if code of the shop raises in it, that is the last of them."""
    try:
        yield from findings
    except DatabaseError:
        raise
    except Exception as error:  # noqa: BLE001  the other parts are still to be examined
        what = f"{part} could not be examined: {type(error).__name__}."
        do = "Mend what raises, as `manage.py shell` shows it, and ask again."
        yield Finding("django_talon.E126", what, do)
