"""Rows in: the chat schema, the streaming reader, the validation report and the held-out split."""

from tuneward.data.checks import validate
from tuneward.data.lengths import Lengths
from tuneward.data.lines import MAX_LINE_BYTES
from tuneward.data.problems import Code, Problem, Severity
from tuneward.data.reader import MAX_ROWS, iter_rows, read_rows
from tuneward.data.report import DataReport, FileReport
from tuneward.data.split import split_holdout

__all__ = [
    "MAX_LINE_BYTES",
    "MAX_ROWS",
    "Code",
    "DataReport",
    "FileReport",
    "Lengths",
    "Problem",
    "Severity",
    "iter_rows",
    "read_rows",
    "split_holdout",
    "validate",
]
