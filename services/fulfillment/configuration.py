"""Which carrier and which inventory. Test returns use the sandbox whatever is said here."""

from __future__ import annotations

from typing import Literal

from pydantic_settings import BaseSettings, SettingsConfigDict


class OutsideSettings(BaseSettings):
    """`CARRIER`, `EASYPOST_API_KEY`, `EASYPOST_API_BASE`, `INVENTORY_URL` (or the sandbox)."""

    model_config = SettingsConfigDict(extra="ignore", case_sensitive=False)

    carrier: Literal["sandbox", "easypost"] = "sandbox"
    easypost_api_key: str = ""
    easypost_api_base: str = "https://api.easypost.com"
    inventory_url: str = ""
