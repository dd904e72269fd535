"""Every text of the package is translated, and the compiled catalogs are fresh."""

from __future__ import annotations

import gettext
import re

import pytest
from django.utils import translation

from django_talon.outbox.vital_signs import Problem
from tests.catalogs import LOCALE, read_po, spoken

LANGUAGES = sorted(path.name for path in LOCALE.iterdir() if path.is_dir())

every_language = pytest.mark.parametrize("language", LANGUAGES)


def catalog(language):
    return LOCALE / language / "LC_MESSAGES" / "django.po"


def test_there_is_german():
    assert "de" in LANGUAGES
    with translation.override("de"):
        assert Problem("paused", (("application", "web"),)).message == (
            "Talon.One hat die Application „web“ um Geduld gebeten."
        )


@every_language
def test_every_text_is_translated(language):
    known = read_po(catalog(language))
    missing = [texts for texts in spoken() if not all(known.get(texts[0], [""]))]
    assert not missing, f"run makemessages and translate: {sorted(missing)}"


@every_language
def test_a_translation_fills_in_the_same_values(language):
    values = re.compile(r"%(?:\(\w+\))?[sd]")
    known = read_po(catalog(language))
    for texts in spoken():
        answer = known.get(texts[0], [texts[-1]])[-1]
        assert sorted(values.findall(answer)) == sorted(values.findall(texts[-1])), texts


@every_language
def test_the_compiled_catalog_is_fresh(language):
    with catalog(language).with_suffix(".mo").open("rb") as file:
        compiled = gettext.GNUTranslations(file)
    for text, answers in read_po(catalog(language)).items():
        if text and len(answers) == 1:
            assert compiled.gettext(text) == answers[0]
        elif text:
            assert [compiled.ngettext(text, "", n) for n in (1, 2)] == answers


@every_language
def test_nothing_is_translated_that_nobody_says(language):
    assert {text for text in read_po(catalog(language)) if text} <= {t[0] for t in spoken()}
