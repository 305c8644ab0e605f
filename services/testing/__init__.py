"""pytest fixtures for teams whose systems talk to returns: Kafka, PostgreSQL, the whole system.

In a project that has `returns` and `testcontainers` installed, `conftest.py` says

    pytest_plugins = ["services.testing.plugin"]

and a test takes what it needs as arguments:

`kafka`
    a broker with all topics, under a prefix that only this test has: `kafka.bootstrap`,
    `kafka.topic("returns.requests")`
`postgres`
    a server; `postgres.store("commerce").runtime_url` is a migrated database that only this test
    has, cloned in some 30 ms
`returns_system`
    everything running, once for all tests: `returns_system.gateway`, `.kafka`, `.sandbox`, and the
    calls that an outside party would make (see `services.testing.system.ReturnsSystem`)

Broker and server are containers of the official images where an engine answers, else this project's
embedded ones; `RETURNS_TEST_BACKEND=containers|embedded` decides otherwise. They are started once
per test run and shared; what keeps tests apart is the prefix and the cloned database.
"""
