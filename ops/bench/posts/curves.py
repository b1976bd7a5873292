"""Draws the online run: errors in every 500 posts of each corpus, of the base alone and with what was learned.

Reads what `waxseal spam evaluate --online --json` prints on standard input, writes an SVG to standard output.
"""

import html
import json
import sys

WIDTH, HEIGHT, COLUMNS, LEFT, TOP = 260, 150, 3, 34, 26


def panel(name, steps, number):
    """One corpus: a line for the base, a line with learning; the last step may be shorter and is scaled to 500."""
    before = 0
    lines = {"errors_of_base": [], "errors": []}
    for step in steps:
        size = step["posts"] - before
        before = step["posts"]
        for key, points in lines.items():
            points.append((step["posts"], step[key] * 500 / max(size, 1)))
    most = max([errors for points in lines.values() for _, errors in points] + [10])
    last = max(steps[-1]["posts"], 1)
    x0, y0 = number % COLUMNS * (WIDTH + LEFT) + LEFT, number // COLUMNS * (HEIGHT + 3 * TOP) + TOP
    out = [
        f'<g transform="translate({x0} {y0})"><text y="-8" font-weight="bold">{html.escape(name)}</text>'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="#888"/>'
        f'<text x="-4" y="10" text-anchor="end">{most:.0f}</text><text x="-4" y="{HEIGHT}" text-anchor="end">0</text>'
        f'<text x="{WIDTH}" y="{HEIGHT + 14}" text-anchor="end">{last:,} posts, {steps[-1]["decisions"]} decisions</text>'
    ]
    for key, colour in (("errors_of_base", "#888"), ("errors", "#0a58ca")):
        points = " ".join(f"{x / last * WIDTH:.1f},{HEIGHT - y / most * HEIGHT:.1f}" for x, y in lines[key])
        dots = "".join(
            f'<circle cx="{x / last * WIDTH:.1f}" cy="{HEIGHT - y / most * HEIGHT:.1f}" r="2"/>' for x, y in lines[key]
        )
        out.append(f'<polyline points="{points}" fill="none" stroke="{colour}"/><g fill="{colour}">{dots}</g>')
    return "".join(out) + "</g>"


def main():
    corpora = {}
    for step in json.load(sys.stdin):
        corpora.setdefault(step["corpus"], []).append(step)
    rows = (len(corpora) + COLUMNS - 1) // COLUMNS
    panels = "".join(panel(name, steps, number) for number, (name, steps) in enumerate(corpora.items()))
    width, height = COLUMNS * (WIDTH + LEFT) + 10, rows * (HEIGHT + 3 * TOP) + TOP
    print(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="11">'
        f'<rect width="{width}" height="{height}" fill="white"/>{panels}'
        f'<text x="{LEFT}" y="{height - 8}">errors in 500 posts: <tspan fill="#888">the base alone</tspan>, '
        '<tspan fill="#0a58ca">with what the moderators taught</tspan></text></svg>'
    )


if __name__ == "__main__":
    main()
