"""Other ways to serve a small model, each the shortest app that its documentation suggests."""
