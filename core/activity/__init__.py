"""What people did: timelines, where they are kept, what is still to be fetched."""
