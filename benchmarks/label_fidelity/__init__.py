"""Do synthesised people stand as their labels say?"""
