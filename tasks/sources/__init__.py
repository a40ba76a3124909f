"""Sources of data sets. Each module has a function `load(data, root)`. It takes the `data` block of a task and the
folder of local copies (`paths.data`, None if there is none), and returns one table with the column names that prompt
templates use."""
