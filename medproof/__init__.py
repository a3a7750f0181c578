"""Health-data consent, record pointers and claim anchors on Ethereum."""
