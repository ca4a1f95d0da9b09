"""What the numbers say: verdicts, rankings, patterns."""
