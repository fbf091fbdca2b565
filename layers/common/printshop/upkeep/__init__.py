"""Upkeep: the janitor's rounds and the health checks."""
