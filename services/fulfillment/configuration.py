"""Which carrier buys the labels. Test returns use the sandbox whatever is said here."""

from __future__ import annotations

from typing import Literal

from pydantic_settings import BaseSettings, SettingsConfigDict


class CarrierSettings(BaseSettings):
    """`CARRIER`, `EASYPOST_API_KEY`, `EASYPOST_API_BASE`."""

    model_config = SettingsConfigDict(extra="ignore", case_sensitive=False)

    carrier: Literal["sandbox", "easypost"] = "sandbox"
    easypost_api_key: str = ""
    easypost_api_base: str = "https://api.easypost.com"
