"""Prices: of a print, of a document's lines, of delivery. Pure arithmetic on integers."""
