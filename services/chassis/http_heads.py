"""Request heads of a bounded size: uvicorn's fast parser collects one as long as it comes."""

from __future__ import annotations

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_BYTES_MAX = 65536
"""Request line and headers together, as uvicorn's other parser allows; answered with 400 beyond."""
REFUSAL = "The head of the request is too large."


class BoundedHeads(HttpToolsProtocol):
    """HTTP/1.1 as uvicorn speaks it, for callers who may mean no good."""

    _heads = 0
    _in_head = False
    _bytes = 0

    def on_message_begin(self) -> None:
        self._heads += 1
        self._in_head, self._bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        fields = sum(len(name) + len(value) for name, value in self.headers)
        if len(self.url) + fields > HEAD_BYTES_MAX:
            raise httptools.HttpParserError(REFUSAL)
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        """Count what a head that began in an earlier read goes on with."""
        heads = self._heads
        super().data_received(data)
        if self._in_head and heads == self._heads:
            self._bytes += len(data)
            if self._bytes > HEAD_BYTES_MAX and not self.transport.is_closing():
                self.send_400_response(REFUSAL)
