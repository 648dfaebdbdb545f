"""Keys and values of rows of different lengths, without gathering and almost without holes.

Rows lie on shelves by size: a shelf's slots hold 64, 128, 256, … tokens. Rows of a shelf fill its slots from the
first without holes, so that one batched product serves them all and at most half of what it reads is unused. A row
that outgrows its shelf is copied to the next: over its whole life that is fewer tokens than it has.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping

from torch import Tensor

SMALLEST = 64
"""Tokens of the smallest slot."""

Saved = Mapping[int, tuple[Tensor, Tensor]]
"""Per layer, keys and values of one row's beginning: [key heads, tokens, size] each."""


class Shelf:
    """Slots of one size."""

    def __init__(self, tokens: int):
        self.tokens = tokens
        """Tokens of one slot."""
        self.rows: list[Hashable] = []
        """The row in each slot."""
        self.slots = 0
        """Slots there is memory for."""
        self._layers: dict[int, tuple[Tensor, Tensor]] = {}

    @property
    def layers(self) -> Mapping[int, tuple[Tensor, Tensor]]:
        """Per layer, keys and values [slots, key heads, tokens, size]."""
        return self._layers

    def layer(self, number: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values of a layer; made like k and v [key heads, n, size] when the layer is met first."""
        if number not in self._layers:
            # Zeros: what nobody sees is multiplied by 0, and must not be NaN.
            self._layers[number] = (
                k.new_zeros(self.slots, k.shape[0], self.tokens, k.shape[2]),
                v.new_zeros(self.slots, v.shape[0], self.tokens, v.shape[2]),
            )
        return self._layers[number]

    def resize(self, slots: int) -> None:
        """Change the number of slots; those of rows stay as they are."""
        kept = min(slots, self.slots)
        for number, stores in self._layers.items():
            resized = []
            for store in stores:
                new = store.new_zeros(slots, *store.shape[1:])
                new[:kept] = store[:kept]
                resized.append(new)
            self._layers[number] = (resized[0], resized[1])
        self.slots = slots


class KeyValuePool:
    """Room for keys and values.

    Args:
        tokens: most tokens that slots may hold together, used or not.
        longest: most tokens of one row.
    """

    def __init__(self, tokens: int, longest: int):
        if longest > tokens:
            raise ValueError(f"a pool of {tokens} tokens cannot hold a row of {longest}")
        sizes = [SMALLEST]
        while sizes[-1] < longest:
            sizes.append(2 * sizes[-1])
        sizes[-1] = longest
        self._limit = tokens
        self.shelves = [Shelf(size) for size in sizes]
        self._place: dict[Hashable, tuple[Shelf, int]] = {}

    @property
    def reserved(self) -> int:
        """Tokens in the slots of rows."""
        return sum(len(shelf.rows) * shelf.tokens for shelf in self.shelves)

    @property
    def allocated(self) -> int:
        """Tokens in all slots there is memory for."""
        return sum(shelf.slots * shelf.tokens for shelf in self.shelves)

    def place(self, row: Hashable) -> tuple[Shelf, int]:
        """Shelf and slot of a row."""
        return self._place[row]

    def seat(self, row: Hashable, tokens: int) -> bool:
        """Give a row, new or known, a slot of at least so many tokens; False, and no change, when there is no room."""
        shelf = next(shelf for shelf in self.shelves if shelf.tokens >= tokens)
        before = self._place.get(row)
        if before is not None and before[0].tokens >= shelf.tokens:
            return True
        freed = 0 if before is None else before[0].tokens
        # While it is copied a row is in both places; the limit holds before and after.
        if self.reserved - freed + shelf.tokens > self._limit:
            return False
        self._make_slot(shelf)
        shelf.rows.append(row)
        if before is not None:
            saved = {number: (k[before[1]], v[before[1]]) for number, (k, v) in before[0].layers.items()}
            self._write(shelf, len(shelf.rows) - 1, saved, before[0].tokens)
            self.free(row)
            if self.allocated > self._limit:
                before[0].resize(len(before[0].rows))
        self._place[row] = shelf, len(shelf.rows) - 1
        return True

    def free(self, row: Hashable) -> None:
        """Give up a row's slot; the shelf's last row takes it."""
        shelf, slot = self._place.pop(row)
        last = shelf.rows.pop()
        if slot == len(shelf.rows):
            return
        for stores in shelf.layers.values():
            for store in stores:
                store[slot] = store[len(shelf.rows)]
        shelf.rows[slot] = last
        self._place[last] = shelf, slot

    def save(self, row: Hashable, tokens: int) -> Saved:
        """Copies of a row's first tokens."""
        shelf, slot = self._place[row]
        return {
            number: (k[slot, :, :tokens].clone(), v[slot, :, :tokens].clone())
            for number, (k, v) in shelf.layers.items()
        }

    def view(self, row: Hashable) -> Saved:
        """A row's slot itself, for `fill`; it stays true until rows change places."""
        shelf, slot = self._place[row]
        return {number: (k[slot], v[slot]) for number, (k, v) in shelf.layers.items()}

    def fill(self, row: Hashable, saved: Saved, tokens: int) -> None:
        """Copy the first tokens of what another row has, or had, into a row's slot."""
        self._write(*self._place[row], saved, tokens)

    def _write(self, shelf: Shelf, slot: int, saved: Saved, tokens: int) -> None:
        for number, (keys, values) in saved.items():
            own_keys, own_values = shelf.layer(number, keys, values)
            own_keys[slot, :, :tokens] = keys[:, :tokens]
            own_values[slot, :, :tokens] = values[:, :tokens]

    def _make_slot(self, shelf: Shelf) -> None:
        """Have a free slot at the end of a shelf, with spare ones where the limit leaves room."""
        if len(shelf.rows) < shelf.slots:
            return
        wanted = shelf.slots + max(1, shelf.slots // 2)
        if self.allocated + (wanted - shelf.slots) * shelf.tokens > self._limit:
            wanted = shelf.slots + 1
        if self.allocated + shelf.tokens > self._limit:
            for other in self.shelves:
                if other.slots > len(other.rows):
                    other.resize(len(other.rows))
        shelf.resize(wanted)
