"""`python -m services.fulfillment`"""

from services.chassis import runtime
from services.fulfillment import api, app

if __name__ == "__main__":
    runtime.run(app.NAME, app.build, api.add_routes)
