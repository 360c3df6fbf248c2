"""Clouds as processes of their own, as a user starts them."""
