"""File formats of mosaics and image stacks: one module each, chosen by the first bytes of the file."""
