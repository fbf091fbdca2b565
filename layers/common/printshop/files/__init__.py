"""Files: uploaded models and their slices, order files, attachments."""
