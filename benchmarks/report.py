from benchmarks.rates import ratio_limit
