"""Every recipe by its model's name; adding a task's file is adding it here."""

from training import cats_dogs, digits, doodles, objects
from training.recipe import Recipe


def recipes() -> dict[str, Recipe]:
    """`{name: recipe}` of all models that can be trained, in the order of their tasks."""
    return {recipe.name: recipe for task in (cats_dogs, objects, doodles, digits) for recipe in task.RECIPES}
