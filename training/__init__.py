"""Learning: turns data into folders in models/. Imports inkling, is never imported by it."""
