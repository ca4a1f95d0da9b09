"""What is claimed about speed and error rates, measured."""
