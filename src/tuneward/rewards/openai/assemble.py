"""Puts together what a grader needs: its evaluators, and the judges' client and threads that they share."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from tuneward.config import GraderConfig
from tuneward.rewards.judge.client import ModelClient, build_client
from tuneward.rewards.openai.model_grader import ModelEvaluator
from tuneward.rewards.openai.multi import MultiEvaluator
from tuneward.rewards.openai.outcome import Evaluator
from tuneward.rewards.openai.python_grader import PythonEvaluator
from tuneward.rewards.openai.spec import (
    GraderSpec,
    LabelModel,
    MultiGrader,
    PartSpec,
    PythonGrader,
    ScoreModel,
)
from tuneward.rewards.openai.text_graders import TextEvaluator


class Assembly:
    """The evaluator of a grader, with all that must be closed after it.

    Args:
        spec: the grader.
        config: connection, isolation, processes and limits.

    Raises:
        GraderError: something that the grader needs is missing or does not load.
    """

    def __init__(self, spec: GraderSpec, config: GraderConfig) -> None:
        self._config = config
        self._client: ModelClient | None = None
        self._threads: ThreadPoolExecutor | None = None
        self._built: list[Evaluator] = []
        try:
            self.evaluator = self._build(spec)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End processes, threads and connections. Safe to call twice."""
        for evaluator in self._built:
            evaluator.close()
        if self._client is not None:
            self._client.close()
        if self._threads is not None:
            self._threads.shutdown(wait=False)  # A call under way may take as long as its limit.

    def _build(self, spec: GraderSpec) -> Evaluator:
        if isinstance(spec, MultiGrader):
            return MultiEvaluator(
                {name: self._part(part) for name, part in spec.graders.items()}, spec.calculate_output
            )
        return self._part(spec)

    def _part(self, spec: PartSpec) -> Evaluator:
        evaluator: Evaluator
        if isinstance(spec, PythonGrader):
            evaluator = PythonEvaluator(spec, self._config)
        elif isinstance(spec, ScoreModel | LabelModel):
            evaluator = self._judge(spec)
        else:
            evaluator = TextEvaluator(spec, self._config.connection.models)
        self._built.append(evaluator)
        return evaluator

    def _judge(self, spec: ScoreModel | LabelModel) -> Evaluator:
        connection = self._config.connection
        if self._client is None:
            self._client = build_client(connection)  # One for all parts: its budget is that of the whole run.
        if self._threads is None:
            self._threads = ThreadPoolExecutor(connection.concurrency, thread_name_prefix="judge")
        return ModelEvaluator(spec, self._client, self._threads, {"timeout_s": connection.timeout_s})
