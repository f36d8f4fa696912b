"""The figures of the papers, row by row: what is run, what comes out, what was published."""
