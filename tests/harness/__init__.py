"""What the tests that run the real program share: the server's process, raw HTTP, the clients."""
