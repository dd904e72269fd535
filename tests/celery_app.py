"""The Celery application of processes that tests start."""

import json
import os

from celery import Celery

from django_talon.tasks import BEAT_SCHEDULE

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")

app = Celery("tests")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.update(
    broker_connection_retry_on_startup=True,
    broker_connection_timeout=2,
    task_annotations=json.loads(os.environ.get("TALON_TEST_ANNOTATIONS", "null")),
    beat_schedule=BEAT_SCHEDULE,
)
app.autodiscover_tasks()
