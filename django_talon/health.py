"""A view for monitors: does delivery fare well?

::

    # urls.py
    from django_talon.health import health

    urlpatterns = [path("talon/health/", health)]
"""

from __future__ import annotations

from django.http import HttpRequest, JsonResponse
from django.utils.crypto import constant_time_compare
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from django_talon.conf import conf
from django_talon.outbox import vital_signs
from django_talon.outbox.health import figures, needs_somebody
from django_talon.outbox.vital_signs import Problem


@never_cache
@require_safe
def health(request: HttpRequest) -> JsonResponse:
    """Answer 200 if delivery fares well, and 503 if somebody has to look.

    Everybody is told ``{"healthy": ..., "problems": [{"code": ...}]}``. The figures, which
    name addresses and operators, are for staff who may view the outbox, and for
    whoever sends ``Authorization: Bearer`` with `HEALTH_TOKEN`. Makes no call to
    Talon.One, and as many queries for a long queue as for a short one.
    """
    signs = vital_signs.read()
    problems = list(vital_signs.problems(signs))
    is_healthy = not needs_somebody(problems)
    told = figures(signs, problems) if _may_see(request) else {"problems": _codes(problems)}
    return JsonResponse({"healthy": is_healthy, **told}, status=200 if is_healthy else 503)


def _codes(problems: list[Problem]) -> list[dict[str, str]]:
    return [{"code": problem.code} for problem in problems]


def _may_see(request: HttpRequest) -> bool:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if conf.HEALTH_TOKEN and scheme.lower() == "bearer":
        return constant_time_compare(token.strip(), conf.HEALTH_TOKEN)
    user = getattr(request, "user", None)
    return bool(user and user.is_staff and user.has_perm("django_talon.view_outboxrow"))
