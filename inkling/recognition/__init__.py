"""From a picture or a drawing to an answer: cards, catalog, model input, runtimes, explanations."""
