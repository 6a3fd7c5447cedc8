"""Finds regular expressions for which Python's backtracking engine may need exponential time.

In the automaton of a pattern, two edges for the same character are two ways that the engine tries. It may need
exponential time if, from a state that it can return to, the same text can be read in two ways (their number doubles in
each round), or if one short text can be read in very many ways (`a?a?a?...`, `.*.*.*.*`).
"""

from __future__ import annotations

from itertools import combinations, product

from bluestar_store.checks.pattern_automaton import Automaton, Edges, TooLargeError

MOST_STEPS, MOST_PAIRS, MOST_SETS = 200_000, 1_000_000, 400
"""Of the search for ways, of edges that are compared, of sets of characters; if it takes more, the answer is: may."""
TEXT_LENGTH, MOST_WAYS = 200, 1_000_000
"""Four repeats in a row (`.*.*.*.*`) have more ways than that for a text of that length, three have 20,000."""


def may_hang(pattern: str) -> bool:
    """Whether a text may keep Python's engine busy for ever, if the pattern matches it nearly and not in the end.

    Raises what compiling the pattern raises.
    """
    try:
        edges = Automaton(pattern).edges
        loops = _loops(edges)
        inner = [[one for one in out if loops[state] == loops[one[0]] != 0] for state, out in enumerate(edges)]
        return _two_ways(inner) or _many_ways(edges)
    except (TooLargeError, RecursionError):
        return True


def _two_ways(edges: Edges) -> bool:
    """Whether there are two ways from one state to one state over the same text.

    Within a loop there is a way on to where they parted, so each time makes twice as many.
    """
    pairs = {_pair(one, other) for out in edges for one, other in combinations(out, 2) if one[1] & other[1]}
    found, steps = list(pairs), 0
    while found:
        left, right = found.pop()
        if left == right:
            return True
        steps += len(edges[left]) * len(edges[right])
        if steps > MOST_PAIRS:
            raise TooLargeError
        new = {_pair(one, other) for one, other in product(edges[left], edges[right]) if one[1] & other[1]} - pairs
        pairs |= new
        found += new
    return False


def _pair(one: tuple[int, int], other: tuple[int, int]) -> tuple[int, int]:
    return (one[0], other[0]) if one[0] < other[0] else (other[0], one[0])


def _loops(edges: Edges) -> list[int]:
    """The number of each state's loop (its strongly connected component), or 0 if nothing leads back to it."""
    before: list[list[int]] = [[] for _ in edges]
    for state, out in enumerate(edges):
        for to, _ in out:
            before[to].append(state)
    done: list[int] = []
    seen = [False] * len(edges)
    for start in range(len(edges)):
        stack = [(start, False)]
        while stack:
            state, left = stack.pop()
            if left:
                done.append(state)
            elif not seen[state]:
                seen[state] = True
                stack += [(state, True), *((to, False) for to, _ in edges[state])]
    loops = [-1] * len(edges)
    for number, start in enumerate(reversed(done), 1):
        members = [start] if loops[start] < 0 else []
        for state in members:
            if loops[state] < 0:
                loops[state] = number
                members += [one for one in before[state] if loops[one] < 0]
        if len(set(members)) == 1 and start not in before[start]:
            loops[start] = 0
    return loops


def _many_ways(edges: Edges) -> bool:
    """Whether a short text was found that can be read in very many ways from some state on.

    Tried are texts of one character over and over; then, unless none can have as many, those that had most ways so far.
    """
    choices = 0
    for out in edges:
        for (_, mask), (_, other) in combinations(out, 2):
            choices |= mask & other
    masks = {mask for out in edges for _, mask in out}
    if not choices:
        return False
    if len(masks) > MOST_SETS:
        raise TooLargeError
    kinds = _kinds(masks)
    arcs = [
        [(state, to) for state, out in enumerate(edges) if (to := [one for one, mask in out if mask & kind])]
        for kind in kinds
    ]
    ends, cost = dict.fromkeys(range(len(edges)), 1), 0
    for kind, steps in zip(kinds, arcs, strict=True):
        ways = ends if kind & choices else {}
        for _ in range(TEXT_LENGTH):
            ways, before = _longer(ways, steps), ways
            if max(ways.values(), default=0) > MOST_WAYS:
                return True
            cost += len(steps)
            if ways == before:
                break
        if cost > MOST_STEPS:
            raise TooLargeError
    if _at_most(arcs, len(edges)) <= MOST_WAYS or not _two_ways(edges):
        return False
    best, cost = [ends], 0
    for _ in range(TEXT_LENGTH):
        found = {tuple(ways.items()): ways for text in best for steps in arcs if (ways := _longer(text, steps))}
        best = sorted(found.values(), key=lambda ways: (max(ways.values()), sum(ways.values())), reverse=True)[:4]
        if any(max(ways.values()) > MOST_WAYS for ways in best):
            return True
        cost += len(best) * sum(map(len, arcs))
        if cost > 2 * MOST_STEPS:
            raise TooLargeError
    return False


def _at_most(arcs: list[list[tuple[int, list[int]]]], states: int) -> int:
    """No text has more ways than this: what it would be if each state could choose the next character for itself."""
    choices: list[list[list[int]]] = [[] for _ in range(states)]
    for state, to in (arc for steps in arcs for arc in steps):
        choices[state].append(to)
    ways, cost = [1] * states, 0
    for _ in range(TEXT_LENGTH):
        before = list(ways)
        for state in reversed(range(states)):
            ways[state] = max((sum([ways[one] for one in to]) for to in choices[state]), default=1)
        cost += sum(map(len, arcs))
        if ways == before or cost > MOST_STEPS or max(ways) > MOST_WAYS:
            break
    return max(ways) if ways == before or cost <= MOST_STEPS else MOST_WAYS + 1


def _longer(ways: dict[int, int], steps: list[tuple[int, list[int]]]) -> dict[int, int]:
    """In how many ways a text can be read from each state, if one character is put before it."""
    return {state: count for state, to in steps if (count := sum(ways.get(one, 0) for one in to))}


def _kinds(masks: set[int]) -> list[int]:
    """Sets of characters between which none of the masks makes a difference."""
    kinds = [-1]
    for mask in masks:
        kinds = [part for kind in kinds for part in (kind & mask, kind & ~mask) if part]
    return [kind for kind in kinds if kind > 0]
