"""Clients: the shop's card of each customer, and the customer's own portal."""
