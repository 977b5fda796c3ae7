"""MMPose's top-down pose estimators: loading one, and asking it where the joints are."""
