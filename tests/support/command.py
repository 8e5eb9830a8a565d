"""The command `inkling`, run in this process."""

from click.testing import CliRunner, Result

from inkling import cli
from inkling.service import Service


class Runner(CliRunner):
    """Invokes `inkling ARGS` on a given service, or on one that the environment describes."""

    def __init__(self, service: Service | None):
        super().__init__()
        self._service = service

    def invoke(self, args: list[str]) -> Result:
        return super().invoke(cli.main, args, obj=self._service)
