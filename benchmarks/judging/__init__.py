"""People judge a model's answers right or wrong on a local page; what they say, how far they agree, and what it comes to."""
