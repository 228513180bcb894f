"""Generators whose latent is a map: networks trained on FNZ_i ([S] chapter 8)."""
