"""Percentiles of a few samples, and ratios of pairs."""


def percentile(samples, share):
    """Nearest-rank percentile; None without samples."""
    if not samples:
        return None
    ordered = sorted(samples)
    rank = max(1, -(-int(share * 1000 * len(ordered)) // 1000))
    return ordered[min(rank, len(ordered)) - 1]


def median(samples):
    if not samples:
        return None
    ordered = sorted(samples)
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[middle]
    return (ordered[middle - 1] + ordered[middle]) / 2


def spread(samples):
    """Median with the 20th and 80th percentile."""
    return {
        "median": median(samples),
        "p20": percentile(samples, 0.2),
        "p80": percentile(samples, 0.8),
        "count": len(samples),
    }
