"""Why each check matters, in the words of docs/reference/checks.md: a test compares them."""

from __future__ import annotations

WHY = {
    "django_talon.E001": "nothing can be sent",
    "django_talon.E002": "a misspelt key would be ignored",
    "django_talon.E003": "every call would fail",
    "django_talon.E004": "every call would be refused",
    "django_talon.E006": "it would fail in a worker, later",
    "django_talon.E007": "a call could outlive its lease, and another worker overtake it",
    "django_talon.E008": "no row would find its Application",
    "django_talon.E009": "the shop could not be watched",
    "django_talon.E010": "the value would be missing in every call",
    "django_talon.E011": "Talon.One needs them for each line",
    "django_talon.E012": "nothing of that name can be told to Talon.One",
    "django_talon.E013": "a mark must live and die with the shop's transaction",
    "django_talon.E014": "the lines would not be found",
    "django_talon.E015": "every price would be taken for whole units",
    "django_talon.E016": "no order would ever get that state",
    "django_talon.E017": "a misspelt attribute would be ignored",
    "django_talon.E018": (
        "nothing can be read from it: the adapter is not used until this is mended"
    ),
    "django_talon.E019": "only the first would be asked",
    "django_talon.E020": "it would be ignored",
    "django_talon.E021": "no return would ever be sent",
    "django_talon.E030": "test carts would use up real coupons and budgets; calls are refused",
    "django_talon.E031": "every call would be refused",
    "django_talon.E032": "a shop in production would talk to a sandbox, which forgets everything",
    "django_talon.E102": (
        "nothing is delivered, and shoppers see no promotions; rows wait and are not lost"
    ),
    "django_talon.E103": (
        "nothing is delivered; a redirect is never followed, for it would take the key elsewhere"
    ),
    "django_talon.E104": "nothing is delivered until the host can be reached",
    "django_talon.E106": "changes pile up and Talon.One sees old carts",
    "django_talon.E110": "every row with that attribute is refused the same way",
    "django_talon.E111": "marks cannot be written, so changes are missed",
    "django_talon.E112": "nothing can be noted or delivered",
    "django_talon.E113": "a mark could not live and die with the shop's change",
    "django_talon.E120": "addresses change, and today's API cannot erase an id",
    "django_talon.E121": "the law sets a time within which a person's data has to be gone",
    "django_talon.E122": "an erasure is not remembered outside the database",
    "django_talon.E124": "each cart like it becomes a dead letter",
    "django_talon.E125": "each cart like it becomes a dead letter",
    "django_talon.E126": "what is wrong there is not found, and workers may meet the same",
    "django_talon.W127": "carts wait for each other, and whoever else writes may overwrite them",
    "django_talon.I101": "what changes meanwhile is not noted",
    "django_talon.I114": (
        "there is no hook after a commit, so no worker is woken and only the sweep delivers"
    ),
    "django_talon.I117": "nobody is woken after a commit; only a relay or a sweep delivers",
    "django_talon.W001": "nothing is sent",
    "django_talon.W002": "orders older than the installation would be sent when they are saved",
    "django_talon.W003": 'shop and worker get "database is locked"',
    "django_talon.W004": "the erasure and inventory actions are nowhere",
    "django_talon.W005": "no order ever closes its session, so no coupon is ever used up",
    "django_talon.W006": "personal data leaves the shop, and only consent makes that right",
    "django_talon.W102": "calls may fail the same way; rows wait and use up no attempts",
    "django_talon.W103": (
        "validity of coupons and campaigns begins and ends at another time than shoppers see"
    ),
    "django_talon.W104": "shoppers wait the whole budget and then see no promotions",
    "django_talon.W105": "its rows wait for the next probe",
    "django_talon.W106": "the next change will wait",
    "django_talon.W107": "Talon.One sees old carts, and `evaluate` has to ask anew",
    "django_talon.W108": "this release leaves them alone, so nobody delivers them",
    "django_talon.W109": "Talon.One lacks what they hold until somebody replays or discards them",
    "django_talon.W112": (
        "ages and times in the admin are off; leases are not, for they keep to the database's clock"
    ),
    "django_talon.W115": "deleted rows of the outbox stay, and looking for due rows becomes slow",
    "django_talon.W116": "looking for due rows becomes slow",
    "django_talon.W117": (
        "a broker that accepts and says nothing hangs workers, and the end of a process"
    ),
    "django_talon.W118": "nobody is woken; rows wait for a relay",
    "django_talon.W119": "retries and lost wakes wait until the next change wakes somebody",
    "django_talon.W122": (
        "a database that is restored from a backup forgets them, and the erased person comes back"
    ),
}
