"""The dialect of Amazon Bedrock: control plane and runtime."""
