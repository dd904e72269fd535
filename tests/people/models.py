from __future__ import annotations

import uuid

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.db import models


class People(BaseUserManager["Person"]):
    def create_superuser(self, mail: str, password: str) -> Person:
        person = self.model(mail=mail, is_superuser=True)
        person.set_password(password)
        person.save()
        return person


class Person(AbstractBaseUser, PermissionsMixin):
    """No username, no e-mail field of Django's name, no flag for staff."""

    uid = models.UUIDField(primary_key=True, default=uuid.uuid4)
    mail = models.EmailField(unique=True)
    tier = models.CharField(max_length=20, blank=True)

    USERNAME_FIELD = "mail"
    is_staff = True
    objects = People()
