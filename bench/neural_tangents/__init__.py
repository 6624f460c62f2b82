"""The other side of `bench.pointwise`: neural-tangents, in an environment of its own."""
