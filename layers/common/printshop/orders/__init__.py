"""Quick order: upload a model, have it sliced, see its price, order it."""
