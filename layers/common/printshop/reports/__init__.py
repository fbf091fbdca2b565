"""Exports: CSV files of everything, written by pages to storage and downloaded from there."""
