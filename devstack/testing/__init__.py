"""Test helpers for the stand-ins' own tests and for tests that use the stand-ins."""
