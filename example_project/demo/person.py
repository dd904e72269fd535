"""A person with a browser: reads pages, fills in the forms that are on them, follows redirects."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin

import requests

VOID = {"input", "img", "br", "hr", "link", "meta", "use", "path", "rect", "circle", "ellipse"}


class Page(HTMLParser):
    """One HTML page: the text of each element with an id, its forms, and the boxes to tick."""

    def __init__(self, response: requests.Response) -> None:
        super().__init__()
        self.url = response.url
        self.texts: dict[str, str] = {}
        self.choices: dict[str, list[str]] = {}
        self.messages: list[str] = []
        self.forms: list[dict[str, Any]] = []
        self._open: list[tuple[str, str, str]] = []
        self.feed(response.text)
        self.texts = {key: " ".join(text.split()) for key, text in self.texts.items()}

    def text(self, element_id: str) -> str:
        """Return what stands in the element, or an empty string if the page has none."""
        return self.texts.get(element_id, "")

    def form(self, name: str) -> dict[str, Any]:
        """Return the form with this id, or with a field of this name."""
        for form in self.forms:
            if form["id"] == name or name in form["fields"]:
                return form
        raise LookupError(f"{self.url} has no form {name!r}")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {key: value or "" for key, value in attrs}
        if tag == "form":
            url = urljoin(self.url, found.get("action", ""))
            self.forms.append({"id": found.get("id"), "url": url, "fields": {}})
        if self.forms and found.get("name") and tag in ("input", "button"):
            self._add_field(found)
        if tag not in VOID:
            self._open.append((tag, found.get("id", ""), found.get("class", "")))

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        for _, element_id, _ in self._open:
            if element_id:
                self.texts[element_id] = self.texts.get(element_id, "") + data
        if any(set(css.split()) & {"message", "messagelist"} for _, _, css in self._open):
            self.messages.extend([data.strip()] if data.strip() else [])

    def _add_field(self, found: dict[str, str]) -> None:
        if found.get("type") in ("checkbox", "radio"):
            self.choices.setdefault(found["name"], []).append(found.get("value", ""))
        elif found.get("type") != "submit":
            self.forms[-1]["fields"][found["name"]] = found.get("value", "")


class Person:
    """Somebody at a browser. Cookies and CSRF tokens are kept as a browser keeps them."""

    def __init__(self, name: str, home: str) -> None:
        self.name = name
        self.home = home
        self.page: Page
        self._http = requests.Session()
        self._http.trust_env = False

    def visit(self, path: str) -> Page:
        return self._read(self._http.get(urljoin(self.home, path), timeout=30))

    def submit(self, form: str, **fields: Any) -> Page:
        """Fill in a form of the page in front of us and send it."""
        found = self.page.form(form)
        return self._read(
            self._http.post(
                found["url"],
                data=found["fields"] | fields,
                headers={"Referer": self.page.url},
                timeout=30,
            )
        )

    def log_in(self, path: str, form: str) -> Page:
        """Log in; in this shop everybody's password is the name."""
        self.visit(path)
        return self.submit(form, username=self.name, password=self.name)

    def _read(self, response: requests.Response) -> Page:
        response.raise_for_status()
        self.page = Page(response)
        return self.page
