"""What clients may send, by subject: the models that check it and that /openapi.json is made from.

Unknown fields are refused by name, every string, number and list is bounded, and nothing is
coerced: `"3"` is not 3 and `true` is not 1. `null` in an optional field counts as absent.
"""
