"""The user's own history: files as of a revision, and whether the working tree differs.

- Files come as Git would check them out (LFS, line endings), by the attributes that are in force
  in this repository now.
- Symbolic links and submodules are refused: what they point at is not part of the revision.
"""

from collections.abc import Sequence
from pathlib import Path

from llmvc.core.version import Source
from llmvc.errors import FormatError, NotFoundError
from llmvc.store.backend import Backend
from llmvc.store.git import too_large
from llmvc.store.reader import LIMIT
from llmvc.store.trees import FOLDER, SUBMODULE, SYMLINK, Entry


class CommitFiles:
    """The files of one commit; has the shape of `files.tree.Files`."""

    def __init__(self, backend: Backend, rev: str, commit: str, *, limit: int = 16 * 2**20) -> None:
        self.backend = backend
        self._limit = limit
        self.commit = commit
        self.label = f"git:{rev}"

    def root(self) -> Path | None:
        """Returns None: a commit has no folder on disk."""
        return None

    def read(self, path: str) -> bytes:
        """Returns a file's bytes as Git would check them out.

        Raises:
            NotFoundError: there is no such file.
            FormatError: it is a symbolic link, a submodule or a folder, or too large.
        """
        entry = self._file(path)
        name = f"{path} ({self.label})"
        if not self.backend.has_filters():
            # Line endings apart, which readers of text normalize, a checkout gives these bytes.
            found = self.backend.reader.info(entry.oid)
            if found is not None and found.size > self._limit:
                raise too_large(name, self._limit, found.size)
            return self.backend.reader.blob(entry.oid) or b""
        git = self.backend.git
        return git.read_at_most(
            self._limit, name, "cat-file", "--filters", f"--path={path}", entry.oid
        )

    def names(self) -> tuple[str, ...]:
        """Returns the paths of all files, symbolic links among them, sorted."""
        out = self.backend.git.run("ls-tree", "-r", "-z", "--full-tree", self.commit)
        lines = (line.split("\t", 1) for line in out.decode("utf-8", "surrogateescape").split("\0"))
        found = (line for line in lines if len(line) == 2)
        return tuple(sorted(path for head, path in found if not head.startswith("160000")))

    def raw(self, path: str) -> bytes:
        """Returns a file's bytes as they are stored; see `read`."""
        return self.backend.reader.blob(self._file(path).oid) or b""

    def tree_id(self, folder: str) -> str | None:
        """Returns the id of a folder's tree, or of a file; None if there is none."""
        entry = self._find(folder)
        return entry.oid if entry else None

    def _file(self, path: str) -> Entry:
        entry = self._find(path)
        if entry is None:
            raise NotFoundError(f"{self.label} has no file {path}")
        if entry.mode == SYMLINK:
            raise FormatError(
                f"{path} is a symbolic link ({self.label})", hint="put the file itself there"
            )
        if entry.mode in (FOLDER, SUBMODULE):
            kind = "folder" if entry.mode == FOLDER else "submodule"
            raise FormatError(f"{path} is a {kind}, not a file ({self.label})")
        return entry

    def _find(self, path: str) -> Entry | None:
        path = path.strip("/")
        if path in ("", "."):
            return Entry(FOLDER, self.backend.trees.tree_id(self.commit))
        return self.backend.trees.entry(self.commit, path)


def head(backend: Backend, rev: str = "HEAD") -> str | None:
    """Returns the commit that a revision names; None if there is none."""
    if not rev or rev.startswith("-") or "\n" in rev or "\0" in rev:
        return None
    found = backend.reader.info(f"{rev}^{{commit}}")
    return found.oid if found else None


def files_at(backend: Backend, rev: str) -> CommitFiles:
    """Returns the files of a revision.

    Raises:
        NotFoundError: there is no such commit.
    """
    commit = head(backend, rev)
    if commit is None:
        raise NotFoundError(f"git revision {rev!r} names no commit", hint="see git log --all")
    return CommitFiles(backend, rev, commit)


def source(backend: Backend, root: Path | None, paths: Sequence[str]) -> Source:
    """Returns HEAD and whether any of these files differs from it, line endings apart."""
    commit = head(backend)
    if commit is None:
        return Source(None, dirty=True)
    files = CommitFiles(backend, "HEAD", commit, limit=LIMIT)
    dirty = root is not None and any(_differs(files, root, path) for path in paths)
    return Source(commit, dirty)


def _differs(files: CommitFiles, root: Path, path: str) -> bool:
    try:
        here = _normal((root / path).read_bytes())
    except OSError:
        return True
    try:
        # The stored bytes first: asking git to apply filters costs a process for each file.
        return here != _normal(files.raw(path)) and here != _normal(files.read(path))
    except (NotFoundError, FormatError):
        return True


def _normal(data: bytes) -> bytes:
    return data.replace(b"\r\n", b"\n")


def pushed_base(backend: Backend, local: str, theirs: str | None, remote: str) -> str | None:
    """Returns the commit that a push is to be compared with.

    Args:
        backend: the repository.
        local: what is pushed.
        theirs: what the remote has there, as the hook is told; None or zeros if nothing.
        remote: the remote's name, or its URL where it has no name.

    Returns:
        What the remote has, if it is known here; else where the pushed history left that
        remote's branches; None if they have nothing in common.
    """
    if theirs and theirs.strip("0") and backend.reader.info(theirs) is not None:
        return theirs
    if remote.startswith(("-", "/", ".")) or ":" in remote:
        return None  # a URL has no branches here
    if not backend.refs.under(f"refs/remotes/{remote}"):
        return None
    out = backend.git.run(
        "rev-list", "--first-parent", "--boundary", local, "--not", f"--remotes={remote}", "--"
    )
    lines = out.decode().split()
    if not lines:
        return local  # the remote has it already
    return lines[-1][1:] if lines[-1].startswith("-") else None


def changed_between(files: CommitFiles, base: str | None, folder: str) -> bool:
    """Tells whether a folder of a commit differs from what it was in another commit."""
    if base is None:
        return files.tree_id(folder) is not None
    return files.tree_id(folder) != CommitFiles(files.backend, base, base).tree_id(folder)
