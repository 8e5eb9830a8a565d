"""Questions about a picture, a model or this Inkling, answered from what was stored and measured."""
