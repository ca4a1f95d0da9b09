"""Estimates: pure functions of arrays that read and write nothing."""
