"""The padding of tokens, in a module of its own because networks of texts import it and nothing else of the data."""

#: Follows the tokens of each text in the array of all tokens, and pads the texts of a batch to one length.
PADDING = -1
