"""What the numbers rest on: ledgers, scores, checks."""
