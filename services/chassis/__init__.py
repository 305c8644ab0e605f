"""The microservice chassis: what every service of this project does alike, and nothing of returns."""
