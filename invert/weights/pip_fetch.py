"""`pip download` that stops once the file is there: for sdists, whose code pip would run.

A program of its own, run by the user's Python beside their pip:
`python pip_fetch.py OPTION… NAME==VERSION FILE`. The options, and what the user has configured, are
those of `pip download`: index, find-links, proxy, certificates, credentials. It prints
`Progress done of total` as pip does. pip promises nothing for what it is made of; the tests run
with the pip that is installed.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

REPORT_BYTES = 1 << 20


def main() -> int:
    """pip's exit code; the file named last on the command line lies in `--dest` when it is 0."""
    # This file's folder has modules of its own, which pip must not meet under its own names.
    sys.path[:] = [place for place in sys.path if Path(place) != Path(__file__).parent]
    from pip._internal.commands.download import DownloadCommand
    from pip._internal.exceptions import CommandError
    from pip._vendor.requests import RequestException

    class Fetch(DownloadCommand):
        """Find the candidates as pip does, and take the file of that name; build nothing."""

        def run(self, options: Any, args: list[str]) -> int:
            requirement, file_name = args
            session = self.get_default_session(options)
            finder = self._build_package_finder(options=options, session=session)

            candidates = finder.find_all_candidates(requirement.split("==")[0])
            links = [each.link for each in candidates if each.link.filename == file_name]
            if not links:
                raise CommandError(f"Could not find {file_name} among the files of {requirement}")

            # Unlike pip's own downloader, the session is a plain one of requests in every version.
            try:
                answer = session.get(
                    links[0].url_without_fragment,
                    headers={"Accept-Encoding": "identity"},
                    stream=True,
                )
                answer.raise_for_status()
                with (Path(options.download_dir) / file_name).open("wb") as file:
                    file.writelines(reported(answer))
            except RequestException as error:
                raise CommandError(f"{file_name}: {error}") from error
            return 0

    return Fetch("download", "").main(sys.argv[1:])


def reported(answer: Any) -> Iterator[bytes]:
    """The chunks of an answer; each is told on stdout."""
    total, done = int(answer.headers.get("Content-Length", 0)), 0
    chunks: Iterable[bytes] = answer.iter_content(REPORT_BYTES)
    for chunk in chunks:
        done += len(chunk)
        print(f"Progress {done} of {total}", flush=True)
        yield chunk


if __name__ == "__main__":
    sys.exit(main())
