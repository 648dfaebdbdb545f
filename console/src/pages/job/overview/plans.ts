/** The charts there can be: what each draws, and how it is read. */

import type { Kind } from "../metrics";

export interface Curve {
  kind: Kind;
  key: string;
  label: string;
  dashed?: boolean;
  isNoisy?: boolean;
  /** Left out while it is 0 throughout. */
  isRare?: boolean;
  /** Keys of the ends of its interval. */
  band?: readonly [string, string];
}

export interface ChartPlan {
  id: string;
  title: string;
  reading: string;
  /** `share`: fractions of 1, shown in percent. */
  unit: string;
  curves: readonly Curve[];
  isStacked?: boolean;
  /** What is drawn when jobs are compared; else the first of training, and validation. */
  compared?: readonly Curve[];
  /** Diagnoses that are marked here; the first chart marks all. */
  codes?: readonly string[];
}

export const trained = (key: string, label = "training"): Curve => ({ kind: "step", key, label, isNoisy: true });
export const validated = (key: string, label = "validation"): Curve => ({ kind: "evaluation", key, label });
const timed = (key: string, label: string): Curve => ({ kind: "step", key: `timing/${key}`, label });

export const REWARD: readonly ChartPlan[] = [
  {
    id: "reward",
    title: "Reward",
    unit: "",
    reading:
      "Mean reward with its 95 % interval. It should rise, with noise. Validation somewhat below training is normal; " +
      "falling while training rises is not.",
    curves: [
      { ...trained("reward_mean"), band: ["reward_low", "reward_high"] },
      { ...validated("reward_mean"), band: ["reward_low", "reward_high"] },
    ],
  },
  {
    id: "exact",
    title: "Exact success",
    unit: "share",
    reading: "Completions that earn the full reward. Stricter than the reward, and moves later.",
    curves: [trained("exact"), { ...validated("exact"), band: ["exact_low", "exact_high"] }],
  },
  {
    id: "held-out",
    title: "Held-out reward",
    unit: "",
    reading: "Mean score of the second grader, which nothing is trained on. A reward that rises alone is being gamed.",
    curves: [trained("held_out"), validated("held_out")],
    codes: ["held_out_lags"],
  },
  {
    id: "spread",
    title: "Reward spread",
    unit: "",
    reading: "Standard deviation of the rewards of a step. Without spread there is nothing to learn from.",
    curves: [trained("reward_std"), validated("reward_std")],
    codes: ["reward_spread_rising", "reward_ignored"],
  },
];

export const LOSS: readonly ChartPlan[] = [
  {
    id: "loss",
    title: "Loss",
    unit: "nats/token",
    reading:
      "Mean negative log-likelihood of the learned tokens. Validation rising while training falls is overfitting.",
    curves: [trained("loss"), validated("loss")],
  },
  {
    id: "token-accuracy",
    title: "Token accuracy",
    unit: "share",
    reading: "Learned tokens that were the model's likeliest.",
    curves: [trained("token_accuracy"), validated("token_accuracy")],
  },
];

export const POLICY: readonly ChartPlan[] = [
  {
    id: "entropy",
    title: "Entropy",
    unit: "nats/token",
    reading: "How undecided the policy is at each token. A slow decline is healthy; near 0 it tries nothing new.",
    curves: [trained("entropy"), validated("entropy")],
    codes: ["entropy_collapse"],
  },
  {
    id: "length",
    title: "Completion length",
    unit: "tokens",
    reading: "Growing together with the reward can mean that words are being paid.",
    curves: [
      trained("completion_length_mean", "mean"),
      { ...trained("completion_length_p95", "95th percentile"), dashed: true },
      validated("completion_length_mean"),
    ],
    codes: ["length_growth", "length_jump"],
  },
  {
    id: "kl",
    title: "KL to base",
    unit: "nats/token",
    reading: "Distance from the base model. It grows as the model learns; after a sudden rise, read some completions.",
    curves: [trained("kl_ref"), validated("kl_ref")],
  },
  {
    id: "grad-norm",
    title: "Gradient norm",
    unit: "",
    reading: "Before clipping. Steady is good; repeated spikes ask for a lower learning rate.",
    curves: [trained("grad_norm", "gradient norm")],
    codes: ["grad_norm_spike"],
  },
  {
    id: "clip",
    title: "Clipped tokens",
    unit: "share",
    reading: "Tokens whose ratio the loss clipped. Near 0 while every batch is used once.",
    curves: [trained("clip_share", "clipped")],
  },
  {
    id: "mismatch",
    title: "Mismatch",
    unit: "nats",
    reading:
      "How much sampler and trainer differ on the same tokens. It should stay at rounding; growth comes before collapse.",
    curves: [trained("mismatch_mean", "mean"), { ...trained("mismatch_max", "largest"), dashed: true }],
    codes: ["mismatch"],
  },
  {
    id: "learning-rate",
    title: "Learning rate",
    unit: "",
    reading: "Step size of the optimizer, by its schedule.",
    curves: [{ ...trained("learning_rate", "learning rate"), isNoisy: false }],
  },
];

export const SIGNAL: readonly ChartPlan[] = [
  {
    id: "zero-signal",
    title: "Zero-signal groups",
    unit: "share",
    reading: "Groups whose completions all got one reward: they teach nothing. Should be low.",
    curves: [trained("zero_signal_share", "zero-signal")],
    codes: ["no_signal", "zero_signal", "little_signal"],
  },
  {
    id: "truncated",
    title: "Truncated",
    unit: "share",
    reading: "Completions cut at the length limit; their rewards judge fragments.",
    curves: [trained("truncated_share"), validated("truncated_share")],
    codes: ["truncated"],
  },
  {
    id: "advantage",
    title: "Advantage size",
    unit: "",
    reading: "Mean absolute advantage of the scored completions: how much each step has to say.",
    curves: [trained("advantage_abs_mean", "advantage")],
  },
];

export const SERVICE: readonly ChartPlan[] = [
  {
    id: "latency",
    title: "Grader latency",
    unit: "ms",
    reading: "Wall time of grader calls, which run beside sampling.",
    curves: [
      timed("reward_latency_p50_ms", "median"),
      { ...timed("reward_latency_p95_ms", "95th percentile"), dashed: true },
    ],
    codes: ["reward_wait"],
  },
  {
    id: "errors",
    title: "Grader failures",
    unit: "samples",
    reading: "Samples without a score. They are left out of the step, never counted as zero.",
    curves: [
      { ...trained("verdict_error", "errors"), isNoisy: false },
      { ...trained("verdict_timeout", "timeouts"), isNoisy: false, isRare: true },
      { ...trained("verdict_oom", "out of memory"), isNoisy: false, isRare: true },
      { ...trained("verdict_invalid", "unusable answers"), isNoisy: false, isRare: true },
      { ...validated("grader_errors"), isRare: true },
    ],
    compared: [trained("grader_errors", "training"), validated("grader_errors")],
    codes: ["grader_errors"],
  },
  {
    id: "judge",
    title: "Judge calls",
    unit: "calls",
    reading: "Calls to judge models.",
    curves: [trained("judge_calls", "training"), validated("judge_calls")],
  },
];

export const SPEED: readonly ChartPlan[] = [
  {
    id: "phases",
    title: "Time per step",
    unit: "s",
    reading: "By phase. A large reward part means that training waits for the grader.",
    isStacked: true,
    curves: [timed("seconds_rollout", "rollout"), timed("seconds_reward", "reward"), timed("seconds_update", "update")],
    compared: [timed("seconds_step", "whole step")],
  },
  {
    id: "throughput",
    title: "Speed",
    unit: "tokens/s",
    reading: "Sampled tokens per second of the whole step.",
    curves: [{ ...timed("tokens_per_second", "tokens"), isNoisy: true }],
  },
  {
    id: "bound",
    title: "Of the bound",
    unit: "share",
    reading:
      "The least time this machine could take for a step over what it took. The update reuses work, so it can pass 100 %.",
    curves: [
      timed("bound_fraction", "whole step"),
      { ...timed("bound_fraction_rollout", "rollout"), dashed: true },
      { ...timed("bound_fraction_update", "update"), dashed: true },
    ],
  },
  {
    id: "memory",
    title: "Memory",
    unit: "bytes",
    reading: "Peak resident memory of the training process.",
    curves: [timed("rss_bytes", "peak")],
    codes: ["memory_prediction"],
  },
];
