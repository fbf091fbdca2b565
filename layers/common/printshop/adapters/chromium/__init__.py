"""Headless Chromium: where it is, how it is started, and a renderer that prints HTML as PDF."""
