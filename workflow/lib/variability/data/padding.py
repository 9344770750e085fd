"""What the texts of a task and the networks that take them agree on; apart, so that the one can be edited alone."""

#: What ends the tokens of a text in the array of all, and what a batch is filled up with.
NOTHING = -1
