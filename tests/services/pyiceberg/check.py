"""Reads an Iceberg table with pyiceberg and tells, or checks, what it holds.

An independent reader: it shares no code with Springtide. The digest is the
SHA-256 over all rows, each as its values joined by U+001F, the rows sorted by
their bytes and joined by a line feed. Values: NULL is \\N, numbers in decimal,
floats by the bits of their 64-bit form (every NaN is "nan"), times and
timestamps in microseconds, dates in days, bytes in hexadecimal.
"""

import argparse
import datetime
import decimal
import hashlib
import json
import struct
import sys
import uuid

from pyiceberg.catalog.sql import SqlCatalog

EPOCH = datetime.datetime(1970, 1, 1)
MICROSECOND = datetime.timedelta(microseconds=1)


def text(value):
    if value is None:
        return "\\N"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return "nan" if value != value else struct.pack(">d", value).hex()
    if isinstance(value, decimal.Decimal):
        return format(value, "f")
    if isinstance(value, datetime.datetime):
        return str((value.replace(tzinfo=None) - EPOCH) // MICROSECOND)
    if isinstance(value, datetime.date):
        return str((value - EPOCH.date()).days)
    if isinstance(value, datetime.time):
        since = datetime.datetime.combine(EPOCH.date(), value) - EPOCH
        return str(since // MICROSECOND)
    if isinstance(value, uuid.UUID):
        return value.bytes.hex()
    if isinstance(value, bytes):
        return value.hex()
    return str(value)


def digest(table):
    columns = [column.to_pylist() for column in table.columns]
    rows = ("\x1f".join(map(text, row)).encode() for row in zip(*columns))
    return hashlib.sha256(b"\n".join(sorted(rows))).hexdigest()


def expectation(argument):
    name, _, value = argument.rpartition("=")
    return name.strip(), int(value)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--database", required=True, help="the SQL catalog's SQLite file")
    parser.add_argument("--catalog", default="springtide", help="the catalog's name")
    parser.add_argument("--warehouse", required=True, help="file:// URL")
    parser.add_argument("--table", required=True, help="namespace.table")
    parser.add_argument("--rows", type=int, help="fail unless it has so many rows")
    parser.add_argument("--digest", help="fail unless its rows have this digest")
    parser.add_argument("--sum", type=expectation, action="append", default=[],
                        metavar="COLUMN=N", help="fail unless a column has this sum")
    parser.add_argument("--filter", type=expectation, action="append", default=[],
                        metavar="EXPRESSION=N", help="fail unless so many rows match")
    given = parser.parse_args()

    catalog = SqlCatalog(given.catalog, uri=f"sqlite:///{given.database}", warehouse=given.warehouse)
    table = catalog.load_table(given.table)
    rows = table.scan().to_arrow()
    found = {"rows": rows.num_rows, "digest": digest(rows)}
    wrong = []
    if given.rows is not None and given.rows != found["rows"]:
        wrong.append(f"{found['rows']} rows, expected {given.rows}")
    if given.digest is not None and given.digest != found["digest"]:
        wrong.append(f"digest {found['digest']}, expected {given.digest}")
    for column, expected in given.sum:
        actual = sum(value for value in rows[column].to_pylist() if value is not None)
        if actual != expected:
            wrong.append(f"sum of {column} is {actual}, expected {expected}")
    for expression, expected in given.filter:
        actual = table.scan(row_filter=expression).to_arrow().num_rows
        if actual != expected:
            wrong.append(f"{actual} rows where {expression}, expected {expected}")
    print(json.dumps(found))
    if wrong:
        sys.exit("\n".join(wrong))


if __name__ == "__main__":
    main()
