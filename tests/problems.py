"""Networks and activations that several tests use."""

#: The poster's four activations: two with kinks, two with poles, all with fast routes.
POSTER = ("relu", "leaky_relu", "sigmoid", "tanh")
#: Recipes of a table and of a training that take a moment.
SMALL_TABLE = """
dims = [3, 4]
degrees = "0:40"
checks = {samples = 1, digits = 20}
networks = [{activation = "relu"}]
"""
SMALL_RUN = """
steps = 20
network = {activation = "relu", width = 64, seeds = 1}
data = {kind = "circle", points = 16}
target = {kind = "sine", degrees = [1, 2]}
loss = {s = [0]}
"""
