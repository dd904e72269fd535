"""``request.basket``: found, made or merged at its first use, as late as in a template."""

from __future__ import annotations

from typing import Any

from django.core import signing
from django.utils.functional import SimpleLazyObject, empty

from tests.shops.bazaar.models import Basket

COOKIE = "open_basket"


class BasketMiddleware:
    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response

    def __call__(self, request: Any) -> Any:
        request.cookies_to_delete = []
        request.basket = SimpleLazyObject(lambda: get_basket(request))
        response = self.get_response(request)
        for cookie in request.cookies_to_delete:
            response.delete_cookie(cookie)
        used = request.basket if request.basket._wrapped is not empty else None
        if used is not None and used.pk and not request.user.is_authenticated:
            response.set_cookie(COOKIE, signing.dumps(used.pk))
        return response

    def process_template_response(self, request: Any, response: Any) -> Any:
        # Rendered later, when the transaction of the view is over.
        response.context_data = {**(response.context_data or {}), "basket": request.basket}
        return response


def get_basket(request: Any) -> Basket:
    of_guest = _of_cookie(request)
    if not request.user.is_authenticated:
        return of_guest or Basket()
    basket, *others = Basket.objects.filter(owner=request.user, status=Basket.OPEN) or [None]
    if basket is None:
        basket = Basket.objects.create(owner=request.user)
    for other in others:
        basket.merge(other, add_quantities=False)
    if of_guest is not None:
        basket.merge(of_guest, add_quantities=False)
        request.cookies_to_delete.append(COOKIE)
    return basket


def _of_cookie(request: Any) -> Basket | None:
    try:
        pk = signing.loads(request.COOKIES[COOKIE])
        return Basket.objects.get(pk=pk, owner=None, status=Basket.OPEN)
    except KeyError:
        return None
    except (signing.BadSignature, Basket.DoesNotExist):  # as one that is frozen
        request.cookies_to_delete.append(COOKIE)
        return None
