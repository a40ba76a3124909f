"""Reading of files as rows: one reader for each file format, and conversion of the cells of a row."""
