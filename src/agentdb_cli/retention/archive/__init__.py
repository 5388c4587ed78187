"""Purged rows as files, and their way back.

`writing.Archive` takes rows out with the transaction that deletes them,
`importing` puts them back. Every table has a directory of its own:

    DIR/<schema>.<table>/manifest.jsonl                what there is, and how it stands
    DIR/<schema>.<table>/<start>-<number>-x<xid>.jsonl.zst   the rows of one transaction

A part is complete, on disk and in the manifest before its transaction commits. So a row
is in the table, or in a part that is "committed", or in both and the part is not yet
"committed": what becomes of that part, the server is asked by the transaction's id.
"""

from agentdb_cli.retention.archive.columns import Format
from agentdb_cli.retention.archive.manifest import Part
from agentdb_cli.retention.archive.writing import Archive

__all__ = ["Archive", "Format", "Part"]
