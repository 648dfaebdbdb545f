"""The token tree against brute force over sets of prefixes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuneward.engine.tree import build_tree

few_tokens = st.integers(0, 2)
sequences = st.lists(st.lists(few_tokens, min_size=1, max_size=6), min_size=1, max_size=8)
"""Three tokens only, so that shared beginnings, duplicates and prefixes of each other are common."""


def distinct_prefixes(rows: list[list[int]]) -> set[tuple[int, ...]]:
    return {tuple(row[:end]) for row in rows for end in range(1, len(row) + 1)}


def prefix_of_node(rows: list[list[int]]) -> dict[int, tuple[int, ...]]:
    """The prefix each node stands for, read off the paths."""
    tree = build_tree(rows)
    return {
        int(node): tuple(row[: depth + 1])
        for row, path in zip(rows, tree.paths, strict=True)
        for depth, node in enumerate(path)
    }


@settings(deadline=None)
@given(sequences)
def test_every_sequence_is_read_back_along_its_path(rows: list[list[int]]) -> None:
    tree = build_tree(rows)
    assert [tree.tokens[path].tolist() for path in tree.paths] == rows


@settings(deadline=None)
@given(sequences)
def test_there_is_one_node_for_each_distinct_prefix(rows: list[list[int]]) -> None:
    prefixes = prefix_of_node(rows)
    assert len(build_tree(rows)) == len(distinct_prefixes(rows))
    assert sorted(prefixes) == list(range(len(prefixes)))
    assert set(prefixes.values()) == distinct_prefixes(rows)


@settings(deadline=None)
@given(sequences)
def test_the_subtree_interval_holds_exactly_a_node_and_its_descendants(rows: list[list[int]]) -> None:
    tree, prefixes = build_tree(rows), prefix_of_node(rows)
    for i, mine in prefixes.items():
        for j, other in prefixes.items():
            is_ancestor_or_self = mine[: len(other)] == other
            assert (j <= i < tree.subtree_end[j]) == is_ancestor_or_self


@settings(deadline=None)
@given(sequences)
def test_ancestors_are_the_shorter_prefixes_root_first(rows: list[list[int]]) -> None:
    tree, prefixes = build_tree(rows), prefix_of_node(rows)
    for node, prefix in prefixes.items():
        expected = [prefix[:end] for end in range(1, len(prefix))]
        assert [prefixes[int(ancestor)] for ancestor in tree.ancestors(node)] == expected


@settings(deadline=None)
@given(sequences)
def test_positions_are_depths_and_owners_pass_through_their_nodes(rows: list[list[int]]) -> None:
    tree, prefixes = build_tree(rows), prefix_of_node(rows)
    for node, prefix in prefixes.items():
        assert tree.positions[node] == len(prefix) - 1
        assert tuple(rows[tree.owner[node]][: len(prefix)]) == prefix


def test_duplicates_share_one_path() -> None:
    tree = build_tree([(4, 5, 6), (4, 5, 6), (4, 5, 6)])
    assert len(tree) == 3
    assert [path.tolist() for path in tree.paths] == [[0, 1, 2]] * 3


def test_a_prefix_given_after_its_extension_keeps_the_extension_below_it() -> None:
    tree = build_tree([(1, 2, 3), (1,), (1, 2), (1, 4)])
    assert [path.tolist() for path in tree.paths] == [[0, 1, 2], [0], [0, 1], [0, 3]]
    assert tree.subtree_end.tolist() == [4, 3, 3, 4]


def test_no_sequences_make_an_empty_tree() -> None:
    tree = build_tree([])
    assert (len(tree), tree.paths, tree.tokens.dtype) == (0, (), np.dtype(np.int64))


def test_an_empty_sequence_is_refused() -> None:
    with pytest.raises(ValueError, match="no tokens"):
        build_tree([(1, 2), ()])
