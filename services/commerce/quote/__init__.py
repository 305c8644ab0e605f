"""What a return is worth: integers in minor units, split once, summed exactly. Pure."""
