"""Where settings come from: NAME in the environment, or the file that NAME_FILE names."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

FILE = "_FILE"


def read(name: str) -> str:
    """The value of a variable, or of the file that ``<name>_FILE`` names; empty when unset.

    Raises SystemExit, in one sentence, when the file cannot be read.
    """
    return os.environ.get(name) or from_file(name) or ""


def from_file(name: str) -> str | None:
    """What stands in the file that ``<name>_FILE`` names; None when none is named."""
    path = os.environ.get(f"{name}{FILE}")
    if not path:
        return None
    try:
        return Path(path).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SystemExit(f"{name}{FILE}: {path} cannot be read: {error}") from None


class _Files(PydanticBaseSettingsSource):
    """Each setting's file, as container engines and orchestrators hand secrets over."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        return from_file(field_name.upper()) or None, field_name, False

    def __call__(self) -> dict[str, Any]:
        found = {
            name: self.get_field_value(field, name)[0]
            for name, field in self.settings_cls.model_fields.items()
        }
        return {name: value for name, value in found.items() if value is not None}


class Environment(BaseSettings):
    """Settings that are told in one sentence when they cannot be read. Empty means unset."""

    model_config = SettingsConfigDict(extra="ignore", case_sensitive=False, env_ignore_empty=True)

    def __init__(self, **values: Any) -> None:
        """Raises SystemExit with one sentence that names the variable."""
        try:
            super().__init__(**values)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            variable = ".".join(str(step) for step in first["loc"]).upper()
            raise SystemExit(f"{variable}: {first['msg']}") from None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments, then variables, then files."""
        return init_settings, env_settings, _Files(settings_cls)
