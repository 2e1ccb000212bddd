"""Channels: how a client keeps its connection to a server."""

import json

import grpc

from graphbed.rpc.addresses import split_address
from graphbed.rpc.call_metrics import ClientCalls, ClientCallsInterceptor
from graphbed.rpc.limits import Options, common_options

_SERVICE_CONFIG = json.dumps({"loadBalancingConfig": [{"round_robin": {}}]})


def open_channel(address: str, calls: ClientCalls | None = None) -> grpc.Channel:
    """A channel to `host:port` whose calls are counted by `calls`; connects at the first one. Raises InputError."""
    split_address(address)
    options: Options = [
        *common_options(),
        # With gRPC's own retries, a call that streams its answer hangs for ever, whatever its deadline, if the server
        # dies in the middle of it and is away for a second (seen in grpcio 1.85). `call` repeats instead.
        ("grpc.enable_retries", 0),
        ("grpc.service_config", _SERVICE_CONFIG),
        # A restarted server should be found again within a second, not after gRPC's default of up to two minutes.
        ("grpc.initial_reconnect_backoff_ms", 200),
        ("grpc.min_reconnect_backoff_ms", 1_000),
        ("grpc.max_reconnect_backoff_ms", 2_000),
        # It may have come back at another address; gRPC's default is to ask for it again after half a minute only.
        ("grpc.dns_min_time_between_resolutions_ms", 1_000),
        # Two channels of one process share no connection, and so no backoff.
        ("grpc.use_local_subchannel_pool", 1),
        # Traffic inside the cluster never goes through the proxy that the environment names for the web.
        ("grpc.enable_http_proxy", 0),
    ]
    channel = grpc.insecure_channel(address, options=options)
    return channel if calls is None else grpc.intercept_channel(channel, ClientCallsInterceptor(calls))
