"""Distributions of F_i for generators whose latent is a map ([S] chapter 8), drawn at any place."""
