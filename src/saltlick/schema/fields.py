"""The value types of the pillar: each takes what an operator writes and says in plain words what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv4Network, NetmaskValueError
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    StrictStr,
    WithJsonSchema,
)

from saltlick.schema.problems import shown

WORLD = "world"
SELF = "self"
PEERS = "peers"
RESERVED_SOURCES = frozenset({WORLD, SELF, PEERS})

HOST_NAME_LIMIT = 63
"""Source: RFC 1035, section 2.3.4: labels have 63 octets or less."""

LABEL = re.compile(r"[a-z]([a-z0-9-]*[a-z0-9])?")
_PORTS = re.compile(r"(\d+)\s*-\s*(\d+)")


def form(pattern: str, what: str) -> AfterValidator:
    """A text of a certain shape; anything else `is not <what>`."""
    shape = re.compile(pattern)

    def formed(value: str) -> str:
        if not shape.fullmatch(value):
            raise ValueError(f"{shown(value)} is not {what}")
        return value

    return AfterValidator(formed)


class Model(BaseModel):
    """Base of every part of the environment: frozen, and unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


@dataclass(frozen=True, slots=True, order=True)
class PortRange:
    """Ports from `first` to `last`, both included."""

    first: int
    last: int

    def overlaps(self, other: PortRange) -> bool:
        return self.first <= other.last and other.first <= self.last

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"


def _label(value: str) -> str:
    if not LABEL.fullmatch(value):
        raise ValueError(
            f"{value or 'an empty text'} cannot be a name: lower-case letters, digits and hyphens only, "
            "beginning with a letter and not ending with a hyphen"
        )
    if len(value) > HOST_NAME_LIMIT:
        raise ValueError(f"{value} has {len(value)} characters; a host name takes at most {HOST_NAME_LIMIT}")
    return value


def _network(value: Any) -> Any:
    if not isinstance(value, str):
        raise ValueError(f"{shown(value)} is not a network (write it like 10.10.0.0/16)")
    try:
        network = IPv4Network(value, strict=False)
    except (AddressValueError, NetmaskValueError, ValueError) as error:
        raise ValueError(f"{value} is not a network") from error
    if "/" not in value:
        raise ValueError(f"{value} is an address, not a network; write {value}/32 if that is meant")
    if value.partition("/")[0] != str(network.network_address):
        raise ValueError(f"{value} is not a network: it has host bits set; {network} would be one")
    return network


def _aws_sized(network: IPv4Network) -> IPv4Network:
    if not 16 <= network.prefixlen <= 28:
        raise ValueError(f"{network} is of a size that AWS does not take: from /16 to /28")
    return network


def _address(value: Any) -> Any:
    try:
        return IPv4Address(value if isinstance(value, str) else str(value))
    except AddressValueError as error:
        raise ValueError(f"{shown(value)} is not an IPv4 address") from error


def _source(value: str) -> str:
    if "/" in value:
        return str(_network(value))
    if value in RESERVED_SOURCES:
        return value
    if value[:1].isdigit():
        raise ValueError(f"{value} is neither a network (write {value}/32 for one address) nor the name of a group")
    return _label(value)


def _port_range(value: Any) -> Any:
    if isinstance(value, PortRange):
        return value
    if isinstance(value, str) and (span := _PORTS.fullmatch(value.strip())):
        ports = PortRange(int(span[1]), int(span[2]))
    elif isinstance(value, (int, str)) and not isinstance(value, bool) and str(value).strip().isdigit():
        ports = PortRange(int(value), int(value))
    else:
        raise ValueError(f"{shown(value)} is neither a port nor a range of ports like 4505-4506")
    if not 1 <= ports.first <= 65535 or not 1 <= ports.last <= 65535:
        raise ValueError(f"{value} is out of range: ports go from 1 to 65535")
    if ports.first > ports.last:
        raise ValueError(f"{value} is a range that ends before it begins")
    return ports


_BY_NAME = {1: "`icmp: true`", 6: "`tcp`", 17: "`udp`"}


def _protocol(value: Any) -> Any:
    """Source: IANA's protocol numbers; AWS keeps those with ports under their names."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 255:
        raise ValueError(f"{shown(value)} is not a number of an IP protocol: they go from 0 to 255")
    if value in _BY_NAME:
        raise ValueError(f"{value} has a key of its own: {_BY_NAME[value]}")
    return value


def _as_list(value: Any) -> Any:
    """One value stands for a list of one: `tcp: 80`, `from: lb`."""
    return value if isinstance(value, (list, tuple)) else (value,)


def _tag(value: Any) -> Any:
    if isinstance(value, (Mapping, list, tuple)) or value is None:
        raise ValueError("a tag's value is one text")
    if len(text := value if isinstance(value, str) else str(value).lower()) > 256:
        raise ValueError(f"a tag's value takes at most 256 characters, this has {len(text)}")
    return text


def _tag_key(value: str) -> str:
    if value == "Name" or value.startswith(("aws:", "saltlick:")):
        raise ValueError(f"{value} is a tag that Saltlick or AWS writes itself")
    if not 1 <= len(value) <= 128:
        raise ValueError("a tag's key takes 1 to 128 characters")
    return value


def _one_or_many(item: dict[str, Any]) -> WithJsonSchema:
    return WithJsonSchema({"anyOf": [item, {"type": "array", "items": item}]})


_PORT_SCHEMA: dict[str, Any] = {
    "anyOf": [{"type": "integer", "minimum": 1, "maximum": 65535}, {"type": "string", "pattern": r"^\d+(\s*-\s*\d+)?$"}]
}
_NETWORK_SCHEMA = WithJsonSchema({"type": "string", "format": "ipv4network", "examples": ["10.10.0.0/16"]})

Label = Annotated[
    StrictStr, AfterValidator(_label), WithJsonSchema({"type": "string", "pattern": f"^{LABEL.pattern}$"})
]
Network = Annotated[IPv4Network, BeforeValidator(_network), _NETWORK_SCHEMA]
AwsNetwork = Annotated[IPv4Network, AfterValidator(_aws_sized), BeforeValidator(_network), _NETWORK_SCHEMA]
Address = Annotated[IPv4Address, BeforeValidator(_address)]
Source = Annotated[StrictStr, AfterValidator(_source)]
Sources = Annotated[tuple[Source, ...], BeforeValidator(_as_list), _one_or_many({"type": "string"})]
Ports = Annotated[
    tuple[Annotated[PortRange, BeforeValidator(_port_range)], ...],
    BeforeValidator(_as_list),
    _one_or_many(_PORT_SCHEMA),
]
Protocols = Annotated[
    tuple[Annotated[int, BeforeValidator(_protocol)], ...],
    BeforeValidator(_as_list),
    _one_or_many({"type": "integer", "minimum": 0, "maximum": 255}),
]
Labels = Annotated[
    tuple[Label, ...], BeforeValidator(_as_list), _one_or_many({"type": "string", "pattern": f"^{LABEL.pattern}$"})
]
TagKey = Annotated[StrictStr, AfterValidator(_tag_key)]
TagValue = Annotated[str, BeforeValidator(_tag)]


AbsolutePath = Annotated[StrictStr, form(r"/\S*[^/\s]", "a folder: it has to begin with a slash and not end with one")]


RelativePath = Annotated[
    StrictStr, form(r"(?!/)(?!\.\.(/|$))(?!.*/\.\.(/|$))\S+", "a folder inside a release (write it like static/assets)")
]


UserName = Annotated[StrictStr, form(r"[a-z_][a-z0-9_-]*", "the name of a user")]
