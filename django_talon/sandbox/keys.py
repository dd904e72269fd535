"""Who asks: API keys ``sbx-<world>[.<application>][~<n>]``, and the signature of 2020."""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass, field
from datetime import datetime

from . import refusals
from .clock import parsed, written
from .engine.errors import RefusedError
from .wire import Json, Request

DEFAULT_APPLICATION = "default"
NAME = re.compile(r"[A-Za-z0-9_-]{1,100}")
_KEY = re.compile(
    rf"^ApiKey-v1 sbx-({NAME.pattern})(?:\.({NAME.pattern}))?(?:~([0-9]{{1,6}}))?$", re.ASCII
)
_SIGNATURE = re.compile(r"^signer=([0-9]{1,18}); ?signature=([0-9a-f]{32})$", re.ASCII)
_SIGNER = re.compile(
    rf"^([0-9]{{1,18}}):([0-9a-fA-F]{{16}}):({NAME.pattern})(?:\.({NAME.pattern}))?$", re.ASCII
)


class SignatureMismatchError(RefusedError):
    """The 400 of a wrong signature; its body is a bare message (talon-semantics 8.2)."""

    def __init__(self, reason: str) -> None:
        super().__init__(400, "HMAC signature mismatch.", reason=reason)

    def envelope(self) -> Json:
        """Return the message and nothing else."""
        return {"message": self.message}


@dataclass(frozen=True)
class Caller:
    """The world and application that a request opens; ``issue`` counts rotations of the key."""

    world: str
    application: str = DEFAULT_APPLICATION
    issue: int = 0


@dataclass(frozen=True)
class Signer:
    """An Application that may sign its requests; ``secret`` is never shown."""

    id: str
    secret: bytes = field(repr=False)
    caller: Caller


def signer(text: str) -> Signer:
    """Return the signer of ``ID:HEXKEY:WORLD[.APPLICATION]``; raise ValueError."""
    match = _SIGNER.match(text)
    if match is None:
        raise ValueError("must be ID:HEXKEY:WORLD, the key of 16 hexadecimal digits")
    number, key, world, application = match.groups()
    caller = Caller(world, application or DEFAULT_APPLICATION)
    return Signer(str(int(number)), bytes.fromhex(key), caller)


def caller_of(request: Request, signers: dict[str, Signer], *, lenient: bool = False) -> Caller:
    """Return who asks; raise the 401, or the 400 of a signature that does not fit.

    Authorization wins; the signature counts only where there is none (appendix B1). With
    ``lenient`` a GET may come without any, if there is just one signer (B2).
    """
    header = request.headers.get("authorization")
    if header is not None:
        return _by_key(header)
    if "content-signature" in request.headers:
        return _by_signature(request, signers)
    if lenient and request.method == "GET" and len(signers) == 1:
        return next(iter(signers.values())).caller
    raise refusals.unauthorised("send Authorization: ApiKey-v1 sbx-<world>")


def _by_key(header: str) -> Caller:
    match = _KEY.match(header)
    if match is None:
        raise refusals.unauthorised("send Authorization: ApiKey-v1 sbx-<world>")
    world, application, issue = match.groups()
    return Caller(world, application or DEFAULT_APPLICATION, int(issue or 0))


def _by_signature(request: Request, signers: dict[str, Signer]) -> Caller:
    if not request.path.startswith("/v1/"):
        raise refusals.unauthorised("only V1 operations accept a Content-Signature")
    match = _SIGNATURE.match(request.headers["content-signature"])
    if match is None:
        raise SignatureMismatchError("write Content-Signature: signer=<id>; signature=<md5 hex>")
    known = signers.get(str(int(match.group(1))))
    if known is None:
        raise SignatureMismatchError("no --application has this signer id")
    made = hmac.new(known.secret, request.body, hashlib.md5).hexdigest()
    if not hmac.compare_digest(made, match.group(2)):
        raise SignatureMismatchError("sign exactly the bytes of the body with the hex-decoded key")
    return known.caller


@dataclass
class KeyState:
    """Whether the keys of a world are good: revoked, expired, rotated."""

    revoked: bool = False
    refused_calls: int = 0
    expires: datetime | None = None
    issue: int = 0

    def check(self, caller: Caller, now: datetime) -> None:
        """Raise the 401 for a key that is no longer good."""
        if self.revoked or self.refused_calls > 0:
            self.refused_calls = max(0, self.refused_calls - 1)
            raise refusals.unauthorised("the key of this world is revoked")
        if self.expires is not None and now >= self.expires:
            raise refusals.unauthorised("the key of this world has expired")
        if caller.issue != self.issue:
            raise refusals.unauthorised("the key of this world was rotated")

    def order(self, action: str, body: Json) -> None:
        """Do what a control call says: revoke, restore, expire, rotate; raise the 404 else."""
        if action == "revoke":
            self.revoked = True
        elif action == "restore":
            self.revoked, self.refused_calls, self.expires = False, 0, None
        elif action == "expire":
            self.expires = parsed(body.get("at"))
        elif action == "rotate":
            self.issue += 1
        else:
            raise RefusedError(404, "keys can be revoked, restored, expired and rotated")

    def shown(self, world: str) -> Json:
        """Return the state, and the suffix that keys of the world need now."""
        expires = written(self.expires) if self.expires else None
        suffix = f"~{self.issue}" if self.issue else ""
        return {"world": world, "revoked": self.revoked, "expires": expires, "suffix": suffix}
