"""What requests must look like; every problem of a body is reported at once."""
