"""The consent rule as one word: codes, word, evaluation and sentence. Pure Python, no chain."""
