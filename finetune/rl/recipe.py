"""The recipe of a stage that learns from rewards: what ``finetune/configs/{dpo,grpo,rloo,ppo}.toml`` hold."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from finetune.recipe import Common
from finetune.rl.asked import PromptRecipe
from finetune.rl.preferences import PairRecipe

Method = Literal["dpo", "grpo", "rloo", "ppo"]
METHODS: tuple[Method, ...] = ("dpo", "grpo", "rloo", "ppo")


class PolicyRecipe(Common):
    """One stage. ``prompts`` are what is asked, by `dpo` only where its pairs are drawn; ``pairs`` is how they are.

    ``batch`` prompts (or pairs) make a step, each with ``group`` answers; ``micro_batch`` sequences go through the model at once.
    ``beta`` is DPO's, of the others the weight of the divergence from where training began. ``clip`` bounds how far a step may
    move the chance of a token. ``dev_answers`` are drawn to each prompt that is held out, at every evaluation.
    """

    stage: Method
    prompts: PromptRecipe
    pairs: PairRecipe = PairRecipe()
    steps: int = Field(default=100, ge=1)
    batch: int = Field(default=8, ge=1)
    group: int = Field(default=8, ge=2)
    micro_batch: int = Field(default=8, ge=1)
    temperature: float = Field(default=1.0, gt=0.0, le=2.0)
    top_p: float = Field(default=1.0, gt=0.0, le=1.0)
    beta: float = Field(default=0.1, ge=0.0)
    sft_weight: float = Field(default=0.2, ge=0.0, description="of the chosen files' own loss, beside DPO's")
    clip: float = Field(default=0.2, gt=0.0, lt=1.0)
    updates: int = Field(default=2, ge=1, description="how often PPO and GRPO learn from the same answers")
    dev_answers: int = Field(default=4, ge=1)
    mutants: int = Field(default=10, ge=1, description="changes of the code that the reward tries")

    @model_validator(mode="after")
    def _can_be(self) -> PolicyRecipe:
        if self.stage == "ppo" and self.top_p < 1:
            raise ValueError("ppo draws from the whole of the model: top_p = 1")
        return self

    @property
    def on_the_same(self) -> int:
        """How many steps follow on the same answers."""
        return 1 if self.stage == "dpo" else self.updates

    def at_once(self, sequences: int) -> int:
        """How many of a step's ``sequences`` go through the model at once: as many parts as are alike."""
        return max(count for count in range(1, min(self.micro_batch, sequences) + 1) if sequences % count == 0)
