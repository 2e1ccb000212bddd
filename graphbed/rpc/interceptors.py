"""What happens around every call of a server: errors become status codes, and calls are counted and timed."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, NoReturn, TypeAlias

import grpc

from graphbed.errors import GraphbedError
from graphbed.logs import get_logger
from graphbed.rpc.call_metrics import ServerCalls, split_method
from graphbed.rpc.errors import to_wire

log = get_logger("graphbed.rpc")

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any] | None"

# Refusals that someone should look at; the others are part of ordinary life.
_NOTABLE = {
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.DATA_LOSS,
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.PERMISSION_DENIED,
}


class AroundCall(grpc.ServerInterceptor, ABC):  # type: ignore[type-arg]
    """Runs a context manager around each call, over the iteration of its response stream too."""

    @abstractmethod
    def around(self, method: str, context: grpc.ServicerContext) -> AbstractContextManager[None]:
        """What to do before and after the call of `method`, as in `/graphbed.v1.LockServer/Acquire`."""

    def see(self, request: Any) -> Any:
        """The request, a message or an iterator of them, as the handler gets it; called inside `around`."""
        return request

    def intercept_service(
        self, continuation: Callable[[grpc.HandlerCallDetails], Handler], handler_call_details: Any
    ) -> Handler:
        handler = continuation(handler_call_details)
        if handler is None:
            return None
        method = str(handler_call_details.method)
        around, see = self.around, self.see
        behaviour: Any = handler.unary_unary or handler.stream_unary or handler.unary_stream or handler.stream_stream

        def unary(request: Any, context: grpc.ServicerContext) -> Any:
            with around(method, context):
                return behaviour(see(request), context)

        def stream(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            with around(method, context):
                yield from behaviour(see(request), context)

        if handler.request_streaming:
            make: Any = (
                grpc.stream_stream_rpc_method_handler
                if handler.response_streaming
                else grpc.stream_unary_rpc_method_handler
            )
        else:
            make = (
                grpc.unary_stream_rpc_method_handler
                if handler.response_streaming
                else grpc.unary_unary_rpc_method_handler
            )
        made: Handler = make(
            stream if handler.response_streaming else unary,
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )
        return made


class ErrorInterceptor(AroundCall):
    """Turns GraphbedError into its status and everything unexpected into INTERNAL, with the traceback in the log."""

    def __init__(self, service: str) -> None:
        self._service = service

    @contextmanager
    def around(self, method: str, context: grpc.ServicerContext) -> Iterator[None]:
        try:
            yield
        except GraphbedError as error:
            write = log.warning if error.code in _NOTABLE else log.debug
            write("call refused", method=split_method(method)[1], reason=error.reason, detail=str(error))
            _abort(context, error)
        except grpc.RpcError:
            # Only the request stream raises this here: the caller went away in the middle of it.
            context.abort(grpc.StatusCode.CANCELLED, "the caller went away")
        except Exception:
            if context.code() is not None:  # type: ignore[attr-defined]
                raise  # the handler itself chose a status, for example the health service
            name = split_method(method)[1]
            log.exception("call failed", method=name)
            _abort(context, GraphbedError(service=self._service, method=name))


def _abort(context: grpc.ServicerContext, error: GraphbedError) -> NoReturn:
    code, message, metadata = to_wire(error)
    context.set_trailing_metadata(metadata)
    context.abort(code, message)


class MetricsInterceptor(AroundCall):
    """Counts calls by status and times them. Methods that the server does not have are counted as `other`."""

    def __init__(self, calls: ServerCalls) -> None:
        self._calls = calls

    def intercept_service(
        self, continuation: Callable[[grpc.HandlerCallDetails], Handler], handler_call_details: Any
    ) -> Handler:
        handler = super().intercept_service(continuation, handler_call_details)
        if handler is None:
            self._calls.unknown()
        return handler

    @contextmanager
    def around(self, method: str, context: grpc.ServicerContext) -> Iterator[None]:
        begin = time.perf_counter()
        code = grpc.StatusCode.OK
        try:
            yield
            code = context.code() or code  # type: ignore[attr-defined]
        except GeneratorExit:
            code = grpc.StatusCode.CANCELLED  # the caller stopped listening to the response stream
            raise
        except BaseException:
            code = context.code() or grpc.StatusCode.UNKNOWN  # type: ignore[attr-defined]
            raise
        finally:
            self._calls.handled(method, code, time.perf_counter() - begin)
