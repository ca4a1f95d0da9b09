"""Reports: Markdown, JSON, one HTML page and the ZIP, written from the declared tables."""
