"""A server, and how to reach it."""

from pydantic import Field

from blocks.names import (
    HostAddress,
    HostKey,
    HostName,
    IpAddress,
    IpAddress6,
    LocalPath,
    LoginName,
    Port,
)
from blocks.runtime import Block
from blocks.shell import Shell
from blocks.ssh import SshShell
from blocks.ssh_login import Address, dial_ahead


class Host(Block):
    """A server that Relevo reaches by ssh, as a user who may become root with sudo."""

    _block_type_name = "Relevo host"
    _block_type_slug = "relevo-host"

    name: HostName = Field(description="What people call this server.")
    address: HostAddress = Field(description="Where the runner of Relevo reaches it.")
    peer_address: IpAddress = Field(description="The address that the other server sees.")
    public_address: IpAddress | None = Field(
        default=None, description="Where customers reach it; none means peer_address."
    )
    public_address6: IpAddress6 | None = Field(
        default=None, description="Where customers reach it by IPv6; none means not at all."
    )
    port: Port = Field(default=22, description="The port of sshd.")
    user: LoginName = Field(default="root", description="root, or a user with sudo.")
    key_file: LocalPath | None = Field(
        default=None, description="The private key on the runner; none means ssh's own choice."
    )
    host_key: HostKey | None = Field(
        default=None, description="The server's public host key; none means ~/.ssh/known_hosts."
    )

    @property
    def shown_address(self) -> str:
        """What the customers' names are pointed at."""
        return self.public_address or self.peer_address

    @property
    def shown_addresses(self) -> dict[str, str]:
        """The same by kind of record, with that of IPv6 where the server has one.

        >>> Host(name="due", address="::1", peer_address="192.0.2.2").shown_addresses
        {'A': '192.0.2.2'}
        """
        found = {"AAAA" if ":" in self.shown_address else "A": self.shown_address}
        return {"AAAA": self.public_address6, **found} if self.public_address6 else found

    def shell(self) -> Shell:
        """Speak to this server."""
        return SshShell(self._where)

    def dial_ahead(self) -> None:
        """Begin to log in to this server, which is spoken to soon."""
        dial_ahead(self._where)

    @property
    def _where(self) -> Address:
        return Address(self.name, self.address, self.port, self.user, self.key_file, self.host_key)
