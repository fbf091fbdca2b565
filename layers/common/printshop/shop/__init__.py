"""The shop's settings: one row, replaced whole, and its logo."""
