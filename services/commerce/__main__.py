"""`python -m services.commerce`"""

from services.chassis import runtime
from services.commerce import api, app

if __name__ == "__main__":
    runtime.run(app.NAME, app.build, api.add_routes)
