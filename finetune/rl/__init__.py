"""Learning from what tests are worth: preferences (DPO) and rewards (GRPO, RLOO, PPO), all by the same runs of pytest."""
