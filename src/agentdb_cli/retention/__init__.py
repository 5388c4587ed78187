"""Rows that are past their time: which, and how they leave."""
