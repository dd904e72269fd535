from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("django_talon", "0007_ambiguous_calls"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="deadletter",
            index=models.Index(fields=["replayed_at", "discarded_at"], name="talon_dead_waiting"),
        ),
    ]
