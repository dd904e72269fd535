from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("talon/", include("django_talon.api.urls")),
    path("", include("example_project.urls")),
]
