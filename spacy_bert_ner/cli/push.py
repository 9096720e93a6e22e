from pathlib import Path
from typing import Optional

from typer import Argument, Option, echo

from ._util import notify

# fmt: off


def push_cli(
    pipeline: str = Argument(..., help="Name or path of a trained pipeline"),
    repo: str = Argument(..., help="Name of the repository on the hub, such as someone/en_pipeline"),
    private: bool = Option(False, "--private", help="Create the repository as a private one"),
    message: str = Option("Upload pipeline", "--message", "-m", help="Message of the commit"),
    revision: Optional[str] = Option(None, "--revision", metavar="NAME", help="Branch to commit to, if it isn't main"),
    dry_run: Optional[Path] = Option(None, "--dry-run", metavar="FOLDER", readable=False, help="Write the files to a new folder, and upload nothing"),
) -> None:
    # fmt: on
    """
    Upload a pipeline to the Hugging Face hub, with a model card and a wheel.

    The repository and the branch are created if they don't exist. Log in
    first: run hf auth login, or set the environment variable HF_TOKEN.
    """
    from ..commands.push import push
    from ..terminal import printable

    pushed = push(
        pipeline,
        repo,
        private=private,
        message=message,
        revision=revision,
        dry_run=dry_run,
        notify=notify,
    )
    done = f"Wrote {dry_run}." if pushed.commit_url is None else f"Uploaded {pushed.commit_url}"
    echo(printable(done))
    if pushed.commit_url is not None:
        echo(printable(f"Install it: pip install {pushed.wheel_url}"))
