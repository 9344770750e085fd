"""Tables of any program: CSV, TSV, JSON, JSON Lines, Excel and parquet."""

from variability.results.readers import Reader


class TableReader(Reader):
    """A table whose columns the config names."""
