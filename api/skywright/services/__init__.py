"""The services. A new one is a folder here and an entry in this list."""

from skywright.http.service import Service
from skywright.services.compute import SERVICE as compute
from skywright.services.identity import SERVICE as identity
from skywright.services.image import SERVICE as image
from skywright.services.native import SERVICE as native
from skywright.services.network import SERVICE as network

SERVICES: list[Service] = [identity, image, compute, network, native]
