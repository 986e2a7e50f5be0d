"""HTTP to receivers that users chose: to no address that they could not reach themselves, and with a time limit.

The name is resolved once, its address is checked, and the connection uses this address, so that a second answer of the
name server has no effect. Redirects are not followed, and only the status of the response is read.
"""

import asyncio
import socket
import ssl
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from functools import cache

import httpx

from skywright.jobs.webhooks.addresses import PORTS, Network, permitted

LIMIT_SECONDS = 10.0


class Refused(Exception):
    """The address is not allowed, or cannot be found."""


async def send(
    url: str, headers: Mapping[str, str], body: str, networks: Sequence[Network], resolver: Executor
) -> tuple[int | None, str | None]:
    """POST *body*; return the status, and the reason if it was not successful."""
    try:
        async with asyncio.timeout(LIMIT_SECONDS):
            status = await _post(httpx.URL(url), headers, body, networks, resolver)
    except TimeoutError:
        return None, f"There was no answer within {LIMIT_SECONDS:.0f} s"
    except Refused as error:
        return None, str(error)
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        return None, f"{type(error).__name__}: {error}"
    return status, None if 200 <= status < 300 else f"The receiver answered {status}"


async def _post(
    url: httpx.URL, headers: Mapping[str, str], body: str, networks: Sequence[Network], resolver: Executor
) -> int:
    address = await _address(url, networks, resolver)
    named = {**headers, "Host": url.netloc.decode("ascii")}
    # No settings of the environment, such as proxies. The certificate is verified for the name, not for the address.
    async with httpx.AsyncClient(verify=_trust(), trust_env=False, timeout=LIMIT_SECONDS) as client:
        request = client.build_request("POST", url.copy_with(host=address), headers=named, content=body.encode())
        request.extensions["sni_hostname"] = url.raw_host.decode("ascii")
        response = await client.send(request, stream=True)
        await response.aclose()
        return response.status_code


async def _address(url: httpx.URL, networks: Sequence[Network], resolver: Executor) -> str:
    host, port = url.raw_host.decode("ascii"), url.port or PORTS.get(url.scheme)
    if not host or port is None or not 0 < port < 1 << 16:
        raise Refused("The URL is not one of HTTP")
    try:
        found = await asyncio.get_running_loop().run_in_executor(
            resolver, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        )
    except (OSError, UnicodeError) as error:
        raise Refused(f"{host} has no address: {error}") from error
    for *_, destination in found:
        if permitted(str(destination[0]), networks):
            return str(destination[0])
    raise Refused(f"{host} is not a public address")


@cache
def _trust() -> ssl.SSLContext:
    """Return the machine's CA certificates, including those that an operator added."""
    return ssl.create_default_context()
