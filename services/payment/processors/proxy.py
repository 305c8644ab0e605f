"""The way out that the environment names (`HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`), read once.

aiohttp would read it again for every request, in a thread of its own, and a password file besides.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, field
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from yarl import URL


@dataclass(frozen=True, kw_only=True, slots=True)
class Way:
    """`proxy` None: straight there."""

    proxy: URL | None = None
    opening: dict[str, str] | None = None
    """The proxy's login, shown to it alone as it opens a tunnel (https)."""
    each: dict[str, str] = field(default_factory=dict)
    """The same, in each request that a proxy passes on (http)."""


@dataclass(frozen=True)
class Ways:
    """The way to each host, as it was when it was first asked for."""

    _known: dict[tuple[str, str], Way] = field(default_factory=dict)

    def to(self, url: str) -> Way:
        parts = urlsplit(url)
        origin = (parts.scheme, parts.netloc)
        found = self._known.get(origin)
        if found is None:
            found = self._known[origin] = way(parts.scheme, parts.hostname or "")
        return found


def way(scheme: str, host: str) -> Way:
    """As the environment has it now."""
    named = getproxies().get(scheme)
    if not named or proxy_bypass(host):
        return Way()
    proxy = URL(named)
    if proxy.user is None:
        return Way(proxy=proxy)
    login = b64encode(f"{proxy.user}:{proxy.password or ''}".encode()).decode()
    shown = {"Proxy-Authorization": f"Basic {login}"}
    proxy = proxy.with_user(None)
    if scheme == "https":
        return Way(proxy=proxy, opening=shown)
    return Way(proxy=proxy, each=shown)
