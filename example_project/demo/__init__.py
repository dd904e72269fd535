"""The demo: the whole journey of a cart, driven over HTTP and checked at both ends."""
