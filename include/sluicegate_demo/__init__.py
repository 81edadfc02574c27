"""The demonstration on real flights: data, traffic, and the three rollouts that `make demo` goes through."""
