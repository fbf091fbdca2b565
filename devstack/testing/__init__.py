"""What tests of the stand-ins, and tests that use them, have in common: one module a subject."""
