"""Files to rows: readers of every format, and the cells of a row."""
