"""The console proxy: pages with guests' consoles, and the WebSockets that they use."""
