"""Label checks: is a synthesised person where its labels say?"""
