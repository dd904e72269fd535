"""A local stand-in for Talon.One's Integration API; needs no Django, no account, no network.

Start it with ``python -m django_talon.sandbox``. What it emulates is listed in SANDBOX.md.
"""
