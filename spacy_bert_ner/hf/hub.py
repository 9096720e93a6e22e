"""Upload a folder to the Hugging Face hub."""

import re
from contextlib import contextmanager
from functools import partial
from json import JSONDecodeError
from pathlib import Path
from typing import Any, Iterator, Optional
from urllib.parse import quote, urlsplit

from huggingface_hub import HfApi, constants, get_token
from huggingface_hub.errors import HfHubHTTPError, HFValidationError
from huggingface_hub.utils import _http, validate_repo_id

from ..errors import UserError

# Rules of https://git-scm.com/docs/git-check-ref-format.
BRANCH = re.compile(
    r"(?![-./]|@\Z)(?!.*(\.\.|@\{|//|/\.|\.lock(/|\Z)))"
    r"[^\x00-\x20\x7f~^:?*\[\\\ud800-\udfff]+(?<![./])"
)
# Seconds to wait for a connection, and for each part of an answer.
TIMEOUT = 120.0
# What to do about an answer of the hub.
WAYS_OUT = {
    401: "the token isn't valid. Log in again: hf auth login",
    403: "the token may not write to it. Log in with a token that may: hf auth login",
    404: "there is no such user, organization or branch, or the token may not see it. Check the "
    "name",
}


def check_repo(name: str) -> None:
    """Check the name of a repository, without asking the hub.

    name (str): Its name, with its owner.
    RAISES (UserError): If no repository can have it.
    """
    try:
        validate_repo_id(name)
        _, _ = name.split("/")
    except (HFValidationError, ValueError) as error:
        raise UserError(
            f"Can't upload to '{name}': name your account or organization on the hub, and the "
            "repository: someone/en_pipeline."
        ) from error


def check_revision(name: str) -> None:
    """Check the name of a branch, without asking the hub.

    name (str): The name.
    RAISES (UserError): If git accepts no branch of this name.
    """
    if not BRANCH.fullmatch(name):
        raise UserError(
            f"Can't upload to the branch {name!r}: git accepts no such name. Use letters, digits, "
            "hyphens and single dots, such as v1.0."
        )


def check_login() -> None:
    """RAISES (UserError): If there is no token for the hub."""
    if constants.HF_HUB_OFFLINE:
        raise UserError("Can't upload: HF_HUB_OFFLINE is set. Unset it.")
    if get_token() is None:
        raise UserError(
            "Can't upload: there is no token for the Hugging Face hub. Log in (hf auth login), or "
            "set the environment variable HF_TOKEN."
        )


def get_url(repo: str, revision: Optional[str], name: str) -> str:
    """RETURNS (str): Address of a file on the hub.

    repo (str): Name of the repository.
    revision (Optional[str]): Its branch, None for the main one.
    name (str): Name of the file.
    """
    branch = quote(revision or constants.DEFAULT_REVISION, safe="")
    return f"{get_endpoint()}/{repo}/resolve/{branch}/{name}"


def get_endpoint() -> str:
    """RETURNS (str): Address of the hub, without a user name and a password that it may have."""
    parts = urlsplit(constants.ENDPOINT)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def upload(folder: Path, repo: str, *, private: bool, message: str, revision: Optional[str]) -> str:
    """Upload a folder in one commit. The repository and the branch are created if there are none.

    folder (Path): The folder.
    repo (str): Name of the repository.
    private (bool): Create it as a private repository.
    message (str): Message of the commit.
    revision (Optional[str]): Branch to commit to, None for the main one.
    RETURNS (str): Address of the commit.
    RAISES (UserError): If the hub can't be reached or refuses, and if a public repository exists
        but a private one was asked for.
    """
    api = HfApi()
    with limit_waiting(), explain_hub(repo):
        api.create_repo(repo, private=private or None, exist_ok=True)
        if private and not api.repo_info(repo, timeout=TIMEOUT).private:
            raise UserError(
                f"Can't upload to '{repo}' as private: it exists, and is public. Leave out "
                "--private, or choose another name."
            )
        if revision is not None:
            api.create_branch(repo, branch=revision, exist_ok=True)
        done = api.upload_folder(
            repo_id=repo, folder_path=folder, commit_message=message, revision=revision
        )
    return str(done.commit_url)


@contextmanager
def limit_waiting() -> Iterator[None]:
    """A context in which huggingface_hub raises an error if the hub doesn't answer within
    `TIMEOUT`. By default, most of its versions wait forever."""
    # What makes sessions, of httpx from version 1.0 on, and of requests before.
    make = getattr(_http, "_GLOBAL_CLIENT_FACTORY", getattr(_http, "_GLOBAL_BACKEND_FACTORY", None))
    set_make = getattr(_http, "set_client_factory", getattr(_http, "configure_http_backend", None))
    if make is None or set_make is None:
        yield
        return

    def make_limited() -> Any:
        session = make()
        session.timeout = TIMEOUT  # of httpx
        session.request = partial(session.request, timeout=TIMEOUT)  # of requests
        return session

    set_make(make_limited)
    try:
        yield
    finally:
        set_make(make)


@contextmanager
def explain_hub(repo: str) -> Iterator[None]:
    """Explain in one line what the hub refuses. Only its answer is quoted, not the request, which
    has the token.

    repo (str): Name of the repository.
    RAISES (UserError): For an answer that is an error, and if there is none.
    """
    # Errors of the library that huggingface_hub uses: requests, and httpx from version 1.0 on.
    unreachable: Any = tuple(set(HfHubHTTPError.__mro__) - {HfHubHTTPError, *OSError.__mro__})
    try:
        yield
    except UserError:
        raise
    except HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else 0
        reason = WAYS_OUT.get(status) or f"{_quote(error.server_message)}. Try again later"
        raise UserError(f"Can't upload to '{repo}' (error {status}): {reason}.") from error
    except (TypeError, LookupError, AttributeError, JSONDecodeError) as error:
        raise UserError(
            f"Can't upload to '{repo}': {get_endpoint()} doesn't answer like the Hugging Face hub. "
            "Check the environment variable HF_ENDPOINT."
        ) from error
    # A model card that the hub refuses, and an upload that failed after several tries.
    except (ValueError, RuntimeError) as error:
        raise UserError(f"Can't upload to '{repo}': {_quote(error)}. Try again later.") from error
    except unreachable as error:
        raise UserError(
            f"Can't upload to '{repo}': {get_endpoint()} can't be reached, or doesn't answer "
            f"within {TIMEOUT:g} seconds. Check the network, and try again."
        ) from error


def _quote(answer: Any) -> str:
    """RETURNS (str): What the hub has answered, in one line, without the token and a password."""
    text = " ".join(str(answer or "no reason given").split()).rstrip(".")
    text = text.replace(constants.ENDPOINT, get_endpoint())
    return text.replace(get_token() or "\n", "(token)")
