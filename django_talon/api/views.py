"""The visitor's cart at Talon.One: what it costs, and the codes typed in for it.

Every endpoint works on the one cart that the shop's ``Adapter.current_cart(request)``
returns; no id is ever taken from the client. Who may call, and how often, is said by
the shop's own ``REST_FRAMEWORK`` settings. Under ``SessionAuthentication`` a logged-in
visitor's request needs the CSRF token, as in Django's own forms.

Errors are ``{"code": ..., "detail": ...}``: 400 ``invalid_code``, 404 ``no_cart``,
503 ``promotions_unavailable`` (only where ``ON_FAILURE`` is ``"closed"``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.utils.translation import gettext as _
from rest_framework import status
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from django_talon.api.serializers import AnswerSerializer, CodeSerializer
from django_talon.checkout import PromotionsUnavailable, evaluate
from django_talon.shop.adapter import Adapter
from django_talon.shop.registry import adapters


class Problem(APIException):
    """An error with a stable code beside the text."""

    def __init__(self, status_code: int, code: str, detail: str) -> None:
        super().__init__({"code": code, "detail": detail}, code)
        self.status_code = status_code


class EvaluateView(APIView):
    """POST: say what the cart costs. The body is not read."""

    def post(self, request: Request) -> Response:
        return answer(request)


class CouponsView(APIView):
    """POST ``{"code": "..."}``: enter a code, and say what the cart costs then.

    A code that does not count is in the answer, under ``rejected``.
    """

    def post(self, request: Request) -> Response:
        return answer(request, enter=[checked_code(request.data)])


class CouponView(APIView):
    """DELETE: take a code out, and say what the cart costs then."""

    def delete(self, request: Request, code: str) -> Response:
        return answer(request, remove=[checked_code({"code": code})])


def answer(request: Request, *, enter: Sequence[str] = (), remove: Sequence[str] = ()) -> Response:
    """Evaluate the visitor's cart. Raises `Problem`."""
    cart = current_cart(request)
    if cart is None:
        raise Problem(status.HTTP_404_NOT_FOUND, "no_cart", _("You have no cart yet."))
    try:
        found = evaluate(cart, enter=enter, remove=remove)
    except PromotionsUnavailable:
        text = _("Promotions cannot be worked out at the moment. Please try again.")
        raise Problem(status.HTTP_503_SERVICE_UNAVAILABLE, "promotions_unavailable", text) from None
    return Response(AnswerSerializer(found, context={"currency": found.currency}).data)


def current_cart(request: Request) -> Any:
    """Return the visitor's cart, or ``None``.

    Raises `NotImplementedError` if no adapter says which it is.
    """
    written = [a for a in adapters() if type(a).current_cart is not Adapter.current_cart]
    carts = (adapter.current_cart(request) for adapter in written or adapters()[:1])
    return next((cart for cart in carts if cart is not None), None)


def checked_code(data: Any) -> str:
    """Return the code without blanks around it. Raises `Problem`."""
    serializer = CodeSerializer(data=data)
    if not serializer.is_valid():
        [first, *_others] = [text for texts in serializer.errors.values() for text in texts]
        raise Problem(status.HTTP_400_BAD_REQUEST, "invalid_code", first)
    code: str = serializer.validated_data["code"]
    return code
