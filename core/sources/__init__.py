"""Outside world in, declared tables out."""
