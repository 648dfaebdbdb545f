"""What to do about a job that failed, in words; the failure itself says what went wrong."""

from __future__ import annotations

_REPAIR = "Repair the lines that are listed, upload the file again, and clone the job with it."

REMEDIES: dict[str, str] = {
    "invalid_training_file": _REPAIR,
    "invalid_validation_file": _REPAIR,
    "invalid_n_examples": "Change the number of rows as it says, upload the file again, and clone the job with it.",
    "invalid_hyperparameters": "Clone the job and change the setting that is named.",
    "model_not_found": "Clone the job with a model that this server has; the operator can add this one to `models`.",
    "model_not_available": "The operator has to bring the model's files to the server: `tuneward models pull` fetches "
    "them. Then clone the job.",
    "invalid_grader": "Mend the reward and test it on a few completions; then clone the job with it.",
    "grader_failed": "Look at the receipts of the failed samples, mend the reward, and clone the job.",
    "out_of_memory": "Clone the job with a smaller model, fewer samples per prompt, or shorter completions.",
    "training_failed": "Clone the job and do what the message says.",
    "storage_failed": "The operator has to free space on the server's disk. Then clone the job.",
    "engine_failed": "The operator finds more in the worker's log. Clone the job once the engine works again.",
    "output_not_writable": "Check the output location and the server's rights there, or clone the job without one. "
    "What was trained is here all the same.",
    "process_died": "The operator finds the reason in the worker's log; too little memory is a common one.",
    "internal_error": "The operator finds more in the worker's log. Clone the job to try again.",
}
"""Code of a failure → what to do."""

DEFAULT = "Clone the job, change what the message names, and start it again."


def remedy(code: str | None) -> str:
    """What to do about a failure."""
    return REMEDIES.get(code or "", DEFAULT)
