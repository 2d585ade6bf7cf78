"""What the API answers, as models: /openapi.json is made from them, contract tests hold answers
against them. Answers themselves are built by `shapes`, which costs a tenth of a model.
"""  # noqa: D205 - one thought
