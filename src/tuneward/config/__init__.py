"""The configuration of a run."""

from tuneward.config.job import (
    AdvantageScale,
    Config,
    DataConfig,
    EvaluationConfig,
    LoraConfig,
    LossName,
    RolloutConfig,
    RunConfig,
    SinkName,
    TrainingConfig,
)
from tuneward.config.load import load_config, parse_config
from tuneward.config.reward import (
    ComposeConfig,
    ConnectionConfig,
    EndpointConfig,
    GraderConfig,
    JudgeConfig,
    LengthPenaltyConfig,
    PartConfig,
    RewardConfig,
)

__all__ = [
    "AdvantageScale",
    "ComposeConfig",
    "Config",
    "ConnectionConfig",
    "DataConfig",
    "EndpointConfig",
    "EvaluationConfig",
    "GraderConfig",
    "JudgeConfig",
    "LengthPenaltyConfig",
    "LoraConfig",
    "LossName",
    "PartConfig",
    "RewardConfig",
    "RolloutConfig",
    "RunConfig",
    "SinkName",
    "TrainingConfig",
    "load_config",
    "parse_config",
]
