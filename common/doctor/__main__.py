"""The command: one line for each thing that was looked at, the bad ones last. Exit status 0: all is well."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

from common.doctor.certificates import check_certificate
from common.doctor.disks import check_disk
from common.doctor.dns_records import check_addresses, check_records
from common.doctor.host import Host, HostFileError
from common.doctor.listeners import check_listeners
from common.doctor.services import check_service
from common.doctor.units import check_failed, check_unit
from common.health import Check, Status, run_checks

FILE = Path("/etc/code-du-travail/doctor.json")


def main(arguments: Sequence[str] | None = None) -> int:
    """Look at the host that the file describes."""
    parser = argparse.ArgumentParser(prog="code-du-travail-doctor", description="Looks at this host.")
    parser.add_argument("file", type=Path, nargs="?", default=FILE, metavar="FILE", help=f"default: {FILE}")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    try:
        host = Host.read(options.file)
    except HostFileError as error:
        print(f"code-du-travail-doctor: {error}", file=sys.stderr)
        return 2
    found = dict(run_checks(checks(host)).checks)
    for service, url in host.services.items():
        found |= {f"{service} {part}": check for part, check in check_service(url).items()}
    print(json.dumps({name: asdict(check) for name, check in found.items()}) if options.json else table(found))
    return 0 if all(check.status is Status.OK for check in found.values()) else 1


def checks(host: Host) -> dict[str, Callable[[], Check]]:
    """What to look at, by name; the services tell their own parts."""
    return {
        **{f"address {name}": partial(check_addresses, name, wanted) for name, wanted in host.names.items()},
        **{f"certificate {name}": partial(check_certificate, name, host.ca_file) for name in host.names},
        **{
            f"{kind} {name}": partial(check_records, name, kind, values)
            for (name, kind), values in host.records_by_name().items()
        },
        **{f"unit {name}": partial(check_unit, name) for name in host.units},
        "other units": check_failed,
        "ports": partial(check_listeners, host.open_ports),
        **{f"disk {folder}": partial(check_disk, folder) for folder in host.folders},
    }


def table(found: Mapping[str, Check]) -> str:
    """A line for each, the good ones first."""
    order = list(Status)
    rows = sorted(found.items(), key=lambda row: order.index(row[1].status))
    width = max(map(len, found), default=0)
    return "\n".join(f"{check.status.value:<9} {name:<{width}}  {check.detail}" for name, check in rows)


if __name__ == "__main__":
    sys.exit(main())
