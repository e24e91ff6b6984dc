"""The plan between the solver and the builder; see `model` for its data."""
