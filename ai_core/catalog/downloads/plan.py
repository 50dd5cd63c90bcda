"""What a download will fetch: decided once, kept beside the files, so that it goes on with the same ones."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath

from ai_core.catalog import gguf_header, memory
from ai_core.catalog.declaration import RESERVED
from ai_core.catalog.downloads.errors import DownloadError
from ai_core.catalog.downloads.files import Choice, HubFile, choose
from ai_core.catalog.downloads.hub import Hub
from ai_core.catalog.downloads.request import DownloadRequest
from ai_core.catalog.entry import NAME, id_of
from ai_core.catalog.errors import BrokenModel
from ai_core.catalog.machine_memory import available_bytes
from ai_core.catalog.memory import Load, gib
from ai_core.catalog.model_shape import ModelShape
from ai_core.catalog.new_file import SPARE_BYTES

PLAN_FILE = "plan.json"
HEADER_BYTES = (4 * 2**20, 64 * 2**20)  # most headers are smaller than the first
UNKNOWN_SHAPE = 1.2  # what a model takes at least, as a part of its weights, where its header tells nothing


@dataclass(frozen=True, slots=True)
class Plan:
    """`commit` pins the revision; `reason` says why these files, for the operator."""

    model_name: str
    commit: str
    format: str
    files: tuple[HubFile, ...]
    reason: str = ""

    @property
    def total(self) -> int:
        """Bytes in all."""
        return sum(file.size for file in self.files)

    @property
    def names(self) -> tuple[str, ...]:
        """What the model may be called, the simplest first: as the repository; where that is another model, after its
        file (another quantisation) or owner; where that is another revision, after the commit too."""
        owner, _, name = self.model_name.partition("/")
        own = id_of(Path(PurePosixPath(self.files[0].path).name)) if self.format == "gguf" else name
        names = dict.fromkeys((name, own, f"{owner}--{own}", f"{owner}--{own}-{self.commit[:12]}"))
        return tuple(name for name in names if NAME.fullmatch(name) and name not in RESERVED)

    def save(self, folder: Path) -> None:
        """Write it into `folder`."""
        unfinished = folder / f"{PLAN_FILE}.part"
        unfinished.write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")
        unfinished.replace(folder / PLAN_FILE)

    @classmethod
    def read(cls, folder: Path) -> Plan | None:
        """The plan in `folder`, or None where there is none that can be read."""
        try:
            content = json.loads((folder / PLAN_FILE).read_text(encoding="utf-8"))
            return cls(**content | {"files": tuple(HubFile(**file) for file in content["files"])})
        except (OSError, ValueError, TypeError, KeyError):
            return None  # it is made anew


def make_plan(hub: Hub, request: DownloadRequest, load: Load, scratch: Path, available: int | None = None) -> Plan:
    """Look at the repository and choose. `scratch` is a folder to write in; `available` bytes of memory (None: look).
    Raises DownloadError: also not_enough_memory, when no quantisation fits and none was named."""
    commit, files = hub.look()
    choice = choose(files, request.model_format, request.filename)
    if len(choice.variants) == 1 or choice.format != "gguf" or request.filename is not None:
        return Plan(request.model_name, commit, choice.format, choice.variants[0] + choice.others)
    chosen, reason = _that_fits(hub, commit, choice, load, scratch, available)
    return Plan(request.model_name, commit, choice.format, chosen, reason)


def require_disk(plan: Plan, folder: Path, *, there: int, reserved: int) -> None:
    """Raises DownloadError when the disk lacks the room. `there` bytes are fetched already; `reserved` ones belong to
    other downloads."""
    free = shutil.disk_usage(folder).free - reserved
    needed = plan.total - there + SPARE_BYTES
    if free < needed:
        raise DownloadError(
            "not_enough_disk_space", f"{gib(needed)} are needed on the disk, {gib(max(0, free))} are free."
        )


def _that_fits(
    hub: Hub, commit: str, choice: Choice, load: Load, scratch: Path, available: int | None
) -> tuple[tuple[HubFile, ...], str]:
    """The largest variant that can be loaded on this machine."""
    available = available_bytes() if available is None else available
    variants = sorted(choice.variants, key=_size, reverse=True)
    shape = _shape(hub, commit, variants[-1][0], scratch)
    for variant in variants:
        needed = _needed(variant, shape, load)
        if needed <= available:
            return variant, f"The largest that fits: needs {gib(needed)} of memory, {gib(available)} are available."
    raise DownloadError(
        "not_enough_memory",
        f"The smallest needs {gib(needed)} of memory, {gib(available)} are available; "
        "give filename to fetch one all the same.",
    )


def _size(variant: tuple[HubFile, ...]) -> int:
    return sum(file.size for file in variant)


def _needed(variant: tuple[HubFile, ...], shape: ModelShape | None, load: Load) -> int:
    if shape is None:
        return int(_size(variant) * UNKNOWN_SHAPE)
    return memory.for_gguf(_size(variant), shape, load).total


def _shape(hub: Hub, commit: str, file: HubFile, scratch: Path) -> ModelShape | None:
    """From the header of a file on the Hub, of which only the start is fetched. None where it cannot be read."""
    head = scratch / "header.gguf"
    try:
        for length in HEADER_BYTES:
            with hub.bytes_from(commit, file.path, 0, min(length, file.size)) as (_, chunks), head.open("wb") as out:
                for chunk in chunks:
                    out.write(chunk)
                    if out.tell() >= length:
                        break
                out.truncate(file.size)  # the rest a hole: the reader asks only whether it is there
            try:
                return ModelShape.of_gguf(gguf_header.read_header(head))
            except BrokenModel:
                continue  # the header is longer
        return None
    finally:
        head.unlink(missing_ok=True)
