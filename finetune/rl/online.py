"""Group relative policy optimisation (Shao 2024, https://arxiv.org/abs/2402.03300) and REINFORCE leave-one-out (Ahmadian 2024,
https://arxiv.org/abs/2402.14740) by TRL, with the runs' reward.

Several answers to a prompt are compared with each other, so that no model of their worth has to be learnt; a group all of whose
answers are worth the same teaches nothing, and is told as ``frac_reward_zero_std``. Answers are written by transformers, by vLLM
where there is a GPU and it is installed.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from datasets import Dataset
from trl import GRPOConfig, GRPOTrainer, RLOOConfig, RLOOTrainer

from finetune.reward import Grader
from finetune.rl.asked import Asked, graded
from finetune.rl.held_out import HeldOut, Judged
from finetune.rl.kept import arguments, callbacks, judged
from finetune.runs import has_cuda
from finetune.train import trainable

if TYPE_CHECKING:
    from finetune.rl.run import PolicyRun


class RunsReward:
    """A reward function as TRL takes it: the data set's column ``id`` says which code an answer is for."""

    __name__ = "runs"

    def __init__(self, asked: Sequence[Asked], grader: Grader) -> None:
        self._asked = {each.id: each for each in asked}
        self._grader = grader

    def __call__(self, prompts: Sequence[str], completions: Sequence[str], id: Sequence[str], **_: Any) -> list[float]:
        """One reward for each answer; an empty one is worth nothing."""
        return [reward.value for reward in graded(self._grader, [self._asked[name] for name in id], completions)]


class GroupTrainer(Judged, GRPOTrainer):  # type: ignore[misc]
    """TRL's GRPO, judged by `HeldOut`."""


class LeaveOneOutTrainer(Judged, RLOOTrainer):  # type: ignore[misc]
    """TRL's RLOO, judged by `HeldOut`."""


def make_trainer(run: PolicyRun, judge: HeldOut, grader: Grader, watch: Any) -> Any:
    """TRL's trainer over the run's prompts."""
    recipe = run.recipe
    model, sixteen = trainable(recipe, run.base, run.start)
    answers = recipe.batch * recipe.group
    micro = recipe.at_once(answers)
    config = {
        **arguments(run, sixteen),
        "per_device_train_batch_size": micro,
        "per_device_eval_batch_size": recipe.group,
        "gradient_accumulation_steps": answers // micro,
        "num_generations": recipe.group,
        "num_iterations": recipe.updates,
        "max_completion_length": recipe.prompts.longest_answer,
        "temperature": recipe.temperature,
        "top_p": recipe.top_p,
        "top_k": 0,
        "beta": recipe.beta,
        "epsilon": recipe.clip,
        "use_vllm": has_cuda() and importlib.util.find_spec("vllm") is not None,
        "remove_unused_columns": False,
    }
    rows = Dataset.from_list([{"prompt": each.prompt, "id": each.id} for each in run.asked])
    given = {
        "model": model,
        "reward_funcs": RunsReward(run.asked, grader),
        "train_dataset": rows,
        "eval_dataset": rows.select([0]),  # Trainer wants one; `Judged` looks at the prompts held out
        "processing_class": run.tokenizer,
        "callbacks": callbacks(recipe, judge, watch),
    }
    if recipe.stage == "grpo":
        # each token of a step counts alike: divided by its own length, a long wrong answer would be punished less
        trainer: Any = GroupTrainer(args=GRPOConfig(**config, loss_type="dapo"), **given)
    else:
        trainer = LeaveOneOutTrainer(args=RLOOConfig(**config), **given)
    return judged(trainer, judge)
