"""What PG2Augment costs; how fast synthesis and training are."""
