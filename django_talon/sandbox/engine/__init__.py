"""The sandbox's state machine: no input or output; clock and ids are handed in."""
