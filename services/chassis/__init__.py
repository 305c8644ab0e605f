"""The microservice chassis: what every service does alike, and nothing of returns."""
