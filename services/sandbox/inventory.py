"""The interface that fulfillment expects of an inventory, as OpenAPI: the sandbox plays it.

`python -m services.sandbox.inventory` writes it, for whoever puts it in front of their own system
and names that in INVENTORY_URL.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from services.sandbox import warehouse
from services.sandbox.book import Book

FILE = Path(__file__).parent.parent / "fulfillment" / "inventory.openapi.json"
DESCRIPTION = (
    "Every call names a reference of ours: made again with the same reference it has its effect"
    " once and gets the same answer. A 4xx is final, except 401, 403, 408, 425 and 429; after"
    " those, after a 5xx and after no answer the same call is made again."
)


def text(book: Book) -> str:
    """The document; the same for the same code."""
    app = FastAPI(title="Inventory and warehouse", version="1", description=DESCRIPTION)
    app.include_router(warehouse.routes(book))
    document: dict[str, Any] = app.openapi()
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def main() -> None:
    book = Book(Path(":memory:"))
    try:
        made = text(book)
    finally:
        book.close()
    if "--check" not in sys.argv[1:]:
        FILE.write_text(made)
    elif not FILE.exists() or FILE.read_text() != made:
        sys.exit(f"{FILE.name} differs: run `python -m services.sandbox.inventory`")


if __name__ == "__main__":
    main()
