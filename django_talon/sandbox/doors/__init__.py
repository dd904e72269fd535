"""The ways in: a threaded socket server and an in-process transport, one engine behind both."""
