"""Networks and activations that several tests take."""

#: The poster's four activations: two with kinks, two with poles, all with fast routes.
POSTER = ("relu", "leaky_relu", "sigmoid", "tanh")
