"""CPU of one updateCustomerSessionV2: this client, the official SDK, bare urllib3 + orjson.

20 items typed in, 10 effects and the session typed out; every protection is on.

    python benchmarks/client_calls.py [rounds]
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import orjson
import talon_one
import urllib3
from client_canned import (
    ITEMS,
    canned_server,
    cpu_per_call,
    medians,
    price,
    ratio,
    request_body,
)

from django_talon.client import (
    CartItem,
    IntegrationClient,
    IntegrationRequest,
    NewCustomerSessionV2,
)


def ours(url: str) -> Callable[[], None]:
    """Return a call with this client, all protections on."""
    client = IntegrationClient(url, api_key="k")

    def call() -> None:
        items = [
            CartItem(
                name=f"Mug {n}",
                sku=f"mug-{n}",
                quantity=2,
                price=price(n),
                category="mugs",
                attributes={"colour": "blue"},
            )
            for n in range(ITEMS)
        ]
        session = NewCustomerSessionV2(
            profile_id="customer-7",
            coupon_codes=["SAVE10"],
            state="open",
            cart_items=items,
            attributes={"ShippingCity": "Berlin"},
        )
        state = client.update_customer_session_v2(
            "cart-1",
            IntegrationRequest(customer_session=session, response_content=["customerSession"]),
        )
        assert len(state.effects) == 10

    return call


def official(url: str) -> Callable[[], None]:
    """Return the same call with the official SDK."""
    configuration = talon_one.Configuration(
        host=url, api_key={"api_key_v1": "k"}, api_key_prefix={"api_key_v1": "ApiKey-v1"}
    )
    api = talon_one.IntegrationApi(talon_one.ApiClient(configuration))

    def call() -> None:
        items = [
            talon_one.CartItem(
                name=f"Mug {n}",
                sku=f"mug-{n}",
                quantity=2,
                price=9.9 + n,
                category="mugs",
                attributes={"colour": "blue"},
            )
            for n in range(ITEMS)
        ]
        session = talon_one.NewCustomerSessionV2(
            profile_id="customer-7",
            coupon_codes=["SAVE10"],
            state="open",
            cart_items=items,
            attributes={"ShippingCity": "Berlin"},
        )
        state = api.update_customer_session_v2(
            "cart-1",
            talon_one.IntegrationRequest(
                customer_session=session, response_content=["customerSession"]
            ),
        )
        assert len(state.effects) == 10

    return call


def bare(url: str) -> Callable[[], None]:
    """Return the same bytes sent and read without types and without protections."""
    pool = urllib3.connection_from_url(url)
    headers = {
        "Authorization": "ApiKey-v1 k",
        "Accept": "application/json",
        "Content-Type": "application/json",
    }

    def call() -> None:
        body = orjson.dumps(request_body())
        answer = pool.request("PUT", "/v2/customer_sessions/cart-1", body=body, headers=headers)
        state = orjson.loads(answer.data)
        assert len(state["effects"]) == 10

    return call


def main(rounds: int = 15) -> None:
    """Print the two ratios."""
    with canned_server() as url:
        calls = {"ours": ours(url), "official SDK": official(url), "urllib3 + orjson": bare(url)}
        for call in calls.values():
            cpu_per_call(call, 50)
        print("microseconds of CPU a call:")
        medians({name: lambda c=call: cpu_per_call(c, 150) for name, call in calls.items()}, rounds)
    print(
        f"ours / official SDK:     {ratio('ours', 'official SDK'):.2f}   (at most 0.40, aim 0.30)"
    )
    print(
        f"ours / urllib3 + orjson: {ratio('ours', 'urllib3 + orjson'):.2f}   (at most 1.8, aim 1.3)"
    )


if __name__ == "__main__":
    main(*(int(a) for a in sys.argv[1:]))
