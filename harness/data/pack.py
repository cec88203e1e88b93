"""From event logs to a packed store, once per content, in steps; where a process is killed, the next one goes on.

1. *read*: the files, in parts, become pieces: validated rows and the ids in them (`pieces`)
2. *number*: DuckDB gives every user, item and event type its number (`numbering`)
3. *encode*: the rows of each piece get these numbers and are dealt to shards, ranges of users (`arrays`)
4. *sort*: each shard becomes arrays, and the shards one after another are those of the log (`arrays`)

Pieces and shards are cut to the memory that there is and done several at once, in threads or as Ray tasks; a small log
is one of each. What is packed does not depend on how it was cut.
"""

from __future__ import annotations

from dataclasses import replace

from harness.data.build import build
from harness.data.disk import full_disk_explained, locked, publish, scratch
from harness.data.engine import Budget
from harness.data.errors import DataError
from harness.data.find import Plan, Request, plan, request
from harness.data.nodes import nodes_of
from harness.data.settings import DataSettings
from harness.data.shelf import Local, Shelf, shelf
from harness.data.sources import Source, find_sources
from harness.data.steps import Progress, Steps
from harness.data.store import Store
from harness.data.tally import check_limit
from harness.data.work import kept


def prepare(settings: DataSettings, progress: Progress | None = None) -> Store:
    """Read, validate and pack the events, or find them packed (`Store.reused`).

    Files that are new beside those of a store are appended to it (`data.append`): only they are read, and users, items
    and event types that it knows keep their numbers. `progress` receives lines for a person.

    Raises `DataError` for wrong input and `OSError` when the machine fails, for instance with `ENOSPC` on a full disk;
    nothing is left then. A process that is killed leaves what it has finished, and the next one goes on with it.
    """
    say: Progress = progress or (lambda _: None)
    sources = find_sources(settings.event_locations)
    items = find_sources([settings.items]) if settings.items else []
    if len(items) > 1:
        raise DataError(
            f"`data.items` must name one file, but `{settings.items}` names {len(items)}. Name one of them."
        )
    place = shelf(settings.store)
    root, stores = place.root, place.stores()
    asked = request(settings, sources, items, stores)
    to_do = plan(asked, stores, settings.append, place.whole)
    name = to_do.fingerprint[:24]
    if found := _find(place, name, to_do.fingerprint, settings, say):
        return found
    with full_disk_explained(root), locked(root, name):
        # Another process may have packed it while this one waited for the lock.
        found = _find(Local(root), name, to_do.fingerprint, settings, say)
        if found is None:
            budget = Budget.of(settings)
            sizes = {"piece": budget.piece_rows, "shard": budget.shard_rows}
            with kept(root, name, sizes) as (folder, sizes), scratch(root, name) as made_in:
                made, nodes = made_in / "made", nodes_of(settings, folder, to_do.parent)
                steps = Steps(settings, folder, budget, sizes, say, nodes)
                build(steps, asked, to_do, _unread(sources, asked, to_do), items[0] if items else None, made)
                publish(made, root / name, made_in)
                if nodes:
                    nodes.close()
    store = place.add(name)
    if found is not None:
        return replace(store, reused=True)
    say(f"Packed {store.counts.events:,} events of {store.counts.users:,} users into `{store.where}`.")
    return store


def _unread(sources: list[Source], asked: Request, to_do: Plan) -> list[Source]:
    """The files that the parent does not have, each content as often as it is new."""
    if to_do.parent is None:
        return sources
    had = list(to_do.parent[1].events)
    unread = []
    for source, content in zip(sources, asked.events, strict=True):
        if content in had:
            had.remove(content)
        else:
            unread.append(source)
    return unread


def _find(place: Shelf, name: str, fingerprint: str, settings: DataSettings, say: Progress) -> Store | None:
    if not place.has(name):
        return None
    try:
        store = place.open(name)
        if store.fingerprint != fingerprint:
            raise DataError(
                f"A store must be of its input, but `{store.where}` is of another. Run `lethe prepare`."
            )
    except DataError as error:
        say(f"{error} Packing again.")
        return None
    counts = store.counts
    # The limit may be lower now than when the store was packed.
    see = f"see `{store.rejected_file}`"
    check_limit(settings, counts.rejected, counts.rows, "events", see)
    check_limit(settings, counts.item_rows_rejected, counts.item_rows, "items", see)
    say(f"Found {counts.events:,} events of {counts.users:,} users packed in `{store.where}`: nothing to do.")
    return replace(store, reused=True)
