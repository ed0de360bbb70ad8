//! Canaries in memory: what is swapped out of a host and of the program while they hold secrets has none of it.
