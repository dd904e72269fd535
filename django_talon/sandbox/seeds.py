"""Campaign files: the shipped ones by name, others by path, JSON always, YAML if installed."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from . import places, wire
from .engine.blocks import SeedError
from .engine.campaigns import Seed, parse
from .engine.decisions import parse as parse_decisions
from .faults import FaultError, Faults
from .wire import Json

SHIPPED = Path(__file__).parent / "campaigns"


def load(name: str, dialect: str | None = None) -> Seed:
    """Return the shipped seed of this name, or the one in a file; raise SeedError.

    ``dialect`` (both, current, 2020) counts more than what the file says.
    """
    seed = _read(name)
    if dialect is None:
        return seed
    chosen = parse_decisions({**asdict(seed.decisions), "dialect": dialect})
    return replace(seed, decisions=chosen)


def _read(name: str) -> Seed:
    shipped = SHIPPED / f"{name}.json"
    path = shipped if name.isidentifier() and shipped.exists() else Path(name)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SeedError(str(path), f"cannot be read: {error.strerror}") from error
    try:
        return parse(_content(path, content), path.stem)
    except SeedError as error:
        if error.path == str(path):
            raise
        line = places.line_of(content, error.path, is_yaml=_is_yaml(path))
        raise SeedError(f"{path}, line {line}: {error.path}", error.why) from error


def rules(path: Path) -> list[Json]:
    """Return the fault rules of a file, a list of them; raise FaultError."""
    try:
        found = _content(path, path.read_bytes())
    except OSError as error:
        raise FaultError(f"{path}: cannot be read: {error.strerror}") from error
    except SeedError as error:
        raise FaultError(str(error)) from error
    if not isinstance(found, list):
        raise FaultError(f"{path}: must be a list of rules")
    for number, rule in enumerate(found):
        try:
            Faults().add(rule)
        except FaultError as error:
            raise FaultError(f"{path}[{number}]: {error}") from error
    return found


def shipped() -> list[str]:
    """Return the names of the seeds in the package."""
    return sorted(path.stem for path in SHIPPED.glob("*.json"))


def _content(path: Path, content: bytes) -> Any:
    if _is_yaml(path):
        return _yaml(path, content)
    try:
        return wire.decode(content)
    except wire.MalformedError as error:
        place = re.search(r"\(byte (\d+)\)", str(error))
        line = places.line_at(content, int(place.group(1)) if place else len(content))
        raise SeedError(str(path), f"line {line} is no JSON: {error}") from error


def _is_yaml(path: Path) -> bool:
    return path.suffix in {".yaml", ".yml"}


def _yaml(path: Path, content: bytes) -> Any:
    try:
        import yaml
    except ImportError as error:
        raise SeedError(str(path), "needs PyYAML: pip install django-talon[sandbox]") from error
    try:
        plain = json.dumps(yaml.safe_load(content), default=str)
        return wire.decode(plain.encode())
    except yaml.YAMLError as error:
        raise SeedError(str(path), f"is no YAML: {error}") from error
