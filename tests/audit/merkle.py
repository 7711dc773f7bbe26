"""RFC 6962 trees: hashes and inclusion proofs, verified as RFC 9162, section 2.1.3.2, says."""
from keys import sha256

EMPTY_ROOT = sha256()


def leaf_hash(data):
    return sha256(b'\0', data)


def node_hash(left, right):
    return sha256(b'\1', left, right)


def root_of(leaves):
    """The tree hash over all leaves' data."""
    if not leaves:
        return EMPTY_ROOT
    if len(leaves) == 1:
        return leaf_hash(leaves[0])
    split = 1 << ((len(leaves) - 1).bit_length() - 1)
    return node_hash(root_of(leaves[:split]), root_of(leaves[split:]))


def included(data, index, path, size, root):
    """Whether `path` proves that leaf `index` of the tree of `size` leaves with this root is `data`."""
    if not 0 <= index < size or size > 1 << 63:
        return False
    node, last, value = index, size - 1, leaf_hash(data)
    for sibling in path:
        if last == 0:
            return False
        if node & 1 or node == last:
            value = node_hash(sibling, value)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            value = node_hash(value, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and value == root
