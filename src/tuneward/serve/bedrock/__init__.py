"""The dialect of Amazon Bedrock: control plane and runtime."""

from tuneward.serve.bedrock import labels as labels
