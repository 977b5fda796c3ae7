"""What an expansion made, as a page to review, and what the review decides."""
