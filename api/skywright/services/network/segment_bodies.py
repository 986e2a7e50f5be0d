"""Ranges of segment ids in request bodies."""

from typing import Annotated

from pydantic import Field

from skywright.http.bodies import Omittable, Strict
from skywright.services.network.schemas import Id, Owned, Text

SegmentId = Annotated[int, Field(ge=1, lt=1 << 31)]


class SegmentRangeUpdate(Strict):
    name: Text = ""
    description: Text = ""
    minimum: Omittable[SegmentId] = None
    maximum: Omittable[SegmentId] = None


class SegmentRangeCreate(SegmentRangeUpdate, Owned):
    network_type: Text
    physical_network: Omittable[Annotated[Id, Field(min_length=1)]] = None
    minimum: SegmentId
    maximum: SegmentId
    shared: bool = True
