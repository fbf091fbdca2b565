"""The HTTP side of a function: the app, its error answers, who is asking, and the Lambda entry point."""
