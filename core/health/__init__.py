"""Did the runs go well: what each left behind, and who has to be told."""
