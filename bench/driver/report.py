"""The results as a table and as JSON."""


def _number(value):
    if value is None:
        return "-"
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.3g}"


def _ratio(result):
    ratio = result.get("ratio")
    if not ratio:
        return "-"
    return f"{ratio['median']:.2f} ({ratio['p20']:.2f}-{ratio['p80']:.2f})"


def _goal(row):
    if row.bound is not None:
        return f"<= {row.bound:g}"
    if row.commit is None:
        return ""
    return f"{row.commit:g} / {row.aim:g}"


def verdict(row, result):
    """"aim", "commit", "short" or "" when there is nothing to judge by."""
    if row.bound is not None:
        return "commit" if result["ours"]["median"] <= row.bound else "short"
    if row.commit is None or "ratio" not in result:
        return ""
    median = result["ratio"]["median"]
    return "aim" if median >= row.aim else "commit" if median >= row.commit else "short"


def _share(result, side):
    share = result.get("shares", {}).get(side)
    return f"{100 * share['share']:.0f}% {share['ceiling']}" if share else ""


HEADER = ("measure", "ours", "peer", "unit", "ratio (20-80%)", "goal", "", "ours of", "peer of",
          "pairs")
WIDTHS = (48, 9, 9, 9, 19, 12, 7, 15, 15, 10)


def print_header():
    print("  ".join(text.ljust(width) for text, width in zip(HEADER, WIDTHS)).rstrip(), flush=True)


def print_row(row, result):
    pairs = str(result["pairs"]) + (" contended" if result["contended"] else "")
    theirs = result.get("theirs")
    columns = (row.title, _number(result["ours"]["median"]),
               _number(theirs["median"]) if theirs else "-", row.unit, _ratio(result), _goal(row),
               verdict(row, result), _share(result, "ours"), _share(result, "theirs"), pairs)
    print("  ".join(text.ljust(width) for text, width in zip(columns, WIDTHS)).rstrip(), flush=True)


def record(row, result):
    """One row of the JSON output."""
    return {
        "id": row.id,
        "title": row.title,
        "unit": row.unit,
        "lower_is_better": row.lower_is_better,
        "commit": row.commit,
        "aim": row.aim,
        "bound": row.bound,
        "verdict": verdict(row, result),
        **result,
    }
