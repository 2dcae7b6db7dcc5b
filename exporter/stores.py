"""Several of a kind: a source can be given once without a name, or as often as one likes by names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeVar

from pydantic import AfterValidator, BaseModel, Discriminator, Field, GetJsonSchemaHandler, Tag
from pydantic_core import CoreSchema

from ml_monitoring.exporter.settings_hints import STORE_PATTERN

# The label of what a named source exposes.
STORE_LABEL: Final = "store"
StoreName = Annotated[str, Field(pattern=STORE_PATTERN)]
# In brackets, so that no name of a store is like them.
_ONE, _NAMED = "[one]", "[named]"
_Section = TypeVar("_Section")


def named(section: type[BaseModel]) -> Any:
    """Return the type of a setting that is sections by names."""
    sections: Any = dict.__class_getitem__((StoreName, section))
    return Annotated[sections, Field(min_length=1)]


def one_or_named(section: type[BaseModel]) -> Any:
    """Return the type of a setting that is either a section or sections by names."""

    def kind(value: object) -> str:
        return _NAMED if are_named(value, section) else _ONE

    one, several = (
        Annotated[section, Tag(_ONE)],
        Annotated[named(section), AfterValidator(_with_free_label), Tag(_NAMED)],
    )
    return Annotated[one | several, Discriminator(kind), _OneOrNamed(section)]


@dataclass(frozen=True, slots=True)
class _OneOrNamed:
    """Says which of the two is meant in words of JSON Schema, so that an editor complains about that one alone."""

    section: type[BaseModel]

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        one, named = handler(core)["oneOf"]
        settings = sorted(self.section.model_fields)
        names = {"not": {"enum": [*settings, *(f"{setting}_file" for setting in settings)]}}
        mappings = {"type": "object"}
        condition = {"type": "object", "minProperties": 1, "additionalProperties": mappings, "propertyNames": names}
        return {"if": condition, "then": named, "else": one}


def _with_free_label(sections: dict[str, Any]) -> dict[str, Any]:
    for name, section in sections.items():
        if STORE_LABEL in getattr(section, "labels", ()):
            raise ValueError(f"{name}.labels: {STORE_LABEL!r} is the label of the store's name")
    return sections


def are_named(value: object, section: type[BaseModel]) -> bool:
    """Tell whether settings are sections by names: mappings alone, none under the name of a setting."""
    if not isinstance(value, Mapping) or not value:
        return False
    return all(isinstance(inner, Mapping | BaseModel) for inner in value.values()) and not any(
        _is_setting(key, section) for key in value
    )


def mixed(value: object, section: type[BaseModel]) -> tuple[list[str], list[str]]:
    """Return the names of stores, and the settings of one without a name, that are given beside each other."""
    given = value if isinstance(value, Mapping) else {}
    own = [str(key) for key in given if _is_setting(key, section)]
    # Another mapping is a setting that is misspelt.
    names = [
        str(key)
        for key, inner in given.items()
        if key not in own and isinstance(inner, Mapping) and any(_is_setting(each, section) for each in inner)
    ]
    return (names, own) if names and own else ([], [])


def _is_setting(key: object, section: type[BaseModel]) -> bool:
    return str(key).removesuffix("_file") in section.model_fields


def by_name(kind: str, sections: _Section | Mapping[str, _Section]) -> dict[str, _Section]:
    """Return sections by what the source is called: its kind alone, or with the store's name behind it."""
    if isinstance(sections, Mapping):
        return {f"{kind}/{name}": section for name, section in sections.items()}
    return {kind: sections}


def kind_of(name: str) -> str:
    """Return what kind of source has this name."""
    return name.partition("/")[0]


def spelled(message: str, name: str) -> str:
    """Return what a source says, with its settings as they stand in the file where it has a store's name."""
    kind, _, store = name.partition("/")
    return message.replace(f"sources.{kind}.", f"sources.{kind}.{store}.") if store else message


def labels_of(name: str) -> dict[str, str]:
    """Return the labels of everything that the source of this name exposes."""
    store = name.partition("/")[2]
    return {STORE_LABEL: store} if store else {}
