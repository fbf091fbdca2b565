"""The workshop: jobs and their queue, printers, materials, product templates."""
