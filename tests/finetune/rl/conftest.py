"""A small run of each method on the embedded base, over prompts of the project's own."""

import pytest

from finetune.recipe import read_as, shipped
from finetune.rl.recipe import PolicyRecipe


@pytest.fixture
def recipe(rows_file):
    """The shipped recipe of a method, made small."""

    def make(method, *more):
        small = [
            f"prompts.sources=['rows:{rows_file}']",
            "prompts.dev_share=0.2",
            "prompts.dev_rows=2",
            "prompts.longest_answer=40",
            "prompts.longest_prompt=900",
            "steps=4",
            "evaluations=2",
            "patience=9",
            "batch=2",
            "group=2",
            "micro_batch=2",
            "dev_answers=1",
            "mutants=2",
            "learning_rate=1e-3",
        ]
        return read_as(PolicyRecipe, shipped(method), [*small, *more])

    return make
