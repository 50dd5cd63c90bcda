"""Calibrations kept in a file, by machine and model, so that each is measured once."""

from __future__ import annotations

import json
import logging
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ai_core.engine.backends.llama_cpp.calibration import Calibration
from ai_core.engine.backends.llama_cpp.library import library
from ai_core.engine.backends.llama_cpp.tuning import Tuning
from ai_core.engine.speculation import StepCosts

logger = logging.getLogger(__name__)

CPU_INFORMATION = Path("/proc/cpuinfo")


def fingerprint(model: Any) -> str:
    """What a measurement depends on: the processor, the CPUs allowed, llama.cpp, the model's shape and size."""
    lib = library()
    about = [lib.llama_model_size(model), lib.llama_model_n_params(model), lib.llama_model_n_layer(model)]
    cpus = len(os.sched_getaffinity(0))
    return f"{_processor()} x{cpus}, llama_cpp {lib.__version__}, model {'/'.join(map(str, about))}"


class CalibrationFile:
    """Unreadable content counts as none: it is measured again, and written anew."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def get(self, key: str) -> Calibration | None:
        try:
            found = self._read()[key]
            costs = found["costs"] and StepCosts(tuple(found["costs"]["rows"]), tuple(found["costs"]["seconds"]))
            return Calibration(Tuning(**found["tuning"]), costs)
        except (KeyError, TypeError) as error:
            logger.debug("no calibration yet", extra={"key": key, "reason": repr(error)})
            return None

    def put(self, key: str, calibration: Calibration) -> None:
        """Keep it; a file that cannot be written only costs a measurement the next time."""
        content = self._read() | {key: asdict(calibration)}
        partial = self._path.with_suffix(".partial")
        try:
            partial.write_text(json.dumps(content, indent=1), encoding="utf-8")
            partial.replace(self._path)
        except OSError as error:
            logger.warning("the calibration cannot be kept", extra={"file": str(self._path), "reason": str(error)})

    def _read(self) -> dict[str, Any]:
        try:
            content = json.loads(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            logger.warning("the calibration file is not readable", extra={"reason": str(error)})
            return {}
        return content if isinstance(content, dict) else {}


def _processor() -> str:
    """The processor's name, as Linux tells it."""
    try:
        lines = CPU_INFORMATION.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return "unknown processor"
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "unknown processor")
