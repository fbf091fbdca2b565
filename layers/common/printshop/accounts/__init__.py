"""Who is asking: tokens verified, users looked up, accounts opened and closed."""
