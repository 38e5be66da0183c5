"""Networks trained on images under a protocol, many at once; what that costs."""
