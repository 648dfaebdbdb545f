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
from tuneward.config.server import LimitsConfig, ServedModelConfig, ServerConfig, ServingConfig, StorageConfig

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
    "LimitsConfig",
    "LoraConfig",
    "LossName",
    "PartConfig",
    "RewardConfig",
    "RolloutConfig",
    "RunConfig",
    "ServedModelConfig",
    "ServerConfig",
    "ServingConfig",
    "SinkName",
    "StorageConfig",
    "TrainingConfig",
    "load_config",
    "parse_config",
]
