"""All recipes by model name. Register the module of a new task here."""

from training import cats_dogs, digits, doodles, objects
from training.recipe import Recipe


def recipes() -> dict[str, Recipe]:
    """All recipes as `{name: recipe}`, in the order of their tasks."""
    return {recipe.name: recipe for task in (cats_dogs, objects, doodles, digits) for recipe in task.RECIPES}
