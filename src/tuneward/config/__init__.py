"""The configuration of a run."""

from tuneward.config.job import (
    AdvantageScale,
    Config,
    DataConfig,
    EvaluationConfig,
    LoraConfig,
    LossName,
    OptimizerConfig,
    RolloutConfig,
    RunConfig,
    SinkName,
    TrainingConfig,
)
from tuneward.config.load import load_config, load_section, parse_config, parse_section
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
from tuneward.config.supervised import (
    SupervisedConfig,
    SupervisedDataConfig,
    SupervisedEvaluationConfig,
    SupervisedTrainingConfig,
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
    "LimitsConfig",
    "LoraConfig",
    "LossName",
    "OptimizerConfig",
    "PartConfig",
    "RewardConfig",
    "RolloutConfig",
    "RunConfig",
    "ServedModelConfig",
    "ServerConfig",
    "ServingConfig",
    "SinkName",
    "StorageConfig",
    "SupervisedConfig",
    "SupervisedDataConfig",
    "SupervisedEvaluationConfig",
    "SupervisedTrainingConfig",
    "TrainingConfig",
    "load_config",
    "load_section",
    "parse_config",
    "parse_section",
]
