"""Teaching: a person's own classifiers, from examples to a published model."""
