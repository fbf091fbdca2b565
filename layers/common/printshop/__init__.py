"""The bureau's shared package: one module or sub-package per noun of the trade.

Domain code (money, documents, pricing, shipping, slicing settings, g-code statistics) is pure; adapters
(database, storage, payments, browser) are passed in by `printshop.http` and the worker's entry points.
"""
