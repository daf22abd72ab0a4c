"""Which part of a transformers model goes to which device, by the plan's count of layers.

Said module by module, since accelerate's own division keeps room for one more layer on the first
card, and transformers keeps a tenth of every card under bitsandbytes: layers that the plan has
placed would end up on the disk. Every decoder that the planner knows has these names; a test
builds each of them and looks.
"""

from __future__ import annotations

from collections.abc import Sequence

CPU = "cpu"


def device_map(on_cards: Sequence[int], *, layers: int, tied: bool) -> dict[str, int | str]:
    """Return the map that transformers loads by: names of modules to cards by number.

    ``on_cards`` counts the layers of each card. What is left waits in main memory and is brought
    to a card when it is its turn. The table of words stands before the first layer, and the
    output behind the last one, unless both are one matrix (``tied``).
    """
    used = [place for place, count in enumerate(on_cards) if count]
    order: list[int | str] = [place for place in used for _ in range(on_cards[place])]
    if len(used) == 1 and len(order) == layers:
        return {"": used[0]}
    order += [CPU] * (layers - len(order))
    first, last = used[0], used[-1]
    placed: dict[str, int | str] = {"model.embed_tokens": first, "model.rotary_emb": first}
    placed |= {f"model.layers.{number}": place for number, place in enumerate(order)}
    return placed | {"model.norm": last, "lm_head": first if tied else last}
