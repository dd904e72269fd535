from django.contrib import admin

from tests.people.models import Person

admin.site.register(Person)
