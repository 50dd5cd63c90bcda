"""Typed readers of the environment. A bad or missing value is one line that names the variable."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


class SettingError(ValueError):
    """A setting is missing or wrong; the message is one line and starts with the variable's name."""


def existing(name: str, value: str) -> Path:
    """The absolute path of a file or folder that `value`, of the variable `name`, points to."""
    path = Path(value).expanduser().absolute()
    if not path.exists():
        raise SettingError(f"{name}: {value} does not exist")
    return path


class Environment:
    """Reads settings from a mapping of variables, such as os.environ.

    An empty value counts as not set. `NAME_FILE` gives the value of NAME in a file (systemd credentials).
    """

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._variables = variables

    def text(self, name: str, default: str | None = None) -> str:
        """The value of `name`; without a default it must be set."""
        value = self._value(name)
        if value is not None:
            return value
        if default is None:
            raise SettingError(f"{name}: must be set")
        return default

    def optional(self, name: str) -> str | None:
        """The value of `name`, or None."""
        return self._value(name)

    def integer(self, name: str, default: int, *, minimum: int, maximum: int) -> int:
        """A whole number from `minimum` to `maximum`."""
        value = self._value(name)
        if value is None:
            return default
        try:
            number = int(value)
        except ValueError:
            raise SettingError(f"{name}: {value!r} is not a whole number") from None
        if not minimum <= number <= maximum:
            raise SettingError(f"{name}: {number} is not between {minimum} and {maximum}")
        return number

    def number(self, name: str, default: float, *, minimum: float, maximum: float) -> float:
        """A decimal number from `minimum` to `maximum`."""
        value = self._value(name)
        if value is None:
            return default
        try:
            number = float(value)
        except ValueError:
            raise SettingError(f"{name}: {value!r} is not a number") from None
        if not minimum <= number <= maximum:  # refuses NaN too
            raise SettingError(f"{name}: {value} is not between {minimum:g} and {maximum:g}")
        return number

    def choice(self, name: str, default: str, choices: tuple[str, ...]) -> str:
        """One of `choices`."""
        value = self.text(name, default)
        if value not in choices:
            raise SettingError(f"{name}: {value!r} is not one of {', '.join(choices)}")
        return value

    def path(self, name: str, default: Path) -> Path:
        """A path of the file system, absolute."""
        return Path(self.text(name, str(default))).expanduser().absolute()

    def existing_file(self, name: str) -> Path | None:
        """A file that must be there when the variable is set."""
        value = self._value(name)
        if value is None:
            return None
        path = Path(value).expanduser().absolute()
        if not path.is_file():
            raise SettingError(f"{name}: {value} is not a file")
        return path

    def existing_folder(self, name: str) -> Path | None:
        """A folder that must be there when the variable is set."""
        path = self.existing_path(name)
        if path is not None and not path.is_dir():
            raise SettingError(f"{name}: {self._value(name)} is not a folder")
        return path

    def existing_path(self, name: str) -> Path | None:
        """A file or folder that must be there when the variable is set."""
        value = self._value(name)
        return None if value is None else existing(name, value)

    def words(self, name: str) -> tuple[str, ...]:
        """What commas or spaces separate."""
        return tuple((self._value(name) or "").replace(",", " ").split())

    def pairs(self, name: str) -> dict[str, str]:
        """`key=value` pairs that commas separate."""
        pairs: dict[str, str] = {}
        for item in filter(None, map(str.strip, (self._value(name) or "").split(","))):
            key, equals, value = map(str.strip, item.partition("="))
            if not key or not equals or not value:
                raise SettingError(f"{name}: {item!r} is not NAME=VALUE")
            if key in pairs:
                raise SettingError(f"{name}: {key} is there twice")
            pairs[key] = value
        return pairs

    def _value(self, name: str) -> str | None:
        value = self._variables.get(name, "").strip()
        file = self._variables.get(f"{name}_FILE", "").strip()
        if value and file:
            raise SettingError(f"{name}: set either {name} or {name}_FILE, not both")
        if file:
            return self._file_content(name, Path(file))
        if " #" in value:
            # systemd's EnvironmentFile keeps what a shell would drop, so the comment would become the value.
            raise SettingError(f"{name}: remove the comment after the value (systemd would keep it)")
        return value or None

    def _file_content(self, name: str, path: Path) -> str | None:
        try:
            return path.read_text(encoding="utf-8").strip() or None
        except (OSError, UnicodeDecodeError) as error:
            raise SettingError(f"{name}_FILE: cannot read {path}: {error.__class__.__name__}") from None
