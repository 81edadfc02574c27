"""The process: `python -m sluicegate serve --package DIR --model M --version V --host H --port P --log-dir DIR`."""

import argparse
import asyncio
import contextlib
import gc
import signal
import threading
import time
from pathlib import Path

import uvloop

from sluicegate.errors import PackageError, SluicegateError
from sluicegate.serving.application import ServerApplication
from sluicegate.serving.counters import EVIDENCE_FILE
from sluicegate.serving.http import listen
from sluicegate.serving.package import Model, load_package
from sluicegate.serving.prediction_log import PredictionLog
from sluicegate.serving.pulse import Pulse
from sluicegate.serving.service import Service
from sluicegate.serving.service_log import ServiceLog

DRAIN_S = 3.5
"""Most time for the requests in flight after the linger; with the log's last flush the process is gone within 5 s of it."""
IDLE_GRACE_S = 0.3
"""Idle connections stay open this long when no new ones are taken: a proxy may just be sending on one of them."""
SWEEP_EVERY_S = 1.0
EVIDENCE_EVERY_S = 0.1


def main(argv: list[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT; returns the exit status."""
    args = _arguments(argv)
    log = ServiceLog(args.model, args.version)
    begun = time.monotonic()
    log.line("start", f"opening {args.package}")
    try:
        model = _open(args.package, args.model)
        predictions = PredictionLog(args.log_dir, lambda message: log.line("prediction_log", message), room=args.log_room)
        predictions.start()
    except (SluicegateError, OSError) as e:
        log.line("stop", f"cannot start: {e}")
        return 1
    service = Service(model, args.version, predictions, log.error)
    threading.Thread(target=_write_evidence, args=(service, args.log_dir / EVIDENCE_FILE), daemon=True).start()
    try:
        uvloop.run(_serve(service, args, log, begun))
    except OSError as e:
        ports = f"{args.port}" if args.pulse_port is None else f"{args.port} and {args.pulse_port}"
        log.line("stop", f"cannot listen on {args.host}:{ports}: {e}: choose another --port")
        return 1
    finally:
        predictions.close(patience=1.0)
    requests = sum(counters.requests for counters in service.counters.values())
    log.line("stop", "told to stop", requests=requests, prediction_log_dropped=predictions.dropped)
    return 0


def _write_evidence(service: Service, path: Path) -> None:
    """Again and again, whole each time; what cannot be written is missing for the reader too, who asks over HTTP first."""
    fresh = path.with_suffix(".new")
    while True:
        time.sleep(EVIDENCE_EVERY_S)
        with contextlib.suppress(OSError):
            fresh.write_bytes(service.evidence())
            fresh.replace(path)


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sluicegate serve", description="Serves one version of one model.")
    parser.add_argument("--package", type=Path, required=True, help="folder of the model package")
    parser.add_argument("--model", required=True)
    parser.add_argument("--version", required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--log-dir", type=Path, required=True, help="folder of the prediction log")
    parser.add_argument("--log-room", type=int, help="bytes that this folder may hold; lines above it are dropped and counted")
    parser.add_argument(
        "--pulse-port", type=int, help="port of its own for health probes and watchers, answered also when the server is busy"
    )
    parser.add_argument(
        "--linger", type=float, default=0.0, help="seconds after SIGTERM in which new connections are still taken"
    )
    return parser.parse_args(argv)


def _open(package: Path, name: str) -> Model:
    model = load_package(package)
    if model.manifest.model != name:
        raise PackageError(f"the package {package} holds model '{model.manifest.model}', not '{name}': give the right --model")
    return model


async def _serve(service: Service, args: argparse.Namespace, log: ServiceLog, begun: float) -> None:
    headers = {"x-model-version": service.version}
    application = ServerApplication(service, headers)
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    server = await listen(application.connections, args.host, args.port)
    pulse = None if args.pulse_port is None else Pulse(args.host, args.pulse_port, application.beside)
    _get_ready(application, service, log, begun)
    gc.collect()
    gc.freeze()  # what was loaded stays: without this, full collections walk it and hold up answers
    while not stop.is_set():
        application.connections.sweep()
        if pulse is not None:
            pulse.beat()
        try:
            await asyncio.wait_for(stop.wait(), SWEEP_EVERY_S)
        except TimeoutError:
            continue
    if args.linger:
        application.connections.closing = True  # unready, and every answer closes its connection
        await asyncio.sleep(args.linger)  # whoever has not heard of the end yet still comes, and is served
    server.close()  # before any answer closes a connection: who then opens another is refused, not reset
    await application.connections.drain(DRAIN_S, IDLE_GRACE_S)


def _get_ready(application: ServerApplication, service: Service, log: ServiceLog, begun: float) -> None:
    try:
        service.check()
    except SluicegateError as e:
        application.ready(f"{e}")
        log.line("unready", f"{e}")
        return
    application.ready(None)
    log.line("ready", "the golden rows score as in training", after_s=round(time.monotonic() - begun, 3))


if __name__ == "__main__":
    raise SystemExit(main())
