"""Which curves a report shows, and the sentence that says how to read each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tuneward.records import Record, metric_title, reported_metrics
from tuneward.runs.report_charts import Chart, Points, Series, line_chart, stacked_chart

MOST_PART_CHARTS = 12


def charts_of(steps: Sequence[Record], evaluations: Sequence[Record]) -> list[Chart]:
    """The curves of a run, those without values left out."""
    charts = [
        line_chart(
            "Reward",
            "Mean reward of the sampled answers. It should rise, with noise; validation somewhat below training is "
            "normal, falling while training rises is not.",
            [
                Series("training", _points(steps, "reward_mean"), "train", is_noisy=True),
                Series("validation", _points(evaluations, "reward_mean"), "validation", has_dots=True),
            ],
            reference=_base(evaluations, "reward_mean"),
            reference_label="base model",
        ),
        line_chart(
            "Exact success",
            "Share of answers that earn the full reward. It is stricter than the reward and moves later.",
            [
                Series("training", _points(steps, "exact"), "train", is_noisy=True),
                Series("validation", _points(evaluations, "exact"), "validation", has_dots=True),
            ],
            is_share=True,
        ),
        line_chart(
            "Held-out reward",
            "Mean score of the second grader, which nothing is trained on. It should rise with the reward; a reward "
            "that rises alone is being gamed.",
            [
                Series("training", _points(steps, "held_out"), "train", is_noisy=True),
                Series("validation", _points(evaluations, "held_out"), "validation", has_dots=True),
            ],
            reference=_base(evaluations, "held_out"),
            reference_label="base model",
        ),
        *_part_charts(steps, evaluations),
        line_chart(
            "Policy entropy",
            "How undecided the model is at each token. A slow decline is healthy; near 0 it tries nothing new.",
            [
                Series("training", _points(steps, "entropy"), "train", is_noisy=True),
                Series("validation", _points(evaluations, "entropy"), "validation", has_dots=True),
            ],
        ),
        line_chart(
            "Completion length",
            "Tokens per answer. It should settle; growing together with the reward can mean that words are being paid.",
            [
                Series("mean", _points(steps, "completion_length_mean"), "train", is_noisy=True),
                Series("95th percentile", _points(steps, "completion_length_p95"), "second"),
                Series("validation", _points(evaluations, "completion_length_mean"), "validation", has_dots=True),
            ],
        ),
        line_chart(
            "Distance from the base model",
            "KL divergence in nats per token. It grows as the model learns; after a sudden rise, read some answers.",
            [
                Series("training", _points(steps, "kl_ref"), "train", is_noisy=True),
                Series("at evaluations", _points(evaluations, "kl_ref"), "validation", has_dots=True),
            ],
        ),
        line_chart(
            "Gradient norm",
            "Size of each update before clipping. Steady is good; repeated spikes ask for a lower learning rate.",
            [Series("gradient norm", _points(steps, "grad_norm"), "train", is_noisy=True)],
        ),
        line_chart(
            "Lost signal",
            "Groups whose answers all got one reward teach nothing, and answers cut at the length limit are judged "
            "unfinished. Both should be low.",
            [
                Series("zero-signal groups", _points(steps, "zero_signal_share"), "train", is_noisy=True),
                Series("truncated answers", _points(steps, "truncated_share"), "second"),
            ],
            is_share=True,
        ),
        stacked_chart(
            "Time per step",
            "Seconds of each step by phase. A large reward part means that training waits for the reward function.",
            [
                Series("sampling", _timings(steps, "seconds_rollout"), "train"),
                Series("reward", _timings(steps, "seconds_reward"), "validation"),
                Series("update", _timings(steps, "seconds_update"), "second"),
            ],
            "s",
        ),
        line_chart(
            "Speed against the bound",
            "The least time this machine could take for a step's distinct tokens, over what it took. The update can "
            "pass 1, because it reuses what sampling computed.",
            [
                Series("whole step", _timings(steps, "bound_fraction"), "train"),
                Series("sampling", _timings(steps, "bound_fraction_rollout"), "validation"),
                Series("update", _timings(steps, "bound_fraction_update"), "second"),
            ],
        ),
    ]
    return [chart for chart in charts if chart]


def _part_charts(steps: Sequence[Record], evaluations: Sequence[Record]) -> Iterator[Chart | None]:
    """What the reward measures by itself: the parts of a composition first, then what they tell of themselves."""
    for name in reported_metrics([*steps, *evaluations])[:MOST_PART_CHARTS]:
        title = metric_title(name)
        yield line_chart(
            title[:1].upper() + title[1:],
            f"Mean of “{title}”, as the reward reports it beside its score.",
            [
                Series("training", _points(steps, name), "train", is_noisy=True),
                Series("validation", _points(evaluations, name), "validation", has_dots=True),
            ],
            reference=_base(evaluations, name),
            reference_label="base model",
        )


def _points(records: Sequence[Record], name: str) -> Points:
    return [(float(record["step"]), float(record[name])) for record in records if name in record]


def _timings(records: Sequence[Record], name: str) -> Points:
    return [
        (float(record["step"]), float(record["timing"][name])) for record in records if name in record.get("timing", {})
    ]


def _base(evaluations: Sequence[Record], name: str) -> float | None:
    """A number of the base model's evaluation."""
    is_known = evaluations and evaluations[0]["step"] == 0 and name in evaluations[0]
    return float(evaluations[0][name]) if is_known else None
