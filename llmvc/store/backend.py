"""What the rooms of the store share: one repository's children, readers and way of writing."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from llmvc.errors import RefMoved, StoreError
from llmvc.store import objects
from llmvc.store.git import Git
from llmvc.store.reader import Reader
from llmvc.store.refs import Change, Refs, is_ancestor
from llmvc.store.retry import Retry
from llmvc.store.trees import Trees

if TYPE_CHECKING:
    from llmvc.store.packs import Pack


@dataclass(frozen=True, slots=True)
class Backend:
    """One repository, as the store sees it.

    Attributes:
        git: runs git in it.
        reader: reads its objects.
        trees: reads its trees.
        refs: reads and moves its refs.
        retry: how long to wait for others.
        object_format: `sha1` or `sha256`.
        common_dir: where refs live.
        object_dir: where git writes objects; in a server's hook that is the quarantine.
        check_writable: raises where writing would be lost or do harm.
        has_filters: whether Git's configuration knows filter drivers, such as LFS.
    """

    git: Git
    reader: Reader
    trees: Trees
    refs: Refs
    retry: Retry
    object_format: str
    common_dir: Path
    object_dir: Path
    check_writable: Callable[[], None]
    has_filters: Callable[[], bool]

    def new_pack(self) -> "Pack":
        """Returns an empty pack of this repository's object format."""
        from llmvc.store.packs import Pack  # noqa: PLC0415 (dulwich only where one writes)

        return Pack(self.object_format)

    def land(self, pack: "Pack", change: Change, why: str) -> None:
        """Stores objects, then moves one ref to the last of them, then looks that both are there.

        A kill at any point leaves the ref on its old value or on its new one, and complete.

        Raises:
            RefMoved: the ref moved meanwhile, or its lock stays taken.
            StoreError: git or the disk refused.
        """

        def keep() -> None:
            objects.store(self.git, self.reader, self.object_dir, pack)

        self.check_writable()
        keep()
        # `git gc --prune=now` may take objects that no ref names yet, before or as ours moves.
        try:
            self.refs.move((change,), why)
        except StoreError:
            if not objects.missing(self.reader, pack):
                raise
            keep()
            self.refs.move((change,), why)
        if objects.missing(self.reader, pack):
            keep()
        self._read_back(change)

    def _read_back(self, change: Change) -> None:
        named = self.reader.info(change.ref)  # saves a process; the full name wins over others
        if named and named.oid == change.new:
            return
        found = self.refs.read(change.ref)
        if found and change.new and is_ancestor(self.git, change.new, found):
            return  # somebody has already built upon it
        raise RefMoved(f"{change.ref} was moved away by somebody else", hint="look at it")
