"""What is fixed while Envoy runs: listener, limits, admin interface, and the command that starts it."""

import sys
from pathlib import Path
from typing import Any

from sluicegate.adapters.envoy_router.documents import ROUTES, file_source
from sluicegate.settings import Settings

MOST_BODY = 256 * 1024
"""Bytes of a request's body; one flat row is some hundred. Bodies are held until complete: every request can be retried."""
MOST_CLIENTS = 4096
"""Connections of clients at once."""
READABLE = ("/ready", "/config_dump", "/clusters", "/stats", "/server_info", "/listeners")
"""The admin interface answers these and nothing that changes Envoy."""
_TYPE = "type.googleapis.com/"
_FILTERS = _TYPE + "envoy.extensions.filters."


def envoy_command(settings: Settings) -> list[str]:
    """Exact command line of the gateway; run `prepare` once before its first start."""
    program = Path(sys.executable).parent / "envoy"
    bootstrap_file = settings.gateway / "bootstrap.json"
    return [str(program), "-c", str(bootstrap_file), "--concurrency", "1", "--disable-hot-restart", "--log-level", "warning"]


def bootstrap(settings: Settings) -> dict[str, Any]:
    """Envoy's bootstrap: one listener for the requests to all models, the admin interface on loopback alone."""
    return {
        "node": {"id": "sluicegate", "cluster": "sluicegate"},
        "admin": {
            "address": _address("127.0.0.1", settings.gateway_admin_port),
            "allow_paths": [{"prefix": path} for path in READABLE],
        },
        "dynamic_resources": {"cds_config": file_source(settings.gateway / "clusters.json")},
        "static_resources": {"listeners": [_listener(settings)]} if settings.profile == "local" else _with_counters(settings),
        "overload_manager": {
            "resource_monitors": [
                {
                    "name": "envoy.resource_monitors.global_downstream_max_connections",
                    "typed_config": {
                        "@type": _TYPE
                        + "envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
                        "max_active_downstream_connections": MOST_CLIENTS,
                    },
                }
            ]
        },
    }


def counters_port(settings: Settings) -> int:
    """Where a replica in a cluster tells Prometheus its counters, and nothing else of the admin interface."""
    return settings.gateway_admin_port + 1


def _address(host: str, port: int) -> dict[str, Any]:
    return {"socket_address": {"address": host, "port_value": port}}


def _listener(settings: Settings) -> dict[str, Any]:
    return {
        "name": "requests",
        "address": _address(settings.host, settings.gateway_port),
        "per_connection_buffer_limit_bytes": 2 * MOST_BODY,
        "filter_chains": [{"filters": [{"name": "http", "typed_config": _connection_manager(settings)}]}],
    }


def _with_counters(settings: Settings) -> dict[str, Any]:
    """The listener for the requests, and one that passes one path on to the admin interface."""
    admin = {"endpoint": {"address": _address("127.0.0.1", settings.gateway_admin_port)}}
    assignment = {"cluster_name": "admin", "endpoints": [{"lb_endpoints": [admin]}]}
    passed = {"match": {"path": "/stats/prometheus"}, "route": {"cluster": "admin", "timeout": "1s"}}
    manager = {
        "@type": _FILTERS + "network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "counters",
        "route_config": {"virtual_hosts": [{"name": "counters", "domains": ["*"], "routes": [passed]}]},
        "http_filters": [{"name": "router", "typed_config": {"@type": _FILTERS + "http.router.v3.Router"}}],
    }
    listener = {
        "name": "counters",
        "address": _address(settings.host, counters_port(settings)),
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }
    cluster = {"name": "admin", "type": "STATIC", "connect_timeout": "1s", "load_assignment": assignment}
    return {"listeners": [_listener(settings), listener], "clusters": [cluster]}


def _connection_manager(settings: Settings) -> dict[str, Any]:
    """`use_remote_address` makes Envoy drop what only it may say (x-envoy-*), so that no client sets retries or time-outs."""
    return {
        "@type": _FILTERS + "network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "requests",
        "server_name": "sluicegate",
        "use_remote_address": True,
        "internal_address_config": {"cidr_ranges": [{"address_prefix": "255.255.255.255", "prefix_len": 32}]},
        "normalize_path": True,
        "merge_slashes": True,
        "path_with_escaped_slashes_action": "REJECT_REQUEST",
        "max_request_headers_kb": 16,
        "common_http_protocol_options": {"idle_timeout": "60s", "headers_with_underscores_action": "REJECT_REQUEST"},
        "request_headers_timeout": "5s",
        "request_timeout": "10s",
        "stream_idle_timeout": "10s",
        "delayed_close_timeout": "1s",
        "drain_timeout": "1s",
        **_request_ids(),
        "local_reply_config": {"body_format": {"json_format": {"error": "%LOCAL_REPLY_BODY%", "field": None}}},
        "access_log": [_failures_log()],
        "rds": {"route_config_name": ROUTES, "config_source": file_source(settings.gateway / "routes.json")},
        "http_filters": [
            {"name": "buffer", "typed_config": {"@type": _FILTERS + "http.buffer.v3.Buffer", "max_request_bytes": MOST_BODY}},
            {
                "name": "router",
                "typed_config": {"@type": _FILTERS + "http.router.v3.Router", "suppress_envoy_headers": True},
            },
        ],
    }


def _request_ids() -> dict[str, Any]:
    """The client's request id is what predictions and labels are joined by: kept as it came, bit for bit."""
    uuid = {"@type": _TYPE + "envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig", "pack_trace_reason": False}
    return {"preserve_external_request_id": True, "request_id_extension": {"typed_config": uuid}}


def _failures_log() -> dict[str, Any]:
    """One JSON line for each request that a client saw fail; healthy traffic is counted, not logged.

    On standard output: whoever supervises Envoy rotates it, and a gateway's folder that is full loses none.
    """
    line = {
        "at": "%START_TIME%",
        "path": "%REQ(:PATH)%",
        "status": "%RESPONSE_CODE%",
        "why": "%RESPONSE_CODE_DETAILS%",
        "flags": "%RESPONSE_FLAGS%",
        "cluster": "%UPSTREAM_CLUSTER%",
        "server": "%UPSTREAM_HOST%",
        "attempts": "%UPSTREAM_REQUEST_ATTEMPT_COUNT%",
        "request_id": "%REQ(X-REQUEST-ID)%",
        "ms": "%DURATION%",
    }
    failed = {"comparison": {"op": "GE", "value": {"default_value": 500, "runtime_key": "sluicegate.log_from_status"}}}
    return {
        "name": "failures",
        "filter": {"or_filter": {"filters": [{"status_code_filter": failed}, {"response_flag_filter": {}}]}},
        "typed_config": {
            "@type": _TYPE + "envoy.extensions.access_loggers.stream.v3.StdoutAccessLog",
            "log_format": {"json_format": line},
        },
    }
