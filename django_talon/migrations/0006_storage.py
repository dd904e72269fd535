from django.db import migrations

#: Both tables see many updates and deletes while they stay small: PostgreSQL has to
#: vacuum them by number of rows, not by share, and needs room on a page for updates.
OPTIONS = {
    'autovacuum_vacuum_scale_factor': '0.01',
    'autovacuum_vacuum_threshold': '1000',
    'fillfactor': '80',
}
TABLES = ('django_talon_outboxrow', 'django_talon_lane')


def set_options(apps, schema_editor):
    options = ', '.join(f'{name} = {value}' for name, value in OPTIONS.items())
    _alter(schema_editor, f'SET ({options})')


def reset_options(apps, schema_editor):
    _alter(schema_editor, f'RESET ({", ".join(OPTIONS)})')


def _alter(schema_editor, change):
    """Change the tables on PostgreSQL; other databases have no such options."""
    if schema_editor.connection.vendor == 'postgresql':
        for table in TABLES:
            schema_editor.execute(f'ALTER TABLE {table} {change}')


class Migration(migrations.Migration):

    dependencies = [
        ('django_talon', '0005_admin_pages'),
    ]

    operations = [
        migrations.RunPython(set_options, reset_options, hints={'model_name': 'outboxrow'}),
    ]
