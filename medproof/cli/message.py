"""`medproof message`: seal, open, read receipts, and the keys for them."""
