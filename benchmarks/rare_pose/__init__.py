"""Does PG2Augment make an estimator better at rare poses? Procedural people."""
