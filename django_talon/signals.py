"""The signals that shop code may connect to.

All are sent by workers or by ``evaluate``, never inside a shop's save, and a
receiver that raises is logged and does not disturb the others.
"""

from __future__ import annotations

from django.dispatch import Signal

#: Before a call. Keyword arguments: ``operation``, ``application``, ``aggregate``.
pre_send = Signal()
#: After a call that succeeded. The same, with ``seconds``.
post_send = Signal()
#: After a row became a dead letter. Keyword arguments: ``dead_letter``.
delivery_failed = Signal()
#: After an answer was stored. Keyword arguments: ``session``, ``effects``.
effects_received = Signal()
#: About once a minute, by each process that sweeps or relays, for metrics. Keyword arguments:
#: ``signs``, ``traffic``, ``problems``.
health_measured = Signal()
#: After the proof of an erasure was stored. Keyword arguments: ``erasure``.
customer_erased = Signal()
