"""What experiments share: people, trainings, files to go on from, statistics, tables, sheets."""
