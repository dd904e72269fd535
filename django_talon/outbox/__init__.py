"""Marks and facts in the shop's transactions; lanes, delivery and retries in the workers."""
