"""Pure decisions about goods: (goods of an order, message, now) -> what is, and what follows."""
