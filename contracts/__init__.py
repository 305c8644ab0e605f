"""The shared language: messages, money, topics. Imports pydantic and the standard library only."""
