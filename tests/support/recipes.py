"""A recipe for tests."""

from training.recipe import Recipe


def toy_recipe(**values) -> Recipe:
    """A recipe named "toy" with these values; its texts say nothing."""
    usual = {"name": "toy", "task": "digits", "dataset": "toy", "augment": None, "epochs": 1}
    texts = {"title": "Toy", "summary": "A toy.", "strengths": "None.", "limitations": "Many."}
    return Recipe(**{**usual, **texts, **values})
