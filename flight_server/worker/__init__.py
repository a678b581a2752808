"""Workers: processes that do jobs, as clients of the server that do what their owners may do.

`runs` says what a job's runner is given, `runners` which runner a job type has. Runners read and
write over Flight, so that rights are judged, and rows committed, by the server alone.
"""

from flight_server.worker.runners import runner_of
from flight_server.worker.runs import JobRun, Runner

__all__ = ["JobRun", "Runner", "runner_of"]
