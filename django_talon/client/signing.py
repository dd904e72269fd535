"""The two ways to prove who is asking: the API key, and the signature of 2020."""

from __future__ import annotations

import hashlib
import hmac
import re

from django_talon.client.errors import TalonInvalidRequest


class Credentials:
    """An API key, or an Application's id and key for the legacy signature.

    With both given the API key is used. Neither is ever shown.
    """

    __slots__ = ("_authorization", "_secret", "_signer")

    def __init__(
        self, api_key: str | None, application_id: int | str | None, application_key: str | None
    ) -> None:
        self._authorization = f"ApiKey-v1 {_checked_key(api_key)}" if api_key else None
        self._signer = str(application_id)
        self._secret = _secret(application_key) if application_key else None
        if self._secret is not None and not re.fullmatch(r"[0-9]+", self._signer):
            raise TalonInvalidRequest("application_id must be the number of the Application.")
        if self._authorization is None and self._secret is None:
            raise TalonInvalidRequest(
                "Give an api_key, or an application_id with its application_key."
            )

    def headers(self, body: bytes, *, operation: str, signable: bool) -> dict[str, str]:
        """Return the header that authenticates a request with exactly this body.

        A request without body is signed as zero bytes. Raises
        `TalonInvalidRequest` for an operation that accepts no signature.
        """
        if self._authorization is not None:
            return {"Authorization": self._authorization}
        if not signable or self._secret is None:
            raise TalonInvalidRequest(
                f"{operation} needs an api_key: it does not accept the Content-Signature.",
                operation=operation,
            )
        signature = hmac.new(self._secret, body, hashlib.md5).hexdigest()
        return {"Content-Signature": f"signer={self._signer}; signature={signature}"}


def _checked_key(api_key: str) -> str:
    if not re.fullmatch(r"[!-~]+", api_key):
        raise TalonInvalidRequest(
            "The api_key has blanks, line ends or letters that a header cannot carry."
        )
    return api_key


def _secret(application_key: str) -> bytes:
    if not re.fullmatch(r"[0-9a-fA-F]{16}", application_key):
        raise TalonInvalidRequest("The application_key must be 16 hexadecimal digits.")
    return bytes.fromhex(application_key)
