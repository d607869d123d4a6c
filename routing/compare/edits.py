"""How many characters must be inserted, deleted or replaced to make one text of another.

The Levenshtein distance by Myers' bit-parallel algorithm ("A fast bit-vector algorithm for
approximate string matching based on dynamic programming", J. ACM 46(3), 1999) in Hyyrö's form
("Explaining and extending the bit-parallel approximate string matching algorithm of Myers", 2001):
a column of the table is two integers of one bit a row, and Python's integers are as long as needed.
"""

# The work of two texts of 10,000 characters without common ends, which takes 40 ms.
MOST_WORK = 125_000_000
_COLUMN = 2500  # rows that cost as much as a column does whatever its length


def edits(a: str, b: str) -> int:
    """The Levenshtein distance in characters; takes as long as `work` says."""
    if not a or not b:
        return max(len(a), len(b))
    return _distance(a, b) if len(a) >= len(b) else _distance(b, a)


def work(a: str, b: str) -> int:
    """What counting the edits costs, as the number of table cells that take as long."""
    return min(len(a), len(b)) * (max(len(a), len(b)) + _COLUMN)


def common_prefix(a: str, b: str) -> int:
    """Its length, by bisection: comparing slices is quicker than characters."""
    low, high = 0, min(len(a), len(b))
    while low < high:
        middle = (low + high + 1) // 2
        if a[low:middle] == b[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def without_common_ends(a: str, b: str) -> tuple[str, str]:
    """Both without their common beginning and end, which hold no edits."""
    start = common_prefix(a, b)
    a, b = a[start:], b[start:]
    end = common_prefix(a[::-1], b[::-1])
    return a[: len(a) - end], b[: len(b) - end]


def _distance(rows: str, columns: str) -> int:
    """Neither is empty; a column takes a few operations on integers of `len(rows)` bits."""
    where: dict[str, int] = {}
    bit = 1
    for character in rows:
        where[character] = where.get(character, 0) | bit
        bit <<= 1
    everywhere = bit - 1
    last = bit >> 1
    up, down = everywhere, 0  # vertical differences of +1 and of -1
    score = len(rows)
    for character in columns:
        equal = where.get(character, 0)
        zero = (((equal & up) + up) ^ up) | equal | down
        right = down | (everywhere & ~(zero | up))
        left = up & zero
        if right & last:
            score += 1
        elif left & last:
            score -= 1
        right = (right << 1) | 1
        left <<= 1
        up = everywhere & (left | ~(zero | right))
        down = right & zero
    return score
