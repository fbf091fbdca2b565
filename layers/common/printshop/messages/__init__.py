"""Messages between a client and the shop."""
