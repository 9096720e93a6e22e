"""Upload a pipeline to the Hugging Face hub."""

import tempfile
from pathlib import Path
from typing import Callable, NamedTuple, Optional

from spacy.util import logger

from ..errors import UserError
from ..hf.folders import check_folder, write_folder
from ..hf.hub import check_login, check_repo, check_revision, get_endpoint, get_url, upload
from ..hf.pipeline_repo import name_wheel, write_repo
from ..pipeline.bert_ner import BertNER
from .pipelines import load_pipeline


class Pushed(NamedTuple):
    """Where a pipeline is on the hub.

    commit_url (Optional[str]): Address of the commit; None if nothing was uploaded.
    wheel_url (str): Address of the wheel, for `pip install`.
    """

    commit_url: Optional[str]
    wheel_url: str


def push(
    pipeline: str,
    repo: str,
    *,
    private: bool = False,
    message: str = "Upload pipeline",
    revision: Optional[str] = None,
    dry_run: Optional[Path] = None,
    notify: Callable[[str], None] = logger.info,
) -> Pushed:
    """Upload a pipeline to the Hugging Face hub: its files, a model card, and a wheel for pip. The
    token is that of `hf auth login` or of the environment variable HF_TOKEN.

    pipeline (str): Name or path of a trained pipeline.
    repo (str): Name of the repository, with its owner. It is created if there is none.
    private (bool): Create the repository as a private one.
    message (str): Message of the commit.
    revision (Optional[str]): Branch to commit to, None for the main one. It is created if there is
        none.
    dry_run (Optional[Path]): A folder, new or empty, to write the files to instead of uploading
        them.
    notify (Callable[[str], None]): Gets a message when the upload begins.
    RETURNS (Pushed): Where it is, or would be.
    RAISES (UserError): For a pipeline that can't be loaded or packaged, without a token, and if the
        hub can't be reached or refuses.
    """
    check_repo(repo)
    if revision is not None:
        check_revision(revision)
    if dry_run is None:
        check_login()
    else:
        check_folder(dry_run, force=False)
    nlp = load_pipeline(pipeline)
    if not any(isinstance(pipe, BertNER) for _, pipe in nlp.components):
        raise UserError(
            f"Can't push '{pipeline}': it has no bert_ner, only {nlp.component_names}. Use the "
            "package spacy-huggingface-hub."
        )
    url = get_url(repo, revision, name_wheel(nlp))
    if dry_run is not None:
        with write_folder(dry_run) as folder:
            write_repo(nlp, folder, url)
        return Pushed(None, url)
    with tempfile.TemporaryDirectory() as temporary:
        write_repo(nlp, Path(temporary), url)
        notify(f"Uploading to {get_endpoint()}/{repo}.")
        commit_url = upload(
            Path(temporary), repo, private=private, message=message, revision=revision
        )
    return Pushed(commit_url, url)
