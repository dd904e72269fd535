from django.db import migrations


#: Tables that are searched by texts, whatever their case; their keys are the shop's own.
SEARCHED = ('codeentry', 'deadletter')


def make_exact(apps, schema_editor):
    """Tell ids apart that differ by case, accent or a space at their end, on MariaDB and MySQL.

    Their usual collations take such ids for one and the same; Talon.One and other databases
    do not. An erasure of one customer must not touch the rows of another.
    """
    connection = schema_editor.connection
    if connection.vendor != 'mysql':
        return
    collation = _collation(connection)
    for model in apps.get_app_config('django_talon').get_models():
        if model._meta.model_name in SEARCHED or model._meta.proxy:
            continue
        table = connection.ops.quote_name(model._meta.db_table)
        schema_editor.execute(
            f'ALTER TABLE {table} CONVERT TO CHARACTER SET utf8mb4 COLLATE {collation}'
        )


def _collation(connection):
    if connection.mysql_is_mariadb:
        return 'utf8mb4_nopad_bin'
    return 'utf8mb4_0900_bin' if connection.mysql_version >= (8, 0, 17) else 'utf8mb4_bin'


class Migration(migrations.Migration):
    # MariaDB and MySQL change no table within a transaction.
    atomic = False

    dependencies = [
        ('django_talon', '0008_dead_letters_that_wait'),
    ]

    operations = [
        migrations.RunPython(
            make_exact, migrations.RunPython.noop, hints={'model_name': 'outboxrow'}
        ),
    ]
