"""The way to a host."""

import socket
import threading

import pytest

from blocks.errors import Unreachable
from blocks.host import Host


def test_a_host_that_says_nothing_keeps_nobody_waiting_who_asks_another() -> None:
    """A board asks thirty hosts side by side, and on a bad night some of them are dead."""
    with socket.create_server(("127.0.0.1", 0)) as silent, socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))  # and does not listen: dialling it is refused at once
        waiting = threading.Thread(target=_ask, args=(silent,), daemon=True)
        waiting.start()
        with silent.accept()[0]:
            _ask(unheard)
            assert waiting.is_alive(), "it was waited for"


def _ask(sock: socket.socket) -> None:
    address, port = sock.getsockname()
    with pytest.raises(Unreachable):
        Host(name="uno", address=address, port=port, peer_address=address).shell().run(("true",))
