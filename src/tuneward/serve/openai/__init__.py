"""The wire format of OpenAI's API."""
