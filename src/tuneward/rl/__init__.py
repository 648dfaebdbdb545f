"""The algorithm: rollout, advantage, loss, update, and the loop around them."""
