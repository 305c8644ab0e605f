pytest_plugins = ["services.testing.plugin"]
