"""What goes wrong in systems like this, done on purpose: a result is exact, or declared partial."""
