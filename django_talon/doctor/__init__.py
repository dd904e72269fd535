"""The doctor: asks settings, database, broker and Talon.One itself what is wrong with them."""

from __future__ import annotations

from django_talon.doctor.examination import EXAMINATIONS, Examination, examine
from django_talon.doctor.findings import Finding, Level

__all__ = ["EXAMINATIONS", "Examination", "Finding", "Level", "examine"]
