"""The journey: a guest shops, logs in, orders, cancels; an operator erases the customer.

Every step is done through the shop's own pages, as a person would, and is verified twice:
in the sandbox's journal (what did Talon.One receive?) and on the page (what does it show?).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from example_project.demo.journal import Journal
from example_project.demo.person import Person
from example_project.demo.report import Report

CUSTOMER = "ada"
OPERATOR = "admin"


def is_guest(profile_id: object) -> bool:
    return str(profile_id).startswith("guest-")


def euros(text: str) -> Decimal:
    """Read an amount as the shop's pages write it, such as ``€1,234.50``."""
    return Decimal(text.replace("€", "").replace(",", "") or "0")


@dataclass
class Journey:
    """The persons of the journey, and what they learn on the way."""

    shop: str
    journal: Journal
    report: Report

    def run(self) -> None:
        """Make the whole journey; raise `MismatchError` at the first thing that is wrong."""
        self.guest = Person(CUSTOMER, self.shop)
        self.phone = Person(CUSTOMER, self.shop)
        self.operator = Person(OPERATOR, self.shop)
        self.customer_shops_on_her_phone()
        self.guest_fills_a_cart()
        self.guest_enters_a_coupon()
        self.guest_enters_a_wrong_code()
        self.guest_logs_in()
        self.customer_places_the_order()
        self.customer_cancels_the_order()
        self.operator_erases_the_customer()

    def customer_shops_on_her_phone(self) -> None:
        with self.report.step("Ada, on her phone, puts a bread board and a notebook aside") as step:
            self.phone.log_in("/login/", "login")
            step.now()
            self._add(self.phone, "board", 1)
            self._add(self.phone, "notebook", 1)
            step.did("a cart of two things, kept by Ada's account")
            call = step.arrives(
                "an open customer session with a profile of its own",
                method="PUT",
                state="open",
                cartItems={"board": 1, "notebook": 1},
                profileId=lambda found: bool(found) and not is_guest(found),
            )
            self.adas_session = call.path
            self.adas_profile = call.told["profileId"]
            step.arrives(
                "the customer profile with Ada's tier",
                since=0,
                method="PUT",
                path=lambda path: path.endswith(f"/customer_profiles/{self.adas_profile}"),
                attributes=lambda found: bool(found) and found.get("tier") == "gold",
            )

    def guest_fills_a_cart(self) -> None:
        with self.report.step("A guest puts two teapots and two notebooks into a cart") as step:
            step.now()
            self._add(self.guest, "teapot", 2)
            self._add(self.guest, "notebook", 2)
            step.did(f"a cart of {self.guest.page.text('cart-count')} things, nobody's yet")
            step.check("the cart counts", "4", self.guest.page.text("cart-count"))
            call = step.arrives(
                "an open customer session of a guest",
                method="PUT",
                state="open",
                cartItems={"teapot": 2, "notebook": 2},
                profileId=is_guest,
            )
            self.guests_session = call.path

    def guest_enters_a_coupon(self) -> None:
        with self.report.step("The guest enters the coupon WELCOME10") as step:
            self.guest.visit("/cart/")
            step.now()
            self.guest.submit("coupon", code="WELCOME10")
            step.did(f"the cart page says: {self.guest.page.text('codes')}")
            call = step.arrives(
                "the code with the cart",
                method="PUT",
                path=self.guests_session,
                state="open",
                couponCodes=["WELCOME10"],
            )
            page = self.guest.page
            step.check("the page accepts the code", "WELCOME10 is applied", page.text("accepted"))
            step.check("10 % of 89.70 are", Decimal("8.97"), call.discount)
            step.check("the cart page takes off", call.discount, euros(page.text("discount")))
            step.check("the total is", Decimal("85.63"), euros(page.text("total")))

    def guest_enters_a_wrong_code(self) -> None:
        with self.report.step("The guest tries the code WELCOME99, which does not exist") as step:
            step.now()
            self.guest.submit("coupon", code="WELCOME99")
            step.did(f"the cart page says: {self.guest.page.text('codes')}")
            step.arrives(
                "the wrong code too",
                method="PUT",
                path=self.guests_session,
                couponCodes=lambda codes: "WELCOME99" in (codes or []),
            )
            page = self.guest.page
            step.check("the page refuses the code", True, "WELCOME99" in page.text("rejected"))
            step.check("the discount stays", Decimal("8.97"), euros(page.text("discount")))

    def guest_logs_in(self) -> None:
        with self.report.step("The guest logs in as Ada: the two carts become one") as step:
            step.now()
            self.guest.log_in("/login/", "login")
            step.did(f"logged in as {self.guest.page.text('user')}; one cart is left")
            step.check("the cart counts", "6", self.guest.page.text("cart-count"))
            call = step.arrives(
                "everything in Ada's session, the code included",
                method="PUT",
                path=self.adas_session,
                state="open",
                profileId=self.adas_profile,
                cartItems={"board": 1, "notebook": 3, "teapot": 2},
                couponCodes=lambda codes: "WELCOME10" in (codes or []),
            )
            step.arrives(
                "the end of the guest's session",
                method="PUT",
                path=self.guests_session,
                state="cancelled",
            )
            page = self.guest.visit("/cart/")
            step.check("10 % of 124.40 are", Decimal("12.44"), call.discount)
            step.check("the cart page takes off", call.discount, euros(page.text("discount")))

    def customer_places_the_order(self) -> None:
        with self.report.step("Ada places the order") as step:
            self.guest.visit("/checkout/")
            step.now()
            page = self.guest.submit(
                "checkout", street="12 St James's Square", postcode="SW1Y 4JH", city="London"
            )
            step.did(f"{page.url} is {page.text('status')}, total {page.text('total')}")
            call = step.arrives(
                "the close of the session, with the coupon",
                method="PUT",
                path=self.adas_session,
                state="closed",
                couponCodes=lambda codes: "WELCOME10" in (codes or []),
            )
            step.check("the order is", "placed", page.text("status"))
            step.check("the order takes off", call.discount, euros(page.text("discount")))
            step.check("its lines take off", call.discount, self._discount_of_lines())
            step.check("the order costs", Decimal("116.86"), euros(page.text("total")))

    def customer_cancels_the_order(self) -> None:
        with self.report.step("Ada cancels the order") as step:
            step.now()
            page = self.guest.submit("cancel")
            step.did(f"{page.url} is {page.text('status')}")
            step.check("the order is", "cancelled", page.text("status"))
            step.arrives(
                "the cancellation", method="PUT", path=self.adas_session, state="cancelled"
            )

    def operator_erases_the_customer(self) -> None:
        with self.report.step("The operator erases Ada in the admin") as step:
            self.operator.log_in(
                f"/admin/login/?next=/admin/auth/user/%3Fq={CUSTOMER}", "login-form"
            )
            step.check("before, Talon.One knows Ada's tier", "gold", self._tier_at_talon_one())
            step.now()
            self.operator.submit(
                "changelist-form",
                action="talon_erase_customer_data",
                _selected_action=self.operator.page.choices["_selected_action"],
            )
            self.operator.submit("reason", reason="the demo")
            step.did(f"the admin says: {' '.join(self.operator.page.messages)}")
            path = f"/v1/customer_data/{self.adas_profile}"
            first = step.arrives("the erasure", method="DELETE", path=path)
            step.arrives(
                "the erasure again, in case a late call had brought Ada back",
                method="DELETE",
                path=path,
                since=first.number + 1,
            )
            step.check(
                "now Talon.One knows no tier of Ada", True, self._tier_at_talon_one() is None
            )

    def _add(self, person: Person, sku: str, quantity: int) -> None:
        person.visit("/")
        person.submit(f"add-{sku}", quantity=quantity)

    def _discount_of_lines(self) -> Decimal:
        page = self.guest.page
        lines = [page.text(f"discount-{sku}") for sku in ("board", "notebook", "teapot")]
        return sum((euros(line) for line in lines), Decimal(0))

    def _tier_at_talon_one(self) -> str | None:
        profile = self.journal.profile(self.adas_profile) or {}
        return profile.get("attributes", {}).get("tier")
