"""Settings: read from the environment and the secrets, checked once, renewed when secrets rotate."""
