"""The queue: candidates one by one, rated by keys, reordered by what was learnt."""
