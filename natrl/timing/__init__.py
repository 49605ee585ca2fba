"""How long networks take where they will run: runtimes, a stopwatch, and tables of what each operation takes."""
