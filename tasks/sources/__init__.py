"""Where rows come from. Each module has `load(data, root)`: a declaration's `data` block and the folder of local copies
(`paths.data`, None if there is none) give one frame whose columns bear the names that templates use."""
