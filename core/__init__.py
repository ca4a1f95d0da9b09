"""Pushlift: did the push work, for whom, and how sure are we?

Imports go one way: errors, frames, settings <- sources, activity <- measure <- quality, insight
<- publish <- pipeline <- the pages and the command line. Nothing here imports Streamlit.
"""

__version__ = "0.1.0"
