"""`python -m services.gateway`"""

from services.chassis import runtime
from services.gateway import app

if __name__ == "__main__":
    runtime.run("gateway", app.build, app.routes, **app.APP)
