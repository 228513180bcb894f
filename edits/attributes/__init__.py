"""Attribute models: how a direction changes F_i and R_i ([S] algorithm 2), and their training."""
