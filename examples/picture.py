#!/usr/bin/env python3
"""Draws egress over time from what `flowtrail top` wrote.

    flowtrail top LOGS --by eni,hour --where class=external --limit 0 --format ndjson -o hours.ndjson
    python3 examples/picture.py hours.ndjson [eni-…] [-o picture.png]

Without an interface, the one whose busiest hour stands out most from its median. Needs duckdb; with -o also matplotlib.
Without -o the picture is text, so it works over a remote shell and reads aloud line by line.
"""

import argparse

import duckdb


def hours(connection, eni):
    """Bytes of each hour of the archive, also of those in which nothing was sent."""
    return connection.execute(
        """
        WITH span AS (SELECT unnest(generate_series(min(hour), max(hour), INTERVAL 1 HOUR)) AS hour FROM sent)
        SELECT span.hour, coalesce(sum(bytes), 0)::BIGINT AS bytes
        FROM span LEFT JOIN sent ON sent.hour = span.hour AND sent.eni = ?
        GROUP BY span.hour ORDER BY span.hour
        """,
        [eni],
    ).fetchall()


def most_striking(connection):
    row = connection.execute(
        "SELECT eni FROM sent GROUP BY eni ORDER BY max(bytes) / (median(bytes) + 1e6) DESC, eni LIMIT 1"
    ).fetchone()
    if row is None:
        raise SystemExit("no rows: was anything sent?")
    return row[0]


def as_text(eni, rows):
    """One line a day: its hours as blocks, its sum and its largest hour as numbers."""
    top = max(bytes_ for _, bytes_ in rows) or 1
    print(f"{eni}: bytes sent to the internet by hour; a full block is {top / 1e6:,.1f} MB")
    days = {}
    for hour, bytes_ in rows:
        days.setdefault(hour.date(), []).append(bytes_)
    for day, values in days.items():
        blocks = "".join(" ▁▂▃▄▅▆▇█"[-(-8 * v // top)] for v in values)
        print(f"{day}  {blocks:24}  {sum(values) / 1e6:10,.1f} MB, most in an hour {max(values) / 1e6:,.1f} MB")


def as_image(eni, rows, path):
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(10, 3.5))
    axes.fill_between([hour for hour, _ in rows], [bytes_ / 1e6 for _, bytes_ in rows], step="post")
    axes.set_ylabel("MB an hour")
    axes.set_title(f"{eni}: sent to the internet")
    figure.autofmt_xdate()
    figure.savefig(path, dpi=120, bbox_inches="tight")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("hours", help="what `flowtrail top --by eni,hour --format ndjson` wrote")
    parser.add_argument("eni", nargs="?")
    parser.add_argument("-o", "--output", help="a picture file (.png, .svg) instead of text")
    args = parser.parse_args()
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(
        "CREATE TABLE sent AS SELECT eni, hour::TIMESTAMP AS hour, bytes::HUGEINT AS bytes "
        "FROM read_json(?, format = 'newline_delimited', columns = {eni: 'VARCHAR', hour: 'VARCHAR', bytes: 'VARCHAR'})",
        [args.hours],
    )
    eni = args.eni or most_striking(connection)
    rows = hours(connection, eni)
    if args.output:
        as_image(eni, rows, args.output)
    else:
        as_text(eni, rows)


main()
