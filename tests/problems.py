"""Networks and activations that several tests use."""

#: The poster's four activations: two with kinks, two with poles, all with fast routes.
POSTER = ("relu", "leaky_relu", "sigmoid", "tanh")
