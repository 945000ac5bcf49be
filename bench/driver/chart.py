"""The results as a bar chart in SVG, drawn here so that nothing needs to be installed."""

from xml.sax.saxutils import escape

WIDTH = 860
LEFT = 330
BAR = 14
ROW = 40
TOP = 70
OURS = "#1f6feb"
THEIRS = "#8c959f"


def _value(value):
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _text(x, y, text, size=12, anchor="start", weight="normal", colour="currentColor"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" '
            f'font-weight="{weight}" fill="{colour}">{escape(text)}</text>')


def _bar(y, share, colour):
    length = max(1.0, share * (WIDTH - LEFT - 150))
    return length, (f'<rect x="{LEFT}" y="{y:.1f}" width="{length:.1f}" height="{BAR}" rx="2" '
                    f'fill="{colour}"/>')


def _row(row, y):
    """Two bars, each row on its own scale: the ratio is what can be compared between rows."""
    ours, theirs = row["ours"]["median"], row["theirs"]["median"]
    largest = max(ours, theirs)
    parts = [_text(LEFT - 10, y + 18, row["title"], anchor="end")]
    for offset, value, colour in ((0, ours, OURS), (BAR + 2, theirs, THEIRS)):
        length, rectangle = _bar(y + offset, value / largest, colour)
        parts.append(rectangle)
        label = f'{_value(value)} {row["unit"]}'
        parts.append(_text(LEFT + length + 6, y + offset + 11, label, size=11))
    ratio = f'{row["ratio"]["median"]:.2f}x'
    parts.append(_text(WIDTH - 10, y + 20, ratio, size=14, anchor="end", weight="bold"))
    return parts


def draw(document):
    """SVG text of the rows that have both sides: those with goals, where there are any."""
    both = [row for row in document["rows"] if "ratio" in row]
    rows = [row for row in both if row.get("commit") or row.get("bound")] or both
    height = TOP + ROW * len(rows) + 20
    machine = document["machine"]
    subtitle = (f'{machine["processor"]}, {document["threads"]} threads; medians of interleaved '
                f'pairs; ratio over {document["peer"]} on the right')
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        'font-family="system-ui, sans-serif" color="#24292f">',
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        _text(10, 24, "Inferneo and llama.cpp on the same model file", 16, weight="bold"),
        _text(10, 44, subtitle, 11),
        f'<rect x="10" y="52" width="10" height="10" fill="{OURS}"/>', _text(24, 61, "Inferneo", 11),
        f'<rect x="90" y="52" width="10" height="10" fill="{THEIRS}"/>',
        _text(104, 61, "llama.cpp", 11),
    ]
    for index, row in enumerate(rows):
        parts += _row(row, TOP + 8 + index * ROW)
    parts.append("</svg>")
    return "\n".join(parts) + "\n"
