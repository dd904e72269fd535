"""A shop whose users are a model of its own: a UUID as key, an address to log in with."""
