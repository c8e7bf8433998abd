"""What workers know about speed: how long a lane's share of an epoch takes, by device, configuration and size of the program."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import Engine, select

from nftlab.speeds import Speed
from nftlab.store.session import session
from nftlab.store.tables import speeds as _speeds


def remember(engine: Engine, device: str, cost_key: str, speeds: Sequence[Speed]) -> None:
    """Add what was seen or measured on a device (its name) of configurations with this `configuration.cost_key`, in one transaction.

    What was seen in training (epochs > 0) is merged: `seconds` weighted by epochs, extremes and peak kept. A measurement
    replaces the one before. Both are kept, side by side: sizes and ways were measured one after the other under equal
    conditions and can be compared, while what is seen tells what jobs cost, on days when others use the machine too.
    """
    # Always in one order: two workers that wrote the same rows in different orders would wait for each other.
    ordered = sorted(speeds, key=lambda speed: (speed.lanes, speed.way, speed.epochs > 0))
    rows = [asdict(speed) | {"device": device, "cost_key": cost_key, "seen": speed.epochs > 0} for speed in ordered]
    with session(engine) as talk:
        talk.tell("speed", rows)


def known(engine: Engine, device: str, cost_key: str) -> list[Speed]:
    """What is known of such configurations on such a device, by lanes and way, measured before seen; [] when nothing is."""
    columns = [_speeds.c[name] for name in Speed.__dataclass_fields__]
    mine = select(*columns).where(_speeds.c.device == device, _speeds.c.cost_key == cost_key)
    with engine.connect() as connection:
        return [Speed(**row._mapping) for row in connection.execute(mine.order_by(_speeds.c.lanes, _speeds.c.way, _speeds.c.seen))]
