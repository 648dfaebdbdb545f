"""Graders that are models: rubrics, clients of judge models, and the grader itself."""
