"""What everything else stands on: money, errors, paging, the base model, the log."""
