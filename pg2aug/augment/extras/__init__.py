"""What is off by default, and what is known of it.

- ``pool`` and ``repeats``, ``PG2Augment(reuse=R)``: a person is synthesised once and seen R times.
  Labels are the same as without it, and pixels differ by a grey level (tested). Whether fewer poses
  cost an estimator anything, and what is saved on a GPU, was not measured.
- ``detail``, ``generator=dict(..., detail=N)``: persons N times finer than the generator's crops.
  That joints stay where they are is tested. What it does for an estimator was not measured.
"""
