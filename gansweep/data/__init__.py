"""Images as uint8 [N, C, H, W] memory maps."""
