"""The operations of the Integration API, by what they are about."""
