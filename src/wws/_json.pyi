def members(data: bytes, most: int, /) -> list[tuple[str, int, int]] | None:
    """Names of the object's members, in order, and where their values begin and end; None: not plain, or deeper than `most`."""
