"""The foundation of every service; imports none of them."""
