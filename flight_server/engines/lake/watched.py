"""Numbers about the lake that operators watch."""

from __future__ import annotations

from flight_server.engines.figures import Figures
from flight_server.engines.lake.commits import CommitLog
from flight_server.engines.lake.groups import GroupCommits
from flight_server.engines.lake.instance import METADATA, Instance
from flight_server.model import HIDDEN_PREFIX

_FILES = " UNION ALL ".join(
    f"SELECT file_size_bytes FROM {METADATA}.ducklake_{kind}_file" for kind in ("data", "delete")
)
_KEPT = f"""
SELECT (
    SELECT count(*) FROM {METADATA}.ducklake_table t
    JOIN {METADATA}.ducklake_schema s USING (schema_id)
    WHERE t.end_snapshot IS NULL AND s.end_snapshot IS NULL
    AND NOT starts_with(lower(s.schema_name), $1)
), count(*), coalesce(sum(file_size_bytes), 0)::BIGINT, (
    SELECT count(*) FROM {METADATA}.ducklake_snapshot
)
FROM ({_FILES})
"""


class Watched:
    """A part of the lake's engine: `SupportsFigures`."""

    _instance: Instance
    _log: CommitLog
    _groups: GroupCommits

    def figures(self) -> Figures:
        """See `SupportsFigures.figures`."""
        tables, files, size, snapshots = self._instance.rows(_KEPT, [HIDDEN_PREFIX])[0]
        return Figures(
            tables,
            files,
            size,
            snapshots,
            commits=self._log.commits,
            waiting=self._groups.waiting,
        )
