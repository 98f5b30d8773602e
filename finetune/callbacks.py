"""How a run is watched: what it tells while it goes, when its time is up, and what Ctrl-C does."""

from __future__ import annotations

import signal
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from transformers.trainer_callback import TrainerCallback


class Watch(TrainerCallback):  # type: ignore[misc]
    """Tells of each step, ends training after ``minutes``, and on the first Ctrl-C after a step and a checkpoint.

    ``ended`` says why training ended, empty where its plan was fulfilled. A second Ctrl-C is Python's own. It ends where so many
    steps are done that ``every`` divides them: between two steps on the same answers a checkpoint would have to hold these.
    """

    def __init__(self, tell: Callable[[dict[str, Any]], None], minutes: float | None, every: int = 1) -> None:
        self.tell, self.minutes, self.every = tell, minutes, every
        self.ended = ""
        self.interrupted = False
        self._before: Any = None
        self._began = time.monotonic()
        self._first_step = 0
        self._tokens: deque[tuple[float, float]] = deque(maxlen=20)  # the last steps, which tell the speed of now

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self._began, self._first_step = time.monotonic(), state.global_step
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._interrupt)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)

    def _interrupt(self, *_: Any) -> None:
        self.interrupted = True
        signal.signal(signal.SIGINT, self._before or signal.default_int_handler)
        self.tell({"event": "stopping"})

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> Any:
        if state.global_step % self.every and state.global_step < state.max_steps:
            return control
        over = self.minutes is not None and time.monotonic() - self._began > self.minutes * 60
        if over and not self.interrupted and state.global_step < state.max_steps:
            self.ended = "minutes"
            control.should_evaluate = control.should_save = control.should_training_stop = True
        if self.interrupted:
            control.should_save = control.should_training_stop = True
        return control

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> None:
        logs = logs or {}
        if "eval_score" in logs:
            figures = {name: logs[f"eval_{name}"] for name in ("accepted", "cheats", "reward")}
            self.tell({"event": "held_out", "step": state.global_step, **figures})
        elif "eval_loss" in logs:
            self.tell({"event": "dev", "step": state.global_step, "loss": logs["eval_loss"]})
        elif "loss" in logs:
            now = time.monotonic()
            self._tokens.append((now, float(logs.get("num_tokens", 0))))
            (then, fewer), total = self._tokens[0], self._tokens[-1][1]
            done = max(1, state.global_step - self._first_step)
            self.tell(
                {
                    "event": "step",
                    "step": state.global_step,
                    "of": state.max_steps,
                    "loss": float(logs["loss"]),
                    "reward": logs.get("reward"),
                    "tokens_per_second": (total - fewer) / (now - then) if now > then else None,
                    "seconds_left": (now - self._began) / done * (state.max_steps - state.global_step),
                }
            )
