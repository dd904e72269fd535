"""What an answer's effects mean for a cart: amounts on lines, and shop code that reacts."""
