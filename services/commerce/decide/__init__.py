"""What commerce decides about a return, message by message. Pure: state, message and desk go in,
the new state and what follows from it come out."""
