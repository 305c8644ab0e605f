"""The production shape in containers: needs an engine with Compose (`make compose-tests`)."""
