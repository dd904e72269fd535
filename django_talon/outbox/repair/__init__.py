"""What no signal told: found, compared with Talon.One, put right; and how a shop begins."""
